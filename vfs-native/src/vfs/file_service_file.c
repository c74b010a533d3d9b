/* The files of a database in the file service: see file_service_file.h. */
#include "vfs/file_service_file.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "vfs/file_database.h"
#include "vfs/local_file.h"
#include "vfs/pragma.h"
#include "vfs/report.h"
#include "vfs/write_buffer.h"

/* Journals and the like, before they go to a temporary file. */
#define LOCAL_MEMORY_BYTES (4 * 1024 * 1024)
/* Journals and WALs are read in such pieces: SQLite asks for a few bytes at a time. */
#define WINDOW_BYTES (64 * 1024)
#define HEADER_BYTES 100

typedef struct side_file side_file;

typedef struct main_file {
  sqlite3_file base;
  gsq_server *server; /* a reference */
  gsq_file_database *db;
  gsq_settings settings;
  gsq_report report;
  int read_only;
  int lock; /* SQLITE_LOCK_... */
  int64_t
      time_millis; /* of a read-only file: the snapshot of this transaction; 0: the next newest */
  const char *journal_name, *wal_name; /* SQLite's own pointers */
  side_file *journal;                  /* if it is open */

  /* Batch mode. */
  gsq_write_buffer *buffer;
  int buffering; /* the buffer has been begun in this transaction */
  int full;      /* the buffer has just refused for being full */
  int aborted; /* the commit was refused: what SQLite writes until it unlocks is its rolling back */
  int committed; /* since the commit nothing was written */

  struct main_file *next; /* protected by mains_mutex */
} main_file;

struct side_file {
  sqlite3_file base;
  main_file *owner;
  enum gsq_remote_name which;
  sqlite3_vfs *os;
  int flags;
  int active;            /* written in this transaction, locally */
  int remote;            /* at the server; else in `local` */
  unsigned lease_count;  /* of the lease under which `remote` was decided */
  sqlite3_file *local;   /* behind this struct; open if its pMethods is set */
  unsigned char *window; /* what was read last from the server; NULL until then */
  int64_t window_offset;
  int window_size; /* 0: nothing */
};

/* ---- Which names are ours -------------------------------------------------------------------- */

static pthread_mutex_t mains_mutex = PTHREAD_MUTEX_INITIALIZER;
static main_file *mains; /* protected by mains_mutex */

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
static main_file *find_owner(const char *name, enum gsq_remote_name *which) {
  main_file *found = NULL;
  int count = 0;
  if (!name)
    return NULL;
  pthread_mutex_lock(&mains_mutex);
  for (int by_text = 0; by_text < 2 && count == 0; by_text++) {
    for (main_file *f = mains; f; f = f->next) {
      int is_journal = by_text ? !strcmp(name, f->journal_name) : name == f->journal_name;
      int is_wal = by_text ? !strcmp(name, f->wal_name) : name == f->wal_name;
      if (!is_journal && !is_wal)
        continue;
      *which = is_wal ? GSQ_WAL : GSQ_JOURNAL;
      if (!found || found->db != f->db)
        count++;
      found = f;
    }
  }
  pthread_mutex_unlock(&mains_mutex);
  return count == 1 ? found : NULL;
}

/* ---- Journals and WALs ----------------------------------------------------------------------- */

#define SIDE_LOCAL_AT ((sizeof(side_file) + 15) / 16 * 16)

static void close_local(side_file *s) {
  if (!s->local->pMethods)
    return;
  s->local->pMethods->xClose(s->local);
  s->local->pMethods = NULL;
}

static int open_local(side_file *s) {
  return s->local->pMethods ? SQLITE_OK
                            : gsq_local_open(s->os, s->local, s->flags, LOCAL_MEMORY_BYTES);
}

/* Copies a journal to the server, for a transaction that goes through from now on. */
static int upload(side_file *s) {
  main_file *f = s->owner;
  sqlite3_int64 size = 0;
  int rc = s->local->pMethods->xFileSize(s->local, &size);
  unsigned char *bytes = malloc(WINDOW_BYTES);
  if (!bytes)
    return SQLITE_IOERR_NOMEM;
  for (sqlite3_int64 at = 0; rc == SQLITE_OK && at < size; at += WINDOW_BYTES) {
    int n = size - at < WINDOW_BYTES ? (int)(size - at) : WINDOW_BYTES;
    rc = s->local->pMethods->xRead(s->local, bytes, n, at);
    if (rc == SQLITE_OK)
      rc = gsq_remote_write(f->db, s->which, at, bytes, n, &f->report);
  }
  free(bytes);
  if (rc == SQLITE_OK)
    rc = gsq_remote_flush(f->db, &f->report);
  if (rc != SQLITE_OK)
    return rc;
  close_local(s);
  s->remote = 1;
  return SQLITE_OK;
}

