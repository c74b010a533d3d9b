#include "vfs/vfs.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "vfs/file_service_file.h"
#include "vfs/fork.h"
#include "vfs/group.h"
#include "vfs/local_file.h"
#include "vfs/remote_file.h"
#include "vfs/super_journals.h"

/* Longer than a database's name (512), with room for "-journal" and the like. */
#define MAX_PATHNAME 1024
/* Of a journal or temporary file in memory, before it becomes a temporary file on disk. */
#define LOCAL_MEMORY_BYTES (8 << 20)

/* The VFS that was the default before ours: files on disk, time, randomness, libraries. */
static sqlite3_vfs *os_of(sqlite3_vfs *vfs) {
  return vfs->pAppData;
}

/* Opening a database. */

static const char *uri_parameter(void *arg, const char *key) {
  return sqlite3_uri_parameter(arg, key);
}

static const char *environment(const char *key) {
  return getenv(key);
}

/* What a URI can ask for that does not exist here. NULL if it asks for no such thing. */
static const char *unsupported(const char *name) {
  if (sqlite3_uri_boolean(name, "nolock", 0)) {
    return "nolock=1: transactions need locks here; leave it out";
  }
  /* SQLite tells those that share by their names alone: whoever opens such a name, with whatever server,
  ** token or version, has what the first one opened. */
  const char *cache = sqlite3_uri_parameter(name, "cache");
  if (cache && strcmp(cache, "shared") == 0) {
    return "cache=shared: SQLite would take databases of one name for one, whatever their "
           "server and version; leave it out, connections share their pages without it";
  }
  return NULL;
}

/* Of connect_timeout_ms=0, which is about refused connections alone. */
#define OPEN_TIMEOUT_MS 5000

static int64_t opening_deadline(const gsq_settings *settings) {
  return gsq_now_ms() +
         (settings->connect_timeout_ms ? settings->connect_timeout_ms : OPEN_TIMEOUT_MS);
}

static int open_at_server(sqlite3_file *file, const char *name, int flags, int *out_flags,
                          gsq_server *server, gsq_settings *settings, gsq_report *report) {
  const int frozen = sqlite3_uri_boolean(name, "immutable", 0);
  int read_only = settings->read_only || frozen || (flags & SQLITE_OPEN_READONLY);
  int create = !read_only && !settings->no_create && (flags & SQLITE_OPEN_CREATE);
  int rc;
  if (!server->has_page_service && (settings->at || settings->version_given)) {
    return gsq_fail(
        NULL, SQLITE_CANTOPEN,
        "%s: at= and version= need a server that has the page service and keeps old "
        "versions, such as versioned-server; the one at %s does not",
        settings->name, server->url);
  }
  for (;;) {
    /* The server has answered before: it gets as long as for any other call. */
    const int64_t deadline_ms = gsq_now_ms() + settings->timeout_ms;
    rc = server->has_page_service
             ? gsq_remote_open((gsq_remote_file *)file, server, settings, create, read_only,
                               frozen, deadline_ms, report)
             : gsq_file_service_open(file, server, settings, name, create, read_only, report);
    if (rc != SQLITE_PERM || read_only) break;
    /* As SQLite does with a local file that may not be written. */
    read_only = 1;
    create = 0;
  }
  if (rc == SQLITE_OK && out_flags) {
    *out_flags = flags & ~(SQLITE_OPEN_READONLY | SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE);
    *out_flags |= read_only ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE;
    if (create) *out_flags |= SQLITE_OPEN_CREATE;
  }
  return rc;
}

static int open_database(sqlite3_file *file, const char *name, int flags, int *out_flags) {
  gsq_report report;
  gsq_settings settings;
  char message[GSQ_REPORT_BYTES];
  if (name[0] == '/') {
    return gsq_fail(NULL, SQLITE_CANTOPEN,
                    "%s: a database at a server has no name that begins with '/'; for a local "
                    "file open file:%s?vfs=unix",
                    name, name);
  }
  switch (gsq_settings_read(name, uri_parameter, (void *)name, environment, &settings, message,
                            sizeof message)) {
    case 0:
      break;
    case -2:
      return gsq_fail(NULL, SQLITE_NOMEM, "out of memory");
    default:
      return gsq_fail(NULL, SQLITE_CANTOPEN, "%s: %s", name, message);
  }
  int rc;
  gsq_error error = {0};
  gsq_server *server = NULL;
  const char *no = unsupported(name);
  if (no) {
    rc = gsq_fail(NULL, SQLITE_CANTOPEN, "%s: %s", name, no);
    goto out;
  }
  if (gsq_server_acquire(&settings, opening_deadline(&settings), &server, &error) != GSQ_OK) {
    rc = gsq_fail_error(NULL, &error, GSQ_OPENING, "opening", name);
    goto out;
  }
  rc = open_at_server(file, name, flags, out_flags, server, &settings, &report);
  if (rc != SQLITE_OK) gsq_server_release(server);
out:
  gsq_settings_free(&settings);
  return rc;
}

/* Methods. */

