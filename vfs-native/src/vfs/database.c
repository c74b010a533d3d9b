#include "vfs/database.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "vfs/database_parts.h"
#include "vfs/lease.h"
#include "vfs/report.h"
#include "vfs/sqlite_api.h"
#include "vfs/views.h"

/* What is asked for: enough for SQLite to read the schema and begin the first transaction, however far
** away the server is. */
#define READ_DELEGATION_MS 100
/* The clock's two ends. */
#define CLOCK_GRAIN_MS 2

/* Lifecycle. */

typedef struct first_pages {
  gsq_database *database;
  int is_new;  /* its id is not known yet */
  int is_live; /* someone follows the head already */
  const gsq_open_answer *answer;
} first_pages;

/* What fixed versions left in the cache may have changed since, up to the first head. */
static int keep_first_page(void *arg, uint32_t number, uint64_t version, int asked,
                           const uint8_t *data, uint32_t size, gsq_error *error) {
  const first_pages *pages = arg;
  const gsq_database *database = pages->database;
  const gsq_snapshot *at = &pages->answer->snapshot;
  (void)error;
  if (!pages->is_new && !gsq_database_is(database, &pages->answer->database)) return 0;
  if (!pages->is_live) gsq_page_cache_advance(database->cache, at->version, 1, NULL, 0);
  gsq_database_keep_page(database, at, number, version, asked, data, size);
  return 0;
}

void gsq_database_free(gsq_database *database) {
  if (!database) return;
  pthread_cond_destroy(&database->refreshed);
  pthread_mutex_destroy(&database->mutex);
  if (database->cache) gsq_page_cache_free(database->cache);
  gsq_disk_cache_close(database->disk);
  free(database->name);
  free(database);
}

static int make_database(gsq_server *server, const char *name, int64_t cache_bytes,
                         gsq_database **out, gsq_error *error) {
  gsq_database *database = calloc(1, sizeof *database);
  if (!database) return gsq_error_nomem(error);
  pthread_mutex_init(&database->mutex, NULL);
  gsq_cond_init(&database->refreshed);
  database->server = server;
  database->history = 1;
  database->name = strdup(name);
  database->cache = gsq_page_cache_new((size_t)cache_bytes);
  if (!database->name || !database->cache) {
    gsq_database_free(database);
    return gsq_error_nomem(error);
  }
  *out = database;
  return GSQ_OK;
}

static int open_at_server(gsq_database *database, int is_new, int is_live, int create,
                          int read_only, int64_t prefetch_bytes, int64_t deadline_ms,
                          gsq_open_answer *answer, gsq_error *error) {
  gsq_server *server = database->server;
  /* Who follows the head already has what comes with an open. */
  const uint32_t credit = is_live ? 0 : gsq_database_credit(database, prefetch_bytes);
  const gsq_open_request request = {.name = database->name,
                                    .create = create,
                                    .read_only = read_only,
                                    .prefetch_credit_bytes = credit,
                                    .accept_lz4 = gsq_server_accepts_lz4(server),
                                    .read_delegation_ms = is_live ? 0 : READ_DELEGATION_MS};
  first_pages pages = {
      .database = database, .is_new = is_new, .is_live = is_live, .answer = answer};
  gsq_attempts attempts = gsq_server_attempts(server);
  int code;
  do {
    code = gsq_open_database(&server->client, &request, answer, keep_first_page, &pages,
                             deadline_ms, error);
  } while (code != GSQ_OK && gsq_server_again(server, &attempts, deadline_ms, error));
  return code == GSQ_OK ? GSQ_OK : error->code;
}

int gsq_database_find_or_make(gsq_server *server, const char *name, int64_t cache_bytes,
                              gsq_database **out, int *is_new, gsq_error *error) {
  pthread_mutex_lock(&server->mutex);
  gsq_database *database = server->databases;
  while (database && strcmp(database->name, name) != 0) database = database->next;
  pthread_mutex_unlock(&server->mutex);
  *is_new = !database;
  *out = database;
  return database ? GSQ_OK : make_database(server, name, cache_bytes, out, error);
}

