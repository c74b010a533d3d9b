/*
** What goes to the server and comes from it: the reads, writes and commits of a database in the file
** service, and the cache between. See file_database.h.
*/
#include <stdlib.h>
#include <string.h>

#include "vfs/file_call.h"
#include "vfs/sqlite_api.h"

/* ---- The cache ------------------------------------------------------------------------------- */

/* The page size is in the header; learning that it changed empties the cache. */
static void learn_unit(gsq_file_database *db, const unsigned char *header) {
  uint32_t unit = (uint32_t)header[16] << 8 | header[17];
  if (unit == 1) unit = 65536;
  if (unit < 512 || (unit & (unit - 1))) return;
  pthread_mutex_lock(&db->mutex);
  if (unit != db->unit) {
    db->unit = unit;
    gsq_page_cache_clear(db->cache, gsq_page_cache_version(db->cache) + 1);
  }
  pthread_mutex_unlock(&db->mutex);
}

/* Whoever reads the database as it is now reads the newest version. */
static int is_read(void *arg, uint64_t from, uint64_t to) {
  (void)arg, (void)from, (void)to;
  return 0;
}

/* The database file has new bytes. Under write_mutex: versions are made by one at a time. */
static void cache_written(gsq_file_database *db, int64_t offset, const unsigned char *from,
                          uint32_t size) {
  if (offset == 0 && size >= 18) learn_unit(db, from);
  pthread_mutex_lock(&db->mutex);
  uint32_t unit = db->unit;
  pthread_mutex_unlock(&db->mutex);
  if (unit == 0) return; /* nothing is cached */
  unsigned char *mixed = NULL;
  while (size > 0) {
    uint32_t in_unit = (uint32_t)(offset % unit), n = unit - in_unit;
    uint32_t page = (uint32_t)(offset / unit) + 1;
    uint64_t version = gsq_page_cache_version(db->cache);
    const unsigned char *whole = NULL;
    if (n > size) n = size;
    if (n == unit) {
      whole = from;
    } else if ((mixed || (mixed = malloc(unit))) &&
               gsq_page_cache_get(db->cache, page, version, 0, mixed, unit)) {
      memcpy(mixed + in_unit, from, n);
      whole = mixed;
    }
    gsq_page_cache_advance(db->cache, version + 1, 0, &page, 1);
    if (whole) gsq_page_cache_put(db->cache, page, version + 1, version + 1, whole, unit);
    gsq_page_cache_trim(db->cache, &page, 1, is_read, NULL);
    offset += n;
    from += n;
    size -= n;
  }
  free(mixed);
}

static void forget_cache(gsq_file_database *db) {
  gsq_page_cache_clear(db->cache, gsq_page_cache_version(db->cache) + 1);
}

/* ---- Writing --------------------------------------------------------------------------------- */

/* The server surely did not do it, and the lease has nothing to do with why. */
static int is_refusal(const gsq_error *error) {
  if (error->sent_before) return 0;
  switch (error->code) {
    case GSQ_NOMEM:
    case GSQ_INVALID_ARGUMENT:
    case GSQ_PERMISSION_DENIED:
    case GSQ_RESOURCE_EXHAUSTED:
    case GSQ_OUT_OF_RANGE:
    case GSQ_UNIMPLEMENTED:
    case GSQ_UNAUTHENTICATED:
      return 1;
    default:
      return 0;
  }
}

/* Under write_mutex: an RPC that changes something has failed. */
static int write_failed(gsq_file_database *db, enum gsq_remote_name name,
                        const gsq_error *error, const char *what, gsq_report *report) {
  int refused = is_refusal(error);
  db->pending_size = 0;
  pthread_mutex_lock(&db->mutex);
  db->sizes[name] = -1;
  if (!refused) db->leased = 0;
  pthread_mutex_unlock(&db->mutex);
  forget_cache(db);
  return gsq_fail_error(report, error, GSQ_WRITING, what, db->names[name]);
}

/* Under write_mutex. */
static int send_write(gsq_file_database *db, enum gsq_remote_name name, int64_t offset,
                      const void *from, uint32_t size, gsq_report *report) {
  gsq_file_call r;
  gsq_error error = {0};
  if (gsq_file_write(db->server->channel, gsq_file_call_ref(db, name, &r), offset, from, size,
                     gsq_file_deadline(db), &error) == GSQ_OK)
    return SQLITE_OK;
  return write_failed(db, name, &error, "writing to", report);
}

