/* Repeatable randomness for tests: the seed is printed, and GSQ_SEED gives it back. */
#ifndef GSQ_TEST_VFS_RANDOM_H
#define GSQ_TEST_VFS_RANDOM_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static inline uint64_t random_seed(const char *test) {
  const char *given = getenv("GSQ_SEED");
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  uint64_t seed = given ? strtoull(given, NULL, 10)
                        : (uint64_t)now.tv_sec * 1000003u + (uint64_t)now.tv_nsec;
  fprintf(stderr, "  %s: GSQ_SEED=%llu\n", test, (unsigned long long)seed);
  return seed;
}

/* splitmix64 */
static inline uint64_t random_next(uint64_t *state) {
  uint64_t z = (*state += 0x9e3779b97f4a7c15u);
  z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
  z = (z ^ z >> 27) * 0x94d049bb133111ebu;
  return z ^ z >> 31;
}

static inline uint32_t random_below(uint64_t *state, uint32_t bound) {
  return (uint32_t)(random_next(state) % bound);
}

#endif
