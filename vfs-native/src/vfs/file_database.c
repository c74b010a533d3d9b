/* One database of the file service: see file_database.h. */
#include "vfs/file_database.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "vfs/fork.h"
#include "vfs/sqlite_api.h"

/* Writes through are combined up to this, and larger ones sent in such pieces: far below any
** server's message limit, large enough for few round trips. */
#define PIECE_BYTES (128 * 1024)
/* A heartbeat that is missed this many intervals long is made up for before the lease is used. */
#define TRUSTED_INTERVALS 2
#define MIN_HEARTBEAT_MS 100
/* Closing may have to wait for one. */
#define HEARTBEAT_TIMEOUT_MS 2000
#define CLOSE_TIMEOUT_MS 2000

/* What all databases of one server share: the capabilities, and the thread that keeps the leases. */
struct gsq_file_context {
  gsq_server *server;
  gsq_file_capabilities can;
  pthread_mutex_t mutex;
  pthread_cond_t wake; /* stopping, or a heartbeat ended; CLOCK_MONOTONIC */
  /* Protected by mutex. */
  gsq_file_database *databases;
  int stopping, thread_running;
  pthread_t thread;
  /* Protected by registry_mutex. */
  int references;
  struct gsq_file_context *next;
};

/* Held across the making of a context (one RPC for each server), outermost of all. */
static pthread_mutex_t registry_mutex = PTHREAD_MUTEX_INITIALIZER;
static gsq_file_context *contexts; /* protected by registry_mutex */

/* ---- Fork: the child forgets the parent's ---------------------------------------------------- */

static void before_fork(void) {
  pthread_mutex_lock(&registry_mutex);
}
static void in_parent(void) {
  pthread_mutex_unlock(&registry_mutex);
}
static void in_child(void) {
  contexts = NULL;
  pthread_mutex_unlock(&registry_mutex);
}
static void install_fork_handlers(void) {
  pthread_atfork(before_fork, in_parent, in_child);
}

int gsq_file_database_is_inherited(const gsq_file_database *db) {
  return db->server->generation != gsq_fork_generation();
}

/* ---- Small things ---------------------------------------------------------------------------- */

static int64_t deadline_of(const gsq_file_database *db) {
  return gsq_now_ms() + db->timeout_ms;
}

static int no_memory(gsq_report *report) {
  return gsq_fail(report, SQLITE_NOMEM, "out of memory");
}

/* What each RPC about a file repeats; the lease is copied, for it may change meanwhile. */
typedef struct ref {
  gsq_file_ref file;
  char lease_id[256];
} ref;

static const gsq_file_ref *make_ref(gsq_file_database *db, enum gsq_remote_name name, ref *r) {
  pthread_mutex_lock(&db->mutex);
  memcpy(r->lease_id, db->lease_id, sizeof r->lease_id);
  pthread_mutex_unlock(&db->mutex);
  r->file =
      (gsq_file_ref){db->context->can.context, r->lease_id, db->names[name], db->database};
  return &r->file;
}

static void lose_lease(gsq_file_database *db) {
  pthread_mutex_lock(&db->mutex);
  db->leased = 0;
  pthread_mutex_unlock(&db->mutex);
}

/* Nothing may be done without the lease. */
static int check(gsq_file_database *db, int code, gsq_report *report) {
  if (gsq_file_database_is_inherited(db))
    return gsq_fail(report, code, "%s was opened before fork(); open it again in the child",
                    db->names[GSQ_MAIN]);
  if (db->read_only || gsq_file_database_leased(db))
    return SQLITE_OK;
  return gsq_fail(report, code,
                  "the lease of %s is lost, or the outcome of a write under it is unknown; end "
                  "the transaction and begin another",
                  db->names[GSQ_MAIN]);
}

/* The lease is another's: nothing happened, and it may be free later. */
static int is_held(const gsq_error *error) {
  return gsq_error_is(error, "LEASE_HELD") || error->code == GSQ_FAILED_PRECONDITION ||
         error->code == GSQ_ALREADY_EXISTS || error->code == GSQ_ABORTED;
}

