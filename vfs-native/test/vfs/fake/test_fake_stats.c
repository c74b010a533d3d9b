/* What is counted, as a connection's PRAGMA and as the library's function tell it. */
#include "vfs/fake/fake_server.h"
#include "vfs/fake/sql.h"

int grpsqlite_stats(uint64_t *values, int count);

/* The numbers of include/grpsqlite.h. */
enum { SERVERS, RPCS, COMMITS = 6, PAGES_COMMITTED, PAGES_STAGED, KNOWN = 13 };

/* A number of PRAGMA grpsqlite_stats; -1 if there is none of that name. */
static long long named(sqlite3 *db, const char *name) {
  const size_t length = strlen(name);
  const char *line = sql_get(db, "PRAGMA grpsqlite_stats");
  while (line && (strncmp(line, name, length) != 0 || line[length] != ' ')) {
    line = strchr(line, '\n');
    if (line) line++;
  }
  return line ? atoll(line + length) : -1;
}

static uint64_t total(int which) {
  uint64_t values[KNOWN] = {0};
  CHECK_INT(KNOWN, grpsqlite_stats(values, KNOWN));
  return values[which];
}

static void commits_are_counted_in_both(void) {
  CASE("commits and their pages are counted, for a connection's server and for the process");
  fake_reset();
  CHECK_INT(0, total(SERVERS));
  const uint64_t commits = total(COMMITS);
  const uint64_t pages = total(PAGES_COMMITTED);
  sqlite3 *db = sql_open("main.db");
  CHECK_INT(1, total(SERVERS));
  SQL_OK(db, "CREATE TABLE t(a)");
  CHECK_INT(1, named(db, "commits"));
  CHECK_INT(2, named(db, "pages_committed"));
  SQL_OK(db, "BEGIN; INSERT INTO t VALUES (1); ROLLBACK");
  CHECK_INT(1, named(db, "commits"));
  SQL_OK(db, "INSERT INTO t VALUES (1)");
  CHECK_INT(2, named(db, "commits"));
  CHECK_INT(4, named(db, "pages_committed"));
  CHECK_INT(commits + 2, total(COMMITS));
  CHECK_INT(pages + 4, total(PAGES_COMMITTED));
  CHECK_INT(named(db, "rpcs"), fake_calls(FAKE_ANY));
  CHECK_INT(named(db, "rpcs"), named(db, "round_trips"));
  sqlite3_close(db);

  CASE("the process's numbers stay when the server is left");
  CHECK_INT(0, total(SERVERS));
  CHECK_INT(commits + 2, total(COMMITS));
}

static void staged_pages_are_counted(void) {
  CASE("pages that were staged ahead of their commit are counted once, as staged");
  fake_reset();
  const uint64_t staged = total(PAGES_STAGED);
  sqlite3 *db = sql_open("file:main.db?buffer_mb=1");
  SQL_OK(db, "PRAGMA cache_size = 10; CREATE TABLE t(a)");
  CHECK_INT(0, named(db, "pages_staged"));
  SQL_OK(db,
         "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000)"
         " INSERT INTO t SELECT randomblob(4000) FROM n");
  CHECK(fake_calls(FAKE_STAGE_PAGES) > 0);
  CHECK(named(db, "pages_staged") > 256);
  CHECK_INT(staged + (uint64_t)named(db, "pages_staged"), total(PAGES_STAGED));
  sqlite3_close(db);
}

static void reads_are_hits_or_misses(void) {
  CASE("a page that is read is a miss once, and then a hit");
  fake_reset();
  sqlite3 *db = sql_open("main.db");
  SQL_OK(db, "CREATE TABLE t(a); INSERT INTO t VALUES (1)");
  sqlite3_close(db);
  db = sql_open("main.db");
  CHECK_STR("1", sql_get(db, "SELECT a FROM t"));
  const long long misses = named(db, "cache_misses");
  CHECK(misses > 0);
  SQL_OK(db, "PRAGMA shrink_memory");
  sqlite3 *other = sql_open("main.db");
  const long long hits = named(other, "cache_hits");
  CHECK_STR("1", sql_get(other, "SELECT a FROM t"));
  CHECK(named(other, "cache_hits") > hits);
  CHECK_INT(misses, named(other, "cache_misses"));
  sqlite3_close(other);
  sqlite3_close(db);
}

static void a_writer_does_not_fill_the_cache(void) {
  CASE("a page that each commit changes takes no more room in the cache each time");
  fake_reset();
  sqlite3 *db = sql_open("main.db");
  SQL_OK(db, "CREATE TABLE t(a); INSERT INTO t VALUES (0)");
  SQL_OK(db, "UPDATE t SET a = a + 1");
  const long long bytes = named(db, "cache_bytes");
  CHECK(bytes > 0);
  for (int i = 0; i < 20; i++) SQL_OK(db, "UPDATE t SET a = a + 1");
  CHECK_INT(bytes, named(db, "cache_bytes"));

  CASE("and what a reader still reads stays");
  sqlite3 *reader = sql_open("main.db");
  SQL_OK(reader, "BEGIN");
  CHECK_STR("21", sql_get(reader, "SELECT a FROM t"));
  SQL_OK(reader, "PRAGMA shrink_memory");
  for (int i = 0; i < 5; i++) SQL_OK(db, "UPDATE t SET a = a + 1");
  fake_reset_counts();
  CHECK_STR("21", sql_get(reader, "SELECT a FROM t"));
  CHECK_INT(0, fake_calls(FAKE_ANY));
  SQL_OK(reader, "COMMIT");

  sqlite3_close(reader);
  sqlite3_close(db);

  CASE("nor does one who reads what another client commits");
  fake_reset();
  sqlite3 *other = sql_open("file:main.db?token=other");
  SQL_OK(other, "CREATE TABLE t(a); INSERT INTO t VALUES (0)");
  reader = sql_open("main.db");
  long long first = 0;
  for (int i = 0; i < 20; i++) {
    SQL_OK(other, "UPDATE t SET a = a + 1");
    CHECK(sql_get(reader, "SELECT a FROM t") != NULL);
    if (i == 1) first = named(reader, "cache_bytes");
  }
  CHECK_INT(first, named(reader, "cache_bytes"));
  sqlite3_close(reader);
  sqlite3_close(other);
}

static void no_more_is_filled_than_there_is_room_for(void) {
  CASE("the function fills as many numbers as there is room for, and says how many there are");
  uint64_t values[KNOWN + 2];
  memset(values, 0xee, sizeof values);
  const uint64_t untouched = values[0];
  CHECK_INT(KNOWN, grpsqlite_stats(NULL, 0));
  CHECK_INT(KNOWN, grpsqlite_stats(values, 2));
  CHECK(values[RPCS] != untouched);
  CHECK_INT(untouched, values[2]);
  CHECK_INT(KNOWN, grpsqlite_stats(values, KNOWN + 2));
  CHECK(values[KNOWN - 1] != untouched);
  CHECK_INT(untouched, values[KNOWN]);
}

int main(void) {
  CHECK_INT(SQLITE_OK, grpsqlite_register());
  commits_are_counted_in_both();
  staged_pages_are_counted();
  reads_are_hits_or_misses();
  a_writer_does_not_fill_the_cache();
  no_more_is_filled_than_there_is_room_for();
  return check_done();
}
