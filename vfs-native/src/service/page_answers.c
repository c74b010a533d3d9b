#include "service/page_answers.h"

#include <pb_decode.h>
#include <stdlib.h>
#include <string.h>

#include "base/wire.h"
#include "grpsqlite/v1/page_store.pb.h"
#include "service/pages.h"

/* What a server receives if it does not say: see the head of page_store.proto. */
#define DEFAULT_MESSAGE_BYTES (4u << 20)
#define LEAST_MESSAGE_BYTES (128u << 10)
/* More is not made use of: what is sent is built in memory first. */
#define MOST_MESSAGE_BYTES (64u << 20)
/* Below it, KeepAlive would keep a processor busy. */
#define LEAST_TTL_MS 50
/* A request's pages are counted in memory: this many bits at most. */
#define MOST_PAGES_ASKED (1u << 24)

static int malformed(gsq_error *error, const char *what) {
  return gsq_error_set(error, GSQ_BAD_ANSWER, "the server's answer to %s cannot be decoded",
                       what);
}

static int decode(const uint8_t *data, size_t size, const pb_msgdesc_t *fields, void *out) {
  static const uint8_t nothing[1];
  pb_istream_t stream = pb_istream_from_buffer(data ? data : nothing, size);
  return pb_decode(&stream, fields, out);
}

static int check_ttl(uint32_t ttl_ms, gsq_error *error) {
  if (ttl_ms >= LEAST_TTL_MS) return GSQ_OK;
  return gsq_error_set(error, GSQ_BAD_ANSWER,
                       "the server gives sessions %u ms to live; it has to be %d at least",
                       ttl_ms, LEAST_TTL_MS);
}

static void copy_printable(const gsq_field *field, char *out, size_t out_size) {
  size_t size = 0;
  for (; size < field->size && size + 1 < out_size; size++) {
    uint8_t c = field->data[size];
    out[size] = c < 0x20 || c >= 0x7f ? '?' : (char)c;
  }
  out[size] = 0;
}

int gsq_decode_open_session(const uint8_t *data, size_t size, gsq_session_info *out,
                            gsq_error *error) {
  grpsqlite_v1_OpenSessionResponse answer = grpsqlite_v1_OpenSessionResponse_init_zero;
  if (!decode(data, size, grpsqlite_v1_OpenSessionResponse_fields, &answer)) {
    return malformed(error, "OpenSession");
  }
  if (check_ttl(answer.ttl_ms, error) != GSQ_OK) return error->code;
  uint32_t most = answer.max_message_bytes ? answer.max_message_bytes : DEFAULT_MESSAGE_BYTES;
  if (most < LEAST_MESSAGE_BYTES) {
    return gsq_error_set(error, GSQ_BAD_ANSWER,
                         "the server takes messages of %u bytes; it has to be %u at least",
                         most, LEAST_MESSAGE_BYTES);
  }
  memset(out, 0, sizeof *out);
  out->ttl_ms = answer.ttl_ms;
  out->max_message_bytes = most < MOST_MESSAGE_BYTES ? most : MOST_MESSAGE_BYTES;
  out->incarnation = answer.incarnation;
  out->commit_group = answer.capabilities.commit_group;
  out->watch = answer.capabilities.watch;
  out->time_travel = answer.capabilities.time_travel;
  out->fork = answer.capabilities.fork;
  out->prefetch = answer.capabilities.prefetch;
  out->lz4 = answer.capabilities.lz4;
  gsq_reader reader = gsq_reader_of(data, size);
  gsq_field field;
  while (gsq_next_field(&reader, &field) == 1) {
    if (field.number == 4 && field.type == GSQ_BYTES) {
      copy_printable(&field, out->server_name, sizeof out->server_name);
    }
  }
  return GSQ_OK;
}

int gsq_decode_keep_alive(const uint8_t *data, size_t size, gsq_kept_alive *out, gsq_id *lost,
                          size_t max_lost, size_t *lost_count, gsq_error *error) {
  grpsqlite_v1_KeepAliveResponse answer = grpsqlite_v1_KeepAliveResponse_init_zero;
  *lost_count = 0;
  if (!decode(data, size, grpsqlite_v1_KeepAliveResponse_fields, &answer)) {
    return malformed(error, "KeepAlive");
  }
  if (check_ttl(answer.ttl_ms, error) != GSQ_OK) return error->code;
  gsq_reader reader = gsq_reader_of(data, size);
  gsq_field field;
  size_t count = 0;
  while (gsq_next_field(&reader, &field) == 1) {
    if (field.number != 2) continue;
    if (field.type != GSQ_BYTES || field.size != GSQ_ID_BYTES) {
      return malformed(error, "KeepAlive");
    }
    if (count == max_lost) {
      return gsq_error_set(error, GSQ_BAD_ANSWER,
                           "the server says that more leases were lost than there were");
    }
    memcpy(lost[count++].bytes, field.data, GSQ_ID_BYTES);
  }
  out->ttl_ms = answer.ttl_ms;
  out->incarnation = answer.incarnation;
  *lost_count = count;
  return GSQ_OK;
}

