#include "vfs/watch.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "vfs/database_parts.h"
#include "vfs/lease.h"

/* From the first change of what is watched to a stream that has it; a program that opens many
** databases, or one and exits, does not need one each time. */
#define DEBOUNCE_MS 10
/* A stream lives at least this long, whatever changes. */
#define LEAST_STREAM_MS 100
#define MOST_STREAM_MS 600000
/* Faster confirmations would cost more than the round trips that they save. */
#define LEAST_CONFIRM_MS 10
/* How much slower than ours the server's clock may tick: one part in this. Once the error could be
** a quarter of a connection's max_staleness_ms, another stream is begun. */
#define CLOCK_ERROR 1000
/* Beyond three confirmations that did not come. */
#define SILENCE_MS 2000
#define CONNECT_TIMEOUT_MS 1000
/* After failures, in steps of two. */
#define FIRST_PAUSE_MS 20
#define LONGEST_PAUSE_MS 5000

static int64_t least(int64_t a, int64_t b) {
  return a < b ? a : b;
}

/* What it says. */

static void stop_watching_(gsq_database *database) {
  database->watched_in = 0;
  database->confirmed_ms = 0;
}

static void on_head_moved(gsq_server *server, const gsq_watch_event *event) {
  pthread_mutex_lock(&server->mutex);
  gsq_database *database = gsq_database_by_id_(server, &event->database);
  if (database) {
    pthread_mutex_lock(&database->mutex);
    const gsq_have from = {.version = event->from_version};
    if (!gsq_database_learn_(database, &from, &event->head, &event->changes, 0)) {
      stop_watching_(database); /* the next transaction asks */
    }
    pthread_mutex_unlock(&database->mutex);
  }
  pthread_mutex_unlock(&server->mutex);
}

/* All that was acknowledged before the moment has been told. The client's clock gives the moment:
** when the request was sent, and the time since then by the server's clock. */
static void on_confirmed(const gsq_watcher *watcher, uint64_t elapsed_ms) {
  gsq_server *server = watcher->server;
  const int64_t since_sent_ms = watcher->heard_ms - watcher->sent_ms;
  if (elapsed_ms > (uint64_t)since_sent_ms) elapsed_ms = (uint64_t)since_sent_ms;
  const int64_t error_ms = (int64_t)(elapsed_ms + CLOCK_ERROR - 1) / CLOCK_ERROR;
  const int64_t known_ms = watcher->sent_ms + (int64_t)elapsed_ms - error_ms;
  pthread_mutex_lock(&server->mutex);
  for (gsq_database *database = server->databases; database; database = database->next) {
    pthread_mutex_lock(&database->mutex);
    if (database->watched_in == watcher->number) gsq_database_confirm_(database, known_ms);
    pthread_mutex_unlock(&database->mutex);
  }
  pthread_mutex_unlock(&server->mutex);
}

static void on_dropped(const gsq_watcher *watcher, const gsq_id *id) {
  gsq_server *server = watcher->server;
  pthread_mutex_lock(&server->mutex);
  gsq_database *database = gsq_database_by_id_(server, id);
  if (database) {
    pthread_mutex_lock(&database->mutex);
    stop_watching_(database);
    pthread_mutex_unlock(&database->mutex);
  }
  pthread_mutex_unlock(&server->mutex);
}

static int on_event(void *arg, const gsq_watch_event *event, gsq_error *error) {
  gsq_watcher *watcher = arg;
  gsq_server *server = watcher->server;
  (void)error;
  watcher->heard_ms = gsq_now_ms();
  watcher->failures = 0;
  atomic_fetch_add_explicit(&server->watch_events, 1, memory_order_relaxed);
  switch (event->kind) {
    case GSQ_WATCH_HEAD_MOVED:
      on_head_moved(server, event);
      break;
    case GSQ_WATCH_LEASE_WANTED:
      gsq_lease_wanted(server, &event->database, event->epoch);
      break;
    case GSQ_WATCH_LEASE_LOST:
      gsq_lease_lost(server, &event->database, event->epoch);
      break;
    case GSQ_WATCH_CONFIRMED:
      on_confirmed(watcher, event->elapsed_ms);
      break;
    case GSQ_WATCH_DROPPED:
      on_dropped(watcher, &event->database);
      break;
    case GSQ_WATCH_OTHER:
      break;
  }
  return 0;
}

/* Its life. */

static int end_it(gsq_watcher *watcher, gsq_error *error, const char *why) {
  watcher->ended_here = 1;
  return gsq_error_set(error, GSQ_CANCELLED, "%s", why);
}

static int on_turn(void *arg, int64_t *until_ms, gsq_error *error) {
  gsq_watcher *watcher = arg;
  gsq_server *server = watcher->server;
  *until_ms = watcher->tend(watcher->tend_arg);
  if (atomic_load(&server->stopping)) return end_it(watcher, error, "shutting down");
  const int64_t now_ms = gsq_now_ms();
  if (atomic_load(&server->session) != watcher->session) {
    return end_it(watcher, error, "a new session");
  }
  if (watcher->sent_ms == 0) watcher->sent_ms = watcher->heard_ms = now_ms;
  if (now_ms >= watcher->renew_at_ms) return end_it(watcher, error, "renewed");
  if (now_ms >= watcher->heard_ms + watcher->silent_ms)
    return end_it(watcher, error, "silence");
  *until_ms = least(*until_ms, watcher->renew_at_ms);
  *until_ms = least(*until_ms, watcher->heard_ms + watcher->silent_ms);
  if (atomic_load(&server->watch_set) != watcher->set) {
    if (watcher->change_seen_ms == 0) watcher->change_seen_ms = now_ms;
    int64_t due_ms = watcher->change_seen_ms + DEBOUNCE_MS;
    if (due_ms < watcher->sent_ms + LEAST_STREAM_MS)
      due_ms = watcher->sent_ms + LEAST_STREAM_MS;
    if (now_ms >= due_ms) return end_it(watcher, error, "other databases");
    *until_ms = least(*until_ms, due_ms);
  }
  return GSQ_OK;
}

