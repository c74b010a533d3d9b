/* What Watch is for: transactions that begin without asking, and a lease that goes round. The
** fake server's streams say what a real one's do, or what a test has them say. */
#include <pthread.h>
#include <time.h>

#include "base/clock.h"
#include "pace.h"
#include "vfs/fake/await.h"
#include "vfs/fake/fake_server.h"
#include "vfs/fake/sql.h"

/* An empty server with a database of one row, which nobody has open. */
static void prepare(enum fake_watching watching) {
  fake_reset();
  fake_set_watch(watching);
  sqlite3 *db = sql_open("file:main.db?token=prepare");
  SQL_OK(db, "CREATE TABLE t(a); INSERT INTO t VALUES (1)");
  sqlite3_close(db);
  fake_reset_counts();
}

static const char *sum(sqlite3 *db) {
  return sql_get(db, "SELECT sum(a) FROM t");
}

static int has_told(void) {
  return fake_untold() == 0;
}

/* Staleness. */

static void a_fresh_reader_needs_no_stream(void) {
  CASE("a fresh reader needs no stream");
  prepare(FAKE_WATCHES);
  sqlite3 *reader = sql_open("file:main.db?token=b&mode=ro");
  for (int i = 0; i < 5; i++) CHECK_STR("1", sum(reader));
  sqlite3_close(reader);
  CHECK_INT(0, fake_calls(FAKE_WATCH));
}

static void within_its_staleness_a_transaction_asks_for_nothing(void) {
  CASE("within its staleness a transaction makes no RPC, and sees what the stream told");
  prepare(FAKE_WATCHES);
  sqlite3 *writer = sql_open("file:main.db?token=a");
  sqlite3 *reader = sql_open("file:main.db?token=b&mode=ro&max_staleness_ms=60000");
  CHECK_STR("1", sum(reader));
  AWAIT(fake_streams_with("main.db") == 1);
  AWAIT(strstr(sql_get(reader, "PRAGMA grpsqlite_stats"), "watch_events 0\n") == NULL);
  fake_reset_counts();
  for (int i = 0; i < 10; i++) CHECK_STR("1", sum(reader));
  CHECK_INT(0, fake_calls(FAKE_ANY));
  CHECK_HAS("transactions_unasked ", sql_get(reader, "PRAGMA grpsqlite_stats"));

  SQL_OK(writer, "INSERT INTO t VALUES (10)");
  AWAIT(has_told());
  fake_reset_counts();
  CHECK_STR("11", sum(reader));
  CHECK_INT(0, fake_calls(FAKE_REFRESH));
  CHECK_INT(2, fake_calls(FAKE_READ_PAGES)); /* those that changed */
  sqlite3_close(reader);
  sqlite3_close(writer);
}

/* The value of a line of the statistics. */
static long stat(sqlite3 *db, const char *name) {
  const char *line = strstr(sql_get(db, "PRAGMA grpsqlite_stats"), name);
  return line ? atol(line + strlen(name)) : -1;
}

static void a_frozen_stream_confirms_nothing(void) {
  CASE("what a stream does not confirm, or confirms too late, is asked for");
  prepare(FAKE_FROZEN);
  sqlite3 *writer = sql_open("file:main.db?token=a");
  sqlite3 *reader = sql_open("file:main.db?token=b&mode=ro&max_staleness_ms=300");
  const int64_t opened_ms = gsq_now_ms();
  AWAIT(fake_streams_with("main.db") == 1);
  SQL_OK(writer, "INSERT INTO t VALUES (10)");
  await_time(opened_ms + 350);
  fake_reset_counts();
  CHECK_STR("11", sum(reader));
  CHECK(fake_calls(FAKE_REFRESH) >= 1);

  /* A confirmation of a moment that is too long ago. */
  SQL_OK(writer, "INSERT INTO t VALUES (10)");
  await_time(gsq_now_ms() + 350);
  fake_confirm(0);
  AWAIT(has_told());
  fake_reset_counts();
  CHECK_STR("21", sum(reader));
  CHECK_INT(1, fake_calls(FAKE_REFRESH));

  /* One of a moment that is yet to come is of now, and no longer good than others. */
  await_time(gsq_now_ms() + 350);
  const int64_t confirmed_ms = gsq_now_ms();
  fake_confirm(UINT64_MAX);
  AWAIT(has_told());
  fake_reset_counts();
  CHECK_STR("21", sum(reader));
  if (gsq_now_ms() - confirmed_ms < 290) CHECK_INT(0, fake_calls(FAKE_REFRESH));
  await_time(gsq_now_ms() + 350);
  CHECK_STR("21", sum(reader));
  CHECK_INT(1, fake_calls(FAKE_REFRESH));
  sqlite3_close(reader);
  sqlite3_close(writer);
}

