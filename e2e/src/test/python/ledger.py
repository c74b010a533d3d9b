"""Writers and readers that other processes get in the way of.

    ledger.py write DATABASE          commits a transaction after the other; prints each number
                                      once its commit was acknowledged; ends with its input
    ledger.py check DATABASE LAST     every number up to LAST is there, none by half
    ledger.py contend DATABASE BUSY_TIMEOUT_S
        tries one transaction; prints "busy SECONDS" or "done SECONDS"
"""

import sqlite3
import sys
import threading
import time

import client


def write(name):
    db = client.connect(name, timeout=20)
    db.execute("CREATE TABLE IF NOT EXISTS debit (n INTEGER PRIMARY KEY, pad)")
    db.execute("CREATE TABLE IF NOT EXISTS credit (n INTEGER PRIMARY KEY, pad)")
    stopped = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), stopped.set()), daemon=True).start()
    n = client.one(db, "SELECT coalesce(max(n), 0) FROM debit")
    client.say("writing")
    while not stopped.is_set():
        n += 1
        try:
            db.execute("BEGIN IMMEDIATE")
            db.execute("INSERT INTO debit VALUES (?, randomblob(500))", (n,))
            db.execute("INSERT INTO credit VALUES (?, randomblob(3000))", (n,))
            db.execute("COMMIT")
        except sqlite3.Error:
            print(client.one(db, "PRAGMA grpsqlite_last_error"), file=sys.stderr)
            raise
        client.say(n)
    db.close()


def check(name, last):
    db = client.connect(name)
    debits = [row[0] for row in db.execute("SELECT n FROM debit ORDER BY n")]
    credits = [row[0] for row in db.execute("SELECT n FROM credit ORDER BY n")]
    assert debits == credits, "half a transaction"
    assert debits == list(range(1, len(debits) + 1)), "a transaction is missing, or twice"
    assert len(debits) >= last, f"{last} was acknowledged, but {len(debits)} is the last"
    assert len(debits) <= last + 1, f"{len(debits)} is there, but only {last} was ever tried"
    assert client.one(db, "PRAGMA integrity_check") == "ok"
    client.say(f"{len(debits)} transactions")


def contend(name, busy_timeout_s):
    db = client.connect(name, timeout=busy_timeout_s)
    started = time.monotonic()
    try:
        db.execute("INSERT INTO t VALUES ('second')")
        outcome = "done"
    except sqlite3.OperationalError as e:
        assert str(e) == "database is locked", e
        outcome = "busy"
    client.say(f"{outcome} {time.monotonic() - started:.3f}")


client.load()
if sys.argv[1] == "write":
    write(sys.argv[2])
elif sys.argv[1] == "check":
    check(sys.argv[2], int(sys.argv[3]))
else:
    contend(sys.argv[2], float(sys.argv[3]))
