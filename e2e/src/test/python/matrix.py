"""Every combination of the settings that say how SQLite writes.

    matrix.py transactions DATABASE   under each: one transaction commits, one rolls back
    matrix.py kills PREFIX ROUNDS SEED
        under each in turn: a process is killed at a random moment of a transaction; the database
        must be at the state before or after, and after if the commit was acknowledged
"""

import itertools
import os
import random
import select
import signal
import sys
import time

import client
from forks import await_byte, child

JOURNAL_MODES = ["delete", "truncate", "persist", "memory", "off"]
SYNCHRONOUS = ["off", "normal", "full", "extra"]
LOCKING_MODES = ["normal", "exclusive"]
CACHE_SIZES = [None, 5]
ALL = list(itertools.product(JOURNAL_MODES, SYNCHRONOUS, LOCKING_MODES, CACHE_SIZES))

ROWS = 120


def open_with(name, settings):
    journal, synchronous, locking, cache = settings
    db = client.connect(name, timeout=20)
    db.execute(f"PRAGMA locking_mode={locking}")
    mode = client.one(db, f"PRAGMA journal_mode={journal}")
    assert mode == journal, f"journal_mode={journal} gave {mode}"
    db.execute(f"PRAGMA synchronous={synchronous}")
    if cache is not None:
        db.execute(f"PRAGMA cache_size={cache}")
    return db


def create(db):
    db.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, generation INT, pad)")
    db.execute("CREATE INDEX by_generation ON t (generation)")
    db.execute(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)"
        " INSERT INTO t SELECT i, 0, randomblob(300) FROM n",
        (ROWS,),
    )


def change(db, generation):
    """More pages than five: every row, and as many new ones as old ones go."""
    db.execute("UPDATE t SET generation = ?, pad = randomblob(300)", (generation,))
    db.execute("INSERT INTO t (generation, pad) SELECT ?, pad FROM t LIMIT 40", (generation,))
    db.execute("DELETE FROM t WHERE id IN (SELECT id FROM t LIMIT 40)")


def generation_of(db, context):
    rows = db.execute("SELECT generation, count(*) FROM t GROUP BY generation").fetchall()
    assert len(rows) == 1 and rows[0][1] == ROWS, f"{context}: half a transaction: {rows}"
    check = client.one(db, "PRAGMA integrity_check")
    assert check == "ok", f"{context}: {check}"
    return rows[0][0]


def transactions(name):
    client.load()
    db = client.connect(name)
    create(db)
    db.close()
    for generation, settings in enumerate(ALL, 1):
        db = open_with(name, settings)
        db.execute("BEGIN")
        change(db, generation)
        db.execute("COMMIT")
        db.execute("BEGIN")
        change(db, -generation)
        db.execute("ROLLBACK")
        # By the same connection, whose cache must have forgotten, and by a new one.
        assert generation_of(db, settings) == generation, f"{settings}: not what was committed"
        db.close()
        db = client.connect(name)
        assert generation_of(db, settings) == generation, f"{settings}: not what was committed"
        db.close()
    client.say(f"{len(ALL)} combinations")


def victim(name, settings, pipe):
    client.load()
    db = open_with(name, settings)
    create(db)
    os.write(pipe, b"r")
    db.execute("BEGIN")
    change(db, 1)
    db.execute("COMMIT")
    os.write(pipe, b"c")
    signal.pause()


def witness(name, acknowledged, context, pipe):
    client.load()
    db = client.connect(name)
    generation = generation_of(db, context)
    assert generation in (0, 1), f"{context}: generation {generation}"
    assert generation == 1 or not acknowledged, f"{context}: an acknowledged commit is lost"
    os.write(pipe, b"01"[generation : generation + 1])


def kills(prefix, rounds, seed):
    rng = random.Random(seed)
    longest = 0.02
    before = after = 0
    for n in range(rounds):
        settings = ALL[n % len(ALL)]
        context = f"round {n}, {settings}"
        name = f"{prefix}{n}"
        pid, end = child(victim, name, settings)
        assert await_byte(end, 60, context) == b"r", f"{context}: the victim failed"
        started = time.monotonic()
        # Mostly early: where commits take long, the transaction before them is short. Sometimes past the
        # end: then the commit was acknowledged, and must be there.
        moment = rng.uniform(0, 1.2) ** 3 * longest
        acknowledged = bool(select.select([end], [], [], moment)[0])
        if acknowledged:
            assert os.read(end, 1) == b"c", f"{context}: the victim failed"
            longest = 0.8 * longest + 0.2 * (time.monotonic() - started)
        else:
            longest = min(2.0, longest * 1.02)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        acknowledged = acknowledged or os.read(end, 1) == b"c"
        os.close(end)
        pid, end = child(witness, name, acknowledged, context)
        outcome = await_byte(end, 60, context)
        os.waitpid(pid, 0)
        os.close(end)
        assert outcome in (b"0", b"1"), f"{context}: the check failed"
        before += outcome == b"0"
        after += outcome == b"1"
    client.say(f"{rounds} kills: {before} before, {after} after")


if sys.argv[1] == "transactions":
    transactions(sys.argv[2])
else:
    kills(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
