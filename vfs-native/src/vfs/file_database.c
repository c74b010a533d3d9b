/* One database of the file service: see file_database.h. */
#include "vfs/file_database.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "vfs/file_call.h"
#include "vfs/file_lease.h"
#include "vfs/sqlite_api.h"

int gsq_file_database_leased(gsq_file_database *db) {
  pthread_mutex_lock(&db->mutex);
  int leased = db->leased;
  pthread_mutex_unlock(&db->mutex);
  return leased;
}

int gsq_file_database_through(gsq_file_database *db) {
  pthread_mutex_lock(&db->mutex);
  int through = db->through;
  pthread_mutex_unlock(&db->mutex);
  return through;
}

void gsq_file_database_set_through(gsq_file_database *db) {
  pthread_mutex_lock(&db->mutex);
  db->through = 1;
  pthread_mutex_unlock(&db->mutex);
}

unsigned gsq_file_database_lease_count(gsq_file_database *db) {
  pthread_mutex_lock(&db->mutex);
  unsigned count = db->lease_count;
  pthread_mutex_unlock(&db->mutex);
  return count;
}

uint32_t gsq_file_database_write_overhead(const gsq_file_database *db) {
  /* Context and lease are in each write; 64 covers tags, lengths, offset and checksum. */
  return (uint32_t)strlen(db->context->can.context) + 256 + 64;
}

int gsq_file_database_sector_size(const gsq_file_database *db) {
  int32_t size = db->context->can.sector_size;
  return size >= 512 && size <= 65536 && (size & (size - 1)) == 0 ? size : 4096;
}

/* ---- Locks ----------------------------------------------------------------------------------- */

static int lock_shared(gsq_file_database *db, gsq_report *report) {
  for (;;) {
    pthread_mutex_lock(&db->mutex);
    int idle = db->shared == 0, leased = db->leased;
    int stale = leased && gsq_now_ms() > db->trusted_until_ms;
    int busy = leased && (db->pending_lock || db->exclusive);
    if (leased && !stale && !busy) db->shared++;
    pthread_mutex_unlock(&db->mutex);
    if (busy)
      return gsq_fail(report, SQLITE_BUSY, "another connection of this process is writing %s",
                      db->names[GSQ_MAIN]);
    if (stale) {
      gsq_error error = {0};
      int code = gsq_file_lease_renew(db, db->server->channel, gsq_file_deadline(db), &error);
      if (code == GSQ_OK || code == GSQ_NOT_FOUND) continue;
      return gsq_fail_error(report, &error, GSQ_LOCKING, "renewing the lease of",
                            db->names[GSQ_MAIN]);
    }
    if (leased) return SQLITE_OK;
    if (!idle) return gsq_file_check(db, SQLITE_IOERR_LOCK, report);
    int rc = gsq_file_lease_take(db, report);
    if (rc != SQLITE_OK) return rc;
  }
}

int gsq_file_database_lock(gsq_file_database *db, const void *who, int *level, int wanted,
                           gsq_report *report) {
  if (*level >= wanted) return SQLITE_OK;
  if (gsq_file_database_is_inherited(db)) return gsq_file_check(db, SQLITE_IOERR_LOCK, report);
  if (db->read_only) {
    if (wanted > SQLITE_LOCK_SHARED)
      return gsq_fail(report, SQLITE_READONLY, "%s was opened read-only", db->names[GSQ_MAIN]);
    *level = SQLITE_LOCK_SHARED;
    return SQLITE_OK;
  }
  if (*level == SQLITE_LOCK_NONE) {
    int rc = lock_shared(db, report);
    if (rc != SQLITE_OK) return rc;
    *level = SQLITE_LOCK_SHARED;
  }
  if (wanted == SQLITE_LOCK_SHARED) return SQLITE_OK;
  int rc = gsq_file_check(db, SQLITE_IOERR_LOCK, report);
  if (rc != SQLITE_OK) return rc;
  pthread_mutex_lock(&db->mutex);
  int free = 0;
  if (wanted == SQLITE_LOCK_RESERVED) {
    free = !db->reserved && !db->pending_lock;
    if (free) {
      db->reserved = who;
      *level = SQLITE_LOCK_RESERVED;
    }
  } else if ((!db->reserved || db->reserved == who) &&
             (!db->pending_lock || db->pending_lock == who)) {
    /* PENDING keeps new readers out while the present ones finish. */
    db->pending_lock = who;
    if (*level < SQLITE_LOCK_PENDING) *level = SQLITE_LOCK_PENDING;
    free = wanted == SQLITE_LOCK_PENDING || db->shared == 1;
    if (free && wanted == SQLITE_LOCK_EXCLUSIVE) {
      db->exclusive = who;
      *level = SQLITE_LOCK_EXCLUSIVE;
    }
  }
  pthread_mutex_unlock(&db->mutex);
  if (free) return SQLITE_OK;
  return gsq_fail(report, SQLITE_BUSY, "another connection of this process is using %s",
                  db->names[GSQ_MAIN]);
}

void gsq_file_database_unlock(gsq_file_database *db, const void *who, int *level, int wanted,
                              gsq_report *report) {
  if (*level <= wanted) return;
  if (db->read_only || gsq_file_database_is_inherited(db)) {
    *level = wanted;
    return;
  }
  /* With the lock the right to have writes waiting ends. */
  if (*level > SQLITE_LOCK_SHARED && gsq_remote_flush(db, report) != SQLITE_OK)
    gsq_file_lose_lease(db);
  pthread_mutex_lock(&db->mutex);
  if (db->reserved == who) db->reserved = NULL;
  if (db->pending_lock == who) db->pending_lock = NULL;
  if (db->exclusive == who) {
    db->exclusive = NULL;
    if (db->atomic_batch && db->sizes[GSQ_JOURNAL] == 0 && db->sizes[GSQ_WAL] == 0)
      db->through = 0;
  }
  if (wanted == SQLITE_LOCK_NONE) db->shared--;
  *level = wanted;
  pthread_mutex_unlock(&db->mutex);
}

