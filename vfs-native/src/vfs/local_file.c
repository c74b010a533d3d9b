/*
** Local files: see local_file.h.
**
** In memory, the content is an array of chunks, all of them there up to the size. The first write
** that would pass the limit opens a temporary file of `os`, copies the content, and from then on
** the methods pass through. Truncation to nothing goes back to memory, so that a connection that
** keeps its journal (journal_mode=truncate) pays for one large transaction once, and so that this
** truncation, which ends a COMMIT, cannot fail.
**
** Bytes of the last chunk behind the size are undefined; growing clears them.
*/
#include "vfs/local_file.h"

#include <assert.h>
#include <string.h>

#define CHUNK_BYTES 16384

typedef struct local_file {
  sqlite3_file base;
  sqlite3_vfs *os;
  sqlite3_file *spilled; /* behind this struct; open if its pMethods is set */
  int type;              /* the SQLITE_OPEN_... type for `os` */
  sqlite3_int64 memory_limit;
  /* The rest while it is in memory. */
  sqlite3_int64 size;
  unsigned char **chunks;
  sqlite3_int64 chunk_count, chunk_room;
} local_file;

static int is_spilled(const local_file *f) {
  return f->spilled->pMethods != 0;
}

static void keep_chunks(local_file *f, sqlite3_int64 count) {
  while (f->chunk_count > count)
    sqlite3_free(f->chunks[--f->chunk_count]);
  if (count == 0) {
    sqlite3_free(f->chunks);
    f->chunks = 0;
    f->chunk_room = 0;
  }
}

static void close_spilled(local_file *f) {
  if (!is_spilled(f))
    return;
  f->spilled->pMethods->xClose(f->spilled);
  f->spilled->pMethods = 0;
}

/* Moves what is in memory to a temporary file. On failure everything is as before. */
static int spill(local_file *f) {
  int out_flags = 0;
  int rc = f->os->xOpen(f->os, 0, f->spilled,
                        f->type | SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE |
                            SQLITE_OPEN_EXCLUSIVE | SQLITE_OPEN_DELETEONCLOSE,
                        &out_flags);
  for (sqlite3_int64 at = 0; rc == SQLITE_OK && at < f->size; at += CHUNK_BYTES) {
    sqlite3_int64 left = f->size - at;
    rc = f->spilled->pMethods->xWrite(f->spilled, f->chunks[at / CHUNK_BYTES],
                                      left < CHUNK_BYTES ? (int)left : CHUNK_BYTES, at);
  }
  if (rc != SQLITE_OK) {
    close_spilled(f);
    return rc == SQLITE_NOMEM ? SQLITE_IOERR_NOMEM : rc;
  }
  f->size = 0;
  keep_chunks(f, 0);
  return SQLITE_OK;
}

/* Makes the file in memory larger; what is new is zeros. On failure everything is as before. */
static int grow(local_file *f, sqlite3_int64 size) {
  sqlite3_int64 needed = (size + CHUNK_BYTES - 1) / CHUNK_BYTES, had = f->chunk_count;
  if (needed > f->chunk_room) {
    sqlite3_int64 room = f->chunk_room ? f->chunk_room * 2 : 8;
    if (room < needed)
      room = needed;
    unsigned char **chunks =
        sqlite3_realloc64(f->chunks, (sqlite3_uint64)room * sizeof *chunks);
    if (!chunks)
      return SQLITE_IOERR_NOMEM;
    f->chunks = chunks;
    f->chunk_room = room;
  }
  while (f->chunk_count < needed) {
    unsigned char *chunk = sqlite3_malloc64(CHUNK_BYTES);
    if (!chunk) {
      keep_chunks(f, had);
      return SQLITE_IOERR_NOMEM;
    }
    memset(chunk, 0, CHUNK_BYTES);
    f->chunks[f->chunk_count++] = chunk;
  }
  int in_last = (int)(f->size % CHUNK_BYTES);
  if (in_last) {
    unsigned char *last = f->chunks[f->size / CHUNK_BYTES];
    memset(last + in_last, 0, (size_t)(CHUNK_BYTES - in_last));
  }
  f->size = size;
  return SQLITE_OK;
}

static int local_close(sqlite3_file *file) {
  local_file *f = (local_file *)file;
  close_spilled(f);
  f->size = 0;
  keep_chunks(f, 0);
  f->base.pMethods = 0;
  return SQLITE_OK;
}

static int local_read(sqlite3_file *file, void *to, int amount, sqlite3_int64 offset) {
  local_file *f = (local_file *)file;
  if (is_spilled(f))
    return f->spilled->pMethods->xRead(f->spilled, to, amount, offset);
  if (amount < 0 || offset < 0)
    return SQLITE_IOERR_READ;
  unsigned char *at = to;
  int left = amount;
  while (left > 0 && offset < f->size) {
    int in_chunk = (int)(offset % CHUNK_BYTES);
    int n = CHUNK_BYTES - in_chunk;
    if (n > left)
      n = left;
    if (n > f->size - offset)
      n = (int)(f->size - offset);
    memcpy(at, f->chunks[offset / CHUNK_BYTES] + in_chunk, (size_t)n);
    at += n;
    offset += n;
    left -= n;
  }
  if (left == 0)
    return SQLITE_OK;
  memset(at, 0, (size_t)left);
  return SQLITE_IOERR_SHORT_READ;
}

