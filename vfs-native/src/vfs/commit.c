#include "vfs/commit.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"

/* Waiting between sendings of a commit that the server answers, but not to the point. */
#define FIRST_PAUSE_MS 20
#define LONGEST_PAUSE_MS 1000
/* Sendings that fail for want of our own memory. */
#define MAX_MEMORY_TRIES 3
/* Dropping a stage is a courtesy. */
#define DROP_TIMEOUT_MS 2000

/* Staging. */

size_t gsq_stager_batch(const gsq_stager *stager, uint32_t page_size) {
  const size_t room =
      stager->database->server->info.max_message_bytes - GSQ_MESSAGE_OVERHEAD_BYTES;
  size_t count = room / gsq_pages_wire_size(page_size, 1);
  while (count > 1 && gsq_pages_wire_size(page_size, count) > room) count--;
  return count ? count : 1;
}

static int stage_is_gone(gsq_error *error) {
  return gsq_error_set(error, GSQ_FAILED_PRECONDITION,
                       "the session or the lease was lost, and the transaction's staged pages "
                       "with it; run the transaction again");
}

/* Sends one message to the stage, which must be of this session and epoch, or not exist yet. */
static int send_batch(gsq_stager *stager, gsq_stage *stage, uint32_t page_size,
                      const gsq_page_ref *pages, size_t count, gsq_error *error) {
  gsq_database *database = stager->database;
  gsq_server *server = database->server;
  const int64_t deadline_ms = gsq_now_ms() + stager->timeout_ms;
  gsq_attempts attempts = gsq_server_attempts(server);
  /* Whatever becomes of this one: what comes later must not be taken for it. */
  const uint64_t call = ++stage->calls;
  for (;;) {
    uint64_t epoch;
    int code = gsq_database_epoch(database, stager->pin, &epoch, deadline_ms, error);
    if (code != GSQ_OK) return code;
    const uint64_t session = attempts.session;
    if (stager->used && (stager->session != session || stager->epoch != epoch)) {
      return stage_is_gone(error);
    }
    code = gsq_stage_pages(&server->client, &database->id, epoch, &stage->id, call, page_size,
                           pages, count, deadline_ms, error);
    if (code == GSQ_OK) {
      stager->used = 1;
      stager->session = session;
      stager->epoch = epoch;
      return GSQ_OK;
    }
    if (gsq_error_is(error, "LEASE_LOST")) gsq_database_lease_lost(database);
    /* In a new session, only a stage that has nothing yet can be begun. */
    if (!gsq_server_again(server, &attempts, deadline_ms, error)) return error->code;
  }
}

int gsq_stager_send(gsq_stager *stager, gsq_stage *stage, uint32_t page_size,
                    const gsq_page_ref *pages, size_t count, gsq_error *error) {
  const size_t batch = gsq_stager_batch(stager, page_size);
  for (size_t done = 0; done < count;) {
    const size_t now = count - done < batch ? count - done : batch;
    int code = send_batch(stager, stage, page_size, pages + done, now, error);
    if (code != GSQ_OK) return code;
    atomic_fetch_add_explicit(&stager->database->server->pages_staged, now,
                              memory_order_relaxed);
    done += now;
  }
  return GSQ_OK;
}

int gsq_stager_read(gsq_stager *stager, const gsq_id *stage, uint32_t page_size,
                    const uint32_t *numbers, size_t count, void *to, gsq_error *error) {
  gsq_database *database = stager->database;
  if (atomic_load(&database->server->session) != stager->session) return stage_is_gone(error);
  gsq_page_list list = {.numbers = numbers, .count = count, .page_size = page_size, .to = to};
  gsq_page_range ranges[GSQ_BATCH_PAGES];
  const gsq_read_request request = {.database = database->id,
                                    .version = stager->pin->snapshot.version,
                                    .page_size = page_size,
                                    .ranges = ranges,
                                    .range_count = gsq_page_ranges(numbers, count, ranges),
                                    .stage = stage};
  return gsq_read_pages(&database->server->client, &request, gsq_page_list_take, &list, NULL,
                        gsq_now_ms() + stager->timeout_ms, error);
}

void gsq_stager_drop(gsq_stager *stager, const gsq_id *stage) {
  gsq_database *database = stager->database;
  gsq_error ignored = {0};
  if (!stager->used || atomic_load(&database->server->session) != stager->session) return;
  gsq_drop_stage(&database->server->client, &database->id, stage,
                 gsq_now_ms() + DROP_TIMEOUT_MS, &ignored);
}

/* Sending. */