/* Decides where the file is, before each use. */
static int settle(side_file *s, int writing) {
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
      if (rc != SQLITE_OK)
        return rc;
    }
  } else if (!through && s->remote) {
    s->remote = 0; /* at the server there is none, or it would be through */
  }
  return s->remote ? SQLITE_OK : open_local(s);
}

static int side_close(sqlite3_file *file) {
  side_file *s = (side_file *)file;
  int rc = SQLITE_OK;
  if (s->remote && !gsq_file_database_is_inherited(s->owner->db) &&
      gsq_file_database_leased(s->owner->db))
    rc = gsq_remote_flush(s->owner->db, &s->owner->report);
  close_local(s);
  free(s->window);
  if (s->owner->journal == s)
    s->owner->journal = NULL;
  s->base.pMethods = NULL;
  return rc;
}

static int side_read(sqlite3_file *file, void *to, int amount, sqlite3_int64 offset) {
  side_file *s = (side_file *)file;
  main_file *f = s->owner;
  int rc = settle(s, 0);
  if (rc != SQLITE_OK)
    return rc;
  if (!s->remote)
    return s->local->pMethods->xRead(s->local, to, amount, offset);
  if (!s->window)
    s->window = malloc(WINDOW_BYTES);
  if (!s->window || amount > WINDOW_BYTES)
    return gsq_remote_read(f->db, s->which, offset, to, amount, NULL, &f->report);
  if (s->window_size == 0 || offset < s->window_offset ||
      offset + amount > s->window_offset + s->window_size) {
    int64_t size;
    s->window_size = 0;
    rc = gsq_remote_size(f->db, s->which, &size, &f->report);
    if (rc != SQLITE_OK)
      return rc;
    int64_t left = offset < size ? size - offset : 0;
    if (left < amount) /* short, or nothing at all */
      return gsq_remote_read(f->db, s->which, offset, to, amount, NULL, &f->report);
    int n = left < WINDOW_BYTES ? (int)left : WINDOW_BYTES;
    rc = gsq_remote_read(f->db, s->which, offset, s->window, n, NULL, &f->report);
    if (rc != SQLITE_OK)
      return rc;
    s->window_offset = offset;
    s->window_size = n;
  }
  memcpy(to, s->window + (offset - s->window_offset), (size_t)amount);
  return SQLITE_OK;
}

/* What ends a record that names a super-journal: eight bytes, written by themselves. At the server it
** is left out: a super-journal is local, so that after a crash SQLite would miss it and take this
** database's transaction for committed. */
static int ends_super_record(const side_file *s, const void *from, int amount) {
  static const unsigned char magic[8] = {0xd9, 0xd5, 0x05, 0xf9, 0x20, 0xa1, 0x63, 0xd7};
  return s->which == GSQ_JOURNAL && amount == 8 && !memcmp(from, magic, 8);
}

static int side_write(sqlite3_file *file, const void *from, int amount, sqlite3_int64 offset) {
  side_file *s = (side_file *)file;
  int rc = settle(s, 1);
  if (rc != SQLITE_OK)
    return rc;
  if (ends_super_record(s, from, amount))
    return SQLITE_OK;
  s->active = 1;
  if (!s->remote)
    return s->local->pMethods->xWrite(s->local, from, amount, offset);
  return gsq_remote_write(s->owner->db, s->which, offset, from, amount, &s->owner->report);
}

static int side_truncate(sqlite3_file *file, sqlite3_int64 size) {
  side_file *s = (side_file *)file;
  main_file *f = s->owner;
  if (size == 0)
    s->active = 0; /* nothing is worth an upload */
  int rc = settle(s, 1);
  if (rc != SQLITE_OK)
    return rc;
  if (!s->remote)
    return s->local->pMethods->xTruncate(s->local, size);
  int64_t now;
  rc = gsq_remote_size(f->db, s->which, &now, &f->report);
  if (rc == SQLITE_OK && now != size)
    rc = gsq_remote_truncate(f->db, s->which, size, &f->report);
  return rc;
}