static int vfs_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags,
                    int *out_flags) {
  file->pMethods = NULL;
  if (flags & SQLITE_OPEN_MAIN_DB) {
    if (!name) return gsq_fail(NULL, SQLITE_CANTOPEN, "a database at a server needs a name");
    return open_database(file, name, flags, out_flags);
  }
  int rc = gsq_file_service_open_side(os_of(vfs), name, file, flags, out_flags);
  if (rc != SQLITE_NOTFOUND) return rc;
  if (flags & SQLITE_OPEN_WAL) {
    return gsq_fail(NULL, SQLITE_CANTOPEN, "%s: there is no WAL here; use another journal_mode",
                    name ? name : "");
  }
  rc = gsq_local_open(os_of(vfs), file, flags, LOCAL_MEMORY_BYTES);
  if (rc == SQLITE_OK && flags & SQLITE_OPEN_SUPER_JOURNAL && flags & SQLITE_OPEN_CREATE &&
      name) {
    rc = gsq_super_journal_add(name, file);
    if (rc != SQLITE_OK) file->pMethods->xClose(file);
  }
  if (rc == SQLITE_OK && out_flags) *out_flags = flags;
  return rc;
}

/* The file service's journals aside, nothing that can be deleted lives longer than its file
** handle. A super-journal that is deleted with a sync of its folder is so by a commit, of which that
** is the moment; by a rollback it goes without, while other databases of the same transaction may
** yet have to be rolled back, as they are only while it exists. */
static int vfs_delete(sqlite3_vfs *vfs, const char *name, int sync_folder) {
  (void)vfs;
  int rc = gsq_file_service_delete(name);
  if (rc != SQLITE_NOTFOUND) return rc;
  if (!sync_folder) return SQLITE_OK;
  rc = gsq_group_commit(name);
  if (rc == SQLITE_OK) gsq_super_journal_remove(name);
  return rc;
}

static int vfs_access(sqlite3_vfs *vfs, const char *name, int flags, int *result) {
  (void)vfs;
  (void)flags;
  int rc = gsq_file_service_access(name, result);
  if (rc != SQLITE_NOTFOUND) return rc;
  *result = gsq_super_journal_exists(name);
  return SQLITE_OK;
}

/* A name is what it is, wherever the process stands. */
static int vfs_full_pathname(sqlite3_vfs *vfs, const char *name, int size, char *out) {
  (void)vfs;
  const size_t length = strlen(name);
  if (length >= (size_t)size) {
    return gsq_fail(NULL, SQLITE_CANTOPEN, "a database name of %zu bytes is too long", length);
  }
  memcpy(out, name, length + 1);
  return SQLITE_OK;
}

static void *vfs_dl_open(sqlite3_vfs *vfs, const char *name) {
  return os_of(vfs)->xDlOpen(os_of(vfs), name);
}

static void vfs_dl_error(sqlite3_vfs *vfs, int size, char *message) {
  os_of(vfs)->xDlError(os_of(vfs), size, message);
}

static void (*vfs_dl_sym(sqlite3_vfs *vfs, void *library, const char *symbol))(void) {
  return os_of(vfs)->xDlSym(os_of(vfs), library, symbol);
}

static void vfs_dl_close(sqlite3_vfs *vfs, void *library) {
  os_of(vfs)->xDlClose(os_of(vfs), library);
}

static int vfs_randomness(sqlite3_vfs *vfs, int size, char *out) {
  return os_of(vfs)->xRandomness(os_of(vfs), size, out);
}

static int vfs_sleep(sqlite3_vfs *vfs, int microseconds) {
  return os_of(vfs)->xSleep(os_of(vfs), microseconds);
}

static int vfs_current_time(sqlite3_vfs *vfs, double *out) {
  return os_of(vfs)->xCurrentTime(os_of(vfs), out);
}

static int vfs_get_last_error(sqlite3_vfs *vfs, int size, char *message) {
  (void)vfs;
  if (size > 0) gsq_last_error(message, (size_t)size);
  return 0;
}

static int vfs_current_time_int64(sqlite3_vfs *vfs, sqlite3_int64 *out) {
  sqlite3_vfs *os = os_of(vfs);
  if (os->iVersion >= 2 && os->xCurrentTimeInt64) return os->xCurrentTimeInt64(os, out);
  double days;
  int rc = os->xCurrentTime(os, &days);
  *out = (sqlite3_int64)(days * 86400000.0);
  return rc;
}

static sqlite3_vfs the_vfs = {
    .iVersion = 2,
    .mxPathname = MAX_PATHNAME,
    .zName = "grpsqlite",
    .xOpen = vfs_open,
    .xDelete = vfs_delete,
    .xAccess = vfs_access,
    .xFullPathname = vfs_full_pathname,
    .xDlOpen = vfs_dl_open,
    .xDlError = vfs_dl_error,
    .xDlSym = vfs_dl_sym,
    .xDlClose = vfs_dl_close,
    .xRandomness = vfs_randomness,
    .xSleep = vfs_sleep,
    .xCurrentTime = vfs_current_time,
    .xGetLastError = vfs_get_last_error,
    .xCurrentTimeInt64 = vfs_current_time_int64,
};

static int larger(int a, int b) {
  return a > b ? a : b;
}

int gsq_vfs_register(int as_default) {
  static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
  static int done, is_default; /* protected by mutex */
  int rc = SQLITE_OK;
  pthread_mutex_lock(&mutex);
  if (!done) {
    sqlite3_vfs *os = sqlite3_vfs_find(NULL);
    if (!os || gsq_fork_install() != 0) {
      rc = os ? SQLITE_NOMEM : SQLITE_ERROR;
    } else {
      the_vfs.pAppData = os;
      the_vfs.szOsFile = larger((int)sizeof(gsq_remote_file), gsq_file_service_file_size(os));
    }
  }
  if (rc == SQLITE_OK && (!done || (as_default && !is_default))) {
    rc = sqlite3_vfs_register(&the_vfs, as_default);
    if (rc == SQLITE_OK) {
      done = 1;
      is_default = as_default;
    }
  }
  pthread_mutex_unlock(&mutex);
  return rc;
}
