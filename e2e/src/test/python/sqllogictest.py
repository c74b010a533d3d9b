"""Runs files of SQLite's sql logic tests.

    sqllogictest.py remote PREFIX FILE...    on databases PREFIX0, PREFIX1, ... through the VFS
    sqllogictest.py local FOLDER FILE...     on local files, to test this runner

The format: https://www.sqlite.org/sqllogictest/doc/trunk/about.wiki. A value is shown as the type
string says: T as text, with "(empty)" for nothing and @ for bytes that are no printable ASCII;
I as sqlite3_column_int gives it; R with three digits; NULL as NULL.
"""

import decimal
import hashlib
import os
import re
import sqlite3
import sys

import client

LEADING_INTEGER = re.compile(rb"\s*[+-]?\d+")
LEADING_NUMBER = re.compile(rb"\s*[+-]?(\d+\.?\d*([eE][+-]?\d+)?|\.\d+([eE][+-]?\d+)?)")


class Failed(Exception):
    pass


def as_integer(value):
    if isinstance(value, bytes):
        match = LEADING_INTEGER.match(value)
        return int(match.group()) if match else 0
    return int(value)


def as_real(value):
    if isinstance(value, bytes):
        match = LEADING_NUMBER.match(value)
        return float(match.group()) if match else 0.0
    return float(value)


def as_text(value):
    if isinstance(value, bytes):
        data = value
    elif isinstance(value, float):
        data = (b"%.15g" % value) if value != int(value) else b"%.1f" % value
    else:
        data = str(value).encode()
    if not data:
        return "(empty)"
    return "".join(chr(b) if 32 <= b <= 126 else "@" for b in data)


def show(value, kind):
    if value is None:
        return "NULL"
    if kind == "I":
        return str(as_integer(value))
    if kind == "R":
        # 16 digits, then zeros, as the expected results have it; Python would print them all.
        return format(decimal.Decimal("%.16g" % as_real(value)), ".3f")
    return as_text(value)


def records(path):
    """Groups of lines between empty ones, comments removed, each with its first line's number."""
    group, start = [], 0
    with open(path, encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            line = line.rstrip("\r\n")
            if line.startswith("#"):
                continue
            if line.strip():
                if not group:
                    start = number
                group.append(line)
            elif group:
                yield start, group
                group = []
    if group:
        yield start, group


class Run:
    def __init__(self, connection):
        self.connection = connection
        self.connection.text_factory = bytes
        self.threshold = 0
        self.labels = {}
        self.done = 0

    def statement(self, expected, sql):
        error = None
        try:
            self.connection.execute(sql).fetchall()
        except (sqlite3.Error, sqlite3.Warning) as e:
            error = e
            if "one statement at a time" in str(e):
                self.connection.executescript(sql)
                error = None
        if expected == "ok" and error is not None:
            raise Failed(f"statement failed: {error}")
        if expected == "error" and error is None:
            raise Failed("statement succeeded, but should not")

    def query(self, words, lines):
        kinds = words[1]
        sort = words[2] if len(words) > 2 else "nosort"
        label = words[3] if len(words) > 3 else None
        cut = lines.index("----") if "----" in lines else len(lines)
        sql, expected = "\n".join(lines[:cut]), lines[cut + 1 :]
        try:
            rows = self.connection.execute(sql).fetchall()
        except sqlite3.Error as e:
            # One file expects no rows from a sum that overflows, and an error is all that comes.
            if expected or str(e) != "integer overflow":
                raise Failed(f"query failed: {e}") from e
            rows = []
        if rows and len(rows[0]) != len(kinds):
            raise Failed(f"{len(rows[0])} columns instead of {len(kinds)}")
        shown = [[show(value, kind) for value, kind in zip(row, kinds)] for row in rows]
        if sort == "rowsort":
            shown.sort()
        values = [value for row in shown for value in row]
        if sort == "valuesort":
            values.sort()
        digest = hashlib.md5("".join(v + "\n" for v in values).encode()).hexdigest()
        hashed = f"{len(values)} values hashing to {digest}"
        if len(expected) == 1 and " values hashing to " in expected[0]:
            if expected[0] != hashed:
                raise Failed(f"{hashed} instead of {expected[0]}")
        elif expected != values and [e.split(" ") for e in expected] != shown:
            raise Failed(f"{values[:20]} instead of {expected[:20]}")
        if label is not None and self.labels.setdefault(label, digest) != digest:
            raise Failed(f"label {label} had another result before")

    def record(self, lines):
        """Runs one record. Returns False at a halt that holds."""
        while True:
            words = lines[0].split()
            if words[0] == "skipif":
                if words[1] == "sqlite":
                    return True
            elif words[0] == "onlyif":
                if words[1] != "sqlite":
                    return True
            else:
                break
            lines = lines[1:]
        if words[0] == "halt":
            return False
        if words[0] == "hash-threshold":
            self.threshold = int(words[1])
        elif words[0] == "statement":
            self.statement(words[1], "\n".join(lines[1:]))
            self.done += 1
        elif words[0] == "query":
            self.query(words, lines[1:])
            self.done += 1
        else:
            raise Failed(f"no such record: {lines[0]}")
        return True


def main():
    where, prefix, files = sys.argv[1], sys.argv[2], sys.argv[3:]
    if where == "remote":
        client.load()
    failures = 0
    for number, path in enumerate(files):
        name = prefix + str(number) if where == "remote" else os.path.join(prefix, f"{number}.db")
        connection = client.connect(name)
        run = Run(connection)
        for start, lines in records(path):
            try:
                if not run.record(lines):
                    break
            except Failed as e:
                failures += 1
                if failures <= 20:
                    client.say(f"{path}:{start}: {e}")
        connection.close()
        client.say(f"{os.path.basename(path)} {run.done}")
    return 1 if failures else 0


sys.exit(main())
