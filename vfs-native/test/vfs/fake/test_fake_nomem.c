/*
** A connection's whole life, each time with another allocation failing, once or from then on:
** what fails says that memory ran out, a COMMIT that failed left nothing, one that did not left all,
** and nothing leaks (the address build looks). SQLite's own allocations are not touched.
*/
#include "alloc_fault.h"
#include "vfs/fake/fake_server.h"
#include "vfs/fake/sql.h"

#define MAX_ALLOCATIONS 20000
#define ROWS "160"
#define FILL "WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i+1 FROM n LIMIT " ROWS ") "

static int is_of_memory(int rc) {
  return rc == SQLITE_NOMEM || rc == SQLITE_IOERR_NOMEM;
}

/* Runs a statement. Returns 1 if it succeeded, 0 if memory ran out. */
static int run(sqlite3 *db, int n, const char *sql) {
  int rc = sql_run(db, sql);
  if (rc == SQLITE_OK) return 1;
  CHECK(alloc_fault_hits() > 0);
  if (!CHECK(is_of_memory(rc))) {
    fprintf(stderr, "  n = %d: %s: %d, %s\n", n, sql, rc, sqlite3_errmsg(db));
  }
  return 0;
}

/* The life. Sets what the table must sum up to afterwards, and how many versions there may be.
 */
static void live(const char *uri, const char *pragmas, int n, int *want_sum, uint64_t *head) {
  int rc;
  *want_sum = 0;
  *head = 1;
  sqlite3 *db = sql_try_open(uri, &rc);
  if (!db) {
    CHECK(alloc_fault_hits() > 0);
    if (!CHECK(is_of_memory(rc))) fprintf(stderr, "  n = %d: open: %d\n", n, rc);
    return;
  }
  run(db, n, pragmas);
  run(db, n, "SELECT count(*) FROM t");
  /* Small; large enough to be staged; and rolled back. After a failure the connection goes on.
   */
  if (run(db, n, "UPDATE t SET a = 1 WHERE rowid = 1")) {
    *want_sum += 1;
    ++*head;
  }
  if (run(db, n, "BEGIN")) {
    int done = run(db, n, "UPDATE t SET b = randomblob(8000)");
    done = done && run(db, n, "ROLLBACK");
    if (!done && !sqlite3_get_autocommit(db)) run(db, n, "ROLLBACK");
    if (!sqlite3_get_autocommit(db)) sql_run(db, "ROLLBACK");
  }
  if (run(db, n, "BEGIN")) {
    int done = run(db, n, "UPDATE t SET b = randomblob(8000), a = a + 2");
    done = done && run(db, n, "COMMIT");
    if (done) {
      *want_sum += 2 * atoi(ROWS);
      ++*head;
    } else if (!sqlite3_get_autocommit(db)) {
      run(db, n, "ROLLBACK");
      if (!sqlite3_get_autocommit(db)) sql_run(db, "ROLLBACK");
    }
  }
  run(db, n, "SELECT sum(length(b)) FROM t");
  CHECK_INT(SQLITE_OK, sqlite3_close(db));
}

static void sweep(const char *pragmas, int forever) {
  char uri[100], text[200];
  int failed_ever = 0, n = 1, hits;
  fprintf(stderr, "- allocations fail %s; %s\n", forever ? "from then on" : "once", pragmas);
  snprintf(uri, sizeof uri, "file:main.db?buffer_mb=1&cache_mb=1&timeout_ms=2000");
  do {
    fake_reset();
    fake_set_max_message_bytes(128 << 10);
    sqlite3 *db = sql_open(uri);
    SQL_OK(db, "CREATE TABLE t(a, b); ");
    SQL_OK(db, FILL "INSERT INTO t SELECT 0, zeroblob(5000) FROM n");
    const uint64_t before = fake_head("main.db");
    sqlite3_close(db);

    int want_sum;
    uint64_t head;
    fake_reset_counts();
    alloc_fault_at(n, forever);
    live(uri, pragmas, n, &want_sum, &head);
    hits = alloc_fault_hits();
    alloc_fault_at(0, 0);
    failed_ever += hits > 0;
    if (hits == 0) CHECK(fake_calls(FAKE_STAGE_PAGES) > 4 && fake_calls(FAKE_READ_PAGES) > 50);

    CHECK_INT(before + head - 1, fake_head("main.db"));
    CHECK_INT(0, fake_sessions());
    CHECK_INT(0, fake_stages());
    db = sql_open(uri);
    snprintf(text, sizeof text, "%d", want_sum);
    if (!CHECK_STR(text, sql_get(db, "SELECT sum(a) FROM t"))) fprintf(stderr, "  n = %d\n", n);
    CHECK_STR("ok", sql_get(db, "PRAGMA integrity_check"));
    sqlite3_close(db);
    n += (n < 120 ? 1 : 1 + n / 8) * test_every();
  } while (hits > 0 && n < MAX_ALLOCATIONS);
  fprintf(stderr, "  %d times, up to allocation %d\n", failed_ever, n);
  CHECK(n < MAX_ALLOCATIONS);
  CHECK(failed_ever > 60 / test_every());
}

