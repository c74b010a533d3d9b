/* The cache on disk (cache_dir), as connections one after the other and beside each other use it. */
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vfs/fake/fake_server.h"
#include "vfs/fake/sql.h"

int grpsqlite_register(void);

#define ROWS "400"
/* Some 400 leaves, which no small change touches but one. */
#define FILL                                                                             \
  "CREATE TABLE t(id INTEGER PRIMARY KEY, a, b);"                                        \
  "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < " ROWS ")"   \
  " INSERT INTO t SELECT i, 0, zeroblob(3000) FROM n"

static char folder[200];
static char uri[300];

static long long named(sqlite3 *db, const char *name) {
  const size_t length = strlen(name);
  const char *line = sql_get(db, "PRAGMA grpsqlite_stats");
  while (line && (strncmp(line, name, length) != 0 || line[length] != ' ')) {
    line = strchr(line, '\n');
    if (line) line++;
  }
  return line ? atoll(line + length) : -1;
}

/* Removes what is in the folder. */
static void empty_folder(void) {
  DIR *directory = opendir(folder);
  const struct dirent *entry;
  while (directory && (entry = readdir(directory))) {
    if (entry->d_name[0] != '.') unlinkat(dirfd(directory), entry->d_name, 0);
  }
  if (directory) closedir(directory);
}

static void begin(void) {
  fake_reset();
  empty_folder();
  snprintf(uri, sizeof uri, "file:main.db?cache_dir=%s&cache_dir_mb=16", folder);
}

/* A database of many pages, all of which are in the folder. */
static void fill(void) {
  begin();
  sqlite3 *db = sql_open("main.db");
  SQL_OK(db, FILL);
  sqlite3_close(db);
  db = sql_open(uri);
  CHECK_STR("0", sql_get(db, "SELECT sum(a + length(b) - 3000) FROM t"));
  CHECK(named(db, "disk_bytes_written") > 400 * 3000);
  CHECK_INT(0, named(db, "disk_dropped"));
  sqlite3_close(db);
}

static void a_warm_start_reads_nothing(void) {
  CASE("a process that starts over a warm cache reads no page that is in it");
  fill();
  fake_reset_counts();
  sqlite3 *db = sql_open(uri);
  CHECK_STR("0", sql_get(db, "SELECT sum(a + length(b) - 3000) FROM t"));
  CHECK_INT(0, fake_calls(FAKE_READ_PAGES));
  CHECK(named(db, "disk_hits") > 400);
  sqlite3_close(db);
}

static void only_what_changed_is_read(void) {
  CASE("what another client changed meanwhile is read from the server, and nothing else");
  fill();
  sqlite3 *other = sql_open("file:main.db?token=other");
  SQL_OK(other, "UPDATE t SET a = 7 WHERE id = 200");
  SQL_OK(other, "UPDATE t SET a = 8 WHERE id = 300");
  sqlite3_close(other);
  fake_reset_counts();
  sqlite3 *db = sql_open(uri);
  CHECK_STR("15", sql_get(db, "SELECT sum(a) FROM t"));
  CHECK_INT(2, fake_calls(FAKE_READ_PAGES));
  sqlite3_close(db);
  fake_reset_counts();
  db = sql_open(uri);
  CHECK_STR("15", sql_get(db, "SELECT sum(a) FROM t"));
  CHECK_INT(0, fake_calls(FAKE_READ_PAGES));
  sqlite3_close(db);
}

int main(void) {
  CHECK_INT(SQLITE_OK, grpsqlite_register());
  const char *place = getenv("TMPDIR");
  snprintf(folder, sizeof folder, "%s/gsq-disk-XXXXXX", place ? place : P_tmpdir);
  if (!CHECK(mkdtemp(folder))) return check_done();
  a_warm_start_reads_nothing();
  only_what_changed_is_read();
  empty_folder();
  rmdir(folder);
  return check_done();
}
