/* What transactions write in the file service: see file_service_file.h. */
#include <stdlib.h>
#include <string.h>

#include "vfs/file_service_parts.h"

static int read_base(void *arg, uint64_t offset, void *to, uint32_t size, gsq_error *error) {
  gsq_main_file *f = arg;
  int rc = gsq_remote_read(f->db, GSQ_MAIN, (int64_t)offset, to, (int)size, NULL, &f->report);
  return rc == SQLITE_OK || rc == SQLITE_IOERR_SHORT_READ
             ? GSQ_OK
             : gsq_error_set(error, GSQ_UNAVAILABLE, "%.400s", f->report.text);
}

/* There is no staging here: the buffer is full. */
static int stage(void *arg, gsq_stage *id, uint32_t unit_size, const gsq_page_ref *units,
                 size_t count, gsq_error *error) {
  gsq_main_file *f = arg;
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

static int scratch(void *arg) {
  (void)arg;
  return -1;
}

gsq_buffer_io gsq_main_buffer_io(gsq_main_file *f) {
  return (gsq_buffer_io){.arg = f,
                         .read_base = read_base,
                         .read_stage = read_stage,
                         .stage = stage,
                         .stage_batch = stage_batch,
                         .scratch = scratch};
}

void gsq_main_drop_writes(gsq_main_file *f) {
  if (f->buffering) gsq_write_buffer_reset(f->buffer, 0, 0);
  f->buffering = 0;
}

int gsq_main_begin_writes(gsq_main_file *f) {
  int64_t size;
  if (f->buffering) return SQLITE_OK;
  int rc = gsq_remote_size(f->db, GSQ_MAIN, &size, &f->report);
  if (rc != SQLITE_OK) return rc;
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

static int make_batch(gsq_main_file *f, batch *b) {
  gsq_error error = {0};
  gsq_unit *units = NULL;
  size_t count = 0;
  memset(b, 0, sizeof *b);
  int rc = gsq_remote_size(f->db, GSQ_MAIN, &b->base_size, &f->report);
  if (rc != SQLITE_OK) return rc;
  b->size = (int64_t)gsq_write_buffer_size(f->buffer);
  b->unit = gsq_write_buffer_unit_size(f->buffer);
  if (b->unit == 0) return SQLITE_OK; /* truncated, perhaps */
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
      if (zero == number) zero++;
      from = (number - 1) * unit;
      data = units[at++].data;
    }
    int64_t to = number * unit < b->size ? number * unit : b->size;
    if (to <= from) continue;
    b->writes[b->count++] = (gsq_file_write_ref){from, data, (uint32_t)(to - from)};
    b->wire_bytes += to - from + gsq_file_database_write_overhead(f->db);
  }
  free(units);
  return SQLITE_OK;
}

/* True if the batch would write what is there, as far as the cache knows: a rolled back
** transaction, mostly. */
static int changes_nothing(gsq_main_file *f, const batch *b) {
  if (b->size != b->base_size) return 0;
  if (b->count == 0) return 1;
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

int gsq_main_go_through(gsq_main_file *f) {
  gsq_side_file *journal = f->journal;
  if (!journal || !journal->active)
    return gsq_fail(
        &f->report, SQLITE_FULL,
        "a transaction on %s is larger than the %lld bytes of one message to %s, and "
        "has no journal file; use journal_mode=delete, or raise max_batch_mb if the "
        "server takes larger messages",
        f->settings.name, (long long)f->settings.batch_bytes, f->server->url);
  batch b;
  int rc = make_batch(f, &b);
  if (rc != SQLITE_OK) return rc;
  int64_t visible = (int64_t)gsq_write_buffer_base_visible(f->buffer);
  gsq_file_database_set_through(f->db);
  rc = gsq_side_settle(journal, 1);
  if (rc == SQLITE_OK && visible < b.base_size)
    rc = gsq_remote_truncate(f->db, GSQ_MAIN, visible, &f->report);
  for (size_t i = 0; rc == SQLITE_OK && i < b.count; i++)
    rc = gsq_remote_write(f->db, GSQ_MAIN, b.writes[i].offset, b.writes[i].data,
                          (int)b.writes[i].size, &f->report);
  free_batch(&b);
  gsq_main_drop_writes(f); /* if it failed, SQLite rolls back by its journal */
  return rc;
}

int gsq_main_commit(gsq_main_file *f) {
  if (f->aborted) return SQLITE_OK;
  if (gsq_file_database_through(f->db)) return gsq_remote_flush(f->db, &f->report);
  if (!f->buffering) return SQLITE_OK;
  batch b;
  int refused = 0, rc = make_batch(f, &b);
  if (rc != SQLITE_OK) return rc;
  if (changes_nothing(f, &b)) {
    free_batch(&b);
    gsq_main_drop_writes(f);
    return SQLITE_OK;
  }
  if (b.wire_bytes > f->settings.batch_bytes) {
    free_batch(&b);
    rc = gsq_main_go_through(f);
    return rc == SQLITE_OK ? gsq_remote_flush(f->db, &f->report) : rc;
  }
  if (b.count > 0)
    rc = gsq_file_database_commit(f->db, b.writes, b.count, &refused, &f->report);
  if (rc == SQLITE_OK) {
    /* Header and pages are in; what is too much at the end does not count. */
    if (b.size < b.base_size) gsq_remote_truncate(f->db, GSQ_MAIN, b.size, &f->report);
    f->committed = 1;
    gsq_main_drop_writes(f);
  } else if (refused) {
    f->aborted = 1;
    gsq_main_drop_writes(f);
  }
  free_batch(&b);
  return rc;
}
