/*
** gRPSQLite as a loadable extension, as a library that a program opens by itself, and built in.
**
** LOADING. In the shell `.load libgrpsqlite_vfs`, elsewhere sqlite3_load_extension or
** load_extension(): SQLite derives sqlite3_grpsqlitevfs_init from the file's name. It registers
** the VFS "grpsqlite", makes it the default for databases that are opened from then on, and never
** fails for want of a server: opening does. The library stays loaded for the life of the process, and
** so does the SQLite that it was loaded into, whose functions its threads call: a JVM would unload
** that with the class loader that brought it.
**
** WITHOUT BECOMING THE DEFAULT. With the entry point grpsqlite_named_init, the second argument of
** load_extension(), databases are at a server if their URI says vfs=grpsqlite, and all others are
** what they were: for a part of a program that does not own the whole of it.
**
** SEVERAL SQLITES IN A PROCESS. A library serves the one that loaded it first and refuses others;
** each can load a copy of the file.
**
** WITHOUT LOADING. A program that cannot load extensions opens the library with dlopen and calls
** grpsqlite_register(), see include/grpsqlite.h.
**
** BUILT IN. The archive is compiled with GSQ_STATIC and calls SQLite directly. Compile sqlite3.c
** with -DSQLITE_EXTRA_INIT=grpsqlite_static_init, or call that after sqlite3_initialize().
**
** All of them also give each database connection opened later the SQL function
** grpsqlite_last_error() and the table grpsqlite_history.
*/
#include <dlfcn.h>
#include <pthread.h>
#include <stddef.h>
#include <stdint.h>

#include "vfs/functions.h"
#include "vfs/server.h"
#include "vfs/sqlite_api.h"
#include "vfs/vfs.h"

#define EXPORT __attribute__((visibility("default")))

EXPORT int grpsqlite_register(void);
EXPORT int grpsqlite_stats(uint64_t *values, int count);

#ifndef GSQ_STATIC
const sqlite3_api_routines *sqlite3_api;

EXPORT int sqlite3_grpsqlitevfs_init(sqlite3 *db, char **message,
                                     const sqlite3_api_routines *api);
EXPORT int grpsqlite_named_init(sqlite3 *db, char **message, const sqlite3_api_routines *api);

/* sqlite3_database_file_object is the newest function that we call. */
#define MIN_SQLITE_VERSION 3032000
#endif

/* What SQLite calls for each connection opened later. */
static int on_open(sqlite3 *db, char **message, const sqlite3_api_routines *api) {
  (void)message;
  (void)api;
  return gsq_functions_register(db);
}

int grpsqlite_stats(uint64_t *values, int count) {
  gsq_totals totals;
  gsq_servers_totals(&totals);
  const uint64_t all[] = {
      totals.servers,      totals.rpcs,           totals.retries, totals.connects,
      totals.bytes_sent,   totals.bytes_received, totals.commits, totals.pages_committed,
      totals.pages_staged, totals.watch_events,   totals.unasked, totals.yields,
      totals.delegated};
  const int known = (int)(sizeof all / sizeof all[0]);
  for (int i = 0; i < count && i < known; i++) values[i] = all[i];
  return known;
}

static int install(int as_default) {
  int rc = gsq_vfs_register(as_default);
  if (rc == SQLITE_OK) rc = sqlite3_auto_extension((void (*)(void))on_open);
  return rc;
}

#ifdef GSQ_STATIC

int grpsqlite_static_init(const char *unused);

int grpsqlite_static_init(const char *unused) {
  (void)unused;
  return install(1);
}

int grpsqlite_register(void) {
  int rc = sqlite3_initialize();
  return rc == SQLITE_OK ? install(1) : rc;
}

#else

static int check_version(char **message) {
  if (sqlite3_libversion_number() >= MIN_SQLITE_VERSION) return SQLITE_OK;
  if (message) {
    *message = sqlite3_mprintf("gRPSQLite needs SQLite 3.32.0 or newer; this one is %s",
                               sqlite3_libversion());
  }
  return SQLITE_ERROR;
}

