/* Every way of running a transaction that SQLite offers: what commits is there, what rolls back
** leaves nothing, and neither makes a version that it should not. */
#include "vfs/fake/fake_server.h"
#include "vfs/fake/sql.h"

static const char *const journal_modes[] = {"delete", "truncate", "persist", "memory", "off"};
static const char *const synchronous[] = {"off", "normal", "full", "extra"};
static const char *const locking[] = {"normal", "exclusive"};
static const char *const caches[] = {"-2000", "5"};

#define COUNT(array) (sizeof(array) / sizeof *(array))

#define FILL "WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i+1 FROM n LIMIT 300) "

static void one_combination(const char *journal, const char *sync, const char *lock,
                            const char *cache) {
  char sql[512];
  fake_reset();
  sqlite3 *db = sql_open("main.db");
  snprintf(sql, sizeof sql,
           "PRAGMA cache_size=%s; PRAGMA locking_mode=%s; PRAGMA journal_mode=%s; "
           "PRAGMA synchronous=%s",
           cache, lock, journal, sync);
  SQL_OK(db, sql);
  fprintf(stderr, "  journal_mode=%s synchronous=%s locking_mode=%s cache_size=%s\n", journal,
          sync, lock, cache);
  SQL_OK(db, "CREATE TABLE t(a INTEGER PRIMARY KEY, b); CREATE INDEX i ON t(b)");
  SQL_OK(db, FILL "INSERT INTO t SELECT i, i || hex(zeroblob(300)) FROM n");
  CHECK_STR("300", sql_get(db, "SELECT count(*) FROM t"));
  CHECK_INT(3, fake_head("main.db"));

  /* A roll-back, small and large, twice, with reading in between. */
  for (int round = 0; round < 2; round++) {
    SQL_OK(db,
           "BEGIN; UPDATE t SET b = 'x' || b; DELETE FROM t WHERE a % 3 = 0; "
           "INSERT INTO t SELECT a + 1000, b FROM t; ROLLBACK");
    CHECK_STR("300", sql_get(db, "SELECT count(*) FROM t"));
    CHECK_STR("0", sql_get(db, "SELECT count(*) FROM t WHERE b LIKE 'x%'"));
    CHECK_STR("ok", sql_get(db, "PRAGMA integrity_check"));
    CHECK_INT(3, fake_head("main.db"));
    SQL_OK(db, "BEGIN; INSERT INTO t VALUES (5000, 'y'); ROLLBACK");
    CHECK_STR("0", sql_get(db, "SELECT count(*) FROM t WHERE a = 5000"));
    CHECK_INT(3, fake_head("main.db"));
  }
  /* A commit after roll-backs. */
  SQL_OK(db, "BEGIN; UPDATE t SET b = 'z' || b WHERE a % 2; COMMIT");
  CHECK_INT(4, fake_head("main.db"));
  /* A statement that fails half-way within a transaction that goes on. */
  if (strcmp(journal, "off") != 0) {
    SQL_OK(db, "BEGIN; INSERT INTO t VALUES (301, 'w')");
    CHECK_INT(SQLITE_CONSTRAINT_PRIMARYKEY,
              sql_run(db, FILL "INSERT INTO t SELECT 600 - i, 'v' FROM n"));
    SQL_OK(db, "SAVEPOINT s; DELETE FROM t; ROLLBACK TO s; RELEASE s; COMMIT");
    CHECK_STR("301", sql_get(db, "SELECT count(*) FROM t"));
    CHECK_INT(5, fake_head("main.db"));
    SQL_OK(db, "DELETE FROM t WHERE a = 301");
  }
  CHECK_STR("150", sql_get(db, "SELECT count(*) FROM t WHERE b LIKE 'z%'"));
  CHECK_STR("ok", sql_get(db, "PRAGMA integrity_check"));
  sqlite3_close(db);

  db = sql_open("main.db");
  CHECK_STR("300", sql_get(db, "SELECT count(*) FROM t"));
  CHECK_STR("150", sql_get(db, "SELECT count(*) FROM t WHERE b LIKE 'z%'"));
  CHECK_STR("ok", sql_get(db, "PRAGMA integrity_check"));
  sqlite3_close(db);
}

