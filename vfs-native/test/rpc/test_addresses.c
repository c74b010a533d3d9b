/* A channel to several servers that are interchangeable, of which some are dead, hang or die. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "check.h"
#include "pace.h"
#include "rpc/addresses.h"
#include "rpc/channel.h"
#include "rpc/peer.h"

#define MAX_MESSAGE (4 << 20)
#define METHOD "/test.Service/Method"

typedef struct answer {
  int messages, retries;
} answer;

static int on_message(void *arg, const uint8_t *data, size_t size, gsq_error *error) {
  (void)data, (void)size, (void)error;
  ((answer *)arg)->messages++;
  return 0;
}

static void on_retry(void *arg) {
  ((answer *)arg)->retries++;
  ((answer *)arg)->messages = 0; /* of an answer whose end was lost */
}

/* To URLs that end with NULL. */
static gsq_channel *channel_to(int64_t connect_timeout_ms, ...) {
  char list[1000] = "";
  va_list urls;
  va_start(urls, connect_timeout_ms);
  for (const char *url; (url = va_arg(urls, const char *));) {
    if (*list) strcat(list, ",");
    strcat(list, url);
  }
  va_end(urls);
  gsq_channel_options options = {
      .url = list, .connect_timeout_ms = connect_timeout_ms, .max_message_bytes = MAX_MESSAGE};
  gsq_channel *channel = NULL;
  gsq_error error;
  CHECK_INT(GSQ_OK, gsq_channel_new(&options, &channel, &error));
  return channel;
}

static const struct iovec hello = {(void *)(uintptr_t) "hello", 5};

static int call(gsq_channel *channel, int flags, int timeout_ms, answer *to, gsq_error *error) {
  gsq_call one = {.method = METHOD,
                  .request = &hello,
                  .request_count = 1,
                  .deadline_ms = gsq_now_ms() + timeout_ms,
                  .flags = flags,
                  .on_message = on_message,
                  .arg = to,
                  .on_retry = on_retry};
  memset(error, 'x', sizeof *error);
  *to = (answer){0};
  return gsq_channel_call(channel, &one, error);
}

static gsq_channel_stats stats_of(gsq_channel *channel) {
  gsq_channel_stats stats;
  gsq_channel_stats_get(channel, &stats);
  return stats;
}

static h2_answer ok;
static h2_script ok_script = {&ok, 1};
static h2_scripts ok_scripts = {&ok_script, 1};

static void start_ok(peer *self) {
  peer_start(self, h2_scripted, &ok_scripts, NULL);
}

