/*
** The session: opening it, opening it again after the server forgot it, and keeping it alive.
**
** The background thread sends a KeepAlive each third of the TTL, with the floors that rose since
** the last one that was answered, and the views that were closed; before it, asks for the heads of databases that
** are idle (idle.h); gives leases back (lease.h); and
** has the Watch stream, if there is need for one (watch.h), which it leaves for the others as they
** are due. It is the only one that calls on the background channel, so that it never waits for a
** connection that a transfer occupies.
**
** Where there are several servers, a KeepAlive is also sent when another one has come into use: it
** may not have heard of the session, and is told of it then, and of what is read.
*/
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "vfs/database_parts.h"
#include "vfs/idle.h"
#include "vfs/lease.h"
#include "vfs/watch.h"
#include "vfs/views.h"

/* Views in one KeepAlive, for a bound of its size (some 40 bytes each). */
#define MAX_VIEWS_PER_MESSAGE 1024
/* Lost leases that one answer can bring; more are found out at the next commit. */
#define MAX_LOST 256
#define MAX_SESSION_ATTEMPTS 8
/* What we wait for the server when closing: it forgets us by itself. */
#define CLOSE_TIMEOUT_MS 2000
/* If it has just been waited for in vain. */
#define CLOSE_UNHEARD_MS 100

/* How much earlier than the server we take a lease for lost: clocks may tick differently. */
static int64_t margin_ms(uint32_t ttl_ms) {
  int64_t margin = ttl_ms / 10;
  return margin < 200 ? 200 : margin;
}

/* Under server->mutex. */
static void trust_until(gsq_server *server, int64_t sent_ms, uint32_t ttl_ms) {
  server->info.ttl_ms = ttl_ms;
  atomic_store(&server->trusted_until_ms, sent_ms + ttl_ms - margin_ms(ttl_ms));
}

static void client_name(char *to, size_t size) {
  char program[64] = "?";
  FILE *file = fopen("/proc/self/comm", "re");
  if (file) {
    if (fgets(program, sizeof program, file)) program[strcspn(program, "\n")] = 0;
    fclose(file);
  }
  snprintf(to, size, "%s, process %ld", program, (long)getpid());
}

/* Opens the session, or the same one again. A server that says that it is the one that we know, of
** which it had only not heard, has all that was granted in it. Under session_gate. */
static int open_session(gsq_server *server, const gsq_page_client *client, int64_t deadline_ms,
                        gsq_error *error) {
  char name[128];
  client_name(name, sizeof name);
  gsq_session_info info;
  const int64_t sent_ms = gsq_now_ms();
  int code = gsq_open_session(client, name, &info, deadline_ms, error);
  if (code != GSQ_OK) return code;
  pthread_mutex_lock(&server->mutex);
  if (!server->probed) server->info = info;
  if (info.incarnation == 0 || info.incarnation != server->incarnation) {
    server->incarnation = info.incarnation;
    atomic_fetch_add(&server->session, 1);
  }
  trust_until(server, sent_ms, info.ttl_ms);
  pthread_mutex_unlock(&server->mutex);
  return GSQ_OK;
}

/* The views whose floor the server does not know: all, or those that rose. That of a fixed version
** never rises. */
static size_t collect_views(gsq_server *server, int all, size_t skip, gsq_view *views,
                            size_t max) {
  size_t count = 0, seen = 0;
  pthread_mutex_lock(&server->mutex);
  for (gsq_database *database = server->databases; database && count < max;
       database = database->next) {
    if (database->live) {
      uint64_t floor = gsq_database_floor(database);
      pthread_mutex_lock(&database->mutex);
      int told = database->floor_told >= floor;
      pthread_mutex_unlock(&database->mutex);
      if ((all || !told) && seen++ >= skip) {
        views[count++] =
            (gsq_view){.database = database->id, .view = GSQ_LIVE_VIEW, .floor_version = floor};
      }
    }
    for (const gsq_fixed_view *view = database->fixed_views; all && view && count < max;
         view = view->next) {
      if (seen++ < skip) continue;
      views[count++] = (gsq_view){.database = database->id,
                                  .view = view->number,
                                  .floor_version = view->snapshot.version};
    }
  }
  pthread_mutex_unlock(&server->mutex);
  return count;
}

