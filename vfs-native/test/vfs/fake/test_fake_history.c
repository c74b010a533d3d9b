/*
** A server whose data were replaced by an older copy, and that went on from there: it numbers other
** versions the same. Nobody gets to see what was lost, and nothing of it gets into what is there now.
*/
#include <pthread.h>

#include "vfs/disk_test.h"
#include "vfs/fake/await.h"
#include "vfs/fake/fake_server.h"
#include "vfs/fake/sql.h"

/* Some 100 leaves. */
#define FILL                                                                      \
  "CREATE TABLE t(id INTEGER PRIMARY KEY, a, b);"                                 \
  "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100)" \
  " INSERT INTO t SELECT i, 0, zeroblob(3000) FROM n"
#define SUM "SELECT sum(a) FROM t"
#define ONE "SELECT a FROM t WHERE id = 50"

static uint64_t copied; /* the version of the older copy */

static void begin(void) {
  fake_reset();
  sqlite3 *db = sql_open("main.db");
  SQL_OK(db, FILL);
  sqlite3_close(db);
  copied = fake_head("main.db");
}

/* Versions that will be lost: each changes another page. A server gives no lease away while one that it may
** have forgotten is trusted; so whoever writes here gives it back. */
static void write_some(int count) {
  sqlite3 *db = sql_open("file:main.db?token=writer");
  for (int i = 1; i <= count; i++) {
    char sql[80];
    snprintf(sql, sizeof sql, "UPDATE t SET a = 1 WHERE id = %d", 10 * i);
    SQL_OK(db, sql);
  }
  sqlite3_close(db);
}

/* Puts the copy back, in which somebody else commits `count` times: other pages, and one that was changed. */
static void replace(int count) {
  fake_go_back("main.db", copied);
  fake_restart();
  sqlite3 *other = sql_open("file:main.db?token=other");
  for (int i = 1; i <= count; i++) {
    char sql[80];
    snprintf(sql, sizeof sql, "UPDATE t SET a = 1000 WHERE id = %d", 10 * i + (i > 1));
    SQL_OK(other, sql);
  }
  CHECK_STR("ok", sql_get(other, "PRAGMA integrity_check"));
  sqlite3_close(other);
}

static const char *thousands(int count) {
  static char text[20];
  snprintf(text, sizeof text, "%d", 1000 * count);
  return text;
}

/* Below the head that was lost, at it, and beyond. */
static const int heads[] = {1, 4, 5, 7};
#define EACH(i) for (size_t i = 0; i < sizeof heads / sizeof *heads; i++)

static void a_reader(void) {
  CASE("a connection that had read sees what is there now, and nothing of what it had kept");
  EACH(i) {
    begin();
    sqlite3 *db = sql_open("main.db");
    write_some(5);
    CHECK_STR("5", sql_get(db, SUM));
    replace(heads[i]);
    CHECK_STR(thousands(heads[i]), sql_get(db, SUM));
    CHECK_STR("ok", sql_get(db, "PRAGMA integrity_check"));
    sqlite3_close(db);
  }
}

static void a_writer(void) {
  CASE("one that goes on to write writes over what is there now");
  EACH(i) {
    begin();
    sqlite3 *db = sql_open("main.db");
    write_some(5);
    CHECK_STR("5", sql_get(db, SUM));
    replace(heads[i]);
    SQL_OK(db, "UPDATE t SET a = a + 1, b = zeroblob(2999) WHERE id IN (20, 50, 99)");
    sqlite3 *other = sql_open("file:main.db?token=other");
    char want[20];
    snprintf(want, sizeof want, "%d", 1000 * heads[i] + 3);
    CHECK_STR(want, sql_get(other, SUM));
    CHECK_STR("ok", sql_get(other, "PRAGMA integrity_check"));
    CHECK_STR(want, sql_get(db, SUM));
    sqlite3_close(other);
    sqlite3_close(db);
  }
}

