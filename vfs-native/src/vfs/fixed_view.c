#include "vfs/fixed_view.h"

#include <string.h>

#include "vfs/views.h"

typedef struct opening {
  gsq_database *database;
  int is_new;
  gsq_open_answer answer;
} opening;

static int keep_page(void *arg, uint32_t number, uint64_t version, int asked,
                     const uint8_t *data, uint32_t size, gsq_error *error) {
  const opening *to = arg;
  const gsq_snapshot *at = &to->answer.snapshot;
  (void)error;
  if (!to->is_new && !gsq_database_is(to->database, &to->answer.database)) return 0;
  gsq_database_keep_page(to->database, at, number, version, asked, data, size);
  return 0;
}

static int open_at_server(opening *to, const gsq_moment *at, uint32_t view, uint32_t credit,
                          gsq_attempts *attempts, int64_t deadline_ms, gsq_error *error) {
  gsq_server *server = to->database->server;
  const gsq_open_request request = {.name = to->database->name,
                                    .read_only = 1,
                                    .view = view,
                                    .at_version_given = !at->is_time,
                                    .at_version = at->version,
                                    .at_time_given = at->is_time,
                                    .at_time_seconds = at->time.seconds,
                                    .at_time_nanos = at->time.nanos,
                                    .prefetch_credit_bytes = credit,
                                    .accept_lz4 = gsq_server_accepts_lz4(server)};
  int code;
  do {
    code = gsq_open_database(&server->client, &request, &to->answer, keep_page, to, deadline_ms,
                             error);
  } while (code != GSQ_OK && gsq_server_again(server, attempts, deadline_ms, error));
  return code == GSQ_OK ? GSQ_OK : error->code;
}

/* The cache on disk is of use if the server has the version that it knows. Whatever goes wrong, it is not
** of use. */
static void confirm_disk(gsq_database *database, const gsq_snapshot *seen,
                         int64_t deadline_ms) {
  gsq_error ignored = {0};
  gsq_have have;
  if (!database->disk || !gsq_disk_cache_waits(database->disk, 0)) return;
  if (!gsq_disk_cache_have(database->disk, &have)) return;
  const gsq_snapshot known = {
      .version = have.version, .page_size = seen->page_size, .mark = have.mark};
  if (seen->page_size == 0) return;
  if (gsq_database_ask_for(database, &known, deadline_ms, &ignored) == GSQ_OK) {
    gsq_disk_cache_confirm(database->disk, &have);
  }
}

/* Both under server->mutex. */

static void link_view(gsq_database *database, gsq_fixed_view *view) {
  pthread_mutex_lock(&database->mutex);
  view->next = database->fixed_views;
  database->fixed_views = view;
  pthread_mutex_unlock(&database->mutex);
}

static void unlink_view(gsq_database *database, gsq_fixed_view *view) {
  pthread_mutex_lock(&database->mutex);
  gsq_fixed_view **link = &database->fixed_views;
  while (*link != view) link = &(*link)->next;
  *link = view->next;
  pthread_mutex_unlock(&database->mutex);
}

int gsq_fixed_open(gsq_server *server, const gsq_settings *settings, const gsq_moment *at,
                   int64_t deadline_ms, gsq_fixed_view *view, gsq_database **out,
                   gsq_error *error) {
  opening to;
  int is_open = 0;
  if (!server->info.time_travel) {
    return gsq_error_set(error, GSQ_UNIMPLEMENTED,
                         "at= and version= need a server that keeps old versions, such as "
                         "versioned-server; the one at %s does not",
                         server->url);
  }
  int code = gsq_server_enter(server, &server->open_gate, deadline_ms, error);
  if (code != GSQ_OK) return code;
  code = gsq_database_find_or_make(server, settings->name, settings->cache_bytes, &to.database,
                                   &to.is_new, error);
  if (code != GSQ_OK) goto out;
  view->number = gsq_views_next(server);
  gsq_attempts attempts = gsq_server_attempts(server);
  const uint32_t credit =
      to.is_new ? gsq_database_credit(to.database, settings->prefetch_bytes) : 0;
  code = open_at_server(&to, at, view->number, credit, &attempts, deadline_ms, error);
  if (code == GSQ_OK && !to.is_new) {
    code = gsq_database_check_is(to.database, &to.answer.database, view->number, deadline_ms,
                                 error);
    if (code == GSQ_OK) code = gsq_database_settle_history(to.database, deadline_ms, error);
  }
  if (code != GSQ_OK) {
    /* The answer may have been lost, and the view be there. Of a database that was never open here the
    ** id is not known; such a view ends with the session. */
    if (to.is_new) {
      gsq_database_free(to.database);
    } else {
      gsq_views_closed(server, &to.database->id, view->number, deadline_ms);
    }
    goto out;
  }
  view->snapshot = to.answer.snapshot;
  view->history = to.database->history;
  is_open = 1;
  if (to.is_new) {
    to.database->seen_in = attempts.session;
    gsq_database_use_disk(to.database, settings, &to.answer.database, &to.answer.snapshot);
  }
  pthread_mutex_lock(&server->mutex);
  link_view(to.database, view);
  if (to.is_new) gsq_database_link_(to.database, &to.answer.database);
  pthread_mutex_unlock(&server->mutex);
  if (to.is_new) confirm_disk(to.database, &view->snapshot, deadline_ms);
  /* Who opened the session again meanwhile did not know of this view. */
  if (attempts.session != atomic_load(&server->session)) {
    code = gsq_server_tell_views(server, deadline_ms, error);
  }
  if (code == GSQ_OK) *out = to.database;
out:
  gsq_server_leave_open(server);
  if (code != GSQ_OK && is_open) gsq_fixed_close(to.database, view, deadline_ms);
  return code;
}

void gsq_fixed_close(gsq_database *database, gsq_fixed_view *view, int64_t deadline_ms) {
  gsq_server *server = database->server;
  const int entered = gsq_gate_enter(&server->open_gate, deadline_ms);
  pthread_mutex_lock(&server->mutex);
  unlink_view(database, view);
  if (!entered) {
    gsq_views_closed_(server, &database->id, view->number);
    gsq_database_close_late_(database, 0);
    pthread_mutex_unlock(&server->mutex);
    gsq_server_wake(server);
    return;
  }
  const int unused = gsq_database_unlink_if_unused_(database);
  pthread_mutex_unlock(&server->mutex);
  gsq_views_closed(server, &database->id, view->number, deadline_ms);
  gsq_server_leave_open(server);
  if (unused) gsq_database_free(database);
}