/* The server surely did not do it, and the lease has nothing to do with why. */
static int is_refusal(const gsq_error *error) {
  if (error->sent_before)
    return 0;
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

/* ---- Heartbeats ------------------------------------------------------------------------------ */

/* One heartbeat. The lease is lost if the server says so. */
static int beat(gsq_file_database *db, gsq_channel *channel, int64_t deadline_ms,
                gsq_error *error) {
  char lease_id[256];
  pthread_mutex_lock(&db->mutex);
  int leased = db->leased;
  memcpy(lease_id, db->lease_id, sizeof lease_id);
  pthread_mutex_unlock(&db->mutex);
  if (!leased)
    return GSQ_OK;
  int64_t sent_ms = gsq_now_ms();
  int code =
      gsq_file_heartbeat(channel, db->context->can.context, lease_id, deadline_ms, error);
  pthread_mutex_lock(&db->mutex);
  if (db->leased && strcmp(lease_id, db->lease_id) == 0) {
    if (code == GSQ_OK)
      db->trusted_until_ms =
          sent_ms + TRUSTED_INTERVALS * db->context->can.heartbeat_interval_ms;
    else if (code == GSQ_NOT_FOUND)
      db->leased = 0;
  }
  pthread_mutex_unlock(&db->mutex);
  return code;
}

static void *keep_leases(void *arg) {
  gsq_file_context *context = arg;
  int64_t interval_ms = context->can.heartbeat_interval_ms;
  struct timespec at;
  clock_gettime(CLOCK_MONOTONIC, &at);
  pthread_mutex_lock(&context->mutex);
  while (!context->stopping) {
    at.tv_sec += interval_ms / 1000;
    at.tv_nsec += interval_ms % 1000 * 1000000;
    if (at.tv_nsec >= 1000000000) {
      at.tv_nsec -= 1000000000;
      at.tv_sec++;
    }
    while (!context->stopping &&
           pthread_cond_timedwait(&context->wake, &context->mutex, &at) != ETIMEDOUT) {
    }
    for (gsq_file_database *db = context->databases; db && !context->stopping; db = db->next) {
      if (db->read_only)
        continue;
      db->beating = 1; /* so that it stays, and stays linked */
      pthread_mutex_unlock(&context->mutex);
      gsq_error error = {0};
      beat(db, context->server->background, gsq_now_ms() + HEARTBEAT_TIMEOUT_MS, &error);
      pthread_mutex_lock(&context->mutex);
      db->beating = 0;
      pthread_cond_broadcast(&context->wake);
    }
    /* After a long call, or a suspended machine, do not catch up on what was missed. */
    clock_gettime(CLOCK_MONOTONIC, &at);
  }
  pthread_mutex_unlock(&context->mutex);
  return NULL;
}

/* Under the context's mutex. */
static int start_thread(gsq_file_context *context) {
  sigset_t all, before;
  sigfillset(&all); /* signals are the program's */
  pthread_sigmask(SIG_SETMASK, &all, &before);
  int failed = pthread_create(&context->thread, NULL, keep_leases, context);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  context->thread_running = !failed;
  return failed ? -1 : 0;
}

/* ---- Contexts -------------------------------------------------------------------------------- */

static int acquire_context(gsq_server *server, int64_t deadline_ms, gsq_file_context **out,
                           gsq_error *error) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, install_fork_handlers);
  int code = GSQ_OK;
  pthread_mutex_lock(&registry_mutex);
  gsq_file_context *context = contexts;
  while (context && context->server != server)
    context = context->next;
  if (!context) {
    context = calloc(1, sizeof *context);
    if (!context) {
      code = gsq_error_set(error, GSQ_NOMEM, "out of memory");
      goto done;
    }
    code = gsq_file_get_capabilities(server->channel, server->token ? server->token : "",
                                     &context->can, deadline_ms, error);
    if (code != GSQ_OK) {
      free(context);
      goto done;
    }
    if (context->can.heartbeat_interval_ms < MIN_HEARTBEAT_MS)
      context->can.heartbeat_interval_ms = MIN_HEARTBEAT_MS;
    context->server = server;
    pthread_mutex_init(&context->mutex, NULL);
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&context->wake, &monotonic);
    pthread_condattr_destroy(&monotonic);
    context->next = contexts;
    contexts = context;
  }
  context->references++;
  *out = context;
done:
  pthread_mutex_unlock(&registry_mutex);
  return code;
}

