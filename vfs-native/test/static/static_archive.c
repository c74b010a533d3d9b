/*
** A program that has SQLite and the archive built in, as include/grpsqlite.h says: it registers
** the VFS at start-up, and loads nothing. There is no server here, which is for opening to say.
*/
#include <grpsqlite.h>
#include <sqlite3.h>

#include "check.h"

/* Nobody listens there: it is the port of tcpmux, for which one has to be root. */
#define NOBODY "http://127.0.0.1:1"

static char logged[1000];

static void keep_log(void *arg, int code, const char *text) {
  (void)arg;
  snprintf(logged, sizeof logged, "%d %s", code, text);
}

static int open_database(const char *name, sqlite3 **db) {
  return sqlite3_open_v2(name, db,
                         SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_URI, NULL);
}

int main(void) {
  sqlite3_config(SQLITE_CONFIG_LOG, keep_log, NULL);
  CHECK_INT(SQLITE_OK, sqlite3_initialize());
  CHECK(sqlite3_vfs_find("grpsqlite") == NULL);
  CHECK_INT(SQLITE_OK, grpsqlite_static_init(NULL));
  sqlite3_vfs *vfs = sqlite3_vfs_find("grpsqlite");
  CHECK(vfs != NULL && sqlite3_vfs_find(NULL) == vfs);
  CHECK_INT(SQLITE_OK, grpsqlite_register()); /* once more does no harm */
  CHECK(sqlite3_vfs_find("grpsqlite") == vfs);

  CASE("without a server, opening fails and says what to do");
  sqlite3 *db = NULL;
  CHECK_INT(SQLITE_CANTOPEN,
            open_database("file:main.db?server=" NOBODY "&connect_timeout_ms=0", &db));
  sqlite3_close(db);
  CHECK_HAS("main.db", logged);
  CHECK_HAS("no server at " NOBODY " (connection refused); start one with", logged);

  CASE("other databases of the program work, and have the SQL function");
  sqlite3_stmt *statement = NULL;
  CHECK_INT(SQLITE_OK, open_database("file::memory:?vfs=unix", &db));
  CHECK_INT(SQLITE_OK, sqlite3_prepare_v2(db, "SELECT grpsqlite_last_error()", -1, &statement,
                                          NULL));
  CHECK_INT(SQLITE_ROW, sqlite3_step(statement));
  CHECK_HAS("no server at " NOBODY, (const char *)sqlite3_column_text(statement, 0));
  sqlite3_finalize(statement);
  CHECK_INT(SQLITE_OK, sqlite3_close(db));
  return check_done();
}