/* The same with so little room that everything is staged, and messages that hold few pages. */
static void with_staging(const char *journal, const char *lock, int commit) {
  char sql[512];
  fake_reset();
  fake_set_max_message_bytes(128 << 10);
  sqlite3 *db = sql_open("file:main.db?buffer_mb=1");
  fprintf(stderr, "  staged: journal_mode=%s locking_mode=%s %s\n", journal, lock,
          commit ? "commit" : "rollback");
  snprintf(sql, sizeof sql,
           "PRAGMA cache_size=5; PRAGMA locking_mode=%s; PRAGMA journal_mode=%s; "
           "CREATE TABLE t(a INTEGER PRIMARY KEY, b); " FILL
           "INSERT INTO t SELECT i, zeroblob(5000) FROM n",
           lock, journal);
  SQL_OK(db, sql);
  CHECK_INT(2, fake_head("main.db"));
  SQL_OK(db, "BEGIN; UPDATE t SET b = randomblob(9000); DELETE FROM t WHERE a > 250");
  CHECK_INT(1, fake_stages());
  CHECK_STR("250", sql_get(db, "SELECT count(*) FROM t"));
  CHECK_INT(2, fake_head("main.db"));
  SQL_OK(db, commit ? "COMMIT" : "ROLLBACK");
  CHECK_STR(commit ? "250" : "300", sql_get(db, "SELECT count(*) FROM t"));
  CHECK_STR(commit ? "9000" : "5000", sql_get(db, "SELECT max(length(b)) FROM t"));
  CHECK_STR("ok", sql_get(db, "PRAGMA integrity_check"));
  CHECK_INT(commit ? 3 : 2, fake_head("main.db"));
  CHECK_INT(0, fake_stages());
  sqlite3_close(db);
  db = sql_open("main.db");
  CHECK_STR(commit ? "250" : "300", sql_get(db, "SELECT count(*) FROM t"));
  CHECK_STR("ok", sql_get(db, "PRAGMA integrity_check"));
  sqlite3_close(db);
}

/* A table of some 3000 pages is updated in place with room for few of them anywhere. `every`: only
** each so many-th row, so that the pages are no runs. */
static void large_updates_compare_little(const char *lock, int every) {
  char sql[200];
  fprintf(stderr, "- a large update, locking_mode=%s, each %d. row\n", lock, every);
  fake_reset();
  sqlite3 *db = sql_open("file:main.db?buffer_mb=1&cache_mb=0");
  snprintf(sql, sizeof sql,
           "PRAGMA page_size=1024; PRAGMA cache_size=10; PRAGMA locking_mode=%s; "
           "CREATE TABLE t(a INTEGER PRIMARY KEY, b)",
           lock);
  SQL_OK(db, sql);
  SQL_OK(db, "WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i+1 FROM n LIMIT 3000) "
             "INSERT INTO t SELECT i, 'old' || hex(zeroblob(400)) FROM n");
  snprintf(sql, sizeof sql,
           "BEGIN; UPDATE t SET b = 'new' || substr(b, 4) WHERE a %% %d = 0", every);
  for (int commit = 0; commit < 2; commit++) {
    const uint64_t head = fake_head("main.db");
    SQL_OK(db, sql);
    CHECK_INT(1, fake_stages());
    fake_reset_counts();
    SQL_OK(db, commit ? "COMMIT" : "ROLLBACK");
    CHECK_INT(head + (uint64_t)commit, fake_head("main.db"));
    /* Rolled back, all is compared, 256 pages at a time; committed, the first page tells. */
    const int most = commit ? 2 : 2 * (3000 / every / 256 + 5);
    if (!CHECK(fake_calls(FAKE_READ_PAGES) <= most)) {
      fprintf(stderr, "  %s: %d ReadPages\n", commit ? "COMMIT" : "ROLLBACK",
              fake_calls(FAKE_READ_PAGES));
    }
    if (!commit) CHECK(fake_calls(FAKE_READ_PAGES) > most / 3);
    snprintf(sql + 160, 40, "%d", commit ? 3000 / every : 0);
    CHECK_STR(sql + 160, sql_get(db, "SELECT count(*) FROM t WHERE b LIKE 'new%'"));
    CHECK_STR("ok", sql_get(db, "PRAGMA integrity_check"));
  }
  sqlite3_close(db);
}

