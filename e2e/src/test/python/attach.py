"""Transactions over several databases of one server: all of it is there, or nothing.

    attach.py transactions PREFIX DATABASES   commits and rolls back with all settings with which
                                              SQLite uses a super-journal; prints how many
    attach.py kills PREFIX ROUNDS SEED        kills clients in the midst of it
    attach.py write ONE TWO                   commits a transaction after the other; prints each
                                              number once its commit was acknowledged; ends with
                                              its input
    attach.py check ONE TWO LAST              every number up to LAST is in both, none in one
"""

import itertools
import os
import random
import select
import signal
import sqlite3
import sys
import threading
import time

import client
from forks import await_byte, child

UNITS = 1000
# journal_mode, synchronous, locking_mode, and whether it is larger than caches and buffers
ALL = [
    (journal, synchronous, locking, synchronous == "full")
    for journal, synchronous, locking in itertools.product(
        ("delete", "truncate", "persist"), ("normal", "full", "extra"), ("normal", "exclusive")
    )
]


def schemas(count):
    return ["main"] + [f"d{i}" for i in range(1, count)]


def open_all(names, settings=None):
    db = client.connect(f"file:{names[0]}?buffer_mb=1")
    for schema, name in zip(schemas(len(names))[1:], names[1:]):
        db.execute(f"ATTACH 'file:{name}?buffer_mb=1' AS {schema}")
    if settings:
        journal, synchronous, locking, large = settings
        db.execute(f"PRAGMA locking_mode={locking}")
        for schema in schemas(len(names)):
            db.execute(f"PRAGMA {schema}.journal_mode={journal}")
            db.execute(f"PRAGMA {schema}.synchronous={synchronous}")
            if large:
                db.execute(f"PRAGMA {schema}.cache_size=5")
    return db


def create(db, count):
    for schema in schemas(count):
        db.execute(f"CREATE TABLE {schema}.t (units INTEGER, generation INTEGER)")
        db.execute(f"CREATE TABLE {schema}.pad (x)")
        db.execute(f"INSERT INTO {schema}.t VALUES ({UNITS}, 0)")


def change(db, count, generation, large):
    for schema in schemas(count):
        take = 1 - count if schema == "main" else 1
        db.execute(f"UPDATE {schema}.t SET units = units + {take}, generation = {generation}")
        if large:
            db.execute(f"DELETE FROM {schema}.pad")
            db.execute(
                f"INSERT INTO {schema}.pad WITH RECURSIVE n(i) AS"
                " (VALUES (1) UNION ALL SELECT i + 1 FROM n LIMIT 40)"
                " SELECT randomblob(30000) FROM n"
            )


def read(db, count):
    return [
        db.execute(f"SELECT units, generation FROM {schema}.t").fetchone()
        for schema in schemas(count)
    ]


def generation_of(db, count, context, integrity=True):
    rows = read(db, count)
    if len({generation for _, generation in rows}) > 1:
        # Each database is read at a version of its own. What a killed client had sent may have
        # been applied just in between; but then it is now.
        rows = read(db, count)
    assert sum(units for units, _ in rows) == count * UNITS, f"{context}: units are lost: {rows}"
    generations = {generation for _, generation in rows}
    assert len(generations) == 1, f"{context}: a part of a transaction: {rows}"
    for schema in schemas(count) if integrity else []:
        check = client.one(db, f"PRAGMA {schema}.integrity_check")
        assert check == "ok", f"{context}: {check}"
    return generations.pop()


def names_of(prefix, count):
    return [f"{prefix}-{i}" for i in range(count)]


def transactions(prefix, count):
    client.load()
    names = names_of(prefix, count)
    db = open_all(names)
    create(db, count)
    db.close()
    several = ALL if count == 2 else ALL[::3]
    for generation, settings in enumerate(several, 1):
        db = open_all(names, settings)
        db.execute("BEGIN")
        change(db, count, generation, settings[3])
        db.execute("COMMIT")
        db.execute("BEGIN")
        change(db, count, -generation, settings[3])
        db.execute("ROLLBACK")
        # By the same connection, whose caches must have forgotten, and by a new one.
        there = generation_of(db, count, settings, settings[3])
        assert there == generation, f"{settings}: {there}, not what was committed"
        db.close()
        db = open_all(names)
        there = generation_of(db, count, settings, settings[3])
        assert there == generation, f"{settings}: {there}, not what was committed"
        db.close()
    client.say(f"{len(several)} combinations")