void gsq_database_link_(gsq_database *database, const gsq_id *id) {
  gsq_server *server = database->server;
  database->id = *id;
  database->next = server->databases;
  server->databases = database;
}

gsq_database *gsq_database_by_id_(const gsq_server *server, const gsq_id *id) {
  gsq_database *database = server->databases;
  while (database && !gsq_database_is(database, id)) database = database->next;
  return database;
}

int gsq_database_unlink_if_unused_(gsq_database *database) {
  if (database->live || database->fixed_views) return 0;
  gsq_database **link = &database->server->databases;
  while (*link != database) link = &(*link)->next;
  *link = database->next;
  return 1;
}

void gsq_database_use_disk(gsq_database *database, const gsq_settings *settings,
                           const gsq_id *id, const gsq_snapshot *seen) {
  gsq_error error = {0};
  if (!settings->cache_dir) return;
  database->disk =
      gsq_disk_cache_open(settings->cache_dir, settings->cache_dir_bytes, id, seen, &error);
  if (!database->disk) gsq_fail(NULL, SQLITE_WARNING, "%s: %s", database->name, error.message);
}

int gsq_database_is(const gsq_database *database, const gsq_id *id) {
  return memcmp(&database->id, id, sizeof *id) == 0;
}

int gsq_database_check_is(const gsq_database *database, const gsq_id *id, uint32_t view,
                          int64_t deadline_ms, gsq_error *error) {
  if (gsq_database_is(database, id)) return GSQ_OK;
  gsq_views_closed(database->server, id, view, deadline_ms);
  return gsq_error_set(error, GSQ_NOT_FOUND, "%s is another database now; close it first",
                       database->name);
}

/* With mutex held: the head stays as it is, but for what this process commits. */
static void delegated_(gsq_database *database, int64_t sent_ms, uint32_t given_ms) {
  const int64_t until_ms = sent_ms + given_ms - CLOCK_GRAIN_MS;
  if (given_ms > 0 && sent_ms > database->unconfirmed_until_ms &&
      until_ms > database->delegated_until_ms) {
    database->delegated_until_ms = until_ms;
  }
}

/* The first connection that follows the head. */
static void begin_live(gsq_database *database, int is_new, const gsq_open_answer *answer,
                       int64_t sent_ms) {
  gsq_server *server = database->server;
  gsq_page_cache_advance(database->cache, answer->snapshot.version, 1, NULL, 0);
  pthread_mutex_lock(&database->mutex);
  if (is_new || answer->snapshot.version >= database->head.version) {
    database->head = answer->snapshot;
  }
  database->heard_ms = gsq_now_ms();
  delegated_(database, sent_ms, answer->read_delegation_ms);
  pthread_mutex_unlock(&database->mutex);
  pthread_mutex_lock(&server->mutex);
  database->live = 1;
  if (is_new) gsq_database_link_(database, &answer->database);
  gsq_views_reopened(server, &database->id, GSQ_LIVE_VIEW);
  pthread_mutex_unlock(&server->mutex);
}

