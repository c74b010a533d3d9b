"""A child process after fork() opens databases anew, while its parent goes on.

    fork.py PARENTS_DATABASE CHILDS_DATABASE
"""

import os
import sys

import client

client.load()
parents, childs = sys.argv[1], sys.argv[2]
db = client.connect(parents)
db.execute("CREATE TABLE t (who TEXT)")
db.execute("INSERT INTO t VALUES ('parent')")  # and keeps the lease

pid = os.fork()
if pid == 0:
    status = 1
    try:
        mine = client.connect(childs)
        mine.execute("CREATE TABLE t (who TEXT)")
        mine.execute("INSERT INTO t VALUES ('child')")
        seen = client.connect(parents)
        assert client.one(seen, "SELECT count(*) FROM t WHERE who = 'parent'") >= 1
        seen.close()
        mine.close()
        status = 0
    except BaseException as e:
        print(f"child: {e!r}", file=sys.stderr, flush=True)
    finally:
        os._exit(status)

# At the same time as the child, and after it has gone.
for n in range(20):
    db.execute("INSERT INTO t VALUES ('parent')")
_, status = os.waitpid(pid, 0)
assert status == 0, f"the child ended with {status}"
db.execute("INSERT INTO t VALUES ('parent')")
assert client.one(db, "SELECT count(*) FROM t") == 22
db.close()

db = client.connect(childs)
assert client.one(db, "SELECT group_concat(who) FROM t") == "child"
client.say("ok")
