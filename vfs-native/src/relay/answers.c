#include "relay/answers.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/uio.h>
#include <unistd.h>

static pthread_mutex_t writing = PTHREAD_MUTEX_INITIALIZER;

static void write_all(struct iovec *parts, int count) {
  while (count > 0) {
    if (parts->iov_len == 0) {
      parts++, count--;
      continue;
    }
    ssize_t written = writev(STDOUT_FILENO, parts, count);
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return; /* Nobody hears it: the input ends, or has. */
    for (size_t left = (size_t)written; left > 0;) {
      size_t done = left < parts->iov_len ? left : parts->iov_len;
      parts->iov_base = (char *)parts->iov_base + done;
      parts->iov_len -= done;
      left -= done;
      if (parts->iov_len == 0 && count > 1) parts++, count--;
    }
  }
}

/* A line that fits, whatever is in it. */
static void say(char *line, size_t room, int size, const uint8_t *data, size_t data_size) {
  if (size < 0) _exit(1);
  size_t length = (size_t)size < room - 2 ? (size_t)size : room - 2;
  for (size_t i = 0; i < length; i++) {
    if (line[i] == '\n') line[i] = ' ';
  }
  line[length++] = '\n';
  struct iovec parts[2] = {{.iov_base = line, .iov_len = length},
                           {.iov_base = (void *)(uintptr_t)data, .iov_len = data_size}};
  pthread_mutex_lock(&writing);
  write_all(parts, data_size ? 2 : 1);
  pthread_mutex_unlock(&writing);
}

void gsq_answer_ready(void) {
  char line[] = "ready  "; /* with room for the end of the line */
  say(line, sizeof line, 5, NULL, 0);
}

void gsq_answer_message(uint64_t number, const uint8_t *data, size_t size) {
  char line[80];
  say(line, sizeof line, snprintf(line, sizeof line, "message %" PRIu64 " %zu", number, size),
      data, size);
}

void gsq_answer_sent(uint64_t number, uint64_t bytes) {
  char line[80];
  say(line, sizeof line, snprintf(line, sizeof line, "sent %" PRIu64 " %" PRIu64, number, bytes),
      NULL, 0);
}

void gsq_answer_end(uint64_t number, int code, const gsq_error *error) {
  char line[sizeof(gsq_error) + 80];
  int grpc_code = code == GSQ_BAD_URL                          ? GSQ_INVALID_ARGUMENT
                  : code > GSQ_UNAUTHENTICATED || code < GSQ_OK ? GSQ_INTERNAL
                                                                : code;
  const char *reason = code == GSQ_BAD_URL                    ? "BAD_URL"
                       : code != GSQ_OK && error->reason[0] ? error->reason
                                                            : "-";
  say(line, sizeof line,
      snprintf(line, sizeof line, "end %" PRIu64 " %d %s %s", number, grpc_code, reason,
               code != GSQ_OK ? error->message : ""),
      NULL, 0);
}