int gsq_database_open(gsq_server *server, const gsq_settings *settings, int create,
                      int read_only, int64_t deadline_ms, gsq_database **out,
                      gsq_error *error) {
  gsq_database *database;
  gsq_open_answer answer;
  int is_new;
  const uint64_t session = atomic_load(&server->session);
  int code = gsq_server_enter(server, &server->open_gate, deadline_ms, error);
  if (code != GSQ_OK) return code;
  code = gsq_database_find_or_make(server, settings->name, settings->cache_bytes, &database,
                                   &is_new, error);
  if (code != GSQ_OK) goto out;
  const int is_live = database->live_references > 0;
  if (!is_live || (!read_only && !database->opened_for_writing)) {
    const int64_t sent_ms = gsq_now_ms();
    code = open_at_server(database, is_new, is_live, create, read_only,
                          settings->prefetch_bytes, deadline_ms, &answer, error);
    if (code == GSQ_OK && !is_new) {
      code =
          gsq_database_check_is(database, &answer.database, GSQ_LIVE_VIEW, deadline_ms, error);
      if (code == GSQ_OK) code = gsq_database_settle_history(database, deadline_ms, error);
    }
    if (code != GSQ_OK) {
      if (is_new) gsq_database_free(database);
      goto out;
    }
    if (is_new) {
      database->seen_in = session;
      gsq_database_use_disk(database, settings, &answer.database, &answer.snapshot);
    }
    if (!is_live) begin_live(database, is_new, &answer, sent_ms);
    if (!read_only) database->opened_for_writing = 1;
  }
  database->live_references++;
  *out = database;
out:
  gsq_server_leave_open(server);
  return code;
}

/* The last use has ended. Returns 1 if nobody has the object any more. Under server->open_gate. */
static int end_live(gsq_database *database, int64_t deadline_ms) {
  gsq_server *server = database->server;
  database->opened_for_writing = 0;
  pthread_mutex_lock(&server->mutex);
  database->live = 0;
  const int unused = gsq_database_unlink_if_unused_(database);
  /* The last database takes its session with it, and thereby everything else. */
  const int session_goes_on = server->databases != NULL;
  pthread_mutex_unlock(&server->mutex);
  if (session_goes_on) gsq_lease_release_at_close(database, deadline_ms);
  pthread_mutex_lock(&database->mutex);
  database->lease_held = 0;
  database->doubtful = 0;
  pthread_mutex_unlock(&database->mutex);
  gsq_views_closed(server, &database->id, GSQ_LIVE_VIEW, deadline_ms);
  return unused;
}

void gsq_database_close_late_(gsq_database *database, int uses) {
  database->closed_late = 1;
  database->late_closes += uses;
  atomic_store(&database->server->closed_late, 1);
}

void gsq_database_close(gsq_database *database, int64_t deadline_ms) {
  gsq_server *server = database->server;
  if (!gsq_gate_enter(&server->open_gate, deadline_ms)) {
    pthread_mutex_lock(&server->mutex);
    gsq_database_close_late_(database, 1);
    pthread_mutex_unlock(&server->mutex);
    gsq_server_wake(server);
    return;
  }
  const int unused = --database->live_references == 0 && end_live(database, deadline_ms);
  gsq_server_leave_open(server);
  if (unused) gsq_database_free(database);
}

/* Under server->mutex: one that was closed late, as which it does not count from then on. */
static gsq_database *take_late_(gsq_server *server, int *uses) {
  gsq_database *database = server->databases;
  while (database && !database->closed_late) database = database->next;
  if (!database) return NULL;
  *uses = database->late_closes;
  database->closed_late = database->late_closes = 0;
  return database;
}

void gsq_databases_close_late(gsq_server *server) {
  if (!atomic_load(&server->closed_late) || !gsq_gate_enter(&server->open_gate, 0)) return;
  atomic_store(&server->closed_late, 0);
  for (;;) {
    int uses = 0, unused = 0;
    pthread_mutex_lock(&server->mutex);
    gsq_database *database = take_late_(server, &uses);
    if (database && uses == 0) unused = gsq_database_unlink_if_unused_(database);
    pthread_mutex_unlock(&server->mutex);
    if (!database) break;
    database->live_references -= uses;
    if (uses > 0 && database->live_references == 0) unused = end_live(database, 0);
    if (unused) gsq_database_free(database);
  }
  gsq_server_leave_open(server);
}

/* Snapshots. The functions in this part with a trailing underscore want database->mutex held.
 */

static void pin_(gsq_database *database, gsq_pin *pin, const gsq_snapshot *at) {
  pin->snapshot = *at;
  pin->history = database->history;
  if (pin->pinned) return;
  pin->pinned = 1;
  pin->previous = NULL;
  pin->next = database->pins;
  if (pin->next) pin->next->previous = pin;
  database->pins = pin;
}

