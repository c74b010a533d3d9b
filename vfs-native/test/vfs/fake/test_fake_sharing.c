/* Connections beside each other: in one process, and as clients of one server (a client is a
** server object, and those are told apart by their token). */
#include <pthread.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <unistd.h>

#include "vfs/fake/await.h"
#include "vfs/fake/fake_server.h"
#include "vfs/fake/sql.h"

#define FILL "WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i+1 FROM n LIMIT 300) "

static sqlite3 *fresh(const char *uri) {
  fake_reset();
  sqlite3 *db = sql_open(uri);
  SQL_OK(db, "CREATE TABLE t(a); INSERT INTO t VALUES (1)");
  return db;
}

static void warm_reads_are_free_and_a_small_commit_is_one_rpc(void) {
  CASE("a warm read under a held lease makes no RPC, a small commit exactly one");
  sqlite3 *db = fresh("main.db");
  CHECK_STR("1", sql_get(db, "SELECT a FROM t"));
  fake_reset_counts();
  for (int i = 0; i < 10; i++) CHECK_STR("1", sql_get(db, "SELECT a FROM t"));
  CHECK_INT(0, fake_calls(FAKE_ANY));
  SQL_OK(db, "INSERT INTO t VALUES (2)");
  CHECK_INT(1, fake_calls(FAKE_ANY));
  CHECK_INT(1, fake_calls(FAKE_COMMIT));
  CHECK_INT(2, fake_last_commit_pages());
  /* A new connection to an open database costs nothing either. */
  sqlite3 *other = sql_open("main.db");
  CHECK_STR("1|2", sql_get(other, "SELECT a FROM t"));
  SQL_OK(other, "INSERT INTO t VALUES (3)");
  CHECK_INT(2, fake_calls(FAKE_ANY));
  CHECK_HAS("rpcs 2\n", sql_get(db, "PRAGMA grpsqlite_stats"));
  CHECK_HAS("commits 4\n", sql_get(db, "PRAGMA grpsqlite_stats"));
  sqlite3_close(other);
  CHECK_INT(2, fake_calls(FAKE_ANY));
  sqlite3_close(db);
}

static void opening_never_writes_and_reads_little(void) {
  CASE("opening and a first query cost few RPCs, and opening writes nothing");
  sqlite3 *db = fresh("main.db");
  sqlite3_close(db);
  fake_reset_counts();
  db = sql_open("main.db");
  CHECK_INT(2, fake_calls(FAKE_ANY)); /* OpenSession, OpenDatabase */
  CHECK_STR("1", sql_get(db, "SELECT a FROM t"));
  /* Refresh for the schema and for the query; page 1 came with the opening. */
  CHECK_INT(2, fake_calls(FAKE_REFRESH));
  CHECK_INT(1, fake_calls(FAKE_READ_PAGES));
  CHECK_INT(5, fake_calls(FAKE_ANY));
  CHECK_STR("1", sql_get(db, "SELECT a FROM t"));
  CHECK_INT(6, fake_calls(FAKE_ANY)); /* Refresh */
  CHECK_INT(2, fake_head("main.db"));
  sqlite3_close(db);
}

static void readers_keep_their_snapshot_beside_a_writer(void) {
  CASE("a reader keeps its snapshot beside a writer, and blocks it as little");
  sqlite3 *db = fresh("main.db");
  sqlite3 *reader = sql_open("main.db");
  SQL_OK(reader, "BEGIN");
  CHECK_STR("1", sql_get(reader, "SELECT a FROM t"));
  SQL_OK(db, "BEGIN; INSERT INTO t VALUES (2)");
  CHECK_STR("1", sql_get(reader, "SELECT a FROM t"));
  SQL_OK(db, "COMMIT");
  SQL_OK(db, "UPDATE t SET a = a + 10");
  CHECK_STR("1", sql_get(reader, "SELECT a FROM t"));
  CHECK_STR("2", sql_get(reader, "PRAGMA grpsqlite_version"));
  CHECK_STR("4", sql_get(db, "PRAGMA grpsqlite_version"));
  /* It may not write on what is old. */
  CHECK_INT(SQLITE_BUSY_SNAPSHOT, sql_run(reader, "INSERT INTO t VALUES (5)"));
  SQL_OK(reader, "COMMIT");
  CHECK_STR("11|12", sql_get(reader, "SELECT a FROM t"));
  SQL_OK(reader, "INSERT INTO t VALUES (5)");
  CHECK_STR("11|12|5", sql_get(db, "SELECT a FROM t"));
  /* One writes at a time. */
  SQL_OK(db, "BEGIN IMMEDIATE");
  CHECK_INT(SQLITE_BUSY, sql_run(reader, "BEGIN IMMEDIATE"));
  SQL_OK(db, "COMMIT");
  SQL_OK(reader, "BEGIN IMMEDIATE; COMMIT");
  sqlite3_close(reader);
  sqlite3_close(db);
}