static void views_told(gsq_server *server, const gsq_view *views, size_t count) {
  pthread_mutex_lock(&server->mutex);
  for (size_t i = 0; i < count; i++) {
    if (views[i].view != GSQ_LIVE_VIEW) continue;
    gsq_database *database = gsq_database_by_id_(server, &views[i].database);
    if (!database) continue;
    pthread_mutex_lock(&database->mutex);
    if (database->floor_told < views[i].floor_version) {
      database->floor_told = views[i].floor_version;
    }
    pthread_mutex_unlock(&database->mutex);
  }
  pthread_mutex_unlock(&server->mutex);
}

/* Whether a KeepAlive was answered of the session that we know, the `seen`th one. If it was not, that
** one is lost, and what it had with it, as much as if the server had said so: what there is now
** was made by an OpenSession that we took for failed. */
static int is_of_session(gsq_server *server, uint64_t seen, const gsq_kept_alive *kept,
                         gsq_error *error) {
  pthread_mutex_lock(&server->mutex);
  const int is = atomic_load(&server->session) != seen || kept->incarnation == 0 ||
                 server->incarnation == kept->incarnation;
  pthread_mutex_unlock(&server->mutex);
  if (is) return 1;
  gsq_error_set(error, GSQ_NOT_FOUND, "%s has another session of this client", server->url);
  snprintf(error->reason, sizeof error->reason, "NO_SUCH_SESSION");
  return 0;
}

/* Tells the server what we still read. Under session_gate. */
static int tell_views(gsq_server *server, const gsq_page_client *client, int64_t deadline_ms,
                      gsq_error *error) {
  gsq_view *views = malloc(MAX_VIEWS_PER_MESSAGE * sizeof *views);
  if (!views) return gsq_error_nomem(error);
  const uint64_t session = atomic_load(&server->session);
  int code = GSQ_OK;
  size_t count;
  for (size_t skip = 0; code == GSQ_OK; skip += count) {
    count = collect_views(server, 1, skip, views, MAX_VIEWS_PER_MESSAGE);
    if (count == 0) break;
    gsq_kept_alive kept;
    gsq_id lost[1];
    size_t lost_count;
    code =
        gsq_keep_alive(client, views, count, &kept, lost, 1, &lost_count, deadline_ms, error);
    if (code == GSQ_OK && !is_of_session(server, session, &kept, error)) code = error->code;
  }
  free(views);
  return code;
}

int gsq_session_reopen(gsq_server *server, const gsq_page_client *client, uint64_t seen,
                       int64_t deadline_ms, gsq_error *error) {
  int code = gsq_server_enter(server, &server->session_gate, deadline_ms, error);
  if (code != GSQ_OK) return code;
  if (atomic_load(&server->session) == seen) {
    code = open_session(server, client, deadline_ms, error);
    if (code == GSQ_OK) atomic_store(&server->views_untold, 1);
  }
  if (code == GSQ_OK && atomic_load(&server->views_untold)) {
    code = tell_views(server, client, deadline_ms, error);
    if (code == GSQ_OK) atomic_store(&server->views_untold, 0);
  }
  gsq_gate_leave(&server->session_gate);
  return code;
}

int gsq_server_tell_views(gsq_server *server, int64_t deadline_ms, gsq_error *error) {
  gsq_attempts attempts = gsq_server_attempts(server);
  int code;
  do {
    code = gsq_server_enter(server, &server->session_gate, deadline_ms, error);
    if (code != GSQ_OK) return code;
    code = tell_views(server, &server->client, deadline_ms, error);
    gsq_gate_leave(&server->session_gate);
  } while (code != GSQ_OK && gsq_server_again(server, &attempts, deadline_ms, error));
  return code == GSQ_OK ? GSQ_OK : error->code;
}

