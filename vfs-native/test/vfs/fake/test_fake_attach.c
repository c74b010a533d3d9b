/*
** Transactions over several databases: applied whole or not at all, whatever the settings and
** whatever fails.
*/
#include <pthread.h>
#include <unistd.h>

#include "vfs/fake/fake_server.h"
#include "vfs/fake/sql.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))
#define FILL "WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i+1 FROM n LIMIT 300) "
#define TWO "BEGIN; UPDATE main.t SET a = a - 1; UPDATE two.t SET a = a + 1; COMMIT"

static void fault(enum fake_method method, enum fake_kind kind, int forever, int code,
                  const char *reason) {
  fake_set_fault((fake_fault){
      .method = method, .kind = kind, .forever = forever, .code = code, .reason = reason});
}

static void clear_fault(void) {
  fake_set_fault((fake_fault){.kind = FAKE_NO_FAULT});
}

/* one.db as main, and two.db, each with its table t. */
static sqlite3 *fresh(const char *one, const char *two, const char *pragmas) {
  char sql[300];
  fake_reset();
  sqlite3 *db = sql_open(one);
  snprintf(sql, sizeof sql, "ATTACH '%s' AS two", two);
  SQL_OK(db, sql);
  SQL_OK(db, pragmas);
  SQL_OK(db,
         "CREATE TABLE main.t(a); CREATE TABLE two.t(a); INSERT INTO main.t VALUES (100);"
         "INSERT INTO two.t VALUES (100)");
  fake_reset_counts();
  return db;
}

/* What a connection that begins now sees. */
static const char *seen_anew(void) {
  sqlite3 *db = sql_open("one.db");
  SQL_OK(db, "ATTACH 'two.db' AS two");
  const char *seen =
      sql_get(db, "SELECT (SELECT a FROM main.t) || ' ' || (SELECT a FROM two.t)");
  sqlite3_close(db);
  return seen;
}

static const char *seen(sqlite3 *db) {
  return sql_get(db, "SELECT (SELECT a FROM main.t) || ' ' || (SELECT a FROM two.t)");
}

static void one_rpc_commits_both(const char *journal, const char *lock, const char *sync,
                                 int spills) {
  char pragmas[400];
  fprintf(stderr, "- journal_mode=%s locking_mode=%s synchronous=%s spills: %d\n", journal,
          lock, sync, spills);
  snprintf(pragmas, sizeof pragmas,
           "PRAGMA main.journal_mode=%s; PRAGMA two.journal_mode=%s; PRAGMA locking_mode=%s;"
           "PRAGMA main.synchronous=%s; PRAGMA two.synchronous=%s;"
           "PRAGMA main.cache_size=%d; PRAGMA two.cache_size=%d",
           journal, journal, lock, sync, sync, spills ? 5 : -2000, spills ? 5 : -2000);
  sqlite3 *db = fresh("file:one.db?buffer_mb=1", "file:two.db?buffer_mb=1", pragmas);
  if (spills) {
    SQL_OK(db,
           "BEGIN; UPDATE main.t SET a = 99; UPDATE two.t SET a = 101;"
           "CREATE TABLE main.b(x); CREATE TABLE two.b(x)");
    SQL_OK(db, FILL "INSERT INTO main.b SELECT randomblob(9000) FROM n");
    SQL_OK(db, FILL "INSERT INTO two.b SELECT randomblob(9000) FROM n");
    CHECK(fake_calls(FAKE_STAGE_PAGES) > 0);
    SQL_OK(db, "COMMIT");
  } else {
    SQL_OK(db, TWO);
  }
  CHECK_INT(1, fake_calls(FAKE_COMMIT_GROUP));
  CHECK_INT(0, fake_calls(FAKE_COMMIT));
  CHECK_INT(3, fake_head("one.db"));
  CHECK_INT(3, fake_head("two.db"));
  CHECK_STR("99 101", seen(db));
  /* One after the other too, and one that changes nothing in one of them. */
  SQL_OK(db, TWO);
  CHECK_INT(2, fake_calls(FAKE_COMMIT_GROUP));
  SQL_OK(db, "UPDATE main.t SET a = a");
  SQL_OK(db, "BEGIN IMMEDIATE; UPDATE two.t SET a = a + 1; COMMIT");
  CHECK_INT(2, fake_calls(FAKE_COMMIT_GROUP));
  CHECK_STR("98 103", seen(db));
  CHECK_STR("ok|ok", sql_get(db,
                             "SELECT * FROM pragma_integrity_check('t') UNION ALL "
                             "SELECT * FROM two.pragma_integrity_check"));
  CHECK_INT(0, fake_stages());
  sqlite3_close(db);
  CHECK_STR("98 103", seen_anew());
}

