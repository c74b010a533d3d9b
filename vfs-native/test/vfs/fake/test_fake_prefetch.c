/* Pages that are sent ahead, and come while SQLite is at work. The fake server has one come each time
** that the VFS waits for it. */
#include "vfs/fake/fake_server.h"
#include "vfs/fake/sql.h"
#include "vfs/page_cache.h"
#include "vfs/prefetch.h"

#include <unistd.h>

#define AHEAD 20
#define MIB (INT64_C(1) << 20)
#define MS INT64_C(1000)

static int push_out; /* the next page that is looked for while more is on its way */

/* Another thread's pages push one out of the cache between two looks at it. */
int __real_gsq_page_cache_get(gsq_page_cache *cache, uint32_t page, uint64_t snapshot,
                              uint32_t offset, void *to, uint32_t size);
int __wrap_gsq_page_cache_get(gsq_page_cache *cache, uint32_t page, uint64_t snapshot,
                              uint32_t offset, void *to, uint32_t size);
int __wrap_gsq_page_cache_get(gsq_page_cache *cache, uint32_t page, uint64_t snapshot,
                              uint32_t offset, void *to, uint32_t size) {
  if (push_out && fake_rests() > 0) {
    push_out = 0;
    return 0;
  }
  return __real_gsq_page_cache_get(cache, page, snapshot, offset, to, size);
}

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

static void it_is_pushed_out_at_once(void) {
  CASE("a page that came and was pushed out is asked for again, and what was on its way ends");
  prepare();
  sqlite3 *db = sql_open("file:main.db");
  sqlite3_stmt *rows = scan(db);
  CHECK_INT(1, fake_rests());
  const int before = fake_calls(FAKE_READ_PAGES);
  push_out = 1;
  while (push_out && CHECK_INT(SQLITE_ROW, sqlite3_step(rows))) continue;
  CHECK(fake_calls(FAKE_READ_PAGES) > before);
  CHECK(fake_rests() <= 1);
  sqlite3_finalize(rows);
  CHECK_INT(0, fake_rests());
  sqlite3_close(db);
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

/* So many of 64 KiB are more than half of the least credit. */
#define LARGE_AHEAD 10

static void prepare_large(void) {
  fake_reset();
  fake_send_ahead(LARGE_AHEAD);
  sqlite3 *db = sql_open("file:main.db?token=prepare");
  SQL_OK(db,
         "PRAGMA page_size = 65536; CREATE TABLE t(a INTEGER PRIMARY KEY, b);"
         "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 600)"
         " INSERT INTO t SELECT i, zeroblob(60000) FROM n");
  sqlite3_close(db);
  fake_reset_counts();
}

/* Goes on to where more is asked for: 0 at the end of the table. */
static int step_to_the_next_answer(sqlite3_stmt *rows) {
  const int before = fake_calls(FAKE_READ_PAGES);
  while (fake_calls(FAKE_READ_PAGES) == before) {
    if (sqlite3_step(rows) != SQLITE_ROW) return 0;
  }
  return 1;
}

static void the_credit_goes_down_and_up(void) {
  CASE("who takes long to work through an answer asks for less, and then for more again");
  prepare_large();
  sqlite3 *db = sql_open("file:main.db?cache_mb=256");
  sqlite3_stmt *rows = scan(db);
  CHECK_INT(4 * MIB, fake_credit());
  for (int64_t mib = 2; mib >= 1; mib /= 2) {
    usleep(300 * MS);
    CHECK(step_to_the_next_answer(rows));
    CHECK_INT(mib * MIB, fake_credit());
  }
  /* The machine may be too busy for one of them to come soon, but not for all. */
  while (fake_credit() == 1 * MIB && step_to_the_next_answer(rows)) continue;
  CHECK_INT(2 * MIB, fake_credit());
  sqlite3_finalize(rows);
  sqlite3_close(db);
}

static void there_is_a_limit(void) {
  CASE("never for more than prefetch_mb");
  prepare_large();
  sqlite3 *db = sql_open("file:main.db?cache_mb=256&prefetch_mb=3");
  sqlite3_stmt *rows = scan(db);
  CHECK_INT(3 * MIB, fake_credit());
  do {
    CHECK(fake_credit() <= 3 * MIB);
  } while (step_to_the_next_answer(rows));
  sqlite3_finalize(rows);
  sqlite3_close(db);
}

int main(void) {
  CHECK_INT(SQLITE_OK, grpsqlite_register());
  what_is_on_its_way_is_not_asked_for();
  nobody_waits_for_what_was_not_asked_for();
  a_writer_takes_it_in_first();
  it_is_of_its_snapshot();
  it_is_pushed_out_at_once();
  without_locks_it_ends_with_the_file();
  without_credit_nothing_comes();
  the_credit_follows_how_fast_they_come();
  the_credit_goes_down_and_up();
  there_is_a_limit();
  return check_done();
}
