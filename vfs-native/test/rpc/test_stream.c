/* Streams that are left to themselves for a while: the rest comes when it is asked for, or is lost with
** its connection. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "check.h"
#include "rpc/channel.h"
#include "rpc/peer.h"

#define MESSAGES 60
#define MESSAGE_BYTES 10000
#define BODY_BYTES (MESSAGES * (5 + MESSAGE_BYTES))

typedef struct taker {
  int messages, retries, wrong;
  int stays; /* does not pause */
} taker;

static int on_message(void *arg, const uint8_t *data, size_t size, gsq_error *error) {
  taker *to = arg;
  (void)error;
  if (size != MESSAGE_BYTES || data[0] != to->messages || data[size - 1] != to->messages) {
    to->wrong++;
  }
  to->messages++;
  return to->stays ? GSQ_OK : GSQ_PAUSE;
}

static void on_retry(void *arg) {
  ((taker *)arg)->retries++;
}

static uint8_t *new_body(void) {
  uint8_t *body = malloc(BODY_BYTES);
  for (int i = 0; i < MESSAGES; i++) {
    uint8_t *at = body + (size_t)i * (5 + MESSAGE_BYTES);
    memset(at, i, 5 + MESSAGE_BYTES);
    memcpy(at, (const uint8_t[]){0, 0, 0, MESSAGE_BYTES >> 8, MESSAGE_BYTES & 0xff}, 5);
  }
  return body;
}

typedef struct fixture {
  uint8_t *body;
  peer server;
  h2_scripts all;
  gsq_channel *channel;
  gsq_stream *rest;
  taker to;
  gsq_error error;
} fixture;

static int open_stream(fixture *it, int timeout_ms) {
  static const char request[] = "hello";
  const struct iovec iov = {(void *)(uintptr_t)request, 5};
  const gsq_call call = {.method = "/test.Service/Method",
                         .request = &iov,
                         .request_count = 1,
                         .deadline_ms = gsq_now_ms() + timeout_ms,
                         .flags = GSQ_CALL_STREAM,
                         .on_message = on_message,
                         .arg = &it->to,
                         .on_retry = on_retry};
  return gsq_channel_stream(it->channel, &call, &it->rest, &it->error);
}

/* A server with these scripts, one for each connection, and a stream from it. */
static void begin(fixture *it, h2_script *scripts, int count, int timeout_ms) {
  it->all = (h2_scripts){scripts, count};
  peer_start(&it->server, h2_scripted, &it->all, NULL);
  const gsq_channel_options options = {.url = it->server.url, .max_message_bytes = 1 << 20};
  CHECK_INT(GSQ_OK, gsq_channel_new(&options, &it->channel, &it->error));
  CHECK_INT(GSQ_OK, open_stream(it, timeout_ms));
}

static void end(fixture *it) {
  gsq_channel_free(it->channel);
  peer_stop(&it->server);
  free(it->body);
}

static int take_all(fixture *it) {
  int code;
  do {
    code = gsq_stream_go_on(it->rest, &it->error);
  } while (code == GSQ_PAUSE);
  it->rest = NULL;
  return code;
}

static void the_rest_comes_when_it_is_wanted(void) {
  CASE("a stream that pauses goes on where it was, and its connection is used again");
  fixture it = {.body = new_body()};
  h2_answer all = {.body = it.body, .body_size = BODY_BYTES};
  begin(&it, &(h2_script){&all, 1}, 1, 30000);
  CHECK(it.rest != NULL);
  CHECK(it.to.messages >= 1 && it.to.messages < MESSAGES / 2);
  CHECK_INT(GSQ_OK, take_all(&it));
  CHECK_INT(MESSAGES, it.to.messages);
  CHECK_INT(0, it.to.wrong);
  gsq_channel_stats stats;
  gsq_channel_stats_get(it.channel, &stats);
  CHECK(stats.bytes_received > BODY_BYTES);
  it.to = (taker){.stays = 1};
  CHECK_INT(GSQ_OK, open_stream(&it, 30000));
  CHECK(it.rest == NULL);
  CHECK_INT(MESSAGES, it.to.messages);
  CHECK_INT(1, atomic_load(&it.server.connections));
  end(&it);
}

