/* SQLite on a server that has only the file service, both kinds of it: what is kept, what it costs,
** what is left after a crash at any moment, whose turn it is. */
#include <pthread.h>
#include <unistd.h>

#include "base/error.h"
#include "vfs/fake/fake_files.h"
#include "vfs/fake/sql.h"
#include "vfs/super_journals.h"

#define URI "file:tenant/main.db?service=file"
#define MAIN "tenant/main.db"
#define JOURNAL "tenant/main.db-journal"
#define WAL "tenant/main.db-wal"

static const char fill[] =
    "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n+1 FROM c WHERE n<300) "
    "INSERT INTO t SELECT n, hex(randomblob(100)) FROM c";

static void what_was_written_is_there_after_reopening(int atomic) {
  CASE("what was written is there after reopening");
  fake_files_reset(atomic, 0);
  sqlite3 *db = sql_open(URI);
  SQL_OK(db, "CREATE TABLE t(a INTEGER PRIMARY KEY, b)");
  SQL_OK(db, fill);
  SQL_OK(db, "BEGIN; DELETE FROM t WHERE a>10; INSERT INTO t VALUES(1000, 'x'); ROLLBACK");
  CHECK_STR("300", sql_get(db, "SELECT count(*) FROM t"));
  CHECK_STR("main.db: 7", sql_get(db, "PRAGMA fake_echo=7"));
  CHECK_STR("http://127.0.0.1:50051", sql_get(db, "PRAGMA grpsqlite_server"));
  CHECK_INT(SQLITE_OK, sqlite3_close(db));
  db = sql_open(URI);
  CHECK_STR("300", sql_get(db, "SELECT count(*) FROM t"));
  CHECK_STR("ok", sql_get(db, "PRAGMA integrity_check"));
  sqlite3_close(db);
  CHECK_INT(0, fake_files_size(JOURNAL));
  CHECK_INT(atomic, fake_files_calls(FILE_BATCH) > 0);
  CHECK_INT(atomic, fake_files_calls(FILE_WRITE) == 0);
}

static void every_mode_keeps_commits_and_forgets_rollbacks(int atomic) {
  CASE("every mode keeps commits and forgets rollbacks");
  static const char *const journals[] = {"delete", "truncate", "persist",
                                         "memory", "off",      "wal"};
  static const char *const lockings[] = {"normal", "exclusive"};
  static const char *const syncs[] = {"off", "normal", "full", "extra"};
  static const char *const caches[] = {"-2000", "5"};
  for (int j = 0; j < 6; j++) {
    for (int v = 0; v < 16; v++) {
      char sql[300], expected[20];
      fake_files_reset(atomic, 0);
      sqlite3 *db = sql_open(URI);
      snprintf(sql, sizeof sql,
               "PRAGMA locking_mode=%s; PRAGMA synchronous=%s; PRAGMA cache_size=%s",
               lockings[v & 1], syncs[v >> 1 & 3], caches[v >> 3]);
      SQL_OK(db, sql);
      snprintf(sql, sizeof sql, "PRAGMA journal_mode=%s", journals[j]);
      int wal = j == 5 && (v & 1) && !atomic;
      CHECK_STR(j == 5 && !wal ? "delete" : journals[j], sql_get(db, sql));
      SQL_OK(db, "CREATE TABLE t(a INTEGER PRIMARY KEY, b); CREATE INDEX i ON t(b)");
      for (int k = 0; k < 3; k++)
        SQL_OK(db,
               "INSERT INTO t(b) SELECT hex(randomblob(50)) FROM"
               " (VALUES(1),(2),(3),(4),(5)), (VALUES(1),(2),(3),"
               "(4),(5)), (VALUES(1),(2),(3),(4))");
      if (j != 4) { /* journal_mode=off cannot roll back */
        SQL_OK(db, "BEGIN; UPDATE t SET b=a; DELETE FROM t WHERE a%3=0");
        SQL_OK(db, "ROLLBACK");
      }
      SQL_OK(db, "UPDATE t SET b='changed' WHERE a=150");
      CHECK_STR("300", sql_get(db, "SELECT count(*) FROM t"));
      CHECK_INT(SQLITE_OK, sqlite3_close(db));
      db = sql_open(URI);
      if (wal) SQL_OK(db, "PRAGMA locking_mode=exclusive");
      snprintf(expected, sizeof expected, "300|changed|ok");
      CHECK_STR(expected, sql_get(db,
                                  "SELECT count(*) FROM t UNION ALL SELECT b FROM t WHERE"
                                  " a=150 UNION ALL SELECT integrity_check FROM"
                                  " pragma_integrity_check"));
      sqlite3_close(db);
      if (atomic_load(&check_failures)) {
        fprintf(stderr, "  in %s, %d, atomic %d\n", journals[j], v, atomic);
        return;
      }
    }
  }
}

