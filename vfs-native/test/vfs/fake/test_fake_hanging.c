/*
** A server that hangs: each connection waits for its own time, not for another's.
*/
#include <pthread.h>
#include <stdatomic.h>

#include "vfs/fake/await.h"
#include "vfs/fake/fake_server.h"
#include "vfs/fake/sql.h"

/* What a connection takes that waits for the hanging one; those beside it have some tenths of that. */
#define LONG_TIMEOUT "timeout_ms=20000&connect_timeout_ms=20000"
#define SHORT_TIMEOUT "timeout_ms=200&connect_timeout_ms=200"

typedef struct hanging {
  pthread_t thread;
  sqlite3 *db;      /* that reads; NULL: one is opened */
  const char *name; /* of that */
  atomic_int over;
} hanging;

static void *hang(void *arg) {
  hanging *it = arg;
  if (it->db) {
    CHECK_STR("error 3850", sql_get(it->db, "SELECT a FROM t"));
  } else {
    int rc;
    CHECK(sql_try_open(it->name, &rc) == NULL);
  }
  atomic_store(&it->over, 1);
  return NULL;
}

/* The next call of that method hangs, and a thread makes it. */
static void begin_hanging(hanging *it, enum fake_method method) {
  fake_set_fault((fake_fault){.method = method, .kind = FAKE_HANG});
  CHECK_INT(0, pthread_create(&it->thread, NULL, hang, it));
  AWAIT(fake_faults() == 1);
}

static void end_hanging(hanging *it) {
  CHECK_INT(0, atomic_load(&it->over));
  fake_let_go();
  pthread_join(it->thread, NULL);
}

static void prepare(void) {
  fake_reset();
  sqlite3 *db = sql_open("file:main.db?token=prepare");
  SQL_OK(db, "CREATE TABLE t(a); INSERT INTO t VALUES (1)");
  sqlite3_close(db);
}

static void reading_beside(void) {
  CASE("who reads beside a connection whose Refresh hangs waits no longer than its own time");
  prepare();
  hanging it = {.db = sql_open("file:main.db?" LONG_TIMEOUT)};
  sqlite3 *db = sql_open("file:main.db?" SHORT_TIMEOUT);
  CHECK_STR("1", sql_get(it.db, "SELECT a FROM t"));
  CHECK_STR("1", sql_get(db, "SELECT a FROM t"));
  begin_hanging(&it, FAKE_REFRESH);
  CHECK_STR("error 3850", sql_get(db, "SELECT a FROM t"));
  CHECK_HAS("within the time", sql_get(db, "PRAGMA grpsqlite_last_error"));
  end_hanging(&it);
  CHECK_STR("1", sql_get(db, "SELECT a FROM t"));
  sqlite3_close(db);
  sqlite3_close(it.db);
}

static void opening_beside(enum fake_method method) {
  CASE("who opens beside a connection whose open hangs waits no longer than its own time");
  prepare();
  hanging it = {.name = "file:main.db?" LONG_TIMEOUT};
  sqlite3 *stays = method == FAKE_OPEN_DATABASE ? sql_open("main.db") : NULL;
  if (stays) it.name = "file:other.db?" LONG_TIMEOUT;
  begin_hanging(&it, method);
  int rc;
  CHECK(sql_try_open("file:third.db?" SHORT_TIMEOUT, &rc) == NULL);
  CHECK_INT(0, atomic_load(&it.over));
  end_hanging(&it);
  sqlite3_close(sql_open("file:third.db?" SHORT_TIMEOUT));
  sqlite3_close(stays);
}

static void closing_beside(void) {
  CASE("who closes beside a connection whose open hangs leaves the rest to the background");
  prepare();
  hanging it = {.name = "file:other.db?" LONG_TIMEOUT};
  sqlite3 *stays = sql_open("file:stays.db?" SHORT_TIMEOUT);
  sqlite3 *db = sql_open("file:main.db?" SHORT_TIMEOUT);
  sqlite3 *old = sql_open("file:main.db?version=1");
  SQL_OK(db, "INSERT INTO t VALUES (2)");
  CHECK_INT(1, fake_fixed_views("main.db"));
  begin_hanging(&it, FAKE_OPEN_DATABASE);
  sqlite3_close(db);
  sqlite3_close(old);
  end_hanging(&it);
  /* The lease goes back, and the object as well: the next open of it asks the server. */
  AWAIT(fake_calls(FAKE_RELEASE_LEASE) > 0);
  sqlite3 *next = sql_open("file:main.db?token=next");
  AWAIT(sql_run(next, "UPDATE t SET a = 3 WHERE a = 2") == SQLITE_OK);
  fake_reset_counts();
  db = sql_open("file:main.db?" SHORT_TIMEOUT);
  CHECK_INT(1, fake_calls(FAKE_OPEN_DATABASE));
  CHECK_STR("1|3", sql_get(db, "SELECT a FROM t"));
  sqlite3_close(db);
  sqlite3_close(next);
  sqlite3_close(stays);
  CHECK_INT(0, fake_fixed_views("main.db"));
}

static void closed_late_and_never_again(void) {
  CASE("what was closed late goes with the server at the latest");
  prepare();
  hanging it = {.name = "file:other.db?" LONG_TIMEOUT};
  sqlite3 *db = sql_open("file:main.db?" SHORT_TIMEOUT);
  begin_hanging(&it, FAKE_OPEN_DATABASE);
  sqlite3_close(db);
  end_hanging(&it);
  CHECK_INT(0, fake_sessions());
}

static void closing_many(void) {
  CASE("who closes several databases waits once for a server that hangs");
  enum { MANY = 5, CLOSE_MS = 2000 };
  sqlite3 *dbs[MANY];
  fake_reset();
  sqlite3 *stays = sql_open("stays.db");
  for (int i = 0; i < MANY; i++) {
    char name[20];
    snprintf(name, sizeof name, "main%d.db", i);
    dbs[i] = sql_open(name);
    SQL_OK(dbs[i], "CREATE TABLE t(a); INSERT INTO t VALUES (1)");
  }
  fake_set_fault((fake_fault){.method = FAKE_ANY, .kind = FAKE_HANG, .forever = 1});
  const int64_t begun_ms = gsq_now_ms();
  for (int i = 0; i < MANY; i++) sqlite3_close(dbs[i]);
  CHECK(gsq_now_ms() - begun_ms < (MANY - 1) * CLOSE_MS);
  /* The leases go back as soon as it answers, and then it is waited for again. */
  fake_set_fault((fake_fault){.kind = FAKE_NO_FAULT});
  sqlite3 *next = sql_open("file:main4.db?token=next&timeout_ms=20000");
  sqlite3_busy_timeout(next, LONG_MS);
  SQL_OK(next, "INSERT INTO t VALUES (2)");
  sqlite3_close(next);
  sqlite3_close(stays);
  CHECK_INT(0, fake_sessions());
}

int main(void) {
  CHECK_INT(SQLITE_OK, grpsqlite_register());
  reading_beside();
  opening_beside(FAKE_OPEN_SESSION);
  opening_beside(FAKE_OPEN_DATABASE);
  closing_beside();
  closed_late_and_never_again();
  closing_many();
  return check_done();
}
