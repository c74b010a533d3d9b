/* at= and version=: what is read, what it costs, what the server is told, what is refused. */
#include "vfs/fake/fake_server.h"
#include "vfs/fake/sql.h"

#include <pthread.h>

#define FILL "WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i+1 FROM n LIMIT 100) "

/* Version 1: an empty table. 2 to 4: a row more in each. */
static sqlite3 *fresh(void) {
  fake_reset();
  sqlite3 *db = sql_open("main.db");
  SQL_OK(db, "CREATE TABLE t(a); INSERT INTO t VALUES (2)");
  SQL_OK(db, "INSERT INTO t VALUES (3)");
  SQL_OK(db, "INSERT INTO t VALUES (4)");
  CHECK_INT(4, fake_head("main.db"));
  return db;
}

static int await(int (*condition)(void)) {
  for (int i = 0; i < 1000; i++) {
    if (condition()) return 1;
    sqlite3_sleep(10);
  }
  return 0;
}

static void every_version_and_time(void) {
  CASE("each version and time shows its state, and stays while a writer goes on");
  static const struct {
    const char *uri, *version, *rows;
  } cases[] = {
      {"file:main.db?version=1", "1", ""},
      {"file:main.db?version=2", "2", "2"},
      {"file:main.db?version=4", "4", "2|3|4"},
      {"file:main.db?at=2001-09-09T01:46:42Z", "2", "2"},
      {"file:main.db?at=2001-09-09t03:46:43.999999999%2B02:00", "3", "2|3"},
      {"file:main.db?at=2999-01-01T00:00:00Z", "4", "2|3|4"},
      {"file:main.db?at=2001-09-09T01:46:43Z&mode=ro&immutable=1", "3", "2|3"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    fprintf(stderr, "  %s\n", cases[i].uri);
    sqlite3 *db = fresh();
    sqlite3 *old = sql_open(cases[i].uri);
    for (int round = 0; round < 3; round++) {
      CHECK_STR(cases[i].version, sql_get(old, "PRAGMA grpsqlite_version"));
      CHECK_STR(cases[i].rows, sql_get(old, "SELECT a FROM t"));
      CHECK_STR("ok", sql_get(old, "PRAGMA integrity_check"));
      SQL_OK(db, "DELETE FROM t; VACUUM");
    }
    sqlite3_close(old);
    sqlite3_close(db);
    CHECK_INT(0, fake_sessions());
  }
}

static void a_warm_transaction_is_free(void) {
  CASE("a warm transaction makes no RPC, whoever writes");
  sqlite3 *db = fresh();
  sqlite3 *old = sql_open("file:main.db?version=3");
  sqlite3 *alone = sql_open("file:main.db?version=3&token=alone");
  CHECK_STR("2|3", sql_get(old, "SELECT a FROM t"));
  CHECK_STR("2|3", sql_get(alone, "SELECT a FROM t"));
  for (int i = 0; i < 5; i++) {
    SQL_OK(db, "INSERT INTO t VALUES (9)");
    SQL_OK(old, "PRAGMA shrink_memory");
    fake_reset_counts();
    CHECK_STR("2|3", sql_get(old, "SELECT a FROM t"));
    CHECK_STR("2|3", sql_get(alone, "SELECT a FROM t"));
    CHECK_INT(0, fake_calls(FAKE_ANY));
  }
  sqlite3_close(alone);
  sqlite3_close(old);
  sqlite3_close(db);
}

static void the_page_cache_is_shared(void) {
  CASE("versions of one database share its pages, and none sees another's");
  sqlite3 *db = fresh();
  SQL_OK(db, "CREATE TABLE big(b)");
  SQL_OK(db, FILL "INSERT INTO big SELECT zeroblob(3000) FROM n");
  SQL_OK(db, "INSERT INTO t VALUES (7)");
  CHECK_STR("300000", sql_get(db, "SELECT sum(length(b)) FROM big"));
  fake_reset_counts();
  sqlite3 *old = sql_open("file:main.db?version=6");
  CHECK_STR("300000", sql_get(old, "SELECT sum(length(b)) FROM big"));
  CHECK_INT(1, fake_calls(FAKE_ANY)); /* the opening: all pages are there, and unchanged */
  CHECK_STR("2|3|4", sql_get(old, "SELECT a FROM t"));
  SQL_OK(db, "DELETE FROM big");
  CHECK_STR("300000", sql_get(old, "SELECT sum(length(b)) FROM big"));
  CHECK_STR("2|3|4|7", sql_get(db, "SELECT a FROM t"));
  sqlite3_close(old);
  sqlite3_close(db);
}

/* What a fixed version left in the cache must not be taken for the head's, and the other way round,
** in whichever order they are opened and closed. */
static void old_and_new_in_any_order(void) {
  CASE("the first and the last connection may be at a fixed version, also at version 0");
  sqlite3 *db = fresh();
  fake_fork("main.db", "copy.db"); /* which has content at version 0 */
  sqlite3_close(db);
  sqlite3 *writer = sql_open("file:copy.db?token=other");
  sqlite3 *old = sql_open("file:copy.db?version=0");
  CHECK_STR("2|3|4", sql_get(old, "SELECT a FROM t"));
  SQL_OK(writer, "UPDATE t SET a = a + 10");
  sqlite3 *live = sql_open("file:copy.db?mode=ro");
  CHECK_STR("12|13|14", sql_get(live, "SELECT a FROM t"));
  CHECK_STR("2|3|4", sql_get(old, "SELECT a FROM t"));
  SQL_OK(writer, "UPDATE t SET a = a + 10");
  CHECK_STR("22|23|24", sql_get(live, "SELECT a FROM t"));
  sqlite3_close(live);
  SQL_OK(writer, "UPDATE t SET a = a + 10");
  CHECK_STR("2|3|4", sql_get(old, "SELECT a FROM t"));
  sqlite3_close(writer);
  live = sql_open("file:copy.db");
  CHECK_STR("32|33|34", sql_get(live, "SELECT a FROM t"));
  SQL_OK(live, "UPDATE t SET a = a + 10");
  sqlite3_close(old);
  CHECK_STR("42|43|44", sql_get(live, "SELECT a FROM t"));
  old = sql_open("file:copy.db?version=2");
  sqlite3_close(live);
  CHECK_STR("22|23|24", sql_get(old, "SELECT a FROM t"));
  sqlite3_close(old);
  CHECK_INT(0, fake_sessions());
}

static void several_versions_by_attach(void) {
  CASE("several versions in one connection, by ATTACH");
  sqlite3 *db = fresh();
  SQL_OK(db,
         "ATTACH 'file:main.db?version=1' AS one; ATTACH 'file:main.db?version=3' AS three");
  CHECK_STR("4", sql_get(db, "SELECT a FROM main.t EXCEPT SELECT a FROM three.t"));
  CHECK_STR("0", sql_get(db, "SELECT count(*) FROM one.t"));
  CHECK_STR("1", sql_get(db, "PRAGMA one.grpsqlite_version"));
  SQL_OK(db, "BEGIN; INSERT INTO main.t SELECT a + 100 FROM three.t; COMMIT");
  CHECK_STR("2|3", sql_get(db, "SELECT a FROM three.t"));
  CHECK_STR("2|3|4|102|103", sql_get(db, "SELECT a FROM main.t"));
  CHECK_INT(SQLITE_READONLY, sql_run(db, "INSERT INTO three.t VALUES (1)"));
  CHECK_INT(2, fake_fixed_views("main.db"));
  sqlite3_close(db);
}

static void writing_is_refused(void) {
  CASE("it is a read-only database");
  sqlite3 *db = fresh();
  sqlite3 *old = sql_open("file:main.db?version=2");
  fake_reset_counts();
  CHECK_INT(SQLITE_READONLY, sql_run(old, "INSERT INTO t VALUES (1)"));
  CHECK_STR("attempt to write a readonly database", sqlite3_errmsg(old));
  CHECK_INT(SQLITE_READONLY, sql_run(old, "PRAGMA user_version=5"));
  CHECK_STR("delete", sql_get(old, "PRAGMA journal_mode=wal"));
  CHECK_STR("2", sql_get(old, "SELECT a FROM t"));
  CHECK_INT(0, fake_calls(FAKE_ACQUIRE_LEASE) + fake_calls(FAKE_COMMIT));
  CHECK_INT(1, sqlite3_db_readonly(old, "main"));
  sqlite3_close(old);
  sqlite3_close(db);
  CHECK_INT(4, fake_head("main.db"));
}

static void what_is_not_kept(void) {
  CASE("P6: a version that is not kept is refused, at opening and later");
  static const struct {
    const char *uri, *part;
  } refused[] = {
      {"file:main.db?version=2", "snapshot too old"},
      {"file:main.db?at=2001-09-09T01:46:42Z", "snapshot too old"},
      {"file:main.db?version=5", "NO_SUCH_VERSION"},
      {"file:main.db?at=2001-09-09T01:46:39Z", "NO_SUCH_VERSION"},
      {"file:none.db?version=0", "NO_SUCH_DATABASE"},
  };
  sqlite3 *db = fresh();
  sqlite3 *early = sql_open("file:main.db?version=2&cache_mb=0&token=early");
  fake_forget_before("main.db", 3);
  for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
    int rc;
    CHECK(sql_try_open(refused[i].uri, &rc) == NULL);
    CHECK_INT(SQLITE_CANTOPEN, rc);
    CHECK_HAS(refused[i].part, sql_get(db, "SELECT grpsqlite_last_error()"));
  }
  CHECK_INT(1, fake_fixed_views("main.db"));
  CHECK_INT(0, fake_head("none.db"));
  CHECK_INT(SQLITE_IOERR_READ, sql_run(early, "SELECT * FROM t"));
  CHECK_HAS("snapshot too old", sql_get(early, "PRAGMA grpsqlite_last_error"));
  sqlite3_close(early);
  sqlite3_close(db);
}

