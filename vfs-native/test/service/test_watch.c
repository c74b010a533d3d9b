/* The Watch call: what is sent, what comes, and what its thread does meanwhile. */
#include <pthread.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "check.h"
#include "rpc/peer.h"
#include "service/build.h"
#include "service/page_client.h"

/* Two messages: LeaseWanted of a database of sevens, epoch 12; Confirmed after 150 ms. */
static const uint8_t two_events[] =
    "\0\0\0\0\x16\x12\x14\x0a\x10\7\7\7\7\7\7\7\7\7\7\7\7\7\7\7\7\x10\x0c"
    "\0\0\0\0\5\"\3\x08\x96\1";
static const h2_answer lasting = {
    .body = two_events, .body_size = sizeof two_events - 1, .keep_open = 1};

typedef struct watch {
  gsq_page_client client;
  peer server;
  h2_scripts scripts; /* the server's, as long as it runs */
  int turns, events;
  enum gsq_watch_kind kinds[2];
  uint64_t numbers[2];
  int requests_at_first_turn;
  int64_t turn_every_ms;
  int end_after;  /* turns; 0: not */
  int call_after; /* turns: makes another call */
  int nested;     /* what came of it; -1: none */
} watch;

static int on_event(void *arg, const gsq_watch_event *event, gsq_error *error) {
  watch *self = arg;
  (void)error;
  if (self->events < 2) {
    self->kinds[self->events] = event->kind;
    self->numbers[self->events] =
        event->kind == GSQ_WATCH_CONFIRMED ? event->elapsed_ms : event->epoch;
  }
  self->events++;
  return 0;
}

static int on_turn(void *arg, int64_t *until_ms, gsq_error *error) {
  watch *self = arg;
  if (self->turns++ == 0) self->requests_at_first_turn = atomic_load(&self->server.requests);
  if (self->end_after && self->turns >= self->end_after) {
    return gsq_error_set(error, GSQ_CANCELLED, "enough");
  }
  if (self->call_after && self->turns >= self->call_after && self->nested < 0) {
    gsq_error inner = {0};
    self->nested = gsq_close_session(&self->client, gsq_now_ms() + 5000, &inner);
  }
  if (self->turn_every_ms) *until_ms = gsq_now_ms() + self->turn_every_ms;
  return 0;
}

/* Begins a stream to a server with these scripts, and returns when it has ended. */
static int run(watch *self, const h2_script *scripts, int count, int wake_fd,
               int64_t timeout_ms, gsq_error *error) {
  self->scripts = (h2_scripts){scripts, count};
  peer_start(&self->server, h2_scripted, &self->scripts, NULL);
  gsq_channel_options options = {
      .url = self->server.url, .connect_timeout_ms = 2000, .max_message_bytes = 4 << 20};
  CHECK_INT(GSQ_OK, gsq_channel_new(&options, &self->client.channel, error));
  static const gsq_watched databases[] = {{{"database-1......"}, {300, 0x0102030405060708}},
                                          {{"database-2......"}, {0, 0}}};
  const gsq_watch_request request = {.databases = databases,
                                     .count = 2,
                                     .confirm_every_ms = 70,
                                     .connect_timeout_ms = 1000,
                                     .on_event = on_event,
                                     .on_turn = on_turn,
                                     .wake_fd = wake_fd,
                                     .arg = self};
  memset(error, 0, sizeof *error);
  return gsq_watch(&self->client, &request, gsq_now_ms() + timeout_ms, error);
}

static void stop(watch *self) {
  gsq_channel_free(self->client.channel);
  peer_stop(&self->server);
}

static watch new_watch(void) {
  return (watch){.client = {.session = {"session-id-....."}}, .nested = -1};
}