static void page_sizes_vacuum_and_shrinking(int atomic) {
  CASE("page sizes, vacuum and shrinking");
  static const int sizes[] = {512, 1024, 4096, 65536};
  for (int i = 0; i < 4; i++) {
    char sql[200];
    fake_files_reset(atomic, 0);
    sqlite3 *db = sql_open(URI);
    snprintf(sql, sizeof sql, "PRAGMA page_size=%d; PRAGMA auto_vacuum=full", sizes[i]);
    SQL_OK(db, sql);
    SQL_OK(db, "CREATE TABLE t(a INTEGER PRIMARY KEY, b)");
    SQL_OK(db, fill);
    SQL_OK(db, "DELETE FROM t WHERE a>20");
    CHECK_STR("ok", sql_get(db, "PRAGMA integrity_check"));
    snprintf(sql, sizeof sql, "PRAGMA page_size=%d; VACUUM", sizes[(i + 1) % 4]);
    SQL_OK(db, sql);
    CHECK_STR("20", sql_get(db, "SELECT count(*) FROM t"));
    SQL_OK(db, "INSERT INTO t(b) SELECT hex(zeroblob(100)) FROM t, t AS u");
    SQL_OK(db, "ATTACH 'file:copy.db?service=file' AS c; DETACH c");
    SQL_OK(db, "VACUUM INTO 'file:copy.db?service=file'");
    CHECK_STR("ok", sql_get(db, "PRAGMA integrity_check"));
    long long bytes = atoll(sql_get(db, "PRAGMA page_count")) * sizes[(i + 1) % 4];
    sqlite3_close(db);
    CHECK_INT(bytes, fake_files_size(MAIN));
    db = sql_open("file:copy.db?service=file");
    CHECK_STR("420|ok", sql_get(db,
                                "SELECT count(*) FROM t UNION ALL SELECT integrity_check"
                                " FROM pragma_integrity_check"));
    sqlite3_close(db);
  }
}

static void a_commit_is_one_call_and_a_warm_read_none(void) {
  CASE("a commit is one call and a warm read none");
  fake_files_reset(1, 0);
  sqlite3 *db = sql_open(URI);
  SQL_OK(db, "CREATE TABLE t(a INTEGER PRIMARY KEY, b)");
  SQL_OK(db, fill);
  fake_files_reset_calls();
  SQL_OK(db, "INSERT INTO t VALUES(500, 'x')");
  CHECK_INT(1, fake_files_calls(FILE_BATCH));
  CHECK_INT(1, fake_files_calls(FILE_ANY));
  fake_files_reset_calls();
  CHECK_STR("301", sql_get(db, "SELECT count(*) FROM t"));
  sqlite3 *other = sql_open(URI);
  CHECK_STR("301", sql_get(other, "SELECT count(*) FROM t"));
  SQL_OK(db, "BEGIN IMMEDIATE; ROLLBACK; BEGIN; UPDATE t SET b=b; ROLLBACK");
  CHECK_INT(0, fake_files_calls(FILE_ANY));
  sqlite3_close(db);
  CHECK_INT(0, fake_files_calls(FILE_ANY)); /* the other one keeps the lease */
  sqlite3_close(other);
  CHECK_INT(1, fake_files_calls(FILE_CLOSE));
}

static long long cache_bytes(sqlite3 *db) {
  const char *line = strstr(sql_get(db, "PRAGMA grpsqlite_stats"), "cache_bytes ");
  return line ? atoll(line + strlen("cache_bytes ")) : -1;
}

static void a_writer_does_not_fill_the_cache(int atomic) {
  CASE("a page that each commit changes takes no more room in the cache each time");
  fake_files_reset(atomic, 0);
  sqlite3 *db = sql_open(URI);
  SQL_OK(db, "CREATE TABLE t(a); INSERT INTO t VALUES (0)");
  SQL_OK(db, "UPDATE t SET a = a + 1");
  const long long bytes = cache_bytes(db);
  CHECK(bytes > 0);
  for (int i = 0; i < 20; i++) SQL_OK(db, "UPDATE t SET a = a + 1");
  CHECK_INT(bytes, cache_bytes(db));
  CHECK_STR("21", sql_get(db, "SELECT a FROM t"));
  sqlite3_close(db);
}

