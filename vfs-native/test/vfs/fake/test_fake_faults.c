/* What a transaction comes to when the server, the network or the lease lets it down. */
#include "vfs/fake/await.h"
#include "vfs/fake/fake_server.h"
#include "vfs/fake/sql.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))
#define FILL "WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i+1 FROM n LIMIT 300) "

static sqlite3 *fresh(const char *uri) {
  fake_reset();
  sqlite3 *db = sql_open(uri);
  SQL_OK(db, "CREATE TABLE t(a); INSERT INTO t VALUES (1)");
  return db;
}

static void fault(enum fake_method method, enum fake_kind kind, int forever, int code,
                  const char *reason) {
  fake_set_fault((fake_fault){
      .method = method, .kind = kind, .forever = forever, .code = code, .reason = reason});
}

static void clear_fault(void) {
  fake_set_fault((fake_fault){.kind = FAKE_NO_FAULT});
}

static void a_commit_sent_twice_is_applied_once(void) {
  CASE("P5: a commit that is sent twice is applied once");
  sqlite3 *db = fresh("main.db");
  fault(FAKE_COMMIT, FAKE_SEND_TWICE, 0, 0, NULL);
  SQL_OK(db, "INSERT INTO t VALUES (2)");
  CHECK_INT(1, fake_faults());
  CHECK_INT(3, fake_head("main.db"));
  SQL_OK(db, "INSERT INTO t VALUES (3)");
  CHECK_STR("1|2|3", sql_get(db, "SELECT a FROM t"));
  sqlite3_close(db);
}

static void a_lost_answer_is_asked_for_again(void) {
  CASE("P5: a commit whose answer is lost is sent again and succeeds");
  sqlite3 *db = fresh("main.db");
  fault(FAKE_COMMIT, FAKE_LOSE_ANSWER, 0, 0, NULL);
  SQL_OK(db, "INSERT INTO t VALUES (2)");
  CHECK_INT(1, fake_faults());
  CHECK_INT(3, fake_head("main.db"));
  CHECK_STR("1|2", sql_get(db, "SELECT a FROM t"));
  sqlite3_close(db);
}

/* Every commit's answer is lost until the deadline: applied or not, nobody knows. */
static void an_unknown_outcome(int applied, const char *lock) {
  fprintf(stderr, "- P8: an unknown outcome is an I/O error; applied: %d, locking_mode=%s\n",
          applied, lock);
  char sql[100];
  sqlite3 *db = fresh("file:main.db?timeout_ms=2000");
  sqlite3 *other = sql_open("file:main.db?timeout_ms=2000");
  snprintf(sql, sizeof sql, "PRAGMA locking_mode=%s", lock);
  SQL_OK(db, sql);
  SQL_OK(db, "INSERT INTO t VALUES (2)");
  CHECK_STR("1|2", sql_get(other, "SELECT a FROM t"));
  SQL_OK(db, "BEGIN; INSERT INTO t VALUES (3)");
  fault(FAKE_COMMIT, applied ? FAKE_LOSE_ANSWER : FAKE_REFUSE, 1, GSQ_UNAVAILABLE, "");
  CHECK_INT(SQLITE_IOERR, sql_run(db, "COMMIT"));
  CHECK(fake_faults() > 1);
  CHECK_INT(1, sqlite3_get_autocommit(db));
  clear_fault();
  CHECK_INT(applied ? 4 : 3, fake_head("main.db"));
  /* The next transaction sees the truth, whichever it is, and goes on from there. */
  const char *truth = applied ? "1|2|3" : "1|2";
  CHECK_STR(truth, sql_get(db, "SELECT a FROM t"));
  CHECK_STR(truth, sql_get(other, "SELECT a FROM t"));
  SQL_OK(db, "INSERT INTO t VALUES (4)");
  CHECK_STR(applied ? "1|2|3|4" : "1|2|4", sql_get(db, "SELECT a FROM t"));
  CHECK_STR("ok", sql_get(db, "PRAGMA integrity_check"));
  sqlite3_close(other);
  sqlite3_close(db);
  db = sql_open("main.db");
  CHECK_STR(applied ? "1|2|3|4" : "1|2|4", sql_get(db, "SELECT a FROM t"));
  sqlite3_close(db);
}

