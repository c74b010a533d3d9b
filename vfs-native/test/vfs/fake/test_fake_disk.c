/* The cache on disk (cache_dir), as connections one after the other and beside each other use it. */
#include <sys/wait.h>

#include "vfs/disk_test.h"
#include "vfs/fake/await.h"
#include "vfs/fake/fake_server.h"
#include "vfs/fake/sql.h"

int grpsqlite_register(void);

#define ROWS "400"
/* Some 400 leaves, which no small change touches but one. */
#define FILL                                                                       \
  "CREATE TABLE t(id INTEGER PRIMARY KEY, a, b);"                                  \
  "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < " ROWS \
  ")"                                                                              \
  " INSERT INTO t SELECT i, 0, zeroblob(3000) FROM n"

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

static void begin(void) {
  fake_reset();
  disk_empty_folder();
  snprintf(uri, sizeof uri, "file:main.db?cache_dir=%s&cache_dir_mb=16", disk_folder);
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

static void what_was_written_is_there(void) {
  CASE("what this process committed is there for the next one, however it was sent");
  fill();
  sqlite3 *db = sql_open(uri);
  SQL_OK(db, "UPDATE t SET a = id, b = zeroblob(3001)");
  SQL_OK(db, "UPDATE t SET a = 0 WHERE id <= 10");
  CHECK_STR("80145", sql_get(db, "SELECT sum(a) FROM t"));
  sqlite3_close(db);
  fake_reset_counts();
  db = sql_open(uri);
  CHECK_STR("80145", sql_get(db, "SELECT sum(a) FROM t"));
  CHECK_INT(0, fake_calls(FAKE_READ_PAGES));
  sqlite3_close(db);

  CASE("another page size leaves nothing of what was there");
  db = sql_open(uri);
  SQL_OK(db, "PRAGMA page_size = 1024; VACUUM");
  CHECK_STR("80145", sql_get(db, "SELECT sum(a) FROM t"));
  CHECK_STR("ok", sql_get(db, "PRAGMA integrity_check"));
  sqlite3_close(db);
  db = sql_open(uri);
  CHECK_STR("80145", sql_get(db, "SELECT sum(a) FROM t"));
  sqlite3_close(db);
}

static void without_a_cache_in_memory(void) {
  CASE("pages that memory has no room for come from disk each time");
  fill();
  char none[400];
  snprintf(none, sizeof none, "%s&cache_mb=0", uri);
  fake_reset_counts();
  sqlite3 *db = sql_open(none);
  SQL_OK(db, "PRAGMA cache_size = 5");
  for (int i = 0; i < 3; i++) CHECK_STR("0", sql_get(db, "SELECT sum(a) FROM t"));
  /* The first page comes with each opening. Here it is asked for until it was written. */
  CHECK(fake_calls(FAKE_READ_PAGES) < 10);
  CHECK(named(db, "disk_hits") > 3 * 400);
  sqlite3_close(db);
}

static void a_list_that_is_too_long(void) {
  CASE("where the server does not know any more what changed, everything is read again");
  fill();
  sqlite3 *other = sql_open("file:main.db?token=other");
  SQL_OK(other, "UPDATE t SET a = 1 WHERE id = 5");
  SQL_OK(other, "UPDATE t SET a = 1 WHERE id = 6");
  sqlite3_close(other);
  fake_forget_before("main.db", fake_head("main.db"));
  fake_reset_counts();
  sqlite3 *db = sql_open(uri);
  CHECK_STR("2", sql_get(db, "SELECT sum(a) FROM t"));
  CHECK(fake_calls(FAKE_READ_PAGES) >= 400);
  sqlite3_close(db);
  fake_reset_counts();
  db = sql_open(uri);
  CHECK_STR("2", sql_get(db, "SELECT sum(a) FROM t"));
  CHECK_INT(0, fake_calls(FAKE_READ_PAGES));
  sqlite3_close(db);
}

static void old_versions(void) {
  CASE("an old version is read from disk where its pages have not changed since");
  begin();
  fake_set_time_travel(1);
  sqlite3 *db = sql_open(uri);
  SQL_OK(db, FILL);
  const uint64_t old = fake_head("main.db");
  CHECK_STR("0", sql_get(db, "SELECT sum(a) FROM t"));
  SQL_OK(db, "UPDATE t SET a = 1 WHERE id IN (100, 200)");
  CHECK_STR("2", sql_get(db, "SELECT sum(a) FROM t"));
  sqlite3_close(db);
  char then[400];
  snprintf(then, sizeof then, "%s&version=%llu", uri, (unsigned long long)old);
  fake_reset_counts();
  db = sql_open(then);
  CHECK_STR("0", sql_get(db, "SELECT sum(a) FROM t"));
  CHECK(fake_calls(FAKE_READ_PAGES) < 410);
  sqlite3_close(db);
  fake_reset_counts();
  db = sql_open(uri);
  CHECK_STR("2", sql_get(db, "SELECT sum(a) FROM t"));
  CHECK_INT(0, fake_calls(FAKE_READ_PAGES));
  sqlite3_close(db);
}

static void told_by_watch(void) {
  CASE("who begins without asking learns by Watch what changed since the cache was left");
  fill();
  sqlite3 *other = sql_open("file:main.db?token=other");
  SQL_OK(other, "UPDATE t SET a = 7 WHERE id = 200");
  fake_set_watch(FAKE_WATCHES);
  char stale[400];
  snprintf(stale, sizeof stale, "%s&max_staleness_ms=60000&token=stale", uri);
  sqlite3 *db = sql_open(stale);
  AWAIT(fake_streams_with("main.db") == 1);
  CHECK_STR("7", sql_get(db, "SELECT sum(a) FROM t"));
  SQL_OK(other, "UPDATE t SET a = 8 WHERE id = 300");
  AWAIT(fake_untold() == 0);
  AWAIT(strcmp("15", sql_get(db, "SELECT sum(a) FROM t")) == 0);
  sqlite3_close(db);
  sqlite3_close(other);
  fake_reset_counts();
  db = sql_open(uri);
  CHECK_STR("15", sql_get(db, "SELECT sum(a) FROM t"));
  CHECK_INT(0, fake_calls(FAKE_READ_PAGES));
  sqlite3_close(db);
}

static void an_unknown_outcome(void) {
  CASE("a commit whose outcome was unknown: what is on disk is right, whatever it was");
  for (int done = 0; done < 2; done++) {
    fill();
    char hasty[400];
    snprintf(hasty, sizeof hasty, "%s&timeout_ms=1000", uri);
    sqlite3 *db = sql_open(hasty);
    CHECK_STR("0", sql_get(db, "SELECT sum(a) FROM t"));
    fake_set_fault((fake_fault){.method = FAKE_COMMIT,
                                .kind = done ? FAKE_LOSE_ANSWER : FAKE_REFUSE,
                                .forever = 1,
                                .code = GSQ_UNAVAILABLE,
                                .reason = ""});
    CHECK(sql_run(db, "UPDATE t SET a = 1 WHERE id = 200") != SQLITE_OK);
    fake_set_fault((fake_fault){0});
    const char *right = done ? "1" : "0";
    CHECK_STR(right, sql_get(db, "SELECT sum(a) FROM t"));
    sqlite3_close(db);
    db = sql_open(uri);
    CHECK_STR(right, sql_get(db, "SELECT sum(a) FROM t"));
    sqlite3_close(db);
  }
}

static void a_folder_that_cannot_be_used(void) {
  CASE("a folder that cannot be used costs the cache, and a sentence in the log");
  begin();
  sqlite3 *db = sql_open("file:main.db?cache_dir=/dev/null/cache");
  SQL_OK(db, "CREATE TABLE t(a); INSERT INTO t VALUES (1)");
  CHECK_STR("1", sql_get(db, "SELECT a FROM t"));
  CHECK_HAS("main.db: cache_dir /dev/null/cache cannot be used (Not a directory)",
            sql_get(db, "PRAGMA grpsqlite_last_error"));
  CHECK_INT(0, named(db, "disk_hits") + named(db, "disk_misses"));
  sqlite3_close(db);
}

static void after_fork(void) {
  CASE("after fork() the child opens the folder anew, beside its parent");
#ifdef __SANITIZE_THREAD__
  fprintf(stderr, "  skipped: ThreadSanitizer allows no threads in a forked child\n");
  return;
#endif
  fill();
  sqlite3 *db = sql_open(uri);
  CHECK_STR("0", sql_get(db, "SELECT sum(a) FROM t WHERE id < 100"));
  SQL_OK(db, "UPDATE t SET a = 2 WHERE id = 300");
  fflush(NULL);
  const pid_t child = fork_among_sleepers();
  if (child == 0) {
    /* The fake server is a copy of the parent's. */
    char own[400];
    snprintf(own, sizeof own, "%s&token=child", uri);
    fake_reset_counts();
    sqlite3 *mine = sql_open(own);
    CHECK_STR("2", sql_get(mine, "SELECT sum(a) FROM t"));
    CHECK(fake_calls(FAKE_READ_PAGES) <= 1); /* for what was being written in that moment */
    sqlite3_close(mine);
    _exit(atomic_load(&check_failures) > 0);
  }
  int status = -1;
  waitpid(child, &status, 0);
  CHECK_INT(0, status);
  CHECK_STR("2", sql_get(db, "SELECT sum(a) FROM t"));
  sqlite3_close(db);
}

int main(void) {
  CHECK_INT(SQLITE_OK, grpsqlite_register());
  if (!disk_make_folder()) return check_done();
  a_warm_start_reads_nothing();
  only_what_changed_is_read();
  what_was_written_is_there();
  without_a_cache_in_memory();
  a_list_that_is_too_long();
  old_versions();
  told_by_watch();
  an_unknown_outcome();
  a_folder_that_cannot_be_used();
  after_fork();
  disk_remove_folder();
  return check_done();
}