static void every_version_is_seen_although_the_change_counter_stands_still(void) {
  CASE("P7: commits in exclusive mode do not count up, and are seen all the same");
  sqlite3 *db = fresh("file:main.db?token=a");
  sqlite3 *here = sql_open("file:main.db?token=a");
  sqlite3 *there = sql_open("file:main.db?token=b");
  SQL_OK(db, "PRAGMA locking_mode=exclusive");
  for (int i = 2; i < 8; i++) {
    char sql[100], want[20];
    snprintf(sql, sizeof sql, "UPDATE t SET a = %d", i);
    snprintf(want, sizeof want, "%d", i);
    SQL_OK(db, sql);
    CHECK_STR(want, sql_get(here, "SELECT a FROM t"));
    CHECK_STR(want, sql_get(there, "SELECT a FROM t"));
  }
  CHECK_STR("ok", sql_get(here, "PRAGMA integrity_check"));
  sqlite3_close(there);
  sqlite3_close(here);
  sqlite3_close(db);
}

static void a_second_client_is_busy_until_the_first_closes(void) {
  CASE("a second client gets SQLITE_BUSY, and proceeds when the first closes");
  sqlite3 *db = fresh("file:main.db?token=a");
  sqlite3 *other = sql_open("file:main.db?token=b");
  CHECK_STR("1", sql_get(other, "SELECT a FROM t"));
  CHECK_INT(SQLITE_BUSY, sql_run(other, "INSERT INTO t VALUES (2)"));
  CHECK_HAS("lease", sql_get(other, "PRAGMA grpsqlite_last_error"));
  SQL_OK(db, "INSERT INTO t VALUES (3)");
  CHECK_STR("1|3", sql_get(other, "SELECT a FROM t"));
  sqlite3_close(db);
  SQL_OK(other, "INSERT INTO t VALUES (2)");
  CHECK_STR("1|3|2", sql_get(other, "SELECT a FROM t"));
  sqlite3_close(other);
}

static int release_when_asked(void *arg, int times) {
  sqlite3 **db = arg;
  if (times == 2) {
    SQL_OK(*db, "INSERT INTO t VALUES (9)"); /* the head moves once more */
    sqlite3_close(*db);
    *db = NULL;
  }
  return times < 10;
}

static void the_busy_handler_makes_progress(void) {
  CASE("the busy handler is asked, and its retries start from SHARED");
  sqlite3 *db = fresh("file:main.db?token=a");
  sqlite3 *other = sql_open("file:main.db?token=b");
  sqlite3_busy_handler(other, release_when_asked, &db);
  SQL_OK(other, "INSERT INTO t VALUES (2)");
  CHECK(db == NULL);
  CHECK_STR("1|9|2", sql_get(other, "SELECT a FROM t"));
  sqlite3_close(other);
}