static int floor_is_five(void) {
  return fake_floor("main.db") == 5;
}

static int one_view_is_left(void) {
  return fake_fixed_views("main.db") == 1;
}

static int two_views_again(void) {
  return fake_fixed_views("main.db") == 2 && fake_floor("main.db") == 1;
}

static void what_the_server_is_told(void) {
  CASE("views are told again to a server that forgot them, and closed when they are");
  sqlite3 *db = fresh();
  sqlite3_close(db);
  fake_set_ttl_ms(300);
  db = sql_open("main.db");
  sqlite3 *one = sql_open("file:main.db?version=1");
  sqlite3 *three = sql_open("file:main.db?version=3");
  CHECK_INT(2, fake_fixed_views("main.db"));
  CHECK_INT(1, fake_floor("main.db"));
  SQL_OK(db, "INSERT INTO t VALUES (5)"); /* the live view's floor is its own */
  CHECK_INT(1, fake_floor("main.db"));
  fake_restart();
  CHECK_INT(0, fake_fixed_views("main.db"));
  CHECK(await(two_views_again));
  sqlite3_close(one);
  CHECK(await(one_view_is_left));
  CHECK_INT(3, fake_floor("main.db"));
  sqlite3_close(three);
  CHECK(await(floor_is_five)); /* the live one's */
  CHECK_INT(0, fake_fixed_views("main.db"));
  sqlite3_close(db);
}

