#include "vfs/lease.h"

#include <string.h>

#include "base/clock.h"
#include "vfs/database_parts.h"

/* How long the lease is kept for a connection that got it ahead of RESERVED: what lies between is
** the reading of a few pages. A connection that does not go on to write must not keep it. */
#define INTENT_MS 500
/* For one that was lost within a transaction; its snapshot holds good only if nobody has written. */
#define LOST_WAIT_MS 10
/* Of one ReleaseLease, and between those that fail. */
#define RELEASE_TIMEOUT_MS 1000
#define RELEASE_AGAIN_MS 100

int gsq_lease_is_trusted_(const gsq_database *database) {
  const gsq_server *server = database->server;
  /* In this order: see server.h. */
  int64_t until_ms = atomic_load(&server->trusted_until_ms);
  return database->lease_held && !database->doubtful && !database->committing &&
         database->lease_session == atomic_load(&server->session) && gsq_now_ms() < until_ms;
}

/* Giving back. */

/* Under database->mutex: held, and to be given back as soon as those who are at it are done. */
static int is_draining_(const gsq_database *database) {
  return database->lease_held && database->wanted_epoch >= database->epoch;
}

/* Under database->mutex. *until_ms: when that changes by itself. */
static int is_in_use_(const gsq_database *database, int64_t *until_ms) {
  if (database->reserved || database->asking > 0) return 1;
  const int64_t now_ms = gsq_now_ms();
  int in_use = 0;
  for (const gsq_pin *pin = database->pins; pin; pin = pin->next) {
    if (pin->intends_until_ms <= now_ms) continue;
    if (pin->intends_until_ms < *until_ms) *until_ms = pin->intends_until_ms;
    in_use = 1;
  }
  return in_use;
}

/* Under server->mutex and database->mutex: decides. Returns 1 if the background thread has
** something to do, which may be to look again at *until_ms. */
static int yield_(gsq_database *database, int64_t *until_ms) {
  gsq_server *server = database->server;
  if (database->wanted_epoch < database->epoch) database->wanted_epoch = 0; /* of an old one */
  if (database->wanted_epoch == 0) return 0;
  int64_t again_ms = INT64_MAX;
  if (is_in_use_(database, &again_ms)) {
    if (again_ms < *until_ms) *until_ms = again_ms;
    return again_ms < INT64_MAX;
  }
  if (server->release_count == GSQ_MAX_RELEASES) {
    const int64_t soon_ms = gsq_now_ms() + RELEASE_AGAIN_MS;
    if (soon_ms < *until_ms) *until_ms = soon_ms;
    return 1;
  }
  /* It may be one that we do not know to have, because an answer was lost. */
  server->releases[server->release_count++] =
      (gsq_release){.database = database->id, .epoch = database->wanted_epoch};
  if (database->epoch <= database->wanted_epoch) database->lease_held = 0;
  database->lost_epoch = database->wanted_epoch;
  database->wanted_epoch = 0;
  atomic_fetch_add_explicit(&server->yields, 1, memory_order_relaxed);
  return 1;
}

void gsq_lease_yield(gsq_database *database) {
  gsq_server *server = database->server;
  int64_t until_ms = INT64_MAX;
  pthread_mutex_lock(&server->mutex);
  pthread_mutex_lock(&database->mutex);
  const int more = yield_(database, &until_ms);
  pthread_mutex_unlock(&database->mutex);
  pthread_mutex_unlock(&server->mutex);
  if (!more) return;
  atomic_store(&server->look_at_leases, 1);
  gsq_server_wake(server);
}

void gsq_lease_wanted(gsq_server *server, const gsq_id *id, uint64_t epoch) {
  pthread_mutex_lock(&server->mutex);
  gsq_database *database = gsq_database_by_id_(server, id);
  if (database) {
    pthread_mutex_lock(&database->mutex);
    /* Not of one that went back before; but of one that is being granted this moment. */
    if (epoch > database->lost_epoch && epoch > database->wanted_epoch) {
      database->wanted_epoch = epoch;
    }
    pthread_mutex_unlock(&database->mutex);
  }
  pthread_mutex_unlock(&server->mutex);
  atomic_store(&server->look_at_leases, 1);
}