static void a_read_only_connection_never_takes_the_lease(void) {
  CASE("mode=ro reads, sees what is new, and never takes the lease");
  sqlite3 *db = fresh("file:main.db?token=a");
  sqlite3 *reader = sql_open("file:main.db?token=b&mode=ro");
  CHECK_STR("1", sql_get(reader, "SELECT a FROM t"));
  SQL_OK(db, "INSERT INTO t VALUES (2)");
  CHECK_STR("1|2", sql_get(reader, "SELECT a FROM t"));
  CHECK_INT(SQLITE_READONLY, sql_run(reader, "INSERT INTO t VALUES (3)"));
  /* One that writes beside it, in the same process. */
  sqlite3_close(db);
  sqlite3 *writer = sql_open("file:main.db?token=b");
  SQL_OK(writer, "INSERT INTO t VALUES (4)");
  CHECK_STR("1|2|4", sql_get(reader, "SELECT a FROM t"));
  sqlite3 *frozen = sql_open("file:main.db?token=c&immutable=1");
  CHECK_STR("1|2|4", sql_get(frozen, "SELECT a FROM t"));
  SQL_OK(writer, "INSERT INTO t VALUES (5)");
  CHECK_STR("1|2|4", sql_get(frozen, "SELECT a FROM t"));
  sqlite3_close(frozen);
  sqlite3_close(writer);
  sqlite3_close(reader);
}

static void pragmas(void) {
  CASE("PRAGMAs: SQLite's stay there, the server's go there, others are nobody's");
  sqlite3 *db = fresh("main.db");
  fake_reset_counts();
  CHECK_STR("4096", sql_get(db, "PRAGMA page_size"));
  CHECK_STR("42", sql_get(db, "PRAGMA user_version=42; PRAGMA user_version") ? "42" : "");
  CHECK_STR("main.db: x", sql_get(db, "PRAGMA fake_echo=x"));
  CHECK_STR("main.db: ", sql_get(db, "PRAGMA fake_echo"));
  CHECK_STR("", sql_get(db, "PRAGMA no_such_pragma"));
  char *name = NULL;
  CHECK_INT(SQLITE_OK, sqlite3_file_control(db, "main", SQLITE_FCNTL_VFSNAME, &name));
  CHECK_STR("grpsqlite", name);
  sqlite3_free(name);
  sqlite3_close(db);
}

static void floors_rise(void) {
  CASE("the server is told the lowest version that is still read");
  sqlite3 *db = fresh("main.db");
  sqlite3 *reader = sql_open("main.db");
  SQL_OK(reader, "BEGIN");
  CHECK_STR("1", sql_get(reader, "SELECT a FROM t"));
  for (int i = 0; i < 3; i++) SQL_OK(db, "INSERT INTO t VALUES (2)");
  CHECK_INT(2, fake_floor("main.db"));
  SQL_OK(reader, "COMMIT");
  SQL_OK(db, "INSERT INTO t VALUES (2)");
  CHECK_INT(5, fake_floor("main.db")); /* the version that the last commit was made from */
  sqlite3_close(reader);
  sqlite3_close(db);
}

static void a_forked_child_starts_anew(void) {
  CASE("after fork() the child opens anew, and what it inherited is dead and harmless");
#ifdef __SANITIZE_THREAD__
  fprintf(stderr, "  skipped: ThreadSanitizer allows no threads in a forked child\n");
  return;
#endif
  sqlite3 *db = fresh("main.db");
  SQL_OK(db, "BEGIN; INSERT INTO t VALUES (2)");
  fflush(NULL);
  pid_t child = fork_among_sleepers();
  if (child == 0) {
    /* The fake server is a copy too, so that only the child's own behaviour is seen here. */
    int failures = 0;
    fake_reset_counts();
    failures += sql_run(db, "COMMIT") == SQLITE_OK;
    failures += strstr(sql_get(db, "SELECT a FROM t"), "error") == NULL;
    sqlite3_close(db);
    failures += fake_calls(FAKE_ANY) != 0 || fake_sessions() != 1;
    sqlite3 *mine = sql_open("main.db");
    failures += strcmp(sql_get(mine, "SELECT a FROM t"), "1") != 0;
    failures += sql_run(mine, "INSERT INTO t VALUES (3)") != SQLITE_BUSY;
    failures += fake_sessions() != 2;
    sqlite3_close(mine);
    failures += fake_sessions() != 1;
    _exit(failures);
  }
  int status = -1;
  waitpid(child, &status, 0);
  CHECK_INT(0, status);
  SQL_OK(db, "COMMIT");
  CHECK_STR("1|2", sql_get(db, "SELECT a FROM t"));
  sqlite3_close(db);
}

