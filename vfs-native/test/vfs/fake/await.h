/*
** Waiting for what other threads do.
*/
#ifndef GSQ_TEST_AWAIT_H
#define GSQ_TEST_AWAIT_H

#include <time.h>

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

#endif
