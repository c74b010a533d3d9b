/* Journals and WALs in the file service: see file_service_file.h. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "vfs/file_service_parts.h"
#include "vfs/local_file.h"

/* Journals and the like, before they go to a temporary file. */
#define LOCAL_MEMORY_BYTES (4 * 1024 * 1024)
/* Journals and WALs are read in such pieces: SQLite asks for a few bytes at a time. */
#define WINDOW_BYTES (64 * 1024)

/* ---- Which names are ours -------------------------------------------------------------------- */

static pthread_mutex_t mains_mutex = PTHREAD_MUTEX_INITIALIZER;
static gsq_main_file *mains; /* protected by mains_mutex */

static void before_fork(void) {
  pthread_mutex_lock(&mains_mutex);
}
static void after_fork(void) {
  pthread_mutex_unlock(&mains_mutex);
}
static void install_fork_handlers(void) {
  pthread_atfork(before_fork, after_fork, after_fork);
}

/* The open database whose journal or WAL this name is. SQLite hands out its own pointers, so that
** databases of one name on two servers are told apart; a VFS on top of ours may copy them. */
static gsq_main_file *find_owner(const char *name, enum gsq_remote_name *which) {
  gsq_main_file *found = NULL;
  int count = 0;
  if (!name) return NULL;
  pthread_mutex_lock(&mains_mutex);
  for (int by_text = 0; by_text < 2 && count == 0; by_text++) {
    for (gsq_main_file *f = mains; f; f = f->next) {
      int is_journal = by_text ? !strcmp(name, f->journal_name) : name == f->journal_name;
      int is_wal = by_text ? !strcmp(name, f->wal_name) : name == f->wal_name;
      if (!is_journal && !is_wal) continue;
      *which = is_wal ? GSQ_WAL : GSQ_JOURNAL;
      if (!found || found->db != f->db) count++;
      found = f;
    }
  }
  pthread_mutex_unlock(&mains_mutex);
  return count == 1 ? found : NULL;
}

void gsq_main_files_add(gsq_main_file *f) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, install_fork_handlers);
  pthread_mutex_lock(&mains_mutex);
  f->next = mains;
  mains = f;
  pthread_mutex_unlock(&mains_mutex);
}

void gsq_main_files_remove(gsq_main_file *f) {
  pthread_mutex_lock(&mains_mutex);
  gsq_main_file **link = &mains;
  while (*link && *link != f) link = &(*link)->next;
  if (*link) *link = f->next;
  pthread_mutex_unlock(&mains_mutex);
}

/* ---- Journals and WALs ----------------------------------------------------------------------- */

static void close_local(gsq_side_file *s) {
  if (!s->local->pMethods) return;
  s->local->pMethods->xClose(s->local);
  s->local->pMethods = NULL;
}

static int open_local(gsq_side_file *s) {
  return s->local->pMethods ? SQLITE_OK
                            : gsq_local_open(s->os, s->local, s->flags, LOCAL_MEMORY_BYTES);
}

/* Copies a journal to the server, for a transaction that goes through from now on. */
static int upload(gsq_side_file *s) {
  gsq_main_file *f = s->owner;
  sqlite3_int64 size = 0;
  int rc = s->local->pMethods->xFileSize(s->local, &size);
  unsigned char *bytes = malloc(WINDOW_BYTES);
  if (!bytes) return SQLITE_IOERR_NOMEM;
  for (sqlite3_int64 at = 0; rc == SQLITE_OK && at < size; at += WINDOW_BYTES) {
    int n = size - at < WINDOW_BYTES ? (int)(size - at) : WINDOW_BYTES;
    rc = s->local->pMethods->xRead(s->local, bytes, n, at);
    if (rc == SQLITE_OK) rc = gsq_remote_write(f->db, s->which, at, bytes, n, &f->report);
  }
  free(bytes);
  if (rc == SQLITE_OK) rc = gsq_remote_flush(f->db, &f->report);
  if (rc != SQLITE_OK) return rc;
  close_local(s);
  s->remote = 1;
  return SQLITE_OK;
}