def victim(names, settings, pipe):
    client.load()
    db = open_all(names, settings)
    create(db, len(names))
    os.write(pipe, b"r")
    db.execute("BEGIN")
    change(db, len(names), 1, settings[3])
    db.execute("COMMIT")
    os.write(pipe, b"c")
    signal.pause()


def witness(names, acknowledged, context, pipe):
    client.load()
    generation = generation_of(open_all(names), len(names), context)
    assert generation in (0, 1), f"{context}: generation {generation}"
    assert generation == 1 or not acknowledged, f"{context}: an acknowledged commit is lost"
    os.write(pipe, b"01"[generation : generation + 1])


def kills(prefix, rounds, seed):
    rng = random.Random(seed)
    longest = {False: 0.02, True: 0.2}
    before = after = 0
    for n in range(rounds):
        large = n // len(ALL) % 3 != 0
        settings = ALL[n % len(ALL)][:3] + (large,)
        context = f"round {n}, {settings}"
        names = names_of(f"{prefix}{n}", 2)
        pid, end = child(victim, names, settings)
        assert await_byte(end, 60, context) == b"r", f"{context}: the victim failed"
        started = time.monotonic()
        # Sometimes past the end: then the commit was acknowledged, and must be there.
        acknowledged = bool(select.select([end], [], [], rng.uniform(0, 1.2 * longest[large]))[0])
        if acknowledged:
            assert os.read(end, 1) == b"c", f"{context}: the victim failed"
            longest[large] = 0.8 * longest[large] + 0.2 * (time.monotonic() - started)
        else:
            longest[large] = min(2.0, longest[large] * 1.02)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        acknowledged = acknowledged or os.read(end, 1) == b"c"
        os.close(end)
        pid, end = child(witness, names, acknowledged, context)
        outcome = await_byte(end, 60, context)
        os.waitpid(pid, 0)
        os.close(end)
        assert outcome in (b"0", b"1"), f"{context}: the check failed"
        before += outcome == b"0"
        after += outcome == b"1"
    client.say(f"{rounds} kills: {before} before, {after} after")


def write(one, two):
    client.load()
    db = open_all([one, two])
    for schema in schemas(2):
        db.execute(f"CREATE TABLE IF NOT EXISTS {schema}.t (n INTEGER PRIMARY KEY, pad)")
    stopped = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), stopped.set()), daemon=True).start()
    n = 0
    client.say("writing")
    while not stopped.is_set():
        n += 1
        try:
            db.execute("BEGIN IMMEDIATE")
            db.execute("INSERT INTO main.t VALUES (?, randomblob(500))", (n,))
            db.execute("INSERT INTO d1.t VALUES (?, randomblob(3000))", (n,))
            db.execute("COMMIT")
        except sqlite3.Error:
            print(client.one(db, "PRAGMA grpsqlite_last_error"), file=sys.stderr)
            raise
        client.say(n)
    db.close()


def check(one, two, last):
    client.load()
    db = open_all([one, two])
    of_one, of_two = (
        [row[0] for row in db.execute(f"SELECT n FROM {schema}.t ORDER BY n")]
        for schema in schemas(2)
    )
    assert of_one == of_two, "a part of a transaction"
    assert of_one == list(range(1, len(of_one) + 1)), "a transaction is missing, or twice"
    assert last <= len(of_one) <= last + 1, f"{last} was acknowledged, {len(of_one)} is the last"
    for schema in schemas(2):
        assert client.one(db, f"PRAGMA {schema}.integrity_check") == "ok"
    client.say(f"{len(of_one)} transactions")


if sys.argv[1] == "transactions":
    transactions(sys.argv[2], int(sys.argv[3]))
elif sys.argv[1] == "kills":
    kills(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
elif sys.argv[1] == "write":
    write(sys.argv[2], sys.argv[3])
else:
    check(sys.argv[2], sys.argv[3], int(sys.argv[4]))
