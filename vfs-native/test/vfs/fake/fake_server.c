#include "vfs/fake/fake_server.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "service/admin_client.h"
#include "service/file_client.h"

#define MAX_DATABASES 16
#define MAX_SESSIONS 32
#define MAX_STAGES 32
#define MAX_VERSIONS 20000
#define MAX_STREAMS 32
#define MAX_EVENTS 1024
#define MAX_FIXED_VIEWS 2000

typedef struct image {
  uint64_t version;
  uint32_t size; /* 0: zeros */
  uint8_t *data;
  struct image *older;
} image;

typedef struct version {
  uint32_t page_size, page_count;
  gsq_id commit;
  uint32_t *pages;
  size_t count;
} version;

typedef struct database {
  int used;
  char name[513];
  gsq_id id;
  uint64_t head, oldest;
  version *versions; /* [0..head] */
  image **pages;     /* by number */
  uint32_t page_room;
  gsq_id holder;
  int held;
  uint64_t epoch;
} database;

typedef struct fixed_view {
  uint32_t number; /* 0: none */
  int database;
  uint64_t floor;
} fixed_view;

typedef struct session {
  int used;
  gsq_id id;
  uint64_t incarnation;
  int unheard; /* the server in use has not heard of it */
  fixed_view fixed[MAX_FIXED_VIEWS];
  int viewed[MAX_DATABASES];
  uint64_t floors[MAX_DATABASES];
} session;

typedef struct stage {
  int used;
  gsq_id session, id, database;
  uint64_t calls; /* the number of the last one */
  uint32_t page_size;
  gsq_page_ref *pages; /* by number; 0: not staged */
  size_t room;
} stage;

/* What is to be told to a watcher; its thread takes it from here. */
typedef struct stream {
  int used, superseded;
  gsq_id session;
  const gsq_watch_request *request;
  int wake_fd;
  gsq_watch_event *events[MAX_EVENTS]; /* in order, `count` of them */
  size_t count;
  int telling; /* one is being told */
} stream;

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER; /* protects all that follows */
static database databases[MAX_DATABASES];
static session sessions[MAX_SESSIONS];
static stage stages[MAX_STAGES];
static stream streams[MAX_STREAMS];
static enum fake_watching watching;
static uint32_t delegation_ms;
static uint32_t last_wait;
static pthread_cond_t lease_freed = PTHREAD_COND_INITIALIZER; /* or may be */
static fake_fault fault, next_fault;
static int fault_count;
static int let_go;
static pthread_cond_t gone = PTHREAD_COND_INITIALIZER;
static int calls[FAKE_METHODS];
static uint64_t answers; /* to calls that were not refused, and did not hang */
static int page_service = 1, commit_group = 1, time_travel = 1;
static uint32_t ttl = 10000, max_message = 4u << 20;
static size_t last_commit_pages;
static uint32_t pages_ahead, credit_bytes;
static int rests, rests_beside_writing;
static uint64_t moves;
static int lz4 = 1, last_accept_lz4;
static int64_t bandwidth;
static int moved_fd;
static void (*around)(int begins); /* set before there are threads */

static void begin(void) {
  if (around) around(1);
}

static void end(void) {
  if (around) around(0);
}

static int call_back(gsq_page_fn on_page, void *arg, uint32_t number, uint64_t at, int asked,
                     const uint8_t *data, uint32_t size, gsq_error *error) {
  end();
  int code = on_page(arg, number, at, asked, data, size, error);
  begin();
  return code;
}

static int same_id(const gsq_id *a, const gsq_id *b) {
  return memcmp(a, b, sizeof *a) == 0;
}

static int refuse(gsq_error *error, int code, const char *reason) {
  gsq_error_set(error, code, "the fake server says %s", reason);
  snprintf(error->reason, sizeof error->reason, "%s", reason);
  return code;
}

/* Looks at the fault for a call. Returns its kind. */
static enum fake_kind strike(enum fake_method method) {
  calls[method]++;
  if (method == FAKE_ACQUIRE_LEASE || method == FAKE_COMMIT) rests_beside_writing += rests;
  if (method != FAKE_KEEP_ALIVE && method != FAKE_WATCH) calls[FAKE_ANY]++;
  if (fault.kind == FAKE_NO_FAULT || (fault.method != FAKE_ANY && fault.method != method)) {
    return FAKE_NO_FAULT;
  }
  if (fault.after > 0) {
    fault.after--;
    return FAKE_NO_FAULT;
  }
  enum fake_kind kind = fault.kind;
  if (!fault.forever) {
    fault = next_fault;
    next_fault.kind = FAKE_NO_FAULT;
  }
  fault_count++;
  return kind;
}

/* Under the mutex. */
static void hold_answer(void) {
  while (!let_go) pthread_cond_wait(&gone, &mutex);
  let_go = 0;
}

/* Under the mutex, which others can have meanwhile. */
static int hang(int64_t deadline_ms, gsq_error *error) {
  while (!let_go && gsq_now_ms() < deadline_ms) {
    pthread_mutex_unlock(&mutex);
    nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    pthread_mutex_lock(&mutex);
  }
  let_go = 0;
  return refuse(error, GSQ_DEADLINE_EXCEEDED, "");
}

/* Runs one method under the mutex, with its fault. */
#define SERVE(method, body)                                                     \
  do {                                                                          \
    begin();                                                                    \
    memset(error, 0, sizeof *error);                                            \
    pthread_mutex_lock(&mutex);                                                 \
    const fake_fault now = fault;                                               \
    enum fake_kind kind = strike(method);                                       \
    int code = GSQ_OK;                                                          \
    if (kind == FAKE_REFUSE) {                                                  \
      code = refuse(error, now.code, now.reason ? now.reason : "");             \
    } else if (kind == FAKE_HANG) {                                             \
      code = hang(deadline_ms, error);                                          \
    } else {                                                                    \
      answers++;                                                                \
      code = body;                                                              \
      if (kind == FAKE_SEND_TWICE) code = body;                                 \
      if (kind == FAKE_HOLD_ANSWER) hold_answer();                              \
      if (kind == FAKE_LOSE_ANSWER) code = refuse(error, GSQ_UNAVAILABLE, "");  \
      error->sent_before = kind == FAKE_SEND_TWICE || kind == FAKE_LOSE_ANSWER; \
    }                                                                           \
    pthread_mutex_unlock(&mutex);                                               \
    (void)deadline_ms;                                                          \
    end();                                                                      \
    return code;                                                                \
  } while (0)

static session *find_session(const gsq_id *id) {
  for (int i = 0; i < MAX_SESSIONS; i++) {
    if (sessions[i].used && !sessions[i].unheard && same_id(&sessions[i].id, id)) {
      return &sessions[i];
    }
  }
  return NULL;
}

static database *find_database(const gsq_id *id) {
  for (int i = 0; i < MAX_DATABASES; i++) {
    if (databases[i].used && same_id(&databases[i].id, id)) return &databases[i];
  }
  return NULL;
}

static database *find_name(const char *name) {
  for (int i = 0; i < MAX_DATABASES; i++) {
    if (databases[i].used && strcmp(databases[i].name, name) == 0) return &databases[i];
  }
  return NULL;
}