int gsq_side_settle(gsq_side_file *s, int writing) {
  gsq_file_database *db = s->owner->db;
  int through = gsq_file_database_through(db);
  unsigned lease_count = gsq_file_database_lease_count(db);
  s->window_size = writing ? 0 : s->window_size;
  if (s->lease_count != lease_count) {
    /* What it had is of a transaction that ended with the lease. */
    close_local(s);
    s->lease_count = lease_count;
    s->remote = through;
    s->active = 0;
    s->window_size = 0;
  }
  if (through && !s->remote) {
    if (!s->active) {
      close_local(s);
      s->remote = 1;
    } else if (writing) {
      int rc = upload(s);
      if (rc != SQLITE_OK) return rc;
    }
  } else if (!through && s->remote) {
    s->remote = 0; /* at the server there is none, or it would be through */
  }
  return s->remote ? SQLITE_OK : open_local(s);
}

static int side_close(sqlite3_file *file) {
  gsq_side_file *s = (gsq_side_file *)file;
  int rc = SQLITE_OK;
  if (s->remote && !gsq_file_database_is_inherited(s->owner->db) &&
      gsq_file_database_leased(s->owner->db))
    rc = gsq_remote_flush(s->owner->db, &s->owner->report);
  close_local(s);
  free(s->window);
  if (s->owner->journal == s) s->owner->journal = NULL;
  s->base.pMethods = NULL;
  return rc;
}

static int side_read(sqlite3_file *file, void *to, int amount, sqlite3_int64 offset) {
  gsq_side_file *s = (gsq_side_file *)file;
  gsq_main_file *f = s->owner;
  int rc = gsq_side_settle(s, 0);
  if (rc != SQLITE_OK) return rc;
  if (!s->remote) return s->local->pMethods->xRead(s->local, to, amount, offset);
  if (!s->window) s->window = malloc(WINDOW_BYTES);
  if (!s->window || amount > WINDOW_BYTES)
    return gsq_remote_read(f->db, s->which, offset, to, amount, NULL, &f->report);
  if (s->window_size == 0 || offset < s->window_offset ||
      offset + amount > s->window_offset + s->window_size) {
    int64_t size;
    s->window_size = 0;
    rc = gsq_remote_size(f->db, s->which, &size, &f->report);
    if (rc != SQLITE_OK) return rc;
    int64_t left = offset < size ? size - offset : 0;
    if (left < amount) /* short, or nothing at all */
      return gsq_remote_read(f->db, s->which, offset, to, amount, NULL, &f->report);
    int n = left < WINDOW_BYTES ? (int)left : WINDOW_BYTES;
    rc = gsq_remote_read(f->db, s->which, offset, s->window, n, NULL, &f->report);
    if (rc != SQLITE_OK) return rc;
    s->window_offset = offset;
    s->window_size = n;
  }
  memcpy(to, s->window + (offset - s->window_offset), (size_t)amount);
  return SQLITE_OK;
}

/* What ends a record that names a super-journal: eight bytes, written by themselves. At the server it
** is left out: a super-journal is local, so that after a crash SQLite would miss it and take this
** database's transaction for committed. */
static int ends_super_record(const gsq_side_file *s, const void *from, int amount) {
  static const unsigned char magic[8] = {0xd9, 0xd5, 0x05, 0xf9, 0x20, 0xa1, 0x63, 0xd7};
  return s->which == GSQ_JOURNAL && amount == 8 && !memcmp(from, magic, 8);
}

static int side_write(sqlite3_file *file, const void *from, int amount, sqlite3_int64 offset) {
  gsq_side_file *s = (gsq_side_file *)file;
  int rc = gsq_side_settle(s, 1);
  if (rc != SQLITE_OK) return rc;
  if (ends_super_record(s, from, amount)) return SQLITE_OK;
  s->active = 1;
  if (!s->remote) return s->local->pMethods->xWrite(s->local, from, amount, offset);
  return gsq_remote_write(s->owner->db, s->which, offset, from, amount, &s->owner->report);
}

static int side_truncate(sqlite3_file *file, sqlite3_int64 size) {
  gsq_side_file *s = (gsq_side_file *)file;
  gsq_main_file *f = s->owner;
  if (size == 0) s->active = 0; /* nothing is worth an upload */
  int rc = gsq_side_settle(s, 1);
  if (rc != SQLITE_OK) return rc;
  if (!s->remote) return s->local->pMethods->xTruncate(s->local, size);
  int64_t now;
  rc = gsq_remote_size(f->db, s->which, &now, &f->report);
  if (rc == SQLITE_OK && now != size)
    rc = gsq_remote_truncate(f->db, s->which, size, &f->report);
  return rc;
}

static int side_sync(sqlite3_file *file, int flags) {
  gsq_side_file *s = (gsq_side_file *)file;
  (void)flags;
  return s->remote ? gsq_remote_flush(s->owner->db, &s->owner->report) : SQLITE_OK;
}