/* The group is refused: both are as they were, and the connection goes on. */
static void a_refused_group(const char *journal, const char *lock, const char *reason, int code,
                            int result) {
  char pragmas[200];
  fprintf(stderr, "- P1: a group refused with %s, journal_mode=%s locking_mode=%s\n", reason,
          journal, lock);
  snprintf(pragmas, sizeof pragmas,
           "PRAGMA journal_mode=%s; PRAGMA locking_mode=%s; PRAGMA main.cache_size=5;"
           "PRAGMA two.cache_size=5",
           journal, lock);
  sqlite3 *db = fresh("one.db", "two.db", pragmas);
  SQL_OK(db, "CREATE TABLE main.b(x); CREATE TABLE two.b(x)");
  SQL_OK(db, FILL "INSERT INTO main.b SELECT randomblob(2000) FROM n");
  SQL_OK(db, FILL "INSERT INTO two.b SELECT randomblob(2000) FROM n");
  const uint64_t head = fake_head("one.db");
  SQL_OK(db,
         "BEGIN; UPDATE main.t SET a = 1; UPDATE two.t SET a = 2;"
         "UPDATE main.b SET x = 'x'; UPDATE two.b SET x = 'x'");
  fake_reset_counts();
  fault(FAKE_COMMIT_GROUP, FAKE_REFUSE, 0, code, reason);
  CHECK_INT(result, sql_run(db, "COMMIT"));
  CHECK_INT(1, fake_faults());
  CHECK_INT(1, fake_calls(FAKE_COMMIT_GROUP));
  CHECK_INT(0, fake_calls(FAKE_COMMIT));
  CHECK_INT(1, sqlite3_get_autocommit(db));
  CHECK_HAS("not committed", sql_get(db, "PRAGMA main.grpsqlite_last_error"));
  CHECK_HAS("not committed", sql_get(db, "PRAGMA two.grpsqlite_last_error"));
  CHECK_INT(head, fake_head("one.db"));
  CHECK_INT(head, fake_head("two.db"));
  CHECK_STR("100 100", seen(db));
  CHECK_STR("0|0", sql_get(db,
                           "SELECT count(*) FROM main.b WHERE x = 'x' UNION ALL "
                           "SELECT count(*) FROM two.b WHERE x = 'x'"));
  CHECK_STR("ok", sql_get(db, "PRAGMA integrity_check"));
  CHECK_INT(0, fake_stages());
  SQL_OK(db, TWO);
  CHECK_STR("99 101", seen(db));
  SQL_OK(db, "UPDATE main.t SET a = a + 1");
  CHECK_STR("ok", sql_get(db, "PRAGMA integrity_check"));
  sqlite3_close(db);
  CHECK_STR("100 101", seen_anew());
}

