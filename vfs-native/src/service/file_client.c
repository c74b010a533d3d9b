#include "service/file_client.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/wire.h"
#include "service/file_answers.h"
#include "service/pages.h"

#define METHOD(name) "/grpc_vfs.Grpsqlite/" name

/* A field with a number: tag and varint. */
#define UINT_BYTES (1 + GSQ_MAX_VARINT_BYTES)
/* The tag and length before a field with bytes. */
#define BYTES_HEADER_BYTES (1 + GSQ_MAX_VARINT_BYTES)

static size_t text_size(const char *text) {
  return text ? strlen(text) : 0;
}

static uint8_t *put_text(uint8_t *to, uint32_t number, const char *text) {
  return gsq_put_bytes(to, number, text, text_size(text));
}

/* context = 1, lease_id = 2, file_name = 3, database = 4: what all requests about a file have.
 */
static size_t file_room(const gsq_file_ref *file) {
  return text_size(file->context) + text_size(file->lease_id) + text_size(file->file_name) +
         text_size(file->database) + 4 * BYTES_HEADER_BYTES;
}

static uint8_t *put_file(uint8_t *to, const gsq_file_ref *file) {
  to = put_text(to, 1, file->context);
  to = put_text(to, 2, file->lease_id);
  to = put_text(to, 3, file->file_name);
  return put_text(to, 4, file->database);
}

/* A request's head: on the stack if it is small. */
typedef struct head {
  uint8_t *bytes, *end;
  int flags; /* of the call */
  uint8_t small[512];
} head;

static int head_begin(head *to, size_t room, gsq_error *error) {
  error->sent_before = 0;
  to->bytes = room <= sizeof to->small ? to->small : malloc(room);
  to->end = to->bytes;
  to->flags = 0;
  return to->bytes ? GSQ_OK : gsq_error_nomem(error);
}

/* Calls with the head and up to one more piece, and frees the head. */
static int head_call(gsq_channel *channel, const char *method, head *from, const void *data,
                     size_t size, gsq_message_fn on_message, void *arg,
                     void (*on_retry)(void *), int64_t deadline_ms, gsq_error *error) {
  const struct iovec iov[] = {{from->bytes, (size_t)(from->end - from->bytes)},
                              {(void *)(uintptr_t)data, size}};
  const gsq_call call = {.method = method,
                         .request = iov,
                         .request_count = size ? 2 : 1,
                         .deadline_ms = deadline_ms,
                         .flags = from->flags,
                         .on_message = on_message,
                         .arg = arg,
                         .on_retry = on_retry};
  int code = gsq_channel_call(channel, &call, error);
  if (from->bytes != from->small) free(from->bytes);
  return code;
}

static int on_capabilities(void *arg, const uint8_t *data, size_t size, gsq_error *error) {
  return gsq_decode_file_capabilities(data, size, arg, error);
}

int gsq_file_get_capabilities(gsq_channel *channel, const char *token,
                              gsq_file_capabilities *out, int64_t deadline_ms,
                              gsq_error *error) {
  head request;
  if (head_begin(&request, text_size(token) + BYTES_HEADER_BYTES, error) != GSQ_OK) {
    return error->code;
  }
  request.end = put_text(request.end, 1, token);
  return head_call(channel, METHOD("GetCapabilities"), &request, NULL, 0, on_capabilities, out,
                   NULL, deadline_ms, error);
}

static int on_lease(void *arg, const uint8_t *data, size_t size, gsq_error *error) {
  return gsq_decode_file_lease(data, size, arg, error);
}

int gsq_file_acquire_lease(gsq_channel *channel, const char *context, const char *database,
                           char *lease_id, int64_t deadline_ms, gsq_error *error) {
  head request;
  size_t room = text_size(context) + text_size(database) + 2 * BYTES_HEADER_BYTES;
  if (head_begin(&request, room, error) != GSQ_OK) return error->code;
  request.end = put_text(request.end, 1, context);
  request.end = put_text(request.end, 2, database);
  return head_call(channel, METHOD("AcquireLease"), &request, NULL, 0, on_lease, lease_id, NULL,
                   deadline_ms, error);
}

