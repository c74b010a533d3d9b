/* Pages that are sent ahead, and come while SQLite is at work. The fake server has one come each time
** that the VFS waits for it. */
#include "vfs/fake/fake_server.h"
#include "vfs/fake/sql.h"
#include "vfs/prefetch.h"

#include <unistd.h>

#define AHEAD 20
#define MIB (INT64_C(1) << 20)
#define MS INT64_C(1000)

/* An empty server with a table of some hundred pages, which nobody has open. */
static void prepare(void) {
  fake_reset();
  fake_send_ahead(AHEAD);
  sqlite3 *db = sql_open("file:main.db?token=prepare");
  SQL_OK(db,
         "PRAGMA page_size = 1024; CREATE TABLE t(a INTEGER PRIMARY KEY, b);"
         "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300)"
         " INSERT INTO t SELECT i, zeroblob(900) FROM n");
  sqlite3_close(db);
  fake_reset_counts();
}

static sqlite3_stmt *scan(sqlite3 *db) {
  sqlite3_stmt *rows = NULL;
  CHECK_INT(SQLITE_OK, sqlite3_prepare_v2(db, "SELECT a, b FROM t", -1, &rows, NULL));
  CHECK_INT(SQLITE_ROW, sqlite3_step(rows));
  return rows;
}

static void what_is_on_its_way_is_not_asked_for(void) {
  CASE("what is on its way is waited for, and not asked for");
  prepare();
  sqlite3 *db = sql_open("file:main.db");
  CHECK_STR("270000", sql_get(db, "SELECT sum(length(b)) FROM t"));
  CHECK(fake_calls(FAKE_READ_PAGES) >= 300 / (AHEAD + 1));
  CHECK(fake_calls(FAKE_READ_PAGES) <= 300 / (AHEAD + 1) + 5);
  CHECK_INT(0, fake_rests());
  sqlite3_close(db);
}

static void nobody_waits_for_what_was_not_asked_for(void) {
  CASE(
      "SQLite has its page while more is on its way; the end of the transaction takes that in");
  prepare();
  sqlite3 *db = sql_open("file:main.db");
  sqlite3_stmt *rows = scan(db);
  CHECK_INT(1, fake_rests());
  sqlite3_finalize(rows);
  CHECK_INT(0, fake_rests());
  fake_reset_counts();
  CHECK_STR("10800", sql_get(db, "SELECT sum(length(b)) FROM t WHERE a <= 12"));
  CHECK_INT(0, fake_calls(FAKE_READ_PAGES));
  sqlite3_close(db);
}

static void a_writer_takes_it_in_first(void) {
  CASE("nothing is on its way while a connection asks for the lease, or commits");
  prepare();
  sqlite3 *db = sql_open("file:main.db");
  SQL_OK(db, "BEGIN");
  sqlite3_stmt *rows = scan(db);
  CHECK_INT(1, fake_rests());
  SQL_OK(db, "INSERT INTO t VALUES (1000, 'new')");
  while (fake_rests() == 0) CHECK_INT(SQLITE_ROW, sqlite3_step(rows));
  sqlite3_reset(rows);
  CHECK_INT(1, fake_rests());
  SQL_OK(db, "COMMIT");
  CHECK_INT(0, fake_rests_beside_writing());
  sqlite3_finalize(rows);
  sqlite3_close(db);
}

static void it_is_of_its_snapshot(void) {
  CASE("what was on its way is of the snapshot that it was read at");
  prepare();
  sqlite3 *reader = sql_open("file:main.db?token=a");
  sqlite3 *writer = sql_open("file:main.db?token=b");
  sqlite3_stmt *rows = scan(reader);
  CHECK_INT(1, fake_rests());
  SQL_OK(writer, "UPDATE t SET b = zeroblob(1)");
  for (int i = 1; i < 300; i++) {
    CHECK_INT(SQLITE_ROW, sqlite3_step(rows));
    CHECK_INT(900, sqlite3_column_bytes(rows, 1));
  }
  sqlite3_finalize(rows);
  CHECK_STR("300", sql_get(reader, "SELECT sum(length(b)) FROM t"));
  sqlite3_close(reader);
  sqlite3_close(writer);
}

static void without_locks_it_ends_with_the_file(void) {
  CASE("a file without locks takes the rest in when it is closed");
  prepare();
  sqlite3 *db = sql_open("file:main.db?immutable=1");
  CHECK_STR("900", sql_get(db, "SELECT length(b) FROM t LIMIT 1"));
  sqlite3_close(db);
  CHECK_INT(0, fake_rests());
}

static void without_credit_nothing_comes(void) {
  CASE("prefetch_mb=0 wants nothing");
  prepare();
  sqlite3 *db = sql_open("file:main.db?prefetch_mb=0");
  sqlite3_stmt *rows = scan(db);
  CHECK_INT(0, fake_rests());
  sqlite3_finalize(rows);
  sqlite3_close(db);
}

