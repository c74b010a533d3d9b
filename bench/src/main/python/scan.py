"""Scans a table of orders: scan.py NAME ROWS makes it, scan.py URI prints the seconds of a cold scan."""

import sys
import time

import database

database.load()
db = database.connect(sys.argv[1])
if len(sys.argv) > 2:
    db.execute("CREATE TABLE orders (id INTEGER PRIMARY KEY, at TEXT, status TEXT, note TEXT, ref BLOB)")
    db.execute(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)"
        " INSERT INTO orders SELECT i, datetime(1700000000 + 37 * i, 'unixepoch'),"
        " CASE i % 3 WHEN 0 THEN 'new' WHEN 1 THEN 'paid' ELSE 'shipped' END,"
        " substr('a few words that somebody wrote about this order, longer or shorter',"
        " abs(random()) % 30, 20 + abs(random()) % 40), randomblob(16) FROM n",
        (int(sys.argv[2]),),
    )
else:
    begun = time.perf_counter()
    db.execute("SELECT count(*), sum(length(note)) FROM orders").fetchall()
    print(time.perf_counter() - begun)
db.close()
