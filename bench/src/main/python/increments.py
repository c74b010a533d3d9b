"""Processes that increment one row: increments.py DATABASE PROCESSES INCREMENTS.

Prints how many seconds each of them took. Fails if one of them did, or an increment is missing.
"""

import os
import sys
import time

import database


def work(name, increments, start, done):
    db = database.connect(name, timeout=5)
    os.read(start, 1)
    begun = time.perf_counter()
    for _ in range(increments):
        db.execute("UPDATE t SET n = n + 1")
    os.write(done, f"{time.perf_counter() - begun:.6f}\n".encode())
    db.close()


database.load()
name, processes, increments = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
db = database.connect(name)
db.execute("CREATE TABLE t (n)")
db.execute("INSERT INTO t VALUES (0)")
db.close()

start, begin = os.pipe()
finished, done = os.pipe()
for _ in range(processes):
    if os.fork() == 0:
        status = 1
        try:
            work(name, increments, start, done)
            status = 0
        finally:
            os._exit(status)
os.close(done)
os.write(begin, b"g" * processes)
failed = sum(os.wait()[1] != 0 for _ in range(processes))
assert failed == 0, f"{failed} of {processes} processes failed"
with os.fdopen(finished) as times:
    sys.stdout.write(times.read())
db = database.connect(name)
assert db.execute("SELECT n FROM t").fetchone()[0] == processes * increments
db.close()