static void a_read_finds_the_session_gone(void) {
  CASE("a read that finds the session gone tells the views before it goes on");
  sqlite3 *db = fresh();
  sqlite3 *old = sql_open("file:main.db?version=2&cache_mb=0&token=other");
  fake_restart();
  CHECK_STR("2", sql_get(old, "SELECT a FROM t"));
  CHECK_INT(1, fake_fixed_views("main.db"));
  sqlite3_close(old);
  sqlite3_close(db);
}

/* The KeepAlive that tells the views fails once, after the session was opened again. */
static void telling_fails_once(void) {
  CASE("views that could not be told are told by the next KeepAlive");
  sqlite3 *db = fresh();
  sqlite3_close(db);
  fake_set_ttl_ms(300);
  db = sql_open("file:main.db?version=1&cache_mb=0");
  sqlite3 *three = sql_open("file:main.db?version=3&cache_mb=0");
  fake_restart();
  fake_set_fault((fake_fault){.method = FAKE_KEEP_ALIVE,
                              .kind = FAKE_REFUSE,
                              .after = 1,
                              .code = GSQ_UNAVAILABLE,
                              .reason = ""});
  CHECK(await(two_views_again));
  CHECK_INT(1, fake_faults());
  sqlite3_close(three);
  sqlite3_close(db);
}