static void *run_commit(void *arg) {
  sqlite3 **db = arg;
  CHECK_INT(SQLITE_OK, sql_run(db[0], "COMMIT"));
  return NULL;
}

static void nobody_reads_an_older_head_than_others_saw(const char *attached) {
  fprintf(stderr,
          "- P7: while a commit is unanswered, the process's other connections ask for the "
          "head%s\n",
          attached ? "; of a group" : "");
  sqlite3 *db = fresh("file:main.db?token=a");
  sqlite3 *beside = sql_open("file:main.db?token=a");
  sqlite3 *other = sql_open("file:main.db?token=b");
  if (attached) SQL_OK(db, attached);
  CHECK_STR("1", sql_get(beside, "SELECT a FROM t"));
  SQL_OK(db, "BEGIN; UPDATE t SET a = 2");
  if (attached) SQL_OK(db, "INSERT INTO two.u VALUES (1)");
  fake_reset_counts();
  CHECK_STR("1", sql_get(beside, "SELECT a FROM t"));
  CHECK_INT(0, fake_calls(FAKE_REFRESH)); /* the lease is held, and nothing is under way */
  fake_set_fault((fake_fault){.method = attached ? FAKE_COMMIT_GROUP : FAKE_COMMIT,
                              .kind = FAKE_HOLD_ANSWER});
  pthread_t thread;
  pthread_create(&thread, NULL, run_commit, &db);
  AWAIT(fake_faults() == 1);
  CHECK_STR("2", sql_get(other, "SELECT a FROM t"));
  CHECK_STR("2", sql_get(beside, "SELECT a FROM t")); /* it begins later */
  fake_let_go();
  pthread_join(thread, NULL);
  /* Once it is answered, nobody asks any more. */
  fake_reset_counts();
  CHECK_STR("2", sql_get(beside, "SELECT a FROM t"));
  CHECK_STR("2", sql_get(db, "SELECT a FROM t"));
  SQL_OK(db, "UPDATE t SET a = 3");
  CHECK_INT(1, fake_calls(FAKE_COMMIT));
  CHECK_INT(0, fake_calls(FAKE_REFRESH));
  CHECK_STR("3", sql_get(beside, "SELECT a FROM t"));
  sqlite3_close(other);
  sqlite3_close(beside);
  sqlite3_close(db);
}

/* A commit that is refused leaves the lease as good as it was. */
static void a_refused_commit_is_over(void) {
  CASE("after a commit that was refused, the lease is trusted as before");
  sqlite3 *db = fresh("main.db");
  sqlite3 *beside = sql_open("main.db");
  fake_set_fault((fake_fault){.method = FAKE_COMMIT,
                              .kind = FAKE_REFUSE,
                              .code = GSQ_RESOURCE_EXHAUSTED,
                              .reason = "QUOTA"});
  CHECK_INT(SQLITE_FULL, sql_run(db, "UPDATE t SET a = 2"));
  CHECK_STR("1", sql_get(beside, "SELECT a FROM t"));
  fake_reset_counts();
  CHECK_STR("1", sql_get(beside, "SELECT a FROM t"));
  CHECK_INT(0, fake_calls(FAKE_ANY));
  sqlite3_close(beside);
  sqlite3_close(db);
}

/* One writer moves amounts between rows, so that their sum stays; readers add up. */
#define READERS 8
static atomic_int stop;

static void *read_sums(void *arg) {
  (void)arg;
  sqlite3 *db = sql_open("main.db");
  int transactions = 0;
  do {
    SQL_OK(db, "BEGIN");
    const char *first = sql_get(db, "SELECT sum(b) || '/' || group_concat(b) FROM s");
    CHECK_HAS("10000/", first);
    CHECK_STR(first, sql_get(db, "SELECT sum(b) || '/' || group_concat(b) FROM s"));
    SQL_OK(db, "COMMIT");
    transactions++;
  } while (!atomic_load(&stop) || transactions < 3);
  sqlite3_close(db);
  return NULL;
}