static stage *find_stage(const gsq_id *owner, const gsq_id *id) {
  for (int i = 0; i < MAX_STAGES; i++) {
    if (stages[i].used && same_id(&stages[i].id, id) && same_id(&stages[i].session, owner)) {
      return &stages[i];
    }
  }
  return NULL;
}

static void free_stage(stage *s) {
  for (size_t i = 0; i < s->room; i++) free((void *)s->pages[i].data);
  free(s->pages);
  memset(s, 0, sizeof *s);
}

static gsq_snapshot snapshot_at(const database *d, uint64_t at) {
  return (gsq_snapshot){.version = at,
                        .page_size = d->versions[at].page_size,
                        .page_count = d->versions[at].page_count,
                        .mark = at > 0 ? gsq_mark_of(&d->versions[at].commit) : 0};
}

/* Whether what a client has is not the version of that number here. */
static int is_of_other_history(const database *d, const gsq_have *have) {
  if (have->version > d->head) return 1;
  if (have->version < d->oldest) return 0; /* nobody knows */
  const gsq_snapshot there = snapshot_at(d, have->version);
  return gsq_is_other(*have, gsq_have_of(&there));
}

static const image *page_at(const database *d, uint32_t number, uint64_t at) {
  if (number >= d->page_room) return NULL;
  const image *i = d->pages[number];
  while (i && i->version > at) i = i->older;
  return i;
}

static void raise_floor(session *s, const database *d, uint64_t floor) {
  const long i = d - databases;
  if (!s->viewed[i] || s->floors[i] < floor) s->floors[i] = floor;
  s->viewed[i] = 1;
}

/* The session's view of that number, or room for it. */
static fixed_view *find_view(session *s, const database *d, uint32_t number) {
  fixed_view *room = NULL;
  for (int i = 0; i < MAX_FIXED_VIEWS; i++) {
    fixed_view *v = &s->fixed[i];
    if (v->number == number && v->database == d - databases) return v;
    if (!v->number && !room) room = v;
  }
  return room;
}

static void raise_view(session *s, const database *d, uint32_t number, uint64_t floor) {
  if (number == 0) {
    raise_floor(s, d, floor);
    return;
  }
  fixed_view *v = find_view(s, d, number);
  if (!v) abort();
  if (v->number != number || v->floor < floor) v->floor = floor;
  v->number = number;
  v->database = (int)(d - databases);
}

static void close_view(session *s, const database *d, uint32_t number) {
  if (number == 0) {
    s->viewed[d - databases] = 0;
    return;
  }
  fixed_view *v = find_view(s, d, number);
  if (v) v->number = 0;
}

#define NEED(client, s, d, id)                                     \
  session *s = find_session(&(client)->session);                   \
  if (!s) return refuse(error, GSQ_NOT_FOUND, "NO_SUCH_SESSION");  \
  database *d = find_database(id);                                 \
  if (!d) return refuse(error, GSQ_NOT_FOUND, "NO_SUCH_DATABASE"); \
  (void)s

/* The service. */

int gsq_id_random(gsq_id *out) {
  static uint64_t next = 1;
  static pthread_mutex_t id_mutex = PTHREAD_MUTEX_INITIALIZER;
  memset(out, 0, sizeof *out);
  pthread_mutex_lock(&id_mutex);
  memcpy(out->bytes, &next, sizeof next);
  next++;
  pthread_mutex_unlock(&id_mutex);
  return 0;
}

void gsq_changes_free(gsq_changes *changes) {
  free(changes->pages);
  memset(changes, 0, sizeof *changes);
}

size_t gsq_pages_wire_size(uint32_t page_size, size_t count) {
  return count * (page_size + 32);
}

static session *make_session(const gsq_id *id) {
  static uint64_t incarnation;
  session *s = find_session(id);
  if (s) return s;
  for (int i = 0; i < MAX_SESSIONS; i++) {
    s = &sessions[i];
    if (!s->used || !s->unheard || !same_id(&s->id, id)) continue;
    s->unheard = 0;
    return s;
  }
  s = NULL;
  for (int i = 0; !s && i < MAX_SESSIONS; i++) {
    if (!sessions[i].used) s = &sessions[i];
  }
  if (!s) return NULL;
  s->used = 1;
  s->id = *id;
  s->incarnation = ++incarnation;
  return s;
}

static int open_session(const gsq_page_client *client, gsq_session_info *out,
                        gsq_error *error) {
  if (!page_service) return refuse(error, GSQ_UNIMPLEMENTED, "");
  const session *s = make_session(&client->session);
  if (!s) return refuse(error, GSQ_RESOURCE_EXHAUSTED, "LIMIT");
  memset(out, 0, sizeof *out);
  out->ttl_ms = ttl;
  out->max_message_bytes = max_message;
  out->commit_group = (uint8_t)commit_group;
  out->watch = watching != FAKE_NO_WATCH;
  out->prefetch = pages_ahead > 0;
  out->time_travel = (uint8_t)time_travel;
  out->lz4 = (uint8_t)lz4;
  out->incarnation = s->incarnation;
  return GSQ_OK;
}

int gsq_open_session(const gsq_page_client *client, const char *client_name,
                     gsq_session_info *out, int64_t deadline_ms, gsq_error *error) {
  (void)client_name;
  SERVE(FAKE_OPEN_SESSION, open_session(client, out, error));
}

static int keep_alive(const gsq_page_client *client, const gsq_view *views, size_t view_count,
                      gsq_kept_alive *out, size_t *lost_count, gsq_error *error) {
  session *s = find_session(&client->session);
  if (!s) return refuse(error, GSQ_NOT_FOUND, "NO_SUCH_SESSION");
  for (size_t i = 0; i < view_count; i++) {
    database *d = find_database(&views[i].database);
    if (!d) continue;
    if (views[i].closed) {
      close_view(s, d, views[i].view);
    } else {
      raise_view(s, d, views[i].view, views[i].floor_version);
    }
  }
  out->ttl_ms = ttl;
  out->incarnation = s->incarnation;
  *lost_count = 0;
  return GSQ_OK;
}

int gsq_keep_alive(const gsq_page_client *client, const gsq_view *views, size_t view_count,
                   gsq_kept_alive *out, gsq_id *lost, size_t max_lost, size_t *lost_count,
                   int64_t deadline_ms, gsq_error *error) {
  (void)lost;
  (void)max_lost;
  SERVE(FAKE_KEEP_ALIVE, keep_alive(client, views, view_count, out, lost_count, error));
}

static int close_session(const gsq_page_client *client) {
  session *s = find_session(&client->session);
  if (!s) return GSQ_OK;
  for (int i = 0; i < MAX_DATABASES; i++) {
    if (databases[i].held && same_id(&databases[i].holder, &s->id)) databases[i].held = 0;
  }
  pthread_cond_broadcast(&lease_freed);
  for (int i = 0; i < MAX_STAGES; i++) {
    if (stages[i].used && same_id(&stages[i].session, &s->id)) free_stage(&stages[i]);
  }
  memset(s, 0, sizeof *s);
  return GSQ_OK;
}

int gsq_close_session(const gsq_page_client *client, int64_t deadline_ms, gsq_error *error) {
  SERVE(FAKE_CLOSE_SESSION, close_session(client));
}