static void wal_is_declined_with_the_mode_as_it_is(void) {
  CASE("journal_mode=wal is declined with the mode as it is");
  for (size_t lock = 0; lock < COUNT(locking); lock++) {
    char sql[100];
    fake_reset();
    sqlite3 *db = sql_open("main.db");
    snprintf(sql, sizeof sql, "PRAGMA locking_mode=%s; CREATE TABLE t(a)", locking[lock]);
    SQL_OK(db, sql);
    CHECK_STR("delete", sql_get(db, "PRAGMA journal_mode=wal"));
    CHECK_STR("delete", sql_get(db, "PRAGMA main.journal_mode=WAL"));
    CHECK_STR("delete", sql_get(db, "PRAGMA journal_mode='Wal'"));
    CHECK_STR("persist", sql_get(db, "PRAGMA journal_mode=persist"));
    CHECK_STR("persist", sql_get(db, "PRAGMA journal_mode=wal"));
    CHECK_STR("persist", sql_get(db, "PRAGMA journal_mode=wa"));
    CHECK_STR("persist", sql_get(db, "PRAGMA journal_mode"));
    SQL_OK(db, "INSERT INTO t VALUES (1)");
    CHECK_STR("1", sql_get(db, "SELECT count(*) FROM t"));
    sqlite3_close(db);
  }
}

static void a_database_in_wal_mode_opens(void) {
  CASE("a database whose header says WAL opens in rollback mode");
  fake_reset();
  sqlite3 *db = sql_open("main.db");
  SQL_OK(db, "CREATE TABLE t(a); INSERT INTO t VALUES (1)");
  sqlite3_close(db);
  fake_poke("main.db", 1, 18, 2);
  fake_poke("main.db", 1, 19, 2);
  db = sql_open("main.db");
  CHECK_STR("1", sql_get(db, "SELECT a FROM t"));
  CHECK_STR("delete", sql_get(db, "PRAGMA journal_mode"));
  SQL_OK(db, "BEGIN; INSERT INTO t VALUES (2); ROLLBACK");
  CHECK_INT(2, fake_head("main.db"));
  SQL_OK(db, "INSERT INTO t VALUES (2)");
  CHECK_STR("1|2", sql_get(db, "SELECT a FROM t"));
  sqlite3_close(db);
}

static void page_sizes_change(void) {
  CASE("VACUUM changes the page size");
  static const int sizes[] = {512, 65536, 1024, 4096, 8192};
  fake_reset();
  fake_set_max_message_bytes(256 << 10);
  sqlite3 *db = sql_open("main.db");
  SQL_OK(db, "CREATE TABLE t(a INTEGER PRIMARY KEY, b); CREATE TABLE others(c); " FILL
             "INSERT INTO t SELECT i, randomblob(700) FROM n");
  char *sum = strdup(sql_get(db, "SELECT group_concat(hex(substr(b, 1, 1)), '') FROM t"));
  for (size_t i = 0; i < COUNT(sizes); i++) {
    char sql[100];
    snprintf(sql, sizeof sql, "PRAGMA page_size=%d; VACUUM", sizes[i]);
    SQL_OK(db, sql);
    snprintf(sql, sizeof sql, "%d", sizes[i]);
    CHECK_STR(sql, sql_get(db, "PRAGMA page_size"));
    CHECK_STR("ok", sql_get(db, "PRAGMA integrity_check"));
    CHECK_STR(sum, sql_get(db, "SELECT group_concat(hex(substr(b, 1, 1)), '') FROM t"));
    sqlite3 *other = sql_open("main.db");
    CHECK_STR(sum, sql_get(other, "SELECT group_concat(hex(substr(b, 1, 1)), '') FROM t"));
    CHECK_STR("ok", sql_get(other, "PRAGMA integrity_check"));
    sqlite3_close(other);
    SQL_OK(db,
           "INSERT INTO others VALUES (zeroblob(9000)); DELETE FROM others WHERE rowid % 2");
  }
  free(sum);
  sqlite3_close(db);
}