static void release_context(gsq_file_context *context) {
  pthread_mutex_lock(&registry_mutex);
  int last = --context->references == 0;
  if (last) {
    gsq_file_context **link = &contexts;
    while (*link != context)
      link = &(*link)->next;
    *link = context->next;
  }
  pthread_mutex_unlock(&registry_mutex);
  if (!last)
    return;
  pthread_mutex_lock(&context->mutex);
  context->stopping = 1;
  pthread_cond_broadcast(&context->wake);
  pthread_mutex_unlock(&context->mutex);
  if (context->thread_running)
    pthread_join(context->thread, NULL);
  pthread_cond_destroy(&context->wake);
  pthread_mutex_destroy(&context->mutex);
  free(context);
}

/* ---- The lease ------------------------------------------------------------------------------- */

/* Gives back a lease that we do not trust any more, or do not need; that it fails does not matter,
** for it runs out by itself. */
static void give_back(gsq_file_database *db, int64_t deadline_ms) {
  ref r;
  gsq_error error = {0};
  make_ref(db, GSQ_MAIN, &r);
  if (r.lease_id[0])
    gsq_file_close(db->server->channel, &r.file, deadline_ms, &error);
  pthread_mutex_lock(&db->mutex);
  db->leased = 0;
  db->lease_id[0] = 0;
  pthread_mutex_unlock(&db->mutex);
}

/* Takes the lease if this process has none, and looks what is there. No connection has a lock. */
static int take_lease(gsq_file_database *db, gsq_report *report) {
  int rc = SQLITE_OK;
  gsq_error error = {0};
  int64_t deadline_ms = deadline_of(db), sizes[GSQ_REMOTE_NAMES] = {0};
  pthread_mutex_lock(&db->lease_mutex);
  pthread_mutex_lock(&db->mutex);
  int leased = db->leased, in_use = db->shared > 0;
  pthread_mutex_unlock(&db->mutex);
  if (leased)
    goto done;
  if (in_use) {
    rc = check(db, SQLITE_IOERR_LOCK, report);
    goto done;
  }
  give_back(db, deadline_ms < gsq_now_ms() + CLOSE_TIMEOUT_MS
                    ? deadline_ms
                    : gsq_now_ms() + CLOSE_TIMEOUT_MS);
  pthread_mutex_lock(&db->write_mutex);
  db->pending_size = 0; /* was of a transaction that failed */
  pthread_mutex_unlock(&db->write_mutex);

  char lease_id[256];
  int64_t sent_ms = gsq_now_ms();
  int code = gsq_file_acquire_lease(db->server->channel, db->context->can.context, db->database,
                                    lease_id, deadline_ms, &error);
  if (code != GSQ_OK) {
    rc = is_held(&error)
             ? gsq_fail(report, SQLITE_BUSY, "another client has the lease of %s: %s",
                        db->names[GSQ_MAIN], error.message)
             : gsq_fail_error(report, &error, GSQ_LOCKING, "asking for the lease of",
                              db->names[GSQ_MAIN]);
    goto done;
  }
  pthread_mutex_lock(&db->mutex);
  memcpy(db->lease_id, lease_id, sizeof db->lease_id);
  pthread_mutex_unlock(&db->mutex);
  for (int name = 0; name < GSQ_REMOTE_NAMES; name++) {
    ref r;
    code = gsq_file_size(db->server->channel, make_ref(db, (enum gsq_remote_name)name, &r),
                         &sizes[name], deadline_ms, &error);
    if (code == GSQ_OK)
      continue;
    rc = gsq_fail_error(report, &error, GSQ_LOCKING, "asking for the size of", db->names[name]);
    give_back(db, gsq_now_ms() + CLOSE_TIMEOUT_MS);
    goto done;
  }
  pthread_mutex_lock(&db->mutex);
  db->leased = 1;
  db->lease_count++;
  db->trusted_until_ms = sent_ms + TRUSTED_INTERVALS * db->context->can.heartbeat_interval_ms;
  memcpy(db->sizes, sizes, sizeof sizes);
  db->through = !db->atomic_batch || sizes[GSQ_JOURNAL] > 0 || sizes[GSQ_WAL] > 0;
  db->unit = 0;
  gsq_page_cache_clear(db->cache, gsq_page_cache_version(db->cache) + 1);
  pthread_mutex_unlock(&db->mutex);
done:
  pthread_mutex_unlock(&db->lease_mutex);
  return rc;
}

/* ---- Locks ----------------------------------------------------------------------------------- */