int gsq_file_close(gsq_channel *channel, const gsq_file_ref *file, int64_t deadline_ms,
                   gsq_error *error) {
  head request;
  if (head_begin(&request, file_room(file), error) != GSQ_OK) return error->code;
  request.end = put_text(request.end, 1, file->context);
  request.end = put_text(request.end, 2, file->lease_id);
  request.end = put_text(request.end, 3, file->file_name);
  return head_call(channel, METHOD("Close"), &request, NULL, 0, NULL, NULL, NULL, deadline_ms,
                   error);
}

int gsq_file_heartbeat(gsq_channel *channel, const char *context, const char *lease_id,
                       int64_t deadline_ms, gsq_error *error) {
  head request;
  size_t room = text_size(context) + text_size(lease_id) + 2 * BYTES_HEADER_BYTES;
  if (head_begin(&request, room, error) != GSQ_OK) return error->code;
  request.end = put_text(request.end, 1, context);
  request.end = put_text(request.end, 2, lease_id);
  return head_call(channel, METHOD("HeartbeatLease"), &request, NULL, 0, NULL, NULL, NULL,
                   deadline_ms, error);
}

typedef struct file_reading {
  uint32_t length;
  uint64_t have_checksum;
  void *buffer;
  uint32_t *got;
  int *unchanged;
  int64_t *at_time_millis;
} file_reading;

static int on_read(void *arg, const uint8_t *data, size_t size, gsq_error *error) {
  file_reading *to = arg;
  return gsq_decode_file_read(data, size, to->length, to->have_checksum, to->buffer, to->got,
                              to->unchanged, to->at_time_millis, error);
}

int gsq_file_read(gsq_channel *channel, const gsq_file_ref *file, int64_t offset,
                  uint32_t length, int64_t time_millis, uint64_t have_checksum, void *buffer,
                  uint32_t *got, int *unchanged, int64_t *at_time_millis, int64_t deadline_ms,
                  gsq_error *error) {
  head request;
  if (head_begin(&request, file_room(file) + 4 * UINT_BYTES, error) != GSQ_OK) {
    return error->code;
  }
  request.end = put_file(request.end, file);
  request.end = gsq_put_uint(request.end, 5, (uint64_t)offset);
  request.end = gsq_put_uint(request.end, 6, length);
  request.end = gsq_put_uint(request.end, 7, (uint64_t)time_millis);
  request.end = gsq_put_uint(request.end, 8, have_checksum);
  file_reading to = {length, have_checksum, buffer, got, unchanged, at_time_millis};
  return head_call(channel, METHOD("Read"), &request, NULL, 0, on_read, &to, NULL, deadline_ms,
                   error);
}

int gsq_file_write(gsq_channel *channel, const gsq_file_ref *file, int64_t offset,
                   const void *data, uint32_t size, int64_t deadline_ms, gsq_error *error) {
  head request;
  size_t room = file_room(file) + 2 * UINT_BYTES + BYTES_HEADER_BYTES;
  if (head_begin(&request, room, error) != GSQ_OK) return error->code;
  request.end = put_file(request.end, file);
  request.end = gsq_put_uint(request.end, 5, (uint64_t)offset);
  request.end = gsq_put_uint(request.end, 7, gsq_checksum(data, size));
  /* Last, so that the data itself can follow from where it is. */
  request.end = gsq_put_varint(gsq_put_tag(request.end, 6, GSQ_BYTES), size);
  request.flags = GSQ_CALL_PATIENT;
  return head_call(channel, METHOD("Write"), &request, data, size, NULL, NULL, NULL,
                   deadline_ms, error);
}