static void without_watch_a_refresh_is_good_for_as_long(void) {
  CASE("a server without Watch: one Refresh for each max_staleness_ms, and never staler");
  prepare(FAKE_NO_WATCH);
  sqlite3 *writer = sql_open("file:main.db?token=a");
  sqlite3 *reader = sql_open("file:main.db?token=b&mode=ro&max_staleness_ms=300");
  CHECK_STR("1", sum(reader));
  const int64_t read_ms = gsq_now_ms();
  SQL_OK(writer, "INSERT INTO t VALUES (10)");
  CHECK(strcmp("1", sum(reader)) == 0 || gsq_now_ms() - read_ms >= 290);
  await_time(read_ms + 350);
  CHECK_STR("11", sum(reader));
  sqlite3_close(reader);
  sqlite3_close(writer);
  CHECK_INT(0, fake_calls(FAKE_WATCH));
}

static void what_a_process_wrote_it_sees(void) {
  CASE(
      "what a process has written it sees, whatever its staleness; and it writes on no stale "
      "head");
  prepare(FAKE_FROZEN);
  sqlite3 *stale = sql_open("file:main.db?token=a&max_staleness_ms=60000");
  sqlite3 *beside = sql_open("file:main.db?token=a&max_staleness_ms=60000");
  sqlite3 *other = sql_open("file:main.db?token=b");
  sqlite3_busy_timeout(other, 5000);
  CHECK_STR("1", sum(stale));
  SQL_OK(stale, "INSERT INTO t VALUES (10)");
  CHECK_STR("11", sum(stale));
  CHECK_STR("11", sum(beside));
  /* The other one gets the lease; of its commit nothing is told. */
  SQL_OK(other, "INSERT INTO t VALUES (100)");
  CHECK_STR("11", sum(beside));
  AWAIT(fake_streams() == 2);
  /* SQLite makes SQLITE_BUSY of SQLITE_BUSY_SNAPSHOT, if nothing was read yet. */
  CHECK_INT(SQLITE_BUSY, sql_run(stale, "UPDATE t SET a = a + 1"));
  CHECK_HAS("has written since", sql_get(stale, "PRAGMA grpsqlite_last_error"));
  SQL_OK(stale, "UPDATE t SET a = a + 1");
  CHECK_STR("114", sum(stale));
  CHECK_STR("114", sum(beside));
  CHECK_STR("114", sum(other));
  CHECK_STR("ok", sql_get(beside, "PRAGMA integrity_check"));
  sqlite3_close(other);
  sqlite3_close(beside);
  sqlite3_close(stale);
}

static void many_databases_are_few_streams(void) {
  CASE("opening many databases begins few streams; the last has them all");
  prepare(FAKE_WATCHES);
  sqlite3 *readers[12];
  const int64_t begun_ms = gsq_now_ms();
  char uri[100];
  for (int i = 0; i < 12; i++) {
    snprintf(uri, sizeof uri, "file:%d.db?token=b&max_staleness_ms=60000", i);
    readers[i] = sql_open(uri);
  }
  for (int i = 0; i < 12; i++) {
    snprintf(uri, sizeof uri, "%d.db", i);
    AWAIT(fake_streams_with(uri) == 1);
  }
  CHECK(fake_calls(FAKE_WATCH) <= 2 + (gsq_now_ms() - begun_ms) / 100);
  CHECK_INT(1, fake_streams());
  for (int i = 0; i < 12; i++) sqlite3_close(readers[i]);
  CHECK_INT(0, fake_sessions());
}

static void a_stream_comes_back(int scale) {
  CASE("after an error, and after the session was forgotten, there is a stream again");
  prepare(FAKE_WATCHES);
  sqlite3 *reader = sql_open("file:main.db?token=b&max_staleness_ms=60000");
  AWAIT(fake_streams_with("main.db") == 1);
  fake_set_fault(
      (fake_fault){.method = FAKE_WATCH, .kind = FAKE_REFUSE, .code = GSQ_UNAVAILABLE});
  fake_restart();
  AWAIT(fake_faults() == 1);
  AWAIT(fake_streams_with("main.db") == 1);
  CHECK_STR("1", sum(reader));
  const int64_t before_ms = gsq_now_ms();
  sqlite3_close(reader);
  CHECK(gsq_now_ms() - before_ms < 1000 * scale);
  CHECK_INT(0, fake_streams());
}