/* Transactions up to some moment at which the server vanishes, and the client with it; another
** client must find all of them up to the last acknowledged, or the one more that was under way. */
static void a_crash_at_any_moment_leaves_before_or_after(int atomic, const char *journal_mode,
                                                         const char *parameters, int rows) {
  fprintf(stderr, "- a crash at any moment leaves before or after (%d, %s)\n", atomic,
          journal_mode);
  int vanished = 1, n = 0, wal = !strcmp(journal_mode, "wal");
  for (; vanished && n < 4000; n += (rows > 100 ? 7 : 1) * test_every()) {
    char sql[400], uri[100];
    int acknowledged = 0;
    fake_files_reset(atomic, 0);
    snprintf(uri, sizeof uri, "%s%s", URI, parameters);
    sqlite3 *db = sql_open(uri);
    SQL_OK(db, "CREATE TABLE t(round, b); CREATE TABLE u(round)");
    SQL_OK(db, "INSERT INTO u VALUES(0)");
    snprintf(sql, sizeof sql,
             "PRAGMA locking_mode=%s; PRAGMA cache_size=5; PRAGMA synchronous=%s;"
             " PRAGMA journal_mode=%s",
             wal ? "exclusive" : "normal", n % 2 ? "off" : "full", journal_mode);
    SQL_OK(db, sql);
    fake_files_vanish_after(n);
    for (int round = 1; round <= 3; round++) {
      snprintf(
          sql, sizeof sql,
          "BEGIN; UPDATE u SET round=%d; UPDATE t SET round=%d; WITH RECURSIVE c(n) AS (SELECT"
          " 1 UNION ALL SELECT n+1 FROM c WHERE n<%d) INSERT INTO t SELECT %d,"
          " hex(randomblob(400)) FROM c; COMMIT",
          round, round, rows, round);
      if (sql_run(db, sql) != SQLITE_OK) break;
      acknowledged = round;
    }
    sqlite3_close(db);
    vanished = fake_files_come_back();
    CHECK(vanished || acknowledged == 3);
    db = sql_open(uri);
    if (wal) SQL_OK(db, "PRAGMA locking_mode=exclusive");
    CHECK_STR("ok", sql_get(db, "PRAGMA integrity_check"));
    int round = atoi(sql_get(db, "SELECT round FROM u"));
    CHECK(round == acknowledged || round == acknowledged + 1);
    snprintf(sql, sizeof sql,
             "SELECT count(*)=%d AND (count(*)=0 OR (min(round)=%d AND"
             " max(round)=%d)) FROM t",
             rows * round, round, round);
    CHECK_STR("1", sql_get(db, sql));
    SQL_OK(db, "INSERT INTO t VALUES(9, 'goes on')");
    sqlite3_close(db);
    if (atomic_load(&check_failures)) {
      fprintf(stderr, "  after %d calls; acknowledged %d, found %d\n", n, acknowledged, round);
      return;
    }
  }
  CHECK(!vanished && n > 3);
}

static void what_is_too_large_for_a_message_goes_through_its_journal(void) {
  CASE("what is too large for a message goes through its journal");
  fake_files_reset(1, 0);
  sqlite3 *db = sql_open(URI "&max_batch_mb=1");
  SQL_OK(db, "CREATE TABLE t(a INTEGER PRIMARY KEY, b)");
  SQL_OK(db,
         "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n+1 FROM c WHERE n<3000) INSERT"
         " INTO t SELECT n, hex(randomblob(300)) FROM c");
  CHECK(fake_files_calls(FILE_WRITE) > 0);
  CHECK_INT(0, fake_files_size(JOURNAL));
  fake_files_reset_calls();
  SQL_OK(db, "INSERT INTO t VALUES(5000, 'small')"); /* a batch again */
  CHECK_INT(1, fake_files_calls(FILE_ANY));
  CHECK_INT(1, fake_files_calls(FILE_BATCH));
  SQL_OK(db, "BEGIN; UPDATE t SET b=b||'x'; ROLLBACK");
  CHECK_STR("600", sql_get(db, "SELECT max(length(b)) FROM t"));
  CHECK_STR("ok", sql_get(db, "PRAGMA integrity_check"));

  SQL_OK(db, "PRAGMA journal_mode=memory");
  CHECK_INT(SQLITE_FULL, sql_run(db, "UPDATE t SET b=b||'x'"));
  CHECK_HAS("max_batch_mb", sql_get(db, "PRAGMA grpsqlite_last_error"));
  CHECK_STR("600", sql_get(db, "SELECT max(length(b)) FROM t"));
  SQL_OK(db, "INSERT INTO t VALUES(5001, 'small')");
  CHECK_STR("ok", sql_get(db, "PRAGMA integrity_check"));
  sqlite3_close(db);
}