void gsq_lease_lost(gsq_server *server, const gsq_id *id, uint64_t epoch) {
  pthread_mutex_lock(&server->mutex);
  gsq_database *database = gsq_database_by_id_(server, id);
  if (database) {
    pthread_mutex_lock(&database->mutex);
    /* Perhaps the answer that grants it has not been looked at yet. */
    if (epoch > database->epoch) database->lost_epoch = epoch;
    if (epoch == database->epoch) database->lease_held = 0;
    pthread_mutex_unlock(&database->mutex);
  }
  pthread_mutex_unlock(&server->mutex);
}

/* Looks at all that are wanted. Returns when to look again. */
static int64_t look_at_all(gsq_server *server) {
  int64_t until_ms = INT64_MAX;
  if (!atomic_exchange(&server->look_at_leases, 0)) return until_ms;
  pthread_mutex_lock(&server->mutex);
  for (gsq_database *database = server->databases; database; database = database->next) {
    pthread_mutex_lock(&database->mutex);
    yield_(database, &until_ms);
    pthread_mutex_unlock(&database->mutex);
  }
  pthread_mutex_unlock(&server->mutex);
  if (until_ms < INT64_MAX) atomic_store(&server->look_at_leases, 1);
  return until_ms;
}

/* The server has the lease back. */
static void released(gsq_server *server, const gsq_release *release) {
  pthread_mutex_lock(&server->mutex);
  server->release_count--;
  memmove(server->releases, server->releases + 1,
          server->release_count * sizeof *server->releases);
  gsq_database *database = gsq_database_by_id_(server, &release->database);
  if (database) {
    pthread_mutex_lock(&database->mutex);
    if (database->epoch == release->epoch) database->doubtful = 0;
    pthread_mutex_unlock(&database->mutex);
  }
  pthread_cond_broadcast(&server->released);
  pthread_mutex_unlock(&server->mutex);
}

int64_t gsq_leases_give_back(gsq_server *server) {
  const int64_t until_ms = look_at_all(server);
  for (;;) {
    pthread_mutex_lock(&server->mutex);
    const int more = server->release_count > 0;
    const gsq_release release = server->releases[0];
    pthread_mutex_unlock(&server->mutex);
    if (!more) return until_ms;
    gsq_error error = {0};
    const uint64_t session = atomic_load(&server->session);
    const int64_t deadline_ms = gsq_now_ms() + RELEASE_TIMEOUT_MS;
    int code = gsq_release_lease(&server->background_client, &release.database, release.epoch,
                                 deadline_ms, &error);
    if (code == GSQ_OK || gsq_error_is(&error, "NO_SUCH_DATABASE")) {
      released(server, &release);
      continue;
    }
    /* A server that restarted may know whose the lease is, but not the session. */
    if (gsq_error_is(&error, "NO_SUCH_SESSION") &&
        gsq_session_reopen(server, &server->background_client, session, deadline_ms, &error) ==
            GSQ_OK) {
      continue;
    }
    const int64_t again_ms = gsq_now_ms() + RELEASE_AGAIN_MS;
    return again_ms < until_ms ? again_ms : until_ms;
  }
}

/* Leaves it to the background thread. 0: there are too many. */
static int release_later(gsq_database *database) {
  gsq_server *server = database->server;
  pthread_mutex_lock(&server->mutex);
  const int has_room = server->release_count < GSQ_MAX_RELEASES;
  if (has_room) {
    server->releases[server->release_count++] =
        (gsq_release){.database = database->id, .epoch = database->epoch};
  }
  pthread_mutex_unlock(&server->mutex);
  if (has_room) gsq_server_wake(server);
  return has_room;
}

void gsq_lease_release_at_close(gsq_database *database, int64_t deadline_ms) {
  gsq_server *server = database->server;
  gsq_error error = {0};
  if (!database->lease_held && !database->doubtful) return;
  const int may_answer = deadline_ms > 0 && gsq_server_is_heard(server);
  if (!may_answer && release_later(database)) return;
  if (gsq_release_lease(&server->client, &database->id, database->epoch, deadline_ms, &error) ==
      GSQ_OK) {
    return;
  }
  const int in_vain = error.code == GSQ_DEADLINE_EXCEEDED || error.code == GSQ_UNAVAILABLE;
  if (in_vain && deadline_ms > 0) gsq_server_did_not_answer(server);
  release_later(database);
}

/* Asking. */

static int is_being_released_(const gsq_server *server, const gsq_id *id) {
  for (size_t i = 0; i < server->release_count; i++) {
    if (memcmp(&server->releases[i].database, id, sizeof *id) == 0) return 1;
  }
  return 0;
}

