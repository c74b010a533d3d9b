/* Several servers that have one store: which connections go together, and what goes along when another
** one comes into use. */
#include "vfs/fake/await.h"
#include "vfs/fake/fake_server.h"
#include "vfs/fake/sql.h"

#define FILL "WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i+1 FROM n LIMIT 300) "

static sqlite3 *fresh(const char *uri) {
  fake_reset();
  fake_set_ttl_ms(90000); /* no KeepAlive comes because it is time */
  sqlite3 *db = sql_open(uri);
  SQL_OK(db, "CREATE TABLE t(a); INSERT INTO t VALUES (1)");
  return db;
}

static void lists_in_another_order_are_the_same_servers(void) {
  CASE("lists in another order are the same servers, others are not");
  sqlite3 *db = fresh("file:main.db?server=http://a:1,http://b:2,unix:/c,d");
  sqlite3 *same = sql_open("file:main.db?server=unix:/c,d,%20http://B:2/,http://a:1");
  CHECK_INT(1, fake_sessions());
  SQL_OK(db, "BEGIN IMMEDIATE");
  CHECK_INT(SQLITE_BUSY, sql_run(same, "BEGIN IMMEDIATE"));
  SQL_OK(db, "INSERT INTO t VALUES (2); COMMIT");
  CHECK_STR("1|2", sql_get(same, "SELECT a FROM t"));
  static const char *const others[] = {
      "file:main.db?server=http://a:1,http://b:2",
      "file:main.db?server=http://a:1,http://b:2,unix:/c,e",
      "file:main.db?server=http://a:1,http://b:2,unix:/c,d,http://e:3",
      "file:main.db?server=http://a:1",
  };
  for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
    sqlite3 *other = sql_open(others[i]);
    CHECK_INT(2, fake_sessions());
    sqlite3_close(other);
  }
  sqlite3_close(same);
  sqlite3_close(db);
}

static void a_session_goes_along(void) {
  CASE(
      "P3, P6: to a server that has the same store the session goes with lease, stages and "
      "views");
  sqlite3 *db = fresh("file:main.db?buffer_mb=1");
  sqlite3 *reader = sql_open("main.db");
  SQL_OK(reader, "BEGIN");
  CHECK_STR("1", sql_get(reader, "SELECT a FROM t"));
  const uint64_t read = fake_head("main.db");
  fake_reset_counts();
  fake_move();
  SQL_OK(db, "INSERT INTO t VALUES (2)");
  CHECK_INT(0, fake_calls(FAKE_ACQUIRE_LEASE));
  SQL_OK(db,
         "PRAGMA cache_size=5; BEGIN; " FILL "INSERT INTO t SELECT randomblob(9000) FROM n");
  CHECK_INT(1, fake_stages());
  fake_move();
  SQL_OK(db, FILL "INSERT INTO t SELECT randomblob(9000) FROM n");
  SQL_OK(db, "COMMIT");
  CHECK_INT(0, fake_calls(FAKE_ACQUIRE_LEASE));
  CHECK_STR("602", sql_get(db, "SELECT count(*) FROM t"));
  CHECK_STR("ok", sql_get(db, "PRAGMA integrity_check"));
  AWAIT(fake_floor("main.db") == read);
  CHECK_STR("1", sql_get(reader, "SELECT a FROM t"));
  CHECK_HAS("server_changes", sql_get(db, "PRAGMA grpsqlite_stats"));
  sqlite3_close(reader);
  sqlite3_close(db);
}

static void an_idle_session_is_told_at_once(void) {
  CASE("P6: what is read is told to another server at once, although nobody calls");
  sqlite3 *db = fresh("main.db");
  sqlite3 *reader = sql_open("main.db");
  SQL_OK(reader, "BEGIN");
  CHECK_STR("1", sql_get(reader, "SELECT a FROM t"));
  const uint64_t read = fake_head("main.db");
  fake_move();
  AWAIT(fake_floor("main.db") == read);
  SQL_OK(db, "DELETE FROM t");
  CHECK_STR("1", sql_get(reader, "SELECT a FROM t"));
  sqlite3_close(reader);
  sqlite3_close(db);
}

int main(void) {
  CHECK_INT(SQLITE_OK, grpsqlite_register());
  lists_in_another_order_are_the_same_servers();
  a_session_goes_along();
  an_idle_session_is_told_at_once();
  return check_done();
}