static int side_sync(sqlite3_file *file, int flags) {
  side_file *s = (side_file *)file;
  (void)flags;
  return s->remote ? gsq_remote_flush(s->owner->db, &s->owner->report) : SQLITE_OK;
}

static int side_file_size(sqlite3_file *file, sqlite3_int64 *size) {
  side_file *s = (side_file *)file;
  int64_t bytes = 0;
  int rc = settle(s, 0);
  if (rc != SQLITE_OK)
    return rc;
  if (!s->remote)
    return s->local->pMethods->xFileSize(s->local, size);
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

/* What was sent is applied in its order, whole, and touches nothing beside it. */
static int device_characteristics(sqlite3_file *file) {
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
      .xDeviceCharacteristics = device_characteristics,
  };
  enum gsq_remote_name which;
  main_file *owner = find_owner(name, &which);
  if (!owner)
    return SQLITE_NOTFOUND;
  if (which == GSQ_WAL && !gsq_file_database_through(owner->db))
    return gsq_fail(&owner->report, SQLITE_CANTOPEN,
                    "%s cannot use a WAL: the server commits whole transactions",
                    owner->settings.name);
  side_file *s = (side_file *)file;
  memset(s, 0, SIDE_LOCAL_AT + sizeof(sqlite3_file));
  s->owner = owner;
  s->which = which;
  s->os = os;
  s->flags = flags;
  s->local = (sqlite3_file *)((char *)s + SIDE_LOCAL_AT);
  s->lease_count = gsq_file_database_lease_count(owner->db);
  s->remote = gsq_file_database_through(owner->db);
  s->base.pMethods = &methods;
  if (which == GSQ_JOURNAL)
    owner->journal = s;
  if (out_flags)
    *out_flags = flags;
  return SQLITE_OK;
}

int gsq_file_service_access(const char *name, int *exists) {
  enum gsq_remote_name which;
  main_file *f = find_owner(name, &which);
  if (!f)
    return SQLITE_NOTFOUND;
  int64_t size = 0;
  *exists = 0;
  /* With atomic commits a reader has no use for a journal. */
  if (f->read_only && f->db->atomic_batch)
    return SQLITE_OK;
  if (!f->read_only && !gsq_file_database_leased(f->db))
    return SQLITE_OK;
  int rc = gsq_remote_size(f->db, which, &size, &f->report);
  *exists = size > 0;
  return rc == SQLITE_OK ? rc : SQLITE_IOERR_ACCESS;
}

int gsq_file_service_delete(const char *name) {
  enum gsq_remote_name which;
  main_file *f = find_owner(name, &which);
  if (!f)
    return SQLITE_NOTFOUND;
  if (f->read_only)
    return SQLITE_READONLY;
  pthread_mutex_lock(&f->db->mutex);
  int absent = f->db->leased && f->db->sizes[which] == 0;
  pthread_mutex_unlock(&f->db->mutex);
  return absent ? SQLITE_OK : gsq_remote_delete(f->db, which, &f->report);
}

/* ---- The database: the write buffer ---------------------------------------------------------- */

static int read_base(void *arg, uint64_t offset, void *to, uint32_t size, gsq_error *error) {
  main_file *f = arg;
  int rc = gsq_remote_read(f->db, GSQ_MAIN, (int64_t)offset, to, (int)size, NULL, &f->report);
  return rc == SQLITE_OK || rc == SQLITE_IOERR_SHORT_READ
             ? GSQ_OK
             : gsq_error_set(error, GSQ_UNAVAILABLE, "%.400s", f->report.text);
}

/* There is no staging here: the buffer is full. */
static int stage(void *arg, const gsq_id *id, uint32_t unit_size, const gsq_page_ref *units,
                 size_t count, gsq_error *error) {
  main_file *f = arg;
  (void)id, (void)unit_size, (void)units, (void)count;
  f->full = 1;
  return gsq_error_set(error, GSQ_RESOURCE_EXHAUSTED, "too large for one message");
}

static int read_stage(void *arg, const gsq_id *id, uint32_t unit_size, const uint32_t *numbers,
                      size_t count, void *to, gsq_error *error) {
  (void)arg, (void)id, (void)unit_size, (void)numbers, (void)count, (void)to;
  return gsq_error_set(error, GSQ_INTERNAL, "nothing was staged");
}