static void a_refused_commit(const char *journal, const char *lock, const char *reason,
                             int code, int result) {
  char sql[200];
  fprintf(stderr, "- P8: COMMIT refused with %s, journal_mode=%s locking_mode=%s\n", reason,
          journal, lock);
  sqlite3 *db = fresh("main.db");
  snprintf(sql, sizeof sql,
           "PRAGMA journal_mode=%s; PRAGMA locking_mode=%s; PRAGMA cache_size=5", journal,
           lock);
  SQL_OK(db, sql);
  SQL_OK(db, FILL "INSERT INTO t SELECT randomblob(2000) FROM n");
  SQL_OK(db, "BEGIN; UPDATE t SET a = 'x'; INSERT INTO t VALUES ('x')");
  fault(FAKE_COMMIT, FAKE_REFUSE, 0, code, reason);
  CHECK_INT(result, sql_run(db, "COMMIT"));
  CHECK_INT(1, fake_calls(FAKE_COMMIT) > 0);
  const int commits = fake_calls(FAKE_COMMIT);
  CHECK_INT(1, sqlite3_get_autocommit(db));
  CHECK_INT(3, fake_head("main.db"));
  CHECK_HAS("not committed", sql_get(db, "PRAGMA grpsqlite_last_error"));
  CHECK_STR("301", sql_get(db, "SELECT count(*) FROM t"));
  CHECK_STR("0", sql_get(db, "SELECT count(*) FROM t WHERE a = 'x'"));
  CHECK_INT(commits, fake_calls(FAKE_COMMIT)); /* rolling back sends none */
  CHECK_STR("ok", sql_get(db, "PRAGMA integrity_check"));
  SQL_OK(db, "INSERT INTO t VALUES ('y')");
  CHECK_INT(4, fake_head("main.db"));
  SQL_OK(db, "BEGIN; UPDATE t SET a = 'z'; ROLLBACK");
  CHECK_STR("302", sql_get(db, "SELECT count(*) FROM t WHERE a <> 'z'"));
  sqlite3_close(db);
  db = sql_open("main.db");
  CHECK_STR("302", sql_get(db, "SELECT count(*) FROM t"));
  CHECK_STR("ok", sql_get(db, "PRAGMA integrity_check"));
  sqlite3_close(db);
}

/* The right to write is taken away, after a sending that may have been applied. */
static void a_refusal_after_a_lost_answer(int applied, int code, const char *reason) {
  fprintf(stderr, "- P8: COMMIT refused with %s after a lost answer; applied: %d\n", reason,
          applied);
  sqlite3 *db = fresh("main.db");
  SQL_OK(db, "BEGIN; INSERT INTO t VALUES (2)");
  fault(FAKE_COMMIT, applied ? FAKE_LOSE_ANSWER : FAKE_REFUSE, 0, GSQ_UNAVAILABLE, "");
  fake_set_next_fault(
      (fake_fault){.method = FAKE_COMMIT, .kind = FAKE_REFUSE, .code = code, .reason = reason});
  CHECK_INT(SQLITE_IOERR, sql_run(db, "COMMIT"));
  CHECK_INT(2, fake_faults());
  CHECK_INT(applied ? 3 : 2, fake_head("main.db"));
  CHECK_HAS("nobody knows", sql_get(db, "SELECT grpsqlite_last_error()"));
  CHECK_STR(applied ? "1|2" : "1", sql_get(db, "SELECT a FROM t"));
  SQL_OK(db, "INSERT INTO t VALUES (3)");
  CHECK_STR(applied ? "1|2|3" : "1|3", sql_get(db, "SELECT a FROM t"));
  sqlite3_close(db);
}

static void a_lost_lease_fences_the_writer(void) {
  CASE("P3: a writer that lost its lease cannot commit; the other's commit stays");
  sqlite3 *db = fresh("file:main.db?token=a");
  SQL_OK(db, "BEGIN; INSERT INTO t VALUES (2)");
  fake_take_lease("main.db");
  sqlite3 *other = sql_open("file:main.db?token=b");
  SQL_OK(other, "INSERT INTO t VALUES (10)");
  int rc = sql_run(db, "COMMIT");
  CHECK_INT(SQLITE_IOERR_FSYNC, rc);
  CHECK_STR("1|10", sql_get(db, "SELECT a FROM t"));
  /* And it has to wait for the lease now. */
  CHECK_INT(SQLITE_BUSY, sql_run(db, "INSERT INTO t VALUES (3)") & 0xff);
  sqlite3_close(other);
  SQL_OK(db, "INSERT INTO t VALUES (3)");
  CHECK_STR("1|10|3", sql_get(db, "SELECT a FROM t"));
  sqlite3_close(db);
}

