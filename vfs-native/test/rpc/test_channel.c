/* The channel against servers that behave, and against every way in which one may not. */
#include "rpc/channel.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "check.h"
#include "pace.h"
#include "rpc/peer.h"

#define MAX_MESSAGE (4 << 20)
#define METHOD "/test.Service/Method"

typedef struct answer {
  int messages, retries;
  uint8_t *data;
  size_t size;
  int refuse; /* the code to return */
} answer;

static int on_message(void *arg, const uint8_t *data, size_t size, gsq_error *error) {
  answer *to = arg;
  to->messages++;
  free(to->data);
  to->data = malloc(size + 1);
  memcpy(to->data, data, size);
  to->size = size;
  if (to->refuse) return gsq_error_set(error, to->refuse, "not wanted");
  return 0;
}

static void on_retry(void *arg) {
  ((answer *)arg)->retries++;
}

static gsq_channel *channel_to(const char *url) {
  gsq_channel_options options = {.url = url,
                                 .token = "secret",
                                 .connect_timeout_ms = 2000,
                                 .max_message_bytes = MAX_MESSAGE};
  gsq_channel *channel = NULL;
  gsq_error error;
  if (!CHECK_INT(GSQ_OK, gsq_channel_new(&options, &channel, &error))) {
    fprintf(stderr, "%s\n", error.message);
  }
  return channel;
}

static int call(gsq_channel *channel, int flags, int timeout_ms, answer *to, gsq_error *error) {
  static const char request[] = "hello";
  struct iovec iov[] = {{(void *)(uintptr_t)request, 2}, {(void *)(uintptr_t)(request + 2), 3}};
  gsq_call one = {.method = METHOD,
                  .request = iov,
                  .request_count = 2,
                  .deadline_ms = gsq_now_ms() + timeout_ms,
                  .flags = flags,
                  .on_message = on_message,
                  .arg = to,
                  .on_retry = on_retry};
  memset(error, 'x', sizeof *error);
  return gsq_channel_call(channel, &one, error);
}

/* One call on a channel of its own, to a peer with this script. */
static int once(peer_script script, void *arg, int flags, int timeout_ms, gsq_error *error,
                answer *to) {
  peer server;
  peer_start(&server, script, arg, NULL);
  gsq_channel *channel = channel_to(server.url);
  int code = call(channel, flags, timeout_ms, to, error);
  gsq_channel_free(channel);
  peer_stop(&server);
  return code;
}

static int once_h2(const h2_script *scripts, int count, int flags, gsq_error *error,
                   answer *to) {
  h2_scripts all = {scripts, count};
  return once(h2_scripted, &all, flags, 5000, error, to);
}

static int one_answer(h2_answer how, int flags, gsq_error *error, answer *to) {
  h2_script script = {&how, 1};
  return once_h2(&script, 1, flags, error, to);
}

static void forget(answer *to) {
  free(to->data);
  memset(to, 0, sizeof *to);
}

static const h2_answer ok = {0};
static const uint8_t two_messages[] = {0, 0, 0, 0, 2, 'a', 'b', 0, 0, 0, 0, 1, 'c'};

/* ---- servers that behave ---- */

static void test_unary_calls_share_a_connection(void) {
  CASE("unary calls share a connection");
  static const h2_answer echo = {.echo = 1};
  h2_script script = {&echo, 1};
  h2_scripts all = {&script, 1};
  peer server;
  peer_start(&server, h2_scripted, &all, NULL);
  gsq_channel *channel = channel_to(server.url);
  answer got = {0};
  gsq_error error;
  for (int i = 0; i < 20; i++) {
    CHECK_INT(GSQ_OK, call(channel, 0, 5000, &got, &error));
    CHECK_INT(0, error.sent_before);
    CHECK(got.size == 5 && memcmp(got.data, "hello", 5) == 0);
  }
  CHECK_INT(20, got.messages);
  gsq_channel_stats stats;
  gsq_channel_stats_get(channel, &stats);
  CHECK_INT(1, stats.connects);
  CHECK_INT(20, stats.calls);
  CHECK_INT(0, stats.retries);
  CHECK(stats.bytes_sent > 20 * 10 && stats.bytes_received > 20 * 10);
  CHECK_STR(METHOD, server.path);
  CHECK_STR("Bearer secret", server.authorization);
  CHECK_STR("trailers", server.te);
  CHECK_STR("application/grpc", server.content_type);
  CHECK(strlen(server.timeout) > 1 && server.timeout[strlen(server.timeout) - 1] == 'm');
  CHECK(atoi(server.timeout) > 0 && atoi(server.timeout) <= 5000);
  gsq_channel_free(channel);
  peer_stop(&server);
  forget(&got);
}