static database *new_database(const char *name) {
  for (int i = 0; i < MAX_DATABASES; i++) {
    database *d = &databases[i];
    if (d->used) continue;
    d->used = 1;
    snprintf(d->name, sizeof d->name, "%s", name);
    gsq_id_random(&d->id);
    d->versions = calloc(MAX_VERSIONS, sizeof *d->versions);
    return d;
  }
  return NULL;
}

static uint32_t delegation(uint32_t wanted_ms) {
  return wanted_ms < delegation_ms ? wanted_ms : delegation_ms;
}

static int open_database(const gsq_page_client *client, const gsq_open_request *request,
                         gsq_open_answer *out, gsq_page_fn on_page, void *arg,
                         gsq_error *error) {
  session *s = find_session(&client->session);
  if (!s) return refuse(error, GSQ_NOT_FOUND, "NO_SUCH_SESSION");
  database *d = find_name(request->name);
  if (!d && !request->create) return refuse(error, GSQ_NOT_FOUND, "NO_SUCH_DATABASE");
  if (!d) d = new_database(request->name);
  if (!d) return refuse(error, GSQ_RESOURCE_EXHAUSTED, "QUOTA");
  uint64_t at = d->head;
  if (request->at_version_given) at = request->at_version;
  if (request->at_time_given) {
    if (request->at_time_seconds < FAKE_TIME_OF_VERSION_0) {
      return refuse(error, GSQ_OUT_OF_RANGE, "NO_SUCH_VERSION");
    }
    at = (uint64_t)(request->at_time_seconds - FAKE_TIME_OF_VERSION_0);
    if (at > d->head) at = d->head;
  }
  if (at > d->head) return refuse(error, GSQ_OUT_OF_RANGE, "NO_SUCH_VERSION");
  if (at < d->oldest) return refuse(error, GSQ_OUT_OF_RANGE, "SNAPSHOT_TOO_OLD");
  if ((request->view != 0) != (request->at_version_given || request->at_time_given)) {
    return refuse(error, GSQ_INVALID_ARGUMENT, "INVALID_REQUEST");
  }
  raise_view(s, d, request->view, at);
  out->database = d->id;
  out->snapshot = snapshot_at(d, at);
  out->head_version = d->head;
  out->oldest_version = d->oldest;
  out->read_delegation_ms = delegation(request->read_delegation_ms);
  const image *first = out->snapshot.page_count ? page_at(d, 1, at) : NULL;
  if (!first) return GSQ_OK;
  return call_back(on_page, arg, 1, first->version, 1, first->data, first->size, error);
}

int gsq_open_database(const gsq_page_client *client, const gsq_open_request *request,
                      gsq_open_answer *out, gsq_page_fn on_page, void *arg, int64_t deadline_ms,
                      gsq_error *error) {
  SERVE(FAKE_OPEN_DATABASE, open_database(client, request, out, on_page, arg, error));
}

/* A list that may have duplicates would break the interface's promise, hence the marks. */
static void collect_changes(const database *d, const gsq_have *have, gsq_changes *out) {
  unsigned char *marks = calloc(d->page_room + 1, 1);
  memset(out, 0, sizeof *out);
  out->other_history = is_of_other_history(d, have);
  out->all = have->version < d->oldest || out->other_history;
  for (uint64_t v = have->version + 1; v <= d->head && !out->all; v++) {
    for (size_t i = 0; i < d->versions[v].count; i++) marks[d->versions[v].pages[i]] = 1;
  }
  out->pages = malloc((d->page_room + 1) * sizeof *out->pages);
  for (uint32_t n = 1; n < d->page_room && !out->all; n++) {
    if (marks[n]) out->pages[out->count++] = n;
  }
  free(marks);
}

static void wake(const stream *it) {
  const uint64_t one = 1;
  while (write(it->wake_fd, &one, sizeof one) < 0 && errno == EINTR) continue;
}

static void tell(stream *it, const gsq_watch_event *event) {
  if (it->count == MAX_EVENTS) abort();
  it->events[it->count] = malloc(sizeof *event);
  *it->events[it->count++] = *event;
  wake(it);
}

static int names(const stream *it, const database *d) {
  for (size_t i = 0; it->used && i < it->request->count; i++) {
    if (same_id(&it->request->databases[i].database, &d->id)) return 1;
  }
  return 0;
}

static void tell_head(const database *d, const gsq_have *have) {
  for (int i = 0; i < MAX_STREAMS; i++) {
    if (!names(&streams[i], d) || watching != FAKE_WATCHES) continue;
    gsq_watch_event event = {.kind = GSQ_WATCH_HEAD_MOVED,
                             .database = d->id,
                             .head = snapshot_at(d, d->head),
                             .from_version = have->version};
    collect_changes(d, have, &event.changes);
    tell(&streams[i], &event);
  }
}

static void tell_wanted(const database *d) {
  for (int i = 0; i < MAX_STREAMS; i++) {
    if (!streams[i].used || !same_id(&streams[i].session, &d->holder)) continue;
    tell(&streams[i],
         &(gsq_watch_event){
             .kind = GSQ_WATCH_LEASE_WANTED, .database = d->id, .epoch = d->epoch});
  }
}

static int refresh(const gsq_page_client *client, const gsq_refresh_request *request,
                   gsq_refresh_answer *out, gsq_error *error) {
  NEED(client, s, d, &request->database);
  raise_floor(s, d, request->floor_version);
  out->head = snapshot_at(d, d->head);
  out->read_delegation_ms = delegation(request->read_delegation_ms);
  gsq_changes_free(&out->changes);
  collect_changes(d, &request->have, &out->changes);
  return GSQ_OK;
}

int gsq_refresh(const gsq_page_client *client, const gsq_refresh_request *request,
                gsq_refresh_answer *out, int64_t deadline_ms, gsq_error *error) {
  memset(out, 0, sizeof *out);
  SERVE(FAKE_REFRESH, refresh(client, request, out, error));
}

static int read_pages(const gsq_page_client *client, const gsq_read_request *request,
                      gsq_page_fn on_page, void *arg, gsq_error *error) {
  NEED(client, s, d, &request->database);
  last_accept_lz4 = request->accept_lz4;
  if (request->version < d->oldest) return refuse(error, GSQ_OUT_OF_RANGE, "SNAPSHOT_TOO_OLD");
  if (is_of_other_history(d, &(gsq_have){request->version, request->mark})) {
    return refuse(error, GSQ_OUT_OF_RANGE, "NO_SUCH_VERSION");
  }
  const stage *st = NULL;
  if (request->stage) {
    st = find_stage(&client->session, request->stage);
    if (!st) return refuse(error, GSQ_FAILED_PRECONDITION, "NO_SUCH_STAGE");
  }
  for (size_t r = 0; r < request->range_count; r++) {
    for (uint32_t k = 0; k < request->ranges[r].count; k++) {
      const uint32_t n = request->ranges[r].first + k;
      const gsq_page_ref *staged =
          st && n < st->room && st->pages[n].number ? &st->pages[n] : NULL;
      int code;
      if (staged) {
        if (st->page_size != request->page_size) return refuse(error, GSQ_BAD_ANSWER, "");
        code = call_back(on_page, arg, n, 0, 1, staged->data, staged->size, error);
      } else {
        if (n > d->versions[request->version].page_count) {
          return refuse(error, GSQ_INVALID_ARGUMENT, "INVALID_REQUEST");
        }
        const image *i = page_at(d, n, request->version);
        if (!i || (i->size && i->size != request->page_size)) {
          return refuse(error, GSQ_BAD_ANSWER, "");
        }
        code = call_back(on_page, arg, n, i->version, 1, i->data, i->size, error);
      }
      if (code != 0) return code;
    }
  }
  return GSQ_OK;
}