static void a_journal_that_another_client_left_is_rolled_back(void) {
  CASE("a journal that another client left is rolled back");
  /* Made by a client that writes through, which dies in the middle of a transaction. */
  fake_files_reset(0, 0);
  sqlite3 *db = sql_open(URI);
  SQL_OK(db, "CREATE TABLE t(a INTEGER PRIMARY KEY, b); PRAGMA cache_size=5");
  SQL_OK(db, fill);
  SQL_OK(db, "BEGIN; UPDATE t SET b='half'");
  int64_t sizes[2] = {fake_files_size(MAIN), fake_files_size(JOURNAL)};
  CHECK(sizes[1] > 0);
  void *copies[2] = {malloc((size_t)sizes[0]), malloc((size_t)sizes[1])};
  fake_files_get(MAIN, copies[0], sizes[0]);
  fake_files_get(JOURNAL, copies[1], sizes[1]);
  sqlite3_close(db);
  fake_files_reset(1, 0);
  fake_files_put(MAIN, copies[0], sizes[0]);
  fake_files_put(JOURNAL, copies[1], sizes[1]);
  free(copies[0]);
  free(copies[1]);
  db = sql_open(URI);
  CHECK_STR("0", sql_get(db, "SELECT count(*) FROM t WHERE b='half'"));
  CHECK_STR("300", sql_get(db, "SELECT count(*) FROM t"));
  CHECK_INT(0, fake_files_size(JOURNAL));
  fake_files_reset_calls();
  SQL_OK(db, "INSERT INTO t VALUES(500, 'x')");
  SQL_OK(db, "INSERT INTO t VALUES(501, 'x')");
  CHECK(fake_files_calls(FILE_BATCH) > 0); /* in batches from now on */
  CHECK_STR("ok", sql_get(db, "PRAGMA integrity_check"));
  sqlite3_close(db);
}

static void a_lease_of_another_client_is_busy_until_it_is_free(int atomic) {
  CASE("a lease of another client is busy until it is free");
  fake_files_reset(atomic, 0);
  sqlite3 *db = sql_open(URI);
  SQL_OK(db, "CREATE TABLE t(a)");
  sqlite3_close(db);
  fake_files_take_lease("main.db");
  db = sql_open(URI);
  CHECK_INT(SQLITE_BUSY, sql_run(db, "SELECT * FROM t"));
  CHECK_INT(SQLITE_BUSY, sql_run(db, "INSERT INTO t VALUES(1)"));
  CHECK_HAS("lease", sql_get(db, "PRAGMA grpsqlite_last_error"));
  sqlite3_busy_timeout(db, 100);
  int calls = fake_files_calls(FILE_ACQUIRE_LEASE);
  CHECK_INT(SQLITE_BUSY, sql_run(db, "SELECT * FROM t"));
  CHECK(fake_files_calls(FILE_ACQUIRE_LEASE) > calls + 2); /* it was asked again and again */
  fake_files_release_lease("main.db");
  SQL_OK(db, "INSERT INTO t VALUES(1)");
  CHECK_STR("1", sql_get(db, "SELECT a FROM t"));
  sqlite3_close(db);
}

static void a_lost_lease_fails_the_transaction_and_not_the_next(int atomic) {
  CASE("a lost lease fails the transaction and not the next");
  fake_files_reset(atomic, 0);
  sqlite3 *db = sql_open(URI);
  SQL_OK(db, "CREATE TABLE t(a); INSERT INTO t VALUES(1)");
  SQL_OK(db, "BEGIN; INSERT INTO t VALUES(2)");
  fake_files_take_lease("main.db");
  CHECK_INT(SQLITE_IOERR, sql_run(db, "COMMIT") & 0xff);
  sql_run(db, "ROLLBACK");
  CHECK_INT(SQLITE_BUSY, sql_run(db, "SELECT * FROM t"));
  fake_files_release_lease("main.db");
  CHECK_STR("1", sql_get(db, "SELECT a FROM t"));
  SQL_OK(db, "INSERT INTO t VALUES(3)");
  CHECK_STR("1|3", sql_get(db, "SELECT a FROM t"));
  sqlite3_close(db);
}