static int await_release(gsq_server *server, const gsq_id *id, int64_t deadline_ms,
                         gsq_error *error) {
  int code = GSQ_OK;
  pthread_mutex_lock(&server->mutex);
  while (is_being_released_(server, id)) {
    if (!gsq_wait_until(&server->released, &server->mutex, deadline_ms)) {
      code = gsq_error_set(error, GSQ_DEADLINE_EXCEEDED,
                           "the lease was being given back, and %s did not answer within the "
                           "time",
                           server->url);
      break;
    }
  }
  pthread_mutex_unlock(&server->mutex);
  return code;
}

/* *learnt: see gsq_database_learn_. */
static int acquire(gsq_database *database, const gsq_snapshot *at, uint32_t wait_ms,
                   enum gsq_lease_outcome *outcome, int *learnt, int64_t deadline_ms,
                   gsq_error *error) {
  gsq_server *server = database->server;
  gsq_lease_answer answer = {0};
  gsq_server_need_watch(server);
  int code = await_release(server, &database->id, deadline_ms, error);
  if (code != GSQ_OK) return code;
  pthread_mutex_lock(&database->mutex);
  const gsq_have have = at ? gsq_have_of(at) : gsq_database_have_(database);
  const uint64_t floor = gsq_database_floor_(database);
  const uint64_t epoch_before = database->epoch;
  pthread_mutex_unlock(&database->mutex);
  const int64_t sent_ms = gsq_now_ms();
  const int64_t left_ms = deadline_ms - sent_ms;
  if (left_ms > 0 && wait_ms > left_ms) wait_ms = (uint32_t)left_ms;
  gsq_attempts attempts = gsq_server_attempts(server);
  do {
    code = gsq_acquire_lease(&server->client, &database->id, &have, !at, wait_ms, floor,
                             &answer, deadline_ms, error);
  } while (code != GSQ_OK && gsq_server_again(server, &attempts, deadline_ms, error));
  if (code != GSQ_OK) return error->code;
  pthread_mutex_lock(&database->mutex);
  if (answer.outcome == GSQ_LEASE_GRANTED) {
    *learnt = gsq_database_learn_(database, &have, &answer.head, &answer.changes, sent_ms);
    if (*learnt) database->seen_in = attempts.session;
    if (answer.epoch > database->lost_epoch) {
      database->lease_held = 1;
      database->epoch = answer.epoch;
      database->lease_session = attempts.session;
    } else {
      answer.outcome = GSQ_LEASE_HELD; /* it was taken away while the answer was on its way */
    }
  } else if (database->epoch == epoch_before) {
    database->lease_held = 0;
  }
  pthread_mutex_unlock(&database->mutex);
  gsq_changes_free(&answer.changes);
  *outcome = answer.outcome;
  return GSQ_OK;
}

int gsq_lease_acquire(gsq_database *database, const gsq_snapshot *at, uint32_t wait_ms,
                      enum gsq_lease_outcome *outcome, int64_t deadline_ms, gsq_error *error) {
  int code, learnt;
  do {
    learnt = 1;
    code = acquire(database, at, wait_ms, outcome, &learnt, deadline_ms, error);
  } while (code == GSQ_OK && !learnt);
  return code;
}

int gsq_lease_settle_doubt(gsq_database *database, int64_t deadline_ms, gsq_error *error) {
  gsq_server *server = database->server;
  pthread_mutex_lock(&database->mutex);
  int doubtful = database->doubtful;
  uint64_t epoch = database->epoch;
  pthread_mutex_unlock(&database->mutex);
  if (!doubtful) return GSQ_OK;
  gsq_attempts attempts = gsq_server_attempts(server);
  int code;
  do {
    code = gsq_release_lease(&server->client, &database->id, epoch, deadline_ms, error);
  } while (code != GSQ_OK && gsq_server_again(server, &attempts, deadline_ms, error));
  if (code != GSQ_OK) return error->code;
  pthread_mutex_lock(&database->mutex);
  if (database->doubtful && database->epoch == epoch) {
    database->doubtful = 0;
    database->lease_held = 0;
  }
  pthread_mutex_unlock(&database->mutex);
  return GSQ_OK;
}

/* The right to write. */

void gsq_lease_intend_(gsq_database *database, gsq_pin *pin, int newly_granted) {
  if (newly_granted || !is_draining_(database)) {
    pin->intends_until_ms = gsq_now_ms() + INTENT_MS;
  }
}

