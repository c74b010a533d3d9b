#include "vfs/super_journals.h"

#include <limits.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

typedef struct super_journal {
  struct super_journal *next;
  sqlite3_file *file;
  char name[];
} super_journal;

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static super_journal *newest; /* protected by mutex */
static int count;             /* protected by mutex */

/* What points at it; or at the end of the list. */
static super_journal **find(const char *name) {
  super_journal **link = &newest;
  while (*link && strcmp((*link)->name, name) != 0) link = &(*link)->next;
  return link;
}

static void cut(super_journal **link) {
  super_journal *gone = *link;
  if (!gone) return;
  *link = gone->next;
  free(gone);
  count--;
}

int gsq_super_journal_add(const char *name, sqlite3_file *file) {
  const size_t size = strlen(name) + 1;
  super_journal *journal = malloc(sizeof *journal + size);
  if (!journal) return SQLITE_NOMEM;
  journal->file = file;
  memcpy(journal->name, name, size);
  pthread_mutex_lock(&mutex);
  cut(find(name));
  if (count == GSQ_MAX_SUPER_JOURNALS) {
    super_journal **oldest = &newest;
    while ((*oldest)->next) oldest = &(*oldest)->next;
    cut(oldest);
  }
  journal->next = newest;
  newest = journal;
  count++;
  pthread_mutex_unlock(&mutex);
  return SQLITE_OK;
}

void gsq_super_journal_remove(const char *name) {
  pthread_mutex_lock(&mutex);
  cut(find(name));
  pthread_mutex_unlock(&mutex);
}

int gsq_super_journal_exists(const char *name) {
  pthread_mutex_lock(&mutex);
  int exists = *find(name) != NULL;
  pthread_mutex_unlock(&mutex);
  return exists;
}

/* It consists of names, each with a NUL behind it. */
static int count_remotes(sqlite3_file *file) {
  sqlite3_int64 size = 0;
  int remotes = INT_MAX;
  if (file->pMethods->xFileSize(file, &size) != SQLITE_OK) return remotes;
  char *names = malloc((size_t)size + 1);
  if (!names) return remotes;
  if (file->pMethods->xRead(file, names, (int)size, 0) == SQLITE_OK) {
    names[size] = 0;
    remotes = 0;
    for (const char *name = names; name < names + size; name += strlen(name) + 1) {
      remotes += name[0] != '/';
    }
  }
  free(names);
  return remotes;
}

int gsq_super_journal_remotes(const char *name) {
  pthread_mutex_lock(&mutex);
  const super_journal *journal = *find(name);
  sqlite3_file *file = journal ? journal->file : NULL;
  pthread_mutex_unlock(&mutex);
  return file ? count_remotes(file) : 0;
}

void gsq_super_journals_before_fork(void) {
  pthread_mutex_lock(&mutex);
}

void gsq_super_journals_after_fork(void) {
  pthread_mutex_unlock(&mutex);
}
