/*
** Many threads of one process on databases of the VFS, each with a connection of its own.
**
**   threads readers LIBRARY DATABASE TRANSACTIONS
**     One writer moves money between accounts; 15 readers see all of it or nothing, one version in
**     each transaction, and are never told that the database is busy.
**
**   threads apart LIBRARY TRANSACTIONS DATABASE...
**     One writer on each of the databases, which have nothing to do with each other.
**
** Prints "ok" and ends with 0, or says what was wrong and ends with 1.
*/
#include <pthread.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { READERS = 15, ACCOUNTS = 200, BALANCE = 1000, MOST_DATABASES = 8 };

static atomic_int writer_is_done;
static atomic_long reads;

static void fail(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  vfprintf(stderr, format, arguments);
  va_end(arguments);
  fputc('\n', stderr);
  exit(1);
}

static sqlite3 *open_database(const char *name) {
  sqlite3 *db;
  int rc = sqlite3_open_v2(name, &db,
                           SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_URI, NULL);
  if (rc != SQLITE_OK) {
    fail("open %s: %s", name, sqlite3_errmsg(db));
  }
  return db;
}

static void run(sqlite3 *db, const char *sql) {
  char *message = NULL;
  if (sqlite3_exec(db, sql, NULL, NULL, &message) != SQLITE_OK) {
    fail("%s: %s (%d)", sql, message, sqlite3_extended_errcode(db));
  }
}

static sqlite3_int64 number(sqlite3 *db, const char *sql) {
  sqlite3_stmt *statement;
  if (sqlite3_prepare_v2(db, sql, -1, &statement, NULL) != SQLITE_OK ||
      sqlite3_step(statement) != SQLITE_ROW) {
    fail("%s: %s (%d)", sql, sqlite3_errmsg(db), sqlite3_extended_errcode(db));
  }
  sqlite3_int64 value = sqlite3_column_int64(statement, 0);
  sqlite3_finalize(statement);
  return value;
}

static void load(const char *library) {
  sqlite3 *db;
  char *message = NULL;
  if (sqlite3_open(":memory:", &db) != SQLITE_OK ||
      sqlite3_enable_load_extension(db, 1) != SQLITE_OK ||
      sqlite3_load_extension(db, library, NULL, &message) != SQLITE_OK) {
    fail("load %s: %s", library, message);
  }
  sqlite3_close(db);
}

static void *reader(void *name) {
  sqlite3 *db = open_database(name);
  sqlite3_int64 last = 0;
  do {
    run(db, "BEGIN");
    sqlite3_int64 version = number(db, "SELECT version FROM state");
    for (int pass = 0; pass < 2; pass++) {
      sqlite3_int64 sum = number(db, "SELECT sum(balance) FROM account");
      if (sum != (sqlite3_int64)ACCOUNTS * BALANCE) {
        fail("a reader saw half a transaction: the sum is %lld", sum);
      }
      sqlite3_int64 marked = number(db, "SELECT max(version) FROM account");
      if (marked != version || number(db, "SELECT version FROM state") != version) {
        fail("a reader saw versions %lld and %lld in one transaction", version, marked);
      }
    }
    run(db, "COMMIT");
    if (version < last) {
      fail("a reader went back from version %lld to %lld", last, version);
    }
    last = version;
    atomic_fetch_add(&reads, 1);
  } while (!atomic_load(&writer_is_done));
  sqlite3_close(db);
  return NULL;
}

static void readers(const char *name, int transactions) {
  sqlite3 *db = open_database(name);
  char sql[400];
  run(db, "CREATE TABLE state (version INT); INSERT INTO state VALUES (0);"
          "CREATE TABLE account (id INTEGER PRIMARY KEY, balance INT, version INT, pad)");
  snprintf(sql, sizeof sql,
           "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d)"
           " INSERT INTO account SELECT i, %d, 0, zeroblob(300) FROM n",
           ACCOUNTS, BALANCE);
  run(db, sql);

  pthread_t threads[READERS];
  for (int i = 0; i < READERS; i++) {
    if (pthread_create(&threads[i], NULL, reader, (void *)name) != 0) {
      fail("no thread");
    }
  }
  for (int n = 1; n <= transactions; n++) {
    snprintf(sql, sizeof sql,
             "BEGIN IMMEDIATE;"
             "UPDATE account SET balance = balance - 7, version = %d WHERE id %% 2 = %d;"
             "UPDATE account SET balance = balance + 7, version = %d WHERE id %% 2 = %d;"
             "UPDATE state SET version = %d; COMMIT",
             n, n % 2, n, 1 - n % 2, n);
    run(db, sql);
  }
  atomic_store(&writer_is_done, 1);
  for (int i = 0; i < READERS; i++) {
    pthread_join(threads[i], NULL);
  }
  sqlite3_close(db);
  if (atomic_load(&reads) < READERS) {
    fail("only %ld reads", atomic_load(&reads));
  }
}

struct task {
  const char *name;
  int transactions;
  int number;
};

static void *writer(void *argument) {
  const struct task *task = argument;
  sqlite3 *db = open_database(task->name);
  char sql[200];
  run(db, "CREATE TABLE t (task INT, n INT)");
  for (int n = 0; n < task->transactions; n++) {
    snprintf(sql, sizeof sql, "INSERT INTO t VALUES (%d, %d)", task->number, n);
    run(db, sql);
  }
  sqlite3_close(db);
  return NULL;
}

static void apart(int transactions, int count, char **names) {
  pthread_t threads[MOST_DATABASES];
  struct task tasks[MOST_DATABASES];
  if (count > MOST_DATABASES) {
    fail("too many databases");
  }
  for (int i = 0; i < count; i++) {
    tasks[i] = (struct task){names[i], transactions, i};
    if (pthread_create(&threads[i], NULL, writer, &tasks[i]) != 0) {
      fail("no thread");
    }
  }
  for (int i = 0; i < count; i++) {
    pthread_join(threads[i], NULL);
  }
  for (int i = 0; i < count; i++) {
    sqlite3 *db = open_database(names[i]);
    sqlite3_int64 rows = number(db, "SELECT count(*) FROM t");
    sqlite3_int64 first = number(db, "SELECT min(task) FROM t");
    sqlite3_int64 last = number(db, "SELECT max(task) FROM t");
    if (rows != transactions || first != i || last != i) {
      fail("%s: %lld rows of %lld to %lld", names[i], rows, first, last);
    }
    sqlite3_close(db);
  }
}

int main(int argc, char **argv) {
  if (argc < 5) {
    fail("usage: see the top of the source");
  }
  load(argv[2]);
  if (strcmp(argv[1], "readers") == 0) {
    readers(argv[3], atoi(argv[4]));
  } else {
    apart(atoi(argv[3]), argc - 4, argv + 4);
  }
  puts("ok");
  return 0;
}