static void within_a_transaction(void) {
  CASE("a transaction under way reads no page of the other history, and commits nothing");
  EACH(i) {
    for (int writes = 0; writes < 2; writes++) {
      begin();
      write_some(5);
      sqlite3 *db = sql_open("main.db");
      SQL_OK(db, writes ? "BEGIN IMMEDIATE" : "BEGIN");
      CHECK_STR("0", sql_get(db, "SELECT a FROM t WHERE id = 1"));
      if (writes) SQL_OK(db, "UPDATE t SET a = 7 WHERE id = 1");
      replace(heads[i]);
      if (!writes) {
        CHECK(strncmp("error", sql_get(db, SUM), 5) == 0);
      }
      /* Another connection of the process finds out meanwhile; if the lease is trusted, on its way. */
      sqlite3 *beside = sql_open("main.db");
      if (writes) CHECK(strncmp("error", sql_get(beside, SUM), 5) == 0);
      CHECK_STR(thousands(heads[i]), sql_get(beside, SUM));
      if (writes) CHECK(sql_run(db, "COMMIT") != SQLITE_OK);
      sql_run(db, "ROLLBACK");
      CHECK_STR(thousands(heads[i]), sql_get(db, SUM));
      CHECK_STR(thousands(heads[i]), sql_get(beside, SUM));
      CHECK_STR("ok", sql_get(db, "PRAGMA integrity_check"));
      sqlite3_close(beside);
      sqlite3_close(db);
    }
  }
}

static void within_one_beside_another_writer(void) {
  CASE("nor does one whose base has the number of the head, and the process the lease");
  begin();
  write_some(5);
  fake_set_ttl_ms(600);
  sqlite3 *db = sql_open("main.db");
  SQL_OK(db, "BEGIN IMMEDIATE; UPDATE t SET a = 7 WHERE id = 1");
  replace(5);
  await_time(gsq_now_ms() + 700);
  sqlite3 *beside = sql_open("main.db");
  for (int i = 0; i < 2; i++) CHECK_INT(SQLITE_BUSY, sql_run(beside, "BEGIN IMMEDIATE"));
  CHECK(sql_run(db, "COMMIT") != SQLITE_OK);
  sql_run(db, "ROLLBACK");
  CHECK_STR("5000", sql_get(db, SUM));
  SQL_OK(db, "UPDATE t SET a = 0");
  CHECK_STR("0", sql_get(beside, SUM));
  sqlite3_close(beside);
  sqlite3_close(db);
}

static void who_wrote_what_was_lost(void) {
  CASE(
      "who wrote the last of the lost versions finds out too, once its lease may be another's");
  begin();
  fake_set_ttl_ms(900);
  sqlite3 *db = sql_open("main.db");
  for (int i = 1; i <= 5; i++) SQL_OK(db, "UPDATE t SET a = a + 1 WHERE id = 20");
  CHECK_STR("5", sql_get(db, SUM));
  replace(5);
  AWAIT(strcmp("5000", sql_get(db, SUM)) == 0);
  CHECK_STR("ok", sql_get(db, "PRAGMA integrity_check"));
  sqlite3_close(db);
}

static void fixed_versions(void) {
  CASE(
      "a version that was opened is not read on from the other history; opened again, it is "
      "there");
  EACH(i) {
    if (heads[i] < 3) continue;
    begin();
    fake_set_time_travel(1);
    write_some(5);
    char then[100];
    snprintf(then, sizeof then, "file:main.db?version=%llu", (unsigned long long)copied + 3);
    sqlite3 *before = sql_open(then);
    CHECK_STR("0", sql_get(before, "SELECT a FROM t WHERE id = 1"));
    replace(heads[i]);
    sqlite3 *again = sql_open(then);
    CHECK_STR("3000", sql_get(again, SUM));
    CHECK_STR("ok", sql_get(again, "PRAGMA integrity_check"));
    CHECK(strncmp("error", sql_get(before, SUM), 5) == 0);
    CHECK_STR("3000", sql_get(again, SUM));
    sqlite3 *live = sql_open("main.db");
    CHECK_STR(thousands(heads[i]), sql_get(live, SUM));
    sqlite3_close(live);
    sqlite3_close(again);
    sqlite3_close(before);
  }
}

