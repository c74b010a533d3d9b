"""Forks a database of a given size: fork.py DATABASE MEBIBYTES FORKS prints milliseconds."""

import sys
import time

import database

database.load()
name, mebibytes, forks = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
db = database.connect(name)
db.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, content BLOB)")
db.execute(
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)"
    " INSERT INTO t SELECT i, randomblob(1048576) FROM n",
    (mebibytes,),
)
for n in range(forks):
    begun = time.perf_counter_ns()
    db.execute(f"PRAGMA grpsqlite_fork='{name}-fork-{n}'").fetchall()
    print((time.perf_counter_ns() - begun) / 1e6)
db.close()
