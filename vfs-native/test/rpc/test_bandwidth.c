/* What the channel says of the network, from how large answers came. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock.h"
#include "check.h"
#include "rpc/channel.h"
#include "rpc/io.h"
#include "rpc/peer.h"

#define LARGE (3u << 20)
#define SMALL (100u << 10)

static int far_away; /* whether the peers seem to be on another machine */

/* In place of libc's. */
int getpeername(int fd, struct sockaddr *restrict address, socklen_t *restrict size) {
  int rc = (int)syscall(SYS_getpeername, fd, address, size);
  if (rc == 0 && far_away && address->sa_family == AF_INET) {
    ((struct sockaddr_in *)address)->sin_addr.s_addr = inet_addr("192.0.2.1");
  }
  return rc;
}

static int on_message(void *arg, const uint8_t *data, size_t size, gsq_error *error) {
  (void)arg, (void)data, (void)size, (void)error;
  return 0;
}

/* What is known after answers of these sizes, the last one of them in *us. */
static int64_t after(const unsigned *sizes, int count, const char *unix_path, int64_t *us) {
  h2_answer answers[4];
  memset(answers, 0, sizeof answers);
  for (int i = 0; i < count; i++) {
    uint8_t *body = calloc(1, 5 + sizes[i]);
    body[1] = (uint8_t)(sizes[i] >> 24);
    body[2] = (uint8_t)(sizes[i] >> 16);
    body[3] = (uint8_t)(sizes[i] >> 8);
    body[4] = (uint8_t)sizes[i];
    answers[i].body = body;
    answers[i].body_size = 5 + sizes[i];
  }
  h2_script script = {answers, count};
  h2_scripts all = {&script, 1};
  peer server;
  peer_start(&server, h2_scripted, &all, unix_path);
  gsq_channel_options options = {
      .url = server.url, .connect_timeout_ms = 5000, .max_message_bytes = 4u << 20};
  gsq_channel *channel = NULL;
  gsq_error error;
  CHECK_INT(GSQ_OK, gsq_channel_new(&options, &channel, &error));
  CHECK_INT(0, gsq_channel_bandwidth(channel));
  for (int i = 0; i < count; i++) {
    const struct iovec nothing = {"", 0};
    const gsq_call call = {.method = "/test.Service/Method",
                           .request = &nothing,
                           .request_count = 1,
                           .deadline_ms = gsq_now_ms() + 30000,
                           .on_message = on_message};
    const int64_t began_us = gsq_now_us();
    if (!CHECK_INT(GSQ_OK, gsq_channel_call(channel, &call, &error))) {
      fprintf(stderr, "  %s\n", error.message);
    }
    *us = gsq_now_us() - began_us;
  }
  const int64_t bandwidth = gsq_channel_bandwidth(channel);
  gsq_channel_free(channel);
  peer_stop(&server);
  for (int i = 0; i < count; i++) free((void *)(uintptr_t)answers[i].body);
  return bandwidth;
}

int main(void) {
  static const unsigned large[] = {LARGE}, small[] = {SMALL, SMALL};
  static const unsigned large_then_small[] = {LARGE, SMALL};
  int64_t us;
  char folder[] = "/tmp/gsq-XXXXXX", path[64];

  CASE("of a server on this machine, nothing is said");
  CHECK_INT(0, after(large, 1, NULL, &us));
  CHECK(mkdtemp(folder) != NULL);
  snprintf(path, sizeof path, "%s/socket", folder);
  CHECK_INT(0, after(large, 1, path, &us));
  unlink(path);
  rmdir(folder);

  CASE("of another one, in how many bytes per second a large answer came");
  far_away = 1;
  const int64_t bandwidth = after(large, 1, NULL, &us);
  /* It took less than the call as a whole, of which its first bytes do not count. */
  if (!CHECK(bandwidth >= (int64_t)(LARGE - (256u << 10)) * 1000000 / us)) {
    fprintf(stderr, "  %lld bytes/s, %lld us\n", (long long)bandwidth, (long long)us);
  }
  CHECK(bandwidth < 100LL << 30);

  CASE("small answers say nothing");
  CHECK_INT(0, after(small, 2, NULL, &us));
  CHECK(after(large_then_small, 2, NULL, &us) > 0);
  return check_done();
}
