#include "service/page_client.h"

#include <limits.h>
#include <pb_encode.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/wire.h"
#include "grpsqlite/v1/page_store.pb.h"
#include "service/page_answers.h"
#include "service/pages.h"

#define METHOD(name) "/grpsqlite.v1.PageStore/" name

int gsq_id_random(gsq_id *out) {
  return getrandom(out->bytes, sizeof out->bytes, 0) == (ssize_t)sizeof out->bytes ? 0 : -1;
}

#define ID_TO(field, id) memcpy(field, (id)->bytes, GSQ_ID_BYTES)
#define OPTIONAL_ID_TO(field, id)                       \
  do {                                                  \
    if (id) {                                           \
      (field).size = GSQ_ID_BYTES;                      \
      memcpy((field).bytes, (id)->bytes, GSQ_ID_BYTES); \
    }                                                   \
  } while (0)

/* The buffers below are sized for every field at its largest; so this fails for no message. */
static int encode(const pb_msgdesc_t *fields, const void *message, uint8_t *to, size_t room,
                  size_t *size, gsq_error *error) {
  pb_ostream_t stream = pb_ostream_from_buffer(to, room);
  *size = 0; /* gcc does not see that what follows is an error, and warns of its use */
  if (!pb_encode(&stream, fields, message)) {
    return gsq_error_set(error, GSQ_INVALID_ARGUMENT, "a request cannot be encoded (%s)",
                         PB_GET_ERROR(&stream));
  }
  *size = stream.bytes_written;
  return GSQ_OK;
}

static int call_with(const gsq_page_client *client, const char *method,
                     const struct iovec *request, int count, int flags,
                     gsq_message_fn on_message, void (*on_retry)(void *), void *arg,
                     int64_t deadline_ms, gsq_error *error) {
  const gsq_call call = {.method = method,
                         .request = request,
                         .request_count = count,
                         .deadline_ms = deadline_ms,
                         .flags = flags,
                         .on_message = on_message,
                         .arg = arg,
                         .on_retry = on_retry};
  return gsq_channel_call(client->channel, &call, error);
}

static int call_simple(const gsq_page_client *client, const char *method,
                       const uint8_t *request, size_t size, gsq_message_fn on_message,
                       void *arg, int64_t deadline_ms, gsq_error *error) {
  const struct iovec iov = {(void *)(uintptr_t)request, size};
  return call_with(client, method, &iov, 1, 0, on_message, NULL, arg, deadline_ms, error);
}

/* ---- sessions ---- */

static int on_open_session(void *arg, const uint8_t *data, size_t size, gsq_error *error) {
  return gsq_decode_open_session(data, size, arg, error);
}

int gsq_open_session(const gsq_page_client *client, const char *client_name,
                     gsq_session_info *out, int64_t deadline_ms, gsq_error *error) {
  grpsqlite_v1_OpenSessionRequest request = grpsqlite_v1_OpenSessionRequest_init_zero;
  ID_TO(request.session_id, &client->session);
  strncpy(request.client_name, client_name, sizeof request.client_name - 1);
  /* Not half a character: it has to be UTF-8. */
  size_t end = strlen(request.client_name);
  if (client_name[end]) {
    while (end > 0 && ((unsigned char)request.client_name[end - 1] & 0xc0) == 0x80) end--;
    if (end > 0 && ((unsigned char)request.client_name[end - 1] & 0x80)) end--;
    request.client_name[end] = 0;
  }
  uint8_t bytes[grpsqlite_v1_OpenSessionRequest_size];
  size_t size;
  int code = encode(grpsqlite_v1_OpenSessionRequest_fields, &request, bytes, sizeof bytes,
                    &size, error);
  if (code != GSQ_OK) return code;
  return call_simple(client, METHOD("OpenSession"), bytes, size, on_open_session, out,
                     deadline_ms, error);
}

typedef struct keep_alive {
  gsq_kept_alive *out;
  gsq_id *lost;
  size_t max_lost, *lost_count;
} keep_alive;

static int on_keep_alive(void *arg, const uint8_t *data, size_t size, gsq_error *error) {
  keep_alive *to = arg;
  return gsq_decode_keep_alive(data, size, to->out, to->lost, to->max_lost, to->lost_count,
                               error);
}