static void many_threads(const char *journal) {
  fprintf(stderr, "- threads: one writer, %d readers, each transaction one version; %s\n",
          READERS, journal);
  char sql[200];
  sqlite3 *db = fresh("main.db");
  snprintf(sql, sizeof sql, "PRAGMA journal_mode=%s", journal);
  SQL_OK(db, sql);
  SQL_OK(db,
         "CREATE TABLE s(a INTEGER PRIMARY KEY, b); WITH RECURSIVE n(i) AS (VALUES (1) UNION "
         "ALL SELECT i+1 FROM n LIMIT 100) INSERT INTO s SELECT i, 100 FROM n");
  atomic_store(&stop, 0);
  pthread_t threads[READERS];
  for (int i = 0; i < READERS; i++) pthread_create(&threads[i], NULL, read_sums, NULL);
  for (int i = 0; i < 60; i++) {
    snprintf(
        sql, sizeof sql,
        "BEGIN; UPDATE s SET b = b - %d WHERE a = %d; UPDATE s SET b = b + %d WHERE a = %d; %s",
        i, i % 100 + 1, i, (i * 7) % 100 + 1, i % 5 == 4 ? "ROLLBACK" : "COMMIT");
    SQL_OK(db, sql);
  }
  atomic_store(&stop, 1);
  for (int i = 0; i < READERS; i++) pthread_join(threads[i], NULL);
  CHECK_STR("10000", sql_get(db, "SELECT sum(b) FROM s"));
  sqlite3_close(db);
  CHECK_INT(0, fake_sessions());
}

/* Threads that all write, open and close, with the lease coming and going, and a server that
** loses its sessions all the time. */
static void *write_rows(void *arg) {
  const int client = *(int *)arg;
  char uri[100], sql[100];
  snprintf(uri, sizeof uri, "file:main.db?token=%d", client % 2);
  for (int round = 0; round < 5; round++) {
    sqlite3 *db = sql_open(uri);
    sqlite3_busy_timeout(db, 60000);
    for (int i = 0; i < 5; i++) {
      snprintf(sql, sizeof sql, "INSERT INTO w VALUES (%d, %d)", client, round * 5 + i);
      int rc = sql_run(db, sql);
      CHECK_INT(SQLITE_OK, rc);
    }
    sqlite3_close(db);
  }
  return NULL;
}

static void many_writers(void) {
  CASE("threads: writers of two clients, opening and closing; every row is there once");
  sqlite3 *db = fresh("main.db");
  SQL_OK(db, "CREATE TABLE w(a, b)");
  sqlite3_close(db);
  int clients[4] = {0, 1, 2, 3};
  pthread_t threads[4];
  for (int i = 0; i < 4; i++) pthread_create(&threads[i], NULL, write_rows, &clients[i]);
  for (int i = 0; i < 4; i++) pthread_join(threads[i], NULL);
  db = sql_open("main.db");
  CHECK_STR("100", sql_get(db, "SELECT count(*) FROM w"));
  CHECK_STR("100", sql_get(db, "SELECT count(*) FROM (SELECT DISTINCT a, b FROM w)"));
  CHECK_STR("ok", sql_get(db, "PRAGMA integrity_check"));
  sqlite3_close(db);
  CHECK_INT(0, fake_sessions());
}

