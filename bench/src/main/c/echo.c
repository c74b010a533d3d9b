/*
** The bare transport: the VFS's own channel, against a server that only answers.
**
**   echo URL
**
** reads lines and answers each with a line "CALLS NANOSECONDS":
**
**   unary REQUEST ANSWER MILLISECONDS   calls one after the other for that long, with messages of
**                                       these sizes in bytes
**   stream TOTAL MESSAGE                one call, answered with TOTAL bytes in messages of MESSAGE
**
** Ends with its input, or with status 1 and a sentence when a call fails.
*/
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "rpc/channel.h"

enum { MAX_REQUEST_BYTES = 16 << 20, MAX_ANSWER_BYTES = 16 << 20, DEADLINE_MS = 240000 };

static int64_t now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

static int count_bytes(void *arg, const uint8_t *data, size_t size, gsq_error *error) {
  (void)data;
  (void)error;
  *(uint64_t *)arg += size;
  return 0;
}

static void put_u32(uint8_t *to, uint32_t value) {
  for (int i = 0; i < 4; i++) to[i] = (uint8_t)(value >> (24 - 8 * i));
}

/* Exits if the call fails, or the answer is not what was asked for. */
static void call(gsq_channel *channel, const char *method, int flags, uint8_t *request,
                 size_t size, uint32_t answer, uint32_t message) {
  uint64_t received = 0;
  gsq_error error = {0};
  put_u32(request, answer);
  put_u32(request + 4, message);
  const struct iovec bytes = {.iov_base = request, .iov_len = size};
  const gsq_call made = {.method = method,
                         .request = &bytes,
                         .request_count = 1,
                         .deadline_ms = gsq_now_ms() + DEADLINE_MS,
                         .flags = flags | GSQ_CALL_NO_RETRY,
                         .on_message = count_bytes,
                         .arg = &received,
                         .wake_fd = -1};
  if (gsq_channel_call(channel, &made, &error) != GSQ_OK) {
    fprintf(stderr, "echo: %s\n", error.message);
    exit(1);
  }
  if (received != answer) {
    fprintf(stderr, "echo: %" PRIu64 " bytes of %" PRIu32 " came\n", received, answer);
    exit(1);
  }
}

int main(int argc, char **argv) {
  gsq_channel *channel = NULL;
  gsq_error error = {0};
  if (argc != 2) {
    fprintf(stderr, "usage: echo URL\n");
    return 2;
  }
  const gsq_channel_options options = {.url = argv[1], .max_message_bytes = MAX_ANSWER_BYTES};
  uint8_t *request = calloc(1, MAX_REQUEST_BYTES);
  if (!request || gsq_channel_new(&options, &channel, &error) != GSQ_OK) {
    fprintf(stderr, "echo: %s\n", request ? error.message : "out of memory");
    free(request);
    return 1;
  }
  char line[200];
  while (fgets(line, sizeof line, stdin)) {
    uint32_t first, second, ms;
    int64_t calls = 0;
    const int64_t begun = now_ns();
    if (sscanf(line, "unary %" SCNu32 " %" SCNu32 " %" SCNu32, &first, &second, &ms) == 3 &&
        first >= 8 && first <= MAX_REQUEST_BYTES) {
      do {
        call(channel, "/grpsqlite.bench.Echo/Unary", 0, request, first, second, second);
        calls++;
      } while (now_ns() - begun < ms * INT64_C(1000000));
    } else if (sscanf(line, "stream %" SCNu32 " %" SCNu32, &first, &second) == 2 &&
               second > 0 && second <= MAX_ANSWER_BYTES) {
      call(channel, "/grpsqlite.bench.Echo/Stream", GSQ_CALL_STREAM, request, 8, first, second);
      calls = 1;
    } else {
      fprintf(stderr, "echo: what is %s", line);
      return 2;
    }
    printf("%" PRId64 " %" PRId64 "\n", calls, now_ns() - begun);
    fflush(stdout);
  }
  gsq_channel_free(channel);
  free(request);
  return 0;
}
