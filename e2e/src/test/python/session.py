"""A connection that is told what to do, a line at a time.

    session.py DATABASE

Each line of input is SQL; it is answered with one line for each row, the values separated by "|",
or one that begins with "error: ", and then a line "--".
"""

import sqlite3
import sys

import client

client.load()
db = client.connect(sys.argv[1])
client.say("--")
for line in sys.stdin:
    try:
        for row in db.execute(line.rstrip("\n")):
            client.say("|".join(str(value) for value in row))
    except sqlite3.Error as e:
        client.say(f"error: {e}")
    client.say("--")
db.close()