static size_t stage_batch(void *arg, uint32_t unit_size) {
  (void)arg, (void)unit_size;
  return 1;
}

static void drop_writes(main_file *f) {
  if (f->buffering)
    gsq_write_buffer_reset(f->buffer, 0, 0);
  f->buffering = 0;
}

static int begin_writes(main_file *f) {
  int64_t size;
  if (f->buffering)
    return SQLITE_OK;
  int rc = gsq_remote_size(f->db, GSQ_MAIN, &size, &f->report);
  if (rc != SQLITE_OK)
    return rc;
  pthread_mutex_lock(&f->db->mutex);
  uint32_t unit = f->db->unit;
  pthread_mutex_unlock(&f->db->mutex);
  gsq_write_buffer_reset(f->buffer, (uint64_t)size, unit);
  f->buffering = 1;
  f->committed = 0;
  return SQLITE_OK;
}

/* What a commit consists of. */
typedef struct batch {
  gsq_file_write_ref *writes;
  size_t count;
  unsigned char *zeros; /* of one unit, for what was cut off and grown again */
  int64_t size;         /* of the file */
  int64_t base_size;    /* before */
  int64_t wire_bytes;
  uint32_t unit;
} batch;

static void free_batch(batch *b) {
  free(b->writes);
  free(b->zeros);
}

static int make_batch(main_file *f, batch *b) {
  gsq_error error = {0};
  gsq_unit *units = NULL;
  size_t count = 0;
  memset(b, 0, sizeof *b);
  int rc = gsq_remote_size(f->db, GSQ_MAIN, &b->base_size, &f->report);
  if (rc != SQLITE_OK)
    return rc;
  b->size = (int64_t)gsq_write_buffer_size(f->buffer);
  b->unit = gsq_write_buffer_unit_size(f->buffer);
  if (b->unit == 0)
    return SQLITE_OK; /* truncated, perhaps */
  if (gsq_write_buffer_units(f->buffer, &units, &count, &error) != GSQ_OK)
    return gsq_fail_error(&f->report, &error, GSQ_COMMITTING, "committing to",
                          f->settings.name);

  /* From `cut` to `end` the server has bytes that must read as zeros, where they are not written. */
  int64_t unit = b->unit, end = b->size < b->base_size ? b->size : b->base_size;
  int64_t cut = (int64_t)gsq_write_buffer_base_visible(f->buffer);
  int64_t first_zero = cut / unit + 1, last_zero = end > cut ? (end + unit - 1) / unit : 0;
  size_t zero_count = last_zero >= first_zero ? (size_t)(last_zero - first_zero + 1) : 0;
  b->writes = malloc((count + zero_count + 1) * sizeof *b->writes);
  b->zeros = zero_count ? calloc(1, b->unit) : NULL;
  if (!b->writes || (zero_count && !b->zeros)) {
    free(units);
    free_batch(b);
    return gsq_fail(&f->report, SQLITE_IOERR_NOMEM, "out of memory");
  }
  size_t at = 0;
  int64_t zero = first_zero;
  while (at < count || zero <= last_zero) {
    int64_t number = at < count ? units[at].number : INT64_MAX;
    const unsigned char *data;
    int64_t from;
    if (zero <= last_zero && zero < number) {
      from = (zero - 1) * unit < cut ? cut : (zero - 1) * unit;
      data = b->zeros;
      number = zero++;
    } else {
      if (zero == number)
        zero++;
      from = (number - 1) * unit;
      data = units[at++].data;
    }
    int64_t to = number * unit < b->size ? number * unit : b->size;
    if (to <= from)
      continue;
    b->writes[b->count++] = (gsq_file_write_ref){from, data, (uint32_t)(to - from)};
    b->wire_bytes += to - from + gsq_file_database_write_overhead(f->db);
  }
  free(units);
  return SQLITE_OK;
}

/* True if the batch would write what is there, as far as the cache knows: a rolled back
** transaction, mostly. */
static int changes_nothing(main_file *f, const batch *b) {
  if (b->size != b->base_size)
    return 0;
  if (b->count == 0)
    return 1;
  unsigned char *bytes = malloc(b->unit);
  int same = bytes != NULL;
  uint64_t version = gsq_page_cache_version(f->db->cache);
  pthread_mutex_lock(&f->db->mutex);
  same = same && f->db->unit == b->unit;
  pthread_mutex_unlock(&f->db->mutex);
  for (size_t i = 0; same && i < b->count; i++) {
    const gsq_file_write_ref *w = &b->writes[i];
    uint32_t page = (uint32_t)(w->offset / b->unit) + 1;
    same = gsq_page_cache_get(f->db->cache, page, version, (uint32_t)(w->offset % b->unit),
                              bytes, w->size) &&
           !memcmp(bytes, w->data, w->size);
  }
  free(bytes);
  return same;
}