struct gsq_page_rest {
  gsq_id database;
  uint64_t version;
  uint32_t page_size, next, left;
};

static gsq_page_rest *rest_of(const gsq_read_request *request) {
  credit_bytes = request->prefetch_credit_bytes;
  if (credit_bytes == 0) return NULL;
  gsq_page_rest *rest = malloc(sizeof *rest);
  const gsq_page_range *last = &request->ranges[request->range_count - 1];
  *rest = (gsq_page_rest){.database = request->database,
                          .version = request->version,
                          .page_size = request->page_size,
                          .next = last->first + last->count,
                          .left = pages_ahead};
  rests++;
  return rest;
}

static int read_some_pages(const gsq_page_client *client, const gsq_read_request *request,
                           gsq_page_fn on_page, void *arg, gsq_page_rest **rest,
                           gsq_error *error) {
  int code = read_pages(client, request, on_page, arg, error);
  if (code == GSQ_OK && rest && !*rest) *rest = rest_of(request);
  return code;
}

int gsq_read_pages(const gsq_page_client *client, const gsq_read_request *request,
                   gsq_page_fn on_page, void *arg, gsq_page_rest **rest, int64_t deadline_ms,
                   gsq_error *error) {
  if (rest) *rest = NULL;
  SERVE(FAKE_READ_PAGES, read_some_pages(client, request, on_page, arg, rest, error));
}

int gsq_page_rest_take(gsq_page_rest *rest, gsq_page_fn on_page, void *arg) {
  gsq_error ignored = {0};
  begin();
  pthread_mutex_lock(&mutex);
  const database *d = find_database(&rest->database);
  const int more = rest->left > 0 && rest->next <= d->versions[rest->version].page_count;
  if (more) {
    const image *i = page_at(d, rest->next, rest->version);
    call_back(on_page, arg, rest->next, i->version, 0, i->data, i->size, &ignored);
    rest->next++;
    rest->left--;
  } else {
    rests--;
    free(rest);
  }
  pthread_mutex_unlock(&mutex);
  end();
  return more;
}

static int acquire(const gsq_page_client *client, const gsq_id *id, const gsq_have *have,
                   int at_any, uint32_t wait_ms, uint64_t floor, gsq_lease_answer *out,
                   gsq_error *error) {
  NEED(client, s, d, id);
  raise_floor(s, d, floor);
  gsq_changes_free(&out->changes);
  out->head = snapshot_at(d, d->head);
  last_wait = wait_ms;
  struct timespec until;
  clock_gettime(CLOCK_REALTIME, &until);
  until.tv_nsec += (long)(wait_ms % 1000) * 1000000;
  until.tv_sec += wait_ms / 1000 + until.tv_nsec / 1000000000;
  until.tv_nsec %= 1000000000;
  if (d->held && !same_id(&d->holder, &client->session) && wait_ms > 0) tell_wanted(d);
  while (d->held && !same_id(&d->holder, &client->session) && wait_ms > 0) {
    if (pthread_cond_timedwait(&lease_freed, &mutex, &until) != 0) break;
  }
  out->head = snapshot_at(d, d->head);
  const int ours = d->held && same_id(&d->holder, &client->session);
  if (d->held && !ours) {
    out->outcome = GSQ_LEASE_HELD;
  } else if ((have->version != d->head || is_of_other_history(d, have)) && !at_any) {
    out->outcome = GSQ_LEASE_HEAD_MOVED;
  } else {
    out->outcome = GSQ_LEASE_GRANTED;
    if (!ours) d->epoch++;
    d->held = 1;
    d->holder = client->session;
    out->epoch = d->epoch;
    collect_changes(d, have, &out->changes);
  }
  return GSQ_OK;
}

int gsq_acquire_lease(const gsq_page_client *client, const gsq_id *id, const gsq_have *have,
                      int at_any_version, uint32_t wait_ms, uint64_t floor_version,
                      gsq_lease_answer *out, int64_t deadline_ms, gsq_error *error) {
  memset(out, 0, sizeof *out);
  SERVE(FAKE_ACQUIRE_LEASE,
        acquire(client, id, have, at_any_version, wait_ms, floor_version, out, error));
}

static void drop_stages_of(const gsq_id *owner, const gsq_id *id) {
  for (int i = 0; i < MAX_STAGES; i++) {
    if (stages[i].used && same_id(&stages[i].session, owner) &&
        same_id(&stages[i].database, id)) {
      free_stage(&stages[i]);
    }
  }
}

static int release(const gsq_page_client *client, const gsq_id *id, uint64_t epoch,
                   gsq_error *error) {
  NEED(client, s, d, id);
  if (d->held && d->epoch == epoch && same_id(&d->holder, &client->session)) {
    d->held = 0;
    pthread_cond_broadcast(&lease_freed);
    drop_stages_of(&client->session, id);
  }
  return GSQ_OK;
}

int gsq_release_lease(const gsq_page_client *client, const gsq_id *id, uint64_t epoch,
                      int64_t deadline_ms, gsq_error *error) {
  SERVE(FAKE_RELEASE_LEASE, release(client, id, epoch, error));
}

static int is_current(const database *d, const gsq_page_client *client, uint64_t epoch) {
  return d->held && d->epoch == epoch && same_id(&d->holder, &client->session);
}

static void *copy_bytes(const void *data, uint32_t size) {
  if (size == 0) return NULL;
  void *to = malloc(size);
  memcpy(to, data, size);
  return to;
}

static int stage_pages(const gsq_page_client *client, const gsq_id *id, uint64_t epoch,
                       const gsq_id *stage_id, uint64_t call, uint32_t page_size,
                       const gsq_page_ref *pages, size_t count, gsq_error *error) {
  NEED(client, s, d, id);
  if (!is_current(d, client, epoch))
    return refuse(error, GSQ_FAILED_PRECONDITION, "LEASE_LOST");
  if (gsq_pages_wire_size(page_size, count) > max_message) {
    return refuse(error, GSQ_RESOURCE_EXHAUSTED, "");
  }
  stage *st = find_stage(&client->session, stage_id);
  const uint64_t before = st ? st->calls : 0;
  if (call > before + 1) return refuse(error, GSQ_FAILED_PRECONDITION, "NO_SUCH_STAGE");
  if (call <= before) return GSQ_OK;
  for (int i = 0; !st && i < MAX_STAGES; i++) {
    if (stages[i].used) continue;
    st = &stages[i];
    st->used = 1;
    st->session = client->session;
    st->id = *stage_id;
    st->database = *id;
    st->page_size = page_size;
  }
  if (!st) return refuse(error, GSQ_RESOURCE_EXHAUSTED, "LIMIT");
  st->calls = call;
  for (size_t i = 0; i < count; i++) {
    if (pages[i].number >= st->room) {
      const size_t room = (size_t)pages[i].number * 2 + 64;
      st->pages = realloc(st->pages, room * sizeof *st->pages);
      memset(st->pages + st->room, 0, (room - st->room) * sizeof *st->pages);
      st->room = room;
    }
    gsq_page_ref *to = &st->pages[pages[i].number];
    free((void *)to->data);
    *to = (gsq_page_ref){pages[i].number, copy_bytes(pages[i].data, pages[i].size),
                         pages[i].size};
  }
  return GSQ_OK;
}