static void a_lost_answer(enum fake_kind kind) {
  fprintf(stderr, "- P5: a group %s is applied once\n",
          kind == FAKE_SEND_TWICE ? "that is sent twice" : "whose answer is lost");
  sqlite3 *db = fresh("one.db", "two.db", "");
  fault(FAKE_COMMIT_GROUP, kind, 0, 0, NULL);
  SQL_OK(db, TWO);
  CHECK_INT(1, fake_faults());
  CHECK_INT(3, fake_head("one.db"));
  CHECK_INT(3, fake_head("two.db"));
  CHECK_STR("99 101", seen(db));
  SQL_OK(db, TWO);
  CHECK_STR("98 102", seen(db));
  sqlite3_close(db);
  CHECK_STR("98 102", seen_anew());
}

static void an_unknown_outcome(int applied, const char *lock) {
  char pragma[100];
  fprintf(stderr, "- P8: nobody knows of a group; applied: %d, locking_mode=%s\n", applied,
          lock);
  snprintf(pragma, sizeof pragma, "PRAGMA locking_mode=%s", lock);
  sqlite3 *db = fresh("file:one.db?timeout_ms=2000", "file:two.db?timeout_ms=2000", pragma);
  SQL_OK(db, TWO);
  SQL_OK(db, "BEGIN; UPDATE main.t SET a = a - 1; UPDATE two.t SET a = a + 1");
  fault(FAKE_COMMIT_GROUP, applied ? FAKE_LOSE_ANSWER : FAKE_REFUSE, 1, GSQ_UNAVAILABLE, "");
  CHECK_INT(SQLITE_IOERR, sql_run(db, "COMMIT"));
  CHECK(fake_faults() > 1);
  CHECK_INT(1, sqlite3_get_autocommit(db));
  CHECK_HAS("nobody knows", sql_get(db, "PRAGMA two.grpsqlite_last_error"));
  clear_fault();
  const char *truth = applied ? "98 102" : "99 101";
  CHECK_STR(truth, seen(db));
  SQL_OK(db, TWO);
  CHECK_STR(applied ? "97 103" : "98 102", seen(db));
  CHECK_STR("ok", sql_get(db, "PRAGMA integrity_check"));
  sqlite3_close(db);
  CHECK_STR(applied ? "97 103" : "98 102", seen_anew());
}

static void a_lost_lease_fences_the_group(void) {
  CASE("P3: who lost one of two leases commits neither; the other's commit stays");
  sqlite3 *db = fresh("file:one.db?token=a", "file:two.db?token=a", "");
  SQL_OK(db, "BEGIN; UPDATE main.t SET a = 1; UPDATE two.t SET a = 1");
  fake_take_lease("two.db");
  sqlite3 *other = sql_open("file:two.db?token=b");
  SQL_OK(other, "UPDATE t SET a = 200");
  CHECK_INT(SQLITE_IOERR_FSYNC, sql_run(db, "COMMIT"));
  CHECK_STR("100 200", seen(db));
  sqlite3_close(other);
  SQL_OK(db, TWO);
  CHECK_STR("99 201", seen(db));
  sqlite3_close(db);
}

static void a_part_that_cannot_be_prepared(void) {
  CASE("P1: a part that cannot be staged when its turn comes: none is sent");
  for (int after = 0; after < 2; after++) {
    sqlite3 *db = fresh("file:one.db?timeout_ms=2000", "file:two.db?timeout_ms=2000", "CREATE TABLE main.b(x); CREATE TABLE two.b(x)");
    SQL_OK(db, "BEGIN; UPDATE main.t SET a = 1; UPDATE two.t SET a = 1");
    SQL_OK(db, FILL "INSERT INTO main.b SELECT randomblob(15000) FROM n");
    SQL_OK(db, FILL "INSERT INTO two.b SELECT randomblob(15000) FROM n");
    CHECK_INT(0, fake_calls(FAKE_STAGE_PAGES));
    fake_set_fault((fake_fault){.method = FAKE_STAGE_PAGES,
                                .kind = FAKE_REFUSE,
                                .after = after,
                                .code = GSQ_RESOURCE_EXHAUSTED,
                                .reason = "QUOTA"});
    CHECK_INT(SQLITE_FULL, sql_run(db, "COMMIT"));
    CHECK_INT(1, fake_faults());
    CHECK_INT(0, fake_calls(FAKE_COMMIT_GROUP));
    CHECK_INT(1, sqlite3_get_autocommit(db));
    CHECK_STR("100 100", seen(db));
    CHECK_INT(3, fake_head("one.db"));
    CHECK_INT(3, fake_head("two.db"));
    CHECK_INT(0, fake_stages());
    SQL_OK(db, TWO);
    CHECK_STR("99 101", seen(db));
    CHECK_STR("ok", sql_get(db, "PRAGMA integrity_check"));
    sqlite3_close(db);
    CHECK_STR("99 101", seen_anew());
  }
}

