#include "vfs/functions.h"

#include <dlfcn.h>

#include "vfs/history.h"
#include "vfs/report.h"

static void last_error(sqlite3_context *context, int count, sqlite3_value **values) {
  (void)count;
  (void)values;
  char text[GSQ_REPORT_BYTES];
  gsq_last_error(text, sizeof text);
  sqlite3_result_text(context, text, -1, SQLITE_TRANSIENT);
}

/* The file that this code was loaded from: the library, or the program that it is built into. */
static void library(sqlite3_context *context, int count, sqlite3_value **values) {
  (void)count;
  (void)values;
  Dl_info where;
  if (dladdr((void *)library, &where) && where.dli_fname) {
    sqlite3_result_text(context, where.dli_fname, -1, SQLITE_TRANSIENT);
  }
}

int gsq_functions_register(sqlite3 *db) {
  int rc = sqlite3_create_function(db, "grpsqlite_last_error", 0, SQLITE_UTF8, NULL, last_error,
                                   NULL, NULL);
  if (rc == SQLITE_OK) {
    rc = sqlite3_create_function(db, "grpsqlite_library", 0, SQLITE_UTF8, NULL, library, NULL,
                                 NULL);
  }
  return rc == SQLITE_OK ? gsq_history_register(db) : rc;
}
