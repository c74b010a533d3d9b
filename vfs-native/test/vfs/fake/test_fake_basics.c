/* Opening, writing, reading and closing, and what each costs. */
#include "vfs/fake/fake_server.h"
#include "vfs/fake/sql.h"

static void what_was_written_is_there_after_reopening(void) {
  CASE("what was written is there after reopening");
  fake_reset();
  sqlite3 *db = sql_open("main.db");
  SQL_OK(db, "CREATE TABLE t(a, b); INSERT INTO t VALUES (1, 'one'), (2, 'two')");
  CHECK_STR("one|two", sql_get(db, "SELECT b FROM t ORDER BY a"));
  CHECK_INT(SQLITE_OK, sqlite3_close(db));
  CHECK_INT(0, fake_sessions());
  db = sql_open("main.db");
  CHECK_STR("one|two", sql_get(db, "SELECT b FROM t ORDER BY a"));
  CHECK_STR("ok", sql_get(db, "PRAGMA integrity_check"));
  CHECK_STR("2", sql_get(db, "PRAGMA grpsqlite_version"));
  CHECK_STR("http://127.0.0.1:50051", sql_get(db, "PRAGMA grpsqlite_server"));
  sqlite3_close(db);
  CHECK_INT(2, fake_head("main.db"));
}

int main(void) {
  CHECK_INT(SQLITE_OK, grpsqlite_register());
  what_was_written_is_there_after_reopening();
  return check_done();
}
