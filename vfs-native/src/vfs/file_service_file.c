/* A database in the file service, as SQLite's file: see file_service_file.h. */
#include "vfs/file_service_file.h"

#include <stdlib.h>
#include <string.h>

#include "vfs/file_service_parts.h"
#include "vfs/local_file.h"
#include "vfs/pragma.h"

#define HEADER_BYTES 100

/* ---- PRAGMAs ------------------------------------------------------------------- */

static int answer(char **result, char *text) {
  *result = text;
  return text ? SQLITE_OK : SQLITE_NOMEM;
}

static char *stats(gsq_main_file *f) {
  gsq_channel_stats channel;
  gsq_page_cache_stats cache;
  gsq_channel_stats_get(f->server->channel, &channel);
  gsq_page_cache_stats_get(f->db->cache, &cache);
  return sqlite3_mprintf(
      "rpcs %llu\nround_trips %llu\nretries %llu\nconnects %llu\nserver_changes %llu\n"
      "bytes_sent %llu\nbytes_received %llu\n"
      "cache_hits %llu\ncache_misses %llu\ncache_evictions %llu\ncache_bytes %llu",
      channel.calls, channel.calls + channel.retries, channel.retries, channel.connects,
      channel.moves, channel.bytes_sent, channel.bytes_received, cache.hits, cache.misses,
      cache.evictions, (sqlite3_uint64)cache.bytes);
}

static int pragma(gsq_main_file *f, char **arguments) {
  const char *name = arguments[1];
  if (sqlite3_stricmp(name, "journal_mode") == 0) {
    /* Where commits are batches there must never be a WAL at the server. */
    if (arguments[2] && f->db->atomic_batch) gsq_pragma_forbid_wal(arguments[2]);
    return SQLITE_NOTFOUND;
  }
  if (gsq_is_sqlite_pragma(name)) return SQLITE_NOTFOUND;
  if (sqlite3_stricmp(name, "grpsqlite_last_error") == 0) {
    char text[GSQ_REPORT_BYTES];
    gsq_last_error(text, sizeof text);
    return answer(arguments, sqlite3_mprintf("%s", f->report.text[0] ? f->report.text : text));
  }
  if (sqlite3_stricmp(name, "grpsqlite_stats") == 0) return answer(arguments, stats(f));
  if (sqlite3_stricmp(name, "grpsqlite_server") == 0)
    return answer(arguments, sqlite3_mprintf("%s", gsq_channel_url(f->server->channel)));
  char *response = NULL;
  int rc = gsq_file_database_pragma(f->db, name, arguments[2], &response, &f->report);
  if (rc == SQLITE_OK && response) rc = answer(arguments, sqlite3_mprintf("%s", response));
  if (rc != SQLITE_OK && rc != SQLITE_NOTFOUND)
    arguments[0] = sqlite3_mprintf("%s", f->report.text);
  free(response);
  return rc;
}

/* ---- methods ------------------------------------------------------------------- */

static int main_close(sqlite3_file *file) {
  gsq_main_file *f = (gsq_main_file *)file;
  gsq_main_files_remove(f);
  gsq_main_drop_writes(f);
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
static int is_unknown(gsq_main_file *f) {
  return !f->read_only && f->lock == SQLITE_LOCK_NONE && !gsq_file_database_leased(f->db) &&
         !gsq_file_database_is_inherited(f->db);
}

static int main_read(sqlite3_file *file, void *to, int amount, sqlite3_int64 offset) {
  gsq_main_file *f = (gsq_main_file *)file;
  int rc = SQLITE_OK;
  if (is_unknown(f)) {
    memset(to, 0, (size_t)amount);
    return SQLITE_IOERR_SHORT_READ;
  }
  int through = gsq_file_database_through(f->db);
  /* SQLite reads these bytes when it begins a transaction: with journal_mode=off it may have
  ** forgotten one without a word. */
  if (f->buffering && offset == 24 && amount == 16) gsq_main_drop_writes(f);
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
    if (versions[0] == 2 && versions[1] == 2) versions[0] = versions[1] = 1;
  }
  return rc;
}

static int main_write(sqlite3_file *file, const void *from, int amount, sqlite3_int64 offset) {
  gsq_main_file *f = (gsq_main_file *)file;
  gsq_error error = {0};
  if (f->read_only)
    return gsq_fail(&f->report, SQLITE_READONLY, "%s was opened read-only", f->settings.name);
  if (f->aborted) return SQLITE_OK;
  if (gsq_file_database_through(f->db))
    return gsq_remote_write(f->db, GSQ_MAIN, offset, from, amount, &f->report);
  int rc = gsq_main_begin_writes(f);
  if (rc != SQLITE_OK) return rc;
  f->full = 0;
  if (gsq_write_buffer_write(f->buffer, (uint64_t)offset, from, (uint32_t)amount, &error) ==
      GSQ_OK)
    return SQLITE_OK;
  if (!f->full)
    return gsq_fail_error(&f->report, &error, GSQ_WRITING, "writing to", f->settings.name);
  rc = gsq_main_go_through(f);
  if (rc != SQLITE_OK) return rc;
  return gsq_remote_write(f->db, GSQ_MAIN, offset, from, amount, &f->report);
}