/* Leases. */

static void an_idle_holder_yields(void) {
  CASE("an idle holder yields to one that does not even have a busy handler");
  prepare(FAKE_WATCHES);
  sqlite3 *a = sql_open("file:main.db?token=a");
  sqlite3 *b = sql_open("file:main.db?token=b");
  SQL_OK(a, "INSERT INTO t VALUES (10)");
  AWAIT(fake_streams() == 1);
  fake_reset_counts();
  SQL_OK(b, "INSERT INTO t VALUES (100)");
  CHECK_INT(1, fake_calls(FAKE_RELEASE_LEASE));
  CHECK_INT(300, fake_last_wait());
  CHECK_INT(1, stat(a, "leases_yielded "));
  CHECK_STR("111", sum(a)); /* its lease is gone: it asks */
  CHECK(fake_calls(FAKE_REFRESH) >= 1);
  AWAIT(fake_streams() == 2);
  SQL_OK(a, "INSERT INTO t VALUES (1000)");
  SQL_OK(b, "INSERT INTO t VALUES (10000)");
  CHECK_STR("11111", sum(a));
  sqlite3_close(b);
  sqlite3_close(a);
}

static void a_holder_yields_when_its_transaction_ends(void) {
  CASE("a holder that writes yields at the end of its transaction, and no earlier");
  prepare(FAKE_WATCHES);
  sqlite3 *a = sql_open("file:main.db?token=a");
  sqlite3 *b = sql_open("file:main.db?token=b");
  SQL_OK(a, "BEGIN IMMEDIATE; INSERT INTO t VALUES (10)");
  AWAIT(fake_streams() == 1);
  fake_reset_counts();
  CHECK_INT(SQLITE_BUSY, sql_run(b, "INSERT INTO t VALUES (100)"));
  AWAIT(has_told());
  SQL_OK(a, "INSERT INTO t VALUES (20)");
  CHECK_INT(0, fake_calls(FAKE_RELEASE_LEASE));
  SQL_OK(a, "COMMIT");
  AWAIT(fake_calls(FAKE_RELEASE_LEASE) == 1);
  SQL_OK(b, "INSERT INTO t VALUES (100)");
  CHECK_STR("131", sum(a));
  /* Also when it is rolled back. */
  AWAIT(fake_streams() == 2);
  SQL_OK(b, "BEGIN IMMEDIATE");
  CHECK_INT(SQLITE_BUSY, sql_run(a, "INSERT INTO t VALUES (1000)"));
  AWAIT(has_told());
  CHECK_INT(1, fake_calls(FAKE_RELEASE_LEASE));
  SQL_OK(b, "ROLLBACK");
  AWAIT(fake_calls(FAKE_RELEASE_LEASE) == 2);
  sqlite3_close(b);
  sqlite3_close(a);
}

static void exclusive_mode_does_not_yield(void) {
  CASE("locking_mode=exclusive keeps the lease until it is left");
  prepare(FAKE_WATCHES);
  sqlite3 *a = sql_open("file:main.db?token=a");
  sqlite3 *b = sql_open("file:main.db?token=b");
  SQL_OK(a, "PRAGMA locking_mode=exclusive; INSERT INTO t VALUES (10)");
  AWAIT(fake_streams() == 1);
  fake_reset_counts();
  CHECK_INT(SQLITE_BUSY, sql_run(b, "INSERT INTO t VALUES (100)"));
  AWAIT(has_told());
  SQL_OK(a, "INSERT INTO t VALUES (20)");
  CHECK_INT(0, fake_calls(FAKE_RELEASE_LEASE));
  SQL_OK(a, "PRAGMA locking_mode=normal; SELECT * FROM t");
  AWAIT(fake_calls(FAKE_RELEASE_LEASE) == 1);
  SQL_OK(b, "INSERT INTO t VALUES (100)");
  sqlite3_close(b);
  sqlite3_close(a);
}