int gsq_stage_pages(const gsq_page_client *client, const gsq_id *id, uint64_t epoch,
                    const gsq_id *stage_id, uint64_t call, uint32_t page_size,
                    const gsq_page_ref *pages, size_t count, int64_t deadline_ms,
                    gsq_error *error) {
  SERVE(FAKE_STAGE_PAGES,
        stage_pages(client, id, epoch, stage_id, call, page_size, pages, count, error));
}

static int drop_stage(const gsq_page_client *client, const gsq_id *stage_id) {
  stage *st = find_stage(&client->session, stage_id);
  if (st) free_stage(st);
  return GSQ_OK;
}

int gsq_drop_stage(const gsq_page_client *client, const gsq_id *id, const gsq_id *stage_id,
                   int64_t deadline_ms, gsq_error *error) {
  (void)id;
  SERVE(FAKE_DROP_STAGE, drop_stage(client, stage_id));
}

static void put_page(database *d, uint64_t at, const gsq_page_ref *page) {
  if (page->number >= d->page_room) {
    uint32_t room = page->number * 2 + 64;
    d->pages = realloc(d->pages, room * sizeof *d->pages);
    memset(d->pages + d->page_room, 0, (room - d->page_room) * sizeof *d->pages);
    d->page_room = room;
  }
  image *i = malloc(sizeof *i);
  *i = (image){at, page->size, copy_bytes(page->data, page->size), d->pages[page->number]};
  d->pages[page->number] = i;
}

/* A commit that was looked at, and what it writes. */
typedef struct looked {
  database *d;
  session *s;
  stage *st;
  int applied;       /* before */
  gsq_page_ref *all; /* by number */
  size_t count;
} looked;

static int look(const gsq_page_client *client, const gsq_commit_request *request, looked *out,
                gsq_error *error) {
  memset(out, 0, sizeof *out);
  NEED(client, s, d, &request->database);
  out->d = d;
  out->s = s;
  const uint64_t next = request->base_version + 1;
  if (next <= d->head && same_id(&d->versions[next].commit, &request->commit)) {
    out->applied = 1;
    return GSQ_OK;
  }
  if (!is_current(d, client, request->epoch)) {
    return refuse(error, GSQ_FAILED_PRECONDITION, "LEASE_LOST");
  }
  if (request->base_version != d->head) {
    return refuse(error, GSQ_FAILED_PRECONDITION, "HEAD_MOVED");
  }
  stage *st = NULL;
  if (request->stage) {
    st = find_stage(&client->session, request->stage);
    if (!st) return refuse(error, GSQ_FAILED_PRECONDITION, "NO_SUCH_STAGE");
    if (st->page_size != request->page_size) {
      return refuse(error, GSQ_INVALID_ARGUMENT, "INVALID_REQUEST");
    }
  }
  /* Each page once, inline ones first; and all that must be named are. */
  const version *base = &d->versions[d->head];
  gsq_page_ref *all = calloc((size_t)request->page_count + 1, sizeof *all);
  for (size_t n = 1; st && n < st->room && n <= request->page_count; n++) all[n] = st->pages[n];
  int bad = 0;
  uint32_t before = 0;
  for (size_t i = 0; i < request->count; i++) {
    const gsq_page_ref *page = &request->pages[i];
    if (page->number <= before || page->number > request->page_count) {
      bad = 1;
      break;
    }
    if (page->size != 0 && page->size != request->page_size) bad = 1;
    before = page->number;
    all[page->number] = *page;
  }
  const int resized = base->page_count && base->page_size != request->page_size;
  for (uint32_t n = 1; n <= request->page_count; n++) {
    if (all[n].number) {
      out->count++;
    } else if (resized || n > base->page_count) {
      bad = 1;
    }
  }
  if (bad || d->head + 1 >= MAX_VERSIONS) {
    free(all);
    return refuse(error, GSQ_INVALID_ARGUMENT, "INVALID_REQUEST");
  }
  out->st = st;
  out->all = all;
  return GSQ_OK;
}

static uint64_t apply(const gsq_commit_request *request, looked *l) {
  const uint64_t next = request->base_version + 1;
  if (l->applied) return next;
  database *d = l->d;
  version *v = &d->versions[next];
  *v = (version){.page_size = request->page_size,
                 .page_count = request->page_count,
                 .commit = request->commit};
  v->pages = malloc((l->count + 1) * sizeof *v->pages);
  for (uint32_t n = 1; n <= request->page_count; n++) {
    if (!l->all[n].number) continue;
    put_page(d, next, &l->all[n]);
    v->pages[v->count++] = n;
  }
  if (l->st) free_stage(l->st);
  d->head = next;
  tell_head(d, &(gsq_have){.version = next - 1});
  last_commit_pages = l->count;
  raise_floor(l->s, d, request->floor_version);
  return next;
}

static int commit_all(const gsq_page_client *client, const gsq_commit_request *const *requests,
                      size_t count, uint64_t *out, gsq_error *error) {
  static looked looks[GSQ_MAX_GROUP];
  size_t wire_size = 0, seen = 0, applied = 0;
  int code = GSQ_OK;
  for (; seen < count && code == GSQ_OK; seen++) {
    code = look(client, requests[seen], &looks[seen], error);
    applied += looks[seen].applied != 0;
    wire_size += GSQ_MESSAGE_OVERHEAD_BYTES +
                 gsq_pages_wire_size(requests[seen]->page_size, requests[seen]->count);
  }
  if (code == GSQ_OK && applied != 0 && applied != count) {
    code = refuse(error, GSQ_INVALID_ARGUMENT, "INVALID_REQUEST");
  }
  if (code == GSQ_OK && wire_size > max_message) {
    code = refuse(error, GSQ_RESOURCE_EXHAUSTED, "");
  }
  for (size_t i = 0; code == GSQ_OK && i < count; i++) out[i] = apply(requests[i], &looks[i]);
  for (size_t i = 0; i < seen; i++) free(looks[i].all);
  return code;
}

int gsq_commit(const gsq_page_client *client, const gsq_commit_request *request, uint64_t *out,
               int64_t deadline_ms, gsq_error *error) {
  SERVE(FAKE_COMMIT, commit_all(client, &request, 1, out, error));
}

int gsq_commit_group(const gsq_page_client *client, const gsq_commit_request *const *requests,
                     size_t count, uint64_t *versions, int64_t deadline_ms, gsq_error *error) {
  SERVE(FAKE_COMMIT_GROUP, commit_group ? commit_all(client, requests, count, versions, error)
                                        : refuse(error, GSQ_UNIMPLEMENTED, "UNSUPPORTED"));
}

/* Watching. */

