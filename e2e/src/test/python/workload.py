"""Clients whose every transaction is recorded, to be judged afterwards.

    workload.py make WORKLOADS               makes the databases
    workload.py run WORKLOADS NAME SEED HISTORY
        transaction after transaction until its input ends; NAME is a number of its own
    workload.py final WORKLOADS HISTORY      reads all that there is
    WORKLOADS: names with commas between, of
        register   sets, reads, and compares and sets one row
        list       appends unique values to some lists and reads others
        bank       moves money between accounts, and reads all of them
        pair       the same between the accounts of two attached databases

While one has a lease for long, inside a transaction or between two, it says "holding".

HISTORY has lines of fields with tabs between:
    begin ID WORKLOAD TIME STEPS             about to be tried
    end ID OUTCOME TIME ERROR STEPS          what came of it; OK, FAIL or UNKNOWN
    mark WORKLOAD ID                         a committed transaction, as the final reader found it
TIME is nanoseconds of a clock that all processes of the machine share. A step is a letter, a key, a
colon, and values with commas between.

An error is UNKNOWN if it is an I/O error of COMMIT, else FAIL. Every transaction that writes also
leaves its id in a table of its database. Registers and lists are of a time of some seconds, so that
none becomes long.
"""

import os
import random
import sqlite3
import sys
import threading
import time

import client

ACCOUNTS = 6
BALANCE = 1000
WINDOW_S = 5
KEYS = 3
IO_ERROR = 10


class Recorder:
    def __init__(self, path, name):
        self.file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        self.name = name
        self.count = 0

    def write(self, *fields):
        # One call: a kill leaves the line whole or not there.
        os.write(self.file, ("\t".join(map(str, fields)) + "\n").encode())

    def begin(self, workload, steps):
        self.count += 1
        ident = f"{self.name}-{self.count}"
        self.write("begin", ident, workload, time.monotonic_ns(), text(steps))
        return ident

    def end(self, ident, outcome, error, steps):
        self.write("end", ident, outcome, time.monotonic_ns(), error, text(steps))


def text(steps):
    return " ".join(f"{kind}{key}:{','.join(map(str, values))}" for kind, key, values in steps)


def key_of(chance):
    return int(time.monotonic() / WINDOW_S) * KEYS + chance.randrange(KEYS)


class Register:
    databases = ["register.db"]
    schema = "CREATE TABLE register (k INTEGER PRIMARY KEY, v INT)"

    def plan(self, chance, values, connection):
        key = key_of(chance)
        kind = chance.choice("wggs")
        if kind == "g":
            return [("g", key, [])]
        if kind == "w":
            return [("w", key, [next(values)])]
        # A guess that is often right: what this client has seen last.
        return [("s", key, [getattr(self, "seen", 0), next(values)])]

    def run(self, db, step):
        kind, key, values = step
        if kind == "g":
            row = db.execute("SELECT v FROM register WHERE k = ?", (key,)).fetchone()
            self.seen = row[0] if row else 0
            return kind, key, [self.seen]
        upsert = "INSERT INTO register VALUES (?, ?) ON CONFLICT (k) DO UPDATE SET v = excluded.v"
        if kind == "w":
            db.execute(upsert, (key, values[0]))
            self.seen = values[0]
            return step
        row = db.execute("SELECT v FROM register WHERE k = ?", (key,)).fetchone()
        equal = (row[0] if row else 0) == values[0]
        if equal:
            db.execute(upsert, (key, values[1]))
        return kind, key, [values[0], values[1], int(equal)]

    def everything(self, db):
        return [("g", k, [v]) for k, v in db.execute("SELECT k, v FROM register")]