/* Returns 0 if that would leave no time. */
static int pause_before_resend(int *pause_ms, int64_t deadline_ms) {
  if (gsq_now_ms() + *pause_ms >= deadline_ms) return 0;
  const struct timespec duration = {.tv_sec = *pause_ms / 1000,
                                    .tv_nsec = *pause_ms % 1000 * 1000000};
  nanosleep(&duration, NULL);
  *pause_ms = *pause_ms * 2 < LONGEST_PAUSE_MS ? *pause_ms * 2 : LONGEST_PAUSE_MS;
  return 1;
}

/* "Not applied, by any sending". */
static int is_definite(const gsq_error *error) {
  return gsq_error_is(error, "LEASE_LOST") || gsq_error_is(error, "HEAD_MOVED") ||
         gsq_error_is(error, "NO_SUCH_STAGE") || gsq_error_is(error, "NO_SUCH_DATABASE") ||
         gsq_error_is(error, "QUOTA");
}

/* The storage takes no writes. That may take long to mend. */
static int is_refusal_of_store(const gsq_error *error) {
  return gsq_error_is(error, "STORE_FULL") || gsq_error_is(error, "STORE_READ_ONLY");
}

/* "This sending was not applied". An earlier one may have been, before the right was taken away, the
** certificate ran out, or the storage took no more. */
static int is_refusal_of_sending(const gsq_error *error) {
  return gsq_error_is(error, "INVALID_REQUEST") || gsq_error_is(error, "CHECKSUM_MISMATCH") ||
         gsq_error_is(error, "NO_SUCH_SESSION") || gsq_error_is(error, "NOT_ALLOWED") ||
         error->code == GSQ_UNAUTHENTICATED || is_refusal_of_store(error);
}

/* Another sending would be answered the same. */
static int is_hopeless(const gsq_error *error) {
  return gsq_error_is(error, "OUTCOME_UNKNOWN") || error->code == GSQ_UNAUTHENTICATED ||
         error->code == GSQ_PERMISSION_DENIED || error->code == GSQ_UNIMPLEMENTED ||
         gsq_error_is(error, "INVALID_REQUEST");
}

static int send_once(gsq_server *server, const gsq_commit_request *const *requests,
                     size_t count, uint64_t *versions, int64_t deadline_ms, gsq_error *error) {
  memset(error, 0, sizeof *error);
  return count == 1
             ? gsq_commit(&server->client, requests[0], versions, deadline_ms, error)
             : gsq_commit_group(&server->client, requests, count, versions, deadline_ms, error);
}

/* Sends commits until their outcome is known or time is up. */
static enum gsq_commit_outcome send_until_known(gsq_server *server,
                                                const gsq_commit_request *const *requests,
                                                size_t count, uint64_t *versions,
                                                int64_t deadline_ms, gsq_error *error) {
  gsq_attempts attempts = gsq_server_attempts(server);
  int pause_ms = FIRST_PAUSE_MS;
  int may_be_applied = 0;
  int memory_tries = 0;
  for (;;) {
    int code = send_once(server, requests, count, versions, deadline_ms, error);
    if (code == GSQ_OK) return GSQ_COMMIT_DONE;
    if (is_definite(error)) return GSQ_COMMIT_REFUSED;
    if (error->sent_before || !is_refusal_of_sending(error)) may_be_applied = 1;
    if (gsq_error_is(error, "NO_SUCH_SESSION")) {
      if (gsq_server_again(server, &attempts, deadline_ms, error)) continue;
      return may_be_applied ? GSQ_COMMIT_UNKNOWN : GSQ_COMMIT_REFUSED;
    }
    if (error->code == GSQ_NOMEM) memory_tries++;
    /* A sending for which there is no time would say nothing but that. */
    if (is_hopeless(error) || (is_refusal_of_store(error) && !may_be_applied) ||
        memory_tries == MAX_MEMORY_TRIES || !pause_before_resend(&pause_ms, deadline_ms)) {
      return may_be_applied ? GSQ_COMMIT_UNKNOWN : GSQ_COMMIT_REFUSED;
    }
  }
}

/* Stages what does not fit the commit's own message; *rest is what stays for that. */
static int stage_all_but_last(gsq_stager *stager, gsq_stage *stage, const gsq_commit_plan *plan,
                              size_t room, size_t *rest, gsq_error *error) {
  const size_t batch = gsq_stager_batch(stager, plan->page_size);
  *rest = plan->count > batch ? (plan->count - 1) % batch + 1 : plan->count;
  if (gsq_pages_wire_size(plan->page_size, *rest) > room) *rest = 0;
  return gsq_stager_send(stager, stage, plan->page_size, plan->pages, plan->count - *rest,
                         error);
}