static void a_heartbeat_that_is_not_answered_loses_the_lease(void) {
  CASE("a heartbeat tells that the lease is lost");
  fake_files_reset(1, 0);
  fake_files_set_heartbeat_ms(100);
  sqlite3 *db = sql_open(URI);
  SQL_OK(db, "CREATE TABLE t(a); INSERT INTO t VALUES(1)");
  fake_files_take_lease("main.db");
  fake_files_reset_calls();
  for (int i = 0; i < 500 && fake_files_calls(FILE_HEARTBEAT) < 1; i++) usleep(10000);
  CHECK(fake_files_calls(FILE_HEARTBEAT) > 0);
  /* Without it this would be answered from the cache. */
  CHECK_INT(SQLITE_BUSY, sql_run(db, "SELECT * FROM t"));
  sqlite3_close(db);
}

static void an_unknown_outcome_is_an_error_and_then_the_truth(int done) {
  CASE("an unknown outcome is an error, and then the truth");
  fake_files_reset(1, 0);
  sqlite3 *db = sql_open(URI);
  SQL_OK(db, "CREATE TABLE t(a); INSERT INTO t VALUES(1)");
  fake_files_fault(FILE_BATCH, 1, GSQ_UNAVAILABLE, done);
  CHECK_INT(SQLITE_IOERR, sql_run(db, "INSERT INTO t VALUES(2)") & 0xff);
  CHECK_STR(done ? "1|2" : "1", sql_get(db, "SELECT a FROM t"));
  SQL_OK(db, "INSERT INTO t VALUES(3)");
  CHECK_STR(done ? "1|2|3" : "1|3", sql_get(db, "SELECT a FROM t"));
  CHECK_STR("ok", sql_get(db, "PRAGMA integrity_check"));
  CHECK(fake_files_calls(FILE_ACQUIRE_LEASE) == 2); /* so that the late one would be refused */
  sqlite3_close(db);
}

static void a_refused_commit_is_rolled_back(void) {
  CASE("a refused commit is rolled back");
  fake_files_reset(1, 0);
  sqlite3 *db = sql_open(URI);
  SQL_OK(db, "CREATE TABLE t(a); INSERT INTO t VALUES(1)");
  fake_files_reset_calls();
  fake_files_fault(FILE_BATCH, 1, GSQ_PERMISSION_DENIED, 0);
  CHECK_INT(SQLITE_READONLY, sql_run(db, "INSERT INTO t VALUES(2)"));
  CHECK_INT(1, fake_files_calls(FILE_ANY));
  CHECK_STR("1", sql_get(db, "SELECT a FROM t"));
  SQL_OK(db, "INSERT INTO t VALUES(3)");
  CHECK_STR("1|3", sql_get(db, "SELECT a FROM t"));
  CHECK_INT(0, fake_files_calls(FILE_ACQUIRE_LEASE));
  sqlite3_close(db);
}

static void what_is_rolled_back_is_not_sent(void) {
  CASE("what is rolled back is not sent");
  static const char *const journals[] = {"delete", "off"};
  for (int i = 0; i < 2; i++) {
    char sql[100];
    fake_files_reset(1, 0);
    sqlite3 *db = sql_open(URI);
    snprintf(sql, sizeof sql, "PRAGMA journal_mode=%s; PRAGMA locking_mode=exclusive",
             journals[i]);
    SQL_OK(db, "CREATE TABLE t(a INTEGER PRIMARY KEY, b)");
    SQL_OK(db, fill);
    SQL_OK(db, sql);
    SQL_OK(db, "PRAGMA cache_size=5; SELECT sum(length(b)) FROM t");
    fake_files_reset_calls();
    SQL_OK(db, "BEGIN; UPDATE t SET b='forgotten'; ROLLBACK");
    CHECK_STR("0", sql_get(db, "SELECT count(*) FROM t WHERE b='forgotten'"));
    CHECK_STR("ok", sql_get(db, "PRAGMA integrity_check"));
    CHECK_INT(0, fake_files_calls(FILE_BATCH));
    SQL_OK(db, "UPDATE t SET b='kept' WHERE a=1");
    CHECK_INT(1, fake_files_calls(FILE_BATCH));
    sqlite3_close(db);
  }
  /* Nor is what undoes a refused commit, whatever the cache knows. */
  fake_files_reset(1, 0);
  sqlite3 *db = sql_open(URI "&cache_mb=0");
  SQL_OK(db, "CREATE TABLE t(a); INSERT INTO t VALUES(1)");
  fake_files_reset_calls();
  fake_files_fault(FILE_BATCH, 1, GSQ_RESOURCE_EXHAUSTED, 0);
  CHECK(sql_run(db, "INSERT INTO t VALUES(2)") != SQLITE_OK);
  CHECK_INT(1, fake_files_calls(FILE_BATCH));
  CHECK_STR("1", sql_get(db, "SELECT a FROM t"));
  sqlite3_close(db);
}

