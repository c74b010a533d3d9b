/* Each function of the clients against a server: what is sent, and what comes of the answer. */
#include "base/clock.h"
#include "check.h"
#include "pace.h"
#include "rpc/peer.h"
#include "service/calls.h"

static builder body;

/* The message with gRPC's prefix. */
static h2_answer answer_of(const service_call *one) {
  static builder message;
  message.size = 0;
  one->answer(&message);
  body.size = 0;
  uint8_t prefix[] = {0, (uint8_t)(message.size >> 24), (uint8_t)(message.size >> 16),
                      (uint8_t)(message.size >> 8), (uint8_t)message.size};
  memcpy(body.bytes, prefix, 5);
  memcpy(body.bytes + 5, message.bytes, message.size);
  body.size = 5 + message.size;
  return (h2_answer){.body = body.bytes, .body_size = body.size};
}

static gsq_channel *channel_to(const char *url) {
  gsq_channel_options options = {
      .url = url, .connect_timeout_ms = 2000, .max_message_bytes = 4 << 20};
  gsq_channel *channel = NULL;
  gsq_error error;
  CHECK_INT(GSQ_OK, gsq_channel_new(&options, &channel, &error));
  return channel;
}

static void black_hole(peer *self, int fd, int index) {
  (void)self, (void)index;
  peer_drain(fd);
}

static void asks_while_one_hangs(const service_call *one, const h2_script *lives, int timeout_ms,
                                 int want_code, int want_requests) {
  h2_scripts all = {lives, 1};
  peer hangs, other;
  char urls[400];
  gsq_error error;
  peer_start(&hangs, black_hole, NULL, NULL);
  peer_start(&other, h2_scripted, &all, NULL);
  snprintf(urls, sizeof urls, "%s,%s", hangs.url, other.url);
  gsq_channel *channel = channel_to(urls);
  CHECK_INT(want_code, one->call(channel, gsq_now_ms() + timeout_ms, &error));
  CHECK_INT(want_requests, atomic_load(&other.requests));
  gsq_channel_free(channel);
  peer_stop(&hangs);
  peer_stop(&other);
}

/* Another one is asked, unless the first might yet undo what is newer. */
static void goes_on_after_one_that_hangs(const service_call *one, const h2_script *lives) {
  static const char *const patient[] = {"Write", "AtomicWriteBatch", "Truncate", "Delete",
                                        "Pragma"};
  const char *name = strrchr(one->method, '/') + 1;
  for (size_t i = 0; i < sizeof patient / sizeof *patient; i++) {
    if (strcmp(name, patient[i]) == 0) {
      asks_while_one_hangs(one, lives, 500, GSQ_DEADLINE_EXCEEDED, 0);
      return;
    }
  }
  if (strcmp(name, "Commit") != 0 && strcmp(name, "StagePages") != 0)
    return; /* the others are all alike */
  IN_PACE(scale) asks_while_one_hangs(one, lives, 2000 * scale, GSQ_OK, 1);
}

/* What it does is the server's own, and may be done twice. */
static int is_sent_once(const service_call *one) {
  return strcmp(one->method, "/grpc_vfs.Grpsqlite/Pragma") == 0;
}

int main(void) {
  gsq_error error;
  for (int i = 0; i < service_call_count; i++) {
    const service_call *one = &service_calls[i];
    CASE(one->method);
    /* Lost after a good answer, but before its status: done again, and all of it is there once.
     */
    h2_answer good = answer_of(one), half = good;
    half.lose_status = 1;
    h2_answer refused = {.trailers_only = 1, .grpc_status = "7", .grpc_message = "not yours"};
    h2_answer absurd = {.body = (const uint8_t *)"\0\0\0\0\3\xff\xff\xff", .body_size = 8};
    h2_script scripts[] = {{&half, 1}, {&good, 1}};
    h2_scripts all = {scripts, 2};
    peer server;
    peer_start(&server, h2_scripted, &all, NULL);
    gsq_channel *channel = channel_to(server.url);
    const int once = is_sent_once(one);
    if (!CHECK_INT(once ? GSQ_UNAVAILABLE : GSQ_OK,
                   one->call(channel, gsq_now_ms() + 10000, &error))) {
      fprintf(stderr, "%s\n", error.message);
    }
    CHECK_INT(1, error.sent_before);
    CHECK_INT(once ? 1 : 2, atomic_load(&server.requests));
    CHECK_STR(one->method, server.path);
    const char *problem =
        server.body_size < 5 ? "no body" : one->problem(server.body + 5, server.body_size - 5);
    if (problem) CHECK_STR("", problem);
    gsq_channel_free(channel);
    peer_stop(&server);

    /* P5: the server dies with it, so another one is sent the same, ids included. */
    h2_answer dies = {.close_at_once = 1};
    h2_script died = {&dies, 1}, lives = {&good, 1};
    h2_scripts of_dead = {&died, 1}, of_other = {&lives, 1};
    peer other;
    char urls[400];
    peer_start(&server, h2_scripted, &of_dead, NULL);
    peer_start(&other, h2_scripted, &of_other, NULL);
    snprintf(urls, sizeof urls, "%s,%s", server.url, other.url);
    channel = channel_to(urls);
    CHECK_INT(once ? GSQ_UNAVAILABLE : GSQ_OK,
              one->call(channel, gsq_now_ms() + 10000, &error));
    CHECK_INT(1, error.sent_before);
    CHECK_INT(1, atomic_load(&server.requests));
    CHECK_INT(once ? 0 : 1, atomic_load(&other.requests));
    if (!once) {
      CHECK_STR(one->method, other.path);
      CHECK(server.body_size == other.body_size &&
            memcmp(server.body, other.body, other.body_size) == 0);
    }
    gsq_channel_free(channel);
    peer_stop(&server);
    peer_stop(&other);

    goes_on_after_one_that_hangs(one, &lives);

    h2_script no[] = {{&refused, 1}, {&absurd, 1}};
    for (int k = 0; k < 2; k++) {
      h2_scripts only = {&no[k], 1};
      peer_start(&server, h2_scripted, &only, NULL);
      channel = channel_to(server.url);
      int code = one->call(channel, gsq_now_ms() + 10000, &error);
      if (k == 0) {
        CHECK_INT(GSQ_PERMISSION_DENIED, code);
        CHECK_HAS("not yours", error.message);
      } else {
        static builder none;
        none.size = 0;
        one->answer(&none);
        /* An answer without fields is not looked into. */
        CHECK_INT(none.size ? GSQ_BAD_ANSWER : GSQ_OK, code);
      }
      gsq_channel_free(channel);
      peer_stop(&server);
    }
  }
  return check_done();
}