static void nobody_asks_before_the_release_is_answered(void) {
  CASE("a lease that goes back is neither used nor asked for before the server has it");
  prepare(FAKE_WATCHES);
  sqlite3 *a = sql_open("file:main.db?token=a&timeout_ms=2000");
  SQL_OK(a, "INSERT INTO t VALUES (10)");
  AWAIT(fake_streams() == 1);
  fake_set_fault((fake_fault){.method = FAKE_RELEASE_LEASE,
                              .kind = FAKE_REFUSE,
                              .forever = 1,
                              .code = GSQ_UNAVAILABLE});
  fake_want_lease("main.db");
  AWAIT(fake_faults() >= 1);
  fake_reset_counts();
  CHECK_STR("11", sum(a));
  CHECK(fake_calls(FAKE_REFRESH) >= 1); /* it does not trust it */
  CHECK_INT(SQLITE_IOERR_WRITE, sql_run(a, "INSERT INTO t VALUES (100)"));
  CHECK_HAS("being given back", sql_get(a, "PRAGMA grpsqlite_last_error"));
  CHECK_INT(0, fake_calls(FAKE_ACQUIRE_LEASE));
  fake_set_fault((fake_fault){.kind = FAKE_NO_FAULT});
  SQL_OK(a, "INSERT INTO t VALUES (100)");
  CHECK_INT(1, fake_calls(FAKE_ACQUIRE_LEASE));
  CHECK_STR("111", sum(a));
  sqlite3_close(a);
}

static void who_got_it_in_order_to_write_does(void) {
  CASE("a lease that was got on the way to RESERVED is kept for that, but not for long");
  prepare(FAKE_WATCHES);
  sqlite3 *a = sql_open("file:main.db?token=a");
  sqlite3 *b = sql_open("file:main.db?token=b");
  SQL_OK(b, "BEGIN IMMEDIATE");
  CHECK_INT(SQLITE_BUSY, sql_run(a, "INSERT INTO t VALUES (10)"));
  sqlite3_close(b);
  AWAIT(fake_streams() == 1);
  int64_t began_ms = gsq_now_ms();
  SQL_OK(a, "BEGIN");
  CHECK_STR("1", sum(a));
  fake_reset_counts();
  fake_want_lease("main.db");
  AWAIT(has_told());
  SQL_OK(a, "INSERT INTO t VALUES (10)");
  const int released = fake_calls(FAKE_RELEASE_LEASE);
  if (gsq_now_ms() - began_ms < 450) CHECK_INT(0, released);
  SQL_OK(a, "COMMIT");
  AWAIT(fake_calls(FAKE_RELEASE_LEASE) == 1);

  /* One that does not go on to write. */
  b = sql_open("file:main.db?token=b");
  SQL_OK(b, "BEGIN IMMEDIATE");
  CHECK_INT(SQLITE_BUSY, sql_run(a, "INSERT INTO t VALUES (10)"));
  sqlite3_close(b);
  SQL_OK(a, "BEGIN");
  CHECK_STR("11", sum(a));
  fake_reset_counts();
  fake_want_lease("main.db");
  AWAIT(fake_calls(FAKE_RELEASE_LEASE) == 1);
  CHECK_STR("11", sum(a));
  SQL_OK(a, "COMMIT");
  sqlite3_close(a);
}

static void *begin_and_sum(void *db) {
  SQL_OK(db, "BEGIN");
  CHECK_STR("11", sum(db));
  return NULL;
}

static void who_got_it_has_a_turn_though_others_wait(void) {
  CASE("a lease that others want already when it is granted is good for one transaction");
  prepare(FAKE_WATCHES);
  sqlite3 *a = sql_open("file:main.db?token=a");
  SQL_OK(a, "INSERT INTO t VALUES (10)"); /* its process has a stream */
  AWAIT(fake_streams() == 1);
  sqlite3 *b = sql_open("file:main.db?token=b");
  AWAIT((fake_want_lease("main.db"), fake_calls(FAKE_RELEASE_LEASE) >= 1));
  SQL_OK(b, "BEGIN IMMEDIATE");
  CHECK_INT(SQLITE_BUSY, sql_run(a, "INSERT INTO t VALUES (100)"));
  sqlite3_close(b);
  fake_reset_counts();
  fake_set_fault((fake_fault){.method = FAKE_ACQUIRE_LEASE, .kind = FAKE_HOLD_ANSWER});
  pthread_t thread;
  pthread_create(&thread, NULL, begin_and_sum, a);
  AWAIT(fake_faults() == 1);
  fake_want_lease("main.db");
  AWAIT(has_told());
  fake_let_go();
  pthread_join(thread, NULL);
  SQL_OK(a, "INSERT INTO t VALUES (100)");
  CHECK_INT(1, fake_calls(FAKE_ACQUIRE_LEASE));
  SQL_OK(a, "COMMIT");
  AWAIT(fake_calls(FAKE_RELEASE_LEASE) == 1);
  sqlite3_close(a);
}

