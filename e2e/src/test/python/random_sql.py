"""Random SQL, on a remote database and on a local file: the same results, statement by statement.

    random_sql.py DATABASE FILE SEED

Goes on until its input ends, and prints: statements, commits, unknown outcomes that were old, that
were new, statements that failed without harm. SQLite on the local file is the oracle.

A statement goes to the remote database first. If it fails there for a reason that the local file
does not have (I/O, busy, cannot open), both connections are closed. The remote database is then as
it was before the transaction or, if it was committing, perhaps as it is after it; the local one
follows: it commits, or rolls back. After a busy one it is as before.

journal_mode=off is not among the settings: with it SQLite does not promise to undo a statement that
fails half-way, on a local file either.
"""

import hashlib
import os
import random
import re
import sqlite3
import sys
import threading
import time

import client

JOURNAL_MODES = ["delete", "truncate", "persist", "memory"]
SYNCHRONOUS = ["off", "normal", "full", "extra"]
LOCKING_MODES = ["normal", "exclusive"]
CACHE_SIZES = [5, 50, -2000]
PAGE_SIZES = [512, 1024, 4096, 65536]
BUSY, IO_ERROR, CANNOT_OPEN = 5, 10, 14
RECOVERY_S = 60
MOST_ROWS = 400
# More than a client keeps of a transaction (GRPSQLITE_BUFFER_MB=1), in a database that is small still.
LARGE = [300_000, 900_000]
LARGE_FITS_BYTES = 3 << 20
UNREADABLE = re.compile("failed to get page|unable to get the page")


class Generator:
    """Makes statements that fit what the local database has now."""

    def __init__(self, chance, local):
        self.chance = chance
        self.local = local
        self.names = 0

    def objects(self, kind):
        return [
            row[0]
            for row in self.local.execute(
                "SELECT name FROM sqlite_schema WHERE type = ? AND name NOT LIKE 'sqlite%'"
                " ORDER BY name",
                (kind,),
            )
        ]

    def fresh(self, letter):
        self.names += 1
        return f"{letter}{self.names}"

    def bytes(self):
        return client.one(self.local, "PRAGMA page_count") * client.one(
            self.local, "PRAGMA page_size"
        )

    def value(self):
        c = self.chance
        return c.choice(
            [
                lambda: str(c.randint(-5, 60)),
                lambda: str(c.randint(0, 1 << 40)),
                lambda: f"'{c.choice('abcxyz') * c.randint(0, 30)}'",
                lambda: f"zeroblob({c.choice([0, 10, 300, 2000, 9000])})",
                lambda: "NULL",
                lambda: f"{c.random():.6f}",
            ]
        )()

    def condition(self):
        c = self.chance
        return c.choice(
            [
                f"a % {c.randint(2, 9)} = {c.randint(0, 3)}",
                f"b > {self.value()}",
                f"a BETWEEN {c.randint(-5, 30)} AND {c.randint(0, 60)}",
                "c IS NULL",
                f"length(c) > {c.randint(0, 40)}",
            ]
        )

    def statement(self, in_transaction):
        c = self.chance
        tables = self.objects("table")
        if len(tables) < 2:
            return self.create_table()
        table = c.choice(tables)
        if in_transaction:
            choices = {
                self.write: 12,
                self.read: 5,
                self.schema: 2,
                self.savepoint: 3,
                self.end: 3,
            }
        else:
            choices = {
                self.write: 6,
                self.read: 4,
                self.schema: 2,
                self.begin: 8,
                self.maintain: 2,
            }
        return c.choices(list(choices), list(choices.values()))[0](table)

    def create_table(self, table=None):
        name = self.fresh("t")
        return self.chance.choice(
            [
                f"CREATE TABLE {name} (id INTEGER PRIMARY KEY, a, b, c)",
                f"CREATE TABLE {name} (id INTEGER PRIMARY KEY AUTOINCREMENT, a, b, c,"
                " CHECK (a IS NOT 7))",
                f"CREATE TABLE {name} (a, b, c, PRIMARY KEY (a, b)) WITHOUT ROWID",
                f"CREATE TABLE {name} (a UNIQUE, b TEXT COLLATE NOCASE, c BLOB DEFAULT 3)",
            ]
        )

    def write(self, table):
        c = self.chance
        conflict = c.choice(["", "", " OR IGNORE", " OR REPLACE", " OR ROLLBACK", " OR FAIL"])
        rows = client.one(self.local, f"SELECT count(*) FROM {table}")
        if c.random() < 0.06 and self.bytes() < LARGE_FITS_BYTES:
            return (
                f"INSERT{conflict} INTO {table} (a, b, c)"
                f" VALUES ({self.value()}, {self.value()}, hex(zeroblob({c.choice(LARGE)})))"
            )
        kind = c.choice("iiisud" if rows < MOST_ROWS else "ddu")
        if kind == "i":
            values = ", ".join(
                f"({self.value()}, {self.value()}, {self.value()})"
                for _ in range(c.choice([1, 1, 3, 20]))
            )
            return f"INSERT{conflict} INTO {table} (a, b, c) VALUES {values}"
        if kind == "s":
            other = c.choice(self.objects("table"))
            return (
                f"INSERT{conflict} INTO {table} (a, b, c)"
                f" SELECT a + {c.randint(1, 99)}, b, c FROM {other} WHERE {self.condition()}"
            )
        if kind == "u":
            column = c.choice("abc")
            return (
                f"UPDATE{conflict} {table} SET {column} = {self.value()},"
                f" c = {self.value()} WHERE {self.condition()}"
            )
        return f"DELETE FROM {table} WHERE {self.condition()}"

    def read(self, table):
        return self.chance.choice(
            [
                f"SELECT a, b, length(c) FROM {table} WHERE {self.condition()} ORDER BY 1, 2, 3",
                f"SELECT count(*), sum(length(c)), max(a) FROM {table}",
                f"SELECT a, count(*) FROM {table} GROUP BY a ORDER BY a",
                "SELECT type, name, sql FROM sqlite_schema ORDER BY name",
            ]
        )

    def schema(self, table):
        c = self.chance
        choices = [
            f"CREATE INDEX {self.fresh('i')} ON {table} ({c.choice('abc')}, a)",
            f"CREATE UNIQUE INDEX {self.fresh('i')} ON {table} (b, c)",
            f"CREATE INDEX {self.fresh('i')} ON {table} (length(c)) WHERE {self.condition()}",
            f"ALTER TABLE {table} ADD COLUMN {self.fresh('x')} DEFAULT 5",
            f"ALTER TABLE {table} RENAME TO {self.fresh('t')}",
            f"CREATE TRIGGER {self.fresh('g')} AFTER {c.choice(['UPDATE', 'DELETE'])} ON {table}"
            f" BEGIN INSERT INTO {c.choice(self.objects('table'))} (a, b, c)"
            " VALUES (old.a, 1, 'trigger'); END",
        ]
        if len(self.objects("table")) < 6:
            choices += [self.create_table()] * 3
        else:
            choices += [f"DROP TABLE {table}"] * 2
        for kind, most in (("index", 6), ("trigger", 3)):
            there = self.objects(kind)
            if len(there) > most:
                choices = [f"DROP {kind} {c.choice(there)}"]
        return c.choice(choices)

    def savepoint(self, table):
        return self.chance.choice(["SAVEPOINT s", "RELEASE s", "ROLLBACK TO s"])

    def begin(self, table):
        return self.chance.choice(["BEGIN", "BEGIN IMMEDIATE", "BEGIN EXCLUSIVE", "SAVEPOINT s"])

    def end(self, table):
        return self.chance.choice(["COMMIT", "COMMIT", "COMMIT", "ROLLBACK"])

    def maintain(self, table):
        c = self.chance
        return c.choice(
            [
                "VACUUM",
                f"PRAGMA page_size = {c.choice(PAGE_SIZES)}",
                f"PRAGMA auto_vacuum = {c.randint(0, 2)}",
                "PRAGMA incremental_vacuum(3)",
                f"PRAGMA user_version = {c.randint(1, 1000)}",
                "REINDEX",
                "ANALYZE",
                "PRAGMA integrity_check",
            ]
        )


