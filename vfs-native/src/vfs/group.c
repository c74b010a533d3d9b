#include "vfs/group.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
/* Files with a prepared part, of all groups; the newest first. Protected by mutex, like their
** links; what else is in a file is its connection's own. */
static gsq_remote_file *prepared_files;

size_t gsq_group_room(const char *super_journal, const gsq_remote_file *file) {
  size_t room =
      file->server->info.max_message_bytes - GSQ_MAX_GROUP * GSQ_MESSAGE_OVERHEAD_BYTES;
  pthread_mutex_lock(&mutex);
  for (const gsq_remote_file *f = prepared_files; f; f = f->next_prepared) {
    if (f->server != file->server || strcmp(f->super_journal, super_journal) != 0) continue;
    const size_t bytes = gsq_prepared_bytes(&f->prepared);
    room = bytes < room ? room - bytes : 0;
  }
  pthread_mutex_unlock(&mutex);
  return room;
}

int gsq_group_join(const char *super_journal, gsq_remote_file *file) {
  file->super_journal = strdup(super_journal);
  if (!file->super_journal) return SQLITE_NOMEM;
  pthread_mutex_lock(&mutex);
  file->next_prepared = prepared_files;
  prepared_files = file;
  pthread_mutex_unlock(&mutex);
  return SQLITE_OK;
}

static void forget_part(gsq_remote_file *file, enum gsq_commit_outcome outcome) {
  gsq_prepared_free(&file->prepared, outcome);
  free(file->super_journal);
  file->super_journal = NULL;
  file->next_prepared = NULL;
}

void gsq_group_leave(gsq_remote_file *file) {
  if (!file->super_journal) return;
  pthread_mutex_lock(&mutex);
  gsq_remote_file **link = &prepared_files;
  while (*link && *link != file) link = &(*link)->next_prepared;
  if (*link) *link = file->next_prepared;
  pthread_mutex_unlock(&mutex);
  forget_part(file, GSQ_COMMIT_REFUSED);
}

/* Takes the files of a group off the list: a list of its own, in the order in which they joined. */
static gsq_remote_file *take(const char *super_journal) {
  gsq_remote_file *files = NULL;
  pthread_mutex_lock(&mutex);
  for (gsq_remote_file **link = &prepared_files; *link;) {
    gsq_remote_file *file = *link;
    if (strcmp(file->super_journal, super_journal) != 0) {
      link = &file->next_prepared;
      continue;
    }
    *link = file->next_prepared;
    file->next_prepared = files;
    files = file;
  }
  pthread_mutex_unlock(&mutex);
  return files;
}

/* Takes the first file off the list, and those that can be sent with it. */
static size_t take_sendable(gsq_remote_file **files, gsq_remote_file **sent) {
  gsq_server *server = (*files)->server;
  const size_t most = server->info.commit_group ? GSQ_MAX_GROUP : 1;
  size_t count = 0;
  for (gsq_remote_file **link = files; *link && count < most;) {
    gsq_remote_file *file = *link;
    if (file->server != server) {
      link = &file->next_prepared;
      continue;
    }
    *link = file->next_prepared;
    sent[count++] = file;
  }
  return count;
}

/* Sends the parts of one server. What became of them is in the files' state; an error's code is
** returned. */
static int send_parts(gsq_remote_file **files, size_t count) {
  gsq_prepared *parts[GSQ_MAX_GROUP];
  gsq_error error = {0};
  int rc = SQLITE_OK;
  for (size_t i = 0; i < count; i++) parts[i] = &files[i]->prepared;
  const enum gsq_commit_outcome outcome = gsq_commit_send(parts, count, &error);
  for (size_t i = 0; i < count; i++) {
    forget_part(files[i], outcome);
    rc = gsq_remote_ended(files[i], outcome, &error);
  }
  return rc;
}

int gsq_group_commit(const char *super_journal) {
  gsq_remote_file *files = take(super_journal), *applied = NULL;
  int rc = SQLITE_OK;
  while (files && rc == SQLITE_OK) {
    gsq_remote_file *sent[GSQ_MAX_GROUP];
    const size_t count = take_sendable(&files, sent);
    rc = send_parts(sent, count);
    for (size_t i = 0; rc == SQLITE_OK && i < count; i++) {
      sent[i]->next_prepared = applied;
      applied = sent[i];
    }
  }
  while (files) {
    gsq_remote_file *file = files;
    files = file->next_prepared;
    forget_part(file, GSQ_COMMIT_REFUSED);
    gsq_remote_not_sent(file);
  }
  while (applied) {
    gsq_remote_file *file = applied;
    applied = file->next_prepared;
    file->next_prepared = NULL;
    if (rc != SQLITE_OK) gsq_remote_applied_alone(file);
  }
  return rc;
}

void gsq_groups_before_fork(void) {
  pthread_mutex_lock(&mutex);
}

void gsq_groups_after_fork(int in_child) {
  /* The files are the parent's. In the child nothing is done with them any more. */
  if (in_child) prepared_files = NULL;
  pthread_mutex_unlock(&mutex);
}
