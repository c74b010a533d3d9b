#include "service/admin_client.h"

#include <stdlib.h>
#include <string.h>

#include "base/wire.h"
#include "service/admin_answers.h"

#define METHOD(name) "/grpsqlite.v1.Admin/" name

typedef struct listing {
  uint32_t limit;
  uint64_t below;
  gsq_version_list *out;
} listing;

static int on_versions(void *arg, const uint8_t *data, size_t size, gsq_error *error) {
  const listing *to = arg;
  return gsq_decode_list_versions(data, size, to->limit, to->below, to->out, error);
}

static void forget_versions(void *arg) {
  gsq_version_list_free(((listing *)arg)->out);
}

int gsq_list_versions(gsq_channel *channel, const char *name, uint32_t limit, const char *token,
                      uint64_t below, gsq_version_list *out, int64_t deadline_ms,
                      gsq_error *error) {
  error->sent_before = 0;
  memset(out, 0, sizeof *out);
  uint8_t *bytes = malloc(strlen(name) + strlen(token) + 3 * (1 + GSQ_MAX_VARINT_BYTES));
  if (!bytes) return gsq_error_set(error, GSQ_NOMEM, "out of memory");
  uint8_t *end = gsq_put_bytes(bytes, 1, name, strlen(name));
  end = gsq_put_uint(end, 2, limit);
  end = gsq_put_bytes(end, 3, token, strlen(token));
  const struct iovec iov = {bytes, (size_t)(end - bytes)};
  listing to = {limit, below, out};
  const gsq_call call = {.method = METHOD("ListVersions"),
                         .request = &iov,
                         .request_count = 1,
                         .deadline_ms = deadline_ms,
                         .on_message = on_versions,
                         .arg = &to,
                         .on_retry = forget_versions};
  int code = gsq_channel_call(channel, &call, error);
  if (code != GSQ_OK) gsq_version_list_free(out);
  free(bytes);
  return code;
}