static void two_databases_and_two_servers(void) {
  CASE("two databases and two servers in one process, each its own");
  fake_reset();
  sqlite3 *db = sql_open("file:one.db?server=http://127.0.0.1:1");
  SQL_OK(db, "ATTACH 'file:two.db?server=http://127.0.0.1:2' AS two");
  SQL_OK(db, "CREATE TABLE t(a); CREATE TABLE two.u(a); INSERT INTO t VALUES (1)");
  SQL_OK(db, "INSERT INTO u SELECT a + 1 FROM t");
  CHECK_STR("2", sql_get(db, "SELECT a FROM u"));
  CHECK_INT(2, fake_sessions());
  CHECK_INT(2, fake_head("one.db"));
  CHECK_INT(2, fake_head("two.db"));
  CHECK_STR("http://127.0.0.1:2", sql_get(db, "PRAGMA two.grpsqlite_server"));
  sqlite3_close(db);
  CHECK_INT(0, fake_sessions());
}

/* Until the condition holds, or some seconds are over. */
static int await(int (*condition)(void)) {
  for (int i = 0; i < 500; i++) {
    if (condition()) return 1;
    sqlite3_sleep(10);
  }
  return 0;
}

static int kept_alive(void) {
  return fake_calls(FAKE_KEEP_ALIVE) >= 3;
}

static int floor_is_two(void) {
  return fake_floor("main.db") == 2;
}

static int no_view_of_other(void) {
  return fake_floor("other.db") == UINT64_MAX;
}

static void the_background_thread(void) {
  CASE("KeepAlive renews, tells floors and closed views, and stops with the last close");
  fake_reset();
  fake_set_ttl_ms(300);
  sqlite3 *db = sql_open("main.db");
  sqlite3 *other = sql_open("other.db");
  SQL_OK(db, "CREATE TABLE t(a); INSERT INTO t VALUES (1)");
  fake_reset_counts();
  CHECK(await(kept_alive));
  CHECK(await(floor_is_two));
  CHECK_INT(fake_calls(FAKE_REFRESH), fake_calls(FAKE_ANY)); /* of what is idle */
  sqlite3_close(other);
  CHECK(await(no_view_of_other));
  fake_restart();
  fake_reset_counts();
  CHECK(await(kept_alive));
  CHECK_INT(1, fake_sessions());
  SQL_OK(db, "INSERT INTO t VALUES (2)");
  sqlite3_close(db);
}

static int kept_alive_more(void) {
  return fake_calls(FAKE_KEEP_ALIVE) >= 9;
}

static void who_is_idle_keeps_nothing(void) {
  CASE(
      "the floor of a connection that is idle rises with the head, that of one that reads does "
      "not");
  fake_reset();
  fake_set_ttl_ms(300);
  sqlite3 *writer = sql_open("file:main.db?token=writer");
  SQL_OK(writer, "CREATE TABLE t(a); INSERT INTO t VALUES (1)");
  sqlite3 *reader = sql_open("main.db");
  CHECK_STR("1", sql_get(reader, "SELECT sum(a) FROM t"));
  for (int i = 0; i < 5; i++) SQL_OK(writer, "INSERT INTO t VALUES (1)");
  AWAIT(fake_floor("main.db") == fake_head("main.db"));

  SQL_OK(reader, "BEGIN");
  CHECK_STR("6", sql_get(reader, "SELECT sum(a) FROM t"));
  const uint64_t read = fake_head("main.db");
  for (int i = 0; i < 5; i++) SQL_OK(writer, "INSERT INTO t VALUES (1)");
  fake_reset_counts();
  CHECK(await(kept_alive_more));
  CHECK_INT(read, fake_floor("main.db"));
  CHECK_INT(0, fake_calls(FAKE_REFRESH));
  CHECK_STR("6", sql_get(reader, "SELECT sum(a) FROM t"));
  SQL_OK(reader, "COMMIT");
  AWAIT(fake_floor("main.db") == fake_head("main.db"));
  CHECK_STR("11", sql_get(reader, "SELECT sum(a) FROM t"));
  sqlite3_close(reader);
  sqlite3_close(writer);
}

