"""Opens databases and takes the lease of each: open_many.py PREFIX COUNT.

Says "ready" when it has, keeps them until its input ends, and then writes to each again.
"""

import sys

import client

client.load()
prefix, count = sys.argv[1], int(sys.argv[2])
open_ones = []
for n in range(count):
    db = client.connect(f"{prefix}-{n}.db", timeout=10)
    db.execute("CREATE TABLE t (a)")
    open_ones.append(db)
client.say("ready")
sys.stdin.read()
for db in open_ones:
    db.execute("INSERT INTO t VALUES (1)")
    assert client.one(db, "SELECT count(*) FROM t") == 1
    db.close()
client.say("done")