/* Writes the transaction through, its journal first. */
static int go_through(main_file *f) {
  side_file *journal = f->journal;
  if (!journal || !journal->active)
    return gsq_fail(
        &f->report, SQLITE_FULL,
        "a transaction on %s is larger than the %lld bytes of one message to %s, and "
        "has no journal file; use journal_mode=delete, or raise max_batch_mb if the "
        "server takes larger messages",
        f->settings.name, (long long)f->settings.batch_bytes, f->server->url);
  batch b;
  int rc = make_batch(f, &b);
  if (rc != SQLITE_OK)
    return rc;
  int64_t visible = (int64_t)gsq_write_buffer_base_visible(f->buffer);
  gsq_file_database_set_through(f->db);
  rc = settle(journal, 1);
  if (rc == SQLITE_OK && visible < b.base_size)
    rc = gsq_remote_truncate(f->db, GSQ_MAIN, visible, &f->report);
  for (size_t i = 0; rc == SQLITE_OK && i < b.count; i++)
    rc = gsq_remote_write(f->db, GSQ_MAIN, b.writes[i].offset, b.writes[i].data,
                          (int)b.writes[i].size, &f->report);
  free_batch(&b);
  drop_writes(f); /* if it failed, SQLite rolls back by its journal */
  return rc;
}

/* ---- The database: PRAGMAs ------------------------------------------------------------------- */

static int answer(char **result, char *text) {
  *result = text;
  return text ? SQLITE_OK : SQLITE_NOMEM;
}

static char *stats(main_file *f) {
  gsq_channel_stats channel;
  gsq_page_cache_stats cache;
  gsq_channel_stats_get(f->server->channel, &channel);
  gsq_page_cache_stats_get(f->db->cache, &cache);
  return sqlite3_mprintf(
      "rpcs %llu\nround_trips %llu\nretries %llu\nconnects %llu\n"
      "bytes_sent %llu\nbytes_received %llu\n"
      "cache_hits %llu\ncache_misses %llu\ncache_evictions %llu\ncache_bytes %llu",
      channel.calls, channel.calls + channel.retries, channel.retries, channel.connects,
      channel.bytes_sent, channel.bytes_received, cache.hits, cache.misses, cache.evictions,
      (sqlite3_uint64)cache.bytes);
}

static int pragma(main_file *f, char **arguments) {
  const char *name = arguments[1];
  if (sqlite3_stricmp(name, "journal_mode") == 0) {
    /* Where commits are batches there must never be a WAL at the server. */
    if (arguments[2] && f->db->atomic_batch)
      gsq_pragma_forbid_wal(arguments[2]);
    return SQLITE_NOTFOUND;
  }
  if (gsq_is_sqlite_pragma(name))
    return SQLITE_NOTFOUND;
  if (sqlite3_stricmp(name, "grpsqlite_last_error") == 0) {
    char text[GSQ_REPORT_BYTES];
    gsq_last_error(text, sizeof text);
    return answer(arguments, sqlite3_mprintf("%s", f->report.text[0] ? f->report.text : text));
  }
  if (sqlite3_stricmp(name, "grpsqlite_stats") == 0)
    return answer(arguments, stats(f));
  if (sqlite3_stricmp(name, "grpsqlite_server") == 0)
    return answer(arguments, sqlite3_mprintf("%s", f->server->url));
  char *response = NULL;
  int rc = gsq_file_database_pragma(f->db, name, arguments[2], &response, &f->report);
  if (rc == SQLITE_OK && response)
    rc = answer(arguments, sqlite3_mprintf("%s", response));
  if (rc != SQLITE_OK && rc != SQLITE_NOTFOUND)
    arguments[0] = sqlite3_mprintf("%s", f->report.text);
  free(response);
  return rc;
}

/* ---- The database: methods ------------------------------------------------------------------- */