/* Cuts all pages anew and stages them; if they fit one message they come back in `bytes` and
** `pages` instead, both malloc'ed. */
static int cut_every_page(gsq_stager *stager, gsq_stage *stage, const gsq_commit_plan *plan,
                          gsq_write_buffer *buffer, uint8_t **bytes, gsq_page_ref **pages,
                          size_t *count, gsq_error *error) {
  const uint32_t page_size = plan->page_size;
  const uint64_t size = gsq_write_buffer_size(buffer);
  size_t batch = gsq_stager_batch(stager, page_size);
  if (batch > plan->page_count) batch = plan->page_count;
  *bytes = malloc(batch * page_size + 1);
  *pages = malloc((batch + 1) * sizeof **pages);
  *count = 0;
  if (!*bytes || !*pages) return gsq_error_nomem(error);
  for (uint32_t done = 0; done < plan->page_count; done += (uint32_t)*count) {
    if (*count > 0) {
      int code = gsq_stager_send(stager, stage, page_size, *pages, *count, error);
      if (code != GSQ_OK) return code;
    }
    *count = plan->page_count - done < batch ? plan->page_count - done : batch;
    const uint64_t offset = (uint64_t)done * page_size;
    const uint32_t room = (uint32_t)*count * page_size;
    uint32_t there = 0;
    if (offset < size) there = size - offset < room ? (uint32_t)(size - offset) : room;
    memset(*bytes + there, 0, room - there);
    if (there) {
      int code = gsq_write_buffer_read(buffer, offset, *bytes, there, error);
      if (code != GSQ_OK) return code;
    }
    for (uint32_t i = 0; i < *count; i++) {
      (*pages)[i] = (gsq_page_ref){
          .number = done + i + 1, .data = *bytes + (size_t)i * page_size, .size = page_size};
    }
  }
  return GSQ_OK;
}

/* Fills in the request's pages and stage. */
static int place_pages(gsq_prepared *p, gsq_write_buffer *buffer, size_t room,
                       gsq_error *error) {
  const gsq_commit_plan *plan = &p->plan;
  gsq_commit_request *request = &p->request;
  /* A stage that the buffer's units are in has their size; pages that are cut anew need
   * another. */
  gsq_stage *old_stage = gsq_write_buffer_stage(buffer);
  if (gsq_id_random(&request->commit) != 0 || gsq_id_random(&p->own_stage.id) != 0) {
    return gsq_error_set(error, GSQ_INTERNAL, "the system gives no random bytes");
  }
  if (old_stage && plan->every_page) {
    p->old_stage = old_stage->id;
    p->has_old_stage = 1;
    old_stage = NULL;
  }
  gsq_stage *stage = old_stage ? old_stage : &p->own_stage;
  size_t total = plan->count, rest;
  int code;
  if (plan->every_page) {
    total = plan->page_count;
    code = cut_every_page(p->stager, stage, plan, buffer, &p->bytes, &p->cut, &rest, error);
    if (code == GSQ_OK && gsq_pages_wire_size(plan->page_size, rest) > room) {
      code = gsq_stager_send(p->stager, stage, plan->page_size, p->cut, rest, error);
      rest = 0;
    }
    request->pages = p->cut;
  } else {
    code = stage_all_but_last(p->stager, stage, plan, room, &rest, error);
    request->pages = plan->pages + (total - rest);
  }
  request->count = rest;
  request->stage = rest < total || old_stage ? &stage->id : NULL;
  return code;
}

enum gsq_commit_outcome gsq_commit_prepare(gsq_database *database, gsq_pin *pin,
                                           gsq_write_buffer *buffer, gsq_stager *stager,
                                           size_t room, gsq_prepared *out, gsq_error *error) {
  *out = (gsq_prepared){.database = database, .pin = pin, .stager = stager};
  if (gsq_commit_plan_make(database, &pin->snapshot, buffer, stager->timeout_ms, &out->plan,
                           error) != GSQ_OK) {
    return GSQ_COMMIT_REFUSED;
  }
  if (out->plan.nothing) {
    gsq_prepared_free(out, GSQ_COMMIT_NOTHING);
    return GSQ_COMMIT_NOTHING;
  }
  out->request = (gsq_commit_request){.database = database->id,
                                      .base_version = pin->snapshot.version,
                                      .page_size = out->plan.page_size,
                                      .page_count = out->plan.page_count,
                                      .floor_version = gsq_database_floor(database)};
  int code = gsq_database_epoch(database, pin, &out->request.epoch,
                                gsq_now_ms() + stager->timeout_ms, error);
  if (code == GSQ_OK) code = place_pages(out, buffer, room, error);
  if (code == GSQ_OK && out->request.stage &&
      (stager->session != atomic_load(&database->server->session) ||
       stager->epoch != out->request.epoch)) {
    code = stage_is_gone(error);
  }
  if (code == GSQ_OK) return GSQ_COMMIT_PREPARED;
  gsq_prepared_free(out, GSQ_COMMIT_REFUSED);
  return GSQ_COMMIT_REFUSED;
}