static int lock_shared(gsq_file_database *db, gsq_report *report) {
  for (;;) {
    pthread_mutex_lock(&db->mutex);
    int idle = db->shared == 0, leased = db->leased;
    int stale = leased && gsq_now_ms() > db->trusted_until_ms;
    int busy = leased && (db->pending_lock || db->exclusive);
    if (leased && !stale && !busy)
      db->shared++;
    pthread_mutex_unlock(&db->mutex);
    if (busy)
      return gsq_fail(report, SQLITE_BUSY, "another connection of this process is writing %s",
                      db->names[GSQ_MAIN]);
    if (stale) {
      gsq_error error = {0};
      int code = beat(db, db->server->channel, deadline_of(db), &error);
      if (code == GSQ_OK || code == GSQ_NOT_FOUND)
        continue;
      return gsq_fail_error(report, &error, GSQ_LOCKING, "renewing the lease of",
                            db->names[GSQ_MAIN]);
    }
    if (leased)
      return SQLITE_OK;
    if (!idle)
      return check(db, SQLITE_IOERR_LOCK, report);
    int rc = take_lease(db, report);
    if (rc != SQLITE_OK)
      return rc;
  }
}

int gsq_file_database_lock(gsq_file_database *db, const void *who, int *level, int wanted,
                           gsq_report *report) {
  if (*level >= wanted)
    return SQLITE_OK;
  if (gsq_file_database_is_inherited(db))
    return check(db, SQLITE_IOERR_LOCK, report);
  if (db->read_only) {
    if (wanted > SQLITE_LOCK_SHARED)
      return gsq_fail(report, SQLITE_READONLY, "%s was opened read-only", db->names[GSQ_MAIN]);
    *level = SQLITE_LOCK_SHARED;
    return SQLITE_OK;
  }
  if (*level == SQLITE_LOCK_NONE) {
    int rc = lock_shared(db, report);
    if (rc != SQLITE_OK)
      return rc;
    *level = SQLITE_LOCK_SHARED;
  }
  if (wanted == SQLITE_LOCK_SHARED)
    return SQLITE_OK;
  int rc = check(db, SQLITE_IOERR_LOCK, report);
  if (rc != SQLITE_OK)
    return rc;
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
    if (*level < SQLITE_LOCK_PENDING)
      *level = SQLITE_LOCK_PENDING;
    free = wanted == SQLITE_LOCK_PENDING || db->shared == 1;
    if (free && wanted == SQLITE_LOCK_EXCLUSIVE) {
      db->exclusive = who;
      *level = SQLITE_LOCK_EXCLUSIVE;
    }
  }
  pthread_mutex_unlock(&db->mutex);
  if (free)
    return SQLITE_OK;
  return gsq_fail(report, SQLITE_BUSY, "another connection of this process is using %s",
                  db->names[GSQ_MAIN]);
}

void gsq_file_database_unlock(gsq_file_database *db, const void *who, int *level, int wanted,
                              gsq_report *report) {
  if (*level <= wanted)
    return;
  if (db->read_only || gsq_file_database_is_inherited(db)) {
    *level = wanted;
    return;
  }
  /* With the lock the right to have writes waiting ends. */
  if (*level > SQLITE_LOCK_SHARED && gsq_remote_flush(db, report) != SQLITE_OK)
    lose_lease(db);
  pthread_mutex_lock(&db->mutex);
  if (db->reserved == who)
    db->reserved = NULL;
  if (db->pending_lock == who)
    db->pending_lock = NULL;
  if (db->exclusive == who) {
    db->exclusive = NULL;
    if (db->atomic_batch && db->sizes[GSQ_JOURNAL] == 0 && db->sizes[GSQ_WAL] == 0)
      db->through = 0;
  }
  if (wanted == SQLITE_LOCK_NONE)
    db->shared--;
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
  for (int i = 0; i < GSQ_REMOTE_NAMES; i++)
    free(db->names[i]);
  if (db->cache)
    gsq_page_cache_free(db->cache);
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
  if (!db)
    return NULL;
  pthread_mutex_init(&db->lease_mutex, NULL);
  pthread_mutex_init(&db->write_mutex, NULL);
  pthread_mutex_init(&db->mutex, NULL);
  db->server = context->server;
  db->context = context;
  db->read_only = read_only;
  db->atomic_batch = context->can.atomic_batch;
  db->timeout_ms = settings->timeout_ms;
  db->cache = gsq_page_cache_new((size_t)settings->cache_bytes);
  db->pending = malloc(PIECE_BYTES);
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
  if (acquire_context(server, gsq_now_ms() + settings->timeout_ms, &context, &error) != GSQ_OK)
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
    if (!read_only && !context->thread_running && start_thread(context)) {
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
    rc = no_memory(report);
    goto failed;
  }
  if (!read_only && !gsq_file_database_leased(db)) {
    pthread_mutex_lock(&db->mutex);
    int idle = db->shared == 0;
    pthread_mutex_unlock(&db->mutex);
    if (idle)
      rc = take_lease(db, report);
    if (rc == SQLITE_BUSY)
      rc = SQLITE_OK; /* perhaps at the first lock */
  }
  if (rc == SQLITE_OK) {
    *out = db;
    return SQLITE_OK;
  }
  rc = rc == SQLITE_NOMEM || rc == SQLITE_AUTH || rc == SQLITE_PERM ? rc : SQLITE_CANTOPEN;
  gsq_file_database_close(db);
  return rc;
failed:
  release_context(context);
  return rc;
}