static int main_close(sqlite3_file *file) {
  main_file *f = (main_file *)file;
  pthread_mutex_lock(&mains_mutex);
  main_file **link = &mains;
  while (*link && *link != f)
    link = &(*link)->next;
  if (*link)
    *link = f->next;
  pthread_mutex_unlock(&mains_mutex);
  drop_writes(f);
  gsq_file_database_unlock(f->db, f, &f->lock, SQLITE_LOCK_NONE, &f->report);
  gsq_write_buffer_free(f->buffer);
  gsq_file_database_close(f->db);
  gsq_server_release(f->server);
  gsq_settings_free(&f->settings);
  f->base.pMethods = NULL;
  return SQLITE_OK;
}

/* Before the lease is there, nothing is known of the file: it seems empty. SQLite looks at the
** header then only for the page size, and again when it has its lock. */
static int is_unknown(main_file *f) {
  return !f->read_only && f->lock == SQLITE_LOCK_NONE && !gsq_file_database_leased(f->db) &&
         !gsq_file_database_is_inherited(f->db);
}

static int main_read(sqlite3_file *file, void *to, int amount, sqlite3_int64 offset) {
  main_file *f = (main_file *)file;
  int rc = SQLITE_OK;
  if (is_unknown(f)) {
    memset(to, 0, (size_t)amount);
    return SQLITE_IOERR_SHORT_READ;
  }
  int through = gsq_file_database_through(f->db);
  /* SQLite reads these bytes when it begins a transaction: with journal_mode=off it may have
  ** forgotten one without a word. */
  if (f->buffering && offset == 24 && amount == 16)
    drop_writes(f);
  if (!f->buffering) {
    rc = gsq_remote_read(f->db, GSQ_MAIN, offset, to, amount,
                         f->read_only ? &f->time_millis : NULL, &f->report);
  } else {
    gsq_error error = {0};
    int64_t size = (int64_t)gsq_write_buffer_size(f->buffer);
    int n = offset >= size ? 0 : size - offset < amount ? (int)(size - offset) : amount;
    if (n > 0 &&
        gsq_write_buffer_read(f->buffer, (uint64_t)offset, to, (uint32_t)n, &error) != GSQ_OK)
      return gsq_fail_error(&f->report, &error, GSQ_READING, "reading", f->settings.name);
    if (n < amount) {
      memset((char *)to + n, 0, (size_t)(amount - n));
      rc = SQLITE_IOERR_SHORT_READ;
    }
  }
  /* A database that says WAL is read as one that does not: there is no WAL. */
  if (!through && offset <= 18 && offset + amount >= 20) {
    unsigned char *versions = (unsigned char *)to + (18 - offset);
    if (versions[0] == 2 && versions[1] == 2)
      versions[0] = versions[1] = 1;
  }
  return rc;
}

static int main_write(sqlite3_file *file, const void *from, int amount, sqlite3_int64 offset) {
  main_file *f = (main_file *)file;
  gsq_error error = {0};
  if (f->read_only)
    return gsq_fail(&f->report, SQLITE_READONLY, "%s was opened read-only", f->settings.name);
  if (f->aborted)
    return SQLITE_OK;
  if (gsq_file_database_through(f->db))
    return gsq_remote_write(f->db, GSQ_MAIN, offset, from, amount, &f->report);
  int rc = begin_writes(f);
  if (rc != SQLITE_OK)
    return rc;
  f->full = 0;
  if (gsq_write_buffer_write(f->buffer, (uint64_t)offset, from, (uint32_t)amount, &error) ==
      GSQ_OK)
    return SQLITE_OK;
  if (!f->full)
    return gsq_fail_error(&f->report, &error, GSQ_WRITING, "writing to", f->settings.name);
  rc = go_through(f);
  if (rc != SQLITE_OK)
    return rc;
  return gsq_remote_write(f->db, GSQ_MAIN, offset, from, amount, &f->report);
}