uint64_t gsq_database_floor_(const gsq_database *database) {
  uint64_t floor = database->head.version;
  for (const gsq_pin *pin = database->pins; pin; pin = pin->next) {
    if (pin->snapshot.version < floor) floor = pin->snapshot.version;
  }
  return floor;
}

void gsq_database_confirm_(gsq_database *database, int64_t known_ms) {
  if (known_ms <= database->unconfirmed_until_ms) return;
  if (known_ms > database->confirmed_ms) database->confirmed_ms = known_ms;
}

int gsq_database_is_past(const gsq_database *database, const gsq_pin *pin) {
  return pin->history != atomic_load_explicit(&database->history, memory_order_relaxed);
}

/* What the cache in memory is of. */
static gsq_have in_memory_(const gsq_database *database) {
  gsq_have have = {.version = gsq_page_cache_version(database->cache)};
  if (have.version == database->head.version) have.mark = database->head.mark;
  return have;
}

gsq_have gsq_database_have_(const gsq_database *database) {
  gsq_have have = in_memory_(database);
  if (database->disk && gsq_disk_cache_waits(database->disk, have.version)) {
    gsq_disk_cache_have(database->disk, &have);
  }
  return have;
}

static int is_read_(void *arg, uint64_t from, uint64_t to) {
  const gsq_database *database = arg;
  for (const gsq_pin *pin = database->pins; pin; pin = pin->next) {
    if (pin->snapshot.version >= from && pin->snapshot.version <= to) return 1;
  }
  for (const gsq_fixed_view *view = database->fixed_views; view; view = view->next) {
    if (view->snapshot.version >= from && view->snapshot.version <= to) return 1;
  }
  return 0;
}

static void ask_next_(gsq_database *database) {
  database->lease_held = 0;
  database->confirmed_ms = 0;
  database->delegated_until_ms = 0;
}

void gsq_database_ask_next(gsq_database *database) {
  pthread_mutex_lock(&database->mutex);
  ask_next_(database);
  pthread_mutex_unlock(&database->mutex);
}

/* The server went on from an older copy of its data. */
static void begin_other_history_(gsq_database *database, const gsq_snapshot *head) {
  gsq_page_cache_clear(database->cache, head->version);
  if (database->disk) gsq_disk_cache_forget(database->disk);
  database->head = *head;
  database->floor_told = 0;
  database->history++;
  ask_next_(database);
}

/* Whether the server was told of what is in memory. It is not if another answer has come first, which may have
** begun another history already. */
static int is_of_memory_(const gsq_database *database, const gsq_have *have) {
  const gsq_have mine = in_memory_(database);
  return have->version == mine.version && (have->mark == mine.mark || have->mark == 0);
}

static int is_of_disk_(const gsq_database *database, const gsq_have *have) {
  gsq_have mine;
  return database->disk && gsq_disk_cache_have(database->disk, &mine) &&
         have->version == mine.version && have->mark == mine.mark;
}

int gsq_database_learn_(gsq_database *database, const gsq_have *from, const gsq_snapshot *head,
                        const gsq_changes *changes, int64_t known_ms) {
  database->heard_ms = gsq_now_ms();
  if (changes->other_history && !is_of_memory_(database, from)) {
    if (is_of_disk_(database, from)) gsq_disk_cache_forget(database->disk);
    return 0;
  }
  if (changes->other_history) begin_other_history_(database, head);
  /* What changed before that version may not be known. */
  const int all = changes->all || from->version > gsq_page_cache_version(database->cache);
  gsq_page_cache_advance(database->cache, head->version, all, changes->pages, changes->count);
  gsq_page_cache_trim(database->cache, changes->pages, changes->count, is_read_, database);
  if (database->disk) {
    gsq_disk_cache_learn(database->disk, from, head, changes->all, changes->pages,
                         changes->count);
  }
  if (head->version > database->head.version) database->head = *head;
  gsq_database_confirm_(database, known_ms);
  return 1;
}

