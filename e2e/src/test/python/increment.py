"""One of several processes that count together.

    increment.py DATABASE TIMES BUSY_TIMEOUT_S
        adds 1 to the one row of table counter, TIMES times, each in a transaction of its own, and
        prints how many seconds that took; begins when it gets a line of input
"""

import sqlite3
import sys
import time

import client

client.load()
db = client.connect(sys.argv[1], timeout=float(sys.argv[3]))
assert client.one(db, "SELECT count(*) FROM counter") == 1
client.say("ready")
sys.stdin.readline()
started = time.monotonic()
for _ in range(int(sys.argv[2])):
    try:
        db.execute("UPDATE counter SET n = n + 1")
    except sqlite3.Error:
        print(client.one(db, "PRAGMA grpsqlite_last_error"), file=sys.stderr)
        raise
seconds = time.monotonic() - started
db.close()
client.say(f"{seconds:.3f}")
