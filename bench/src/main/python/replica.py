"""A replica: replica.py DATABASE answers each line "MILLISECONDS" of input with "READS ROUND_TRIPS".

It reads ten rows in a transaction of its own, again and again for that long; round trips are of all
of these.
"""

import sys
import time

import database


def round_trips(db):
    stats = db.execute("PRAGMA grpsqlite_stats").fetchone()[0]
    return int(dict(line.split() for line in stats.splitlines())["round_trips"])


database.load()
db = database.connect(f"file:{sys.argv[1]}?mode=ro", timeout=60)
n = 0
db.execute("SELECT sum(n) FROM t").fetchone()
print("ready", flush=True)
for line in sys.stdin:
    reads = 0
    before = round_trips(db)
    end = time.perf_counter() + int(line) / 1e3
    while time.perf_counter() < end:
        n += 1
        first = n * 389 % 990 + 1
        (rows,) = db.execute(
            "SELECT count(n) FROM t WHERE id BETWEEN ? AND ?", (first, first + 9)).fetchone()
        assert rows == 10, rows
        reads += 1
    print(reads, round_trips(db) - before, flush=True)