int gsq_file_database_is_reserved(gsq_file_database *db) {
  pthread_mutex_lock(&db->mutex);
  int reserved = db->reserved || db->pending_lock || db->exclusive;
  pthread_mutex_unlock(&db->mutex);
  return reserved;
}

/* ---- Opening and closing --------------------------------------------------------------------- */

static void free_database(gsq_file_database *db) {
  for (int i = 0; i < GSQ_REMOTE_NAMES; i++) free(db->names[i]);
  if (db->cache) gsq_page_cache_free(db->cache);
  free(db->pending);
  pthread_mutex_destroy(&db->mutex);
  pthread_mutex_destroy(&db->write_mutex);
  pthread_mutex_destroy(&db->lease_mutex);
  free(db);
}

static gsq_file_database *make_database(gsq_file_context *context, const gsq_settings *settings,
                                        int read_only) {
  static const char *const suffixes[GSQ_REMOTE_NAMES] = {"", "-journal", "-wal"};
  gsq_file_database *db = calloc(1, sizeof *db);
  if (!db) return NULL;
  pthread_mutex_init(&db->lease_mutex, NULL);
  pthread_mutex_init(&db->write_mutex, NULL);
  pthread_mutex_init(&db->mutex, NULL);
  db->server = context->server;
  db->context = context;
  db->read_only = read_only;
  db->atomic_batch = context->can.atomic_batch;
  db->timeout_ms = settings->timeout_ms;
  db->cache = gsq_page_cache_new((size_t)settings->cache_bytes);
  db->pending = malloc(GSQ_FILE_PIECE_BYTES);
  int complete = db->cache && db->pending;
  for (int i = 0; i < GSQ_REMOTE_NAMES; i++) {
    db->sizes[i] = -1;
    size_t room = strlen(settings->name) + strlen(suffixes[i]) + 1;
    db->names[i] = malloc(room);
    if (!db->names[i]) {
      complete = 0;
      continue;
    }
    strcpy(db->names[i], settings->name);
    strcat(db->names[i], suffixes[i]);
  }
  if (!complete) {
    free_database(db);
    return NULL;
  }
  const char *slash = strrchr(db->names[GSQ_MAIN], '/');
  db->database = slash ? slash + 1 : db->names[GSQ_MAIN];
  return db;
}

int gsq_file_database_open(gsq_server *server, const gsq_settings *settings, int read_only,
                           gsq_file_database **out, gsq_report *report) {
  gsq_error error = {0};
  gsq_file_context *context = NULL;
  if (gsq_file_context_acquire(server, gsq_now_ms() + settings->timeout_ms, &context, &error) !=
      GSQ_OK)
    return gsq_fail_error(report, &error, GSQ_OPENING, "opening", settings->name);
  int rc = SQLITE_OK;
  if (read_only && !context->can.point_in_time_reads) {
    rc = gsq_fail(report, SQLITE_CANTOPEN,
                  "%s cannot be opened read-only: the server at %s has no point-in-time reads; "
                  "open it without mode=ro",
                  settings->name, server->url);
    goto failed;
  }
  pthread_mutex_lock(&context->mutex);
  gsq_file_database *db = context->databases;
  while (db && (db->read_only != read_only || strcmp(db->names[GSQ_MAIN], settings->name)))
    db = db->next;
  if (db) {
    db->references++;
  } else if ((db = make_database(context, settings, read_only))) {
    if (!read_only && !context->thread_running && gsq_file_context_start(context)) {
      free_database(db);
      db = NULL;
    } else {
      db->references = 1;
      db->next = context->databases;
      context->databases = db;
    }
  }
  pthread_mutex_unlock(&context->mutex);
  if (!db) {
    rc = gsq_file_no_memory(report);
    goto failed;
  }
  if (!read_only && !gsq_file_database_leased(db)) {
    pthread_mutex_lock(&db->mutex);
    int idle = db->shared == 0;
    pthread_mutex_unlock(&db->mutex);
    if (idle) rc = gsq_file_lease_take(db, report);
    if (rc == SQLITE_BUSY) rc = SQLITE_OK; /* perhaps at the first lock */
  }
  if (rc == SQLITE_OK) {
    *out = db;
    return SQLITE_OK;
  }
  rc = rc == SQLITE_NOMEM || rc == SQLITE_AUTH || rc == SQLITE_PERM ? rc : SQLITE_CANTOPEN;
  gsq_file_database_close(db);
  return rc;
failed:
  gsq_file_context_release(context);
  return rc;
}

void gsq_file_database_close(gsq_file_database *db) {
  if (gsq_file_database_is_inherited(db)) return; /* the parent's: left as it is */
  gsq_file_context *context = db->context;
  pthread_mutex_lock(&context->mutex);
  int last = --db->references == 0;
  if (last) {
    while (db->beating) pthread_cond_wait(&context->wake, &context->mutex);
    gsq_file_database **link = &context->databases;
    while (*link != db) link = &(*link)->next;
    *link = db->next;
  }
  pthread_mutex_unlock(&context->mutex);
  if (last) {
    if (!db->read_only) gsq_file_lease_give_back(db, gsq_now_ms() + GSQ_FILE_CLOSE_TIMEOUT_MS);
    free_database(db);
  }
  gsq_file_context_release(context);
}