static void who_was_watched_is_idle(void) {
  CASE("so does that of one that was watched by another connection, which is closed");
  fake_reset();
  fake_set_ttl_ms(300);
  fake_set_watch(FAKE_WATCHES);
  sqlite3 *writer = sql_open("file:main.db?token=writer");
  SQL_OK(writer, "CREATE TABLE t(a); INSERT INTO t VALUES (1)");
  sqlite3 *idle = sql_open("main.db");
  CHECK_STR("1", sql_get(idle, "SELECT sum(a) FROM t"));
  sqlite3 *watcher = sql_open("file:main.db?max_staleness_ms=60000");
  AWAIT(fake_streams_with("main.db") == 1);
  sqlite3_close(watcher);
  AWAIT(fake_streams_with("main.db") == 0);
  for (int i = 0; i < 5; i++) SQL_OK(writer, "INSERT INTO t VALUES (1)");
  AWAIT(fake_floor("main.db") == fake_head("main.db"));
  sqlite3_close(idle);
  sqlite3_close(writer);
}

#define MANY 6

static int no_floor_lags(void) {
  for (int i = 0; i < MANY; i++) {
    char name[20];
    snprintf(name, sizeof name, "%d.db", i);
    if (fake_floor(name) != fake_head(name)) return 0;
  }
  return 1;
}

static void many_are_idle(void) {
  CASE("so of many databases, one after the other, also if one of them is refused");
  fake_reset();
  fake_set_ttl_ms(300);
  sqlite3 *idle[MANY];
  char uri[60];
  for (int i = 0; i < MANY; i++) {
    snprintf(uri, sizeof uri, "file:%d.db?token=writer", i);
    sqlite3 *writer = sql_open(uri);
    SQL_OK(writer, "CREATE TABLE t(a)");
    snprintf(uri, sizeof uri, "%d.db", i);
    idle[i] = sql_open(uri);
    CHECK_STR("0", sql_get(idle[i], "SELECT count(*) FROM t"));
    SQL_OK(writer, "INSERT INTO t VALUES (1)");
    sqlite3_close(writer);
  }
  fake_set_fault((fake_fault){.method = FAKE_REFRESH,
                              .kind = FAKE_REFUSE,
                              .code = GSQ_PERMISSION_DENIED,
                              .reason = "NOT_ALLOWED"});
  AWAIT(no_floor_lags());
  CHECK_INT(1, fake_faults());
  for (int i = 0; i < MANY; i++) sqlite3_close(idle[i]);
}

static void an_untrusted_lease_is_asked_for_again(void) {
  CASE("without KeepAlive the lease is trusted for its TTL and no longer");
  fake_reset();
  fake_set_ttl_ms(400);
  sqlite3 *db = sql_open("main.db");
  SQL_OK(db, "CREATE TABLE t(a); INSERT INTO t VALUES (1)");
  CHECK_STR("1", sql_get(db, "SELECT a FROM t"));
  fake_set_fault((fake_fault){
      .method = FAKE_KEEP_ALIVE, .kind = FAKE_REFUSE, .forever = 1, .code = GSQ_UNAVAILABLE});
  sqlite3_sleep(450); /* what is waited for is that nothing renews it */
  fake_reset_counts();
  CHECK_STR("1", sql_get(db, "SELECT a FROM t"));
  CHECK_INT(1, fake_calls(FAKE_REFRESH));
  SQL_OK(db, "INSERT INTO t VALUES (2)");
  CHECK_INT(1, fake_calls(FAKE_ACQUIRE_LEASE));
  sqlite3_close(db);
}

static void a_lease_of_an_earlier_session_is_not_trusted(void) {
  CASE("P7: a lease that was lost with its session is not trusted in the next one");
  fake_reset();
  fake_set_ttl_ms(300);
  sqlite3 *db = sql_open("main.db");
  SQL_OK(db, "CREATE TABLE t(a); INSERT INTO t VALUES (1)");
  fake_restart();
  fake_take_lease("main.db");
  sqlite3 *other = sql_open("file:main.db?token=b");
  SQL_OK(other, "INSERT INTO t VALUES (2)");
  fake_reset_counts();
  CHECK(await(kept_alive)); /* by now both have a session again */
  CHECK_STR("1|2", sql_get(db, "SELECT a FROM t"));
  sqlite3_close(other);
  sqlite3_close(db);
}