static void that_a_file_cannot_shrink_does_not_fail_a_commit(void) {
  CASE("that a file cannot shrink does not fail a commit");
  fake_files_reset(1, 0);
  sqlite3 *db = sql_open(URI);
  SQL_OK(db, "PRAGMA auto_vacuum=full; CREATE TABLE t(a INTEGER PRIMARY KEY, b)");
  SQL_OK(db, fill);
  int64_t size = fake_files_size(MAIN);
  fake_files_fault(FILE_TRUNCATE, 1, GSQ_RESOURCE_EXHAUSTED, 0);
  SQL_OK(db, "DELETE FROM t WHERE a>20");
  CHECK_INT(size, fake_files_size(MAIN));
  CHECK_STR("20", sql_get(db, "SELECT count(*) FROM t"));
  CHECK_STR("ok", sql_get(db, "PRAGMA integrity_check"));
  SQL_OK(db, "DELETE FROM t WHERE a>10");
  CHECK(fake_files_size(MAIN) < size);
  sqlite3_close(db);
  db = sql_open(URI);
  CHECK_STR("10|ok", sql_get(db,
                             "SELECT count(*) FROM t UNION ALL SELECT integrity_check FROM"
                             " pragma_integrity_check"));
  sqlite3_close(db);
}

static void a_database_that_says_wal_opens_where_commits_are_batches(void) {
  CASE("a database that says WAL opens where commits are batches");
  unsigned char bytes[16384];
  fake_files_reset(1, 0);
  sqlite3 *db = sql_open(URI);
  SQL_OK(db, "CREATE TABLE t(a); INSERT INTO t VALUES(1)");
  sqlite3_close(db);
  int64_t size = fake_files_size(MAIN);
  CHECK(size <= (int64_t)sizeof bytes);
  fake_files_get(MAIN, bytes, size);
  bytes[18] = bytes[19] = 2;
  fake_files_put(MAIN, bytes, size);
  db = sql_open(URI);
  CHECK_STR("1", sql_get(db, "SELECT a FROM t"));
  SQL_OK(db, "INSERT INTO t VALUES(2)");
  CHECK_STR("delete", sql_get(db, "PRAGMA journal_mode"));
  sqlite3_close(db);
  CHECK_INT(0, fake_files_size(WAL));
}

static void a_crash_leaves_each_of_several_databases_whole(void) {
  CASE("a crash leaves each of several databases whole");
  int vanished = 1;
  for (int n = 0; vanished && n < 200; n += test_every()) {
    fake_files_reset(0, 0);
    sqlite3 *db = sql_open(URI);
    SQL_OK(
        db,
        "PRAGMA cache_size=5; ATTACH 'file:second.db?service=file' AS s;"
        "CREATE TABLE t(a INTEGER PRIMARY KEY, b); CREATE TABLE s.t(a INTEGER PRIMARY KEY, b)");
    SQL_OK(db, fill);
    SQL_OK(db, "INSERT INTO s.t SELECT * FROM main.t");
    fake_files_vanish_after(n);
    sql_run(db, "BEGIN; UPDATE main.t SET b='new'||b; UPDATE s.t SET b='new'||b; COMMIT");
    sqlite3_close(db);
    vanished = fake_files_come_back();
    /* Another process has never heard of the super-journal. */
    for (int k = 0; k < GSQ_MAX_SUPER_JOURNALS; k++) {
      char name[40];
      snprintf(name, sizeof name, "other %d.%d", n, k);
      gsq_super_journal_add(name, NULL);
    }
    for (int i = 0; i < 2; i++) {
      db = sql_open(i ? "file:second.db?service=file" : URI);
      CHECK_STR("ok", sql_get(db, "PRAGMA integrity_check"));
      CHECK_STR("1", sql_get(db, "SELECT count(*) IN (0, 300) FROM t WHERE b LIKE 'new%'"));
      sqlite3_close(db);
    }
    if (atomic_load(&check_failures)) {
      fprintf(stderr, "  after %d calls\n", n);
      return;
    }
  }
  CHECK(!vanished);
}