uint64_t gsq_database_floor(gsq_database *database) {
  pthread_mutex_lock(&database->mutex);
  uint64_t floor = gsq_database_floor_(database);
  pthread_mutex_unlock(&database->mutex);
  return floor;
}

/* *learnt: see gsq_database_learn_. */
static int refresh_once(gsq_database *database, const gsq_have *have, uint64_t floor,
                        int *learnt, int64_t deadline_ms, gsq_error *error) {
  gsq_server *server = database->server;
  const gsq_refresh_request request = {.database = database->id,
                                       .have = *have,
                                       .floor_version = floor,
                                       .read_delegation_ms = READ_DELEGATION_MS};
  gsq_refresh_answer answer;
  gsq_attempts attempts = gsq_server_attempts(server);
  const int64_t sent_ms = gsq_now_ms();
  int code;
  do {
    code = gsq_refresh(&server->client, &request, &answer, deadline_ms, error);
  } while (code != GSQ_OK && gsq_server_again(server, &attempts, deadline_ms, error));
  if (code != GSQ_OK) return error->code;
  pthread_mutex_lock(&database->mutex);
  *learnt = gsq_database_learn_(database, have, &answer.head, &answer.changes, sent_ms);
  if (*learnt) database->seen_in = attempts.session;
  if (*learnt) delegated_(database, sent_ms, answer.read_delegation_ms);
  pthread_mutex_unlock(&database->mutex);
  gsq_changes_free(&answer.changes);
  return GSQ_OK;
}

/* Learns the head as of now or later. A Refresh that another thread sends after this began will
** do; one that is under way already may have been answered before. */
static int refresh(gsq_database *database, int64_t deadline_ms, gsq_error *error) {
  int code = GSQ_OK;
  pthread_mutex_lock(&database->mutex);
  const uint64_t enough = database->refresh_begun + 1;
  while (code == GSQ_OK && database->refresh_ended < enough) {
    if (database->refreshing) {
      /* Its deadline is another connection's, and may be far later. */
      if (!gsq_wait_until(&database->refreshed, &database->mutex, deadline_ms)) {
        code = gsq_error_set(error, GSQ_DEADLINE_EXCEEDED,
                             "%s did not answer another connection's Refresh within the time",
                             database->server->url);
      }
      continue;
    }
    database->refreshing = 1;
    const uint64_t mine = ++database->refresh_begun;
    const uint64_t cached = gsq_page_cache_version(database->cache);
    uint64_t floor = gsq_database_floor_(database);
    if (cached < floor) floor = cached;
    const gsq_have have = gsq_database_have_(database);
    int learnt = 0;
    pthread_mutex_unlock(&database->mutex);
    code = refresh_once(database, &have, floor, &learnt, deadline_ms, error);
    pthread_mutex_lock(&database->mutex);
    database->refreshing = 0;
    if (code == GSQ_OK && learnt) database->refresh_ended = mine;
    pthread_cond_broadcast(&database->refreshed);
  }
  pthread_mutex_unlock(&database->mutex);
  return code;
}

/* The same where no connection follows the head: with what a fixed view was opened with. */
static int ask_for_a_view(gsq_database *database, int64_t deadline_ms, gsq_error *error) {
  gsq_server *server = database->server;
  const uint64_t session = atomic_load(&server->session);
  gsq_snapshot seen = {0};
  pthread_mutex_lock(&database->mutex);
  for (const gsq_fixed_view *view = database->fixed_views; view; view = view->next) {
    if (view->snapshot.page_count > 0) seen = view->snapshot;
  }
  pthread_mutex_unlock(&database->mutex);
  int code =
      seen.page_count > 0 ? gsq_database_ask_for(database, &seen, deadline_ms, error) : GSQ_OK;
  const int is_lost =
      gsq_error_is(error, "NO_SUCH_VERSION") || gsq_error_is(error, "SNAPSHOT_TOO_OLD");
  if (code != GSQ_OK && !is_lost) return code;
  const gsq_snapshot nothing = {0};
  pthread_mutex_lock(&database->mutex);
  if (code != GSQ_OK) begin_other_history_(database, &nothing);
  database->seen_in = session;
  pthread_mutex_unlock(&database->mutex);
  return GSQ_OK;
}