static int no_view_is_left(void) {
  return fake_fixed_views("main.db") == 0;
}

static void an_opening_whose_answer_is_lost(void) {
  CASE("an opening whose answer was lost leaves no view behind");
  sqlite3 *db = fresh();
  sqlite3_close(db);
  fake_set_ttl_ms(300);
  db = sql_open("main.db");
  fake_set_fault((fake_fault){.method = FAKE_OPEN_DATABASE, .kind = FAKE_LOSE_ANSWER});
  int rc;
  CHECK(sql_try_open("file:main.db?version=1", &rc) == NULL);
  CHECK_INT(SQLITE_CANTOPEN, rc);
  CHECK_INT(1, fake_faults());
  CHECK(await(no_view_is_left));
  sqlite3_close(db);
}

static void many_views(void) {
  CASE("hundreds of views, closed faster than KeepAlives go, with none left over");
  sqlite3 *db = fresh();
  for (int i = 0; i < 700; i++) sqlite3_close(sql_open("file:main.db?version=1"));
  CHECK(fake_fixed_views("main.db") < 300);
  sqlite3_close(db);
  fake_set_ttl_ms(300);
  db = sql_open("main.db");
  fake_set_fault((fake_fault){
      .method = FAKE_KEEP_ALIVE, .kind = FAKE_REFUSE, .forever = 1, .code = GSQ_UNAVAILABLE});
  for (int i = 0; i < 700; i++) sqlite3_close(sql_open("file:main.db?version=1"));
  CHECK_INT(700, fake_fixed_views("main.db"));
  fake_set_fault((fake_fault){.kind = FAKE_NO_FAULT});
  CHECK(await(no_view_is_left));
  sqlite3_close(db);
}

static void restoring(void) {
  CASE("a restore under the lease that the process holds is seen by all its connections");
  sqlite3 *db = fresh(); /* which has the lease now */
  sqlite3 *reader = sql_open("main.db");
  sqlite3 *other = sql_open("file:main.db?token=other");
  sqlite3 *old = sql_open("file:main.db?version=4");
  SQL_OK(reader, "BEGIN");
  CHECK_STR("2|3|4", sql_get(reader, "SELECT a FROM t"));
  CHECK_STR("5", sql_get(db, "PRAGMA grpsqlite_restore=2"));
  CHECK_STR("2", sql_get(db, "SELECT a FROM t"));
  CHECK_STR("5", sql_get(db, "PRAGMA grpsqlite_version"));
  /* The lease was given back: whoever wants it has it. */
  CHECK_STR("2", sql_get(other, "SELECT a FROM t"));
  SQL_OK(other, "INSERT INTO t VALUES (7)");
  CHECK_STR("2|7", sql_get(db, "SELECT a FROM t"));
  sqlite3_close(other);
  CHECK_STR("2|3|4", sql_get(reader, "SELECT a FROM t"));
  CHECK_INT(SQLITE_BUSY_SNAPSHOT, sql_run(reader, "INSERT INTO t VALUES (9)"));
  SQL_OK(reader, "COMMIT");
  CHECK_STR("2|7", sql_get(reader, "SELECT a FROM t"));
  CHECK_STR("2|3|4", sql_get(old, "SELECT a FROM t"));
  SQL_OK(db, "INSERT INTO t VALUES (8)");
  CHECK_STR("2|7|8", sql_get(reader, "SELECT a FROM t"));
  CHECK_STR("8", sql_get(reader, "PRAGMA grpsqlite_restore=4"));
  CHECK_STR("2|3|4", sql_get(db, "SELECT a FROM t"));
  CHECK_STR("ok", sql_get(db, "PRAGMA integrity_check"));
  sqlite3_close(old);
  sqlite3_close(reader);
  sqlite3_close(db);
}