static void large_messages_of_many_pieces(unsigned server_max_frame, unsigned want_largest) {
  static const h2_answer echo = {.echo = 1};
  h2_script script = {&echo, 1};
  h2_scripts all = {&script, 1};
  peer server;
  peer_start(&server, h2_scripted, &all, NULL);
  atomic_store(&server.max_frame_bytes, server_max_frame);
  gsq_channel *channel = channel_to(server.url);
  /* 3 MiB: pieces of one byte, empty ones, and some larger than a frame. */
  size_t size = 3 << 20, used = 0;
  uint8_t *bytes = malloc(size);
  for (size_t i = 0; i < size; i++) bytes[i] = (uint8_t)(i * 31 >> 3);
  struct iovec *iov = malloc(20000 * sizeof *iov);
  int count = 0;
  for (; count < 10000; count++) {
    size_t part = (size_t)(count % 3);
    iov[count] = (struct iovec){bytes + used, part};
    used += part;
  }
  while (used < size) {
    size_t part = count % 2 ? 100000 : 17;
    if (part > size - used) part = size - used;
    iov[count++] = (struct iovec){bytes + used, part};
    used += part;
  }
  answer got = {0};
  gsq_error error;
  gsq_call one = {.method = METHOD,
                  .request = iov,
                  .request_count = count,
                  .deadline_ms = gsq_now_ms() + 20000,
                  .on_message = on_message,
                  .arg = &got};
  for (int i = 0; i < 3; i++) {
    CHECK_INT(GSQ_OK, gsq_channel_call(channel, &one, &error));
    CHECK(got.size == size && memcmp(got.data, bytes, size) == 0);
  }
  gsq_channel_stats stats;
  gsq_channel_stats_get(channel, &stats);
  CHECK_INT(1, stats.connects);
  CHECK_INT(want_largest, atomic_load(&server.largest_frame_bytes));
  gsq_channel_free(channel);
  peer_stop(&server);
  free(bytes);
  free(iov);
  forget(&got);
}

static void test_large_messages_of_many_pieces(void) {
  CASE("large messages of many pieces, both ways, in frames as the server takes them");
  large_messages_of_many_pieces(0, 16384);
  large_messages_of_many_pieces(100000, 100000);
  large_messages_of_many_pieces(8 << 20, 256 << 10);
}

static void test_streams_have_any_number_of_messages(void) {
  CASE("streams have any number of messages");
  answer got = {0};
  gsq_error error;
  h2_answer two = {.body = two_messages, .body_size = sizeof two_messages};
  CHECK_INT(GSQ_OK, one_answer(two, GSQ_CALL_STREAM, &error, &got));
  CHECK_INT(2, got.messages);
  CHECK(got.size == 1 && got.data[0] == 'c');
  forget(&got);
  h2_answer none = {.no_body = 1};
  CHECK_INT(GSQ_OK, one_answer(none, GSQ_CALL_STREAM, &error, &got));
  CHECK_INT(0, got.messages);
  h2_answer trailers_only = {.trailers_only = 1};
  CHECK_INT(GSQ_OK, one_answer(trailers_only, GSQ_CALL_STREAM, &error, &got));
}

static void test_status_and_reason(void) {
  CASE("status, message and reason");
  answer got = {0};
  gsq_error error;
  /* google.rpc.Status { code: 9, message: "gone", details: Any { type_url:
  ** "type.googleapis.com/google.rpc.ErrorInfo", value: ErrorInfo { reason: "LEASE_LOST",
  ** domain: "grpsqlite" } } } */
  h2_answer lost = {.trailers_only = 1,
                    .grpc_status = "9",
                    .grpc_message = "the lease%20is gone%0a%C3%BC%ff%",
                    .details =
                        "CAkSBGdvbmUaQwoodHlwZS5nb29nbGVhcGlzLmNvbS9nb29nbGU"
                        "ucnBjLkVycm9ySW5mbxIXCgpMRUFTRV9MT1NUEglncnBzcWxpdGU"};
  CHECK_INT(GSQ_FAILED_PRECONDITION, one_answer(lost, 0, &error, &got));
  CHECK_INT(GSQ_FAILED_PRECONDITION, error.code);
  CHECK(gsq_error_is(&error, "LEASE_LOST"));
  CHECK_HAS("the lease is gone?\xc3\xbc?%", error.message);
  CHECK_INT(0, error.sent_before);
  CHECK_INT(0, got.messages);
  h2_answer odd = {.grpc_status = "banana"};
  CHECK_INT(GSQ_UNKNOWN, one_answer(odd, 0, &error, &got));
  h2_answer absurd = {.trailers_only = 1, .grpc_status = "5", .details = "!!!!"};
  CHECK_INT(GSQ_NOT_FOUND, one_answer(absurd, 0, &error, &got));
  CHECK_STR("", error.reason);
  CHECK_HAS("NOT_FOUND", error.message);
  forget(&got);
}

/* ---- servers that come and go ---- */