static int is_unasked(sqlite3 *db) {
  fake_reset_counts();
  sql_get(db, SUM);
  return fake_calls(FAKE_REFRESH) == 0;
}

static void who_may_be_behind(void) {
  CASE("one that begins without asking, and is told nothing, fails once at most");
  begin();
  write_some(5);
  sqlite3 *db = sql_open("file:main.db?max_staleness_ms=60000");
  CHECK_STR("0", sql_get(db, "SELECT a FROM t WHERE id = 1"));
  CHECK(is_unasked(db));
  sqlite3_close(db);
  db = sql_open("file:main.db?max_staleness_ms=60000");
  CHECK_STR("0", sql_get(db, "SELECT a FROM t WHERE id = 1"));
  replace(5);
  CHECK(strncmp("error", sql_get(db, SUM), 5) == 0);
  CHECK_STR("5000", sql_get(db, SUM));
  sqlite3_close(db);
}

static void a_watcher(void) {
  CASE("one that begins without asking finds out, and is told of the heads that follow");
  EACH(i) {
    begin();
    fake_set_watch(FAKE_WATCHES);
    sqlite3 *db = sql_open("file:main.db?max_staleness_ms=60000");
    AWAIT(fake_streams_with("main.db") == 1);
    write_some(5);
    AWAIT(strcmp("5", sql_get(db, SUM)) == 0);
    replace(heads[i]);
    AWAIT(strcmp(thousands(heads[i]), sql_get(db, SUM)) == 0);
    CHECK_STR("ok", sql_get(db, "PRAGMA integrity_check"));
    AWAIT(fake_streams_with("main.db") == 1);
    AWAIT((fake_confirm(UINT64_MAX), is_unasked(db)));
    sqlite3 *other = sql_open("file:main.db?token=other");
    SQL_OK(other, "UPDATE t SET a = 0");
    sqlite3_close(other);
    AWAIT(strcmp("0", sql_get(db, SUM)) == 0);
    sqlite3_close(db);
  }
}

static void the_cache_on_disk(void) {
  CASE("nothing comes from the cache on disk, for who is there and for who comes");
  EACH(i) {
    for (int stays = 0; stays < 2; stays++) {
      begin();
      disk_empty_folder();
      char uri[300];
      snprintf(uri, sizeof uri, "file:main.db?cache_dir=%s&cache_dir_mb=16", disk_folder);
      sqlite3 *db = sql_open(uri);
      write_some(5);
      CHECK_STR("5", sql_get(db, SUM));
      if (!stays) sqlite3_close(db);
      replace(heads[i]);
      if (!stays) db = sql_open(uri);
      CHECK_STR(thousands(heads[i]), sql_get(db, SUM));
      CHECK_STR("ok", sql_get(db, "PRAGMA integrity_check"));
      sqlite3_close(db);
      db = sql_open(uri);
      CHECK_STR(thousands(heads[i]), sql_get(db, SUM));
      sqlite3_close(db);
      fake_reset_counts();
      db = sql_open(uri);
      CHECK_STR(thousands(heads[i]), sql_get(db, SUM));
      CHECK(fake_calls(FAKE_READ_PAGES) < 5);
      sqlite3_close(db);
    }
  }
}

static void the_cache_on_disk_beside_a_writer(void) {
  CASE("that what is on disk is of another history does not hide what is new");
  begin();
  disk_empty_folder();
  char uri[300];
  snprintf(uri, sizeof uri, "file:main.db?cache_dir=%s&cache_dir_mb=16", disk_folder);
  sqlite3 *db = sql_open(uri);
  write_some(5);
  CHECK_STR("5", sql_get(db, SUM));
  sqlite3_close(db);
  replace(7);
  db = sql_open(uri);
  sqlite3 *other = sql_open("file:main.db?token=other");
  SQL_OK(other, "UPDATE t SET a = 500 WHERE id = 99");
  char head[30];
  snprintf(head, sizeof head, "%llu", (unsigned long long)fake_head("main.db"));
  CHECK_STR(head, sql_get(db, "PRAGMA grpsqlite_version"));
  CHECK_STR("7500", sql_get(db, SUM));
  sqlite3_close(other);
  sqlite3_close(db);

  CASE("a read delegation does not keep it from asking what to take from the disk");
  begin();
  disk_empty_folder();
  db = sql_open(uri);
  CHECK_STR("0", sql_get(db, SUM));
  sqlite3_close(db);
  write_some(5);
  fake_set_delegation_ms(60000);
  fake_reset_counts();
  db = sql_open(uri);
  CHECK_STR("5", sql_get(db, SUM));
  CHECK(fake_calls(FAKE_READ_PAGES) < 20);
  CHECK_INT(1, fake_calls(FAKE_REFRESH));
  sqlite3_close(db);
}

