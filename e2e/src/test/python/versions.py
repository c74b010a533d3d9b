"""Every version, read back as it was.

    versions.py work DATABASE COMMITS SEED MANIFEST
        commits that grow and shrink the database, VACUUM it, and change its page size; MANIFEST
        gets a line for each: VERSION SHA256 of a copy that was taken right after the commit
    versions.py compare DATABASE MANIFEST OLDEST
        reads back every version from OLDEST on by its number, and one in ten by its time
"""

import hashlib
import random
import sys

import client

PAGE_SIZES = [512, 1024, 2048, 4096, 8192, 65536]


def digest(db):
    return hashlib.sha256(db.serialize()).hexdigest()


def insert(db, chance):
    for _ in range(chance.randint(1, 25)):
        db.execute(
            "INSERT INTO t (n, pad) VALUES (?, ?)",
            (chance.randint(0, 1000), chance.randbytes(chance.randint(0, 3000))),
        )


def update(db, chance):
    db.execute(
        "UPDATE t SET n = n + 1, pad = randomblob(length(pad)) WHERE n % 13 = ?",
        (chance.randrange(13),),
    )


def delete(db, chance):
    if client.one(db, "SELECT count(*) FROM t") > 150:
        db.execute("DELETE FROM t WHERE id % 3 <> 0")
    else:
        db.execute("DELETE FROM t WHERE n % 7 = ?", (chance.randrange(7),))


def rename(db, chance):
    db.execute("DROP TABLE IF EXISTS other")
    db.execute("CREATE TABLE other AS SELECT * FROM t WHERE n % 2 = ?", (chance.randrange(2),))


def shrink(db, chance):
    db.execute("DELETE FROM t")
    db.execute("PRAGMA incremental_vacuum").fetchall()


def vacuum(db, chance):
    db.execute("VACUUM")


def resize(db, chance):
    db.execute(f"PRAGMA page_size={chance.choice(PAGE_SIZES)}")
    db.execute(f"PRAGMA auto_vacuum={chance.choice(['none', 'full', 'incremental'])}")
    db.execute("VACUUM")


IN_TRANSACTION = [insert] * 8 + [update] * 4 + [delete] * 3 + [rename]
ALONE = [vacuum, vacuum, resize]


def work(name, commits, seed, manifest):
    db = client.connect(name, timeout=20)
    chance = random.Random(seed)
    db.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, n INT, pad BLOB)")
    db.execute("CREATE INDEX by_n ON t (n)")
    last = client.version(db)
    sizes = set()
    with open(manifest, "w") as log:
        print(last, digest(db), file=log)
        while commits > 0:
            if chance.random() < 0.03:
                chance.choice(ALONE)(db, chance)
            else:
                db.execute("BEGIN")
                for _ in range(chance.randint(1, 2)):
                    (shrink if chance.random() < 0.01 else chance.choice(IN_TRANSACTION))(
                        db, chance
                    )
                db.execute("COMMIT")
            version = client.version(db)
            assert last <= version <= last + 2, f"from {last} to {version}"
            if version == last:
                continue  # nothing was to be done
            if version == last + 1:
                print(version, digest(db), file=log)
            last = version
            commits -= 1
            sizes.add(client.one(db, "PRAGMA page_size"))
    assert commits < 1000 or len(sizes) > 3, sizes
    db.close()
    client.say(last)


def compare(name, manifest, oldest):
    head = client.connect(f"file:{name}?mode=ro")
    times = dict(head.execute("SELECT version, committed_at FROM grpsqlite_history"))
    compared = 0
    with open(manifest) as log:
        # The newest first: what a page was at a version it also was since it was written.
        for line in reversed(log.readlines()):
            version, expected = line.split()
            if int(version) < oldest:
                continue
            by_number = client.connect(f"file:{name}?version={version}")
            assert client.version(by_number) == int(version)
            assert digest(by_number) == expected, f"version {version} is not as it was"
            by_number.close()
            if compared % 10 == 0:
                at = times[int(version)]
                by_time = client.connect(f"file:{name}?at={at}")
                assert client.version(by_time) == int(version), at
                by_time.close()
            compared += 1
    head.close()
    client.say(compared)


client.load()
if sys.argv[1] == "work":
    work(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), sys.argv[5])
else:
    compare(sys.argv[2], sys.argv[3], int(sys.argv[4]))