static void pages_that_do_not_fit_the_message_are_staged(void) {
  CASE("parts that together are larger than a message");
  fake_set_max_message_bytes(128 << 10);
  sqlite3 *db = sql_open("one.db");
  for (int i = 0; i < 6; i++) {
    char sql[300];
    snprintf(sql, sizeof sql, "ATTACH 'db%d' AS d%d; CREATE TABLE d%d.t(a)", i, i, i);
    SQL_OK(db, sql);
  }
  SQL_OK(db, "CREATE TABLE t(a)");
  fake_reset_counts();
  SQL_OK(db, "BEGIN; INSERT INTO main.t VALUES (zeroblob(30000) || randomblob(20000))");
  for (int i = 0; i < 6; i++) {
    char sql[300];
    snprintf(sql, sizeof sql, "INSERT INTO d%d.t VALUES (randomblob(%d))", i, 1000 + 15000 * i);
    SQL_OK(db, sql);
  }
  SQL_OK(db, "COMMIT");
  CHECK_INT(1, fake_calls(FAKE_COMMIT_GROUP));
  CHECK(fake_calls(FAKE_STAGE_PAGES) > 1);
  CHECK_INT(0, fake_stages());
  for (int i = 0; i < 6; i++) {
    char name[20];
    snprintf(name, sizeof name, "db%d", i);
    CHECK_INT(2, fake_head(name));
  }
  CHECK_STR("ok", sql_get(db, "PRAGMA integrity_check"));
  sqlite3_close(db);
}

static void another_page_size_in_a_group(void) {
  CASE("VACUUM with another page size in one, then both; growing and shrinking");
  sqlite3 *db = fresh("one.db", "two.db", "");
  SQL_OK(db, "CREATE TABLE main.b(x); CREATE TABLE two.b(x)");
  SQL_OK(db, "PRAGMA two.page_size=1024; VACUUM two");
  SQL_OK(db, "PRAGMA main.auto_vacuum=1");
  SQL_OK(db, FILL "INSERT INTO main.b SELECT randomblob(2000) FROM n");
  SQL_OK(db, "BEGIN; DELETE FROM main.b; " FILL
             "INSERT INTO two.b SELECT randomblob(3000) FROM n; UPDATE two.t SET a = 101; "
             "UPDATE main.t SET a = 99; COMMIT");
  CHECK_INT(1, fake_calls(FAKE_COMMIT_GROUP));
  CHECK_STR("0|300", sql_get(db,
                             "SELECT count(*) FROM main.b UNION ALL "
                             "SELECT count(*) FROM two.b"));
  CHECK_STR("ok", sql_get(db, "PRAGMA integrity_check"));
  sqlite3_close(db);
  CHECK_STR("99 101", seen_anew());
}