static void any_failing_call_leaves_before_or_after(int atomic, enum fake_file_method method,
                                                    int code, int done) {
  for (int n = 1; n < 200; n += test_every()) {
    fake_files_reset(atomic, 0);
    sqlite3 *db = sql_open(URI);
    SQL_OK(db, "CREATE TABLE t(a INTEGER PRIMARY KEY, b); PRAGMA cache_size=5");
    SQL_OK(db, fill);
    fake_files_reset_calls();
    fake_files_fault(method, n, code, done);
    int rc = sql_run(db, "UPDATE t SET b='new'||b");
    int calls = fake_files_calls(method);
    sql_run(db, "ROLLBACK");
    const char *changed = sql_get(db, "SELECT count(*) FROM t WHERE b LIKE 'new%'");
    if (!strncmp(changed, "error", 5)) { /* the fault struck while rolling back */
      sqlite3_close(db);
      db = sql_open(URI);
      changed = sql_get(db, "SELECT count(*) FROM t WHERE b LIKE 'new%'");
    }
    if (rc == SQLITE_OK)
      CHECK_STR("300", changed);
    else
      CHECK(!strcmp(changed, "300") || !strcmp(changed, "0"));
    CHECK_STR("ok", sql_get(db, "PRAGMA integrity_check"));
    sqlite3_close(db);
    if (atomic_load(&check_failures)) {
      fprintf(stderr, "  method %d, call %d, code %d, done %d, atomic %d\n", (int)method, n,
              code, done, atomic);
      return;
    }
    if (calls < n) break;
  }
}

static void readers_and_a_writer_of_one_process_share(int atomic) {
  CASE("readers and a writer of one process share");
  fake_files_reset(atomic, 0);
  sqlite3 *a = sql_open(URI), *b = sql_open(URI);
  SQL_OK(a, "CREATE TABLE t(a); INSERT INTO t VALUES(1)");
  CHECK_STR("1", sql_get(b, "SELECT a FROM t"));
  SQL_OK(a, "BEGIN IMMEDIATE; INSERT INTO t VALUES(2)");
  CHECK_STR("1", sql_get(b, "SELECT a FROM t"));
  CHECK_INT(SQLITE_BUSY, sql_run(b, "INSERT INTO t VALUES(3)"));
  SQL_OK(b, "BEGIN; SELECT * FROM t");
  CHECK_INT(SQLITE_BUSY, sql_run(a, "COMMIT")); /* b reads */
  SQL_OK(b, "COMMIT");
  SQL_OK(a, "COMMIT");
  CHECK_STR("1|2", sql_get(b, "SELECT a FROM t"));
  SQL_OK(b, "INSERT INTO t VALUES(3)");
  CHECK_STR("1|2|3", sql_get(a, "SELECT a FROM t"));
  sqlite3_close(a);
  SQL_OK(b, "INSERT INTO t VALUES(4)");
  sqlite3_close(b);
  CHECK_INT(1, fake_files_calls(FILE_ACQUIRE_LEASE));
}

static void *count_for_a_while(void *arg) {
  atomic_int *stop = arg;
  sqlite3 *db = sql_open(URI);
  sqlite3_busy_timeout(db, 20000);
  while (!atomic_load(stop)) CHECK_STR("0", sql_get(db, "SELECT sum(a) FROM t"));
  sqlite3_close(db);
  return NULL;
}

static void threads_see_whole_transactions(int atomic) {
  CASE("threads see whole transactions");
  fake_files_reset(atomic, 0);
  atomic_int stop = 0;
  pthread_t threads[3];
  sqlite3 *db = sql_open(URI);
  sqlite3_busy_timeout(db, 20000);
  SQL_OK(db, "CREATE TABLE t(a); INSERT INTO t VALUES(0)");
  for (int i = 0; i < 3; i++) pthread_create(&threads[i], NULL, count_for_a_while, &stop);
  for (int i = 0; i < 20; i++) SQL_OK(db, "INSERT INTO t VALUES(1), (-1)");
  atomic_store(&stop, 1);
  for (int i = 0; i < 3; i++) pthread_join(threads[i], NULL);
  sqlite3_close(db);
}