static int decode_snapshot(const grpsqlite_v1_Snapshot *from, gsq_snapshot *out,
                           gsq_error *error) {
  int fits = from->page_size == 0 ? from->page_count == 0 : gsq_is_page_size(from->page_size);
  if (!fits) {
    return gsq_error_set(error, GSQ_BAD_ANSWER,
                         "the server says that version %llu has %u pages of %u bytes",
                         (unsigned long long)from->version, from->page_count, from->page_size);
  }
  out->version = from->version;
  out->page_size = from->page_size;
  out->page_count = from->page_count;
  out->mark = from->mark;
  return GSQ_OK;
}

/* ---- changes ---- */

void gsq_changes_free(gsq_changes *changes) {
  free(changes->pages);
  memset(changes, 0, sizeof *changes);
}

/* Reads the message, and counts Changes.pages, packed or not, or copies them to `pages`. Returns 0 if it
** cannot be decoded. */
static int read_changes(const gsq_field *changes, uint32_t *pages, gsq_changes *out) {
  gsq_reader reader = gsq_reader_of(changes->data, changes->size);
  gsq_field field;
  int more;
  uint64_t value;
  memset(out, 0, sizeof *out);
  while ((more = gsq_next_field(&reader, &field)) == 1) {
    if (field.number == 1 || field.number == 3) {
      if (field.type != GSQ_VARINT) return 0;
      if (field.number == 1) out->all = field.value != 0;
      if (field.number == 3) out->other_history = field.value != 0;
    } else if (field.number == 2 && field.type == GSQ_BYTES) {
      gsq_reader packed = gsq_reader_of(field.data, field.size);
      int another;
      while ((another = gsq_next_varint(&packed, &value)) == 1) {
        if (value == 0 || value > UINT32_MAX) return 0;
        if (pages) pages[out->count] = (uint32_t)value;
        out->count++;
      }
      if (another < 0) return 0;
    } else if (field.number == 2) {
      if (field.type != GSQ_VARINT || field.value == 0 || field.value > UINT32_MAX) return 0;
      if (pages) pages[out->count] = (uint32_t)field.value;
      out->count++;
    }
  }
  out->all |= out->other_history;
  return more == 0;
}

static int is_elsewhere(const gsq_snapshot *head, const gsq_have *have) {
  return gsq_is_other(gsq_have_of(head), *have);
}

/* Finds the field `number` in the answer. Without it, "nothing changed" is believed only of a
** version that is the same. */
static int decode_changes(const uint8_t *data, size_t size, uint32_t number,
                          const gsq_have *have, const gsq_snapshot *head, gsq_changes *out,
                          const char *what, gsq_error *error) {
  memset(out, 0, sizeof *out);
  gsq_reader reader = gsq_reader_of(data, size);
  gsq_field field, changes = {0};
  while (gsq_next_field(&reader, &field) == 1) {
    if (field.number != number) continue;
    if (field.type != GSQ_BYTES || changes.data) return malformed(error, what);
    changes = field;
  }
  if (changes.data && !read_changes(&changes, NULL, out)) return malformed(error, what);
  if (!changes.data) out->all = head->version != have->version;
  /* A head does not go back, and does not become another. */
  if (head->version <= have->version && is_elsewhere(head, have)) {
    out->all = out->other_history = 1;
  }
  const size_t count = out->count;
  out->count = 0;
  if (out->all || count == 0) return GSQ_OK;
  uint32_t *pages = malloc(count * sizeof *pages);
  if (!pages) return gsq_error_nomem(error);
  gsq_changes again;
  read_changes(&changes, pages, &again);
  for (size_t i = 1; i < count; i++) {
    if (pages[i] <= pages[i - 1]) {
      free(pages);
      return gsq_error_set(error, GSQ_BAD_ANSWER,
                           "the server's list of changed pages is not in ascending order");
    }
  }
  out->pages = pages;
  out->count = count;
  return GSQ_OK;
}

