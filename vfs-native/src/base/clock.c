#include "base/clock.h"

#include <time.h>

int64_t gsq_now_us(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

int64_t gsq_now_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_BOOTTIME, &now);
  return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* No condition can wait on CLOCK_BOOTTIME; who was asleep looks again when it wakes. */
void gsq_cond_init(pthread_cond_t *cond) {
  pthread_condattr_t monotonic;
  pthread_condattr_init(&monotonic);
  pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
  pthread_cond_init(cond, &monotonic);
  pthread_condattr_destroy(&monotonic);
}

int gsq_wait_until(pthread_cond_t *cond, pthread_mutex_t *mutex, int64_t until_ms) {
  const int64_t left_ms = until_ms - gsq_now_ms();
  if (left_ms <= 0) return 0;
  struct timespec until;
  clock_gettime(CLOCK_MONOTONIC, &until);
  until.tv_sec += left_ms / 1000;
  until.tv_nsec += left_ms % 1000 * 1000000;
  if (until.tv_nsec >= 1000000000) {
    until.tv_sec++;
    until.tv_nsec -= 1000000000;
  }
  pthread_cond_timedwait(cond, mutex, &until);
  return 1;
}