static void a_restart_between_transactions_goes_unnoticed(void) {
  CASE("a server that restarts is met again under the same session");
  sqlite3 *db = fresh("main.db");
  fake_restart();
  SQL_OK(db, "INSERT INTO t VALUES (2)");
  fake_restart();
  CHECK_STR("1|2", sql_get(db, "SELECT a FROM t"));
  SQL_OK(db, "BEGIN; INSERT INTO t VALUES (3)");
  fake_restart();
  SQL_OK(db, "COMMIT");
  CHECK_STR("1|2|3", sql_get(db, "SELECT a FROM t"));
  CHECK_INT(1, fake_sessions());
  sqlite3_close(db);
}

/* The server has another session under the same id, which an OpenSession made whose answer was lost:
** nothing but its incarnation tells the client that what it had in the first one is gone. */
static void a_session_lost_and_opened_unnoticed(void) {
  CASE("P7: a lease of a session that was lost and opened again unnoticed is not trusted");
  fake_reset();
  fake_set_ttl_ms(1500);
  sqlite3 *db = sql_open("file:main.db?token=a");
  SQL_OK(db, "CREATE TABLE t(a); INSERT INTO t VALUES (1)");
  sqlite3 *reader = sql_open("file:main.db?token=a");
  SQL_OK(reader, "BEGIN");
  CHECK_STR("1", sql_get(reader, "SELECT a FROM t"));
  CHECK_STR("1", sql_get(db, "SELECT a FROM t"));
  fake_reset_counts();
  fault(FAKE_OPEN_SESSION, FAKE_LOSE_ANSWER, 0, 0, NULL);
  fake_restart();
  fake_take_lease("main.db");
  AWAIT(fake_faults() == 1);
  sqlite3 *other = sql_open("file:main.db?token=b");
  SQL_OK(other, "UPDATE t SET a = 2");
  AWAIT(fake_calls(FAKE_OPEN_SESSION) >= 3); /* the lost one, the other's, and the lost one again */
  AWAIT(fake_floor("main.db") == 2); /* the view of the reader, which the first session had */
  CHECK_STR("2", sql_get(db, "SELECT a FROM t"));
  CHECK_STR("1", sql_get(reader, "SELECT a FROM t"));
  sqlite3_close(other);
  sqlite3_close(reader);
  SQL_OK(db, "INSERT INTO t VALUES (3)");
  CHECK_STR("2|3", sql_get(db, "SELECT a FROM t"));
  sqlite3_close(db);
}

static void a_restart_loses_what_was_staged(void) {
  CASE("a restart during a staged transaction: it fails whole, and the next one works");
  sqlite3 *db = fresh("file:main.db?buffer_mb=1");
  SQL_OK(db,
         "PRAGMA cache_size=5; BEGIN; " FILL "INSERT INTO t SELECT randomblob(9000) FROM n");
  CHECK_INT(1, fake_stages());
  fake_restart();
  /* More of it, under a session that knows nothing of the first part. */
  int rc = sql_run(db, FILL "INSERT INTO t SELECT randomblob(9000) FROM n");
  if (rc == SQLITE_OK) rc = sql_run(db, "COMMIT");
  CHECK_INT(SQLITE_IOERR, rc & 0xff);
  sql_run(db, "ROLLBACK");
  CHECK_INT(2, fake_head("main.db"));
  CHECK_STR("1", sql_get(db, "SELECT count(*) FROM t"));
  SQL_OK(db, "BEGIN; " FILL "INSERT INTO t SELECT randomblob(9000) FROM n; COMMIT");
  CHECK_STR("301", sql_get(db, "SELECT count(*) FROM t"));
  CHECK_STR("ok", sql_get(db, "PRAGMA integrity_check"));
  CHECK_INT(0, fake_stages());
  sqlite3_close(db);
}

static void a_stage_is_of_one_session(void) {
  CASE("P1: pages staged before a restart are not forgotten in a commit after it");
  sqlite3 *db = fresh("file:main.db?buffer_mb=1");
  SQL_OK(db, "PRAGMA cache_size=5; DELETE FROM t; " FILL
             "INSERT INTO t SELECT zeroblob(9000) FROM n");
  const int head = (int)fake_head("main.db");
  SQL_OK(db, "BEGIN; UPDATE t SET a = randomblob(9000) WHERE rowid < 200");
  CHECK_INT(1, fake_stages());
  fake_restart();
  int rc = sql_run(db, "UPDATE t SET a = randomblob(9000) WHERE rowid >= 200");
  if (rc == SQLITE_OK) rc = sql_run(db, "COMMIT");
  CHECK_INT(SQLITE_IOERR, rc & 0xff);
  sql_run(db, "ROLLBACK");
  CHECK_INT(head, fake_head("main.db"));
  CHECK_STR("300", sql_get(db, "SELECT count(*) FROM t WHERE a = zeroblob(9000)"));
  sqlite3_close(db);
}