size_t gsq_prepared_bytes(const gsq_prepared *prepared) {
  return gsq_pages_wire_size(prepared->plan.page_size, prepared->request.count);
}

static void committed(gsq_prepared *p, uint64_t version) {
  const gsq_commit_plan *plan = &p->plan;
  gsq_server *server = p->database->server;
  const gsq_snapshot next = {.version = version,
                             .page_size = plan->page_size,
                             .page_count = plan->page_count,
                             .mark = gsq_mark_of(&p->request.commit)};
  gsq_database_committed(p->database, p->pin, &next, plan->every_page, plan->changed,
                         plan->changed_count, p->request.pages, p->request.count);
  atomic_fetch_add_explicit(&server->commits, 1, memory_order_relaxed);
  atomic_fetch_add_explicit(&server->pages_committed,
                            plan->every_page ? plan->page_count : plan->changed_count,
                            memory_order_relaxed);
}

enum gsq_commit_outcome gsq_commit_send(gsq_prepared *const *commits, size_t count,
                                        gsq_error *error) {
  const gsq_commit_request *requests[GSQ_MAX_GROUP];
  uint64_t versions[GSQ_MAX_GROUP];
  int64_t timeout_ms = 0;
  for (size_t i = 0; i < count; i++) {
    requests[i] = &commits[i]->request;
    if (commits[i]->stager->timeout_ms > timeout_ms)
      timeout_ms = commits[i]->stager->timeout_ms;
  }
  for (size_t i = 0; i < count; i++) gsq_database_commit_begins(commits[i]->database);
  const enum gsq_commit_outcome outcome =
      send_until_known(commits[0]->database->server, requests, count, versions,
                       gsq_now_ms() + timeout_ms, error);
  /* Of a group, nobody says whose the lease was. One that is asked for again costs little. */
  const int lease_is_lost = gsq_error_is(error, "LEASE_LOST") ||
                            gsq_error_is(error, "HEAD_MOVED") ||
                            gsq_error_is(error, "NO_SUCH_DATABASE");
  for (size_t i = 0; i < count; i++) {
    if (outcome == GSQ_COMMIT_DONE) {
      committed(commits[i], versions[i]);
    } else if (outcome == GSQ_COMMIT_UNKNOWN) {
      gsq_database_doubt(commits[i]->database);
    } else if (lease_is_lost) {
      gsq_database_lease_lost(commits[i]->database);
    }
    gsq_database_commit_ends(commits[i]->database);
  }
  return outcome;
}

void gsq_prepared_free(gsq_prepared *prepared, enum gsq_commit_outcome outcome) {
  if (prepared->own_stage.calls > 0 && outcome != GSQ_COMMIT_DONE &&
      outcome != GSQ_COMMIT_UNKNOWN) {
    gsq_stager_drop(prepared->stager, &prepared->own_stage.id);
  }
  if (prepared->has_old_stage && outcome == GSQ_COMMIT_DONE) {
    gsq_stager_drop(prepared->stager, &prepared->old_stage);
  }
  free(prepared->cut);
  free(prepared->bytes);
  gsq_commit_plan_free(&prepared->plan);
  memset(prepared, 0, sizeof *prepared);
}

enum gsq_commit_outcome gsq_commit_buffer(gsq_database *database, gsq_pin *pin,
                                          gsq_write_buffer *buffer, gsq_stager *stager,
                                          gsq_error *error) {
  gsq_prepared prepared, *one = &prepared;
  enum gsq_commit_outcome outcome = gsq_commit_prepare(
      database, pin, buffer, stager,
      database->server->info.max_message_bytes - GSQ_MESSAGE_OVERHEAD_BYTES, &prepared, error);
  if (outcome != GSQ_COMMIT_PREPARED) return outcome;
  outcome = gsq_commit_send(&one, 1, error);
  gsq_prepared_free(&prepared, outcome);
  return outcome;
}