static void two_at_a_time_do_not_meet(void) {
  CASE("another call goes by another connection");
  fixture it = {.body = new_body()};
  h2_answer all = {.body = it.body, .body_size = BODY_BYTES};
  begin(&it, &(h2_script){&all, 1}, 1, 30000);
  gsq_stream *first = it.rest;
  taker to = it.to;
  it.to = (taker){.stays = 1};
  CHECK_INT(GSQ_OK, open_stream(&it, 30000));
  CHECK_INT(MESSAGES, it.to.messages);
  it.rest = first;
  it.to = to;
  CHECK_INT(GSQ_OK, take_all(&it));
  CHECK_INT(MESSAGES, it.to.messages);
  CHECK_INT(0, it.to.wrong);
  CHECK_INT(2, atomic_load(&it.server.connections));
  end(&it);
}

static void what_goes_wrong_later_is_said_and_not_tried_again(void) {
  CASE("a stream that breaks after a pause ends, and is not begun again");
  static const struct {
    h2_answer how;
    int code;
  } cases[] = {{{.lose_status = 1}, GSQ_UNAVAILABLE},
               {{.grpc_status = "14"}, GSQ_UNAVAILABLE},
               {{.grpc_status = "8"}, GSQ_RESOURCE_EXHAUSTED},
               {{.keep_open = 1}, GSQ_DEADLINE_EXCEEDED}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    fixture it = {.body = new_body()};
    h2_answer first = cases[i].how;
    first.body = it.body;
    first.body_size = BODY_BYTES;
    begin(&it, &(h2_script){&first, 1}, 1, 3000);
    CHECK(it.rest != NULL);
    if (it.rest) CHECK_INT(cases[i].code, take_all(&it));
    CHECK_INT(0, it.to.retries);
    CHECK_INT(1, atomic_load(&it.server.requests));
    end(&it);
  }
}

static void before_its_first_message_it_is_tried_again(void) {
  CASE("a stream that breaks before its first message is begun again");
  fixture it = {.body = new_body()};
  h2_answer none = {.close_at_once = 1}, all = {.body = it.body, .body_size = BODY_BYTES};
  begin(&it, (h2_script[]){{&none, 1}, {&all, 1}}, 2, 30000);
  CHECK_INT(1, it.to.retries);
  CHECK_INT(GSQ_OK, take_all(&it));
  CHECK_INT(MESSAGES, it.to.messages);
  end(&it);
}

static void one_that_is_abandoned_takes_its_connection_along(void) {
  CASE("a stream that is given up closes its connection");
  fixture it = {.body = new_body()};
  h2_answer all = {.body = it.body, .body_size = BODY_BYTES, .keep_open = 1};
  begin(&it, &(h2_script){&all, 1}, 1, 30000);
  gsq_stream_abandon(it.rest);
  CHECK(peer_await_closed(&it.server));
  gsq_stream_abandon(NULL);
  end(&it);
}

static void shutting_down_ends_it(void) {
  CASE("a channel that is shut down has its streams end");
  fixture it = {.body = new_body()};
  h2_answer all = {.body = it.body, .body_size = BODY_BYTES, .keep_open = 1};
  begin(&it, &(h2_script){&all, 1}, 1, 60000);
  gsq_channel_shutdown(it.channel);
  CHECK_INT(GSQ_CANCELLED, take_all(&it));
  end(&it);
}

int main(void) {
  the_rest_comes_when_it_is_wanted();
  two_at_a_time_do_not_meet();
  what_goes_wrong_later_is_said_and_not_tried_again();
  before_its_first_message_it_is_tried_again();
  one_that_is_abandoned_takes_its_connection_along();
  shutting_down_ends_it();
  return check_done();
}
