/*
** A folder that caches are kept in (cache_dir): its open files, the lock that processes take to
** replace a file, and one thread that writes, so that nobody who waits for SQLite waits for a disk.
**
** Shared by all databases of the process that use it: made by the first, ended by the last, which
** waits for what is queued. What does not fit the queue is not written: it is a cache.
**
** Thread-safe.
*/
#ifndef GSQ_VFS_DISK_FOLDER_H
#define GSQ_VFS_DISK_FOLDER_H

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

typedef struct gsq_disk_folder gsq_disk_folder;

/* Something to do in the thread. `run` frees it. */
typedef struct gsq_disk_job {
  struct gsq_disk_job *next;
  size_t bytes; /* that it takes of the queue */
  void (*run)(gsq_disk_folder *folder, struct gsq_disk_job *job);
} gsq_disk_job;

struct gsq_disk_folder {
  /* Set before anyone else sees the object; never changed. */
  char *path;
  int directory_fd;
  int pages_fd;       /* see disk_pages.h */
  uint64_t max_bytes; /* of that file */

  /* Protected by the registry mutex (disk_folder.c). */
  int references;
  gsq_disk_folder *next;

  pthread_mutex_t lock_mutex; /* with the folder's lock; held across I/O */

  pthread_mutex_t mutex;
  pthread_cond_t changed; /* `first` or `stopping` */
  /* Protected by mutex. */
  gsq_disk_job *first, **last;
  size_t queued_bytes;
  int stopping, thread_running;
  pthread_t thread;
};

/* Makes the folder if there is none. Fails with a sentence if it cannot be used. */
int gsq_disk_folder_acquire(const char *path, int64_t max_bytes, gsq_disk_folder **out,
                            gsq_error *error);
void gsq_disk_folder_release(gsq_disk_folder *folder);

/* Queues a job. Returns 0 if it was not: it is still the caller's. */
int gsq_disk_later(gsq_disk_folder *folder, gsq_disk_job *job);

/* Of all processes, one has the lock; it is free again when that one dies. Returns 0 if it was not
** to be had within a moment: a process that has been stopped must not stop others. */
int gsq_disk_lock(gsq_disk_folder *folder);
void gsq_disk_unlock(gsq_disk_folder *folder);

/* Opens a file of the folder: a regular one of this user. -1, with errno. */
int gsq_disk_open(const gsq_disk_folder *folder, const char *name, int flags);

/* For fork.c. */
void gsq_disk_folders_before_fork(void);
void gsq_disk_folders_after_fork(int in_child);

#endif