/* View, with its tag and length. */
#define VIEW_BYTES (2 + grpsqlite_v1_View_size)

int gsq_keep_alive(const gsq_page_client *client, const gsq_view *views, size_t view_count,
                   gsq_kept_alive *out, gsq_id *lost, size_t max_lost, size_t *lost_count,
                   int64_t deadline_ms, gsq_error *error) {
  error->sent_before = 0;
  *lost_count = 0;
  size_t room = 2 + GSQ_ID_BYTES + view_count * VIEW_BYTES;
  uint8_t *bytes = malloc(room);
  if (!bytes) return gsq_error_nomem(error);
  uint8_t *end = gsq_put_bytes(bytes, 1, client->session.bytes, GSQ_ID_BYTES);
  for (size_t i = 0; i < view_count; i++) {
    uint8_t view[VIEW_BYTES], *at = view;
    at = gsq_put_bytes(at, 1, views[i].database.bytes, GSQ_ID_BYTES);
    at = gsq_put_uint(at, 2, views[i].view);
    at = gsq_put_uint(at, 3, views[i].floor_version);
    at = gsq_put_uint(at, 4, views[i].closed != 0);
    end = gsq_put_bytes(end, 2, view, (size_t)(at - view));
  }
  keep_alive to = {out, lost, max_lost, lost_count};
  int code = call_simple(client, METHOD("KeepAlive"), bytes, (size_t)(end - bytes),
                         on_keep_alive, &to, deadline_ms, error);
  if (code != GSQ_OK) *lost_count = 0;
  free(bytes);
  return code;
}

int gsq_close_session(const gsq_page_client *client, int64_t deadline_ms, gsq_error *error) {
  uint8_t bytes[2 + GSQ_ID_BYTES];
  uint8_t *end = gsq_put_bytes(bytes, 1, client->session.bytes, GSQ_ID_BYTES);
  return call_simple(client, METHOD("CloseSession"), bytes, (size_t)(end - bytes), NULL, NULL,
                     deadline_ms, error);
}

/* ---- databases ---- */

typedef struct opening {
  const gsq_open_request *request;
  gsq_open_answer *out;
  gsq_page_fn on_page;
  void *arg;
} opening;

static int on_open_database(void *arg, const uint8_t *data, size_t size, gsq_error *error) {
  opening *to = arg;
  return gsq_decode_open_database(data, size, to->request, to->out, to->on_page, to->arg,
                                  error);
}

int gsq_open_database(const gsq_page_client *client, const gsq_open_request *request,
                      gsq_open_answer *out, gsq_page_fn on_page, void *arg, int64_t deadline_ms,
                      gsq_error *error) {
  error->sent_before = 0;
  grpsqlite_v1_OpenDatabaseRequest message = grpsqlite_v1_OpenDatabaseRequest_init_zero;
  size_t name_size = strlen(request->name);
  if (name_size >= sizeof message.name) {
    return gsq_error_set(error, GSQ_INVALID_ARGUMENT,
                         "a database's name has at most %zu bytes; this one has %zu",
                         sizeof message.name - 1, name_size);
  }
  ID_TO(message.session_id, &client->session);
  memcpy(message.name, request->name, name_size + 1);
  message.create = request->create != 0;
  message.read_only = request->read_only != 0;
  message.view = request->view;
  message.prefetch_credit_bytes = request->prefetch_credit_bytes;
  message.accept_lz4 = request->accept_lz4 != 0;
  message.read_delegation_ms = request->read_delegation_ms;
  if (request->at_version_given) {
    message.which_at = grpsqlite_v1_OpenDatabaseRequest_at_version_tag;
    message.at.at_version = request->at_version;
  }
  uint8_t bytes[grpsqlite_v1_OpenDatabaseRequest_size + 32];
  size_t size;
  int code = encode(grpsqlite_v1_OpenDatabaseRequest_fields, &message, bytes,
                    grpsqlite_v1_OpenDatabaseRequest_size, &size, error);
  if (code != GSQ_OK) return code;
  if (request->at_time_given && !request->at_version_given) {
    uint8_t time[2 * (1 + GSQ_MAX_VARINT_BYTES)], *end = time;
    end = gsq_put_uint(end, 1, (uint64_t)request->at_time_seconds);
    end = gsq_put_uint(end, 2, (uint64_t)(int64_t)request->at_time_nanos);
    uint8_t *at = bytes + size; /* also if it is empty: the epoch itself */
    at = gsq_put_varint(gsq_put_tag(at, 7, GSQ_BYTES), (uint64_t)(end - time));
    memcpy(at, time, (size_t)(end - time));
    size = (size_t)(at + (end - time) - bytes);
  }
  opening to = {request, out, on_page, arg};
  return call_simple(client, METHOD("OpenDatabase"), bytes, size, on_open_database, &to,
                     deadline_ms, error);
}

