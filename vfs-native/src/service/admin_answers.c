#include "service/admin_answers.h"

#include <stdlib.h>
#include <string.h>

#include "base/wire.h"
#include "service/pages.h"

/* Of google.protobuf.Timestamp: the years 1 to 9999. */
#define FIRST_SECOND (-62135596800LL)
#define LAST_SECOND 253402300799LL

static int malformed(gsq_error *error, const char *method) {
  return gsq_error_set(error, GSQ_BAD_ANSWER, "the server's answer to %s cannot be decoded",
                       method);
}

/* google.protobuf.Timestamp */
static int read_time(const gsq_field *from, gsq_version_info *out) {
  gsq_reader reader = gsq_reader_of(from->data, from->size);
  gsq_field field;
  int more;
  int64_t nanos = 0;
  if (from->type != GSQ_BYTES) return 0;
  out->committed_at_seconds = 0;
  while ((more = gsq_next_field(&reader, &field)) == 1) {
    if (field.number > 2) continue;
    if (field.type != GSQ_VARINT) return 0;
    if (field.number == 1) out->committed_at_seconds = (int64_t)field.value;
    if (field.number == 2) nanos = (int64_t)field.value;
  }
  out->committed_at_nanos = (int32_t)nanos;
  return more == 0 && out->committed_at_seconds >= FIRST_SECOND &&
         out->committed_at_seconds <= LAST_SECOND && nanos >= 0 && nanos <= 999999999;
}

/* VersionInfo */
static int read_version(const gsq_field *from, gsq_version_info *out) {
  gsq_reader reader = gsq_reader_of(from->data, from->size);
  gsq_field field;
  int more;
  memset(out, 0, sizeof *out);
  while ((more = gsq_next_field(&reader, &field)) == 1) {
    if (field.number == 2) {
      if (!read_time(&field, out)) return 0;
      continue;
    }
    if (field.number > 5) continue;
    if (field.type != GSQ_VARINT) return 0;
    if (field.number == 1) out->version = field.value;
    if (field.number != 1 && field.value > UINT32_MAX) return 0;
    if (field.number == 3) out->pages_changed = (uint32_t)field.value;
    if (field.number == 4) out->page_size = (uint32_t)field.value;
    if (field.number == 5) out->page_count = (uint32_t)field.value;
  }
  if (more < 0 || out->version > INT64_MAX) return 0;
  return out->page_size == 0 ? out->page_count == 0 : gsq_is_page_size(out->page_size);
}

static int read_token(const gsq_field *from, char *out) {
  if (from->type != GSQ_BYTES || from->size >= GSQ_PAGE_TOKEN_BYTES ||
      memchr(from->data, 0, from->size)) {
    return 0;
  }
  memcpy(out, from->data, from->size);
  out[from->size] = 0;
  return 1;
}

static int read_list(gsq_reader reader, uint64_t below, gsq_version_list *out) {
  gsq_field field;
  size_t count = 0;
  while (gsq_next_field(&reader, &field) == 1) {
    if (field.number == 1) {
      gsq_version_info *info = &out->versions[count++];
      if (!read_version(&field, info) || info->version >= below) return 0;
      below = info->version;
    }
    if (field.number == 2 && !read_token(&field, out->next)) return 0;
  }
  /* Else it would go on for ever. */
  return out->count > 0 || !out->next[0];
}

void gsq_version_list_free(gsq_version_list *list) {
  free(list->versions);
  memset(list, 0, sizeof *list);
}

int gsq_decode_list_versions(const uint8_t *data, size_t size, uint32_t limit, uint64_t below,
                             gsq_version_list *out, gsq_error *error) {
  gsq_reader reader = gsq_reader_of(data, size);
  gsq_field field;
  int more;
  size_t count = 0;
  memset(out, 0, sizeof *out);
  while ((more = gsq_next_field(&reader, &field)) == 1) {
    if (field.number != 1) continue;
    if (field.type != GSQ_BYTES) return malformed(error, "ListVersions");
    count++;
  }
  if (more < 0) return malformed(error, "ListVersions");
  if (count > limit) {
    return gsq_error_set(error, GSQ_BAD_ANSWER,
                         "the server listed %zu versions, where %u were asked for", count,
                         limit);
  }
  out->versions = malloc((count + 1) * sizeof *out->versions);
  if (!out->versions) return gsq_error_nomem(error);
  out->count = count;
  if (!read_list(gsq_reader_of(data, size), below, out)) {
    gsq_version_list_free(out);
    return gsq_error_set(error, GSQ_BAD_ANSWER, "the server's list of versions makes no sense");
  }
  return GSQ_OK;
}

int gsq_decode_fork(const uint8_t *data, size_t size, gsq_error *error) {
  gsq_reader reader = gsq_reader_of(data, size);
  gsq_field field;
  int more, made = 0;
  while ((more = gsq_next_field(&reader, &field)) == 1) {
    if (field.number == 1) made = field.type == GSQ_BYTES;
  }
  return more < 0 || !made ? malformed(error, "ForkDatabase") : GSQ_OK;
}

int gsq_decode_restore(const uint8_t *data, size_t size, uint64_t *version, gsq_error *error) {
  gsq_reader reader = gsq_reader_of(data, size);
  gsq_field field;
  int more;
  *version = 0;
  while ((more = gsq_next_field(&reader, &field)) == 1) {
    if (field.number != 1) continue;
    if (field.type != GSQ_VARINT) return malformed(error, "RestoreDatabase");
    *version = field.value;
  }
  /* What is made is never the first. */
  return more < 0 || *version == 0 || *version > INT64_MAX ? malformed(error, "RestoreDatabase")
                                                           : GSQ_OK;
}