/* Whoever brought the SQLite that has this function can let go of it: it stays. */
static void keep_loaded(const char *(*function)(void)) {
  Dl_info where;
  if (dladdr((void *)function, &where) && where.dli_fname) {
    /* The handle is kept for ever. For the program itself there is none, nor need of one. */
    (void)!dlopen(where.dli_fname, RTLD_LAZY | RTLD_NOLOAD | RTLD_NODELETE);
  }
}

/* Takes the table of SQLite's functions, once: all threads use it. */
static int use_api(const sqlite3_api_routines *api, char **message) {
  static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
  int rc = SQLITE_OK;
  pthread_mutex_lock(&mutex);
  if (!sqlite3_api) {
    SQLITE_EXTENSION_INIT2(api);
    keep_loaded(sqlite3_libversion);
  } else if (sqlite3_api != api) {
    if (message) {
      *message = api->mprintf(
          "this copy of libgrpsqlite_vfs serves another SQLite of this "
          "process already; load a copy of the file under another name");
    }
    rc = SQLITE_ERROR;
  }
  pthread_mutex_unlock(&mutex);
  return rc;
}

static int init(sqlite3 *db, char **message, const sqlite3_api_routines *api, int as_default) {
  int rc = use_api(api, message);
  if (rc == SQLITE_OK) rc = check_version(message);
  if (rc == SQLITE_OK) rc = install(as_default);
  if (rc == SQLITE_OK) rc = gsq_functions_register(db);
  return rc == SQLITE_OK ? SQLITE_OK_LOAD_PERMANENTLY : rc;
}

int sqlite3_grpsqlitevfs_init(sqlite3 *db, char **message, const sqlite3_api_routines *api) {
  return init(db, message, api, 1);
}

int grpsqlite_named_init(sqlite3 *db, char **message, const sqlite3_api_routines *api) {
  return init(db, message, api, 0);
}

/* The same as an automatic extension, by which we get hold of SQLite's functions. */
static int on_first_open(sqlite3 *db, char **message, const sqlite3_api_routines *api) {
  int rc = sqlite3_grpsqlitevfs_init(db, message, api);
  return rc == SQLITE_OK_LOAD_PERMANENTLY ? SQLITE_OK : rc;
}

/* A function of the SQLite that this process has, wherever it is. */
static void *sqlite_function(const char *name) {
  void *function = dlsym(RTLD_DEFAULT, name);
  if (function) return function;
  void *library = dlopen("libsqlite3.so.0", RTLD_LAZY | RTLD_NOLOAD);
  if (!library) return NULL;
  function = dlsym(library, name);
  dlclose(library); /* RTLD_NOLOAD: someone else keeps it */
  return function;
}

int grpsqlite_register(void) {
  int (*auto_extension)(void (*)(void)) =
      (int (*)(void (*)(void)))sqlite_function("sqlite3_auto_extension");
  int (*cancel_auto_extension)(void (*)(void)) =
      (int (*)(void (*)(void)))sqlite_function("sqlite3_cancel_auto_extension");
  int (*open)(const char *, sqlite3 **, int, const char *) =
      (int (*)(const char *, sqlite3 **, int, const char *))sqlite_function("sqlite3_open_v2");
  int (*close)(sqlite3 *) = (int (*)(sqlite3 *))sqlite_function("sqlite3_close");
  if (!auto_extension || !cancel_auto_extension || !open || !close) return SQLITE_NOTFOUND;

  int rc = auto_extension((void (*)(void))on_first_open);
  if (rc != SQLITE_OK) return rc;
  sqlite3 *db = NULL;
  rc = open(":memory:", &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_MEMORY,
            NULL);
  if (db) close(db);
  cancel_auto_extension((void (*)(void))on_first_open);
  return rc;
}

#endif