typedef struct refreshing {
  const gsq_refresh_request *request;
  gsq_refresh_answer *out;
} refreshing;

static int on_refresh(void *arg, const uint8_t *data, size_t size, gsq_error *error) {
  const refreshing *to = arg;
  return gsq_decode_refresh(data, size, to->request, to->out, error);
}

static void forget_refresh(void *arg) {
  gsq_changes_free(&((refreshing *)arg)->out->changes);
}

int gsq_refresh(const gsq_page_client *client, const gsq_refresh_request *request,
                gsq_refresh_answer *out, int64_t deadline_ms, gsq_error *error) {
  error->sent_before = 0;
  memset(out, 0, sizeof *out);
  grpsqlite_v1_RefreshRequest message = grpsqlite_v1_RefreshRequest_init_zero;
  ID_TO(message.session_id, &client->session);
  ID_TO(message.database_id, &request->database);
  message.have_version = request->have.version;
  message.have_mark = request->have.mark;
  message.floor_version = request->floor_version;
  message.read_delegation_ms = request->read_delegation_ms;
  uint8_t bytes[grpsqlite_v1_RefreshRequest_size];
  size_t size;
  int code =
      encode(grpsqlite_v1_RefreshRequest_fields, &message, bytes, sizeof bytes, &size, error);
  if (code != GSQ_OK) return code;
  refreshing to = {request, out};
  const struct iovec iov = {bytes, size};
  code = call_with(client, METHOD("Refresh"), &iov, 1, 0, on_refresh, forget_refresh, &to,
                   deadline_ms, error);
  if (code != GSQ_OK) gsq_changes_free(&out->changes);
  return code;
}

/* One ReadPages, and what becomes of it if it goes on after it has answered. */
struct gsq_page_rest {
  gsq_reading reading;
  gsq_read_request
      request; /* what it is checked against; without the ranges, which have come */
  gsq_stream *stream;
  int may_pause;
};

static int on_pages(void *arg, const uint8_t *data, size_t size, gsq_error *error) {
  gsq_page_rest *it = arg;
  int code = gsq_reading_message(&it->reading, data, size, error);
  if (code != GSQ_OK || !it->may_pause) return code;
  return it->reading.came_count == it->reading.asked_count ? GSQ_PAUSE : GSQ_OK;
}

static void forget_pages(void *arg) {
  gsq_reading_restart(&((gsq_page_rest *)arg)->reading);
}

/* PageRange, with its tag and length. */
#define RANGE_BYTES (2 + 2 * 6)

/* Makes the call for `it`, whose reading has begun. */
static int read_pages(const gsq_page_client *client, gsq_page_rest *it, int64_t deadline_ms,
                      gsq_error *error) {
  const gsq_read_request *request = it->reading.request;
  grpsqlite_v1_ReadPagesRequest message = grpsqlite_v1_ReadPagesRequest_init_zero;
  ID_TO(message.session_id, &client->session);
  ID_TO(message.database_id, &request->database);
  message.version = request->version;
  message.mark = request->mark;
  OPTIONAL_ID_TO(message.stage_id, request->stage);
  message.prefetch_credit_bytes = request->prefetch_credit_bytes;
  message.accept_lz4 = request->accept_lz4 != 0;

  uint8_t small[grpsqlite_v1_ReadPagesRequest_size + 16 * RANGE_BYTES], *bytes = small;
  size_t size;
  if (request->range_count > 16) {
    bytes = malloc(grpsqlite_v1_ReadPagesRequest_size + request->range_count * RANGE_BYTES);
    if (!bytes) return gsq_error_nomem(error);
  }
  int code = encode(grpsqlite_v1_ReadPagesRequest_fields, &message, bytes,
                    grpsqlite_v1_ReadPagesRequest_size, &size, error);
  if (code == GSQ_OK) {
    uint8_t *end = bytes + size;
    for (size_t i = 0; i < request->range_count; i++) {
      uint8_t range[RANGE_BYTES], *at = range;
      at = gsq_put_uint(at, 1, request->ranges[i].first);
      at = gsq_put_uint(at, 2, request->ranges[i].count);
      end = gsq_put_bytes(end, 4, range, (size_t)(at - range));
    }
    const struct iovec iov = {bytes, (size_t)(end - bytes)};
    const gsq_call call = {.method = METHOD("ReadPages"),
                           .request = &iov,
                           .request_count = 1,
                           .deadline_ms = deadline_ms,
                           .flags = GSQ_CALL_STREAM,
                           .on_message = on_pages,
                           .arg = it,
                           .on_retry = forget_pages};
    code = it->may_pause ? gsq_channel_stream(client->channel, &call, &it->stream, error)
                         : gsq_channel_call(client->channel, &call, error);
  }
  if (code == GSQ_OK) code = gsq_reading_check_complete(&it->reading, error);
  if (bytes != small) free(bytes);
  return code;
}