static void pages_nobody_wrote_are_committed(const char *auto_vacuum) {
  fprintf(stderr, "- growing and shrinking with auto_vacuum=%s\n", auto_vacuum);
  fake_reset();
  char sql[200];
  sqlite3 *db = sql_open("main.db");
  snprintf(sql, sizeof sql, "PRAGMA page_size=512; PRAGMA auto_vacuum=%s; CREATE TABLE t(a, b)",
           auto_vacuum);
  SQL_OK(db, sql);
  for (int round = 0; round < 5; round++) {
    SQL_OK(db, "BEGIN; " FILL
               "INSERT INTO t SELECT i, randomblob(2000) FROM n; "
               "DELETE FROM t WHERE a % 7 <> 0; COMMIT");
    CHECK_STR("ok", sql_get(db, "PRAGMA integrity_check"));
    SQL_OK(db, "PRAGMA incremental_vacuum(50); DELETE FROM t");
    sqlite3 *other = sql_open("main.db");
    CHECK_STR("ok", sql_get(other, "PRAGMA integrity_check"));
    sqlite3_close(other);
  }
  sqlite3_close(db);
}

static void backup_and_vacuum_into(void) {
  CASE("backup and VACUUM INTO, both ways");
  fake_reset();
  sqlite3 *local = NULL;
  sqlite3_open_v2(":memory:", &local, SQLITE_OPEN_READWRITE | SQLITE_OPEN_URI, NULL);
  SQL_OK(local, "PRAGMA page_size=1024; CREATE TABLE t(a, b); " FILL
                "INSERT INTO t SELECT i, randomblob(700) FROM n");
  SQL_OK(local, "VACUUM INTO 'file:into.db?vfs=grpsqlite'");
  CHECK_INT(1, fake_head("into.db"));
  for (int used = 0; used < 2; used++) {
    sqlite3 *db = sql_open(used ? "used.db" : "fresh.db");
    if (used)
      SQL_OK(db, "PRAGMA page_size=4096; CREATE TABLE old(a); INSERT INTO old VALUES (1)");
    sqlite3_backup *backup = sqlite3_backup_init(db, "main", local, "main");
    CHECK(backup != NULL);
    int rc;
    while ((rc = sqlite3_backup_step(backup, 100)) == SQLITE_OK) {
    }
    CHECK_INT(SQLITE_DONE, rc);
    CHECK_INT(SQLITE_OK, sqlite3_backup_finish(backup));
    CHECK_STR("300", sql_get(db, "SELECT count(*) FROM t"));
    CHECK_STR("ok", sql_get(db, "PRAGMA integrity_check"));
    sqlite3_close(db);
  }
  sqlite3 *db = sql_open("into.db");
  CHECK_STR("300", sql_get(db, "SELECT count(*) FROM t"));
  CHECK_STR("ok", sql_get(db, "PRAGMA integrity_check"));
  sqlite3_close(db);
  sqlite3_close(local);
}

int main(void) {
  CHECK_INT(SQLITE_OK, grpsqlite_register());
  CASE("each combination of modes");
  size_t number = 0;
  for (size_t j = 0; j < COUNT(journal_modes); j++) {
    for (size_t s = 0; s < COUNT(synchronous); s++) {
      for (size_t l = 0; l < COUNT(locking); l++) {
        for (size_t c = 0; c < COUNT(caches); c++) {
          if (number++ % (size_t)test_every() == 0)
            one_combination(journal_modes[j], synchronous[s], locking[l], caches[c]);
        }
      }
    }
  }
  for (size_t j = 0; j < COUNT(journal_modes); j++) {
    for (size_t l = 0; l < COUNT(locking); l++) {
      with_staging(journal_modes[j], locking[l], 1);
      with_staging(journal_modes[j], locking[l], 0);
    }
  }
  for (size_t l = 0; l < COUNT(locking); l++) {
    large_updates_compare_little(locking[l], 1);
    large_updates_compare_little(locking[l], 3);
  }
  wal_is_declined_with_the_mode_as_it_is();
  a_database_in_wal_mode_opens();
  page_sizes_change();
  pages_nobody_wrote_are_committed("none");
  pages_nobody_wrote_are_committed("full");
  pages_nobody_wrote_are_committed("incremental");
  backup_and_vacuum_into();
  return check_done();
}
