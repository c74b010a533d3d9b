/*
** Telling people what went wrong: the last error of a file and of the process, SQLite's log, and
** which SQLite result code an error of the layers below becomes.
*/
#ifndef GSQ_VFS_REPORT_H
#define GSQ_VFS_REPORT_H

#include <stddef.h>

#include "base/error.h"

#define GSQ_REPORT_BYTES 640

/* The last error of one file; used by one thread at a time, as the file is. */
typedef struct gsq_report {
  char text[GSQ_REPORT_BYTES];
} gsq_report;

/* What was being done, for the result code of errors that have no better one. */
enum gsq_operation { GSQ_OPENING, GSQ_LOCKING, GSQ_READING, GSQ_WRITING, GSQ_COMMITTING };

int gsq_result_code(const gsq_error *error, enum gsq_operation operation);

/* Whether what a call that failed so was to do may have been done, or may yet be. */
int gsq_may_be_done(const gsq_error *error);

/* Remembers the sentence for the process and for the file (may be NULL), writes it to SQLite's
** log unless the code is SQLITE_BUSY, and returns the code. */
int gsq_fail(gsq_report *file, int result_code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The same for an error from below; `what` was being done, on `name`. */
int gsq_fail_error(gsq_report *file, const gsq_error *error, enum gsq_operation operation,
                   const char *what, const char *name);

/* Copies the process's last error, "" if there was none. */
void gsq_last_error(char *to, size_t size);

/* For fork.c: around fork(), so that the child finds the lock free. */
void gsq_report_before_fork(void);
void gsq_report_after_fork(void);

#endif