/* The same with transactions over two databases: both or none, each time. */
static void sweep_attached(const char *pragmas, int forever) {
  static const char *const uris[] = {"file:one.db?timeout_ms=2000", "two.db"};
  int failed_ever = 0, n = 1, hits;
  fprintf(stderr, "- two databases, allocations fail %s; %s\n",
          forever ? "from then on" : "once", pragmas);
  do {
    fake_reset();
    fake_set_max_message_bytes(128 << 10);
    for (int i = 0; i < 2; i++) {
      sqlite3 *db = sql_open(uris[i]);
      SQL_OK(db, "CREATE TABLE t(a, b); INSERT INTO t VALUES (0, zeroblob(30000))");
      sqlite3_close(db);
    }
    int rc, done = 0;
    alloc_fault_at(n, forever);
    sqlite3 *db = sql_try_open(uris[0], &rc);
    if (db && run(db, n, "ATTACH 'two.db' AS two") && run(db, n, pragmas)) {
      for (int i = 0; i < 3; i++) {
        if (!run(db, n, "BEGIN")) continue;
        int all = run(db, n, "UPDATE main.t SET a = a + 1, b = randomblob(50000)");
        all = all && run(db, n, "UPDATE two.t SET a = a + 1, b = randomblob(50000)");
        if (all && run(db, n, "COMMIT")) {
          done++;
        } else if (!sqlite3_get_autocommit(db)) {
          sql_run(db, "ROLLBACK");
        }
      }
    }
    CHECK_INT(SQLITE_OK, sqlite3_close(db));
    hits = alloc_fault_hits();
    alloc_fault_at(0, 0);
    failed_ever += hits > 0;
    if (hits == 0) CHECK_INT(3, done);
    CHECK_INT(0, fake_stages());
    for (int i = 0; i < 2; i++) {
      char want[20];
      snprintf(want, sizeof want, "%d", done);
      db = sql_open(uris[i]);
      if (!CHECK_STR(want, sql_get(db, "SELECT a FROM t"))) fprintf(stderr, "  n = %d\n", n);
      CHECK_INT((uint64_t)done + 2, fake_head(i ? "two.db" : "one.db"));
      CHECK_STR("ok", sql_get(db, "PRAGMA integrity_check"));
      sqlite3_close(db);
    }
    n += test_every();
  } while (hits > 0 && n < MAX_ALLOCATIONS);
  fprintf(stderr, "  %d times, up to allocation %d\n", failed_ever, n);
  CHECK(failed_ever > 60 / test_every());
}

/* An error, unless the condition holds. */
#define MUST(condition) "SELECT iif(" condition ", 1, abs(-9223372036854775807 - 1)) "

/* Opening and reading at a fixed version, listing, restoring. */
static void travel(int n, int *restored) {
  int rc;
  *restored = 0;
  sqlite3 *db = sql_try_open("file:main.db?version=2&timeout_ms=2000", &rc);
  if (db) {
    run(db, n, MUST("sum(a) = 0") "FROM t");
    run(db, n, MUST("count(*) = 4") "FROM grpsqlite_history");
    CHECK_INT(SQLITE_OK, sqlite3_close(db));
  } else if (!CHECK(is_of_memory(rc))) {
    fprintf(stderr, "  n = %d: open: %d\n", n, rc);
  }
  db = sql_try_open("file:main.db?timeout_ms=2000", &rc);
  if (!db) return;
  *restored = run(db, n, "PRAGMA grpsqlite_restore=2");
  CHECK_INT(SQLITE_OK, sqlite3_close(db));
}

static void sweep_travel(int forever) {
  fprintf(stderr, "- time travel: allocations fail %s\n", forever ? "from then on" : "once");
  int hits, n = 1, restored;
  do {
    fake_reset();
    sqlite3 *db = sql_open("main.db");
    SQL_OK(db, "CREATE TABLE t(a); INSERT INTO t VALUES (0); INSERT INTO t VALUES (1)");
    sqlite3_close(db);
    alloc_fault_at(n, forever);
    travel(n, &restored);
    hits = alloc_fault_hits();
    alloc_fault_at(0, 0);
    CHECK_INT(0, fake_sessions());
    db = sql_open("main.db");
    const char *sum = sql_get(db, "SELECT sum(a) FROM t");
    if (restored) CHECK_STR("0", sum);
    if (fake_head("main.db") == 3) CHECK_STR("1", sum);
    sqlite3_close(db);
    n++;
  } while (hits > 0 && n < MAX_ALLOCATIONS);
  fprintf(stderr, "  up to allocation %d\n", n);
  CHECK(n > 25 && n < MAX_ALLOCATIONS);
}

int main(void) {
  CHECK_INT(SQLITE_OK, grpsqlite_register());
  fake_set_around(alloc_fault_pause);
  sweep("PRAGMA cache_size=5", 0);
  sweep("PRAGMA cache_size=5", 1);
  sweep("PRAGMA cache_size=5; PRAGMA journal_mode=off", 0);
  sweep("PRAGMA cache_size=5; PRAGMA locking_mode=exclusive", 0);
  sweep_attached("PRAGMA locking_mode=normal", 0);
  sweep_attached("PRAGMA locking_mode=normal", 1);
  sweep_attached("PRAGMA locking_mode=exclusive", 0);
  sweep_travel(0);
  sweep_travel(1);
  return check_done();
}