static void not_restored(sqlite3 *db, const char *sql, int code, const char *part) {
  const uint64_t head = fake_head("main.db");
  if (!CHECK_INT(code, sql_run(db, sql)) || !CHECK_HAS(part, sqlite3_errmsg(db))) {
    fprintf(stderr, "  %s\n", sql);
  }
  CHECK_INT(head, fake_head("main.db"));
}

static void restores_that_are_refused(void) {
  CASE("what cannot be restored, with a sentence, and nothing happens");
  sqlite3 *db = fresh();
  sqlite3 *second = sql_open("main.db");
  sqlite3 *old = sql_open("file:main.db?version=3");
  sqlite3 *read_only = sql_open("file:main.db?mode=ro");
  sqlite3 *other = sql_open("file:main.db?token=other");
  not_restored(old, "PRAGMA grpsqlite_restore=3", SQLITE_READONLY, "read-only");
  not_restored(old, "PRAGMA grpsqlite_fork=copy", SQLITE_READONLY, "forks what is there now");
  not_restored(read_only, "PRAGMA grpsqlite_restore=3", SQLITE_READONLY, "read-only");
  static const char *const wrong[] = {
      "PRAGMA grpsqlite_restore",        "PRAGMA grpsqlite_restore=''",
      "PRAGMA grpsqlite_restore=x",      "PRAGMA grpsqlite_restore='-1'",
      "PRAGMA grpsqlite_restore='1.5'",  "PRAGMA grpsqlite_restore=' 1'",
      "PRAGMA grpsqlite_restore='1 OR'", "PRAGMA grpsqlite_restore='99999999999999999999'"};
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
    not_restored(db, wrong[i], SQLITE_ERROR, "takes a version's number");
  }
  not_restored(other, "PRAGMA grpsqlite_restore=3", SQLITE_BUSY, "another client");
  SQL_OK(db, "BEGIN IMMEDIATE");
  not_restored(db, "PRAGMA grpsqlite_restore=3", SQLITE_BUSY, "this connection is writing");
  not_restored(second, "PRAGMA grpsqlite_restore=3", SQLITE_BUSY, "another connection");
  SQL_OK(db, "INSERT INTO t VALUES (5); COMMIT");
  not_restored(db, "PRAGMA grpsqlite_restore=9", SQLITE_IOERR_WRITE, "NO_SUCH_VERSION");
  CHECK_STR("2|3|4|5", sql_get(second, "SELECT a FROM t"));
  fake_forget_before("main.db", 3);
  not_restored(db, "PRAGMA grpsqlite_restore=2", SQLITE_IOERR_WRITE, "snapshot too old");
  SQL_OK(second, "INSERT INTO t VALUES (6)");
  CHECK_STR("2|3|4|5|6", sql_get(db, "SELECT a FROM t"));
  sqlite3_close(other);
  sqlite3_close(read_only);
  sqlite3_close(old);
  sqlite3_close(second);
  sqlite3_close(db);
}