/* Of a read delegation: never more than was asked for. */
static uint32_t at_most(uint32_t given_ms, uint32_t wanted_ms) {
  return given_ms < wanted_ms ? given_ms : wanted_ms;
}

int gsq_decode_refresh(const uint8_t *data, size_t size, const gsq_refresh_request *request,
                       gsq_refresh_answer *out, gsq_error *error) {
  gsq_snapshot *head = &out->head;
  grpsqlite_v1_RefreshResponse answer = grpsqlite_v1_RefreshResponse_init_zero;
  memset(out, 0, sizeof *out);
  if (!decode(data, size, grpsqlite_v1_RefreshResponse_fields, &answer)) {
    return malformed(error, "Refresh");
  }
  if (decode_snapshot(&answer.head, head, error) != GSQ_OK) return error->code;
  out->read_delegation_ms = at_most(answer.read_delegation_ms, request->read_delegation_ms);
  return decode_changes(data, size, 2, &request->have, head, &out->changes, "Refresh", error);
}

int gsq_decode_lease(const uint8_t *data, size_t size, const gsq_have *have, int at_any_version,
                     gsq_lease_answer *out, gsq_error *error) {
  grpsqlite_v1_AcquireLeaseResponse answer = grpsqlite_v1_AcquireLeaseResponse_init_zero;
  memset(out, 0, sizeof *out);
  if (!decode(data, size, grpsqlite_v1_AcquireLeaseResponse_fields, &answer)) {
    return malformed(error, "AcquireLease");
  }
  if (decode_snapshot(&answer.head, &out->head, error) != GSQ_OK) return error->code;
  switch ((int)answer.outcome) {
    case GSQ_LEASE_HELD:
      out->outcome = GSQ_LEASE_HELD;
      return GSQ_OK;
    case GSQ_LEASE_HEAD_MOVED:
      if (!is_elsewhere(&out->head, have)) {
        return gsq_error_set(error, GSQ_BAD_ANSWER,
                             "the server refused a lease because the head is not at version "
                             "%llu, and says that it is there",
                             (unsigned long long)have->version);
      }
      out->outcome = GSQ_LEASE_HEAD_MOVED;
      return GSQ_OK;
    case GSQ_LEASE_GRANTED:
      break;
    default:
      return gsq_error_set(error, GSQ_BAD_ANSWER,
                           "the server answered AcquireLease with the unknown outcome %d",
                           (int)answer.outcome);
  }
  if (answer.epoch == 0 || (!at_any_version && is_elsewhere(&out->head, have))) {
    return gsq_error_set(error, GSQ_BAD_ANSWER,
                         "the server granted a lease with epoch %llu at version %llu, where it "
                         "was asked for version %llu",
                         (unsigned long long)answer.epoch,
                         (unsigned long long)out->head.version,
                         (unsigned long long)have->version);
  }
  out->outcome = GSQ_LEASE_GRANTED;
  out->epoch = answer.epoch;
  return decode_changes(data, size, 4, have, &out->head, &out->changes, "AcquireLease", error);
}

/* A commit makes the version behind its base. */
static int check_version(uint64_t made, uint64_t base_version, uint64_t *version,
                         gsq_error *error) {
  if (base_version == UINT64_MAX || made != base_version + 1) {
    return gsq_error_set(error, GSQ_BAD_ANSWER,
                         "the server made version %llu of a commit on version %llu",
                         (unsigned long long)made, (unsigned long long)base_version);
  }
  *version = made;
  return GSQ_OK;
}

int gsq_decode_commit(const uint8_t *data, size_t size, uint64_t base_version,
                      uint64_t *version, gsq_error *error) {
  grpsqlite_v1_CommitResponse answer = grpsqlite_v1_CommitResponse_init_zero;
  if (!decode(data, size, grpsqlite_v1_CommitResponse_fields, &answer)) {
    return malformed(error, "Commit");
  }
  return check_version(answer.version, base_version, version, error);
}

