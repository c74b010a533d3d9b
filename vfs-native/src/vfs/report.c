#include "vfs/report.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "vfs/sqlite_api.h"

static pthread_mutex_t last_mutex = PTHREAD_MUTEX_INITIALIZER;
static char last_text[GSQ_REPORT_BYTES]; /* protected by last_mutex */

int gsq_result_code(const gsq_error *error, enum gsq_operation operation) {
  switch (error->code) {
    case GSQ_OK:
      return SQLITE_OK;
    case GSQ_NOMEM:
      return SQLITE_NOMEM;
    case GSQ_UNAUTHENTICATED:
      return SQLITE_AUTH;
    case GSQ_PERMISSION_DENIED:
      return operation == GSQ_WRITING || operation == GSQ_COMMITTING ? SQLITE_READONLY
                                                                     : SQLITE_PERM;
    case GSQ_DATA_LOSS:
      return SQLITE_IOERR_DATA;
    default:
      break;
  }
  if (gsq_error_is(error, "QUOTA") || gsq_error_is(error, "STORE_FULL")) return SQLITE_FULL;
  switch (operation) {
    case GSQ_OPENING:
      return SQLITE_CANTOPEN;
    case GSQ_LOCKING:
      return SQLITE_IOERR_LOCK;
    case GSQ_READING:
      return SQLITE_IOERR_READ;
    case GSQ_WRITING:
      return SQLITE_IOERR_WRITE;
    case GSQ_COMMITTING:
      return SQLITE_IOERR_FSYNC;
  }
  return SQLITE_IOERR;
}

int gsq_may_be_done(const gsq_error *error) {
  if (error->sent_before || gsq_error_is(error, "OUTCOME_UNKNOWN")) return 1;
  switch (error->code) {
    case GSQ_OK:
    case GSQ_NOMEM:
    case GSQ_INVALID_ARGUMENT:
    case GSQ_NOT_FOUND:
    case GSQ_ALREADY_EXISTS:
    case GSQ_PERMISSION_DENIED:
    case GSQ_RESOURCE_EXHAUSTED:
    case GSQ_FAILED_PRECONDITION:
    case GSQ_OUT_OF_RANGE:
    case GSQ_UNIMPLEMENTED:
    case GSQ_UNAUTHENTICATED:
      return 0;
    case GSQ_UNAVAILABLE:
    case GSQ_DEADLINE_EXCEEDED:
      return error->reason[0] != 0; /* else nothing was sent, or the answer would be missing */
    default:
      return 1;
  }
}

int gsq_fail(gsq_report *file, int result_code, const char *format, ...) {
  char text[GSQ_REPORT_BYTES];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  if (file) memcpy(file->text, text, sizeof text);
  pthread_mutex_lock(&last_mutex);
  memcpy(last_text, text, sizeof text);
  pthread_mutex_unlock(&last_mutex);
  if ((result_code & 0xff) != SQLITE_BUSY) sqlite3_log(result_code, "grpsqlite: %s", text);
  return result_code;
}

int gsq_fail_error(gsq_report *file, const gsq_error *error, enum gsq_operation operation,
                   const char *what, const char *name) {
  const char *words = gsq_error_is(error, "SNAPSHOT_TOO_OLD") ? "snapshot too old: " : "";
  return gsq_fail(file, gsq_result_code(error, operation), "%s %s: %s%s%s%s%s", what, name,
                  words, error->message, error->reason[0] ? " (" : "", error->reason,
                  error->reason[0] ? ")" : "");
}

void gsq_last_error(char *to, size_t size) {
  pthread_mutex_lock(&last_mutex);
  snprintf(to, size, "%s", last_text);
  pthread_mutex_unlock(&last_mutex);
}

void gsq_report_before_fork(void) {
  pthread_mutex_lock(&last_mutex);
}

void gsq_report_after_fork(void) {
  pthread_mutex_unlock(&last_mutex);
}