static void a_restore_whose_answer_is_lost(void) {
  CASE("P8: a restore whose answer was lost is an error, and what it did is seen");
  sqlite3 *db = fresh();
  sqlite3 *old = sql_open("file:main.db?version=1");
  fake_set_fault((fake_fault){.method = FAKE_RESTORE, .kind = FAKE_LOSE_ANSWER});
  CHECK_INT(SQLITE_IOERR_WRITE, sql_run(db, "PRAGMA grpsqlite_restore=2"));
  CHECK_HAS("not known whether this was restored: main.db", sqlite3_errmsg(db));
  CHECK_INT(1, fake_faults());
  CHECK_STR("2", sql_get(db, "SELECT a FROM t"));
  SQL_OK(db, "INSERT INTO t VALUES (5)");
  CHECK_STR("2|5", sql_get(db, "SELECT a FROM t"));
  /* The server does not know the session, but the lease; then it learns what we read. */
  fake_restart();
  sqlite3 *other = sql_open("file:main.db?token=other&mode=ro");
  CHECK_STR("7", sql_get(db, "PRAGMA grpsqlite_restore=3"));
  CHECK_INT(1, fake_fixed_views("main.db"));
  CHECK_STR("2|3", sql_get(other, "SELECT a FROM t"));
  sqlite3_close(other);
  sqlite3_close(old);
  sqlite3_close(db);
}

static void sent_again(void) {
  CASE("P5: a restore and a fork that are sent twice are made once");
  sqlite3 *db = fresh();
  fake_set_fault((fake_fault){.method = FAKE_RESTORE, .kind = FAKE_SEND_TWICE});
  CHECK_STR("5", sql_get(db, "PRAGMA grpsqlite_restore=2"));
  CHECK_INT(1, fake_faults());
  CHECK_INT(5, fake_head("main.db"));
  fake_set_fault((fake_fault){.method = FAKE_FORK, .kind = FAKE_SEND_TWICE});
  CHECK_STR("copy.db", sql_get(db, "PRAGMA grpsqlite_fork='copy.db'"));
  CHECK_INT(1, fake_faults());
  not_restored(db, "PRAGMA grpsqlite_fork='copy.db'", SQLITE_IOERR_WRITE,
               "not forked: main.db: ");
  not_restored(db, "PRAGMA grpsqlite_fork", SQLITE_ERROR, "takes the new database's name");
  fake_set_fault((fake_fault){.method = FAKE_FORK, .kind = FAKE_LOSE_ANSWER});
  not_restored(db, "PRAGMA grpsqlite_fork='late.db'", SQLITE_IOERR_WRITE,
               "not known whether this was forked: main.db");
  sqlite3 *copy = sql_open("copy.db");
  CHECK_STR("2", sql_get(copy, "SELECT a FROM t"));
  CHECK_STR("0", sql_get(copy, "PRAGMA grpsqlite_version"));
  sqlite3_close(copy);
  sqlite3_close(db);
}