/* Versions are written packed or one by one. */
int gsq_decode_commit_group(const uint8_t *data, size_t size,
                            const gsq_commit_request *const *requests, size_t count,
                            uint64_t *versions, gsq_error *error) {
  gsq_reader reader = gsq_reader_of(data, size);
  gsq_field field;
  size_t came = 0;
  int more;
  while ((more = gsq_next_field(&reader, &field)) == 1) {
    if (field.number != 1) continue;
    gsq_reader packed = gsq_reader_of(field.data, field.size);
    uint64_t value = field.value;
    int another = field.type == GSQ_VARINT  ? 1
                  : field.type == GSQ_BYTES ? gsq_next_varint(&packed, &value)
                                            : -1;
    while (another == 1) {
      if (came == count) return malformed(error, "CommitGroup");
      int code = check_version(value, requests[came]->base_version, &versions[came], error);
      if (code != GSQ_OK) return code;
      came++;
      another = field.type == GSQ_BYTES ? gsq_next_varint(&packed, &value) : 0;
    }
    if (another < 0) return malformed(error, "CommitGroup");
  }
  return more < 0 || came != count ? malformed(error, "CommitGroup") : GSQ_OK;
}

/* ---- watching ---- */

static int is_id(const gsq_field *field) {
  return field->type == GSQ_BYTES && field->size == GSQ_ID_BYTES;
}

static int decode_head_moved(const gsq_field *event, gsq_watch_event *out, gsq_error *error) {
  grpsqlite_v1_Snapshot head = grpsqlite_v1_Snapshot_init_zero;
  gsq_reader reader = gsq_reader_of(event->data, event->size);
  gsq_field field;
  int more, named = 0;
  while ((more = gsq_next_field(&reader, &field)) == 1) {
    switch (field.number) {
      case 1:
        if (!is_id(&field)) return malformed(error, "Watch");
        memcpy(out->database.bytes, field.data, GSQ_ID_BYTES);
        named = 1;
        break;
      case 2:
        if (field.type != GSQ_BYTES ||
            !decode(field.data, field.size, grpsqlite_v1_Snapshot_fields, &head)) {
          return malformed(error, "Watch");
        }
        break;
      case 3:
        if (field.type != GSQ_VARINT) return malformed(error, "Watch");
        out->from_version = field.value;
        break;
      default:
        break;
    }
  }
  if (more < 0 || !named) return malformed(error, "Watch");
  if (decode_snapshot(&head, &out->head, error) != GSQ_OK) return error->code;
  const gsq_have from = {.version = out->from_version};
  return decode_changes(event->data, event->size, 4, &from, &out->head, &out->changes, "Watch",
                        error);
}

/* LeaseWanted, LeaseLost and Dropped are alike. */
static int decode_about_database(const gsq_field *event, gsq_watch_event *out,
                                 gsq_error *error) {
  gsq_reader reader = gsq_reader_of(event->data, event->size);
  gsq_field field;
  int more, named = 0;
  while ((more = gsq_next_field(&reader, &field)) == 1) {
    if (field.number == 1) {
      if (!is_id(&field)) return malformed(error, "Watch");
      memcpy(out->database.bytes, field.data, GSQ_ID_BYTES);
      named = 1;
    } else if (field.number == 2) {
      if (field.type != GSQ_VARINT) return malformed(error, "Watch");
      out->epoch = field.value;
    }
  }
  return more < 0 || !named ? malformed(error, "Watch") : GSQ_OK;
}

static int decode_confirmed(const gsq_field *event, gsq_watch_event *out, gsq_error *error) {
  gsq_reader reader = gsq_reader_of(event->data, event->size);
  gsq_field field;
  int more;
  while ((more = gsq_next_field(&reader, &field)) == 1) {
    if (field.number != 1) continue;
    if (field.type != GSQ_VARINT) return malformed(error, "Watch");
    out->elapsed_ms = field.value;
  }
  return more < 0 ? malformed(error, "Watch") : GSQ_OK;
}

int gsq_decode_watch(const uint8_t *data, size_t size, gsq_watch_event *out, gsq_error *error) {
  memset(out, 0, sizeof *out);
  gsq_reader reader = gsq_reader_of(data, size);
  gsq_field field, event = {0};
  int more;
  while ((more = gsq_next_field(&reader, &field)) == 1) {
    if (field.number < 1 || field.number > 5) continue;
    /* One of them is what a message has. */
    if (field.type != GSQ_BYTES || event.number) return malformed(error, "Watch");
    event = field;
  }
  if (more < 0) return malformed(error, "Watch");
  switch (event.number) {
    case 1:
      out->kind = GSQ_WATCH_HEAD_MOVED;
      return decode_head_moved(&event, out, error);
    case 2:
      out->kind = GSQ_WATCH_LEASE_WANTED;
      return decode_about_database(&event, out, error);
    case 3:
      out->kind = GSQ_WATCH_LEASE_LOST;
      return decode_about_database(&event, out, error);
    case 4:
      out->kind = GSQ_WATCH_CONFIRMED;
      return decode_confirmed(&event, out, error);
    case 5:
      out->kind = GSQ_WATCH_DROPPED;
      return decode_about_database(&event, out, error);
    default:
      return GSQ_OK;
  }
}

