#include "vfs/super_journals.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

/* Commits over several databases that are under way, or failed a short while ago, in one process.
** A name has a random part, so that one too many does no harm. */
#define MAX_NAMES 64
#define MAX_NAME_BYTES 1056

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static char names[MAX_NAMES][MAX_NAME_BYTES]; /* protected by mutex */
static unsigned oldest;                       /* protected by mutex */

static int find(const char *name) {
  for (int i = 0; i < MAX_NAMES; i++) {
    if (names[i][0] && strcmp(names[i], name) == 0) return i;
  }
  return -1;
}

void gsq_super_journal_add(const char *name) {
  pthread_mutex_lock(&mutex);
  if (strlen(name) < MAX_NAME_BYTES && find(name) < 0) {
    snprintf(names[oldest], MAX_NAME_BYTES, "%s", name);
    oldest = (oldest + 1) % MAX_NAMES;
  }
  pthread_mutex_unlock(&mutex);
}

void gsq_super_journal_remove(const char *name) {
  pthread_mutex_lock(&mutex);
  int i = find(name);
  if (i >= 0) names[i][0] = 0;
  pthread_mutex_unlock(&mutex);
}

int gsq_super_journal_exists(const char *name) {
  pthread_mutex_lock(&mutex);
  int exists = find(name) >= 0;
  pthread_mutex_unlock(&mutex);
  return exists;
}

void gsq_super_journals_before_fork(void) {
  pthread_mutex_lock(&mutex);
}

void gsq_super_journals_after_fork(void) {
  pthread_mutex_unlock(&mutex);
}