/* Under write_mutex. */
static int flush(gsq_file_database *db, gsq_report *report) {
  if (db->pending_size == 0) return SQLITE_OK;
  int rc = gsq_file_check(db, SQLITE_IOERR_WRITE, report);
  uint32_t size = db->pending_size;
  db->pending_size = 0;
  if (rc == SQLITE_OK)
    rc = send_write(db, db->pending_name, db->pending_offset, db->pending, size, report);
  return rc;
}

int gsq_remote_flush(gsq_file_database *db, gsq_report *report) {
  pthread_mutex_lock(&db->write_mutex);
  int rc = flush(db, report);
  pthread_mutex_unlock(&db->write_mutex);
  return rc;
}

int gsq_remote_write(gsq_file_database *db, enum gsq_remote_name name, int64_t offset,
                     const void *from, int size, gsq_report *report) {
  int64_t known;
  int rc = gsq_remote_size(db, name, &known, report); /* needed below */
  if (rc != SQLITE_OK) return rc;
  pthread_mutex_lock(&db->write_mutex);
  rc = gsq_file_check(db, SQLITE_IOERR_WRITE, report);
  const unsigned char *at = from;
  while (rc == SQLITE_OK && size > 0) {
    int follows = db->pending_size > 0 && db->pending_name == name &&
                  db->pending_offset + db->pending_size == offset &&
                  db->pending_size < GSQ_FILE_PIECE_BYTES;
    if (!follows) {
      rc = flush(db, report);
      if (rc != SQLITE_OK) break;
      db->pending_name = name;
      db->pending_offset = offset;
    }
    uint32_t n = GSQ_FILE_PIECE_BYTES - db->pending_size;
    if (n > (uint32_t)size) n = (uint32_t)size;
    /* What waits to be sent is, for readers, written: the cache knows it first. */
    if (name == GSQ_MAIN) cache_written(db, offset, at, n);
    memcpy(db->pending + db->pending_size, at, n);
    db->pending_size += n;
    offset += n;
    at += n;
    size -= (int)n;
    pthread_mutex_lock(&db->mutex);
    if (db->sizes[name] >= 0 && offset > db->sizes[name]) db->sizes[name] = offset;
    pthread_mutex_unlock(&db->mutex);
  }
  pthread_mutex_unlock(&db->write_mutex);
  return rc;
}

int gsq_remote_truncate(gsq_file_database *db, enum gsq_remote_name name, int64_t size,
                        gsq_report *report) {
  gsq_file_call r;
  gsq_error error = {0};
  pthread_mutex_lock(&db->write_mutex);
  int rc = flush(db, report);
  if (rc == SQLITE_OK) rc = gsq_file_check(db, SQLITE_IOERR_TRUNCATE, report);
  if (rc == SQLITE_OK) {
    if (name == GSQ_MAIN) forget_cache(db); /* seldom, and cheaper than to know which */
    if (gsq_file_truncate(db->server->channel, gsq_file_call_ref(db, name, &r), size,
                          gsq_file_deadline(db), &error) != GSQ_OK) {
      rc = write_failed(db, name, &error, "truncating", report);
    } else {
      pthread_mutex_lock(&db->mutex);
      db->sizes[name] = size;
      pthread_mutex_unlock(&db->mutex);
    }
  }
  pthread_mutex_unlock(&db->write_mutex);
  return rc;
}

int gsq_remote_delete(gsq_file_database *db, enum gsq_remote_name name, gsq_report *report) {
  gsq_file_call r;
  gsq_error error = {0};
  pthread_mutex_lock(&db->write_mutex);
  int rc = flush(db, report);
  if (rc == SQLITE_OK) rc = gsq_file_check(db, SQLITE_IOERR_DELETE, report);
  if (rc == SQLITE_OK) {
    if (gsq_file_delete(db->server->channel, gsq_file_call_ref(db, name, &r),
                        gsq_file_deadline(db), &error) != GSQ_OK) {
      rc = write_failed(db, name, &error, "deleting", report);
    } else {
      pthread_mutex_lock(&db->mutex);
      db->sizes[name] = 0;
      pthread_mutex_unlock(&db->mutex);
    }
  }
  pthread_mutex_unlock(&db->write_mutex);
  return rc;
}