/* ---- pages ---- */

static int too_new(gsq_error *error, const gsq_page_in *page, uint64_t asked) {
  return gsq_error_set(error, GSQ_BAD_ANSWER,
                       "the server sent page %u as of version %llu, where %llu was asked for",
                       page->number, (unsigned long long)page->version,
                       (unsigned long long)asked);
}

static int beyond_credit(gsq_error *error, uint32_t number) {
  return gsq_error_set(error, GSQ_BAD_ANSWER, "the server sent page %u, which nobody asked for",
                       number);
}

/* The pages that come with an open. `plain` is where compressed ones go, or NULL. */
static int take_opened_pages(const uint8_t *data, size_t size, const gsq_open_request *request,
                             const gsq_open_answer *opened, uint8_t *plain, gsq_page_fn on_page,
                             void *arg, gsq_error *error) {
  const gsq_snapshot *snapshot = &opened->snapshot;
  uint64_t credit = request->prefetch_credit_bytes;
  int first_came = 0;
  gsq_reader reader = gsq_reader_of(data, size);
  gsq_field field;
  gsq_page_in page;
  while (gsq_next_field(&reader, &field) == 1) {
    if (field.number != 4) continue;
    if (gsq_page_read(&field, snapshot->page_size, plain, &page, error) != GSQ_OK) {
      return error->code;
    }
    if (page.version > snapshot->version) return too_new(error, &page, snapshot->version);
    if (page.number > snapshot->page_count) {
      return gsq_error_set(error, GSQ_BAD_ANSWER, "the server sent page %u of %u", page.number,
                           snapshot->page_count);
    }
    int asked = page.number == 1 && !first_came;
    if (asked) {
      first_came = 1;
    } else {
      if (credit < snapshot->page_size) return beyond_credit(error, page.number);
      credit -= snapshot->page_size;
    }
    int code = on_page
                   ? on_page(arg, page.number, page.version, asked, page.data, page.size, error)
                   : 0;
    if (code) return code;
  }
  if (snapshot->page_count > 0 && !first_came) {
    return gsq_error_set(error, GSQ_BAD_ANSWER,
                         "the server opened a database without its page 1");
  }
  return GSQ_OK;
}

int gsq_decode_open_database(const uint8_t *data, size_t size, const gsq_open_request *request,
                             gsq_open_answer *out, gsq_page_fn on_page, void *arg,
                             gsq_error *error) {
  grpsqlite_v1_OpenDatabaseResponse answer = grpsqlite_v1_OpenDatabaseResponse_init_zero;
  if (!decode(data, size, grpsqlite_v1_OpenDatabaseResponse_fields, &answer) ||
      answer.database_id.size != GSQ_ID_BYTES) {
    return malformed(error, "OpenDatabase");
  }
  memcpy(out->database.bytes, answer.database_id.bytes, GSQ_ID_BYTES);
  if (decode_snapshot(&answer.snapshot, &out->snapshot, error) != GSQ_OK) return error->code;
  out->oldest_version = answer.oldest_version;
  out->head_version = answer.head_version;
  out->read_delegation_ms = at_most(answer.read_delegation_ms, request->read_delegation_ms);
  uint64_t version = out->snapshot.version;
  if (version > answer.head_version || version < answer.oldest_version ||
      (request->at_version_given && version != request->at_version) ||
      (!request->at_version_given && !request->at_time_given &&
       version != answer.head_version)) {
    return gsq_error_set(error, GSQ_BAD_ANSWER,
                         "the server opened version %llu, and says that it has %llu to %llu",
                         (unsigned long long)version, (unsigned long long)answer.oldest_version,
                         (unsigned long long)answer.head_version);
  }
  uint8_t *plain = NULL;
  if (request->accept_lz4 && out->snapshot.page_size > 0) {
    plain = malloc(out->snapshot.page_size);
    if (!plain) return gsq_error_nomem(error);
  }
  int code = take_opened_pages(data, size, request, out, plain, on_page, arg, error);
  free(plain);
  return code;
}