def digest(db):
    """What there is, also how it is laid out: the same statements allocate the same pages."""
    tables = db.execute(
        "SELECT type, name, tbl_name, sql, rootpage FROM sqlite_schema ORDER BY rowid"
    ).fetchall()
    found = hashlib.sha256(repr(tables).encode())
    for kind, name, *_ in tables:
        if kind == "table":
            for row in db.execute(f"SELECT * FROM {name}"):
                found.update(repr(row).encode())
    for pragma in ("page_size", "page_count", "freelist_count", "user_version", "auto_vacuum"):
        found.update(f"{pragma} {client.one(db, f'PRAGMA {pragma}')}".encode())
    return found.hexdigest()


def result(db, sql):
    """Rows or an error's text; raises what has to do with storage."""
    try:
        cursor = db.execute(sql)
        rows = cursor.fetchall()
        return rows, cursor.rowcount
    except sqlite3.Error as e:
        if e.sqlite_errorcode & 255 in (BUSY, IO_ERROR, CANNOT_OPEN):
            raise
        return str(e)


class Comparison:
    def __init__(self, name, file, seed):
        self.chance = random.Random(seed)
        self.name = name
        self.file = file
        self.statements = self.commits = self.old = self.new = self.harmless = 0
        self.last = []
        self.local = self.remote = self.before = None
        self.open()
        self.generator = Generator(self.chance, self.local)

    def fail(self, what):
        raise AssertionError(f"{what}, after:\n" + ";\n".join(self.last[-60:]))

    def difference(self):
        """What of the schema only one of them has."""
        sql = "SELECT name, sql FROM sqlite_schema"
        there, here = set(self.remote.execute(sql)), set(self.local.execute(sql))
        return f"only there {there - here}, only here {here - there}"

    def close(self):
        for db in (self.remote, self.local):
            if db is not None:
                db.close()

    def open_remote(self):
        """Returns its digest."""
        deadline = time.monotonic() + RECOVERY_S
        while True:
            db = None
            try:
                db = client.connect(self.name, timeout=5)
                db.execute(f"PRAGMA locking_mode={self.chance.choice(LOCKING_MODES)}").fetchall()
                db.execute(f"PRAGMA journal_mode={self.chance.choice(JOURNAL_MODES)}").fetchall()
                db.execute(f"PRAGMA synchronous={self.chance.choice(SYNCHRONOUS)}")
                db.execute(f"PRAGMA cache_size={self.chance.choice(CACHE_SIZES)}")
                # First the lease, then a look: what the connection before sent could still arrive,
                # and take effect, as long as the lease has not been taken again.
                db.execute("BEGIN IMMEDIATE")
                db.execute("ROLLBACK")
                found = digest(db)
                self.remote = db
                return found
            except sqlite3.Error as e:
                if db is not None:
                    db.close()
                code = e.sqlite_errorcode & 255
                if code not in (BUSY, IO_ERROR, CANNOT_OPEN) or time.monotonic() > deadline:
                    self.fail(f"it cannot be opened again: {e}")
                time.sleep(0.05)  # the server may be down: not too often

    def open(self):
        self.local = client.connect(f"file:{self.file}?vfs=unix")
        # The file is as good as it is: what is compared is not how often it is synced.
        self.local.execute("PRAGMA synchronous=off")
        found = self.open_remote()
        if found != digest(self.local):
            self.fail("opened again it is different")
        if self.local is not None and hasattr(self, "generator"):
            self.generator.local = self.local

    def reopen(self):
        self.close()
        self.last.append("-- opened again")
        self.open()

    def step(self):
        if not self.local.in_transaction and self.chance.random() < 0.02:
            self.reopen()
        sql = self.generator.statement(self.local.in_transaction)
        self.last = self.last[-200:] + [sql]
        was_in_transaction = self.local.in_transaction
        try:
            there = result(self.remote, sql)
        except sqlite3.Error as e:
            self.last.append(f"-- {e} ({e.sqlite_errorname})")
            self.recover(sql, e.sqlite_errorcode & 255)
            return
        if sql == "PRAGMA integrity_check" and UNREADABLE.search(str(there)):
            # A page that it could not read is damage to SQLite. If it is, what follows finds it too.
            self.last.append(f"-- {there}")
            self.recover(sql, IO_ERROR)
            return
        here = result(self.local, sql)
        if there != here:
            self.fail(f"{there} is not {here}")
        if self.remote.in_transaction != self.local.in_transaction:
            self.fail("one is in a transaction")
        self.statements += 1
        if self.local.in_transaction and not was_in_transaction:
            # Nothing is written yet. What the transaction makes is known when it is committed: with
            # auto_vacuum, COMMIT itself moves pages.
            self.before = digest(self.local)
        if was_in_transaction and not self.local.in_transaction:
            self.commits += 1
            if self.chance.random() < 0.1:
                self.same_now()

    def same_now(self):
        try:
            there = digest(self.remote)
        except sqlite3.Error as e:
            self.last.append(f"-- {e} while it was compared")
            self.recover("SELECT", e.sqlite_errorcode & 255)
            return
        if there != digest(self.local):
            self.fail("it is different")

    def recover(self, sql, error):
        self.remote.close()
        committing = sql == "COMMIT" or sql == "RELEASE s"
        writes = not sql.startswith("SELECT") and sql != "PRAGMA integrity_check"
        there = self.open_remote()
        if not self.local.in_transaction:
            before = digest(self.local)
            if there != before:
                result(self.local, sql)
                if not writes or error == BUSY or digest(self.local) != there:
                    self.fail("it is neither what it was nor what it should become")
                self.new += 1
            elif writes and error == IO_ERROR:
                self.old += 1
            else:
                self.harmless += 1
        else:
            neither = "it is neither before nor after the transaction"
            if committing and error != BUSY and there != self.before:
                self.local.execute("COMMIT")
                if there != digest(self.local):
                    self.fail(f"{neither}: {self.difference()}")
                self.new += 1
            else:
                self.local.execute("ROLLBACK")
                if there != digest(self.local):
                    self.fail(f"{neither}: {self.difference()}")
                if committing and error == IO_ERROR:
                    self.old += 1
                else:
                    self.harmless += 1
        # What was said to one connection only, as PRAGMA page_size, is forgotten by both.
        self.reopen()

    def finish(self):
        if self.local.in_transaction:
            self.local.execute("ROLLBACK")
        self.reopen()
        check = client.one(self.remote, "PRAGMA integrity_check")
        if check != "ok":
            self.fail(check)
        self.close()
        client.say(f"{self.statements} {self.commits} {self.old} {self.new} {self.harmless}")


client.load()
stopped = threading.Event()
threading.Thread(target=lambda: (sys.stdin.read(), stopped.set()), daemon=True).start()
comparison = Comparison(sys.argv[1], os.path.abspath(sys.argv[2]), int(sys.argv[3]))
client.say("running")
while not stopped.is_set():
    comparison.step()
comparison.finish()