/* What is committed alone: SQLite makes no super-journal, or there is nobody else. */
static void what_is_no_group(void) {
  CASE(
      "a read-only or untouched database, temporary ones, and those in memory are in no group");
  sqlite3 *db = fresh("one.db", "two.db", "");
  SQL_OK(db,
         "ATTACH ':memory:' AS m; ATTACH '' AS x; ATTACH 'file:two.db?mode=ro' AS r;"
         "CREATE TABLE m.t(a); CREATE TABLE x.t(a); CREATE TEMP TABLE temp.u(a)");
  SQL_OK(db,
         "BEGIN IMMEDIATE; UPDATE main.t SET a = 90; INSERT INTO m.t VALUES (1);"
         "INSERT INTO x.t VALUES (1); INSERT INTO temp.u VALUES (1); SELECT * FROM r.t;"
         "COMMIT");
  CHECK_INT(0, fake_calls(FAKE_COMMIT_GROUP));
  CHECK_INT(1, fake_calls(FAKE_COMMIT));
  SQL_OK(db,
         "BEGIN; UPDATE main.t SET a = 80; UPDATE two.t SET a = 120;"
         "INSERT INTO m.t VALUES (2); INSERT INTO x.t VALUES (2); INSERT INTO temp.u "
         "VALUES (2); COMMIT");
  CHECK_INT(1, fake_calls(FAKE_COMMIT_GROUP));
  CHECK_INT(1, fake_calls(FAKE_COMMIT));
  CHECK_STR("80 120", seen(db));
  CHECK_STR("2|2|2", sql_get(db,
                             "SELECT count(*) FROM m.t UNION ALL SELECT count(*) FROM x.t "
                             "UNION ALL SELECT count(*) FROM temp.u"));
  fault(FAKE_COMMIT_GROUP, FAKE_REFUSE, 0, GSQ_RESOURCE_EXHAUSTED, "QUOTA");
  CHECK_INT(SQLITE_FULL,
            sql_run(db,
                    "BEGIN; UPDATE main.t SET a = 1; UPDATE two.t SET a = 1;"
                    "INSERT INTO m.t VALUES (3); INSERT INTO x.t VALUES (3); COMMIT"));
  CHECK_STR("80 120", seen(db));
  CHECK_STR("2|2", sql_get(db, "SELECT count(*) FROM m.t UNION ALL SELECT count(*) FROM x.t"));
  sqlite3_close(db);
  CHECK_STR("80 120", seen_anew());
}

static void without_a_super_journal(const char *pragmas) {
  fprintf(stderr, "- each commits for itself: %s\n", pragmas);
  sqlite3 *db = fresh("one.db", "two.db", pragmas);
  SQL_OK(db, TWO);
  CHECK_INT(0, fake_calls(FAKE_COMMIT_GROUP));
  CHECK_INT(2, fake_calls(FAKE_COMMIT));
  CHECK_STR("99 101", seen(db));
  sqlite3_close(db);
  CHECK_STR("99 101", seen_anew());
}

static void a_server_that_cannot(void) {
  CASE("a server that commits no groups: one after the other, up to the first that fails");
  for (int after = -1; after < 2; after++) {
    fake_reset();
    fake_set_commit_group(0);
    sqlite3 *db = sql_open("one.db");
    SQL_OK(db,
           "ATTACH 'two.db' AS two; CREATE TABLE main.t(a); CREATE TABLE two.t(a);"
           "INSERT INTO main.t VALUES (100); INSERT INTO two.t VALUES (100)");
    if (after >= 0) {
      fake_set_fault((fake_fault){.method = FAKE_COMMIT,
                                  .kind = FAKE_REFUSE,
                                  .after = after,
                                  .code = GSQ_RESOURCE_EXHAUSTED,
                                  .reason = "QUOTA"});
    }
    CHECK_INT(after < 0 ? SQLITE_OK : SQLITE_FULL, sql_run(db, TWO));
    const char *truth = after < 0 ? "99 101" : after == 0 ? "100 100" : "99 100";
    CHECK_STR(truth, seen(db));
    if (after == 1) {
      CHECK_HAS("one.db was committed, but", sql_get(db, "PRAGMA main.grpsqlite_last_error"));
    }
    SQL_OK(db, "UPDATE main.t SET a = a + 1000; UPDATE two.t SET a = a + 1000");
    CHECK_STR("ok", sql_get(db, "PRAGMA integrity_check"));
    sqlite3_close(db);
    CHECK_STR(after < 0 ? "1099 1101" : after == 0 ? "1100 1100" : "1099 1100", seen_anew());
  }
}