int gsq_reading_begin(gsq_reading *reading, const gsq_read_request *request,
                      gsq_page_fn on_page, void *arg, gsq_error *error) {
  memset(reading, 0, sizeof *reading);
  reading->request = request;
  reading->on_page = on_page;
  reading->arg = arg;
  reading->came = reading->small;
  for (size_t i = 0; i < request->range_count; i++) {
    const gsq_page_range *range = &request->ranges[i];
    reading->asked_count += range->count;
    if (range->first == 0 || range->count == 0 ||
        range->count - 1 > UINT32_MAX - range->first ||
        reading->asked_count > MOST_PAGES_ASKED) {
      return gsq_error_set(error, GSQ_INVALID_ARGUMENT, "%u pages from page %u cannot be read",
                           range->count, range->first);
    }
  }
  if (reading->asked_count == 0 || !gsq_is_page_size(request->page_size)) {
    return gsq_error_set(error, GSQ_INVALID_ARGUMENT, "no pages, or of no size, to read");
  }
  if (reading->asked_count > 8 * sizeof reading->small) {
    reading->came = malloc((size_t)(reading->asked_count + 7) / 8);
    if (!reading->came) return gsq_error_nomem(error);
  }
  if (request->accept_lz4) {
    reading->plain = malloc(request->page_size);
    if (!reading->plain) {
      gsq_reading_end(reading);
      return gsq_error_nomem(error);
    }
  }
  gsq_reading_restart(reading);
  return GSQ_OK;
}

void gsq_reading_restart(gsq_reading *reading) {
  memset(reading->came, 0, (size_t)(reading->asked_count + 7) / 8);
  reading->came_count = 0;
  reading->credit_left = reading->request->prefetch_credit_bytes;
  reading->range = 0;
  reading->within = 0;
}

static int has_come(const gsq_reading *reading, uint64_t index) {
  return reading->came[index / 8] >> (index % 8) & 1;
}

/* Ticks a page off. 1 if it was asked for, and has not come yet. */
static int tick_off(gsq_reading *reading, uint32_t number) {
  const gsq_page_range *ranges = reading->request->ranges;
  /* As a rule pages come in the order asked: then came_count is also the index. */
  if (reading->range < reading->request->range_count &&
      ranges[reading->range].first + reading->within == number &&
      !has_come(reading, reading->came_count)) {
    reading->came[reading->came_count / 8] |= (uint8_t)(1u << (reading->came_count % 8));
    reading->came_count++;
    if (++reading->within == ranges[reading->range].count) {
      reading->range++;
      reading->within = 0;
    }
    return 1;
  }
  uint64_t before = 0;
  for (size_t i = 0; i < reading->request->range_count; i++) {
    if (number >= ranges[i].first && number - ranges[i].first < ranges[i].count) {
      uint64_t index = before + (number - ranges[i].first);
      if (!has_come(reading, index)) {
        reading->came[index / 8] |= (uint8_t)(1u << (index % 8));
        reading->came_count++;
        reading->range = reading->request->range_count; /* no rule any more */
        return 1;
      }
    }
    before += ranges[i].count;
  }
  return 0;
}

int gsq_reading_message(gsq_reading *reading, const uint8_t *data, size_t size,
                        gsq_error *error) {
  const gsq_read_request *request = reading->request;
  gsq_reader reader = gsq_reader_of(data, size);
  gsq_field field;
  gsq_page_in page;
  int more;
  while ((more = gsq_next_field(&reader, &field)) == 1) {
    if (field.number != 1) continue;
    if (gsq_page_read(&field, request->page_size, reading->plain, &page, error) != GSQ_OK) {
      return error->code;
    }
    if (page.version > request->version) return too_new(error, &page, request->version);
    int asked = tick_off(reading, page.number);
    if (!asked) {
      if (reading->credit_left < request->page_size) return beyond_credit(error, page.number);
      reading->credit_left -= request->page_size;
    }
    int code = reading->on_page(reading->arg, page.number, page.version, asked, page.data,
                                page.size, error);
    if (code) return code;
  }
  return more < 0 ? malformed(error, "ReadPages") : GSQ_OK;
}

int gsq_reading_check_complete(const gsq_reading *reading, gsq_error *error) {
  if (reading->came_count == reading->asked_count) return GSQ_OK;
  return gsq_error_set(
      error, GSQ_BAD_ANSWER, "the server sent %llu of the %llu pages asked for",
      (unsigned long long)reading->came_count, (unsigned long long)reading->asked_count);
}

void gsq_reading_end(gsq_reading *reading) {
  if (reading->came != reading->small) free(reading->came);
  reading->came = NULL;
  free(reading->plain);
  reading->plain = NULL;
}
