/*
** Checks for tests: each prints the file, the line and what was found, and lets the test go on.
** main ends with `return check_done();`, which prints how many checks there were and how many
** failed. Safe to use from several threads.
*/
#ifndef GSQ_TEST_CHECK_H
#define GSQ_TEST_CHECK_H

#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static atomic_uint check_count, check_failures;

static inline int check_that(int ok, const char *file, int line, const char *what) {
  atomic_fetch_add(&check_count, 1);
  if (!ok) {
    atomic_fetch_add(&check_failures, 1);
    fprintf(stderr, "%s:%d: not true: %s\n", file, line, what);
  }
  return ok;
}

static inline int check_int(int64_t want, int64_t got, const char *file, int line,
                            const char *what) {
  atomic_fetch_add(&check_count, 1);
  if (want == got) return 1;
  atomic_fetch_add(&check_failures, 1);
  fprintf(stderr, "%s:%d: %s is %lld, not %lld\n", file, line, what, (long long)got,
          (long long)want);
  return 0;
}

static inline int check_str(const char *want, const char *got, const char *file, int line,
                            const char *what) {
  atomic_fetch_add(&check_count, 1);
  if (got && strcmp(want, got) == 0) return 1;
  atomic_fetch_add(&check_failures, 1);
  fprintf(stderr, "%s:%d: %s is \"%s\", not \"%s\"\n", file, line, what, got ? got : "(null)",
          want);
  return 0;
}

static inline int check_has(const char *part, const char *got, const char *file, int line,
                            const char *what) {
  atomic_fetch_add(&check_count, 1);
  if (got && strstr(got, part)) return 1;
  atomic_fetch_add(&check_failures, 1);
  fprintf(stderr, "%s:%d: %s is \"%s\", which has no \"%s\"\n", file, line, what,
          got ? got : "(null)", part);
  return 0;
}

/* Each gives 1 if it holds, 0 if not. */
#define CHECK(condition) check_that(!!(condition), __FILE__, __LINE__, #condition)
#define CHECK_INT(want, got) \
  check_int((int64_t)(want), (int64_t)(got), __FILE__, __LINE__, #got)
#define CHECK_STR(want, got) check_str((want), (got), __FILE__, __LINE__, #got)
#define CHECK_HAS(part, got) check_has((part), (got), __FILE__, __LINE__, #got)

/* Long sweeps go on in steps of this: 1, or GSQ_TEST_EVERY, where the sweep is slow and is not what
** is looked for, as single threads under ThreadSanitizer. */
static inline int test_every(void) {
  const char *given = getenv("GSQ_TEST_EVERY");
  int every = given ? atoi(given) : 1;
  return every > 1 ? every : 1;
}

/* A case's name, for the log. */
#define CASE(name) fprintf(stderr, "- %s\n", (name))

static inline int check_done(void) {
  unsigned failed = atomic_load(&check_failures);
  printf("%u checks, %u failed\n", atomic_load(&check_count), failed);
  return failed ? 1 : 0;
}

#endif