static int watches(const gsq_page_client *client, const gsq_watch_request *request,
                   stream **out, gsq_error *error) {
  if (watching == FAKE_NO_WATCH) return refuse(error, GSQ_UNIMPLEMENTED, "UNSUPPORTED");
  if (!find_session(&client->session)) return refuse(error, GSQ_NOT_FOUND, "NO_SUCH_SESSION");
  stream *it = NULL;
  for (int i = 0; i < MAX_STREAMS; i++) {
    if (!streams[i].used) {
      it = &streams[i];
    } else if (same_id(&streams[i].session, &client->session)) {
      streams[i].superseded = 1;
      wake(&streams[i]);
    }
  }
  if (!it) return refuse(error, GSQ_RESOURCE_EXHAUSTED, "LIMIT");
  *it = (stream){.used = 1,
                 .session = client->session,
                 .request = request,
                 .wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
  for (size_t i = 0; i < request->count; i++) {
    const database *d = find_database(&request->databases[i].database);
    const gsq_have *have = &request->databases[i].have;
    if (d && (d->head > have->version || is_of_other_history(d, have))) tell_head(d, have);
  }
  *out = it;
  return GSQ_OK;
}

/* Takes the next event. 1, or 0 if there is none, or the stream's end. */
static int next_event(stream *it, gsq_watch_event **out, int *code, gsq_error *error) {
  pthread_mutex_lock(&mutex);
  *code = GSQ_OK;
  *out = NULL;
  it->telling = 0;
  if (it->superseded) {
    *code = refuse(error, GSQ_ABORTED, "");
  } else if (!find_session(&it->session)) {
    *code = refuse(error, GSQ_NOT_FOUND, "NO_SUCH_SESSION");
  } else if (it->count > 0) {
    *out = it->events[0];
    memmove(it->events, it->events + 1, --it->count * sizeof it->events[0]);
    it->telling = 1;
  }
  pthread_mutex_unlock(&mutex);
  return *out != NULL;
}

static int serve_stream(stream *it, const gsq_watch_request *request, int64_t deadline_ms,
                        gsq_error *error) {
  int64_t begun_ms = 0, confirmed_ms = 0;
  const int64_t every_ms = request->confirm_every_ms ? request->confirm_every_ms : ttl / 3;
  for (;;) {
    int64_t until_ms = deadline_ms;
    end();
    int code = request->on_turn(request->arg, &until_ms, error);
    begin();
    if (code) return code;
    if (begun_ms == 0) begun_ms = gsq_now_ms();
    gsq_watch_event *event;
    if (next_event(it, &event, &code, error)) {
      end();
      code = request->on_event(request->arg, event, error);
      begin();
      gsq_changes_free(&event->changes);
      free(event);
    }
    if (code) return code;
    if (event) continue;
    const int64_t now_ms = gsq_now_ms();
    if (now_ms >= deadline_ms) return refuse(error, GSQ_DEADLINE_EXCEEDED, "");
    pthread_mutex_lock(&mutex);
    const int frozen = watching != FAKE_WATCHES;
    if (!frozen && now_ms >= confirmed_ms + every_ms) {
      confirmed_ms = now_ms;
      tell(it, &(gsq_watch_event){.kind = GSQ_WATCH_CONFIRMED,
                                  .elapsed_ms = (uint64_t)(now_ms - begun_ms)});
    }
    pthread_mutex_unlock(&mutex);
    if (!frozen && confirmed_ms + every_ms < until_ms) until_ms = confirmed_ms + every_ms;
    if (deadline_ms < until_ms) until_ms = deadline_ms;
    struct pollfd fds[2] = {{request->wake_fd, POLLIN, 0}, {it->wake_fd, POLLIN, 0}};
    const int64_t left_ms = until_ms - now_ms;
    poll(fds, 2, left_ms < 0 ? 0 : left_ms > 1000 ? 1000 : (int)left_ms);
    uint64_t count;
    while (read(it->wake_fd, &count, sizeof count) < 0 && errno == EINTR) continue;
  }
}

int gsq_watch(const gsq_page_client *client, const gsq_watch_request *request,
              int64_t deadline_ms, gsq_error *error) {
  begin();
  memset(error, 0, sizeof *error);
  stream *it = NULL;
  pthread_mutex_lock(&mutex);
  const fake_fault now = fault;
  int code = strike(FAKE_WATCH) == FAKE_NO_FAULT
                 ? watches(client, request, &it, error)
                 : refuse(error, now.code, now.reason ? now.reason : "");
  pthread_mutex_unlock(&mutex);
  if (code == GSQ_OK) {
    code = serve_stream(it, request, deadline_ms, error);
    pthread_mutex_lock(&mutex);
    while (it->count > 0) {
      gsq_watch_event *event = it->events[--it->count];
      gsq_changes_free(&event->changes);
      free(event);
    }
    close(it->wake_fd);
    memset(it, 0, sizeof *it);
    pthread_mutex_unlock(&mutex);
  }
  end();
  return code;
}

/* The Admin service. A token is the version above those that follow. */

void gsq_version_list_free(gsq_version_list *list) {
  free(list->versions);
  memset(list, 0, sizeof *list);
}

static int list_versions(const char *name, uint32_t limit, const char *token, uint64_t below,
                         gsq_version_list *out, gsq_error *error) {
  const database *d = find_name(name);
  if (!time_travel) return refuse(error, GSQ_UNIMPLEMENTED, "UNSUPPORTED");
  if (!d) return refuse(error, GSQ_NOT_FOUND, "NO_SUCH_DATABASE");
  memset(out, 0, sizeof *out);
  out->versions = malloc((limit + 1) * sizeof *out->versions);
  uint64_t above = token[0] ? strtoull(token, NULL, 10) : d->head + 1;
  if (token[0] && above != below) return refuse(error, GSQ_INVALID_ARGUMENT, "INVALID_REQUEST");
  while (above > d->oldest && out->count < limit) {
    const gsq_snapshot at = snapshot_at(d, --above);
    out->versions[out->count++] =
        (gsq_version_info){.version = above,
                           .committed_at_seconds = FAKE_TIME_OF_VERSION_0 + (int64_t)above,
                           .pages_changed = (uint32_t)d->versions[above].count,
                           .page_size = at.page_size,
                           .page_count = at.page_count};
  }
  if (out->count == limit) {
    snprintf(out->next, sizeof out->next, "%llu", (unsigned long long)above);
  }
  return GSQ_OK;
}

int gsq_list_versions(gsq_channel *channel, const char *name, uint32_t limit, const char *token,
                      uint64_t below, gsq_version_list *out, int64_t deadline_ms,
                      gsq_error *error) {
  (void)channel;
  memset(out, 0, sizeof *out);
  SERVE(FAKE_LIST_VERSIONS, list_versions(name, limit, token, below, out, error));
}

/* For tests. */

void fake_set_delegation_ms(uint32_t ms) {
  pthread_mutex_lock(&mutex);
  delegation_ms = ms;
  pthread_mutex_unlock(&mutex);
}

void fake_set_watch(enum fake_watching how) {
  pthread_mutex_lock(&mutex);
  watching = how;
  for (int i = 0; i < MAX_STREAMS; i++) {
    if (streams[i].used) wake(&streams[i]);
  }
  pthread_mutex_unlock(&mutex);
}

void fake_confirm(uint64_t elapsed_ms) {
  pthread_mutex_lock(&mutex);
  for (int i = 0; i < MAX_STREAMS; i++) {
    if (!streams[i].used) continue;
    tell(&streams[i],
         &(gsq_watch_event){.kind = GSQ_WATCH_CONFIRMED, .elapsed_ms = elapsed_ms});
  }
  pthread_mutex_unlock(&mutex);
}

void fake_want_lease(const char *name) {
  pthread_mutex_lock(&mutex);
  tell_wanted(find_name(name));
  pthread_mutex_unlock(&mutex);
}

void fake_send_ahead(uint32_t pages) {
  pthread_mutex_lock(&mutex);
  pages_ahead = pages;
  pthread_mutex_unlock(&mutex);
}

int fake_rests(void) {
  pthread_mutex_lock(&mutex);
  const int n = rests;
  pthread_mutex_unlock(&mutex);
  return n;
}

uint32_t fake_credit(void) {
  pthread_mutex_lock(&mutex);
  const uint32_t bytes = credit_bytes;
  pthread_mutex_unlock(&mutex);
  return bytes;
}

int fake_rests_beside_writing(void) {
  pthread_mutex_lock(&mutex);
  const int n = rests_beside_writing;
  pthread_mutex_unlock(&mutex);
  return n;
}

int fake_streams(void) {
  int n = 0;
  pthread_mutex_lock(&mutex);
  for (int i = 0; i < MAX_STREAMS; i++) n += streams[i].used;
  pthread_mutex_unlock(&mutex);
  return n;
}

int fake_streams_with(const char *name) {
  int n = 0;
  pthread_mutex_lock(&mutex);
  const database *d = find_name(name);
  for (int i = 0; d && i < MAX_STREAMS; i++) n += names(&streams[i], d);
  pthread_mutex_unlock(&mutex);
  return n;
}

int fake_untold(void) {
  int n = 0;
  pthread_mutex_lock(&mutex);
  for (int i = 0; i < MAX_STREAMS; i++) {
    if (streams[i].used) n += (int)streams[i].count + streams[i].telling;
  }
  pthread_mutex_unlock(&mutex);
  return n;
}

uint32_t fake_last_wait(void) {
  pthread_mutex_lock(&mutex);
  uint32_t wait_ms = last_wait;
  pthread_mutex_unlock(&mutex);
  return wait_ms;
}

void fake_set_fault(fake_fault f) {
  pthread_mutex_lock(&mutex);
  fault = f;
  next_fault.kind = FAKE_NO_FAULT;
  fault_count = 0;
  pthread_mutex_unlock(&mutex);
}

void fake_let_go(void) {
  pthread_mutex_lock(&mutex);
  let_go = 1;
  pthread_cond_broadcast(&gone);
  pthread_mutex_unlock(&mutex);
}

void fake_set_next_fault(fake_fault f) {
  pthread_mutex_lock(&mutex);
  next_fault = f;
  pthread_mutex_unlock(&mutex);
}

int fake_faults(void) {
  pthread_mutex_lock(&mutex);
  int n = fault_count;
  pthread_mutex_unlock(&mutex);
  return n;
}

int fake_calls(enum fake_method method) {
  pthread_mutex_lock(&mutex);
  int n = calls[method];
  pthread_mutex_unlock(&mutex);
  return n;
}

void fake_reset_counts(void) {
  pthread_mutex_lock(&mutex);
  memset(calls, 0, sizeof calls);
  pthread_mutex_unlock(&mutex);
}

void fake_reset(void) {
  pthread_mutex_lock(&mutex);
  for (int i = 0; i < MAX_STAGES; i++) {
    if (stages[i].used) free_stage(&stages[i]);
  }
  for (int i = 0; i < MAX_DATABASES; i++) {
    database *d = &databases[i];
    for (uint32_t n = 0; n < d->page_room; n++) {
      for (image *p = d->pages[n]; p;) {
        image *older = p->older;
        free(p->data);
        free(p);
        p = older;
      }
    }
    free(d->pages);
    for (uint64_t v = 0; d->versions && v <= d->head; v++) free(d->versions[v].pages);
    free(d->versions);
  }
  memset(databases, 0, sizeof databases);
  memset(sessions, 0, sizeof sessions);
  memset(&fault, 0, sizeof fault);
  memset(&next_fault, 0, sizeof next_fault);
  let_go = 0;
  memset(calls, 0, sizeof calls);
  page_service = 1;
  commit_group = 1;
  watching = FAKE_NO_WATCH;
  delegation_ms = 0;
  time_travel = 1;
  lz4 = 1;
  bandwidth = 0;
  last_accept_lz4 = 0;
  ttl = 10000;
  max_message = 4u << 20;
  pages_ahead = 0;
  rests_beside_writing = 0;
  pthread_mutex_unlock(&mutex);
}

void fake_restart(void) {
  pthread_mutex_lock(&mutex);
  for (int i = 0; i < MAX_STAGES; i++) {
    if (stages[i].used) free_stage(&stages[i]);
  }
  memset(sessions, 0, sizeof sessions);
  pthread_mutex_unlock(&mutex);
}

void fake_move(void) {
  const uint64_t one = 1;
  pthread_mutex_lock(&mutex);
  for (int i = 0; i < MAX_SESSIONS; i++) {
    session *s = &sessions[i];
    if (!s->used) continue;
    *s = (session){.used = 1, .id = s->id, .incarnation = s->incarnation, .unheard = 1};
  }
  moves++;
  if (write(moved_fd, &one, sizeof one) < 0) abort();
  pthread_mutex_unlock(&mutex);
}

void fake_take_lease(const char *name) {
  pthread_mutex_lock(&mutex);
  database *d = find_name(name);
  if (d && d->held) {
    drop_stages_of(&d->holder, &d->id);
    d->held = 0;
  }
  pthread_mutex_unlock(&mutex);
}

void fake_go_back(const char *name, uint64_t to) {
  pthread_mutex_lock(&mutex);
  database *d = find_name(name);
  for (uint32_t n = 1; n < d->page_room; n++) {
    while (d->pages[n] && d->pages[n]->version > to) {
      image *newest = d->pages[n];
      d->pages[n] = newest->older;
      free(newest->data);
      free(newest);
    }
  }
  for (uint64_t v = to + 1; v <= d->head; v++) free(d->versions[v].pages);
  d->head = to;
  d->held = 0;
  pthread_mutex_unlock(&mutex);
}

static database *copy(const char *from, const char *to) {
  const database *old = find_name(from);
  database *d = new_database(to);
  d->versions[0].page_size = old->versions[old->head].page_size;
  d->versions[0].page_count = old->versions[old->head].page_count;
  for (uint32_t n = 1; n <= d->versions[0].page_count; n++) {
    const image *i = page_at(old, n, old->head);
    const gsq_page_ref page = {n, i->data, i->size};
    put_page(d, 0, &page);
  }
  return d;
}

void fake_fork(const char *from, const char *to) {
  pthread_mutex_lock(&mutex);
  copy(from, to);
  pthread_mutex_unlock(&mutex);
}

static int fork_database(const char *name, const char *new_name, const gsq_id *commit,
                         gsq_error *error) {
  const database *there = find_name(new_name);
  if (there && same_id(&there->versions[0].commit, commit)) return GSQ_OK;
  if (!find_name(name)) return refuse(error, GSQ_NOT_FOUND, "NO_SUCH_DATABASE");
  if (there) return refuse(error, GSQ_ALREADY_EXISTS, "ALREADY_EXISTS");
  copy(name, new_name)->versions[0].commit = *commit;
  return GSQ_OK;
}

int gsq_fork_database(gsq_channel *channel, const char *name, const char *new_name,
                      const gsq_id *commit, int64_t deadline_ms, gsq_error *error) {
  (void)channel;
  SERVE(FAKE_FORK, fork_database(name, new_name, commit, error));
}

static int restore(const gsq_restore_request *from, uint64_t *made, gsq_error *error) {
  database *d = find_name(from->name);
  if (!d) return refuse(error, GSQ_NOT_FOUND, "NO_SUCH_DATABASE");
  for (uint64_t n = d->head; n > 0; n--) {
    if (same_id(&d->versions[n].commit, &from->commit)) {
      *made = n;
      return GSQ_OK;
    }
  }
  if (!d->held || !same_id(&d->holder, &from->session) || d->epoch != from->epoch) {
    return refuse(error, GSQ_FAILED_PRECONDITION, "LEASE_LOST");
  }
  if (from->version < d->oldest) return refuse(error, GSQ_OUT_OF_RANGE, "SNAPSHOT_TOO_OLD");
  if (from->version > d->head) return refuse(error, GSQ_OUT_OF_RANGE, "NO_SUCH_VERSION");
  version *v = &d->versions[++d->head];
  *v = (version){.page_size = d->versions[from->version].page_size,
                 .page_count = d->versions[from->version].page_count,
                 .commit = from->commit};
  v->pages = malloc((v->page_count + 1) * sizeof *v->pages);
  for (uint32_t n = 1; n <= v->page_count; n++) {
    const image *i = page_at(d, n, from->version);
    const gsq_page_ref page = {n, i->data, i->size};
    put_page(d, d->head, &page);
    v->pages[v->count++] = n;
  }
  *made = d->head;
  return GSQ_OK;
}

int gsq_restore_database(gsq_channel *channel, const gsq_restore_request *request,
                         uint64_t *made, int64_t deadline_ms, gsq_error *error) {
  (void)channel;
  SERVE(FAKE_RESTORE, restore(request, made, error));
}

void fake_forget_before(const char *name, uint64_t at) {
  pthread_mutex_lock(&mutex);
  database *d = find_name(name);
  if (d) d->oldest = at;
  pthread_mutex_unlock(&mutex);
}

void fake_set_around(void (*function)(int begins)) {
  around = function;
}

void fake_set_page_service(int on) {
  page_service = on;
}

void fake_set_commit_group(int on) {
  commit_group = on;
}

void fake_set_time_travel(int on) {
  time_travel = on;
}

void fake_set_lz4(int on) {
  pthread_mutex_lock(&mutex);
  lz4 = on;
  pthread_mutex_unlock(&mutex);
}

void fake_set_bandwidth(int64_t bytes_per_s) {
  pthread_mutex_lock(&mutex);
  bandwidth = bytes_per_s;
  pthread_mutex_unlock(&mutex);
}

int fake_last_accepts_lz4(void) {
  pthread_mutex_lock(&mutex);
  const int accepts = last_accept_lz4;
  pthread_mutex_unlock(&mutex);
  return accepts;
}

void fake_set_ttl_ms(uint32_t ttl_ms) {
  ttl = ttl_ms;
}

void fake_set_max_message_bytes(uint32_t bytes) {
  max_message = bytes;
}

uint64_t fake_head(const char *name) {
  pthread_mutex_lock(&mutex);
  const database *d = find_name(name);
  uint64_t head = d ? d->head : 0;
  pthread_mutex_unlock(&mutex);
  return head;
}

size_t fake_stages(void) {
  size_t n = 0;
  pthread_mutex_lock(&mutex);
  for (int i = 0; i < MAX_STAGES; i++) n += stages[i].used != 0;
  pthread_mutex_unlock(&mutex);
  return n;
}

size_t fake_sessions(void) {
  size_t n = 0;
  pthread_mutex_lock(&mutex);
  for (int i = 0; i < MAX_SESSIONS; i++) n += sessions[i].used != 0;
  pthread_mutex_unlock(&mutex);
  return n;
}

size_t fake_last_commit_pages(void) {
  pthread_mutex_lock(&mutex);
  size_t n = last_commit_pages;
  pthread_mutex_unlock(&mutex);
  return n;
}

uint64_t fake_floor(const char *name) {
  uint64_t floor = UINT64_MAX;
  pthread_mutex_lock(&mutex);
  const database *d = find_name(name);
  for (int i = 0; d && i < MAX_SESSIONS; i++) {
    const session *s = &sessions[i];
    if (s->used && s->viewed[d - databases] && s->floors[d - databases] < floor) {
      floor = s->floors[d - databases];
    }
    for (int k = 0; s->used && k < MAX_FIXED_VIEWS; k++) {
      const fixed_view *v = &s->fixed[k];
      if (v->number && v->database == d - databases && v->floor < floor) floor = v->floor;
    }
  }
  pthread_mutex_unlock(&mutex);
  return floor;
}

size_t fake_fixed_views(const char *name) {
  size_t n = 0;
  pthread_mutex_lock(&mutex);
  const database *d = find_name(name);
  for (int i = 0; d && i < MAX_SESSIONS; i++) {
    for (int k = 0; sessions[i].used && k < MAX_FIXED_VIEWS; k++) {
      const fixed_view *v = &sessions[i].fixed[k];
      n += v->number && v->database == d - databases;
    }
  }
  pthread_mutex_unlock(&mutex);
  return n;
}

void fake_poke(const char *name, uint32_t page, uint32_t offset, uint8_t value) {
  pthread_mutex_lock(&mutex);
  database *d = find_name(name);
  if (d && page < d->page_room && d->pages[page]) d->pages[page]->data[offset] = value;
  pthread_mutex_unlock(&mutex);
}

/* The channel: nothing goes through it. */

struct gsq_channel {
  char url[256];
};

int gsq_channel_new(const gsq_channel_options *options, gsq_channel **out, gsq_error *error) {
  gsq_channel *channel = calloc(1, sizeof *channel);
  if (!channel) return gsq_error_set(error, GSQ_NOMEM, "out of memory");
  snprintf(channel->url, sizeof channel->url, "%s",
           options->beside ? options->beside->url : options->url);
  if (options->moved_fd) moved_fd = options->moved_fd;
  *out = channel;
  return GSQ_OK;
}

void gsq_channel_free(gsq_channel *channel) {
  free(channel);
}

void gsq_channel_abandon_after_fork(gsq_channel *channel) {
  (void)channel;
}

void gsq_channel_shutdown(gsq_channel *channel) {
  (void)channel;
}

int gsq_channel_call(gsq_channel *channel, const gsq_call *call, gsq_error *error) {
  (void)channel;
  return gsq_error_set(error, GSQ_UNIMPLEMENTED, "%s is not faked", call->method);
}

int64_t gsq_channel_bandwidth(gsq_channel *channel) {
  (void)channel;
  pthread_mutex_lock(&mutex);
  const int64_t now = bandwidth;
  pthread_mutex_unlock(&mutex);
  return now;
}

void gsq_channel_stats_get(gsq_channel *channel, gsq_channel_stats *out) {
  (void)channel;
  memset(out, 0, sizeof *out);
  pthread_mutex_lock(&mutex);
  out->calls = (uint64_t)calls[FAKE_ANY];
  out->moves = moves;
  out->bytes_received = answers;
  pthread_mutex_unlock(&mutex);
}

const char *gsq_channel_url(gsq_channel *channel) {
  return channel->url;
}
