#include "vfs/file_lease.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "vfs/file_call.h"
#include "vfs/sqlite_api.h"

/* A heartbeat that is missed this many intervals long is made up for before the lease is used. */
#define TRUSTED_INTERVALS 2
#define MIN_HEARTBEAT_MS 100
/* Closing may have to wait for one. */
#define HEARTBEAT_TIMEOUT_MS 2000

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

/* ---- Heartbeats ------------------------------------------------------------------------------ */

int gsq_file_lease_renew(gsq_file_database *db, gsq_channel *channel, int64_t deadline_ms,
                         gsq_error *error) {
  char lease_id[256];
  pthread_mutex_lock(&db->mutex);
  int leased = db->leased;
  memcpy(lease_id, db->lease_id, sizeof lease_id);
  pthread_mutex_unlock(&db->mutex);
  if (!leased) return GSQ_OK;
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
      if (db->read_only) continue;
      db->beating = 1; /* so that it stays, and stays linked */
      pthread_mutex_unlock(&context->mutex);
      gsq_error error = {0};
      gsq_file_lease_renew(db, context->server->background, gsq_now_ms() + HEARTBEAT_TIMEOUT_MS,
                           &error);
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

int gsq_file_context_start(gsq_file_context *context) {
  sigset_t all, before;
  sigfillset(&all); /* signals are the program's */
  pthread_sigmask(SIG_SETMASK, &all, &before);
  int failed = pthread_create(&context->thread, NULL, keep_leases, context);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  context->thread_running = !failed;
  return failed ? -1 : 0;
}

/* ---- Contexts -------------------------------------------------------------------------------- */

int gsq_file_context_acquire(gsq_server *server, int64_t deadline_ms, gsq_file_context **out,
                             gsq_error *error) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, install_fork_handlers);
  int code = GSQ_OK;
  pthread_mutex_lock(&registry_mutex);
  gsq_file_context *context = contexts;
  while (context && context->server != server) context = context->next;
  if (!context) {
    context = calloc(1, sizeof *context);
    if (!context) {
      code = gsq_error_nomem(error);
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

void gsq_file_context_release(gsq_file_context *context) {
  pthread_mutex_lock(&registry_mutex);
  int last = --context->references == 0;
  if (last) {
    gsq_file_context **link = &contexts;
    while (*link != context) link = &(*link)->next;
    *link = context->next;
  }
  pthread_mutex_unlock(&registry_mutex);
  if (!last) return;
  pthread_mutex_lock(&context->mutex);
  context->stopping = 1;
  pthread_cond_broadcast(&context->wake);
  pthread_mutex_unlock(&context->mutex);
  if (context->thread_running) pthread_join(context->thread, NULL);
  pthread_cond_destroy(&context->wake);
  pthread_mutex_destroy(&context->mutex);
  free(context);
}

/* ---- The lease ------------------------------------------------------------------------------- */

/* The lease is another's: nothing happened, and it may be free later. */
static int is_held(const gsq_error *error) {
  return gsq_error_is(error, "LEASE_HELD") || error->code == GSQ_FAILED_PRECONDITION ||
         error->code == GSQ_ALREADY_EXISTS || error->code == GSQ_ABORTED;
}

void gsq_file_lease_give_back(gsq_file_database *db, int64_t deadline_ms) {
  gsq_file_call r;
  gsq_error error = {0};
  gsq_file_call_ref(db, GSQ_MAIN, &r);
  if (r.lease_id[0]) gsq_file_close(db->server->channel, &r.file, deadline_ms, &error);
  pthread_mutex_lock(&db->mutex);
  db->leased = 0;
  db->lease_id[0] = 0;
  pthread_mutex_unlock(&db->mutex);
}

int gsq_file_lease_take(gsq_file_database *db, gsq_report *report) {
  int rc = SQLITE_OK;
  gsq_error error = {0};
  int64_t deadline_ms = gsq_file_deadline(db), sizes[GSQ_REMOTE_NAMES] = {0};
  pthread_mutex_lock(&db->lease_mutex);
  pthread_mutex_lock(&db->mutex);
  int leased = db->leased, in_use = db->shared > 0;
  pthread_mutex_unlock(&db->mutex);
  if (leased) goto done;
  if (in_use) {
    rc = gsq_file_check(db, SQLITE_IOERR_LOCK, report);
    goto done;
  }
  gsq_file_lease_give_back(db, deadline_ms < gsq_now_ms() + GSQ_FILE_CLOSE_TIMEOUT_MS
                                   ? deadline_ms
                                   : gsq_now_ms() + GSQ_FILE_CLOSE_TIMEOUT_MS);
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
    gsq_file_call r;
    code = gsq_file_size(db->server->channel,
                         gsq_file_call_ref(db, (enum gsq_remote_name)name, &r), &sizes[name],
                         deadline_ms, &error);
    if (code == GSQ_OK) continue;
    rc = gsq_fail_error(report, &error, GSQ_LOCKING, "asking for the size of", db->names[name]);
    gsq_file_lease_give_back(db, gsq_now_ms() + GSQ_FILE_CLOSE_TIMEOUT_MS);
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
