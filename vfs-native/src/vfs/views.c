#include "vfs/views.h"

#include <stdlib.h>
#include <string.h>

uint32_t gsq_views_next(gsq_server *server) {
  if (++server->last_view == GSQ_LIVE_VIEW) ++server->last_view;
  return server->last_view;
}

/* Under server->mutex. Returns 0 if memory ran out. */
static int remember(gsq_server *server, const gsq_view *view) {
  if (server->closed_view_count == server->closed_view_room) {
    const size_t room = server->closed_view_room ? 2 * server->closed_view_room : 16;
    gsq_view *views = realloc(server->closed_views, room * sizeof *views);
    if (!views) return 0;
    server->closed_views = views;
    server->closed_view_room = room;
  }
  server->closed_views[server->closed_view_count++] = *view;
  return 1;
}

static int tell(gsq_server *server, const gsq_view *views, size_t count, int64_t deadline_ms) {
  gsq_kept_alive kept;
  gsq_id lost[1];
  size_t lost_count;
  gsq_error error = {0};
  int code = gsq_keep_alive(&server->client, views, count, &kept, lost, 1, &lost_count,
                            deadline_ms, &error);
  return code == GSQ_OK || gsq_error_is(&error, "NO_SUCH_SESSION");
}

/* Under server->mutex. */
static size_t take(gsq_server *server, gsq_view *views) {
  size_t count = server->closed_view_count;
  if (count > GSQ_MAX_CLOSED_VIEWS) count = GSQ_MAX_CLOSED_VIEWS;
  if (count > 0) memcpy(views, server->closed_views, count * sizeof *views);
  return count;
}

/* Under server->mutex. */
static void forget(gsq_server *server, size_t count) {
  server->closed_view_count -= count;
  memmove(server->closed_views, server->closed_views + count,
          server->closed_view_count * sizeof *server->closed_views);
}

void gsq_views_closed(gsq_server *server, const gsq_id *database, uint32_t view,
                      int64_t deadline_ms) {
  const gsq_view closed = {.database = *database, .view = view, .closed = 1};
  gsq_view views[GSQ_MAX_CLOSED_VIEWS];
  size_t count = 0;
  pthread_mutex_lock(&server->mutex);
  const int remembered = remember(server, &closed);
  /* Who opens and closes faster than KeepAlives go tells it himself now and then. */
  if (remembered && server->closed_view_count % GSQ_MAX_CLOSED_VIEWS == 0) {
    count = take(server, views);
  }
  pthread_mutex_unlock(&server->mutex);
  if (!remembered) tell(server, &closed, 1, deadline_ms);
  if (count == 0 || !gsq_gate_enter(&server->session_gate, 0)) return;
  const int told = tell(server, views, count, deadline_ms);
  gsq_gate_leave(&server->session_gate);
  if (!told) return;
  pthread_mutex_lock(&server->mutex);
  forget(server, count);
  pthread_mutex_unlock(&server->mutex);
}

void gsq_views_closed_(gsq_server *server, const gsq_id *database, uint32_t view) {
  remember(server, &(gsq_view){.database = *database, .view = view, .closed = 1});
}

void gsq_views_reopened(gsq_server *server, const gsq_id *database, uint32_t view) {
  size_t kept = 0;
  for (size_t i = 0; i < server->closed_view_count; i++) {
    const gsq_view *closed = &server->closed_views[i];
    if (closed->view == view && memcmp(&closed->database, database, sizeof *database) == 0) {
      continue;
    }
    server->closed_views[kept++] = *closed;
  }
  server->closed_view_count = kept;
}

size_t gsq_views_begin_telling(gsq_server *server, gsq_view *views) {
  if (!gsq_gate_enter(&server->open_gate, 0)) return 0;
  if (!gsq_gate_enter(&server->session_gate, 0)) {
    gsq_server_leave_open(server);
    return 0;
  }
  pthread_mutex_lock(&server->mutex);
  size_t count = take(server, views);
  pthread_mutex_unlock(&server->mutex);
  if (count == 0) gsq_views_end_telling(server, 0, 0);
  return count;
}

void gsq_views_end_telling(gsq_server *server, size_t count, int told) {
  if (told) {
    pthread_mutex_lock(&server->mutex);
    forget(server, count);
    pthread_mutex_unlock(&server->mutex);
  }
  gsq_gate_leave(&server->session_gate);
  gsq_server_leave_open(server);
}