int gsq_file_write_batch(gsq_channel *channel, const gsq_file_ref *file,
                         const gsq_file_write_ref *writes, size_t count, int64_t deadline_ms,
                         gsq_error *error) {
  error->sent_before = 0;
  if (count > INT_MAX / 4) {
    return gsq_error_set(error, GSQ_INVALID_ARGUMENT, "too many writes for a message");
  }
  /* Each write: its tag and length, context, lease_id, offset, checksum, data's tag and length.
   */
  size_t each = 2 * BYTES_HEADER_BYTES + 2 * UINT_BYTES + text_size(file->context) +
                text_size(file->lease_id) + 2 * BYTES_HEADER_BYTES;
  size_t slots = 1 + 2 * count;
  struct iovec *iov = malloc(slots * sizeof *iov + file_room(file) + count * each);
  if (!iov) return gsq_error_nomem(error);
  uint8_t *begin = (uint8_t *)(iov + slots), *end = put_file(begin, file);
  int used = 0;
  iov[used++] = (struct iovec){begin, (size_t)(end - begin)};
  for (size_t i = 0; i < count; i++) {
    /* Everything but the data, where the tag and length will be; then moved behind them. */
    uint8_t *inner = end + BYTES_HEADER_BYTES, *at = inner;
    at = put_text(at, 1, file->context);
    at = put_text(at, 2, file->lease_id);
    at = gsq_put_uint(at, 3, (uint64_t)writes[i].offset);
    at = gsq_put_uint(at, 5, gsq_checksum(writes[i].data, writes[i].size));
    at = gsq_put_varint(gsq_put_tag(at, 4, GSQ_BYTES), writes[i].size);
    size_t size = (size_t)(at - inner);
    begin = end;
    end = gsq_put_varint(gsq_put_tag(end, 5, GSQ_BYTES), size + writes[i].size);
    memmove(end, inner, size);
    end += size;
    iov[used++] = (struct iovec){begin, (size_t)(end - begin)};
    if (writes[i].size) {
      iov[used++] = (struct iovec){(void *)(uintptr_t)writes[i].data, writes[i].size};
    }
  }
  const gsq_call call = {.method = METHOD("AtomicWriteBatch"),
                         .request = iov,
                         .request_count = used,
                         .deadline_ms = deadline_ms,
                         .flags = GSQ_CALL_PATIENT};
  int code = gsq_channel_call(channel, &call, error);
  free(iov);
  return code;
}

static int on_size(void *arg, const uint8_t *data, size_t size, gsq_error *error) {
  return gsq_decode_file_size(data, size, arg, error);
}

int gsq_file_size(gsq_channel *channel, const gsq_file_ref *file, int64_t *size,
                  int64_t deadline_ms, gsq_error *error) {
  head request;
  if (head_begin(&request, file_room(file), error) != GSQ_OK) return error->code;
  request.end = put_file(request.end, file);
  return head_call(channel, METHOD("GetFileSize"), &request, NULL, 0, on_size, size, NULL,
                   deadline_ms, error);
}

int gsq_file_truncate(gsq_channel *channel, const gsq_file_ref *file, int64_t size,
                      int64_t deadline_ms, gsq_error *error) {
  head request;
  if (head_begin(&request, file_room(file) + UINT_BYTES, error) != GSQ_OK) return error->code;
  request.end = put_file(request.end, file);
  request.end = gsq_put_uint(request.end, 5, (uint64_t)size);
  request.flags = GSQ_CALL_PATIENT;
  return head_call(channel, METHOD("Truncate"), &request, NULL, 0, NULL, NULL, NULL,
                   deadline_ms, error);
}

int gsq_file_delete(gsq_channel *channel, const gsq_file_ref *file, int64_t deadline_ms,
                    gsq_error *error) {
  head request;
  if (head_begin(&request, file_room(file), error) != GSQ_OK) return error->code;
  request.end = put_file(request.end, file);
  request.flags = GSQ_CALL_PATIENT;
  return head_call(channel, METHOD("Delete"), &request, NULL, 0, NULL, NULL, NULL, deadline_ms,
                   error);
}

static int on_pragma(void *arg, const uint8_t *data, size_t size, gsq_error *error) {
  return gsq_decode_file_pragma(data, size, arg, error);
}

static void forget_pragma(void *arg) {
  char **response = arg;
  free(*response);
  *response = NULL;
}

int gsq_file_pragma(gsq_channel *channel, const gsq_file_ref *file, const char *name,
                    const char *value, char **response, int64_t deadline_ms, gsq_error *error) {
  head request;
  *response = NULL;
  size_t room = file_room(file) + text_size(name) + text_size(value) + 2 * BYTES_HEADER_BYTES;
  if (head_begin(&request, room, error) != GSQ_OK) return error->code;
  request.end = put_file(request.end, file);
  request.end = put_text(request.end, 5, name);
  request.end = put_text(request.end, 6, value);
  /* Whatever a server's own PRAGMA does, it may do it again if it is asked again. */
  request.flags = GSQ_CALL_PATIENT | GSQ_CALL_ONCE;
  int code = head_call(channel, METHOD("Pragma"), &request, NULL, 0, on_pragma, response,
                       forget_pragma, deadline_ms, error);
  if (code != GSQ_OK) forget_pragma(response);
  return code;
}