static void history(void) {
  CASE("grpsqlite_history: newest first, times that at= takes, as few RPCs as rows need");
  sqlite3 *db = fresh();
  CHECK_STR("4|3|2|1|0", sql_get(db, "SELECT version FROM grpsqlite_history"));
  CHECK_STR("2001-09-09T01:46:43.000Z",
            sql_get(db, "SELECT committed_at FROM grpsqlite_history WHERE version = 3"));
  CHECK_STR("2,4096,2,8192", sql_get(db,
                                     "SELECT pages_changed || ',' || page_size || ',' || "
                                     "page_count || ',' || size FROM grpsqlite_history "
                                     "LIMIT 1"));
  CHECK_STR("0,0,0,0", sql_get(db,
                               "SELECT pages_changed || ',' || page_size || ',' || "
                               "page_count || ',' || size FROM grpsqlite_history "
                               "ORDER BY version LIMIT 1"));
  char uri[100];
  snprintf(uri, sizeof uri, "file:main.db?at=%s",
           sql_get(db, "SELECT committed_at FROM grpsqlite_history WHERE version = 2"));
  sqlite3 *old = sql_open(uri);
  CHECK_STR("2", sql_get(old, "PRAGMA grpsqlite_version"));
  CHECK_STR("4|3|2|1|0", sql_get(old, "SELECT version FROM grpsqlite_history('main')"));
  sqlite3_close(old);

  for (int i = 0; i < 1200; i++) SQL_OK(db, "INSERT INTO t VALUES (5)");
  static const struct {
    const char *sql, *rows;
    int rpcs;
  } cases[] = {
      {"SELECT version FROM grpsqlite_history LIMIT 3", "1204|1203|1202", 1},
      {"SELECT version FROM grpsqlite_history ORDER BY version DESC LIMIT 2", "1204|1203", 1},
      {"SELECT min(version) FROM (SELECT version FROM grpsqlite_history LIMIT 64)", "1141", 1},
      {"SELECT min(version) FROM (SELECT version FROM grpsqlite_history LIMIT 65)", "1140", 2},
      {"SELECT count(*) FROM grpsqlite_history", "1205", 3},
      {"SELECT count(DISTINCT version) FROM grpsqlite_history", "1205", 3},
      {"SELECT version FROM grpsqlite_history WHERE version >= 1203", "1204|1203", 1},
      {"SELECT version FROM grpsqlite_history WHERE version > 1203", "1204", 1},
      {"SELECT version FROM grpsqlite_history WHERE version > 1140 ORDER BY version LIMIT 1",
       "1141", 2},
      {"SELECT version FROM grpsqlite_history WHERE version > '1203'", "1204", 1},
      {"SELECT version FROM grpsqlite_history WHERE version > NULL", "", 3},
      {"SELECT version FROM grpsqlite_history ORDER BY version LIMIT 2", "0|1", 3},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    fprintf(stderr, "  %s\n", cases[i].sql);
    fake_reset_counts();
    CHECK_STR(cases[i].rows, sql_get(db, cases[i].sql));
    CHECK_INT(cases[i].rpcs, fake_calls(FAKE_ANY));
    CHECK_INT(cases[i].rpcs, fake_calls(FAKE_LIST_VERSIONS));
  }
  sqlite3_close(db);
}

static void the_history_of_which(void) {
  CASE("grpsqlite_history('aux') is of what is attached; of what has none, a sentence");
  sqlite3 *db = fresh();
  SQL_OK(db, "ATTACH 'copy.db' AS aux; CREATE TABLE aux.t(a)");
  SQL_OK(db, "ATTACH 'file:local?mode=memory&vfs=unix' AS local");
  CHECK_STR("1|0", sql_get(db, "SELECT version FROM grpsqlite_history('aux')"));
  CHECK_STR("main:4|aux:1",
            sql_get(db,
                    "SELECT schema || ':' || max(version) FROM (VALUES ('main'), ('aux')) "
                    "AS s JOIN grpsqlite_history(s.column1) GROUP BY schema "
                    "ORDER BY schema DESC"));
  static const struct {
    const char *sql, *part;
  } refused[] = {
      {"SELECT * FROM grpsqlite_history('local')",
       "local is no database of a gRPSQLite server"},
      {"SELECT * FROM grpsqlite_history('none')", "there is no database none"},
      {"SELECT * FROM grpsqlite_history(NULL)", "there is no database NULL"},
      {"SELECT * FROM grpsqlite_history('temp')", "grpsqlite_history: "},
  };
  for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
    CHECK_INT(SQLITE_ERROR, sql_run(db, refused[i].sql));
    CHECK_HAS(refused[i].part, sqlite3_errmsg(db));
  }
  /* A table that ends in the middle. */
  for (int i = 0; i < 100; i++) SQL_OK(db, "INSERT INTO aux.t VALUES (1)");
  sqlite3_stmt *statement;
  sqlite3_prepare_v2(db, "SELECT version FROM grpsqlite_history('aux')", -1, &statement, NULL);
  for (int i = 0; i < 64; i++) CHECK_INT(SQLITE_ROW, sqlite3_step(statement));
  SQL_OK(db, "DETACH aux");
  CHECK_INT(SQLITE_ERROR, sqlite3_step(statement));
  CHECK_HAS("there is no database aux", sqlite3_errmsg(db));
  sqlite3_reset(statement);
  SQL_OK(db, "ATTACH 'copy.db' AS aux");
  for (int i = 0; i < 64; i++) CHECK_INT(SQLITE_ROW, sqlite3_step(statement));
  SQL_OK(db, "DETACH aux; ATTACH 'main.db' AS aux");
  CHECK_INT(SQLITE_ERROR, sqlite3_step(statement));
  CHECK_HAS("another database", sqlite3_errmsg(db));
  sqlite3_finalize(statement);

  fake_set_fault((fake_fault){.method = FAKE_LIST_VERSIONS,
                              .kind = FAKE_REFUSE,
                              .code = GSQ_PERMISSION_DENIED,
                              .reason = "NOT_ALLOWED"});
  CHECK_INT(SQLITE_PERM, sql_run(db, "SELECT * FROM grpsqlite_history"));
  CHECK_HAS("NOT_ALLOWED", sqlite3_errmsg(db));
  fake_set_time_travel(0);
  CHECK_INT(SQLITE_ERROR, sql_run(db, "SELECT * FROM grpsqlite_history"));
  CHECK_HAS("UNSUPPORTED", sqlite3_errmsg(db));
  sqlite3_close(db);
}