/* The content at version 0, in a cache that begins there. */
static void a_fork_has_content_at_version_0(void) {
  CASE("a fork: its content is version 0's, for readers, writers and after roll-backs");
  sqlite3 *db = fresh("main.db");
  SQL_OK(db, FILL "INSERT INTO t SELECT i FROM n WHERE i > 1");
  SQL_OK(db, "CREATE TABLE u(b); INSERT INTO u VALUES (zeroblob(100000))");
  fake_fork("main.db", "fork.db");
  sqlite3_close(db);
  CHECK_INT(0, fake_head("fork.db"));
  sqlite3 *one = sql_open("file:fork.db?token=1"), *two = sql_open("file:fork.db?token=2");
  sqlite3 *reader = sql_open("file:fork.db?token=1");
  CHECK_STR("300", sql_get(one, "SELECT count(*) FROM t"));
  SQL_OK(one, "BEGIN; UPDATE t SET a = a + 1000; DELETE FROM u");
  CHECK_STR("300", sql_get(reader, "SELECT count(*) FROM t WHERE a < 1000"));
  SQL_OK(one, "ROLLBACK");
  CHECK_INT(0, fake_head("fork.db"));
  CHECK_STR("300", sql_get(one, "SELECT count(*) FROM t WHERE a < 1000"));
  SQL_OK(reader, "BEGIN; SELECT a FROM t");
  SQL_OK(two, "BEGIN");
  CHECK_STR("300", sql_get(two, "SELECT count(*) FROM t WHERE a < 1000"));
  SQL_OK(one, "UPDATE t SET a = a + 1000 WHERE a > 150");
  CHECK_INT(1, fake_head("fork.db"));
  CHECK_STR("300", sql_get(reader, "SELECT count(*) FROM t WHERE a < 1000"));
  CHECK_STR("300", sql_get(two, "SELECT count(*) FROM t WHERE a < 1000"));
  CHECK_INT(SQLITE_BUSY, sql_run(two, "DELETE FROM t"));
  SQL_OK(reader, "COMMIT");
  SQL_OK(two, "COMMIT");
  CHECK_STR("150", sql_get(reader, "SELECT count(*) FROM t WHERE a < 1000"));
  CHECK_STR("150", sql_get(two, "SELECT count(*) FROM t WHERE a < 1000"));
  CHECK_STR("100000", sql_get(two, "SELECT length(b) FROM u"));
  sqlite3_close(one);
  sqlite3_close(reader);
  SQL_OK(two, "DELETE FROM u; VACUUM");
  CHECK_STR("ok", sql_get(two, "PRAGMA integrity_check"));
  CHECK_INT(3, fake_head("fork.db"));
  sqlite3_close(two);
  db = sql_open("main.db");
  CHECK_STR("300", sql_get(db, "SELECT count(*) FROM t WHERE a < 1000"));
  sqlite3_close(db);
}

int main(void) {
  CHECK_INT(SQLITE_OK, grpsqlite_register());
  warm_reads_are_free_and_a_small_commit_is_one_rpc();
  opening_never_writes_and_reads_little();
  readers_keep_their_snapshot_beside_a_writer();
  every_version_is_seen_although_the_change_counter_stands_still();
  a_second_client_is_busy_until_the_first_closes();
  the_busy_handler_makes_progress();
  a_read_only_connection_never_takes_the_lease();
  pragmas();
  floors_rise();
  a_forked_child_starts_anew();
  many_threads("delete");
  many_threads("memory");
  many_writers();
  two_databases_and_two_servers();
  nobody_reads_an_older_head_than_others_saw(NULL);
  nobody_reads_an_older_head_than_others_saw(
      "ATTACH 'file:two.db?token=a' AS two; CREATE TABLE two.u(a)");
  a_refused_commit_is_over();
  the_background_thread();
  who_is_idle_keeps_nothing();
  who_was_watched_is_idle();
  many_are_idle();
  an_untrusted_lease_is_asked_for_again();
  a_lease_of_an_earlier_session_is_not_trusted();
  a_fork_has_content_at_version_0();
  return check_done();
}