static void test_goes_on_after_a_server_took_leave(void) {
  CASE("GOAWAY, REFUSED_STREAM, lost connections: tried again");
  static const struct {
    const char *name;
    h2_answer first;
    int sent_before;
  } cases[] = {
      {"GOAWAY before the call", {.goaway = 1}, 0},
      {"REFUSED_STREAM", {.reset = 1, .reset_code = 7}, 0},
      {"closed at once", {.close_at_once = 1}, 1},
      {"CANCEL", {.reset = 1, .reset_code = 8}, 1},
      {"UNAVAILABLE", {.trailers_only = 1, .grpc_status = "14"}, 1},
      {"HTTP status 503", {.status = "503", .trailers_only = 1}, 1},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    CASE(cases[i].name);
    h2_answer answers[] = {cases[i].first, ok};
    h2_script scripts[] = {{answers, 2}, {&ok, 1}};
    answer got = {0};
    gsq_error error;
    CHECK_INT(GSQ_OK, once_h2(scripts, 2, 0, &error, &got));
    CHECK_INT(cases[i].sent_before, error.sent_before);
    CHECK_INT(1, got.messages);
    CHECK_INT(1, got.retries);
    forget(&got);
    if (cases[i].sent_before) { /* not again, if the caller does not want it so */
      CHECK_INT(GSQ_UNAVAILABLE, once_h2(scripts, 2, GSQ_CALL_ONCE, &error, &got));
      CHECK_INT(0, got.retries);
      forget(&got);
    }
  }
}

static void test_goaway_after_the_answer(void) {
  CASE("GOAWAY that lets the call finish");
  h2_answer leave = {.goaway = 2};
  h2_script scripts[] = {{&leave, 1}, {&ok, 1}};
  h2_scripts all = {scripts, 2};
  peer server;
  peer_start(&server, h2_scripted, &all, NULL);
  gsq_channel *channel = channel_to(server.url);
  answer got = {0};
  gsq_error error;
  for (int i = 0; i < 3; i++) {
    CHECK_INT(GSQ_OK, call(channel, 0, 5000, &got, &error));
    CHECK_INT(0, error.sent_before);
  }
  CHECK_INT(0, got.retries);
  gsq_channel_stats stats;
  gsq_channel_stats_get(channel, &stats);
  CHECK_INT(2, stats.connects);
  gsq_channel_free(channel);
  peer_stop(&server);
  forget(&got);
}

static void test_closed_while_idle(void) {
  CASE("connections closed while idle are not used");
  h2_answer last = {.close_after = 1};
  h2_script script = {&last, 1};
  h2_scripts all = {&script, 1};
  peer server;
  peer_start(&server, h2_scripted, &all, NULL);
  gsq_channel *channel = channel_to(server.url);
  answer got = {0};
  gsq_error error;
  for (int i = 0; i < 5; i++) {
    CHECK_INT(GSQ_OK, call(channel, 0, 5000, &got, &error));
    CHECK(peer_await_closed(&server));
  }
  CHECK_INT(5, got.messages);
  CHECK_INT(0, got.retries);
  gsq_channel_free(channel);
  peer_stop(&server);
  forget(&got);
}

/* How a server answers the first call, and then sends DATA without end on its stream, which is closed. */
typedef struct flood {
  int at_next_call; /* not before that one has come */
  atomic_size_t sent;
} flood;

/* What the buffers of both ends may hold is far less, and what is endless far more. */
#define MOST_TAKEN (64u << 20)
#define ENDLESS (256u << 20)

/* Reads a request to its end, which is "hello". */
static int read_request(int fd) {
  uint8_t bytes[4096];
  size_t have = 0;
  while (have < 5 || memcmp(bytes + have - 5, "hello", 5) != 0) {
    ssize_t got = recv(fd, bytes + have, sizeof bytes - have, 0);
    if (got <= 0) return 0;
    have += (size_t)got;
  }
  return 1;
}

static void answer_and_flood(peer *self, int fd, int index) {
  static const uint8_t answered[] = {
      0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 20, 1, 4, 0, 0, 0, 1, 0x88, 0x0f, 0x10, 16, 'a', 'p',
      'p', 'l', 'i', 'c', 'a', 't', 'i', 'o', 'n', '/', 'g', 'r', 'p', 'c',
      /* DATA: an empty message; HEADERS: "grpc-status: 0" */
      0, 0, 5, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 15, 1, 5, 0, 0, 0, 1, 0x00, 11, 'g', 'r',
      'p', 'c', '-', 's', 't', 'a', 't', 'u', 's', 1, '0'};
  static const uint8_t late_data[] = {0, 0, 1, 0, 0, 0, 0, 0, 1, 'x'};
  static uint8_t frames[sizeof late_data * 1000];
  flood *water = self->arg;
  if (index > 0) {
    h2_serve(self, fd, &ok, 1);
    return;
  }
  for (size_t i = 0; i < sizeof frames; i++) frames[i] = late_data[i % sizeof late_data];
  if (!read_request(fd)) return;
  peer_write(fd, answered, sizeof answered);
  if (water->at_next_call && !read_request(fd)) return;
  for (size_t at = 0; atomic_load(&water->sent) < ENDLESS;) {
    ssize_t done = send(fd, frames + at, sizeof frames - at, MSG_NOSIGNAL);
    if (done <= 0) return;
    at = (at + (size_t)done) % sizeof frames;
    atomic_fetch_add(&water->sent, (size_t)done);
  }
}

