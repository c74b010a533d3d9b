"""What the scripts share: the extension, loaded as a program would that has no .load."""

import os
import sqlite3


def load():
    connection = sqlite3.connect(":memory:")
    connection.enable_load_extension(True)
    connection.load_extension(os.environ["GRPSQLITE_LIBRARY"])
    connection.close()


def connect(name, timeout=0.0, **options):
    """Opens a database, in autocommit mode. timeout: seconds, SQLite's busy_timeout."""
    return sqlite3.connect(
        name, timeout=timeout, isolation_level=None, uri=name.startswith("file:"), **options
    )


def say(line):
    print(line, flush=True)


def one(connection, sql, *arguments):
    """The one value that a query gives."""
    return connection.execute(sql, arguments).fetchone()[0]


def version(connection):
    """The database's version that the connection's transaction is at, or the newest."""
    return int(one(connection, "PRAGMA grpsqlite_version"))