static void the_credit_follows_how_fast_they_come(void) {
  CASE("twice as much next time if all came soon, half as much if it took long");
  gsq_prefetch prefetch = {.most_bytes = 16 * MIB};
  CHECK_INT(4 * MIB, gsq_prefetch_credit(&prefetch));
  gsq_prefetch_note(&prefetch, 4 * MIB, 4 * MIB, 51 * MS);
  CHECK_INT(4 * MIB, gsq_prefetch_credit(&prefetch));
  gsq_prefetch_note(&prefetch, 4 * MIB, 4 * MIB, 50 * MS);
  CHECK_INT(8 * MIB, gsq_prefetch_credit(&prefetch));
  gsq_prefetch_note(&prefetch, 8 * MIB, 4 * MIB - 1, 1 * MS); /* the server did not want more */
  CHECK_INT(8 * MIB, gsq_prefetch_credit(&prefetch));
  gsq_prefetch_note(&prefetch, 8 * MIB, 8 * MIB, 1 * MS);
  gsq_prefetch_note(&prefetch, 16 * MIB, 16 * MIB, 1 * MS);
  CHECK_INT(16 * MIB, gsq_prefetch_credit(&prefetch));
  gsq_prefetch_note(&prefetch, 16 * MIB, 16 * MIB, 249 * MS);
  CHECK_INT(16 * MIB, gsq_prefetch_credit(&prefetch));
  for (int64_t left = 8; left >= 1; left /= 2) {
    gsq_prefetch_note(&prefetch, 2 * left * MIB, 4096, 250 * MS);
    CHECK_INT(left * MIB, gsq_prefetch_credit(&prefetch));
  }
  gsq_prefetch_note(&prefetch, 1 * MIB, 1 * MIB, 250 * MS);
  CHECK_INT(1 * MIB, gsq_prefetch_credit(&prefetch));

  gsq_prefetch little = {.most_bytes = 3 * MIB};
  CHECK_INT(3 * MIB, gsq_prefetch_credit(&little));
  gsq_prefetch_note(&little, 3 * MIB, 3 * MIB, 0);
  CHECK_INT(3 * MIB, gsq_prefetch_credit(&little));
}

static void prepare_large(void) {
  fake_reset();
  fake_send_ahead(130); /* of 64 KiB: 8 MiB */
  sqlite3 *db = sql_open("file:main.db?token=prepare");
  SQL_OK(db,
         "PRAGMA page_size = 65536; CREATE TABLE t(a INTEGER PRIMARY KEY, b);"
         "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 600)"
         " INSERT INTO t SELECT i, zeroblob(60000) FROM n");
  sqlite3_close(db);
  fake_reset_counts();
}

static uint32_t credit_after_a_scan(const char *uri) {
  sqlite3 *db = sql_open(uri);
  CHECK_STR("36000000", sql_get(db, "SELECT sum(length(b)) FROM t"));
  sqlite3_close(db);
  return fake_credit();
}

static void a_scan_asks_for_more_and_more(void) {
  CASE("a scan asks for more and more, within what is allowed");
  prepare_large();
  uint32_t credit = 0;
  /* The machine may be too busy for it, but not always. */
  for (int tries = 0; credit < 16 * MIB && tries < 20; tries++) {
    credit = credit_after_a_scan("file:main.db?cache_mb=256&token=fast");
  }
  CHECK_INT(16 * MIB, credit);
  CHECK(credit_after_a_scan("file:main.db?cache_mb=256&prefetch_mb=3&token=little") <= 3 * MIB);
}

static void who_is_slow_asks_for_less(void) {
  CASE("who takes long to work through an answer asks for less");
  prepare_large();
  sqlite3 *db = sql_open("file:main.db?cache_mb=256");
  sqlite3_stmt *rows = scan(db);
  CHECK_INT(4 * MIB, fake_credit());
  usleep(300 * MS);
  const int before = fake_calls(FAKE_READ_PAGES);
  while (fake_calls(FAKE_READ_PAGES) == before) CHECK_INT(SQLITE_ROW, sqlite3_step(rows));
  CHECK_INT(2 * MIB, fake_credit());
  sqlite3_finalize(rows);
  sqlite3_close(db);
}

int main(void) {
  CHECK_INT(SQLITE_OK, grpsqlite_register());
  what_is_on_its_way_is_not_asked_for();
  nobody_waits_for_what_was_not_asked_for();
  a_writer_takes_it_in_first();
  it_is_of_its_snapshot();
  without_locks_it_ends_with_the_file();
  without_credit_nothing_comes();
  the_credit_follows_how_fast_they_come();
  a_scan_asks_for_more_and_more();
  who_is_slow_asks_for_less();
  return check_done();
}
