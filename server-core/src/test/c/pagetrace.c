/*
** A VFS "pagetrace" over the default one: what is read of main database files is appended to the file
** that PAGETRACE names, a line of offset and length for each read. Tests load it into sqlite3.
*/
#include <stdio.h>
#include <stdlib.h>

#include <sqlite3ext.h>
SQLITE_EXTENSION_INIT1

static sqlite3_vfs trace_vfs;
static sqlite3_io_methods trace_methods;
static int (*real_read)(sqlite3_file *, void *, int, sqlite3_int64);
static FILE *trace;

static int trace_read(sqlite3_file *file, void *to, int size, sqlite3_int64 offset) {
  fprintf(trace, "%lld %d\n", (long long)offset, size);
  return real_read(file, to, size, offset);
}

static int trace_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *out) {
  sqlite3_vfs *real = vfs->pAppData;
  int rc = real->xOpen(real, name, file, flags, out);
  if (rc == SQLITE_OK && (flags & SQLITE_OPEN_MAIN_DB)) {
    /* All of them have the same methods. */
    real_read = file->pMethods->xRead;
    trace_methods = *file->pMethods;
    trace_methods.xRead = trace_read;
    file->pMethods = &trace_methods;
  }
  return rc;
}

int sqlite3_pagetrace_init(sqlite3 *db, char **error, const sqlite3_api_routines *api) {
  (void)db;
  (void)error;
  SQLITE_EXTENSION_INIT2(api);
  const char *path = getenv("PAGETRACE");
  trace = path ? fopen(path, "a") : NULL;
  if (!trace) return SQLITE_CANTOPEN;
  setvbuf(trace, NULL, _IOLBF, 0);
  sqlite3_vfs *real = sqlite3_vfs_find(NULL);
  trace_vfs = *real;
  trace_vfs.zName = "pagetrace";
  trace_vfs.pAppData = real;
  trace_vfs.xOpen = trace_open;
  sqlite3_vfs_register(&trace_vfs, 0);
  return SQLITE_OK_LOAD_PERMANENTLY;
}