static void it_says_what_is_watched(void) {
  CASE("the request names the databases; both events come; the end is the server's");
  h2_answer ending = lasting;
  ending.keep_open = 0;
  h2_script script = {&ending, 1};
  watch self = new_watch();
  gsq_error error;
  CHECK_INT(GSQ_OK, run(&self, &script, 1, -1, 5000, &error));
  CHECK_INT(2, self.events);
  CHECK_INT(GSQ_WATCH_LEASE_WANTED, self.kinds[0]);
  CHECK_INT(12, self.numbers[0]);
  CHECK_INT(GSQ_WATCH_CONFIRMED, self.kinds[1]);
  CHECK_INT(150, self.numbers[1]);
  CHECK_INT(0, self.requests_at_first_turn);
  CHECK_STR("/grpsqlite.v1.PageStore/Watch", self.server.path);
  static const uint8_t want[] =
      "\0\0\0\0\x48\x0a\x10session-id-.....\x12\x1e\x0a\x10"
      "database-1......\x10\xac\2\x19\x08\7\6\5\4\3\2\1\x12\x12\x0a\x10"
      "database-2......\x18\x46";
  CHECK_INT(sizeof want - 1, self.server.body_size);
  CHECK(self.server.body_size == sizeof want - 1 &&
        memcmp(want, self.server.body, sizeof want - 1) == 0);
  stop(&self);
}

static void it_is_tried_once(void) {
  CASE("a stream that breaks is not begun again by itself");
  h2_answer broken = lasting;
  broken.keep_open = 0;
  broken.lose_status = 1;
  h2_script script = {&broken, 1};
  watch self = new_watch();
  gsq_error error;
  CHECK_INT(GSQ_UNAVAILABLE, run(&self, &script, 1, -1, 5000, &error));
  CHECK_INT(1, atomic_load(&self.server.requests));
  stop(&self);
}

static void its_thread_has_turns(void) {
  CASE(
      "turns: at the time that they ask for, with calls of their own, until one ends the "
      "stream");
  h2_script scripts[] = {{&lasting, 1}, {&(const h2_answer){0}, 1}};
  watch self = new_watch();
  self.turn_every_ms = 5;
  self.call_after = 6;
  self.end_after = 12;
  gsq_error error;
  CHECK_INT(GSQ_CANCELLED, run(&self, scripts, 2, -1, 10000, &error));
  CHECK_STR("enough", error.message);
  CHECK_INT(12, self.turns);
  CHECK_INT(2, self.events);
  CHECK_INT(GSQ_OK, self.nested);
  CHECK_INT(2, atomic_load(&self.server.connections));
  stop(&self);
}

static void *wake(void *arg) {
  const int fd = *(int *)arg;
  const uint64_t one = 1;
  CHECK(write(fd, &one, sizeof one) == sizeof one);
  return NULL;
}

static void it_can_be_woken(void) {
  CASE("a descriptor wakes it; a turn that never comes does not keep it beyond its deadline");
  h2_script script = {&(const h2_answer){.hang = 1}, 1};
  int fd = eventfd(0, EFD_CLOEXEC);
  watch self = new_watch();
  self.end_after = 2;
  gsq_error error;
  pthread_t thread;
  pthread_create(&thread, NULL, wake, &fd);
  CHECK_INT(GSQ_CANCELLED, run(&self, &script, 1, fd, 10000, &error));
  CHECK_INT(2, self.turns);
  pthread_join(thread, NULL);
  stop(&self);

  watch other = new_watch();
  CHECK_INT(GSQ_DEADLINE_EXCEEDED, run(&other, &script, 1, -1, 200, &error));
  stop(&other);
  close(fd);
}

static void *shut_down(void *arg) {
  watch *self = arg;
  while (atomic_load(&self->server.requests) == 0) usleep(1000);
  gsq_channel_shutdown(self->client.channel);
  return NULL;
}

static void shutting_down_ends_it(void) {
  CASE("shutting the channel down ends it at once");
  h2_script script = {&lasting, 1};
  watch self = new_watch();
  gsq_error error;
  pthread_t thread;
  pthread_create(&thread, NULL, shut_down, &self);
  const int64_t begun_ms = gsq_now_ms();
  CHECK_INT(GSQ_CANCELLED, run(&self, &script, 1, -1, 60000, &error));
  CHECK(gsq_now_ms() - begun_ms < 20000);
  pthread_join(thread, NULL);
  stop(&self);
}

int main(void) {
  it_says_what_is_watched();
  it_is_tried_once();
  its_thread_has_turns();
  it_can_be_woken();
  shutting_down_ends_it();
  return check_done();
}