static int main_truncate(sqlite3_file *file, sqlite3_int64 size) {
  gsq_main_file *f = (gsq_main_file *)file;
  gsq_error error = {0};
  int64_t now;
  if (f->read_only)
    return gsq_fail(&f->report, SQLITE_READONLY, "%s was opened read-only", f->settings.name);
  if (f->aborted) return SQLITE_OK;
  if (gsq_file_database_through(f->db))
    return gsq_remote_truncate(f->db, GSQ_MAIN, size, &f->report);
  if (f->committed && !f->buffering) {
    /* SQLite shrinks a file when its transaction is committed: that this fails must not make the
    ** COMMIT fail, and does no harm. The header says how many pages count. */
    int rc = gsq_remote_size(f->db, GSQ_MAIN, &now, &f->report);
    if (rc == SQLITE_OK && size < now) gsq_remote_truncate(f->db, GSQ_MAIN, size, &f->report);
    return SQLITE_OK;
  }
  int rc = gsq_main_begin_writes(f);
  if (rc != SQLITE_OK) return rc;
  if (gsq_write_buffer_truncate(f->buffer, (uint64_t)size, &error) == GSQ_OK) return SQLITE_OK;
  return gsq_fail_error(&f->report, &error, GSQ_WRITING, "truncating", f->settings.name);
}

static int main_sync(sqlite3_file *file, int flags) {
  gsq_main_file *f = (gsq_main_file *)file;
  (void)flags;
  /* In batch mode the SYNC file control has done it. */
  return gsq_file_database_through(f->db) ? gsq_remote_flush(f->db, &f->report) : SQLITE_OK;
}

static int main_file_size(sqlite3_file *file, sqlite3_int64 *size) {
  gsq_main_file *f = (gsq_main_file *)file;
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
    if (rc != SQLITE_OK && rc != SQLITE_IOERR_SHORT_READ) return rc;
    int64_t page_size = h[16] << 8 | h[17];
    int64_t pages = (int64_t)h[28] << 24 | h[29] << 16 | h[30] << 8 | h[31];
    if (page_size == 1) page_size = 65536;
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
  gsq_main_file *f = (gsq_main_file *)file;
  if (f->read_only && f->lock == SQLITE_LOCK_NONE) f->time_millis = 0;
  return gsq_file_database_lock(f->db, f, &f->lock, level, &f->report);
}

static int main_unlock(sqlite3_file *file, int level) {
  gsq_main_file *f = (gsq_main_file *)file;
  if (f->lock > SQLITE_LOCK_SHARED) {
    gsq_main_drop_writes(f);
    f->aborted = f->committed = 0;
    if (f->journal) f->journal->active = 0;
  }
  gsq_file_database_unlock(f->db, f, &f->lock, level, &f->report);
  return SQLITE_OK;
}

static int main_check_reserved_lock(sqlite3_file *file, int *reserved) {
  gsq_main_file *f = (gsq_main_file *)file;
  *reserved = gsq_file_database_is_reserved(f->db);
  return SQLITE_OK;
}

static int main_file_control(sqlite3_file *file, int op, void *arg) {
  gsq_main_file *f = (gsq_main_file *)file;
  int rc;
  switch (op) {
    case SQLITE_FCNTL_SYNC:
      return gsq_main_commit(f);
    case SQLITE_FCNTL_COMMIT_PHASETWO:
      /* The journal is finished; what is still on its way must arrive before COMMIT says so. */
      rc = gsq_file_database_through(f->db) ? gsq_remote_flush(f->db, &f->report) : SQLITE_OK;
      f->committed = 0;
      if (f->journal) f->journal->active = 0;
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
  return gsq_file_database_sector_size(((gsq_main_file *)file)->db);
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
    .xDeviceCharacteristics = gsq_file_device_characteristics,
};

int gsq_file_service_file_size(sqlite3_vfs *os) {
  int side = (int)GSQ_SIDE_LOCAL_AT + gsq_local_file_size(os);
  return side > (int)sizeof(gsq_main_file) ? side : (int)sizeof(gsq_main_file);
}

int gsq_file_service_open(sqlite3_file *file, gsq_server *server, gsq_settings *settings,
                          const char *name, int create, int read_only, gsq_report *report) {
  gsq_main_file *f = (gsq_main_file *)file;
  memset(f, 0, sizeof *f);
  f->read_only = read_only;
  const gsq_buffer_io io = gsq_main_buffer_io(f);
  f->buffer = gsq_write_buffer_new(&io, (size_t)settings->batch_bytes);
  if (!f->buffer) return gsq_fail(report, SQLITE_NOMEM, "out of memory");
  int rc = gsq_file_database_open(server, settings, read_only, &f->db, report);
  if (rc != SQLITE_OK) goto no_database;
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
  gsq_main_files_add(f);
  return SQLITE_OK;
not_there:
  gsq_file_database_close(f->db);
no_database:
  gsq_write_buffer_free(f->buffer);
  f->buffer = NULL;
  return rc;
}