int gsq_database_settle_history(gsq_database *database, int64_t deadline_ms, gsq_error *error) {
  pthread_mutex_lock(&database->mutex);
  const int is_settled = database->seen_in == atomic_load(&database->server->session);
  pthread_mutex_unlock(&database->mutex);
  if (is_settled) return GSQ_OK;
  return database->live_references > 0 ? refresh(database, deadline_ms, error)
                                       : ask_for_a_view(database, deadline_ms, error);
}

/* With mutex held: no other process has committed since the head was learned, and there is nothing to be
** learnt from asking. */
static int is_delegated_(const gsq_database *database) {
  return !database->doubtful && !database->committing &&
         gsq_now_ms() < database->delegated_until_ms &&
         !(database->disk && gsq_disk_cache_waits(database->disk, database->head.version));
}

static int is_fresh_enough_(const gsq_database *database, int64_t max_staleness_ms) {
  return max_staleness_ms > 0 && database->confirmed_ms > 0 &&
         gsq_now_ms() - database->confirmed_ms < max_staleness_ms;
}

/* Asks for the lease on the way to RESERVED. Pins if it was granted. */
static int pin_with_lease(gsq_database *database, gsq_pin *pin, uint32_t wait_ms,
                          int64_t deadline_ms, gsq_error *error) {
  enum gsq_lease_outcome outcome = GSQ_LEASE_HELD;
  pthread_mutex_lock(&database->mutex);
  database->asking++;
  const uint64_t epoch_before = database->epoch;
  pthread_mutex_unlock(&database->mutex);
  int code = gsq_lease_acquire(database, NULL, wait_ms, &outcome, deadline_ms, error);
  pthread_mutex_lock(&database->mutex);
  database->asking--;
  if (code == GSQ_OK && outcome == GSQ_LEASE_GRANTED) {
    pin_(database, pin, &database->head);
    gsq_lease_intend_(database, pin, database->epoch > epoch_before);
  }
  const int wanted = database->wanted_epoch > 0;
  pthread_mutex_unlock(&database->mutex);
  if (wanted) gsq_lease_yield(database);
  return code;
}

int gsq_database_pin(gsq_database *database, gsq_pin *pin, const gsq_beginning *how,
                     int64_t deadline_ms, gsq_error *error) {
  int code = gsq_lease_settle_doubt(database, deadline_ms, error);
  if (code != GSQ_OK) return code;
  pthread_mutex_lock(&database->mutex);
  if (how->want_lease && database->wanted_epoch > 0) {
    /* Others are waiting: behind them. */
    pthread_mutex_unlock(&database->mutex);
    gsq_lease_yield(database);
    pthread_mutex_lock(&database->mutex);
  }
  int known = gsq_lease_is_trusted_(database);
  if (!known && !how->want_lease && is_delegated_(database)) {
    known = 1;
    atomic_fetch_add_explicit(&database->server->delegated, 1, memory_order_relaxed);
  } else if (!known && !how->want_lease && is_fresh_enough_(database, how->max_staleness_ms)) {
    known = 1;
    atomic_fetch_add_explicit(&database->server->unasked, 1, memory_order_relaxed);
  }
  if (known) {
    pin_(database, pin, &database->head);
    if (how->want_lease) gsq_lease_intend_(database, pin, 0);
  }
  pthread_mutex_unlock(&database->mutex);
  if (known) return GSQ_OK;

  if (how->want_lease) {
    code = pin_with_lease(database, pin, how->wait_ms, deadline_ms, error);
    if (code != GSQ_OK || pin->pinned) return code;
  }
  code = refresh(database, deadline_ms, error);
  if (code == GSQ_OK) gsq_database_pin_known(database, pin);
  return code;
}

