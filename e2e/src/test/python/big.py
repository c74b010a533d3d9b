"""One transaction of a given size.

    big.py DATABASE MEBIBYTES

Prints "written", then waits for a line of input, which is COMMIT or ROLLBACK; then prints "done".
"""

import sqlite3
import sys

import client

client.load()
name, mebibytes = sys.argv[1], int(sys.argv[2])
db = client.connect(name)
db.execute("CREATE TABLE big (id INTEGER PRIMARY KEY, content BLOB)")
client.say("created")
try:
    db.execute("BEGIN")
    db.execute(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)"
        " INSERT INTO big SELECT i, randomblob(1048576) FROM n",
        (mebibytes,),
    )
    client.say("written")
    db.execute(sys.stdin.readline())
except sqlite3.Error:
    print(client.one(db, "PRAGMA grpsqlite_last_error"), file=sys.stderr)
    raise
client.say("done")
sys.stdin.readline()
db.close()