int gsq_database_reserve(gsq_database *database, gsq_pin *pin, uint32_t wait_ms,
                         enum gsq_reserve_outcome *outcome, int64_t deadline_ms,
                         gsq_error *error) {
  int ask = 0;
  pthread_mutex_lock(&database->mutex);
  if (is_draining_(database) && pin->intends_until_ms == 0) {
    pthread_mutex_unlock(&database->mutex);
    gsq_lease_yield(database);
    pthread_mutex_lock(&database->mutex);
  }
  const int after_others = is_draining_(database) && pin->intends_until_ms == 0;
  if (database->reserved != pin && (database->reserved || after_others)) {
    *outcome = GSQ_HELD_HERE;
  } else if (pin->snapshot.version != database->head.version ||
             gsq_database_is_past(database, pin)) {
    *outcome = GSQ_SNAPSHOT_OLD; /* a head never comes back */
  } else {
    database->reserved = pin;
    *outcome = GSQ_RESERVED;
    ask = !gsq_lease_is_trusted_(database);
  }
  pthread_mutex_unlock(&database->mutex);
  if (!ask) return GSQ_OK;

  enum gsq_lease_outcome lease = GSQ_LEASE_HELD;
  int code = gsq_lease_acquire(database, &pin->snapshot, wait_ms, &lease, deadline_ms, error);
  if (code == GSQ_OK && lease == GSQ_LEASE_GRANTED) return GSQ_OK;
  *outcome = lease == GSQ_LEASE_HEAD_MOVED ? GSQ_SNAPSHOT_OLD : GSQ_HELD_ELSEWHERE;
  gsq_database_unreserve(database, pin);
  return code;
}

void gsq_database_unreserve(gsq_database *database, gsq_pin *pin) {
  pthread_mutex_lock(&database->mutex);
  if (database->reserved == pin) database->reserved = NULL;
  pin->intends_until_ms = 0;
  const int wanted = database->wanted_epoch > 0;
  pthread_mutex_unlock(&database->mutex);
  if (wanted) gsq_lease_yield(database);
}

int gsq_database_is_reserved(gsq_database *database) {
  pthread_mutex_lock(&database->mutex);
  int reserved = database->reserved != NULL;
  pthread_mutex_unlock(&database->mutex);
  return reserved;
}

int gsq_database_epoch(gsq_database *database, const gsq_pin *pin, uint64_t *epoch,
                       int64_t deadline_ms, gsq_error *error) {
  int code = gsq_lease_settle_doubt(database, deadline_ms, error);
  if (code != GSQ_OK) return code;
  /* Held is enough here, trusted or not: the server fences. */
  pthread_mutex_lock(&database->mutex);
  int held = database->lease_held;
  pthread_mutex_unlock(&database->mutex);
  if (!held) {
    enum gsq_lease_outcome lease;
    code = gsq_lease_acquire(database, &pin->snapshot,
                             database->server->info.watch ? LOST_WAIT_MS : 0, &lease,
                             deadline_ms, error);
    if (code != GSQ_OK) return code;
    if (lease != GSQ_LEASE_GRANTED) {
      return gsq_error_set(error, GSQ_FAILED_PRECONDITION,
                           lease == GSQ_LEASE_HELD
                               ? "the lease was lost, and another client has it"
                               : "the lease was lost, and another client has committed since");
    }
  }
  pthread_mutex_lock(&database->mutex);
  *epoch = database->epoch;
  const int is_past = gsq_database_is_past(database, pin);
  pthread_mutex_unlock(&database->mutex);
  if (!is_past) return GSQ_OK;
  return gsq_error_set(error, GSQ_FAILED_PRECONDITION,
                       "the server's data were replaced by an older copy since the transaction "
                       "began");
}

void gsq_database_lease_lost(gsq_database *database) {
  pthread_mutex_lock(&database->mutex);
  database->lease_held = 0;
  pthread_mutex_unlock(&database->mutex);
}

void gsq_database_lease_lost_by_id(gsq_server *server, const gsq_id *id) {
  pthread_mutex_lock(&server->mutex);
  gsq_database *database = gsq_database_by_id_(server, id);
  if (database) gsq_database_lease_lost(database);
  pthread_mutex_unlock(&server->mutex);
}

void gsq_database_doubt(gsq_database *database) {
  pthread_mutex_lock(&database->mutex);
  database->doubtful = 1;
  database->lease_held = 0;
  database->confirmed_ms = 0;
  database->delegated_until_ms = 0;
  database->unconfirmed_until_ms = gsq_now_ms();
  gsq_page_cache_clear(database->cache, database->head.version);
  pthread_mutex_unlock(&database->mutex);
}