void gsq_database_pin_known(gsq_database *database, gsq_pin *pin) {
  pthread_mutex_lock(&database->mutex);
  pin_(database, pin, &database->head);
  pthread_mutex_unlock(&database->mutex);
}

void gsq_database_unpin(gsq_database *database, gsq_pin *pin) {
  int wanted = 0;
  pthread_mutex_lock(&database->mutex);
  if (pin->pinned) {
    pin->pinned = 0;
    if (pin->previous) {
      pin->previous->next = pin->next;
    } else {
      database->pins = pin->next;
    }
    if (pin->next) pin->next->previous = pin->previous;
    wanted = pin->intends_until_ms > 0 && database->wanted_epoch > 0;
    pin->intends_until_ms = 0;
  }
  pthread_mutex_unlock(&database->mutex);
  if (wanted) gsq_lease_yield(database);
  if (database->disk) gsq_disk_cache_rest(database->disk);
}

void gsq_database_watch(gsq_database *database, int64_t max_staleness_ms) {
  pthread_mutex_lock(&database->mutex);
  if (database->watchers++ == 0 || max_staleness_ms < database->least_staleness_ms) {
    database->least_staleness_ms = max_staleness_ms;
  }
  pthread_mutex_unlock(&database->mutex);
  gsq_server_need_watch(database->server);
  atomic_fetch_add(&database->server->watch_set, 1);
  gsq_server_wake(database->server);
}

void gsq_database_unwatch(gsq_database *database) {
  pthread_mutex_lock(&database->mutex);
  const int last = --database->watchers == 0;
  pthread_mutex_unlock(&database->mutex);
  if (last) atomic_fetch_add(&database->server->watch_set, 1); /* no hurry */
}

void gsq_database_commit_begins(gsq_database *database) {
  pthread_mutex_lock(&database->mutex);
  database->committing = 1;
  pthread_mutex_unlock(&database->mutex);
}

void gsq_database_commit_ends(gsq_database *database) {
  pthread_mutex_lock(&database->mutex);
  database->committing = 0;
  pthread_mutex_unlock(&database->mutex);
}

void gsq_database_committed(gsq_database *database, gsq_pin *pin, const gsq_snapshot *next,
                            int all, const uint32_t *changed, size_t changed_count,
                            const gsq_page_ref *pages, size_t page_count) {
  for (size_t i = 0; i < page_count; i++) {
    gsq_page_cache_put_ahead(database->cache, pages[i].number, next->version,
                             pages[i].size ? pages[i].data : NULL, next->page_size);
  }
  pthread_mutex_lock(&database->mutex);
  /* Watch may have told of this very version already: then nothing can be ahead of it. */
  const int told = gsq_page_cache_version(database->cache) == next->version;
  for (size_t i = 0; told && i < page_count; i++) {
    gsq_page_cache_put(database->cache, pages[i].number, next->version, next->version,
                       pages[i].size ? pages[i].data : NULL, next->page_size);
  }
  gsq_page_cache_advance(database->cache, next->version, all, changed, changed_count);
  if (database->disk) {
    const gsq_have base = gsq_have_of(&pin->snapshot);
    gsq_disk_cache_learn(database->disk, &base, next, all, changed, changed_count);
  }
  if (next->version > database->head.version) database->head = *next;
  pin_(database, pin, next);
  gsq_page_cache_trim(database->cache, changed, changed_count, is_read_, database);
  pthread_mutex_unlock(&database->mutex);
  for (size_t i = 0; database->disk && i < page_count; i++) {
    gsq_disk_cache_put(database->disk, pages[i].number, next->version, next, 1,
                       pages[i].size ? pages[i].data : NULL);
  }
}