void gsq_file_database_close(gsq_file_database *db) {
  if (gsq_file_database_is_inherited(db))
    return; /* the parent's: left as it is */
  gsq_file_context *context = db->context;
  pthread_mutex_lock(&context->mutex);
  int last = --db->references == 0;
  if (last) {
    while (db->beating)
      pthread_cond_wait(&context->wake, &context->mutex);
    gsq_file_database **link = &context->databases;
    while (*link != db)
      link = &(*link)->next;
    *link = db->next;
  }
  pthread_mutex_unlock(&context->mutex);
  if (last) {
    if (!db->read_only)
      give_back(db, gsq_now_ms() + CLOSE_TIMEOUT_MS);
    free_database(db);
  }
  release_context(context);
}

/* ---- The cache ------------------------------------------------------------------------------- */

/* The page size is in the header; learning that it changed empties the cache. */
static void learn_unit(gsq_file_database *db, const unsigned char *header) {
  uint32_t unit = (uint32_t)header[16] << 8 | header[17];
  if (unit == 1)
    unit = 65536;
  if (unit < 512 || (unit & (unit - 1)))
    return;
  pthread_mutex_lock(&db->mutex);
  if (unit != db->unit) {
    db->unit = unit;
    gsq_page_cache_clear(db->cache, gsq_page_cache_version(db->cache) + 1);
  }
  pthread_mutex_unlock(&db->mutex);
}