#define THREADS 4
#define ROUNDS 60

/* Version n of the database has n - 1 rows. */
static void *travel(void *arg) {
  unsigned seed = (unsigned)(uintptr_t)arg;
  for (int round = 0; round < ROUNDS; round++) {
    char uri[100], rows[24];
    const uint64_t head = fake_head("main.db");
    seed = seed * 1103515245 + 12345;
    const unsigned version = 1 + (seed >> 16) % (unsigned)head;
    snprintf(uri, sizeof uri, "file:main.db?version=%u", version);
    snprintf(rows, sizeof rows, "%u", version - 1);
    sqlite3 *db = sql_open(uri);
    for (int i = 0; i < 3; i++) CHECK_STR(rows, sql_get(db, "SELECT count(*) FROM t"));
    if (round % 10 == 0)
      CHECK_STR("0", sql_get(db, "SELECT min(version) FROM grpsqlite_history"));
    CHECK_INT(SQLITE_OK, sqlite3_close(db));
  }
  return NULL;
}

static void threads(void) {
  CASE("threads: old versions opened, read and closed beside a writer and restarts");
  sqlite3 *db = fresh();
  sqlite3_close(db);
  fake_set_ttl_ms(150);
  sqlite3 *keeper = sql_open("file:main.db?version=1");
  pthread_t all[THREADS];
  for (uintptr_t i = 0; i < THREADS; i++)
    pthread_create(&all[i], NULL, travel, (void *)(i + 1));
  for (int i = 0; i < 40; i++) {
    db = sql_open("main.db");
    SQL_OK(db, "INSERT INTO t VALUES (9)");
    if (i % 8 == 7) fake_restart();
    sqlite3_close(db);
  }
  for (int i = 0; i < THREADS; i++) pthread_join(all[i], NULL);
  CHECK(await(one_view_is_left));
  CHECK_INT(44, fake_head("main.db"));
  CHECK_STR("0", sql_get(keeper, "SELECT count(*) FROM t"));
  sqlite3_close(keeper);
  CHECK_INT(0, fake_sessions());
}

int main(void) {
  CHECK_INT(SQLITE_OK, grpsqlite_register());
  every_version_and_time();
  a_warm_transaction_is_free();
  the_page_cache_is_shared();
  old_and_new_in_any_order();
  several_versions_by_attach();
  writing_is_refused();
  what_is_not_kept();
  what_the_server_is_told();
  a_read_finds_the_session_gone();
  telling_fails_once();
  an_opening_whose_answer_is_lost();
  many_views();
  restoring();
  restores_that_are_refused();
  a_restore_whose_answer_is_lost();
  sent_again();
  history();
  the_history_of_which();
  threads();
  return check_done();
}