class List:
    databases = ["list.db"]
    schema = "CREATE TABLE list (k INTEGER PRIMARY KEY, v TEXT)"

    def plan(self, chance, values, connection):
        steps = []
        for _ in range(chance.randint(1, 4)):
            key = key_of(chance)
            if chance.random() < 0.5:
                steps.append(("l", key, []))
            else:
                steps.append(("a", key, [next(values)]))
        return steps

    def run(self, db, step):
        kind, key, values = step
        if kind == "a":
            db.execute(
                "INSERT INTO list VALUES (?, ?)"
                " ON CONFLICT (k) DO UPDATE SET v = v || ',' || excluded.v",
                (key, str(values[0])),
            )
            return step
        row = db.execute("SELECT v FROM list WHERE k = ?", (key,)).fetchone()
        return kind, key, row[0].split(",") if row else []

    def everything(self, db):
        return [("l", k, v.split(",")) for k, v in db.execute("SELECT k, v FROM list")]


class Bank:
    databases = ["bank.db"]
    schema = (
        "CREATE TABLE account (id INTEGER PRIMARY KEY, balance INT, pad);"
        "CREATE INDEX by_balance ON account (balance);"
        "INSERT INTO account WITH RECURSIVE n(i) AS"
        f" (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < {ACCOUNTS - 1})"
        f" SELECT i, {BALANCE}, zeroblob(1500) FROM n"
    )

    def plan(self, chance, values, connection):
        if chance.random() < 0.5:
            return [("b", 0, [])]
        source, target = chance.sample(range(ACCOUNTS), 2)
        return [("m", source, [target, chance.randint(1, 50)])]

    def run(self, db, step):
        kind, source, values = step
        if kind == "b":
            return "b", 0, [row[0] for row in db.execute("SELECT balance FROM account ORDER BY id")]
        target, amount = values
        for account, change in ((source, -amount), (target, amount)):
            db.execute(
                "UPDATE account SET balance = balance + ?, pad = randomblob(1500) WHERE id = ?",
                (change, account),
            )
        return step

    def everything(self, db):
        return [self.run(db, ("b", 0, []))]


class Pair(Bank):
    """Accounts from ACCOUNTS on are in the second database.

    A client that is stopped between taking the two leases may lose the first. Its COMMIT is refused
    then; but only one that writes asks. So reads leave their ids, too.
    """

    databases = ["left.db", "right.db"]

    def plan(self, chance, values, connection):
        if chance.random() < 0.5:
            return [("b", 0, [])]
        source, target = chance.randrange(ACCOUNTS), ACCOUNTS + chance.randrange(ACCOUNTS)
        if chance.random() < 0.5:
            source, target = target, source
        return [("m", source, [target, chance.randint(1, 50)])]

    def run(self, db, step):
        kind, source, values = step
        if kind == "b":
            sql = "SELECT balance FROM {}.account ORDER BY id"
            return "b", 0, [
                row[0] for side in ("main", "side") for row in db.execute(sql.format(side))
            ]
        target, amount = values
        for account, change in ((source, -amount), (target, amount)):
            db.execute(
                f"UPDATE {'main' if account < ACCOUNTS else 'side'}.account"
                " SET balance = balance + ?, pad = randomblob(1500) WHERE id = ?",
                (change, account % ACCOUNTS),
            )
        return step


WORKLOADS = {"register": Register, "list": List, "bank": Bank, "pair": Pair}
WRITES = set("awsm")


def connect(workload, read_only):
    names = workload.databases
    if read_only:
        names = [f"file:{name}?mode=ro" for name in names]
    db = client.connect(names[0], timeout=5)
    try:
        for name in names[1:]:
            db.execute("ATTACH ? AS side", (name,))
    except sqlite3.Error:
        db.close()
        raise
    return db


def sometimes_hold(chance, seconds):
    """A good moment to stop, kill or cut off this client."""
    if chance.random() < 0.015:
        client.say("holding")
        time.sleep(seconds)
        client.say("going on")


