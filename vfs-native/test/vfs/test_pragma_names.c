/* Which PRAGMAs stay with SQLite: all that the SQLite at hand knows. */
#include <sqlite3.h>

#include "check.h"

/* Of vfs/pragma.h, which brings the extension's way of calling SQLite with it. */
int gsq_is_sqlite_pragma(const char *name);

int main(void) {
  sqlite3 *db = NULL;
  sqlite3_stmt *statement = NULL;
  int count = 0;
  CHECK_INT(SQLITE_OK, sqlite3_open(":memory:", &db));
  CHECK_INT(SQLITE_OK, sqlite3_prepare_v2(db, "PRAGMA pragma_list", -1, &statement, NULL));
  while (sqlite3_step(statement) == SQLITE_ROW) {
    const char *name = (const char *)sqlite3_column_text(statement, 0);
    count++;
    if (!CHECK(gsq_is_sqlite_pragma(name))) fprintf(stderr, "  %s\n", name);
  }
  sqlite3_finalize(statement);
  sqlite3_close(db);
  CHECK(count > 50);
  CHECK(gsq_is_sqlite_pragma("JOURNAL_MODE"));
  CHECK(gsq_is_sqlite_pragma("activate_extensions"));
  CHECK(gsq_is_sqlite_pragma("writable_schema"));
  CHECK(!gsq_is_sqlite_pragma("grpsqlite_stats"));
  CHECK(!gsq_is_sqlite_pragma(""));
  CHECK(!gsq_is_sqlite_pragma("zzz"));
  return check_done();
}
