/*
** A few words for running SQL in tests.
*/
#ifndef GSQ_TEST_SQL_H
#define GSQ_TEST_SQL_H

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"

int grpsqlite_register(void);

static inline sqlite3 *sql_try_open(const char *name, int *rc) {
  sqlite3 *db = NULL;
  *rc = sqlite3_open_v2(name, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_URI,
                        NULL);
  if (*rc != SQLITE_OK) {
    sqlite3_close(db);
    return NULL;
  }
  sqlite3_extended_result_codes(db, 1);
  return db;
}

static inline sqlite3 *sql_open(const char *name) {
  int rc;
  sqlite3 *db = sql_try_open(name, &rc);
  if (!CHECK_INT(SQLITE_OK, rc)) exit(1);
  return db;
}

/* Runs statements; the extended result code. */
static inline int sql_run(sqlite3 *db, const char *sql) {
  return sqlite3_exec(db, sql, NULL, NULL, NULL);
}

/* The first column of all rows, joined with '|', or "error N". Good until the fourth call after. */
static inline const char *sql_get(sqlite3 *db, const char *sql) {
  static _Thread_local char results[4][4096];
  static _Thread_local unsigned next;
  char *out = results[next++ % 4];
  sqlite3_stmt *statement = NULL;
  size_t used = 0;
  out[0] = 0;
  int rc = sqlite3_prepare_v2(db, sql, -1, &statement, NULL);
  while (rc == SQLITE_OK && (rc = sqlite3_step(statement)) == SQLITE_ROW) {
    const char *text = (const char *)sqlite3_column_text(statement, 0);
    used += (size_t)snprintf(out + used, 4096 - used, "%s%s", used ? "|" : "", text ? text : "");
    rc = SQLITE_OK;
    if (used >= 4095) break;
  }
  if (rc != SQLITE_OK && rc != SQLITE_DONE) snprintf(out, 4096, "error %d", rc);
  sqlite3_finalize(statement);
  return out;
}

#define SQL_OK(db, sql)                                                             \
  do {                                                                              \
    if (!CHECK_INT(SQLITE_OK, sql_run((db), (sql)))) {                              \
      fprintf(stderr, "  %s: %s\n", (sql), sqlite3_errmsg(db));                     \
    }                                                                               \
  } while (0)

#endif