int gsq_file_database_commit(gsq_file_database *db, const gsq_file_write_ref *writes,
                             size_t count, int *refused, gsq_report *report) {
  gsq_file_call r;
  gsq_error error = {0};
  *refused = 0;
  pthread_mutex_lock(&db->write_mutex);
  int rc = gsq_file_check(db, SQLITE_IOERR_FSYNC, report);
  if (rc != SQLITE_OK) goto done;
  if (gsq_file_write_batch(db->server->channel, gsq_file_call_ref(db, GSQ_MAIN, &r), writes,
                           count, gsq_file_deadline(db), &error) != GSQ_OK) {
    *refused = is_refusal(&error);
    if (!*refused) gsq_file_lose_lease(db); /* it may yet be applied, under this lease only */
    rc = gsq_fail_error(report, &error, GSQ_COMMITTING, "committing to", db->names[GSQ_MAIN]);
    goto done;
  }
  for (size_t i = 0; i < count; i++) {
    int64_t end = writes[i].offset + writes[i].size;
    cache_written(db, writes[i].offset, writes[i].data, writes[i].size);
    pthread_mutex_lock(&db->mutex);
    if (end > db->sizes[GSQ_MAIN]) db->sizes[GSQ_MAIN] = end;
    pthread_mutex_unlock(&db->mutex);
  }
done:
  pthread_mutex_unlock(&db->write_mutex);
  return rc;
}

/* ---- Reading --------------------------------------------------------------------------------- */

int gsq_remote_size(gsq_file_database *db, enum gsq_remote_name name, int64_t *size,
                    gsq_report *report) {
  int rc = gsq_file_check(db, SQLITE_IOERR_FSTAT, report);
  if (rc != SQLITE_OK) return rc;
  pthread_mutex_lock(&db->mutex);
  *size = db->read_only ? -1 : db->sizes[name];
  pthread_mutex_unlock(&db->mutex);
  if (*size >= 0) return SQLITE_OK;
  gsq_file_call r;
  gsq_error error = {0};
  rc = gsq_remote_flush(db, report);
  if (rc != SQLITE_OK) return rc;
  if (gsq_file_size(db->server->channel, gsq_file_call_ref(db, name, &r), size,
                    gsq_file_deadline(db), &error) != GSQ_OK)
    return gsq_fail_error(report, &error, GSQ_READING, "asking for the size of",
                          db->names[name]);
  pthread_mutex_lock(&db->mutex);
  if (!db->read_only) db->sizes[name] = *size;
  pthread_mutex_unlock(&db->mutex);
  return SQLITE_OK;
}

/* One Read. *got may be less than asked: the file ends there. */
static int read_once(gsq_file_database *db, enum gsq_remote_name name, int64_t offset, void *to,
                     uint32_t size, int64_t *time_millis, uint32_t *got, gsq_report *report) {
  gsq_file_call r;
  gsq_error error = {0};
  int unchanged = 0;
  int64_t at = 0;
  if (gsq_file_read(db->server->channel, gsq_file_call_ref(db, name, &r), offset, size,
                    time_millis ? *time_millis : 0, 0, to, got, &unchanged, &at,
                    gsq_file_deadline(db), &error) != GSQ_OK) {
    if (error.code == GSQ_NOT_FOUND || error.code == GSQ_FAILED_PRECONDITION)
      gsq_file_lose_lease(db);
    return gsq_fail_error(report, &error, GSQ_READING, "reading", db->names[name]);
  }
  if (unchanged) /* of no copy that we told of */
    return gsq_fail(report, SQLITE_IOERR_DATA,
                    "the server answered a read of %s without its data", db->names[name]);
  if (time_millis) {
    if (*time_millis != 0 && at != *time_millis)
      return gsq_fail(report, SQLITE_IOERR_READ,
                      "the server answered a read of %s with another snapshot",
                      db->names[name]);
    *time_millis = at;
  }
  return SQLITE_OK;
}

