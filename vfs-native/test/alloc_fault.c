#include "alloc_fault.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

static _Thread_local int countdown, stay, hits, paused;

void alloc_fault_at(int n, int forever) {
  countdown = n;
  stay = forever;
  hits = 0;
}

int alloc_fault_hits(void) {
  return hits;
}

void alloc_fault_pause(int begins) {
  paused += begins ? 1 : -1;
}

static int fails(void) {
  if (countdown == 0 || paused) return 0;
  if (countdown > 1) {
    countdown--;
    return 0;
  }
  if (!stay) countdown = 0;
  hits++;
  return 1;
}

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);
char *__wrap_strdup(const char *text);
char *__wrap_strndup(const char *text, size_t max);

void *__wrap_malloc(size_t size) {
  return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size) {
  return fails() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *old, size_t size) {
  return fails() ? NULL : __real_realloc(old, size);
}

char *__wrap_strndup(const char *text, size_t max) {
  size_t size = strnlen(text, max);
  char *copy = __wrap_malloc(size + 1);
  if (copy) {
    memcpy(copy, text, size);
    copy[size] = 0;
  }
  return copy;
}

char *__wrap_strdup(const char *text) {
  return __wrap_strndup(text, strlen(text));
}