int gsq_read_pages(const gsq_page_client *client, const gsq_read_request *request,
                   gsq_page_fn on_page, void *arg, gsq_page_rest **rest, int64_t deadline_ms,
                   gsq_error *error) {
  error->sent_before = 0;
  gsq_page_rest here = {0}, *it = &here;
  if (rest) {
    *rest = NULL;
    if (request->prefetch_credit_bytes > 0) it = calloc(1, sizeof *it);
    if (!it) return gsq_error_nomem(error);
    it->may_pause = it != &here;
  }
  int code = gsq_reading_begin(&it->reading, request, on_page, arg, error);
  if (code == GSQ_OK) code = read_pages(client, it, deadline_ms, error);
  if (it->stream) {
    it->request = *request;
    it->request.ranges = NULL;
    it->request.range_count = 0;
    it->reading.request = &it->request;
    *rest = it;
    return code;
  }
  gsq_reading_end(&it->reading);
  if (it != &here) free(it);
  return code;
}

int gsq_page_rest_take(gsq_page_rest *rest, gsq_page_fn on_page, void *arg) {
  gsq_error ignored = {0};
  rest->reading.on_page = on_page;
  rest->reading.arg = arg;
  if (gsq_stream_go_on(rest->stream, &ignored) == GSQ_PAUSE) return 1;
  rest->stream = NULL;
  gsq_page_rest_abandon(rest);
  return 0;
}

void gsq_page_rest_abandon(gsq_page_rest *rest) {
  if (!rest) return;
  gsq_stream_abandon(rest->stream);
  gsq_reading_end(&rest->reading);
  free(rest);
}

/* ---- leases ---- */

typedef struct acquiring {
  const gsq_have *have;
  int at_any_version;
  gsq_lease_answer *out;
} acquiring;

static int on_lease(void *arg, const uint8_t *data, size_t size, gsq_error *error) {
  acquiring *to = arg;
  return gsq_decode_lease(data, size, to->have, to->at_any_version, to->out, error);
}

static void forget_lease(void *arg) {
  gsq_changes_free(&((acquiring *)arg)->out->changes);
}

int gsq_acquire_lease(const gsq_page_client *client, const gsq_id *database,
                      const gsq_have *have, int at_any_version, uint32_t wait_ms,
                      uint64_t floor_version, gsq_lease_answer *out, int64_t deadline_ms,
                      gsq_error *error) {
  error->sent_before = 0;
  memset(out, 0, sizeof *out);
  grpsqlite_v1_AcquireLeaseRequest request = grpsqlite_v1_AcquireLeaseRequest_init_zero;
  ID_TO(request.session_id, &client->session);
  ID_TO(request.database_id, database);
  request.have_version = have->version;
  request.have_mark = have->mark;
  request.at_any_version = at_any_version != 0;
  request.wait_ms = wait_ms;
  request.floor_version = floor_version;
  uint8_t bytes[grpsqlite_v1_AcquireLeaseRequest_size];
  size_t size;
  int code = encode(grpsqlite_v1_AcquireLeaseRequest_fields, &request, bytes, sizeof bytes,
                    &size, error);
  if (code != GSQ_OK) return code;
  acquiring to = {have, at_any_version, out};
  const struct iovec iov = {bytes, size};
  code = call_with(client, METHOD("AcquireLease"), &iov, 1, 0, on_lease, forget_lease, &to,
                   deadline_ms, error);
  if (code != GSQ_OK) gsq_changes_free(&out->changes);
  return code;
}