static void a_fixed_version_and_the_cache_on_disk(void) {
  CASE(
      "an old version is read from disk only if the server has the version that the disk "
      "knows");
  EACH(i) {
    if (heads[i] < 3) continue;
    for (int other = 0; other < 2; other++) {
      begin();
      fake_set_time_travel(1);
      disk_empty_folder();
      char uri[300], then[350];
      snprintf(uri, sizeof uri, "file:main.db?cache_dir=%s&cache_dir_mb=16", disk_folder);
      snprintf(then, sizeof then, "%s&version=%llu", uri, (unsigned long long)copied + 3);
      sqlite3 *db = sql_open(uri);
      write_some(5);
      CHECK_STR("5", sql_get(db, SUM));
      sqlite3_close(db);
      db = sql_open(then);
      CHECK_STR("3", sql_get(db, SUM));
      sqlite3_close(db);
      if (other) replace(heads[i]);
      fake_reset_counts();
      db = sql_open(then);
      CHECK_STR(other ? "3000" : "3", sql_get(db, SUM));
      /* Two that changed since, and one to see that the version that is known is there. */
      if (!other) CHECK_INT(3, fake_calls(FAKE_READ_PAGES));
      sqlite3_close(db);
    }
  }
}

#define THREADS 4
static _Atomic int expected, failures; /* what there is now; transactions that failed */

static int sees_it(sqlite3 *db) {
  const char *sum = sql_get(db, SUM);
  failures += strncmp("error", sum, 5) == 0;
  return atoi(sum) == expected;
}

static void *look_for_it(void *arg) {
  AWAIT(sees_it(arg));
  CHECK_STR("ok", sql_get(arg, "PRAGMA integrity_check"));
  return NULL;
}

static void many_find_out_at_once(void) {
  CASE("connections that find out at the same time fail once each at most");
  begin();
  sqlite3 *db[THREADS];
  for (int i = 0; i < THREADS; i++) db[i] = sql_open("main.db");
  for (int round = 0; round < 25; round++) {
    fake_go_back("main.db", copied);
    fake_restart();
    write_some(1 + round % 5);
    expected = 1 + round % 5;
    failures = 0;
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++) pthread_create(&threads[i], NULL, look_for_it, db[i]);
    for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
    CHECK(failures <= THREADS);
  }
  for (int i = 0; i < THREADS; i++) sqlite3_close(db[i]);
}

static void an_unwritten_fork(void) {
  CASE("version 0 of a fork, opened as such, and then as it is");
  begin();
  fake_set_time_travel(1);
  fake_fork("main.db", "fork.db");
  sqlite3 *first = sql_open("file:fork.db?version=0");
  sqlite3 *live = sql_open("fork.db");
  CHECK_STR("100", sql_get(first, "SELECT count(*) FROM t"));
  CHECK_STR("100", sql_get(live, "SELECT count(*) FROM t"));
  sqlite3_close(live);
  sqlite3_close(first);
}

int main(void) {
  if (!disk_make_folder()) return check_done();
  CHECK_INT(SQLITE_OK, grpsqlite_register());
  a_reader();
  a_writer();
  within_a_transaction();
  within_one_beside_another_writer();
  who_wrote_what_was_lost();
  who_may_be_behind();
  fixed_versions();
  a_watcher();
  the_cache_on_disk();
  the_cache_on_disk_beside_a_writer();
  a_fixed_version_and_the_cache_on_disk();
  many_find_out_at_once();
  an_unwritten_fork();
  disk_remove_folder();
  return check_done();
}