static void read_only_opens_need_point_in_time_reads(void) {
  CASE("read-only opens need point-in-time reads");
  int rc;
  fake_files_reset(1, 0);
  CHECK(!sql_try_open(URI "&mode=ro", &rc));
  CHECK_INT(SQLITE_CANTOPEN, rc);
  fake_files_reset(1, 1);
  CHECK(!sql_try_open(URI "&mode=ro", &rc)); /* nothing there */
  CHECK(!sql_try_open(URI "&mode=rw", &rc));
  sqlite3 *db = sql_open(URI);
  SQL_OK(db, "CREATE TABLE t(a); INSERT INTO t VALUES(1)");
  sqlite3 *reader = sql_open(URI "&mode=ro");
  SQL_OK(reader, "BEGIN");
  CHECK_STR("1", sql_get(reader, "SELECT a FROM t"));
  SQL_OK(db, "INSERT INTO t VALUES(2)");
  SQL_OK(db, "CREATE TABLE u(a)");
  CHECK_STR("1", sql_get(reader, "SELECT a FROM t"));
  CHECK_STR("1", sql_get(reader, "SELECT count(*) FROM sqlite_schema"));
  SQL_OK(reader, "COMMIT");
  CHECK_STR("1|2", sql_get(reader, "SELECT a FROM t"));
  CHECK_STR("ok", sql_get(reader, "PRAGMA integrity_check"));
  CHECK_INT(SQLITE_READONLY, sql_run(reader, "INSERT INTO t VALUES(3)") & 0xff);
  sqlite3_close(reader);
  sqlite3_close(db);
}

static void several_databases_commit_together(int atomic) {
  CASE("several databases commit together");
  fake_files_reset(atomic, 0);
  sqlite3 *db = sql_open(URI);
  SQL_OK(db,
         "ATTACH 'file:second.db?service=file' AS s; CREATE TABLE t(a); CREATE TABLE s.u(a)");
  SQL_OK(db, "BEGIN; INSERT INTO t VALUES(1); INSERT INTO u VALUES(2); COMMIT");
  SQL_OK(db, "BEGIN; INSERT INTO t VALUES(3); INSERT INTO u VALUES(4); ROLLBACK");
  CHECK_STR("1|2", sql_get(db, "SELECT a FROM t UNION ALL SELECT a FROM u"));
  sqlite3_close(db);
  CHECK_INT(0, fake_files_size(JOURNAL));
  CHECK_INT(0, fake_files_size("second.db-journal"));
}

int main(void) {
  CHECK_INT(SQLITE_OK, grpsqlite_register());
  for (int atomic = 0; atomic < 2; atomic++) {
    fprintf(stderr, "%s AtomicWriteBatch\n", atomic ? "with" : "without");
    what_was_written_is_there_after_reopening(atomic);
    every_mode_keeps_commits_and_forgets_rollbacks(atomic);
    page_sizes_vacuum_and_shrinking(atomic);
    a_lease_of_another_client_is_busy_until_it_is_free(atomic);
    a_lost_lease_fails_the_transaction_and_not_the_next(atomic);
    readers_and_a_writer_of_one_process_share(atomic);
    threads_see_whole_transactions(atomic);
    several_databases_commit_together(atomic);
    a_crash_at_any_moment_leaves_before_or_after(atomic, "delete", "", 20);
    a_crash_at_any_moment_leaves_before_or_after(atomic, "truncate", "", 20);
    a_crash_at_any_moment_leaves_before_or_after(atomic, "persist", "", 20);
  }
  a_crash_at_any_moment_leaves_before_or_after(0, "wal", "", 20);
  a_crash_at_any_moment_leaves_before_or_after(1, "delete", "&max_batch_mb=1", 900);
  a_commit_is_one_call_and_a_warm_read_none();
  for (int atomic = 0; atomic <= 1; atomic++) a_writer_does_not_fill_the_cache(atomic);
  what_is_too_large_for_a_message_goes_through_its_journal();
  a_journal_that_another_client_left_is_rolled_back();
  a_heartbeat_that_is_not_answered_loses_the_lease();
  an_unknown_outcome_is_an_error_and_then_the_truth(0);
  an_unknown_outcome_is_an_error_and_then_the_truth(1);
  a_refused_commit_is_rolled_back();
  what_is_rolled_back_is_not_sent();
  that_a_file_cannot_shrink_does_not_fail_a_commit();
  a_database_that_says_wal_opens_where_commits_are_batches();
  a_crash_leaves_each_of_several_databases_whole();
  CASE("any failing call leaves before or after");
  for (int method = FILE_READ; method < FILE_METHODS; method++) {
    for (int atomic = 0; atomic < 2; atomic++) {
      any_failing_call_leaves_before_or_after(atomic, (enum fake_file_method)method,
                                              GSQ_UNAVAILABLE, 0);
      any_failing_call_leaves_before_or_after(atomic, (enum fake_file_method)method,
                                              GSQ_UNAVAILABLE, 1);
      any_failing_call_leaves_before_or_after(atomic, (enum fake_file_method)method,
                                              GSQ_RESOURCE_EXHAUSTED, 0);
    }
  }
  read_only_opens_need_point_in_time_reads();
  return check_done();
}