def transact(db, name, workload, recorder, steps, immediate, chance):
    """Returns whether it went well."""
    writes = len(workload.databases) > 1 or any(step[0] in WRITES for step in steps)
    ident = recorder.begin(name, steps)
    done = []
    committing = False
    error = 0
    try:
        db.execute("BEGIN IMMEDIATE" if immediate else "BEGIN")
        for step in steps:
            done.append(workload.run(db, step))
            if chance.random() < 0.05:
                time.sleep(0.02)  # others commit meanwhile
        if writes:
            db.execute("INSERT INTO main.mark (id) VALUES (?)", (ident,))
            if len(workload.databases) > 1:
                db.execute("INSERT INTO side.mark (id) VALUES (?)", (ident,))
            sometimes_hold(chance, 0.5)
        committing = True
        db.execute("COMMIT")
        outcome = "OK"
    except sqlite3.Error as e:
        error = e.sqlite_errorcode & 255
        outcome = "UNKNOWN" if committing and writes and error == IO_ERROR else "FAIL"
    # First, since what follows takes time and tells nothing more.
    recorder.end(ident, outcome, error, done if outcome != "FAIL" else steps)
    if outcome != "OK" and db.in_transaction:
        try:
            db.execute("ROLLBACK")
        except sqlite3.Error as e:
            print(f"rollback: {e}", file=sys.stderr)
    return outcome == "OK"


def run(names, who, seed, history):
    chance = random.Random(seed)
    recorder = Recorder(history, who)
    stopped = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), stopped.set()), daemon=True).start()
    # Unique among all clients: each has a range of its own.
    values = iter(range(int(who) * 1_000_000 + 1, 1 << 62))
    workloads = {name: WORKLOADS[name]() for name in names}
    client.say("running")
    while not stopped.is_set():
        name = chance.choice(names)
        workload = workloads[name]
        read_only = chance.random() < 0.2
        try:
            db = connect(workload, read_only)
        except sqlite3.Error:
            time.sleep(0.02)  # no server: not too often
            continue
        try:
            for _ in range(chance.randint(1, 12)):
                steps = workload.plan(chance, values, db)
                writes = any(step[0] in WRITES for step in steps)
                if writes and read_only:
                    continue
                # Of two databases a snapshot is taken one after the other, unless both are locked.
                immediate = len(workload.databases) > 1 or (writes and chance.random() < 0.5)
                if immediate and read_only:
                    continue
                if not transact(db, name, workload, recorder, steps, immediate, chance):
                    break
                if stopped.is_set():
                    break
                # Also for longer than a session lasts, which a client that is cut off must notice.
                sometimes_hold(chance, chance.choice([0.5, 4]))
        finally:
            db.close()


def final(names, history):
    recorder = Recorder(history, "final")
    for name in names:
        workload = WORKLOADS[name]()
        db = connect(workload, True)
        ident = recorder.begin(name, [])
        db.execute("BEGIN")
        steps = workload.everything(db)
        marks = [row[0] for row in db.execute("SELECT id FROM main.mark ORDER BY n")]
        for ident_found in marks:
            recorder.write("mark", name, ident_found)
        if len(workload.databases) > 1:
            for (ident_found,) in db.execute("SELECT id FROM side.mark ORDER BY n"):
                recorder.write("mark", f"{name}-right", ident_found)
        db.execute("COMMIT")
        recorder.end(ident, "OK", 0, steps)
        check = client.one(db, "PRAGMA integrity_check")
        assert check == "ok", f"{name}: {check}"
        db.close()


def make(names):
    for name in names:
        for database in WORKLOADS[name].databases:
            db = client.connect(database)
            db.executescript(
                f"{WORKLOADS[name].schema}; CREATE TABLE mark (n INTEGER PRIMARY KEY, id TEXT)"
            )
            db.close()


client.load()
if sys.argv[1] == "make":
    make(sys.argv[2].split(","))
elif sys.argv[1] == "run":
    run(sys.argv[2].split(","), sys.argv[3], int(sys.argv[4]), sys.argv[5])
else:
    final(sys.argv[2].split(","), sys.argv[3])