static void a_retry_waits_about_as_long_as_the_busy_handler(void) {
  CASE("a connection that its busy handler brings back waits about as long as that did");
  prepare(FAKE_WATCHES);
  sqlite3 *a = sql_open("file:main.db?token=a");
  sqlite3 *b = sql_open("file:main.db?token=b");
  SQL_OK(a, "BEGIN IMMEDIATE");
  CHECK_INT(SQLITE_BUSY, sql_run(b, "INSERT INTO t VALUES (10)"));
  CHECK_INT(300, fake_last_wait());
  await_time(gsq_now_ms() + 200);
  /* At SHARED; RESERVED asks again, after that. */
  fake_set_fault((fake_fault){
      .method = FAKE_ACQUIRE_LEASE, .kind = FAKE_REFUSE, .after = 1, .code = GSQ_INTERNAL});
  CHECK_INT(SQLITE_IOERR_WRITE, sql_run(b, "INSERT INTO t VALUES (10)"));
  CHECK(fake_last_wait() >= 200 && fake_last_wait() <= 1000);
  /* Long after, it is another attempt. */
  SQL_OK(a, "COMMIT");
  SQL_OK(b, "INSERT INTO t VALUES (10)");
  sqlite3_close(b);
  sqlite3_close(a);
}

static void *write_rows(void *arg) {
  const int writer = *(int *)arg;
  char uri[100], sql[100];
  snprintf(uri, sizeof uri, "file:main.db?token=%d%s", writer % 3,
           writer % 2 ? "&max_staleness_ms=50" : "");
  sqlite3 *db = sql_open(uri);
  sqlite3_busy_timeout(db, 60000);
  for (int i = 0; i < 20; i++) {
    snprintf(sql, sizeof sql, "UPDATE t SET a = a + 1; INSERT INTO w VALUES (%d, %d)", writer,
             i);
    CHECK_INT(SQLITE_OK, sql_run(db, sql));
    if (i % 5 == 0) CHECK_STR("ok", sql_get(db, "PRAGMA integrity_check"));
  }
  sqlite3_close(db);
  return NULL;
}

static void many_writers_of_three_clients(void) {
  CASE("threads: writers of three clients get on, and nothing is lost");
  prepare(FAKE_WATCHES);
  sqlite3 *db = sql_open("file:main.db?token=0");
  SQL_OK(db, "CREATE TABLE w(a, b)");
  int writers[6] = {0, 1, 2, 3, 4, 5};
  pthread_t threads[6];
  for (int i = 0; i < 6; i++) pthread_create(&threads[i], NULL, write_rows, &writers[i]);
  for (int i = 0; i < 6; i++) pthread_join(threads[i], NULL);
  CHECK_STR("121", sum(db));
  CHECK_STR("120", sql_get(db, "SELECT count(*) FROM (SELECT DISTINCT a, b FROM w)"));
  sqlite3_close(db);
  CHECK_INT(0, fake_sessions());
  CHECK_INT(0, fake_streams());
}

int main(void) {
  CHECK_INT(SQLITE_OK, grpsqlite_register());
  a_fresh_reader_needs_no_stream();
  within_its_staleness_a_transaction_asks_for_nothing();
  a_frozen_stream_confirms_nothing();
  without_watch_a_refresh_is_good_for_as_long();
  what_a_process_wrote_it_sees();
  many_databases_are_few_streams();
  IN_PACE(scale) a_stream_comes_back(scale);
  an_idle_holder_yields();
  a_holder_yields_when_its_transaction_ends();
  exclusive_mode_does_not_yield();
  nobody_asks_before_the_release_is_answered();
  who_got_it_in_order_to_write_does();
  who_got_it_has_a_turn_though_others_wait();
  a_retry_waits_about_as_long_as_the_busy_handler();
  many_writers_of_three_clients();
  return check_done();
}