gsq_attempts gsq_server_attempts(gsq_server *server) {
  return (gsq_attempts){.session = atomic_load(&server->session)};
}

int gsq_server_again(gsq_server *server, gsq_attempts *attempts, int64_t deadline_ms,
                     gsq_error *error) {
  if (error->code != GSQ_NOT_FOUND || !gsq_error_is(error, "NO_SUCH_SESSION")) return 0;
  if (++attempts->count > MAX_SESSION_ATTEMPTS) return 0;
  gsq_error failure = {0};
  if (gsq_session_reopen(server, &server->client, attempts->session, deadline_ms, &failure) !=
      GSQ_OK) {
    *error = failure;
    return 0;
  }
  attempts->session = atomic_load(&server->session);
  return 1;
}

/* One KeepAlive. Returns in how many milliseconds the next one is due. */
static int64_t keep_alive(gsq_server *server, gsq_view *views, gsq_id *lost) {
  gsq_error error = {0};
  uint64_t session = atomic_load(&server->session);
  size_t closed = gsq_views_begin_telling(server, views);
  size_t rose = collect_views(server, 0, 0, views + closed, MAX_VIEWS_PER_MESSAGE);
  size_t lost_count = 0;
  const int64_t sent_ms = gsq_now_ms();
  pthread_mutex_lock(&server->mutex);
  gsq_kept_alive kept = {.ttl_ms = server->info.ttl_ms};
  pthread_mutex_unlock(&server->mutex);
  const int64_t deadline_ms = sent_ms + kept.ttl_ms / 3;
  int code = gsq_keep_alive(&server->background_client, views, closed + rose, &kept, lost,
                            MAX_LOST, &lost_count, deadline_ms, &error);
  if (code == GSQ_OK && !is_of_session(server, session, &kept, &error)) code = error.code;
  const uint32_t ttl_ms = kept.ttl_ms;
  if (code == GSQ_OK) {
    pthread_mutex_lock(&server->mutex);
    if (atomic_load(&server->session) == session) trust_until(server, sent_ms, ttl_ms);
    pthread_mutex_unlock(&server->mutex);
    views_told(server, views + closed, rose);
    for (size_t i = 0; i < lost_count; i++) gsq_database_lease_lost_by_id(server, &lost[i]);
  }
  if (closed > 0) gsq_views_end_telling(server, closed, code == GSQ_OK);
  if (code == GSQ_OK && !atomic_load(&server->views_untold)) return ttl_ms / 3;
  if ((code == GSQ_OK || gsq_error_is(&error, "NO_SUCH_SESSION")) &&
      gsq_session_reopen(server, &server->background_client, session, gsq_now_ms() + ttl_ms / 3,
                         &error) == GSQ_OK) {
    return ttl_ms / 3;
  }
  return ttl_ms / 20 + 1; /* soon again */
}

/* What the background thread works with. */
typedef struct background {
  gsq_server *server;
  gsq_watcher watcher;
  int64_t keep_alive_at_ms; /* the next one */
  uint64_t moves;           /* from one server to another, that were seen */
  gsq_view *views;
  gsq_id *lost;
} background;

/* Does what is due; returns when there is more. */
static int64_t tend(void *arg) {
  background *it = arg;
  gsq_server *server = it->server;
  uint64_t count;
  while (read(server->wake_fd, &count, sizeof count) < 0 && errno == EINTR) continue;
  /* Now, not never: the wake for it may just have been taken. */
  if (atomic_load(&server->stopping)) return 0;
  gsq_channel_stats channel;
  gsq_channel_stats_get(server->background, &channel);
  if (channel.moves != it->moves) it->keep_alive_at_ms = 0;
  it->moves = channel.moves;
  if (gsq_now_ms() >= it->keep_alive_at_ms) {
    gsq_idle_ask(server);
    const int64_t wait_ms = keep_alive(server, it->views, it->lost);
    it->keep_alive_at_ms = gsq_now_ms() + wait_ms;
  }
  gsq_databases_close_late(server);
  const int64_t leases_at_ms = gsq_leases_give_back(server);
  return leases_at_ms < it->keep_alive_at_ms ? leases_at_ms : it->keep_alive_at_ms;
}