/* Two URLs are two servers: two groups. */
static void two_servers(const char *lock) {
  fprintf(stderr, "- two servers, locking_mode=%s\n", lock);
  for (int after = 0; after < 2; after++) {
    char pragma[100];
    snprintf(pragma, sizeof pragma, "PRAGMA locking_mode=%s", lock);
    sqlite3 *db = fresh("one.db", "file:two.db?server=http://other", pragma);
    SQL_OK(db, TWO);
    CHECK_INT(0, fake_calls(FAKE_COMMIT_GROUP));
    CHECK_INT(2, fake_calls(FAKE_COMMIT));
    CHECK_STR("99 101", seen(db));
    fake_set_fault((fake_fault){.method = FAKE_COMMIT,
                                .kind = FAKE_REFUSE,
                                .after = after,
                                .code = GSQ_FAILED_PRECONDITION,
                                .reason = "LEASE_LOST"});
    CHECK_INT(SQLITE_IOERR_FSYNC, sql_run(db, TWO));
    /* The connection sees what is there, also in its own cache. */
    CHECK_STR(after ? "98 101" : "99 101", seen(db));
    SQL_OK(db, "UPDATE main.t SET a = a + 1000; UPDATE two.t SET a = a + 1000");
    CHECK_STR(after ? "1098 1101" : "1099 1101", seen(db));
    CHECK_STR("ok", sql_get(db, "PRAGMA integrity_check"));
    sqlite3_close(db);
  }
}

/* With a local file that SQLite would keep if our commit came last and failed. */
static void beside_a_local_file(int remote_is_main) {
  fprintf(stderr, "- beside a local file; the remote one is main: %d\n", remote_is_main);
  char folder[] = "/tmp/gsq-attach-XXXXXX", path[100], uri[150], sql[200];
  if (!CHECK(mkdtemp(folder) != NULL)) return;
  snprintf(path, sizeof path, "%s/local.db", folder);
  snprintf(uri, sizeof uri, "file:%s?vfs=unix", path);
  fake_reset();
  sqlite3 *db = sql_open(remote_is_main ? "one.db" : uri);
  snprintf(sql, sizeof sql, "ATTACH '%s' AS two",
           remote_is_main ? uri : "file:one.db?vfs=grpsqlite");
  SQL_OK(db, sql);
  SQL_OK(db,
         "CREATE TABLE main.t(a); CREATE TABLE two.t(a); INSERT INTO main.t VALUES (100);"
         "INSERT INTO two.t VALUES (100)");
  fake_reset_counts();
  SQL_OK(db, TWO);
  CHECK_INT(1, fake_calls(FAKE_COMMIT));
  CHECK_STR("99 101", seen(db));
  fault(FAKE_COMMIT, FAKE_REFUSE, 0, GSQ_RESOURCE_EXHAUSTED, "QUOTA");
  CHECK_INT(SQLITE_FULL, sql_run(db, TWO));
  CHECK_STR("99 101", seen(db));
  SQL_OK(db, TWO);
  CHECK_STR("98 102", seen(db));
  CHECK_STR("ok", sql_get(db, "PRAGMA integrity_check"));
  sqlite3_close(db);
  unlink(path);
  rmdir(folder);
}

