/* Read delegations: for how long transactions begin without asking. */
#include "base/clock.h"
#include "vfs/fake/await.h"
#include "vfs/fake/fake_server.h"
#include "vfs/fake/sql.h"

static void prepare(uint32_t delegation_ms) {
  fake_reset();
  sqlite3 *db = sql_open("main.db");
  SQL_OK(db, "CREATE TABLE t(a); INSERT INTO t VALUES (1)");
  sqlite3_close(db);
  fake_set_delegation_ms(delegation_ms);
  fake_reset_counts();
}

static const char *sum(sqlite3 *db) {
  return sql_get(db, "SELECT sum(a) FROM t");
}

static void a_fresh_open_asks_for_nothing(void) {
  CASE("from open to row: the open, and the pages that did not come with it");
  prepare(100);
  const int64_t begun_ms = gsq_now_ms();
  sqlite3 *db = sql_open("main.db");
  CHECK_STR("1", sum(db));
  const int refreshes = fake_calls(FAKE_REFRESH);
  if (gsq_now_ms() - begun_ms < 90) CHECK_INT(0, refreshes);
  const char *stats = sql_get(db, "PRAGMA grpsqlite_stats");
  CHECK_HAS("transactions_unasked 0\n", stats);
  if (refreshes == 0) CHECK(!strstr(stats, "transactions_delegated 0\n"));
  sqlite3_close(db);
}

static void it_ends(void) {
  CASE("behind its end a transaction asks, and has another one then");
  prepare(60);
  sqlite3 *reader = sql_open("file:main.db?token=a");
  sqlite3 *writer = sql_open("file:main.db?token=b");
  CHECK_STR("1", sum(reader));
  await_time(gsq_now_ms() + 65);
  SQL_OK(writer, "INSERT INTO t VALUES (10)");
  fake_reset_counts();
  int64_t begun_ms = gsq_now_ms();
  CHECK_STR("11", sum(reader));
  CHECK_INT(1, fake_calls(FAKE_REFRESH));
  CHECK_STR("11", sum(reader));
  const int refreshes = fake_calls(FAKE_REFRESH);
  if (gsq_now_ms() - begun_ms < 50) CHECK_INT(1, refreshes);
  sqlite3_close(reader);
  sqlite3_close(writer);
}

static void one_that_is_too_long_is_cut(void) {
  CASE("no server makes it longer than was asked for");
  prepare(UINT32_MAX);
  sqlite3 *reader = sql_open("file:main.db?token=a");
  CHECK_STR("1", sum(reader));
  await_time(gsq_now_ms() + 105);
  fake_reset_counts();
  CHECK_STR("1", sum(reader));
  CHECK_INT(1, fake_calls(FAKE_REFRESH));
  sqlite3_close(reader);
}

static void none_is_none(void) {
  CASE("a server that gives none is asked by every transaction");
  prepare(0);
  sqlite3 *reader = sql_open("main.db");
  CHECK_STR("1", sum(reader));
  fake_reset_counts();
  for (int i = 0; i < 5; i++) CHECK_STR("1", sum(reader));
  CHECK_INT(5, fake_calls(FAKE_REFRESH));
  sqlite3_close(reader);
}

/* Others may see the commit, before this process knows of it. */
static void not_in_doubt(void) {
  CASE("after a commit of unknown outcome nothing is known");
  prepare(100);
  sqlite3 *db = sql_open("file:main.db?timeout_ms=1000");
  CHECK_STR("1", sum(db));
  fake_set_fault((fake_fault){.method = FAKE_COMMIT, .kind = FAKE_LOSE_ANSWER, .forever = 1});
  CHECK(sql_run(db, "INSERT INTO t VALUES (10)") != SQLITE_OK);
  fake_set_fault((fake_fault){.kind = FAKE_NO_FAULT});
  CHECK_STR("11", sum(db));
  sqlite3_close(db);
}

static void a_writer_sees_what_it_wrote(void) {
  CASE("what this process commits meanwhile it sees");
  prepare(100);
  sqlite3 *reader = sql_open("main.db"), *writer = sql_open("main.db");
  CHECK_STR("1", sum(reader));
  SQL_OK(writer, "INSERT INTO t VALUES (10)");
  CHECK_STR("11", sum(reader));
  sqlite3_close(reader);
  sqlite3_close(writer);
}

int main(void) {
  CHECK_INT(SQLITE_OK, grpsqlite_register());
  a_fresh_open_asks_for_nothing();
  it_ends();
  one_that_is_too_long_is_cut();
  none_is_none();
  not_in_doubt();
  a_writer_sees_what_it_wrote();
  return check_done();
}