/* Sleeps until someone calls gsq_server_wake, or it is time. */
static void sleep_until(const gsq_server *server, int64_t until_ms) {
  struct pollfd wake = {.fd = server->wake_fd, .events = POLLIN};
  int64_t left_ms = until_ms - gsq_now_ms();
  if (left_ms > INT32_MAX) left_ms = INT32_MAX;
  if (left_ms > 0) poll(&wake, 1, (int)left_ms);
}

static void *run(void *arg) {
  gsq_server *server = arg;
  gsq_view *views = malloc((MAX_VIEWS_PER_MESSAGE + GSQ_MAX_CLOSED_VIEWS) * sizeof *views +
                           MAX_LOST * sizeof(gsq_id));
  if (!views) return NULL; /* leases then expire, and are asked for again each time */
  background it = {.server = server,
                   .watcher = {.server = server, .tend = tend, .tend_arg = &it},
                   .views = views,
                   .lost = (gsq_id *)(views + MAX_VIEWS_PER_MESSAGE + GSQ_MAX_CLOSED_VIEWS)};
  pthread_mutex_lock(&server->mutex);
  it.keep_alive_at_ms = gsq_now_ms() + server->info.ttl_ms / 3;
  pthread_mutex_unlock(&server->mutex);
  while (!atomic_load(&server->stopping)) {
    const int64_t tend_at_ms = tend(&it);
    const int64_t watch_at_ms = gsq_watch_due(&it.watcher);
    if (watch_at_ms <= gsq_now_ms()) {
      gsq_watch_run(&it.watcher);
    } else {
      sleep_until(server, tend_at_ms < watch_at_ms ? tend_at_ms : watch_at_ms);
    }
  }
  free(views);
  return NULL;
}

/* Starts the thread with all signals blocked: they are the program's. */
static int start_thread(gsq_server *server) {
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  int rc = pthread_create(&server->thread, NULL, run, server);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  return rc;
}

int gsq_session_start(gsq_server *server, int64_t deadline_ms, gsq_error *error) {
  if (server->service == 'f') {
    server->probed = 1;
    return GSQ_OK;
  }
  int code = open_session(server, &server->client, deadline_ms, error);
  if (code == GSQ_UNIMPLEMENTED && server->service == 'a') {
    server->probed = 1;
    return GSQ_OK;
  }
  if (code != GSQ_OK) return code;
  if (start_thread(server) != 0) {
    return gsq_error_set(error, GSQ_NOMEM, "no thread could be started for %s", server->url);
  }
  pthread_mutex_lock(&server->mutex);
  server->probed = 1;
  server->has_page_service = 1;
  server->thread_running = 1;
  pthread_mutex_unlock(&server->mutex);
  return GSQ_OK;
}

void gsq_session_stop(gsq_server *server) {
  /* Before the Watch stream ends, which tells only then how much of it came. */
  const int64_t timeout_ms = gsq_server_is_heard(server) ? CLOSE_TIMEOUT_MS : CLOSE_UNHEARD_MS;
  if (server->thread_running) {
    atomic_store(&server->stopping, 1);
    gsq_server_wake(server);
    gsq_channel_shutdown(server->background);
    pthread_join(server->thread, NULL);
  }
  if (atomic_load(&server->session) > 0) {
    gsq_error ignored = {0};
    gsq_close_session(&server->client, gsq_now_ms() + timeout_ms, &ignored);
  }
}
