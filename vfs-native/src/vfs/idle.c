#include "vfs/idle.h"

#include "base/clock.h"
#include "vfs/database_parts.h"

#define MOST_MS 500

typedef struct idle {
  gsq_refresh_request request;
  int64_t heard_ms;
} idle;

/* Under server->mutex and database->mutex: whoever reads is at an older version by right; who has the lease,
** or was told just now that nothing is new, knows the head. */
static int is_idle_(const gsq_database *database, int64_t since_ms) {
  return database->live && !database->pins && !database->lease_held &&
         database->heard_ms < since_ms && database->confirmed_ms < since_ms;
}

/* Of `all`, by heard_ms, the least of GSQ_MAX_IDLE. */
static void insert(idle *all, size_t *count, const idle *one) {
  size_t at = *count;
  while (at > 0 && all[at - 1].heard_ms > one->heard_ms) at--;
  if (at == GSQ_MAX_IDLE) return;
  if (*count < GSQ_MAX_IDLE) (*count)++;
  for (size_t i = *count - 1; i > at; i--) all[i] = all[i - 1];
  all[at] = *one;
}

/* *deadline_ms: of all calls. */
static size_t collect(gsq_server *server, idle *all, int64_t *deadline_ms) {
  size_t count = 0;
  pthread_mutex_lock(&server->mutex);
  const int64_t now_ms = gsq_now_ms(), since_ms = now_ms - server->info.ttl_ms / 6;
  const int64_t most_ms = server->info.ttl_ms / 10;
  *deadline_ms = now_ms + (most_ms < MOST_MS ? most_ms : MOST_MS);
  for (gsq_database *database = server->databases; database; database = database->next) {
    pthread_mutex_lock(&database->mutex);
    if (is_idle_(database, since_ms)) {
      const gsq_have have = gsq_database_have_(database);
      const uint64_t floor = gsq_database_floor_(database);
      const idle one = {
          .request = {.database = database->id,
                      .have = have,
                      .floor_version = floor < have.version ? floor : have.version},
          .heard_ms = database->heard_ms};
      insert(all, &count, &one);
    }
    pthread_mutex_unlock(&database->mutex);
  }
  pthread_mutex_unlock(&server->mutex);
  return count;
}

/* answer NULL: the server refused to tell. The database may have been closed meanwhile, and opened again. */
static void learn(gsq_server *server, const idle *one, const gsq_refresh_answer *answer,
                  int64_t sent_ms) {
  pthread_mutex_lock(&server->mutex);
  gsq_database *database = gsq_database_by_id_(server, &one->request.database);
  if (database) {
    pthread_mutex_lock(&database->mutex);
    database->heard_ms = gsq_now_ms();
    if (answer) {
      gsq_database_learn_(database, &one->request.have, &answer->head, &answer->changes,
                          sent_ms);
    }
    pthread_mutex_unlock(&database->mutex);
  }
  pthread_mutex_unlock(&server->mutex);
}

void gsq_idle_ask(gsq_server *server) {
  idle all[GSQ_MAX_IDLE];
  int64_t deadline_ms;
  const size_t count = collect(server, all, &deadline_ms);
  for (size_t i = 0; i < count && !atomic_load(&server->stopping); i++) {
    gsq_error error = {0};
    gsq_refresh_answer answer;
    const int64_t sent_ms = gsq_now_ms();
    const int code =
        gsq_refresh(&server->background_client, &all[i].request, &answer, deadline_ms, &error);
    /* The KeepAlive finds out what there is to be done. */
    if (code == GSQ_DEADLINE_EXCEEDED || code == GSQ_UNAVAILABLE ||
        gsq_error_is(&error, "NO_SUCH_SESSION")) {
      return;
    }
    learn(server, &all[i], code == GSQ_OK ? &answer : NULL, sent_ms);
    if (code == GSQ_OK) gsq_changes_free(&answer.changes);
  }
}