/* Part of one unit, through the cache. *got: as above. */
static int read_in_unit(gsq_file_database *db, uint32_t unit, int64_t offset, unsigned char *to,
                        uint32_t size, int64_t *time_millis, uint32_t *got,
                        gsq_report *report) {
  uint32_t page = (uint32_t)(offset / unit) + 1, in_unit = (uint32_t)(offset % unit);
  uint64_t version = time_millis ? (uint64_t)*time_millis : gsq_page_cache_version(db->cache);
  *got = size;
  if (gsq_page_cache_get(db->cache, page, version, in_unit, to, size)) return SQLITE_OK;
  int rc = SQLITE_OK;
  uint32_t came = 0;
  if (!time_millis) {
    /* What waits must be there first. The version is from before that, so that what is written
    ** meanwhile is not taken for what was read. */
    rc = gsq_remote_flush(db, report);
    if (rc != SQLITE_OK) return rc;
  }
  unsigned char *bytes = malloc(unit);
  if (!bytes) return gsq_file_no_memory(report);
  rc = read_once(db, GSQ_MAIN, (int64_t)(page - 1) * unit, bytes, unit, time_millis, &came,
                 report);
  if (rc == SQLITE_OK) {
    if (came == unit && (!time_millis || *time_millis == (int64_t)version))
      gsq_page_cache_put(db->cache, page, version, version, bytes, unit);
    *got = came <= in_unit ? 0 : came - in_unit < size ? came - in_unit : size;
    memcpy(to, bytes + in_unit, *got);
  }
  free(bytes);
  return rc;
}

int gsq_remote_read(gsq_file_database *db, enum gsq_remote_name name, int64_t offset, void *to,
                    int amount, int64_t *time_millis, gsq_report *report) {
  unsigned char *at = to;
  uint32_t left = amount > 0 ? (uint32_t)amount : 0;
  const int64_t began_at = offset;
  int rc = gsq_file_check(db, SQLITE_IOERR_READ, report);
  if (rc != SQLITE_OK) return rc;
  while (left > 0) {
    pthread_mutex_lock(&db->mutex);
    uint32_t unit = name == GSQ_MAIN ? db->unit : 0;
    int64_t size = db->read_only ? -1 : db->sizes[name];
    pthread_mutex_unlock(&db->mutex);
    /* Pages are numbered by 32 bits. */
    if (unit && offset / unit >= UINT32_MAX) break;
    uint32_t n = unit && unit - offset % unit < left ? unit - (uint32_t)(offset % unit) : left;
    uint32_t got = 0;
    if (size >= 0 && offset >= size) break;
    /* The newest snapshot is found by a read that the cache cannot answer. */
    if (unit && !(time_millis && *time_millis == 0)) {
      rc = read_in_unit(db, unit, offset, at, n, time_millis, &got, report);
    } else {
      if (n > GSQ_FILE_PIECE_BYTES) n = GSQ_FILE_PIECE_BYTES;
      if (!time_millis) rc = gsq_remote_flush(db, report);
      if (rc == SQLITE_OK) rc = read_once(db, name, offset, at, n, time_millis, &got, report);
    }
    if (rc != SQLITE_OK) return rc;
    at += got;
    offset += got;
    left -= got;
    if (got < n) break;
  }
  if (name == GSQ_MAIN && began_at == 0 && at - (unsigned char *)to >= 18) learn_unit(db, to);
  if (left == 0) return SQLITE_OK;
  memset(at, 0, left);
  return SQLITE_IOERR_SHORT_READ;
}

int gsq_file_database_pragma(gsq_file_database *db, const char *name, const char *value,
                             char **response, gsq_report *report) {
  gsq_file_call r;
  gsq_error error = {0};
  *response = NULL;
  if (gsq_file_database_is_inherited(db)) return gsq_file_check(db, SQLITE_IOERR, report);
  int code = gsq_file_pragma(db->server->channel, gsq_file_call_ref(db, GSQ_MAIN, &r), name,
                             value, response, gsq_file_deadline(db), &error);
  if (code == GSQ_OK) return SQLITE_OK;
  if (code == GSQ_NOT_FOUND || code == GSQ_UNIMPLEMENTED) return SQLITE_NOTFOUND;
  return gsq_fail_error(report, &error, GSQ_READING, "asking the server for PRAGMA", name);
}