/* The database file has new bytes. Under write_mutex: versions are made by one at a time. */
static void cache_written(gsq_file_database *db, int64_t offset, const unsigned char *from,
                          uint32_t size) {
  if (offset == 0 && size >= 18)
    learn_unit(db, from);
  pthread_mutex_lock(&db->mutex);
  uint32_t unit = db->unit;
  pthread_mutex_unlock(&db->mutex);
  if (unit == 0)
    return; /* nothing is cached */
  unsigned char *mixed = NULL;
  while (size > 0) {
    uint32_t in_unit = (uint32_t)(offset % unit), n = unit - in_unit;
    uint32_t page = (uint32_t)(offset / unit) + 1;
    uint64_t version = gsq_page_cache_version(db->cache);
    const unsigned char *whole = NULL;
    if (n > size)
      n = size;
    if (n == unit) {
      whole = from;
    } else if ((mixed || (mixed = malloc(unit))) &&
               gsq_page_cache_get(db->cache, page, version, 0, mixed, unit)) {
      memcpy(mixed + in_unit, from, n);
      whole = mixed;
    }
    gsq_page_cache_advance(db->cache, version + 1, 0, &page, 1);
    if (whole)
      gsq_page_cache_put(db->cache, page, version + 1, version + 1, whole, unit);
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

/* Under write_mutex: an RPC that changes something has failed. */
static int write_failed(gsq_file_database *db, enum gsq_remote_name name,
                        const gsq_error *error, const char *what, gsq_report *report) {
  int refused = is_refusal(error);
  db->pending_size = 0;
  pthread_mutex_lock(&db->mutex);
  db->sizes[name] = -1;
  if (!refused)
    db->leased = 0;
  pthread_mutex_unlock(&db->mutex);
  forget_cache(db);
  return gsq_fail_error(report, error, GSQ_WRITING, what, db->names[name]);
}

/* Under write_mutex. */
static int send_write(gsq_file_database *db, enum gsq_remote_name name, int64_t offset,
                      const void *from, uint32_t size, gsq_report *report) {
  ref r;
  gsq_error error = {0};
  if (gsq_file_write(db->server->channel, make_ref(db, name, &r), offset, from, size,
                     deadline_of(db), &error) == GSQ_OK)
    return SQLITE_OK;
  return write_failed(db, name, &error, "writing to", report);
}

/* Under write_mutex. */
static int flush(gsq_file_database *db, gsq_report *report) {
  if (db->pending_size == 0)
    return SQLITE_OK;
  int rc = check(db, SQLITE_IOERR_WRITE, report);
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
  if (rc != SQLITE_OK)
    return rc;
  pthread_mutex_lock(&db->write_mutex);
  rc = check(db, SQLITE_IOERR_WRITE, report);
  const unsigned char *at = from;
  while (rc == SQLITE_OK && size > 0) {
    int follows = db->pending_size > 0 && db->pending_name == name &&
                  db->pending_offset + db->pending_size == offset &&
                  db->pending_size < PIECE_BYTES;
    if (!follows) {
      rc = flush(db, report);
      if (rc != SQLITE_OK)
        break;
      db->pending_name = name;
      db->pending_offset = offset;
    }
    uint32_t n = PIECE_BYTES - db->pending_size;
    if (n > (uint32_t)size)
      n = (uint32_t)size;
    /* What waits to be sent is, for readers, written: the cache knows it first. */
    if (name == GSQ_MAIN)
      cache_written(db, offset, at, n);
    memcpy(db->pending + db->pending_size, at, n);
    db->pending_size += n;
    offset += n;
    at += n;
    size -= (int)n;
    pthread_mutex_lock(&db->mutex);
    if (db->sizes[name] >= 0 && offset > db->sizes[name])
      db->sizes[name] = offset;
    pthread_mutex_unlock(&db->mutex);
  }
  pthread_mutex_unlock(&db->write_mutex);
  return rc;
}

int gsq_remote_truncate(gsq_file_database *db, enum gsq_remote_name name, int64_t size,
                        gsq_report *report) {
  ref r;
  gsq_error error = {0};
  pthread_mutex_lock(&db->write_mutex);
  int rc = flush(db, report);
  if (rc == SQLITE_OK)
    rc = check(db, SQLITE_IOERR_TRUNCATE, report);
  if (rc == SQLITE_OK) {
    if (name == GSQ_MAIN)
      forget_cache(db); /* seldom, and cheaper than to know which */
    if (gsq_file_truncate(db->server->channel, make_ref(db, name, &r), size, deadline_of(db),
                          &error) != GSQ_OK) {
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
  ref r;
  gsq_error error = {0};
  pthread_mutex_lock(&db->write_mutex);
  int rc = flush(db, report);
  if (rc == SQLITE_OK)
    rc = check(db, SQLITE_IOERR_DELETE, report);
  if (rc == SQLITE_OK) {
    if (gsq_file_delete(db->server->channel, make_ref(db, name, &r), deadline_of(db), &error) !=
        GSQ_OK) {
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
  ref r;
  gsq_error error = {0};
  *refused = 0;
  pthread_mutex_lock(&db->write_mutex);
  int rc = check(db, SQLITE_IOERR_FSYNC, report);
  if (rc != SQLITE_OK)
    goto done;
  if (gsq_file_write_batch(db->server->channel, make_ref(db, GSQ_MAIN, &r), writes, count,
                           deadline_of(db), &error) != GSQ_OK) {
    *refused = is_refusal(&error);
    if (!*refused)
      lose_lease(db); /* it may yet be applied, under this lease only */
    rc = gsq_fail_error(report, &error, GSQ_COMMITTING, "committing to", db->names[GSQ_MAIN]);
    goto done;
  }
  for (size_t i = 0; i < count; i++) {
    int64_t end = writes[i].offset + writes[i].size;
    cache_written(db, writes[i].offset, writes[i].data, writes[i].size);
    pthread_mutex_lock(&db->mutex);
    if (end > db->sizes[GSQ_MAIN])
      db->sizes[GSQ_MAIN] = end;
    pthread_mutex_unlock(&db->mutex);
  }
done:
  pthread_mutex_unlock(&db->write_mutex);
  return rc;
}

/* ---- Reading --------------------------------------------------------------------------------- */

int gsq_remote_size(gsq_file_database *db, enum gsq_remote_name name, int64_t *size,
                    gsq_report *report) {
  int rc = check(db, SQLITE_IOERR_FSTAT, report);
  if (rc != SQLITE_OK)
    return rc;
  pthread_mutex_lock(&db->mutex);
  *size = db->read_only ? -1 : db->sizes[name];
  pthread_mutex_unlock(&db->mutex);
  if (*size >= 0)
    return SQLITE_OK;
  ref r;
  gsq_error error = {0};
  rc = gsq_remote_flush(db, report);
  if (rc != SQLITE_OK)
    return rc;
  if (gsq_file_size(db->server->channel, make_ref(db, name, &r), size, deadline_of(db),
                    &error) != GSQ_OK)
    return gsq_fail_error(report, &error, GSQ_READING, "asking for the size of",
                          db->names[name]);
  pthread_mutex_lock(&db->mutex);
  if (!db->read_only)
    db->sizes[name] = *size;
  pthread_mutex_unlock(&db->mutex);
  return SQLITE_OK;
}

/* One Read. *got may be less than asked: the file ends there. */
static int read_once(gsq_file_database *db, enum gsq_remote_name name, int64_t offset, void *to,
                     uint32_t size, int64_t *time_millis, uint32_t *got, gsq_report *report) {
  ref r;
  gsq_error error = {0};
  int unchanged = 0;
  int64_t at = 0;
  if (gsq_file_read(db->server->channel, make_ref(db, name, &r), offset, size,
                    time_millis ? *time_millis : 0, 0, to, got, &unchanged, &at,
                    deadline_of(db), &error) != GSQ_OK) {
    if (error.code == GSQ_NOT_FOUND || error.code == GSQ_FAILED_PRECONDITION)
      lose_lease(db);
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
  if (gsq_page_cache_get(db->cache, page, version, in_unit, to, size))
    return SQLITE_OK;
  int rc = SQLITE_OK;
  uint32_t came = 0;
  if (!time_millis) {
    /* What waits must be there first. The version is from before that, so that what is written
    ** meanwhile is not taken for what was read. */
    rc = gsq_remote_flush(db, report);
    if (rc != SQLITE_OK)
      return rc;
  }
  unsigned char *bytes = malloc(unit);
  if (!bytes)
    return no_memory(report);
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
  int rc = check(db, SQLITE_IOERR_READ, report);
  if (rc != SQLITE_OK)
    return rc;
  while (left > 0) {
    pthread_mutex_lock(&db->mutex);
    uint32_t unit = name == GSQ_MAIN ? db->unit : 0;
    int64_t size = db->read_only ? -1 : db->sizes[name];
    pthread_mutex_unlock(&db->mutex);
    /* Pages are numbered by 32 bits. */
    if (unit && offset / unit >= UINT32_MAX)
      break;
    uint32_t n = unit && unit - offset % unit < left ? unit - (uint32_t)(offset % unit) : left;
    uint32_t got = 0;
    if (size >= 0 && offset >= size)
      break;
    /* The newest snapshot is found by a read that the cache cannot answer. */
    if (unit && !(time_millis && *time_millis == 0)) {
      rc = read_in_unit(db, unit, offset, at, n, time_millis, &got, report);
    } else {
      if (n > PIECE_BYTES)
        n = PIECE_BYTES;
      if (!time_millis)
        rc = gsq_remote_flush(db, report);
      if (rc == SQLITE_OK)
        rc = read_once(db, name, offset, at, n, time_millis, &got, report);
    }
    if (rc != SQLITE_OK)
      return rc;
    at += got;
    offset += got;
    left -= got;
    if (got < n)
      break;
  }
  if (name == GSQ_MAIN && began_at == 0 && at - (unsigned char *)to >= 18)
    learn_unit(db, to);
  if (left == 0)
    return SQLITE_OK;
  memset(at, 0, left);
  return SQLITE_IOERR_SHORT_READ;
}

int gsq_file_database_pragma(gsq_file_database *db, const char *name, const char *value,
                             char **response, gsq_report *report) {
  ref r;
  gsq_error error = {0};
  *response = NULL;
  if (gsq_file_database_is_inherited(db))
    return check(db, SQLITE_IOERR, report);
  int code = gsq_file_pragma(db->server->channel, make_ref(db, GSQ_MAIN, &r), name, value,
                             response, deadline_of(db), &error);
  if (code == GSQ_OK)
    return SQLITE_OK;
  if (code == GSQ_NOT_FOUND || code == GSQ_UNIMPLEMENTED)
    return SQLITE_NOTFOUND;
  return gsq_fail_error(report, &error, GSQ_READING, "asking the server for PRAGMA", name);
}
