#include "service/admin_client.h"

#include <stdlib.h>
#include <string.h>

#include "base/wire.h"
#include "service/admin_answers.h"

#define METHOD(name) "/grpsqlite.v1.Admin/" name

/* A unary call whose request is in `bytes`, which it frees. */
static int call(gsq_channel *channel, const char *method, uint8_t *bytes, const uint8_t *end,
                gsq_message_fn on_message, void (*on_retry)(void *), void *arg,
                int64_t deadline_ms, gsq_error *error) {
  const struct iovec iov = {bytes, (size_t)(end - bytes)};
  const gsq_call made = {.method = method,
                         .request = &iov,
                         .request_count = 1,
                         .deadline_ms = deadline_ms,
                         .on_message = on_message,
                         .arg = arg,
                         .on_retry = on_retry};
  int code = gsq_channel_call(channel, &made, error);
  free(bytes);
  return code;
}

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
  if (!bytes) return gsq_error_nomem(error);
  uint8_t *end = gsq_put_bytes(bytes, 1, name, strlen(name));
  end = gsq_put_uint(end, 2, limit);
  end = gsq_put_bytes(end, 3, token, strlen(token));
  listing to = {limit, below, out};
  int code = call(channel, METHOD("ListVersions"), bytes, end, on_versions, forget_versions,
                  &to, deadline_ms, error);
  if (code != GSQ_OK) gsq_version_list_free(out);
  return code;
}

static int on_fork(void *arg, const uint8_t *data, size_t size, gsq_error *error) {
  (void)arg;
  return gsq_decode_fork(data, size, error);
}

int gsq_fork_database(gsq_channel *channel, const char *name, const char *new_name,
                      const gsq_id *commit, int64_t deadline_ms, gsq_error *error) {
  error->sent_before = 0;
  uint8_t *bytes = malloc(strlen(name) + strlen(new_name) + GSQ_ID_BYTES +
                          3 * (size_t)(1 + GSQ_MAX_VARINT_BYTES));
  if (!bytes) return gsq_error_nomem(error);
  uint8_t *end = gsq_put_bytes(bytes, 1, name, strlen(name));
  end = gsq_put_bytes(end, 2, new_name, strlen(new_name));
  end = gsq_put_bytes(end, 5, commit->bytes, GSQ_ID_BYTES);
  return call(channel, METHOD("ForkDatabase"), bytes, end, on_fork, NULL, NULL, deadline_ms,
              error);
}

static int on_restore(void *arg, const uint8_t *data, size_t size, gsq_error *error) {
  return gsq_decode_restore(data, size, arg, error);
}

int gsq_restore_database(gsq_channel *channel, const gsq_restore_request *request,
                         uint64_t *version, int64_t deadline_ms, gsq_error *error) {
  error->sent_before = 0;
  uint8_t *bytes =
      malloc(strlen(request->name) + 2 * GSQ_ID_BYTES + 5 * (size_t)(1 + GSQ_MAX_VARINT_BYTES));
  if (!bytes) return gsq_error_nomem(error);
  uint8_t *end = gsq_put_bytes(bytes, 1, request->name, strlen(request->name));
  end = gsq_put_tag(end, 2, GSQ_VARINT); /* of a oneof: also 0 is said */
  end = gsq_put_varint(end, request->version);
  end = gsq_put_bytes(end, 4, request->commit.bytes, GSQ_ID_BYTES);
  end = gsq_put_bytes(end, 5, request->session.bytes, GSQ_ID_BYTES);
  end = gsq_put_uint(end, 6, request->epoch);
  return call(channel, METHOD("RestoreDatabase"), bytes, end, on_restore, NULL, version,
              deadline_ms, error);
}