static int local_write(sqlite3_file *file, const void *from, int amount, sqlite3_int64 offset) {
  local_file *f = (local_file *)file;
  if (amount < 0 || offset < 0)
    return SQLITE_IOERR_WRITE;
  if (!is_spilled(f) && (amount > f->memory_limit || offset > f->memory_limit - amount)) {
    int rc = spill(f);
    if (rc != SQLITE_OK)
      return rc;
  }
  if (is_spilled(f))
    return f->spilled->pMethods->xWrite(f->spilled, from, amount, offset);
  if (offset + amount > f->size) {
    int rc = grow(f, offset + amount);
    if (rc != SQLITE_OK)
      return rc;
  }
  const unsigned char *at = from;
  while (amount > 0) {
    int in_chunk = (int)(offset % CHUNK_BYTES);
    int n = CHUNK_BYTES - in_chunk;
    if (n > amount)
      n = amount;
    memcpy(f->chunks[offset / CHUNK_BYTES] + in_chunk, at, (size_t)n);
    at += n;
    offset += n;
    amount -= n;
  }
  return SQLITE_OK;
}

static int local_truncate(sqlite3_file *file, sqlite3_int64 size) {
  local_file *f = (local_file *)file;
  if (size < 0)
    return SQLITE_IOERR_TRUNCATE;
  if (size == 0) {
    close_spilled(f);
  } else if (!is_spilled(f) && size > f->memory_limit) {
    int rc = spill(f);
    if (rc != SQLITE_OK)
      return rc;
  }
  if (is_spilled(f))
    return f->spilled->pMethods->xTruncate(f->spilled, size);
  if (size > f->size)
    return grow(f, size);
  f->size = size;
  keep_chunks(f, (size + CHUNK_BYTES - 1) / CHUNK_BYTES);
  return SQLITE_OK;
}

/* Recovery never needs the content, so there is nothing to make durable. */
static int local_sync(sqlite3_file *file, int flags) {
  (void)file;
  (void)flags;
  return SQLITE_OK;
}

static int local_file_size(sqlite3_file *file, sqlite3_int64 *size) {
  local_file *f = (local_file *)file;
  if (is_spilled(f))
    return f->spilled->pMethods->xFileSize(f->spilled, size);
  *size = f->size;
  return SQLITE_OK;
}

/* Private to one connection: every lock is free. */
static int local_lock(sqlite3_file *file, int level) {
  (void)file;
  (void)level;
  return SQLITE_OK;
}

static int local_check_reserved_lock(sqlite3_file *file, int *reserved) {
  (void)file;
  *reserved = 0;
  return SQLITE_OK;
}

static int local_file_control(sqlite3_file *file, int op, void *arg) {
  (void)file;
  (void)op;
  (void)arg;
  return SQLITE_NOTFOUND;
}

/* SQLite takes its own smallest. */
static int local_sector_size(sqlite3_file *file) {
  (void)file;
  return 512;
}

static int local_device_characteristics(sqlite3_file *file) {
  (void)file;
  return SQLITE_IOCAP_SAFE_APPEND | SQLITE_IOCAP_SEQUENTIAL | SQLITE_IOCAP_POWERSAFE_OVERWRITE;
}

static const sqlite3_io_methods local_methods = {
    .iVersion = 1, /* no shared memory, no mapping */
    .xClose = local_close,
    .xRead = local_read,
    .xWrite = local_write,
    .xTruncate = local_truncate,
    .xSync = local_sync,
    .xFileSize = local_file_size,
    .xLock = local_lock,
    .xUnlock = local_lock,
    .xCheckReservedLock = local_check_reserved_lock,
    .xFileControl = local_file_control,
    .xSectorSize = local_sector_size,
    .xDeviceCharacteristics = local_device_characteristics,
};

/* The struct's size, rounded so that the file of `os` behind it is aligned for anything. */
#define SPILLED_AT ((sizeof(local_file) + 15) / 16 * 16)

int gsq_local_file_size(sqlite3_vfs *os) {
  return (int)SPILLED_AT + os->szOsFile;
}

int gsq_local_open(sqlite3_vfs *os, sqlite3_file *file, int flags, sqlite3_int64 memory_limit) {
  /* A nameless file of one of the named types (a main journal, say) would be no proper use of the
  ** other VFS; the nameless types it knows. */
  const int nameless = SQLITE_OPEN_TEMP_DB | SQLITE_OPEN_TRANSIENT_DB |
                       SQLITE_OPEN_TEMP_JOURNAL | SQLITE_OPEN_SUBJOURNAL;
  local_file *f = (local_file *)file;
  memset(f, 0, (size_t)gsq_local_file_size(os));
  f->os = os;
  f->spilled = (sqlite3_file *)((char *)f + SPILLED_AT);
  f->type = flags & nameless ? flags & nameless : SQLITE_OPEN_TEMP_JOURNAL;
  f->memory_limit = memory_limit > 0 ? memory_limit : 0;
  f->base.pMethods = &local_methods;
  return SQLITE_OK;
}
