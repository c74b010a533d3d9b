"""What the scripts share: the extension, and a connection in autocommit mode."""

import os
import sqlite3


def load():
    connection = sqlite3.connect(":memory:")
    connection.enable_load_extension(True)
    connection.load_extension(os.environ["GRPSQLITE_LIBRARY"])
    connection.close()


def connect(name, timeout=60):
    return sqlite3.connect(
        name, timeout=timeout, isolation_level=None, uri=name.startswith("file:")
    )
