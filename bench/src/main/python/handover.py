"""Writers that take turns: handover.py DATABASE WRITERS ROUNDS prints milliseconds.

With two, every transaction begins without the lease, which the other process has and does not use.
"""

import os
import sys
import time

import database


def writer(name, told, tell):
    db = database.connect(name)
    while os.read(told, 1):
        begun = time.perf_counter_ns()
        db.execute("UPDATE t SET n = n + 1")
        os.write(tell, (time.perf_counter_ns() - begun).to_bytes(8, "big"))
    db.close()


database.load()
name, writers, rounds = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
db = database.connect(name)
db.execute("CREATE TABLE t (n)")
db.execute("INSERT INTO t VALUES (0)")
db.close()

pipes = []
for _ in range(writers):
    told, tell_child = os.pipe()
    told_by_child, tell = os.pipe()
    if os.fork() == 0:
        for other, _ in pipes:
            os.close(other)
        os.close(tell_child)
        writer(name, told, tell)
        os._exit(0)
    os.close(told)
    os.close(tell)
    pipes.append((tell_child, told_by_child))

WARM_UP = 20
for n in range(WARM_UP + rounds):
    tell, told = pipes[n % writers]
    os.write(tell, b"g")
    answer = os.read(told, 8)
    assert len(answer) == 8, "a writer failed"
    elapsed = int.from_bytes(answer, "big")
    if n >= WARM_UP:
        print(elapsed / 1e6)
for tell, _ in pipes:
    os.close(tell)
for _ in pipes:
    _, status = os.wait()
    assert status == 0, status
db = database.connect(name)
assert db.execute("SELECT n FROM t").fetchone()[0] == WARM_UP + rounds
db.close()