static int main_truncate(sqlite3_file *file, sqlite3_int64 size) {
  main_file *f = (main_file *)file;
  gsq_error error = {0};
  int64_t now;
  if (f->read_only)
    return gsq_fail(&f->report, SQLITE_READONLY, "%s was opened read-only", f->settings.name);
  if (f->aborted)
    return SQLITE_OK;
  if (gsq_file_database_through(f->db))
    return gsq_remote_truncate(f->db, GSQ_MAIN, size, &f->report);
  if (f->committed && !f->buffering) {
    /* SQLite shrinks a file when its transaction is committed: that this fails must not make the
    ** COMMIT fail, and does no harm. The header says how many pages count. */
    int rc = gsq_remote_size(f->db, GSQ_MAIN, &now, &f->report);
    if (rc == SQLITE_OK && size < now)
      gsq_remote_truncate(f->db, GSQ_MAIN, size, &f->report);
    return SQLITE_OK;
  }
  int rc = begin_writes(f);
  if (rc != SQLITE_OK)
    return rc;
  if (gsq_write_buffer_truncate(f->buffer, (uint64_t)size, &error) == GSQ_OK)
    return SQLITE_OK;
  return gsq_fail_error(&f->report, &error, GSQ_WRITING, "truncating", f->settings.name);
}

/* The commit point. */
static int commit(main_file *f) {
  if (f->aborted)
    return SQLITE_OK;
  if (gsq_file_database_through(f->db))
    return gsq_remote_flush(f->db, &f->report);
  if (!f->buffering)
    return SQLITE_OK;
  batch b;
  int refused = 0, rc = make_batch(f, &b);
  if (rc != SQLITE_OK)
    return rc;
  if (changes_nothing(f, &b)) {
    free_batch(&b);
    drop_writes(f);
    return SQLITE_OK;
  }
  if (b.wire_bytes > f->settings.batch_bytes) {
    free_batch(&b);
    rc = go_through(f);
    return rc == SQLITE_OK ? gsq_remote_flush(f->db, &f->report) : rc;
  }
  if (b.count > 0)
    rc = gsq_file_database_commit(f->db, b.writes, b.count, &refused, &f->report);
  if (rc == SQLITE_OK) {
    /* Header and pages are in; what is too much at the end does not count. */
    if (b.size < b.base_size)
      gsq_remote_truncate(f->db, GSQ_MAIN, b.size, &f->report);
    f->committed = 1;
    drop_writes(f);
  } else if (refused) {
    f->aborted = 1;
    drop_writes(f);
  }
  free_batch(&b);
  return rc;
}

static int main_sync(sqlite3_file *file, int flags) {
  main_file *f = (main_file *)file;
  (void)flags;
  /* In batch mode the SYNC file control has done it. */
  return gsq_file_database_through(f->db) ? gsq_remote_flush(f->db, &f->report) : SQLITE_OK;
}

static int main_file_size(sqlite3_file *file, sqlite3_int64 *size) {
  main_file *f = (main_file *)file;
  int64_t bytes = 0;
  int rc = SQLITE_OK;
  if (is_unknown(f)) {
    *size = 0;
    return SQLITE_OK;
  }
  if (f->buffering) {
    *size = (sqlite3_int64)gsq_write_buffer_size(f->buffer);
    return SQLITE_OK;
  }
  if (f->read_only) {
    /* The size that the server tells is not of the snapshot: the header's is, if it counts. */
    unsigned char h[HEADER_BYTES];
    rc = gsq_remote_read(f->db, GSQ_MAIN, 0, h, sizeof h, &f->time_millis, &f->report);
    if (rc != SQLITE_OK && rc != SQLITE_IOERR_SHORT_READ)
      return rc;
    int64_t page_size = h[16] << 8 | h[17];
    int64_t pages = (int64_t)h[28] << 24 | h[29] << 16 | h[30] << 8 | h[31];
    if (page_size == 1)
      page_size = 65536;
    if (rc == SQLITE_OK && page_size >= 512 && pages > 0 && !memcmp(h + 24, h + 92, 4)) {
      *size = pages * page_size;
      return SQLITE_OK;
    }
  }
  rc = gsq_remote_size(f->db, GSQ_MAIN, &bytes, &f->report);
  *size = bytes;
  return rc;
}

static int main_lock(sqlite3_file *file, int level) {
  main_file *f = (main_file *)file;
  if (f->read_only && f->lock == SQLITE_LOCK_NONE)
    f->time_millis = 0;
  return gsq_file_database_lock(f->db, f, &f->lock, level, &f->report);
}

static int main_unlock(sqlite3_file *file, int level) {
  main_file *f = (main_file *)file;
  if (f->lock > SQLITE_LOCK_SHARED) {
    drop_writes(f);
    f->aborted = f->committed = 0;
    if (f->journal)
      f->journal->active = 0;
  }
  gsq_file_database_unlock(f->db, f, &f->lock, level, &f->report);
  return SQLITE_OK;
}

