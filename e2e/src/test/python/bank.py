"""Transfers between accounts, and readers who see every cent at every moment.

    bank.py open DATABASE
        makes the accounts; prints the version in which they are there first
    bank.py write DATABASE HISTORY
        commits a transfer after the other until its input ends. One line of HISTORY for each:
        VERSION SEQUENCE BEGUN ACKNOWLEDGED
    bank.py read DATABASE HISTORY
        reads in transactions until its input ends; each must be of one version. One line each:
        VERSION SEQUENCE BEGUN ENDED. At its end prints how many there were, and how many of them
        made no RPC
    bank.py judge STALENESS_MS WRITES READS...
    bank.py judge-restored FIRST RESTORES WRITES READS...
        judge the histories: see the functions

Times are nanoseconds of a clock that all processes of the machine share.
"""

import bisect
import random
import sqlite3
import sys
import threading
import time

import client

ACCOUNTS = 400
MONEY = ACCOUNTS * 1000


def until_input_ends():
    stopped = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), stopped.set()), daemon=True).start()
    return stopped


def make(name):
    db = client.connect(name)
    db.execute("BEGIN")
    db.execute("CREATE TABLE account (id INTEGER PRIMARY KEY, balance INT, pad)")
    db.execute("CREATE INDEX by_balance ON account (balance)")
    db.execute(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)"
        " INSERT INTO account SELECT i, 1000, zeroblob(200) FROM n",
        (ACCOUNTS,),
    )
    db.execute("CREATE TABLE state (sequence INT, digest INT)")
    db.execute("INSERT INTO state SELECT 0, sum(id * balance) FROM account")
    db.execute("COMMIT")
    client.say(client.version(db))
    db.close()


def write(name, history):
    db = client.connect(name, timeout=60)
    stopped = until_input_ends()
    chance = random.Random(1)
    client.say("writing")
    with open(history, "w") as log:
        while not stopped.is_set():
            begun = time.monotonic_ns()
            db.execute("BEGIN IMMEDIATE")
            sequence = client.one(db, "SELECT sequence FROM state") + 1
            version = client.version(db) + 1
            shift = 0
            for _ in range(chance.randint(1, 4)):
                source, target = chance.sample(range(1, ACCOUNTS + 1), 2)
                amount = chance.randint(1, 100)
                db.execute(
                    "UPDATE account SET balance = balance - ?, pad = randomblob(200) WHERE id = ?",
                    (amount, source),
                )
                db.execute(
                    "UPDATE account SET balance = balance + ? WHERE id = ?", (amount, target)
                )
                shift += amount * (target - source)
            db.execute("UPDATE state SET sequence = ?, digest = digest + ?", (sequence, shift))
            db.execute("COMMIT")
            acknowledged = time.monotonic_ns()
            print(version, sequence, begun, acknowledged, file=log)
    db.close()
    client.say("written")


def asked(db):
    """How many calls SQLite had to wait for; and transactions that needed none, for the server had
    said that nobody would commit meanwhile."""
    stats = client.one(db, "PRAGMA grpsqlite_stats")
    counts = dict(line.split(" ") for line in stats.splitlines())
    return int(counts["rpcs"]) + int(counts["transactions_delegated"])


def read(name, history):
    db = client.connect(name)
    stopped = until_input_ends()
    transactions = without_rpc = 0
    client.say("reading")
    with open(history, "w") as log:
        while not stopped.is_set():
            before = asked(db)
            db.execute("BEGIN")
            begun = time.monotonic_ns()
            sequence, digest = db.execute("SELECT sequence, digest FROM state").fetchone()
            after = asked(db)
            version = client.version(db)
            money, found = db.execute(
                "SELECT sum(balance), sum(id * balance) FROM account NOT INDEXED"
            ).fetchone()
            indexed = client.one(db, "SELECT sum(balance) FROM account INDEXED BY by_balance")
            again = client.one(db, "SELECT sequence FROM state")
            db.execute("COMMIT")
            ended = time.monotonic_ns()
            seen = (money, indexed, found, again)
            assert seen == (MONEY, MONEY, digest, sequence), f"a mixture at {version}: {seen}"
            print(version, sequence, begun, ended, file=log)
            transactions += 1
            without_rpc += after == before
    assert client.one(db, "PRAGMA integrity_check") == "ok"
    db.close()
    client.say(f"{transactions} {without_rpc}")


def lines(history):
    with open(history) as log:
        return [tuple(map(int, line.split())) for line in log]


def judge(staleness_ms, writes, *readers):
    """Nobody saw what was not yet begun, or went back, or (staleness_ms=0) missed what was
    acknowledged before it began; with staleness_ms, what was acknowledged that long before."""
    written = lines(writes)
    assert [w[1] for w in written] == list(range(1, len(written) + 1)), "a hole in the writes"
    acknowledged = [w[3] for w in written]
    assert acknowledged == sorted(acknowledged)
    sequences = {w[0]: w[1] for w in written}
    reads = oldest = behind = 0
    for reader in readers:
        last = 0
        for version, sequence, begun, ended in lines(reader):
            reads += 1
            assert sequence >= last, f"{reader} went back from {last} to {sequence}"
            last = sequence
            assert sequence == sequences.get(version, sequence), f"{version} is not {sequence}"
            if sequence > 0:
                assert sequence <= len(written) and written[sequence - 1][2] <= ended
            # How many were acknowledged before it began; it should have seen as many.
            known = bisect.bisect_left(acknowledged, begun)
            if known > sequence:
                behind += 1
                age = begun - acknowledged[sequence]
                oldest = max(oldest, age)
                assert age <= staleness_ms * 1_000_000, (
                    f"{reader}: at {begun} it saw {sequence}, but {sequence + 1} was acknowledged"
                    f" {age / 1e6:.3f} ms before"
                )
    client.say(
        f"{len(written)} commits, {reads} reads, {behind} of them behind, "
        f"the oldest by {oldest / 1e6:.3f} ms"
    )


def judge_restored(first, restores, writes, *readers):
    """Each read was of what was committed or restored as its version, no reader went back, and all
    ended on the last restored version. RESTORES has lines VERSION FROM_VERSION."""
    sequences = {int(first): 0}
    made = {w[0]: w[1] for w in lines(writes)}
    restored = dict(lines(restores))
    assert not made.keys() & restored.keys()
    for version in sorted(made.keys() | restored.keys()):
        sequences[version] = made.get(version) or sequences[restored[version]]
    assert sorted(sequences) == list(range(int(first), max(sequences) + 1)), "a hole"
    assert max(restored) == max(sequences)
    reads = 0
    for reader in readers:
        last = 0
        for version, sequence, _, _ in lines(reader):
            assert version >= last, f"{reader} went back from {last} to {version}"
            assert sequence == sequences[version], f"{reader}: {version} is not {sequence}"
            last = version
            reads += 1
        assert last == max(restored), f"{reader} ended at {last}"
    client.say(f"{len(made)} commits, {len(restored)} restores, {reads} reads")


if sys.argv[1] == "judge":
    judge(int(sys.argv[2]), *sys.argv[3:])
elif sys.argv[1] == "judge-restored":
    judge_restored(*sys.argv[2:])
else:
    client.load()
    {"open": make, "write": write, "read": read}[sys.argv[1]](*sys.argv[2:])
