#include "service/file_answers.h"

#include <stdlib.h>
#include <string.h>

#include "base/wire.h"
#include "service/pages.h"

#define DEFAULT_HEARTBEAT_MS 5000

static int malformed(gsq_error *error, const char *what) {
  return gsq_error_set(error, GSQ_BAD_ANSWER, "the server's answer to %s cannot be decoded",
                       what);
}

/* Copies a string that has to fit; it has no NUL. 0 if it does not. */
static int copy_text(const gsq_field *field, char *out, size_t room) {
  if (field->type != GSQ_BYTES || field->size >= room || memchr(field->data, 0, field->size)) {
    return 0;
  }
  memcpy(out, field->data, field->size);
  out[field->size] = 0;
  return 1;
}

int gsq_decode_file_capabilities(const uint8_t *data, size_t size, gsq_file_capabilities *out,
                                 gsq_error *error) {
  gsq_reader reader = gsq_reader_of(data, size);
  gsq_field field;
  int more;
  int64_t sector = 0, heartbeat = 0;
  memset(out, 0, sizeof *out);
  while ((more = gsq_next_field(&reader, &field)) == 1) {
    if (field.number == 1) {
      if (!copy_text(&field, out->context, sizeof out->context)) {
        return gsq_error_set(error, GSQ_BAD_ANSWER,
                             "the server's context has %zu bytes; it may have %zu at most",
                             field.size, sizeof out->context - 1);
      }
      continue;
    }
    if (field.number > 5) continue;
    if (field.type != GSQ_VARINT) return malformed(error, "GetCapabilities");
    if (field.number == 2) out->atomic_batch = field.value != 0;
    if (field.number == 3) out->point_in_time_reads = field.value != 0;
    if (field.number == 4) sector = (int64_t)field.value;
    if (field.number == 5) heartbeat = (int64_t)field.value;
  }
  if (more < 0 || sector < 0 || sector > INT32_MAX || heartbeat < 0) {
    return malformed(error, "GetCapabilities");
  }
  out->sector_size = (int32_t)sector;
  out->heartbeat_interval_ms = heartbeat ? heartbeat : DEFAULT_HEARTBEAT_MS;
  return GSQ_OK;
}

int gsq_decode_file_lease(const uint8_t *data, size_t size, char *lease_id, gsq_error *error) {
  gsq_reader reader = gsq_reader_of(data, size);
  gsq_field field;
  int more;
  lease_id[0] = 0;
  while ((more = gsq_next_field(&reader, &field)) == 1) {
    if (field.number == 1 && !copy_text(&field, lease_id, GSQ_FILE_TEXT_BYTES)) {
      return gsq_error_set(error, GSQ_BAD_ANSWER,
                           "the server's lease id has %zu bytes; it may have %d at most",
                           field.size, GSQ_FILE_TEXT_BYTES - 1);
    }
  }
  return more < 0 ? malformed(error, "AcquireLease") : GSQ_OK;
}

int gsq_decode_file_read(const uint8_t *data, size_t size, uint32_t length,
                         uint64_t have_checksum, void *buffer, uint32_t *got, int *unchanged,
                         int64_t *at_time_millis, gsq_error *error) {
  gsq_reader reader = gsq_reader_of(data, size);
  gsq_field field, content = {0};
  uint64_t checksum = 0, time = 0;
  int more;
  while ((more = gsq_next_field(&reader, &field)) == 1) {
    if (field.number > 3) continue;
    if (field.type != (field.number == 1 ? GSQ_BYTES : GSQ_VARINT)) {
      return malformed(error, "Read");
    }
    if (field.number == 1) content = field;
    if (field.number == 2) time = field.value;
    if (field.number == 3) checksum = field.value;
  }
  if (more < 0) return malformed(error, "Read");
  if (content.size > length) {
    return gsq_error_set(error, GSQ_BAD_ANSWER,
                         "the server sent %zu bytes, where %u were asked for", content.size,
                         length);
  }
  *unchanged = content.size == 0 && have_checksum != 0 && checksum == have_checksum;
  if (content.size > 0 && checksum != 0 &&
      checksum != gsq_checksum(content.data, content.size)) {
    return gsq_error_set(error, GSQ_DATA_LOSS,
                         "%zu bytes came damaged: their checksum is wrong", content.size);
  }
  if (content.size > 0) memcpy(buffer, content.data, content.size);
  *got = (uint32_t)content.size;
  *at_time_millis = (int64_t)time;
  return GSQ_OK;
}

int gsq_decode_file_size(const uint8_t *data, size_t size, int64_t *out, gsq_error *error) {
  gsq_reader reader = gsq_reader_of(data, size);
  gsq_field field;
  int more;
  uint64_t value = 0;
  while ((more = gsq_next_field(&reader, &field)) == 1) {
    if (field.number != 1) continue;
    if (field.type != GSQ_VARINT) return malformed(error, "GetFileSize");
    value = field.value;
  }
  if (more < 0) return malformed(error, "GetFileSize");
  if (value > INT64_MAX) {
    return gsq_error_set(error, GSQ_BAD_ANSWER, "the server says that a file has %lld bytes",
                         (long long)value);
  }
  *out = (int64_t)value;
  return GSQ_OK;
}

int gsq_decode_file_pragma(const uint8_t *data, size_t size, char **response,
                           gsq_error *error) {
  gsq_reader reader = gsq_reader_of(data, size);
  gsq_field field, text = {0};
  int more;
  *response = NULL;
  while ((more = gsq_next_field(&reader, &field)) == 1) {
    if (field.number != 1) continue;
    if (field.type != GSQ_BYTES) return malformed(error, "Pragma");
    text = field;
  }
  if (more < 0) return malformed(error, "Pragma");
  if (text.size == 0) return GSQ_OK;
  *response = malloc(text.size + 1);
  if (!*response) return gsq_error_nomem(error);
  memcpy(*response, text.data, text.size);
  (*response)[text.size] = 0;
  return GSQ_OK;
}