static void staging_fails(const char *journal, const char *lock) {
  fprintf(stderr, "- staging is refused, journal_mode=%s locking_mode=%s\n", journal, lock);
  char sql[200];
  sqlite3 *db = fresh("file:main.db?buffer_mb=1&timeout_ms=2000");
  snprintf(sql, sizeof sql,
           "PRAGMA journal_mode=%s; PRAGMA locking_mode=%s; PRAGMA cache_size=5", journal,
           lock);
  SQL_OK(db, sql);
  fault(FAKE_STAGE_PAGES, FAKE_REFUSE, 1, GSQ_RESOURCE_EXHAUSTED, "QUOTA");
  SQL_OK(db, "BEGIN");
  int rc = sql_run(db, FILL "INSERT INTO t SELECT randomblob(9000) FROM n");
  CHECK_INT(SQLITE_FULL, rc);
  sql_run(db, "ROLLBACK");
  clear_fault();
  /* In exclusive mode SQLite plays its journal back only now, and is told of the failure again.
   */
  sql_get(db, "SELECT count(*) FROM t");
  CHECK_STR("1", sql_get(db, "SELECT count(*) FROM t"));
  SQL_OK(db, "INSERT INTO t VALUES (2)");
  CHECK_STR("1|2", sql_get(db, "SELECT a FROM t"));
  CHECK_STR("ok", sql_get(db, "PRAGMA integrity_check"));
  CHECK_INT(3, fake_head("main.db"));
  sqlite3_close(db);
}

static void errors_while_opening_and_reading(void) {
  CASE("errors have codes and sentences");
  static const struct {
    enum fake_method method;
    int code;
    const char *reason;
    int result;
  } opens[] = {
      {FAKE_OPEN_SESSION, GSQ_UNAVAILABLE, "", SQLITE_CANTOPEN},
      {FAKE_OPEN_SESSION, GSQ_UNAUTHENTICATED, "BAD_TOKEN", SQLITE_AUTH},
      {FAKE_OPEN_DATABASE, GSQ_PERMISSION_DENIED, "NOT_ALLOWED", SQLITE_PERM},
      {FAKE_OPEN_DATABASE, GSQ_RESOURCE_EXHAUSTED, "QUOTA", SQLITE_FULL},
      {FAKE_OPEN_DATABASE, GSQ_NOMEM, "", SQLITE_NOMEM},
  };
  for (size_t i = 0; i < COUNT(opens); i++) {
    int rc;
    fake_reset();
    fault(opens[i].method, FAKE_REFUSE, 1, opens[i].code, opens[i].reason);
    CHECK(sql_try_open("main.db", &rc) == NULL);
    CHECK_INT(opens[i].result, rc);
    clear_fault();
    CHECK_INT(0, fake_sessions());
    sqlite3 *memory = NULL;
    sqlite3_open(":memory:", &memory);
    CHECK_HAS("opening main.db", sql_get(memory, "SELECT grpsqlite_last_error()"));
    sqlite3_close(memory);
  }
  sqlite3 *db = fresh("main.db");
  sqlite3_close(db);
  db = sql_open("main.db");
  fault(FAKE_READ_PAGES, FAKE_REFUSE, 1, GSQ_UNAVAILABLE, "");
  CHECK_STR("error 266", sql_get(db, "SELECT a FROM t")); /* SQLITE_IOERR_READ */
  fault(FAKE_READ_PAGES, FAKE_REFUSE, 1, GSQ_DATA_LOSS, "CHECKSUM_MISMATCH");
  CHECK_STR("error 8202", sql_get(db, "SELECT a FROM t")); /* SQLITE_IOERR_DATA */
  fault(FAKE_REFRESH, FAKE_REFUSE, 1, GSQ_UNAVAILABLE, "");
  CHECK_STR("error 3850", sql_get(db, "SELECT a FROM t")); /* SQLITE_IOERR_LOCK */
  fault(FAKE_ACQUIRE_LEASE, FAKE_REFUSE, 1, GSQ_PERMISSION_DENIED, "NOT_ALLOWED");
  CHECK_INT(SQLITE_READONLY, sql_run(db, "INSERT INTO t VALUES (2)"));
  clear_fault();
  CHECK_STR("1", sql_get(db, "SELECT a FROM t"));
  sqlite3_close(db);
}