/* The databases whose heads are of interest; *staleness_ms: the least that is asked for. NULL: out
** of memory. */
static gsq_watched *collect(gsq_watcher *watcher, size_t *count, int64_t *staleness_ms) {
  gsq_server *server = watcher->server;
  const size_t most =
      (server->info.max_message_bytes - GSQ_MESSAGE_OVERHEAD_BYTES) / GSQ_WATCHED_BYTES;
  size_t open = 0;
  *count = 0;
  *staleness_ms = INT64_MAX;
  pthread_mutex_lock(&server->mutex);
  for (gsq_database *database = server->databases; database; database = database->next) open++;
  gsq_watched *watched = malloc((open + 1) * sizeof *watched);
  for (gsq_database *database = watched ? server->databases : NULL; database && *count < most;
       database = database->next) {
    pthread_mutex_lock(&database->mutex);
    if (database->watchers > 0) {
      watched[(*count)++] =
          (gsq_watched){.database = database->id, .have = gsq_database_have_(database)};
      database->watched_in = watcher->number;
      *staleness_ms = least(*staleness_ms, database->least_staleness_ms);
    }
    pthread_mutex_unlock(&database->mutex);
  }
  pthread_mutex_unlock(&server->mutex);
  return watched;
}

int64_t gsq_watch_due(gsq_watcher *watcher) {
  if (watcher->refused || !atomic_load(&watcher->server->watch_needed)) return INT64_MAX;
  if (watcher->begin_at_ms == 0) watcher->begin_at_ms = gsq_now_ms() + DEBOUNCE_MS;
  return watcher->begin_at_ms;
}

/* Half of the pause that is due, and a random part of the other half. */
static int64_t pause_ms(gsq_watcher *watcher) {
  int64_t due_ms = LONGEST_PAUSE_MS;
  if (watcher->failures < 8) due_ms = least(due_ms, FIRST_PAUSE_MS << watcher->failures);
  if (watcher->failures < 100) watcher->failures++;
  gsq_id random;
  if (gsq_id_random(&random) != 0) return due_ms;
  return due_ms / 2 + due_ms / 2 * random.bytes[0] / 255;
}

/* What becomes of it, after it has ended. */
static void ended(gsq_watcher *watcher, gsq_error *error) {
  gsq_server *server = watcher->server;
  const int64_t now_ms = gsq_now_ms();
  watcher->begin_at_ms = now_ms;
  if (gsq_error_is(error, "NO_SUCH_SESSION")) {
    gsq_session_reopen(server, &server->background_client, watcher->session,
                       now_ms + CONNECT_TIMEOUT_MS, error);
    watcher->begin_at_ms += pause_ms(watcher);
  } else if (error->code == GSQ_UNIMPLEMENTED) {
    watcher->refused = 1;
  } else if (!watcher->ended_here) {
    watcher->begin_at_ms += pause_ms(watcher);
  }
}

void gsq_watch_run(gsq_watcher *watcher) {
  gsq_server *server = watcher->server;
  watcher->number++;
  watcher->set = atomic_load(&server->watch_set);
  watcher->session = atomic_load(&server->session);
  watcher->sent_ms = watcher->change_seen_ms = 0;
  watcher->ended_here = 0;
  gsq_error error = {0};
  size_t count;
  int64_t staleness_ms;
  gsq_watched *watched = collect(watcher, &count, &staleness_ms);
  if (!watched) {
    gsq_error_nomem(&error);
    ended(watcher, &error);
    return;
  }
  pthread_mutex_lock(&server->mutex);
  int64_t confirm_ms = server->info.ttl_ms / 3;
  pthread_mutex_unlock(&server->mutex);
  int64_t life_ms = MOST_STREAM_MS;
  if (count > 0) {
    confirm_ms = least(confirm_ms, staleness_ms / 3);
    if (confirm_ms < LEAST_CONFIRM_MS) confirm_ms = LEAST_CONFIRM_MS;
    life_ms = least(life_ms, staleness_ms * CLOCK_ERROR / 4);
    if (life_ms < LEAST_STREAM_MS) life_ms = LEAST_STREAM_MS;
  }
  watcher->silent_ms = 3 * confirm_ms + SILENCE_MS;
  watcher->renew_at_ms = gsq_now_ms() + life_ms;
  const gsq_watch_request request = {.databases = watched,
                                     .count = count,
                                     .confirm_every_ms = count > 0 ? (uint32_t)confirm_ms : 0,
                                     .connect_timeout_ms = CONNECT_TIMEOUT_MS,
                                     .on_event = on_event,
                                     .on_turn = on_turn,
                                     .wake_fd = server->wake_fd,
                                     .arg = watcher};
  gsq_watch(&server->background_client, &request, watcher->renew_at_ms + SILENCE_MS, &error);
  free(watched);
  ended(watcher, &error);
}