int gsq_release_lease(const gsq_page_client *client, const gsq_id *database, uint64_t epoch,
                      int64_t deadline_ms, gsq_error *error) {
  error->sent_before = 0;
  grpsqlite_v1_ReleaseLeaseRequest request = grpsqlite_v1_ReleaseLeaseRequest_init_zero;
  ID_TO(request.session_id, &client->session);
  ID_TO(request.database_id, database);
  request.epoch = epoch;
  uint8_t bytes[grpsqlite_v1_ReleaseLeaseRequest_size];
  size_t size;
  int code = encode(grpsqlite_v1_ReleaseLeaseRequest_fields, &request, bytes, sizeof bytes,
                    &size, error);
  if (code != GSQ_OK) return code;
  return call_simple(client, METHOD("ReleaseLease"), bytes, size, NULL, NULL, deadline_ms,
                     error);
}

/* ---- commits ---- */

static int call_with_pages(const gsq_page_client *client, const char *method, int flags,
                           const uint8_t *head, size_t head_size, uint32_t field,
                           uint32_t page_size, const gsq_page_ref *pages, size_t count,
                           gsq_message_fn on_message, void *arg, int64_t deadline_ms,
                           gsq_error *error) {
  struct iovec *iov;
  int iov_count;
  int code =
      gsq_pages_write(head, head_size, field, page_size, pages, count, &iov, &iov_count, error);
  if (code != GSQ_OK) return code;
  code = call_with(client, method, iov, iov_count, flags, on_message, NULL, arg, deadline_ms,
                   error);
  free(iov);
  return code;
}

static int stage(const gsq_page_client *client, const gsq_id *database, uint64_t epoch,
                 const gsq_id *id, int bulk, uint64_t call, uint32_t page_size,
                 const gsq_page_ref *pages, size_t count, int64_t deadline_ms,
                 gsq_error *error) {
  error->sent_before = 0;
  grpsqlite_v1_StagePagesRequest request = grpsqlite_v1_StagePagesRequest_init_zero;
  ID_TO(request.session_id, &client->session);
  ID_TO(request.database_id, database);
  request.epoch = epoch;
  ID_TO(request.stage_id, id);
  request.page_size = page_size;
  request.bulk = bulk;
  request.call = call;
  uint8_t bytes[grpsqlite_v1_StagePagesRequest_size];
  size_t size;
  int code = encode(grpsqlite_v1_StagePagesRequest_fields, &request, bytes, sizeof bytes, &size,
                    error);
  if (code != GSQ_OK) return code;
  return call_with_pages(client, METHOD("StagePages"), 0, bytes, size, 6, page_size, pages,
                         count, NULL, NULL, deadline_ms, error);
}

int gsq_stage_pages(const gsq_page_client *client, const gsq_id *database, uint64_t epoch,
                    const gsq_id *id, uint64_t call, uint32_t page_size,
                    const gsq_page_ref *pages, size_t count, int64_t deadline_ms,
                    gsq_error *error) {
  return stage(client, database, epoch, id, 0, call, page_size, pages, count, deadline_ms,
               error);
}

int gsq_stage_in_bulk(const gsq_page_client *client, const gsq_id *database, uint64_t epoch,
                      const gsq_id *id, uint32_t page_size, const gsq_page_ref *pages,
                      size_t count, int64_t deadline_ms, gsq_error *error) {
  return stage(client, database, epoch, id, 1, 0, page_size, pages, count, deadline_ms, error);
}