static void names_and_parameters_are_checked(void) {
  CASE("wrong names and what is not there yet are refused with a sentence");
  static const struct {
    const char *uri, *part;
  } refused[] = {
      {"/tmp/x.db", "file:/tmp/x.db?vfs=unix"},
      {"a/../b", ".."},
      {"file:main.db?version=3", "keeps old versions"},
      {"file:main.db?at=2026-01-31T10:00:00Z", "keeps old versions"},
      {"file:main.db?at=2026-01-31T10:00:00%2002:00", "%2B"},
      {"file:main.db?at=2026-01-31T10:00:00Z&version=3", "give one of them"},
      {"file:main.db?version=3&mode=rw", "must be ro"},
      {"file:main.db?nolock=1", "nolock"},
      {"file:main.db?cache=shared", "cache=shared"},
      {"file:main.db?mode=rw", "NO_SUCH_DATABASE"},
      {"file:main.db?mode=ro", "NO_SUCH_DATABASE"},
  };
  fake_reset();
  fake_set_time_travel(0);
  sqlite3 *memory = NULL;
  sqlite3_open(":memory:", &memory);
  for (size_t i = 0; i < COUNT(refused); i++) {
    int rc;
    CHECK(sql_try_open(refused[i].uri, &rc) == NULL);
    CHECK_INT(SQLITE_CANTOPEN, rc);
    CHECK_HAS(refused[i].part, sql_get(memory, "SELECT grpsqlite_last_error()"));
  }
  sqlite3_close(memory);
  CHECK_INT(0, fake_sessions());
}

static void an_old_snapshot_that_is_gone(void) {
  CASE("P6: a snapshot that is no longer kept gives an error, never other data");
  sqlite3 *db = fresh("main.db");
  SQL_OK(db, FILL "INSERT INTO t SELECT randomblob(3000) FROM n");
  sqlite3 *reader = sql_open("file:main.db?token=reader&cache_mb=1");
  SQL_OK(reader, "BEGIN; SELECT count(*) FROM sqlite_schema");
  SQL_OK(db, "DELETE FROM t");
  fake_forget_before("main.db", fake_head("main.db"));
  CHECK_STR("error 266", sql_get(reader, "SELECT count(*) FROM t"));
  CHECK_HAS("snapshot too old", sql_get(reader, "PRAGMA grpsqlite_last_error"));
  sql_run(reader, "ROLLBACK");
  CHECK_STR("0", sql_get(reader, "SELECT count(*) FROM t"));
  sqlite3_close(reader);
  sqlite3_close(db);
}

int main(void) {
  CHECK_INT(SQLITE_OK, grpsqlite_register());
  static const char *const journals[] = {"delete", "truncate", "persist", "memory", "off"};
  static const char *const locks[] = {"normal", "exclusive"};
  a_commit_sent_twice_is_applied_once();
  a_lost_answer_is_asked_for_again();
  for (size_t l = 0; l < COUNT(locks); l++) {
    an_unknown_outcome(0, locks[l]);
    an_unknown_outcome(1, locks[l]);
    for (size_t j = 0; j < COUNT(journals); j++) {
      a_refused_commit(journals[j], locks[l], "LEASE_LOST", GSQ_FAILED_PRECONDITION,
                       SQLITE_IOERR_FSYNC);
      a_refused_commit(journals[j], locks[l], "QUOTA", GSQ_RESOURCE_EXHAUSTED, SQLITE_FULL);
      a_refused_commit(journals[j], locks[l], "NOT_ALLOWED", GSQ_PERMISSION_DENIED,
                       SQLITE_READONLY);
      a_refused_commit(journals[j], locks[l], "BAD_TOKEN", GSQ_UNAUTHENTICATED, SQLITE_AUTH);
      staging_fails(journals[j], locks[l]);
    }
  }
  /* As when TLS has told the server's mind. */
  a_refused_commit("delete", "normal", "", GSQ_UNAUTHENTICATED, SQLITE_AUTH);
  for (int applied = 0; applied < 2; applied++) {
    a_refusal_after_a_lost_answer(applied, GSQ_PERMISSION_DENIED, "NOT_ALLOWED");
    a_refusal_after_a_lost_answer(applied, GSQ_UNAUTHENTICATED, "BAD_TOKEN");
  }
  a_lost_lease_fences_the_writer();
  a_restart_between_transactions_goes_unnoticed();
  a_session_lost_and_opened_unnoticed();
  a_restart_loses_what_was_staged();
  a_stage_is_of_one_session();
  errors_while_opening_and_reading();
  names_and_parameters_are_checked();
  an_old_snapshot_that_is_gone();
  return check_done();
}