static void test_flooded_while_idle(void) {
  CASE("connections that are sent much while they are idle are not used, nor listened to");
  flood water = {0};
  peer server;
  peer_start(&server, answer_and_flood, &water, NULL);
  gsq_channel *channel = channel_to(server.url);
  answer got = {0};
  gsq_error error;
  CHECK_INT(GSQ_OK, call(channel, 0, 20000, &got, &error));
  while (atomic_load(&water.sent) < 200000) usleep(1000);
  CHECK_INT(GSQ_OK, call(channel, 0, 20000, &got, &error));
  CHECK_INT(2, got.messages);
  CHECK_INT(0, got.retries);
  CHECK_INT(2, atomic_load(&server.connections));
  gsq_channel_free(channel);
  peer_stop(&server);
  CHECK(atomic_load(&water.sent) < MOST_TAKEN);
  forget(&got);
}

static void test_flooded_with_an_older_stream(void) {
  CASE("a call does not take in DATA of an older one without end");
  flood water = {.at_next_call = 1};
  peer server;
  peer_start(&server, answer_and_flood, &water, NULL);
  gsq_channel *channel = channel_to(server.url);
  answer got = {0};
  gsq_error error;
  CHECK_INT(GSQ_OK, call(channel, 0, 20000, &got, &error));
  CHECK_INT(GSQ_BAD_ANSWER, call(channel, 0, 20000, &got, &error));
  CHECK_HAS("frames without content have no end", error.message);
  CHECK_INT(1, atomic_load(&server.connections));
  gsq_channel_free(channel);
  peer_stop(&server);
  CHECK(atomic_load(&water.sent) < MOST_TAKEN);
  forget(&got);
}

static void half_a_frame(peer *self, int fd, int index) {
  if (index > 0) {
    h2_serve(self, fd, &ok, 1);
    return;
  }
  static const uint8_t settings_and_half[] = {0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 40, 1, 4, 0, 0};
  peer_read_some(fd, 24);
  peer_write(fd, settings_and_half, sizeof settings_and_half);
}

static void test_half_a_frame(void) {
  CASE("half a frame, then nothing");
  answer got = {0};
  gsq_error error;
  CHECK_INT(GSQ_OK, once(half_a_frame, NULL, 0, 5000, &error, &got));
  CHECK_INT(1, got.retries);
  CHECK_INT(1, error.sent_before);
  forget(&got);
}

