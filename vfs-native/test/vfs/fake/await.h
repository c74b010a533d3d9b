/*
** Waiting for what other threads do.
*/
#ifndef GSQ_TEST_AWAIT_H
#define GSQ_TEST_AWAIT_H

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "check.h"

#define LONG_MS 10000

/* Waits for a condition, within a deadline. */
#define AWAIT(condition)                                       \
  do {                                                         \
    const int64_t until_ms_ = gsq_now_ms() + LONG_MS;          \
    while (!(condition) && gsq_now_ms() < until_ms_) {         \
      nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL); \
    }                                                          \
    CHECK(condition);                                          \
  } while (0)

static inline void await_time(int64_t at_ms) {
  while (gsq_now_ms() < at_ms) nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
}

/* Whether the other threads of this process all sleep. */
static inline int others_sleep(void) {
  DIR *threads = opendir("/proc/self/task");
  if (!threads) return 0;
  int all = 1;
  for (struct dirent *each; all && (each = readdir(threads));) {
    const long thread = strtol(each->d_name, NULL, 10);
    if (thread == 0 || thread == gettid()) continue;
    char path[64], line[256] = "";
    snprintf(path, sizeof path, "/proc/self/task/%ld/stat", thread);
    FILE *file = fopen(path, "r");
    if (!file) continue; /* it has ended */
    all = fgets(line, sizeof line, file) && strstr(line, ") S ");
    fclose(file);
  }
  closedir(threads);
  return all;
}

/* fork(), when no other thread does anything: AddressSanitizer's allocator knows nothing of it, and a lock
** that another thread had in that moment is locked in the child for ever. */
static inline pid_t fork_among_sleepers(void) {
  const int64_t until_ms = gsq_now_ms() + LONG_MS;
  while (!others_sleep() && gsq_now_ms() < until_ms) {
    nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
  }
  return fork();
}

#endif