static int side_file_size(sqlite3_file *file, sqlite3_int64 *size) {
  gsq_side_file *s = (gsq_side_file *)file;
  int64_t bytes = 0;
  int rc = gsq_side_settle(s, 0);
  if (rc != SQLITE_OK) return rc;
  if (!s->remote) return s->local->pMethods->xFileSize(s->local, size);
  rc = gsq_remote_size(s->owner->db, s->which, &bytes, &s->owner->report);
  *size = bytes;
  return rc;
}

/* The database file's lock is the one that counts. */
static int side_lock(sqlite3_file *file, int level) {
  (void)file;
  (void)level;
  return SQLITE_OK;
}

static int side_check_reserved_lock(sqlite3_file *file, int *reserved) {
  (void)file;
  *reserved = 0;
  return SQLITE_OK;
}

static int side_file_control(sqlite3_file *file, int op, void *arg) {
  (void)file;
  (void)arg;
  return op == SQLITE_FCNTL_SIZE_HINT ? SQLITE_OK : SQLITE_NOTFOUND;
}

static int sector_size(sqlite3_file *file) {
  (void)file;
  return 4096;
}

int gsq_file_device_characteristics(sqlite3_file *file) {
  (void)file;
  return SQLITE_IOCAP_SAFE_APPEND | SQLITE_IOCAP_SEQUENTIAL | SQLITE_IOCAP_POWERSAFE_OVERWRITE;
}

int gsq_file_service_open_side(sqlite3_vfs *os, const char *name, sqlite3_file *file, int flags,
                               int *out_flags) {
  static const sqlite3_io_methods methods = {
      .iVersion = 1,
      .xClose = side_close,
      .xRead = side_read,
      .xWrite = side_write,
      .xTruncate = side_truncate,
      .xSync = side_sync,
      .xFileSize = side_file_size,
      .xLock = side_lock,
      .xUnlock = side_lock,
      .xCheckReservedLock = side_check_reserved_lock,
      .xFileControl = side_file_control,
      .xSectorSize = sector_size,
      .xDeviceCharacteristics = gsq_file_device_characteristics,
  };
  enum gsq_remote_name which;
  gsq_main_file *owner = find_owner(name, &which);
  if (!owner) return SQLITE_NOTFOUND;
  if (which == GSQ_WAL && !gsq_file_database_through(owner->db))
    return gsq_fail(&owner->report, SQLITE_CANTOPEN,
                    "%s cannot use a WAL: the server commits whole transactions",
                    owner->settings.name);
  gsq_side_file *s = (gsq_side_file *)file;
  memset(s, 0, GSQ_SIDE_LOCAL_AT + sizeof(sqlite3_file));
  s->owner = owner;
  s->which = which;
  s->os = os;
  s->flags = flags;
  s->local = (sqlite3_file *)((char *)s + GSQ_SIDE_LOCAL_AT);
  s->lease_count = gsq_file_database_lease_count(owner->db);
  s->remote = gsq_file_database_through(owner->db);
  s->base.pMethods = &methods;
  if (which == GSQ_JOURNAL) owner->journal = s;
  if (out_flags) *out_flags = flags;
  return SQLITE_OK;
}

int gsq_file_service_access(const char *name, int *exists) {
  enum gsq_remote_name which;
  gsq_main_file *f = find_owner(name, &which);
  if (!f) return SQLITE_NOTFOUND;
  int64_t size = 0;
  *exists = 0;
  /* With atomic commits a reader has no use for a journal. */
  if (f->read_only && f->db->atomic_batch) return SQLITE_OK;
  if (!f->read_only && !gsq_file_database_leased(f->db)) return SQLITE_OK;
  int rc = gsq_remote_size(f->db, which, &size, &f->report);
  *exists = size > 0;
  return rc == SQLITE_OK ? rc : SQLITE_IOERR_ACCESS;
}

int gsq_file_service_delete(const char *name) {
  enum gsq_remote_name which;
  gsq_main_file *f = find_owner(name, &which);
  if (!f) return SQLITE_NOTFOUND;
  if (f->read_only) return SQLITE_READONLY;
  pthread_mutex_lock(&f->db->mutex);
  int absent = f->db->leased && f->db->sizes[which] == 0;
  pthread_mutex_unlock(&f->db->mutex);
  return absent ? SQLITE_OK : gsq_remote_delete(f->db, which, &f->report);
}