int gsq_drop_stage(const gsq_page_client *client, const gsq_id *database, const gsq_id *stage,
                   int64_t deadline_ms, gsq_error *error) {
  error->sent_before = 0;
  grpsqlite_v1_DropStageRequest request = grpsqlite_v1_DropStageRequest_init_zero;
  ID_TO(request.session_id, &client->session);
  ID_TO(request.database_id, database);
  ID_TO(request.stage_id, stage);
  uint8_t bytes[grpsqlite_v1_DropStageRequest_size];
  size_t size;
  int code =
      encode(grpsqlite_v1_DropStageRequest_fields, &request, bytes, sizeof bytes, &size, error);
  if (code != GSQ_OK) return code;
  return call_simple(client, METHOD("DropStage"), bytes, size, NULL, NULL, deadline_ms, error);
}

typedef struct committing {
  uint64_t base_version, *version;
} committing;

static int on_commit(void *arg, const uint8_t *data, size_t size, gsq_error *error) {
  committing *to = arg;
  return gsq_decode_commit(data, size, to->base_version, to->version, error);
}

/* A CommitRequest, its pages aside. */
static int encode_commit(const gsq_page_client *client, const gsq_commit_request *request,
                         uint8_t *to, size_t *size, gsq_error *error) {
  grpsqlite_v1_CommitRequest message = grpsqlite_v1_CommitRequest_init_zero;
  ID_TO(message.session_id, &client->session);
  ID_TO(message.database_id, &request->database);
  message.epoch = request->epoch;
  ID_TO(message.commit_id, &request->commit);
  message.base_version = request->base_version;
  message.page_size = request->page_size;
  message.page_count = request->page_count;
  OPTIONAL_ID_TO(message.stage_id, request->stage);
  message.floor_version = request->floor_version;
  return encode(grpsqlite_v1_CommitRequest_fields, &message, to,
                grpsqlite_v1_CommitRequest_size, size, error);
}

int gsq_commit(const gsq_page_client *client, const gsq_commit_request *request,
               uint64_t *version, int64_t deadline_ms, gsq_error *error) {
  error->sent_before = 0;
  uint8_t bytes[grpsqlite_v1_CommitRequest_size];
  size_t size;
  int code = encode_commit(client, request, bytes, &size, error);
  if (code != GSQ_OK) return code;
  committing to = {request->base_version, version};
  return call_with_pages(client, METHOD("Commit"), 0, bytes, size, 9, request->page_size,
                         request->pages, request->count, on_commit, &to, deadline_ms, error);
}

typedef struct committing_group {
  const gsq_commit_request *const *requests;
  size_t count;
  uint64_t *versions;
} committing_group;

static int on_commit_group(void *arg, const uint8_t *data, size_t size, gsq_error *error) {
  committing_group *to = arg;
  return gsq_decode_commit_group(data, size, to->requests, to->count, to->versions, error);
}

/* What a commit in a group has before its own bytes: tag and length. The group's session id goes
** before the first. */
#define PREFIX_BYTES (1 + GSQ_MAX_VARINT_BYTES + 2 + GSQ_ID_BYTES)
_Static_assert(PREFIX_BYTES + grpsqlite_v1_CommitRequest_size <= GSQ_MESSAGE_OVERHEAD_BYTES,
               "what a commit needs beside pages");

/* One commit of a group: *iov, malloc'ed, refers to `head`, where PREFIX_BYTES and the message
** have room, and to the pages. */
static int write_group_commit(const gsq_page_client *client, const gsq_commit_request *request,
                              int first, uint8_t *head, struct iovec **iov, int *iov_count,
                              gsq_error *error) {
  size_t size;
  int code = encode_commit(client, request, head + PREFIX_BYTES, &size, error);
  if (code != GSQ_OK) return code;
  code = gsq_pages_write(head + PREFIX_BYTES, size, 9, request->page_size, request->pages,
                         request->count, iov, iov_count, error);
  if (code != GSQ_OK) return code;
  uint64_t length = 0;
  for (int i = 0; i < *iov_count; i++) length += (*iov)[i].iov_len;
  uint8_t prefix[PREFIX_BYTES], *end = prefix;
  if (first) end = gsq_put_bytes(end, 1, client->session.bytes, GSQ_ID_BYTES);
  end = gsq_put_varint(gsq_put_tag(end, 2, GSQ_BYTES), length);
  const size_t prefix_size = (size_t)(end - prefix);
  uint8_t *start = head + PREFIX_BYTES - prefix_size;
  memcpy(start, prefix, prefix_size);
  (*iov)[0] = (struct iovec){start, prefix_size + size};
  return GSQ_OK;
}

