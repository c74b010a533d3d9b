"""Small commits and reads, one each 20 milliseconds at most: honest.py DATABASE.

Works until its input ends; each line of input is answered with the milliseconds of every
transaction since the one before, and then "--".
"""

import select
import sys
import time

import database

database.load()
db = database.connect(sys.argv[1], timeout=60)
db.execute("CREATE TABLE IF NOT EXISTS t (id INTEGER PRIMARY KEY, pad)")
db.execute("DELETE FROM t")
db.execute(
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000)"
    " INSERT INTO t SELECT i, randomblob(500) FROM n")
reader = database.connect(f"file:{sys.argv[1]}?mode=ro", timeout=60)
print("ready", flush=True)
times = []
n = 0
while True:
    if select.select([sys.stdin], [], [], 0.02)[0]:
        if not sys.stdin.readline():
            break
        for each in times:
            print(each)
        times = []
        print("--", flush=True)
    n += 1
    begun = time.perf_counter_ns()
    db.execute("UPDATE t SET pad = randomblob(500) WHERE id = ?", (n * 37 % 2000 + 1,))
    reader.execute("SELECT length(pad) FROM t WHERE id = ?", (n * 91 % 2000 + 1,)).fetchone()
    times.append((time.perf_counter_ns() - begun) / 1e6)
assert db.execute("SELECT count(*) FROM t").fetchone()[0] == 2000
assert db.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