static int main_check_reserved_lock(sqlite3_file *file, int *reserved) {
  main_file *f = (main_file *)file;
  *reserved = gsq_file_database_is_reserved(f->db);
  return SQLITE_OK;
}

static int main_file_control(sqlite3_file *file, int op, void *arg) {
  main_file *f = (main_file *)file;
  int rc;
  switch (op) {
  case SQLITE_FCNTL_SYNC:
    return commit(f);
  case SQLITE_FCNTL_COMMIT_PHASETWO:
    /* The journal is finished; what is still on its way must arrive before COMMIT says so. */
    rc = gsq_file_database_through(f->db) ? gsq_remote_flush(f->db, &f->report) : SQLITE_OK;
    f->committed = 0;
    if (f->journal)
      f->journal->active = 0;
    return rc;
  case SQLITE_FCNTL_PRAGMA:
    return pragma(f, arg);
  case SQLITE_FCNTL_VFSNAME:
    return answer(arg, sqlite3_mprintf("grpsqlite"));
  case SQLITE_FCNTL_LOCKSTATE:
    *(int *)arg = f->lock;
    return SQLITE_OK;
  case SQLITE_FCNTL_SIZE_HINT:
  case SQLITE_FCNTL_CHUNK_SIZE:
    return SQLITE_OK; /* hints about a disk */
  default:
    return SQLITE_NOTFOUND;
  }
}

static int main_sector_size(sqlite3_file *file) {
  return gsq_file_database_sector_size(((main_file *)file)->db);
}

static const sqlite3_io_methods main_methods = {
    .iVersion = 1, /* no shared memory: WAL with locking_mode=exclusive alone */
    .xClose = main_close,
    .xRead = main_read,
    .xWrite = main_write,
    .xTruncate = main_truncate,
    .xSync = main_sync,
    .xFileSize = main_file_size,
    .xLock = main_lock,
    .xUnlock = main_unlock,
    .xCheckReservedLock = main_check_reserved_lock,
    .xFileControl = main_file_control,
    .xSectorSize = main_sector_size,
    .xDeviceCharacteristics = device_characteristics,
};

int gsq_file_service_file_size(sqlite3_vfs *os) {
  int side = (int)SIDE_LOCAL_AT + gsq_local_file_size(os);
  return side > (int)sizeof(main_file) ? side : (int)sizeof(main_file);
}

int gsq_file_service_open(sqlite3_file *file, gsq_server *server, gsq_settings *settings,
                          const char *name, int create, int read_only, gsq_report *report) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, install_fork_handlers);
  main_file *f = (main_file *)file;
  memset(f, 0, sizeof *f);
  f->read_only = read_only;
  const gsq_buffer_io io = {.arg = f,
                            .read_base = read_base,
                            .read_stage = read_stage,
                            .stage = stage,
                            .stage_batch = stage_batch};
  f->buffer = gsq_write_buffer_new(&io, (size_t)settings->batch_bytes);
  if (!f->buffer)
    return gsq_fail(report, SQLITE_NOMEM, "out of memory");
  int rc = gsq_file_database_open(server, settings, read_only, &f->db, report);
  if (rc != SQLITE_OK)
    goto no_database;
  if (!create) {
    /* What is empty does not exist. If the lease is another's, it does. */
    int64_t size = 1;
    if (read_only || gsq_file_database_leased(f->db))
      rc = gsq_remote_size(f->db, GSQ_MAIN, &size, report);
    if (rc == SQLITE_OK && size == 0)
      rc = gsq_fail(report, SQLITE_CANTOPEN, "there is no database %s at %s", settings->name,
                    server->url);
    if (rc != SQLITE_OK) {
      rc = rc == SQLITE_NOMEM ? rc : SQLITE_CANTOPEN;
      goto not_there;
    }
  }
  f->server = server;
  f->settings = *settings;
  memset(settings, 0, sizeof *settings);
  f->journal_name = sqlite3_filename_journal(name);
  f->wal_name = sqlite3_filename_wal(name);
  f->base.pMethods = &main_methods;
  pthread_mutex_lock(&mains_mutex);
  f->next = mains;
  mains = f;
  pthread_mutex_unlock(&mains_mutex);
  return SQLITE_OK;
not_there:
  gsq_file_database_close(f->db);
no_database:
  gsq_write_buffer_free(f->buffer);
  f->buffer = NULL;
  return rc;
}
