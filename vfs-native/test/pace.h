/*
** For cases that measure time, on machines that stop or crawl now and then: such a case fails
** only if it fails while its process could run, or with times eight times as long. Not for a promise:
** what must hold however late somebody is gets time enough instead, and is never tried again.
*/
#ifndef GSQ_TEST_PACE_H
#define GSQ_TEST_PACE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "check.h"

#define PACE_TICK_MS 2
#define PACE_LATE_MS 100  /* from which on a sleep counts as too long, at scale 1 */
#define PACE_AS_IT_IS 4   /* attempts at scale 1: one of them may meet a machine that runs */
#define PACE_MAX_SCALE 8

static atomic_int_fast64_t pace_late_ms; /* the longest, since it was last set to 0 */
static atomic_int pace_ends;
static pthread_t pace_thread;
static unsigned pace_failures; /* before the case */
static int pace_attempts;

static inline void *pace_watch(void *unused) {
  (void)unused;
  while (!atomic_load(&pace_ends)) {
    const int64_t before_ms = gsq_now_ms();
    usleep(PACE_TICK_MS * 1000);
    const int64_t late_ms = gsq_now_ms() - before_ms - PACE_TICK_MS;
    if (late_ms > atomic_load(&pace_late_ms)) atomic_store(&pace_late_ms, late_ms);
  }
  return NULL;
}

static inline int pace_begin(void) {
  pace_failures = atomic_load(&check_failures);
  pace_attempts = 0;
  atomic_store(&pace_late_ms, 0);
  atomic_store(&pace_ends, 0);
  if (!CHECK_INT(0, pthread_create(&pace_thread, NULL, pace_watch, NULL))) return 0;
  return 1;
}

/* The scale of the next attempt; 0 if there is to be none. */
static inline int pace_next(int scale) {
  const long long late_ms = atomic_exchange(&pace_late_ms, 0);
  if (atomic_load(&check_failures) > pace_failures && late_ms >= PACE_LATE_MS * scale &&
      scale < PACE_MAX_SCALE) {
    if (++pace_attempts >= PACE_AS_IT_IS) scale *= 2;
    fprintf(stderr, "  but the machine slept %lld ms too long: once more, at scale %d\n",
            late_ms, scale);
    atomic_store(&check_failures, pace_failures);
    return scale;
  }
  atomic_store(&pace_ends, 1);
  pthread_join(pace_thread, NULL);
  return 0;
}

/* IN_PACE(scale) test(scale): the statement is run again, as long as checks in it fail and the machine
** slept meanwhile: with `scale` 1 at first, then 2, 4 and 8. It multiplies its times with that. */
#define IN_PACE(scale) for (int scale = pace_begin(); scale; scale = pace_next(scale))

#endif