/* A port at which nobody listens, in ten URLs in turn. */
static const char *nobody(void) {
  static char urls[10][40];
  static int next;
  struct sockaddr_in address = {.sin_family = AF_INET,
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t size = sizeof address;
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  bind(fd, (struct sockaddr *)&address, sizeof address);
  getsockname(fd, (struct sockaddr *)&address, &size);
  close(fd);
  char *url = urls[next++ % 10];
  snprintf(url, sizeof urls[0], "http://127.0.0.1:%d", ntohs(address.sin_port));
  return url;
}

/* From here on, connections to it are refused. */
static void refuse(peer *self) {
  shutdown(self->listener, SHUT_RDWR);
}

/* ---- finding one ---- */

static void test_first_refuses(void) {
  CASE("the first one refuses: the second one is found, and kept to");
  peer b;
  start_ok(&b);
  gsq_channel *channel = channel_to(2000, nobody(), b.url, NULL);
  answer got;
  gsq_error error;
  for (int i = 0; i < 3; i++) {
    CHECK_INT(GSQ_OK, call(channel, 0, 5000, &got, &error));
    CHECK_INT(0, error.sent_before);
    CHECK_INT(0, got.retries);
    CHECK_STR(b.url, gsq_channel_url(channel));
  }
  CHECK_INT(1, stats_of(channel).connects);
  CHECK_INT(1, stats_of(channel).moves);
  CHECK_INT(1, atomic_load(&b.connections));
  gsq_channel_free(channel);
  CASE("also if it is the last of many, and nobody waits for servers that refuse");
  channel = channel_to(0, nobody(), nobody(), nobody(), b.url, NULL);
  CHECK_INT(GSQ_OK, call(channel, 0, 5000, &got, &error));
  gsq_channel_free(channel);
  peer_stop(&b);
}

static void test_all_dead(int scale) {
  CASE("none answers: said of each, at the deadline");
  const char *a = nobody(), *b = nobody(), *c = nobody();
  gsq_channel *channel = channel_to(2000, a, b, c, NULL);
  answer got;
  gsq_error error;
  char want[400];
  int64_t start = gsq_now_ms();
  CHECK_INT(GSQ_UNAVAILABLE, call(channel, 0, 300 * scale, &got, &error));
  int64_t took = gsq_now_ms() - start;
  CHECK(took >= 300 * scale && took < 2000 * scale);
  CHECK(got.retries >= 2 && got.retries < 30 * scale);
  CHECK_INT(0, error.sent_before);
  snprintf(want, sizeof want,
           "none of 3 servers answers: no server at %s (connection refused); no server at %s "
           "(connection refused); no server at %s (connection refused)",
           a, b, c);
  CHECK_STR(want, error.message);
  CHECK_INT(0, stats_of(channel).moves);
  gsq_channel_free(channel);
  CASE("none answers: said at once, if the first connection is not to be waited for");
  channel = channel_to(0, a, b, NULL);
  CHECK_INT(GSQ_UNAVAILABLE, call(channel, 0, 20000, &got, &error));
  CHECK_INT(0, got.retries);
  CHECK(gsq_now_ms() - start < 10000);
  gsq_channel_free(channel);
  CASE("more than there is room for in a message");
  char list[17 * 40] = "";
  for (int i = 0; i < 17; i++) {
    if (i < 16) snprintf(list + strlen(list), 40, "%shttp://127.0.0.1:%d", i ? "," : "", 1 + i);
  }
  channel = channel_to(0, list, NULL);
  CHECK_INT(GSQ_UNAVAILABLE, call(channel, 0, 5000, &got, &error));
  CHECK_HAS("none of 16 servers answers", error.message);
  gsq_channel_free(channel);
  strcat(list, ",http://127.0.0.1:99");
  gsq_channel_options options = {.url = list, .max_message_bytes = MAX_MESSAGE};
  CHECK_INT(GSQ_BAD_URL, gsq_channel_new(&options, &channel, &error));
}

/* A listener whose queue is full: what connects gets no answer. */
typedef struct full_listener {
  int fd, waiting[8];
  char url[40];
} full_listener;

static void fill(full_listener *self) {
  struct sockaddr_in address = {.sin_family = AF_INET,
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t size = sizeof address;
  self->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  CHECK_INT(0, bind(self->fd, (struct sockaddr *)&address, sizeof address));
  CHECK_INT(0, listen(self->fd, 0));
  getsockname(self->fd, (struct sockaddr *)&address, &size);
  snprintf(self->url, sizeof self->url, "http://127.0.0.1:%d", ntohs(address.sin_port));
  for (int i = 0; i < 8; i++) {
    self->waiting[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    connect(self->waiting[i], (struct sockaddr *)&address, sizeof address);
  }
  struct pollfd last = {self->waiting[7], POLLOUT, 0};
  CHECK_INT(0, poll(&last, 1, 20)); /* that one hangs */
}

static void drop(full_listener *self) {
  for (int i = 0; i < 8; i++) close(self->waiting[i]);
  close(self->fd);
}

static void test_first_does_not_connect(int scale) {
  CASE("the first one is behind a firewall: it gets a share of the time");
  full_listener a;
  peer b;
  fill(&a);
  start_ok(&b);
  gsq_channel *channel = channel_to(5000 * scale, a.url, b.url, NULL);
  answer got;
  gsq_error error;
  int64_t start = gsq_now_ms();
  CHECK_INT(GSQ_OK, call(channel, 0, 1000 * scale, &got, &error));
  CHECK(gsq_now_ms() - start >= 400 * scale); /* half of it */
  CHECK_INT(0, error.sent_before);
  start = gsq_now_ms();
  CHECK_INT(GSQ_OK, call(channel, 0, 1000 * scale, &got, &error));
  CHECK(gsq_now_ms() - start < 400 * scale);
  gsq_channel_free(channel);
  drop(&a);
  peer_stop(&b);
}

static void test_not_known(void) {
  CASE("a host that is not known, before one that is");
  peer b;
  start_ok(&b);
  gsq_channel *channel = channel_to(2000, "http://no-such-host.invalid:1", b.url, NULL);
  answer got;
  gsq_error error;
  CHECK_INT(GSQ_OK, call(channel, 0, 20000, &got, &error));
  gsq_channel_free(channel);
  peer_stop(&b);
}

/* ---- servers that hang ---- */

static void black_hole(peer *self, int fd, int index) {
  (void)self, (void)index;
  peer_drain(fd);
}

/* How long one that says nothing is waited for in a call that has so long, if there is another one:
** a quarter of it until it is asked for a sign of life, at most 1 s; then half of it, at most 2. */
static int64_t patience_ms(int64_t deadline_ms) {
  const int64_t silence_ms = deadline_ms / 4 < 1000 ? deadline_ms / 4 : 1000;
  return silence_ms + (deadline_ms / 2 < 2000 ? deadline_ms / 2 : 2000);
}

static void test_first_hangs(int scale) {
  CASE("the first one takes connections and says nothing: given up long before the deadline");
  peer a, b;
  peer_start(&a, black_hole, NULL, NULL);
  start_ok(&b);
  gsq_channel *channel = channel_to(2000 * scale, a.url, b.url, NULL);
  answer got;
  gsq_error error;
  const int deadline_ms = 2400 * scale;
  int64_t start = gsq_now_ms();
  CHECK_INT(GSQ_OK, call(channel, 0, deadline_ms, &got, &error));
  int64_t took = gsq_now_ms() - start;
  CHECK(took >= patience_ms(deadline_ms) - 100 && took < deadline_ms);
  CHECK_INT(1, got.retries);
  CHECK_INT(1, error.sent_before);
  CHECK_STR(b.url, gsq_channel_url(channel));
  CHECK_INT(GSQ_OK, call(channel, 0, deadline_ms, &got, &error));
  CHECK_INT(0, got.retries);
  gsq_channel_free(channel);

  CASE("not sent to another one, if the caller does not want it so");
  channel = channel_to(2000 * scale, a.url, b.url, NULL);
  CHECK_INT(GSQ_UNAVAILABLE, call(channel, GSQ_CALL_ONCE, 800 * scale, &got, &error));
  CHECK_HAS("takes connections, but has not answered", error.message);
  CHECK_HAS(a.url, error.message);
  CHECK_INT(1, error.sent_before);
  gsq_channel_free(channel);

  CASE("nor if what it was sent must not be done late");
  channel = channel_to(2000 * scale, a.url, b.url, NULL);
  CHECK_INT(GSQ_DEADLINE_EXCEEDED, call(channel, GSQ_CALL_PATIENT, 800 * scale, &got, &error));
  CHECK_INT(1, error.sent_before);
  CHECK_INT(0, got.retries);
  gsq_channel_free(channel);

  CASE("a single one gets all of the time");
  channel = channel_to(2000 * scale, a.url, NULL);
  CHECK_INT(GSQ_DEADLINE_EXCEEDED, call(channel, 0, 300 * scale, &got, &error));
  gsq_channel_free(channel);
  peer_stop(&a);
  peer_stop(&b);
}

static void test_slow(int scale) {
  CASE("one that is slow, but alive, is not given up");
  static const h2_answer hang = {.hang = 1};
  h2_script script = {&hang, 1};
  h2_scripts all = {&script, 1};
  peer a, b;
  peer_start(&a, h2_scripted, &all, NULL);
  start_ok(&b);
  gsq_channel *channel = channel_to(2000 * scale, a.url, b.url, NULL);
  answer got;
  gsq_error error;
  CHECK_INT(GSQ_DEADLINE_EXCEEDED, call(channel, 0, 1500 * scale, &got, &error));
  CHECK_INT(1, atomic_load(&a.requests));
  CHECK_INT(0, atomic_load(&b.requests));
  const int pings = atomic_load(&a.pings);
  CHECK(pings == 1 || pings == 2); /* after 375 ms, and 1125 ms after the answer to that */
  gsq_channel_free(channel);
  peer_stop(&a);
  peer_stop(&b);
}

/* Gives a window without end, and reads a little at a time. */
static void reads_slowly(peer *self, int fd, int index) {
  static const uint8_t start[] = {0,    0, 6, 4, 0, 0, 0, 0, 0, 0, 4,    0x7f, 0xff, 0xff,
                                  0xff, 0, 0, 4, 8, 0, 0, 0, 0, 0, 0x70, 0,    0,    0};
  uint8_t bytes[65536];
  (void)self, (void)index;
  peer_write(fd, start, sizeof start);
  for (ssize_t got; (got = recv(fd, bytes, sizeof bytes, 0)) > 0;) {
    usleep((useconds_t)(got / 2)); /* 2 MB in a second */
  }
}

static void test_slow_line(void) {
  CASE("what gets through slowly gets through: a ping that waits behind it says nothing");
  peer a, b;
  peer_start(&a, reads_slowly, NULL, NULL);
  start_ok(&b);
  int small = 65536;
  setsockopt(a.listener, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
  gsq_channel *channel = channel_to(2000, a.url, b.url, NULL);
  struct iovec large = {calloc(1, 4 << 20), 4 << 20};
  gsq_error error;
  const gsq_call one = {.method = METHOD,
                        .request = &large,
                        .request_count = 1,
                        .deadline_ms = gsq_now_ms() + 1600, /* it would be given up at 1200 */
                        .flags = GSQ_CALL_ONCE};
  gsq_channel_call(channel, &one, &error);
  CHECK_HAS("did not answer " METHOD " within its time", error.message);
  CHECK_INT(0, atomic_load(&b.connections));
  free(large.iov_base);
  gsq_channel_free(channel);
  peer_stop(&a);
  peer_stop(&b);
}

/* ---- servers that die ---- */

static void test_killed_between_calls(void) {
  CASE(
      "killed between calls: the next one goes to another, and none is said to be sent before");
  peer a, b;
  start_ok(&a);
  start_ok(&b);
  gsq_channel *channel = channel_to(2000, a.url, b.url, NULL);
  answer got;
  gsq_error error;
  CHECK_INT(GSQ_OK, call(channel, 0, 5000, &got, &error));
  CHECK_STR(a.url, gsq_channel_url(channel));
  peer_stop(&a);
  CHECK_INT(GSQ_OK, call(channel, 0, 5000, &got, &error));
  CHECK_INT(0, error.sent_before);
  CHECK_INT(1, got.messages);
  CHECK_STR(b.url, gsq_channel_url(channel));
  CASE("and if that one goes too, to the first, which is there again");
  peer_start(&a, h2_scripted, &ok_scripts, NULL);
  gsq_channel *other = channel_to(2000, b.url, nobody(), a.url, NULL);
  CHECK_INT(GSQ_OK, call(other, 0, 5000, &got, &error));
  peer_stop(&b);
  CHECK_INT(GSQ_OK, call(other, 0, 5000, &got, &error));
  CHECK_STR(a.url, gsq_channel_url(other));
  gsq_channel_free(other);
  gsq_channel_free(channel);
  peer_stop(&a);
}

static void test_killed_within_a_call(void) {
  CASE("killed within a call: sent again to another one, byte for byte");
  const h2_answer answers[] = {ok, {.close_at_once = 1}};
  h2_script script = {answers, 2};
  h2_scripts all = {&script, 1};
  for (int once = 0; once < 2; once++) {
    peer a, b;
    peer_start(&a, h2_scripted, &all, NULL);
    start_ok(&b);
    gsq_channel *channel = channel_to(2000, a.url, b.url, NULL);
    answer got;
    gsq_error error;
    CHECK_INT(GSQ_OK, call(channel, 0, 5000, &got, &error));
    refuse(&a);
    int code = call(channel, once ? GSQ_CALL_ONCE : 0, 5000, &got, &error);
    CHECK_INT(1, error.sent_before);
    CHECK_INT(2, atomic_load(&a.requests));
    CHECK_INT(once ? GSQ_UNAVAILABLE : GSQ_OK, code);
    CHECK_INT(once ? 0 : 1, atomic_load(&b.requests));
    CHECK(once || (a.body_size == b.body_size && memcmp(a.body, b.body, b.body_size) == 0));
    gsq_channel_free(channel);
    peer_stop(&a);
    peer_stop(&b);
  }
}

static void test_closed_but_there(void) {
  CASE("a connection that broke says nothing about the server: the same one first");
  h2_answer last = {.close_after = 1};
  h2_script script = {&last, 1};
  h2_scripts all = {&script, 1};
  peer a, b;
  peer_start(&a, h2_scripted, &all, NULL);
  start_ok(&b);
  gsq_channel *channel = channel_to(2000, a.url, b.url, NULL);
  answer got;
  gsq_error error;
  for (int i = 0; i < 3; i++) {
    CHECK_INT(GSQ_OK, call(channel, 0, 5000, &got, &error));
    CHECK(peer_await_closed(&a));
  }
  CHECK_INT(3, atomic_load(&a.requests));
  CHECK_INT(0, stats_of(channel).moves);
  gsq_channel_free(channel);
  peer_stop(&a);
  peer_stop(&b);
}

static void test_unavailable(void) {
  CASE("one that says that it is unavailable: another one, at once");
  h2_answer no = {.trailers_only = 1, .grpc_status = "14", .grpc_message = "draining"};
  h2_script script = {&no, 1};
  h2_scripts all = {&script, 1};
  peer a, b;
  peer_start(&a, h2_scripted, &all, NULL);
  start_ok(&b);
  gsq_channel *channel = channel_to(2000, a.url, b.url, NULL);
  answer got;
  gsq_error error;
  CHECK_INT(GSQ_OK, call(channel, 0, 5000, &got, &error));
  CHECK_INT(1, got.retries);
  CHECK_INT(1, atomic_load(&a.requests));
  CHECK_STR(b.url, gsq_channel_url(channel));
  gsq_channel_free(channel);
  peer_stop(&b);
  peer_stop(&a);
}

static void test_all_unavailable(int scale) {
  CASE("all of them are unavailable: with pauses, in turn");
  h2_answer no = {.trailers_only = 1, .grpc_status = "14", .grpc_message = "draining"};
  h2_script script = {&no, 1};
  h2_scripts all = {&script, 1};
  peer a, b;
  peer_start(&a, h2_scripted, &all, NULL);
  peer_start(&b, h2_scripted, &all, NULL);
  gsq_channel *channel = channel_to(2000 * scale, a.url, b.url, NULL);
  answer got;
  gsq_error error;
  /* Unless the deadline comes within the last call. */
  if (call(channel, 0, 300 * scale, &got, &error) != GSQ_DEADLINE_EXCEEDED) {
    CHECK_INT(GSQ_UNAVAILABLE, error.code);
    CHECK_HAS("draining", error.message);
  }
  CHECK(got.retries >= 3 && got.retries < 60 * scale);
  int of_a = atomic_load(&a.requests), of_b = atomic_load(&b.requests);
  CHECK(of_a - of_b >= -1 && of_a - of_b <= 1);
  gsq_channel_free(channel);
  peer_stop(&a);
  peer_stop(&b);
}

/* ---- channels that go together ---- */

static void test_beside(void) {
  CASE("a channel beside another one goes where that one goes");
  peer a, b;
  start_ok(&a);
  start_ok(&b);
  char list[400];
  snprintf(list, sizeof list, "%s,%s", a.url, b.url);
  int moved_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  gsq_channel_options options = {.url = list,
                                 .connect_timeout_ms = 2000,
                                 .moved_fd = moved_fd,
                                 .max_message_bytes = MAX_MESSAGE};
  gsq_channel *one, *other;
  gsq_error error;
  answer got;
  CHECK_INT(GSQ_OK, gsq_channel_new(&options, &one, &error));
  options.url = NULL;
  options.beside = one;
  CHECK_INT(GSQ_OK, gsq_channel_new(&options, &other, &error));
  CHECK_INT(GSQ_OK, call(one, 0, 5000, &got, &error));
  CHECK_INT(GSQ_OK, call(other, 0, 5000, &got, &error));
  CHECK_INT(2, atomic_load(&a.requests));
  uint64_t count;
  CHECK(read(moved_fd, &count, sizeof count) < 0);

  /* Only the first one's connection is lost; the other one's still stands. */
  refuse(&a);
  shutdown(a.served[0].fd, SHUT_RDWR);
  CHECK_INT(GSQ_OK, call(one, 0, 5000, &got, &error));
  CHECK_INT(1, atomic_load(&b.requests));
  CHECK_INT(sizeof count, read(moved_fd, &count, sizeof count));
  CHECK_INT(GSQ_OK, call(other, 0, 5000, &got, &error));
  CHECK_INT(2, atomic_load(&b.requests));
  CHECK_INT(0, got.retries);
  CHECK_INT(1, stats_of(other).moves);
  CHECK_STR(b.url, gsq_channel_url(other));
  gsq_channel_free(one); /* in any order */
  CHECK_INT(GSQ_OK, call(other, 0, 5000, &got, &error));
  gsq_channel_free(other);
  close(moved_fd);
  peer_stop(&a);
  peer_stop(&b);
}

typedef struct listener {
  answer got; /* first: on_message's */
  peer *a;
  gsq_channel *one;
  int turns_after;
} listener;

static int on_turn(void *arg, int64_t *until_ms, gsq_error *error) {
  listener *self = arg;
  (void)until_ms, (void)error;
  if (self->got.messages == 1 && self->one) {
    refuse(self->a);
    shutdown(self->a->served[0].fd, SHUT_RDWR);
    answer got;
    gsq_error ignored;
    CHECK_INT(GSQ_OK, call(self->one, 0, 5000, &got, &ignored));
    self->one = NULL;
  } else if (!self->one) {
    self->turns_after++;
  }
  return 0;
}

static void test_stream_follows(void) {
  CASE("a stream ends when another server comes into use");
  const h2_answer open = {.keep_open = 1};
  h2_script scripts[] = {{&ok, 1}, {&open, 1}};
  h2_scripts all = {scripts, 2};
  peer a, b;
  peer_start(&a, h2_scripted, &all, NULL);
  start_ok(&b);
  gsq_channel *one = channel_to(2000, a.url, b.url, NULL), *other;
  gsq_channel_options options = {
      .beside = one, .connect_timeout_ms = 2000, .max_message_bytes = MAX_MESSAGE};
  gsq_error error;
  answer got;
  CHECK_INT(GSQ_OK, gsq_channel_new(&options, &other, &error));
  CHECK_INT(GSQ_OK, call(one, 0, 5000, &got, &error));
  listener self = {.a = &a, .one = one};
  const gsq_call stream = {.method = METHOD,
                           .request = &hello,
                           .request_count = 1,
                           .deadline_ms = gsq_now_ms() + 5000,
                           .flags = GSQ_CALL_STREAM | GSQ_CALL_NO_RETRY,
                           .on_message = on_message,
                           .arg = &self,
                           .on_turn = on_turn,
                           .wake_fd = -1};
  CHECK_INT(GSQ_UNAVAILABLE, gsq_channel_call(other, &stream, &error));
  CHECK_HAS("another server than", error.message);
  CHECK_HAS(a.url, error.message);
  CHECK_INT(0, self.turns_after);
  gsq_channel_free(other);
  gsq_channel_free(one);
  peer_stop(&a);
  peer_stop(&b);
}

typedef struct caller {
  gsq_channel *channel;
  atomic_int answered, stopped; /* calls; the first server */
} caller;

static void *call_often(void *arg) {
  caller *self = arg;
  for (int after = 0; after < 20; after += atomic_load(&self->stopped)) {
    answer got;
    gsq_error error;
    CHECK_INT(GSQ_OK, call(self->channel, 0, 20000, &got, &error));
    CHECK_INT(1, got.messages);
    atomic_fetch_add(&self->answered, 1);
  }
  return NULL;
}

static void test_threads(void) {
  CASE("many threads, and the server dies under them: each call is answered");
  peer a, b;
  start_ok(&a);
  start_ok(&b);
  caller self = {.channel = channel_to(2000, a.url, b.url, NULL)};
  pthread_t threads[6];
  for (int i = 0; i < 6; i++) pthread_create(&threads[i], NULL, call_often, &self);
  int64_t until_ms = gsq_now_ms() + 10000;
  while (atomic_load(&self.answered) < 100 && gsq_now_ms() < until_ms) usleep(1000);
  peer_stop(&a);
  atomic_store(&self.stopped, 1);
  for (int i = 0; i < 6; i++) pthread_join(threads[i], NULL);
  CHECK(atomic_load(&self.answered) >= 100 + 6 * 20);
  CHECK_STR(b.url, gsq_channel_url(self.channel));
  CHECK_INT(1, stats_of(self.channel).moves);
  gsq_channel_free(self.channel);
  peer_stop(&b);
}

/* ---- the list ---- */

static void test_lists(void) {
  CASE("where one address ends and the next one begins");
  static const struct {
    const char *list;
    int count;
    const char *last;
  } lists[] = {
      {"http://a:1", 1, "http://a:1"},
      {"http://a:1,http://b:2", 2, "http://b:2"},
      {"unix:/a,b,c", 1, "unix:/a,b,c"},
      {"unix:/a,b,Unix:/c,d", 2, "unix:/c,d"},
      {"https://a,  unix:/b,http:", 2, "unix:/b,http:"},
      {"unix:/a, https://[::1]:5", 2, "https://[::1]:5"},
  };
  for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
    gsq_addresses *addresses;
    gsq_error error;
    CHECK_INT(GSQ_OK, gsq_addresses_new(lists[i].list, -1, &addresses, &error));
    CHECK_INT(lists[i].count, gsq_addresses_count(addresses));
    CHECK_STR(lists[i].last, gsq_addresses_url(addresses, lists[i].count - 1)->text);
    CHECK_INT(0, gsq_addresses_after(addresses, lists[i].count - 1));
    gsq_addresses_free(addresses);
  }
  static const char *const bad[] = {"",
                                    ",",
                                    "http://a,",
                                    ",http://a",
                                    "http://a,,http://b",
                                    "http://a,b",
                                    "unix:/a,,http://b,"};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    gsq_addresses *addresses;
    gsq_error error;
    CHECK_INT(GSQ_BAD_URL, gsq_addresses_new(bad[i], -1, &addresses, &error));
  }
}

int main(void) {
  test_lists();
  test_first_refuses();
  IN_PACE(scale) test_all_dead(scale);
  IN_PACE(scale) test_first_does_not_connect(scale);
  test_not_known();
  IN_PACE(scale) test_first_hangs(scale);
  IN_PACE(scale) test_slow(scale);
  test_slow_line();
  test_killed_between_calls();
  test_killed_within_a_call();
  test_closed_but_there();
  test_unavailable();
  IN_PACE(scale) test_all_unavailable(scale);
  test_beside();
  test_stream_follows();
  test_threads();
  return check_done();
}