static int free_port(void) {
  struct sockaddr_in address = {.sin_family = AF_INET,
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t size = sizeof address;
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  bind(fd, (struct sockaddr *)&address, sizeof address);
  getsockname(fd, (struct sockaddr *)&address, &size);
  close(fd);
  return ntohs(address.sin_port);
}

static void test_refused(int scale) {
  CASE("connection refused: tried until the deadline, then said");
  char url[40], want[200];
  snprintf(url, sizeof url, "http://127.0.0.1:%d", free_port());
  gsq_channel *channel = channel_to(url);
  answer got = {0};
  gsq_error error;
  int64_t start = gsq_now_ms();
  CHECK_INT(GSQ_UNAVAILABLE, call(channel, 0, 300 * scale, &got, &error));
  int64_t took = gsq_now_ms() - start;
  CHECK(took >= 300 * scale && took < 2000 * scale);
  CHECK_INT(0, error.sent_before);
  CHECK(got.retries >= 2 && got.retries < 30 * scale);
  snprintf(want, sizeof want,
           "no server at %s (connection refused); start one with bin/rocksdb-server, or set "
           "GRPSQLITE_URL",
           url);
  CHECK_STR(want, error.message);
  CHECK_INT(GSQ_DEADLINE_EXCEEDED, call(channel, 0, 0, &got, &error));
  gsq_channel_free(channel);

  CASE("connection refused: said at once, if the first connection is not to be waited for");
  gsq_channel_options options = {.url = url, .max_message_bytes = MAX_MESSAGE};
  CHECK_INT(GSQ_OK, gsq_channel_new(&options, &channel, &error));
  got.retries = 0;
  start = gsq_now_ms();
  CHECK_INT(GSQ_UNAVAILABLE, call(channel, 0, 20000, &got, &error));
  CHECK(gsq_now_ms() - start < 10000);
  CHECK_INT(0, got.retries);
  CHECK_STR(want, error.message);
  gsq_channel_free(channel);
  /* One that was made and broke is made again. */
  h2_answer lost[] = {{.close_at_once = 1}};
  h2_script scripts[] = {{lost, 1}, {&ok, 1}};
  h2_scripts all = {scripts, 2};
  peer server;
  peer_start(&server, h2_scripted, &all, NULL);
  options.url = server.url;
  CHECK_INT(GSQ_OK, gsq_channel_new(&options, &channel, &error));
  CHECK_INT(GSQ_OK, call(channel, 0, 20000, &got, &error));
  CHECK_INT(1, got.retries);
  gsq_channel_free(channel);
  peer_stop(&server);
  forget(&got);
}

/* ---- servers that hang ---- */

static void black_hole(peer *self, int fd, int index) {
  (void)self, (void)index;
  peer_drain(fd);
}

static void drip(peer *self, int fd, int index) {
  (void)index;
  static const uint8_t start[] = {0, 0, 0, 4, 0, 0, 0, 0, 0,
                                  /* HEADERS: ":status: 200", content-type as a literal */
                                  0, 0, 32, 1, 4, 0, 0, 0, 1, 0x88, 0x0f, 0x10, 16, 'a', 'p',
                                  'p', 'l', 'i', 'c', 'a', 't', 'i', 'o', 'n', '/', 'g', 'r',
                                  'p', 'c', 0x00, 1, 'x', 1, 'y', 0x00, 1, 'z', 1, 'z',
                                  /* DATA: a message of 64 bytes begins */
                                  0, 0, 5, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 64};
  peer_read_some(fd, 60);
  uint8_t bytes[sizeof start];
  memcpy(bytes, start, sizeof start);
  bytes[9 + 2] = 1 + 3 + 16 + 10; /* the header block's length */
  peer_write(fd, bytes, sizeof bytes);
  static const uint8_t one[] = {0, 0, 1, 0, 0, 0, 0, 0, 1, 'x'};
  for (int i = 0; i < 60 && !atomic_load(&self->stopping); i++) {
    peer_write(fd, one, sizeof one);
    usleep(20000);
  }
  peer_drain(fd);
}

static void test_deadlines(int scale) {
  CASE("a server that hangs, one that drips, one that hangs within a call");
  static const h2_answer hang = {.hang = 1};
  h2_script script = {&hang, 1};
  h2_scripts all = {&script, 1};
  const struct {
    peer_script script;
    void *arg;
  } cases[] = {{black_hole, NULL}, {drip, NULL}, {h2_scripted, &all}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    answer got = {0};
    gsq_error error;
    int64_t start = gsq_now_ms();
    CHECK_INT(GSQ_DEADLINE_EXCEEDED, once(cases[i].script, cases[i].arg, 0, 200 * scale, &error, &got));
    int64_t took = gsq_now_ms() - start;
    CHECK(took >= 200 * scale && took < 2000 * scale);
    CHECK_INT(1, error.sent_before);
    CHECK_HAS(METHOD, error.message);
    CHECK_INT(0, got.retries);
    forget(&got);
  }
}

static void *shut_down(void *arg) {
  peer *server = ((void **)arg)[0];
  int64_t deadline = gsq_now_ms() + 5000;
  while (atomic_load(&server->requests) == 0 && gsq_now_ms() < deadline) usleep(1000);
  gsq_channel_shutdown(((void **)arg)[1]);
  return NULL;
}

static void test_shutdown_wakes(void) {
  CASE("shutdown wakes a call and refuses the next");
  static const h2_answer hang = {.hang = 1};
  h2_script script = {&hang, 1};
  h2_scripts all = {&script, 1};
  peer server;
  peer_start(&server, h2_scripted, &all, NULL);
  gsq_channel *channel = channel_to(server.url);
  void *args[] = {&server, channel};
  pthread_t thread;
  pthread_create(&thread, NULL, shut_down, args);
  answer got = {0};
  gsq_error error;
  int64_t start = gsq_now_ms();
  CHECK_INT(GSQ_CANCELLED, call(channel, 0, 20000, &got, &error));
  CHECK_INT(1, error.sent_before);
  CHECK_INT(GSQ_CANCELLED, call(channel, 0, 20000, &got, &error));
  CHECK_INT(0, error.sent_before);
  CHECK(gsq_now_ms() - start < 10000);
  pthread_join(thread, NULL);
  gsq_channel_free(channel);
  peer_stop(&server);
}

/* ---- servers that are none, or hostile ---- */

static void http1(peer *self, int fd, int index) {
  (void)self, (void)index;
  static const char text[] = "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n";
  peer_read_some(fd, 24);
  peer_write(fd, text, sizeof text - 1);
  peer_drain(fd);
}

static void tls_alert(peer *self, int fd, int index) {
  (void)self, (void)index;
  static const uint8_t alert[] = {0x15, 3, 1, 0, 2, 2, 22, 0, 0, 0, 0, 0};
  peer_read_some(fd, 24);
  peer_write(fd, alert, sizeof alert);
}

static void garbage(peer *self, int fd, int index) {
  (void)self, (void)index;
  uint8_t bytes[3000];
  for (size_t i = 0; i < sizeof bytes; i++) bytes[i] = (uint8_t)(i * 197 + 13);
  peer_read_some(fd, 24);
  peer_write(fd, bytes, sizeof bytes);
  peer_drain(fd);
}

static const uint8_t settings_frame[] = {0, 0, 0, 4, 0, 0, 0, 0, 0};

static void endless(peer *self, int fd, const uint8_t *first, size_t first_size,
                    const uint8_t *next, size_t next_size) {
  peer_read_some(fd, 60);
  peer_write(fd, settings_frame, sizeof settings_frame);
  peer_write(fd, first, first_size);
  /* 256 MiB is as endless as can be told. */
  for (size_t sent = 0; sent < (size_t)1 << 28 && !atomic_load(&self->stopping);) {
    ssize_t done = send(fd, next, next_size, MSG_NOSIGNAL);
    if (done <= 0) return;
    sent += (size_t)done;
    if ((size_t)done < next_size) peer_write(fd, next + done, next_size - (size_t)done);
  }
}

static void endless_continuation(peer *self, int fd, int index) {
  (void)index;
  /* Fields "a: b", never indexed, one after the other. */
  uint8_t first[] = {0, 0, 1, 1, 0, 0, 0, 0, 1, 0x88}, next[9 + 500];
  memset(next, 0, sizeof next);
  next[1] = 500 >> 8;
  next[2] = 500 & 255;
  next[3] = 9;
  next[8] = 1;
  for (size_t i = 9; i < sizeof next; i += 5) memcpy(next + i, "\0\1a\1b", 5);
  endless(self, fd, first, sizeof first, next, sizeof next);
}

static void endless_empty_continuation(peer *self, int fd, int index) {
  (void)index;
  uint8_t first[] = {0, 0, 1, 1, 0, 0, 0, 0, 1, 0x88};
  uint8_t next[] = {0, 0, 0, 9, 0, 0, 0, 0, 1};
  endless(self, fd, first, sizeof first, next, sizeof next);
}

static void endless_settings(peer *self, int fd, int index) {
  (void)index;
  endless(self, fd, NULL, 0, settings_frame, sizeof settings_frame);
}

static void endless_ping(peer *self, int fd, int index) {
  (void)index;
  uint8_t ping[] = {0, 0, 8, 6, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8};
  endless(self, fd, NULL, 0, ping, sizeof ping);
}

static void endless_empty_data(peer *self, int fd, int index) {
  (void)index;
  static const uint8_t headers[] = {0,    0,    20,  1,   4,   0,   0,   0,   1,   0x88,
                                    0x0f, 0x10, 16,  'a', 'p', 'p', 'l', 'i', 'c', 'a',
                                    't',  'i',  'o', 'n', '/', 'g', 'r', 'p', 'c'};
  static const uint8_t nothing[] = {0, 0, 0, 0, 0, 0, 0, 0, 1};
  endless(self, fd, headers, sizeof headers, nothing, sizeof nothing);
}

static void firehose(peer *self, int fd, int index) {
  (void)index;
  static const uint8_t headers[] = {0,    0,    20,  1,   4,   0,   0,   0,   1,   0x88,
                                    0x0f, 0x10, 16,  'a', 'p', 'p', 'l', 'i', 'c', 'a',
                                    't',  'i',  'o', 'n', '/', 'g', 'r', 'p', 'c'};
  static const uint8_t message[] = {0, 0, 6, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 'x'};
  static uint8_t many[sizeof message * 500];
  for (size_t i = 0; i < sizeof many; i++) many[i] = message[i % sizeof message];
  endless(self, fd, headers, sizeof headers, many, sizeof many);
}

static void test_messages_without_end(int scale) {
  CASE("a stream of messages that has no end, nor a pause");
  answer got = {0};
  gsq_error error;
  int64_t start = gsq_now_ms();
  CHECK_INT(GSQ_DEADLINE_EXCEEDED, once(firehose, NULL, GSQ_CALL_STREAM, 200 * scale, &error, &got));
  CHECK(got.messages > 100);
  CHECK(gsq_now_ms() - start < 3000 * scale);
  forget(&got);
}

static void push_promise(peer *self, int fd, int index) {
  (void)index;
  static const uint8_t push[] = {0, 0, 5, 5, 4, 0, 0, 0, 1, 0, 0, 0, 2, 0x82};
  endless(self, fd, push, sizeof push, settings_frame, sizeof settings_frame);
}

static void test_no_grpc_servers(void) {
  static const struct {
    const char *name;
    peer_script script;
    const char *part;
  } cases[] = {
      {"HTTP/1.1", http1, "answered, but not as a gRPC server (HTTP/1.1 400 Bad Request)"},
      {"TLS", tls_alert, "https://"},
      {"garbage", garbage, "not as a gRPC server"},
      {"endless header fields", endless_continuation, "broke the protocol"},
      {"endless empty CONTINUATION", endless_empty_continuation, "broke the protocol"},
      {"endless SETTINGS", endless_settings, "broke the protocol"},
      {"endless PING", endless_ping, "broke the protocol"},
      {"endless empty DATA", endless_empty_data, "broke the protocol"},
      {"a push", push_promise, "broke the protocol"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    CASE(cases[i].name);
    answer got = {0};
    gsq_error error;
    int64_t start = gsq_now_ms();
    CHECK_INT(GSQ_BAD_ANSWER, once(cases[i].script, NULL, 0, 20000, &error, &got));
    CHECK_HAS(cases[i].part, error.message);
    CHECK_INT(0, got.messages);
    CHECK_INT(0, got.retries);
    CHECK(gsq_now_ms() - start < 10000);
    forget(&got);
  }
}

static void test_answers_that_are_none(void) {
  static const uint8_t compressed[] = {1, 0, 0, 0, 1, 'x'};
  static const uint8_t oversize[] = {0, 0x7f, 0xff, 0xff, 0xff, 'x'};
  static const uint8_t unfinished[] = {0, 0, 0, 0, 9, 'x'};
  static const uint8_t half_a_prefix[] = {0, 0, 0, 0, 0, 0, 0};
  static const struct {
    const char *name;
    h2_answer how;
    int code;
    const char *part;
  } cases[] = {
      {"compressed", {.body = compressed, .body_size = 6}, GSQ_BAD_ANSWER, "compressed"},
      {"oversize", {.body = oversize, .body_size = 6}, GSQ_BAD_ANSWER, "2147483647 bytes"},
      {"unfinished", {.body = unfinished, .body_size = 6}, GSQ_BAD_ANSWER, "within a message"},
      {"half a prefix", {.body = half_a_prefix, .body_size = 7}, GSQ_BAD_ANSWER, "within a"},
      {"two messages",
       {.body = two_messages, .body_size = 13},
       GSQ_BAD_ANSWER,
       "second message"},
      {"no message", {.no_body = 1}, GSQ_BAD_ANSWER, "without a message"},
      {"trailers only, OK", {.trailers_only = 1}, GSQ_BAD_ANSWER, "without a message"},
      {"no status", {.grpc_status = ""}, GSQ_BAD_ANSWER, "without a status"},
      {"content-type", {.content_type = "text/html"}, GSQ_BAD_ANSWER, "content-type text/html"},
      {"content-type prefix", {.content_type = "application/grpcx"}, GSQ_BAD_ANSWER, "grpcx"},
      {"no content-type", {.no_content_type = 1}, GSQ_BAD_ANSWER, "content-type missing"},
      {"404", {.status = "404", .trailers_only = 1}, GSQ_BAD_ANSWER, "HTTP status 404"},
      {"INTERNAL_ERROR", {.reset = 1, .reset_code = 2}, GSQ_INTERNAL, "INTERNAL_ERROR"},
      {"too much", {.reset = 1, .reset_code = 11}, GSQ_RESOURCE_EXHAUSTED, "ENHANCE_YOUR_CALM"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    CASE(cases[i].name);
    answer got = {0};
    gsq_error error;
    CHECK_INT(cases[i].code, one_answer(cases[i].how, 0, &error, &got));
    CHECK_INT(cases[i].code, error.code);
    CHECK_HAS(cases[i].part, error.message);
    CHECK_INT(0, got.retries);
    forget(&got);
  }
}

static void test_caller_refuses(void) {
  CASE("the caller refuses a message");
  answer got = {.refuse = GSQ_UNAVAILABLE}; /* also with this code, no retry */
  gsq_error error;
  CHECK_INT(GSQ_UNAVAILABLE, one_answer(ok, 0, &error, &got));
  CHECK_STR("not wanted", error.message);
  CHECK_INT(0, got.retries);
  forget(&got);
}

static void closes_while_written_to(peer *self, int fd, int index) {
  (void)self, (void)index;
  peer_read_some(fd, 24);
  struct linger now = {1, 0}; /* RST */
  setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
  shutdown(fd, SHUT_RDWR);
}

static void test_no_sigpipe(void) {
  CASE("a server that closes while it is written to raises no SIGPIPE");
  peer server;
  peer_start(&server, closes_while_written_to, NULL, NULL);
  gsq_channel *channel = channel_to(server.url);
  size_t size = 3 << 20;
  struct iovec iov = {calloc(1, size), size};
  gsq_call one = {.method = METHOD, .request = &iov, .request_count = 1};
  gsq_error error;
  int code = GSQ_DEADLINE_EXCEEDED;
  /* It is tried again until the deadline, which comes between two attempts, but by chance in one. */
  for (int i = 0; i < 10 && code == GSQ_DEADLINE_EXCEEDED; i++) {
    one.deadline_ms = gsq_now_ms() + 300;
    code = gsq_channel_call(channel, &one, &error);
    CHECK_INT(1, error.sent_before);
  }
  CHECK_INT(GSQ_UNAVAILABLE, code);
  free(iov.iov_base);
  gsq_channel_free(channel);
  peer_stop(&server);
}

/* ---- threads, processes, other sockets ---- */

typedef struct caller {
  gsq_channel *channel;
  int calls;
} caller;

static void *call_often(void *arg) {
  caller *self = arg;
  for (int i = 0; i < self->calls; i++) {
    answer got = {0};
    gsq_error error;
    CHECK_INT(GSQ_OK, call(self->channel, 0, 20000, &got, &error));
    CHECK_INT(5, got.size);
    forget(&got);
  }
  return NULL;
}

static void test_threads(void) {
  CASE("threads have connections of their own, and no more than needed");
  static const h2_answer echo = {.echo = 1};
  h2_script script = {&echo, 1};
  h2_scripts all = {&script, 1};
  peer server;
  peer_start(&server, h2_scripted, &all, NULL);
  caller one = {channel_to(server.url), 40};
  pthread_t threads[8];
  for (int i = 0; i < 8; i++) pthread_create(&threads[i], NULL, call_often, &one);
  for (int i = 0; i < 8; i++) pthread_join(threads[i], NULL);
  gsq_channel_stats stats;
  gsq_channel_stats_get(one.channel, &stats);
  CHECK_INT(320, stats.calls);
  CHECK(stats.connects >= 1 && stats.connects <= 8);
  gsq_channel_free(one.channel);
  peer_stop(&server);
}

static void test_fork(void) {
  CASE("a forked child abandons its parent's connections, which go on");
  static const h2_answer echo = {.echo = 1};
  h2_script script = {&echo, 1};
  h2_scripts all = {&script, 1};
  peer server;
  peer_start(&server, h2_scripted, &all, NULL);
  gsq_channel *channel = channel_to(server.url);
  answer got = {0};
  gsq_error error;
  CHECK_INT(GSQ_OK, call(channel, 0, 5000, &got, &error));
  pid_t child = fork();
  if (child == 0) {
    gsq_channel_abandon_after_fork(channel);
    gsq_channel *own = channel_to(server.url);
    int code = call(own, 0, 5000, &got, &error);
    _exit(code == GSQ_OK ? 0 : 1);
  }
  int status = -1;
  waitpid(child, &status, 0);
  CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  CHECK_INT(GSQ_OK, call(channel, 0, 5000, &got, &error));
  CHECK_INT(0, got.retries);
  gsq_channel_stats stats;
  gsq_channel_stats_get(channel, &stats);
  CHECK_INT(1, stats.connects);
  gsq_channel_free(channel);
  peer_stop(&server);
  forget(&got);
}

static void test_unix_socket(void) {
  CASE("a Unix socket, and one that is not there");
  char folder[] = "/tmp/gsq-XXXXXX", path[64];
  CHECK(mkdtemp(folder) != NULL);
  snprintf(path, sizeof path, "%s/server", folder);
  h2_script script = {&ok, 1};
  h2_scripts all = {&script, 1};
  peer server;
  peer_start(&server, h2_scripted, &all, path);
  gsq_channel *channel = channel_to(server.url);
  answer got = {0};
  gsq_error error;
  CHECK_INT(GSQ_OK, call(channel, 0, 5000, &got, &error));
  gsq_channel_free(channel);
  peer_stop(&server);
  unlink(path);
  channel = channel_to(server.url);
  CHECK_INT(GSQ_UNAVAILABLE, call(channel, 0, 50, &got, &error));
  CHECK_HAS("No such file", error.message);
  gsq_channel_free(channel);
  rmdir(folder);
  forget(&got);
}

static void test_options_that_cannot_be_used(void) {
  CASE("options that cannot be used");
  gsq_channel *channel = NULL;
  gsq_error error;
  gsq_channel_options options = {.url = "ftp://host", .max_message_bytes = MAX_MESSAGE};
  CHECK_INT(GSQ_BAD_URL, gsq_channel_new(&options, &channel, &error));
  CHECK_HAS("http://", error.message);
  options.url = "http://127.0.0.1:1";
  options.token = "a\r\nb";
  CHECK_INT(GSQ_BAD_URL, gsq_channel_new(&options, &channel, &error));
  CHECK_HAS("token", error.message);
  CHECK(strstr(error.message, "a\r") == NULL);
}

int main(void) {
  test_unary_calls_share_a_connection();
  test_large_messages_of_many_pieces();
  test_streams_have_any_number_of_messages();
  test_status_and_reason();
  test_goes_on_after_a_server_took_leave();
  test_goaway_after_the_answer();
  test_closed_while_idle();
  test_flooded_while_idle();
  test_flooded_with_an_older_stream();
  test_half_a_frame();
  IN_PACE(scale) test_refused(scale);
  IN_PACE(scale) test_deadlines(scale);
  test_shutdown_wakes();
  test_no_grpc_servers();
  IN_PACE(scale) test_messages_without_end(scale);
  test_answers_that_are_none();
  test_caller_refuses();
  test_no_sigpipe();
  test_threads();
  test_fork();
  test_unix_socket();
  test_options_that_cannot_be_used();
  return check_done();
}