static void several_with_a_local_file(void) {
  CASE("two remote databases and a local file: the remote ones together");
  char folder[] = "/tmp/gsq-attach-XXXXXX", path[100], sql[200];
  if (!CHECK(mkdtemp(folder) != NULL)) return;
  snprintf(path, sizeof path, "%s/local.db", folder);
  sqlite3 *db = fresh("one.db", "two.db", "");
  snprintf(sql, sizeof sql, "ATTACH 'file:%s?vfs=unix' AS l; CREATE TABLE l.t(a)", path);
  SQL_OK(db, sql);
  SQL_OK(db,
         "BEGIN; UPDATE main.t SET a = 99; UPDATE two.t SET a = 101;"
         "INSERT INTO l.t VALUES (1); COMMIT");
  CHECK_INT(1, fake_calls(FAKE_COMMIT_GROUP));
  CHECK_STR("99 101", seen(db));
  CHECK_STR("1", sql_get(db, "SELECT a FROM l.t"));
  CHECK_STR("ok", sql_get(db, "PRAGMA integrity_check"));
  sqlite3_close(db);
  unlink(path);
  rmdir(folder);
}

#define THREADS 4
#define ROUNDS 40

/* Each moves units between its own two databases, which have the same names as nobody else's. */
static void *move_units(void *arg) {
  const int n = (int)(intptr_t)arg;
  char one[20], attach[100];
  snprintf(one, sizeof one, "m%d.db", n);
  snprintf(attach, sizeof attach, "ATTACH 'a%d.db' AS two", n);
  sqlite3 *db = sql_open(one);
  SQL_OK(db, attach);
  SQL_OK(db,
         "CREATE TABLE main.t(a); CREATE TABLE two.t(a); INSERT INTO main.t VALUES (100);"
         "INSERT INTO two.t VALUES (100)");
  for (int i = 0; i < ROUNDS; i++) SQL_OK(db, TWO);
  CHECK_STR("60 140", seen(db));
  sqlite3_close(db);
  return NULL;
}

static void several_connections_at_once(void) {
  CASE("several connections at once, each with its group");
  pthread_t threads[THREADS];
  fake_reset();
  for (intptr_t i = 0; i < THREADS; i++) {
    pthread_create(&threads[i], NULL, move_units, (void *)i);
  }
  for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
  CHECK_INT(THREADS * ROUNDS, fake_calls(FAKE_COMMIT_GROUP));
}

int main(void) {
  CHECK_INT(SQLITE_OK, grpsqlite_register());
  static const char *const journals[] = {"delete", "truncate", "persist"};
  static const char *const locks[] = {"normal", "exclusive"};
  static const char *const syncs[] = {"normal", "full", "extra"};
  for (size_t l = 0; l < COUNT(locks); l++) {
    for (size_t j = 0; j < COUNT(journals); j++) {
      for (size_t s = 0; s < COUNT(syncs); s++) {
        one_rpc_commits_both(journals[j], locks[l], syncs[s], s == 1);
      }
      a_refused_group(journals[j], locks[l], "LEASE_LOST", GSQ_FAILED_PRECONDITION,
                      SQLITE_IOERR_FSYNC);
      a_refused_group(journals[j], locks[l], "QUOTA", GSQ_RESOURCE_EXHAUSTED, SQLITE_FULL);
      a_refused_group(journals[j], locks[l], "NOT_ALLOWED", GSQ_PERMISSION_DENIED,
                      SQLITE_READONLY);
    }
    an_unknown_outcome(0, locks[l]);
    an_unknown_outcome(1, locks[l]);
    two_servers(locks[l]);
  }
  a_lost_answer(FAKE_LOSE_ANSWER);
  a_lost_answer(FAKE_SEND_TWICE);
  a_lost_lease_fences_the_group();
  a_part_that_cannot_be_prepared();
  fake_reset();
  pages_that_do_not_fit_the_message_are_staged();
  another_page_size_in_a_group();
  what_is_no_group();
  without_a_super_journal("PRAGMA main.synchronous=off; PRAGMA two.synchronous=off");
  without_a_super_journal("PRAGMA journal_mode=memory");
  without_a_super_journal("PRAGMA journal_mode=off");
  a_server_that_cannot();
  beside_a_local_file(1);
  beside_a_local_file(0);
  several_with_a_local_file();
  several_connections_at_once();
  return check_done();
}