int gsq_commit_group(const gsq_page_client *client, const gsq_commit_request *const *requests,
                     size_t count, uint64_t *versions, int64_t deadline_ms, gsq_error *error) {
  const size_t head_room = PREFIX_BYTES + grpsqlite_v1_CommitRequest_size;
  struct iovec *parts[GSQ_MAX_GROUP] = {0}, *all = NULL;
  int part_counts[GSQ_MAX_GROUP];
  error->sent_before = 0;
  if (count == 0 || count > GSQ_MAX_GROUP) {
    return gsq_error_set(error, GSQ_INVALID_ARGUMENT, "%zu databases in one commit", count);
  }
  int code = GSQ_OK;
  size_t iov_count = 0;
  uint8_t *heads = malloc(count * head_room);
  if (!heads) return gsq_error_nomem(error);
  for (size_t i = 0; i < count; i++) {
    code = write_group_commit(client, requests[i], i == 0, heads + i * head_room, &parts[i],
                              &part_counts[i], error);
    if (code != GSQ_OK) goto out;
    iov_count += (size_t)part_counts[i];
  }
  all = iov_count <= INT_MAX ? malloc(iov_count * sizeof *all) : NULL;
  if (!all) {
    code = gsq_error_nomem(error);
    goto out;
  }
  struct iovec *end = all;
  for (size_t i = 0; i < count; i++) {
    memcpy(end, parts[i], (size_t)part_counts[i] * sizeof *end);
    end += part_counts[i];
  }
  committing_group to = {requests, count, versions};
  code = call_with(client, METHOD("CommitGroup"), all, (int)iov_count, 0, on_commit_group, NULL,
                   &to, deadline_ms, error);
out:
  free(all);
  for (size_t i = 0; i < count; i++) free(parts[i]);
  free(heads);
  return code;
}

/* ---- watching ---- */

static int on_watch(void *arg, const uint8_t *data, size_t size, gsq_error *error) {
  const gsq_watch_request *request = arg;
  gsq_watch_event event;
  int code = gsq_decode_watch(data, size, &event, error);
  if (code != GSQ_OK) return code;
  code = request->on_event(request->arg, &event, error);
  gsq_changes_free(&event.changes);
  return code;
}

static int on_watch_turn(void *arg, int64_t *until_ms, gsq_error *error) {
  const gsq_watch_request *request = arg;
  return request->on_turn(request->arg, until_ms, error);
}

int gsq_watch(const gsq_page_client *client, const gsq_watch_request *request,
              int64_t deadline_ms, gsq_error *error) {
  error->sent_before = 0;
  uint8_t *bytes =
      malloc(2 + GSQ_ID_BYTES + 2 * GSQ_MAX_VARINT_BYTES + request->count * GSQ_WATCHED_BYTES);
  if (!bytes) return gsq_error_nomem(error);
  uint8_t *end = gsq_put_bytes(bytes, 1, client->session.bytes, GSQ_ID_BYTES);
  for (size_t i = 0; i < request->count; i++) {
    uint8_t watched[GSQ_WATCHED_BYTES], *at = watched;
    at = gsq_put_bytes(at, 1, request->databases[i].database.bytes, GSQ_ID_BYTES);
    at = gsq_put_uint(at, 2, request->databases[i].have.version);
    const uint64_t mark = request->databases[i].have.mark;
    if (mark) at = gsq_put_fixed64(gsq_put_tag(at, 3, GSQ_FIXED64), mark);
    end = gsq_put_bytes(end, 2, watched, (size_t)(at - watched));
  }
  end = gsq_put_uint(end, 3, request->confirm_every_ms);
  const struct iovec iov = {bytes, (size_t)(end - bytes)};
  const gsq_call call = {.method = METHOD("Watch"),
                         .request = &iov,
                         .request_count = 1,
                         .deadline_ms = deadline_ms,
                         .flags = GSQ_CALL_STREAM | GSQ_CALL_NO_RETRY,
                         .on_message = on_watch,
                         .arg = (void *)(uintptr_t)request,
                         .on_turn = on_watch_turn,
                         .wake_fd = request->wake_fd,
                         .connect_timeout_ms = request->connect_timeout_ms};
  int code = gsq_channel_call(client->channel, &call, error);
  free(bytes);
  return code;
}
