#include "vfs/disk_folder.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* What waits to be written, in memory: a few answers' worth of pages. */
#define MAX_QUEUED_BYTES (16u << 20)
#define LOCK_ATTEMPTS 100
#define LOCK_PAUSE_NS 1000000

static pthread_mutex_t registry_mutex = PTHREAD_MUTEX_INITIALIZER;
static gsq_disk_folder *folders; /* protected by registry_mutex */

int gsq_disk_open(const gsq_disk_folder *folder, const char *name, int flags) {
  const int fd = openat(folder->directory_fd, name, flags | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK,
                        S_IRUSR | S_IWUSR);
  struct stat is;
  if (fd < 0) return -1;
  if (fstat(fd, &is) == 0 && S_ISREG(is.st_mode) && is.st_uid == geteuid()) return fd;
  close(fd);
  errno = EPERM;
  return -1;
}

static void free_folder(gsq_disk_folder *folder) {
  if (folder->pages_fd >= 0) close(folder->pages_fd);
  if (folder->directory_fd >= 0) close(folder->directory_fd);
  pthread_cond_destroy(&folder->changed);
  pthread_mutex_destroy(&folder->mutex);
  pthread_mutex_destroy(&folder->lock_mutex);
  free(folder->path);
  free(folder);
}

/* Opens the files. Returns 0, or -1 with errno. */
static int open_files(gsq_disk_folder *folder) {
  if (mkdir(folder->path, S_IRWXU) != 0 && errno != EEXIST) return -1;
  folder->directory_fd = open(folder->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (folder->directory_fd < 0) return -1;
  folder->pages_fd = gsq_disk_open(folder, "pages", O_RDWR | O_CREAT);
  if (folder->pages_fd < 0) return -1;
  /* It may be from when there was a higher limit. */
  struct stat is;
  if (fstat(folder->pages_fd, &is) != 0) return -1;
  if ((uint64_t)is.st_size <= folder->max_bytes) return 0;
  return ftruncate(folder->pages_fd, (off_t)folder->max_bytes);
}

static int make_folder(const char *path, int64_t max_bytes, gsq_disk_folder **out,
                       gsq_error *error) {
  gsq_disk_folder *folder = calloc(1, sizeof *folder);
  if (!folder) return gsq_error_nomem(error);
  pthread_mutex_init(&folder->lock_mutex, NULL);
  pthread_mutex_init(&folder->mutex, NULL);
  pthread_cond_init(&folder->changed, NULL);
  folder->directory_fd = folder->pages_fd = -1;
  folder->max_bytes = (uint64_t)max_bytes;
  folder->references = 1;
  folder->last = &folder->first;
  folder->path = strdup(path);
  int code = GSQ_OK;
  if (!folder->path) {
    code = gsq_error_nomem(error);
  } else if (open_files(folder) != 0) {
    const int why = errno;
    char text[100];
    code = gsq_error_set(error, GSQ_UNAVAILABLE,
                         "cache_dir %s cannot be used (%s), so no page is kept on disk; give a "
                         "folder that this user can write to",
                         path, strerror_r(why, text, sizeof text));
  }
  if (code != GSQ_OK) {
    free_folder(folder);
    return code;
  }
  *out = folder;
  return GSQ_OK;
}

int gsq_disk_folder_acquire(const char *path, int64_t max_bytes, gsq_disk_folder **out,
                            gsq_error *error) {
  int code = GSQ_OK;
  pthread_mutex_lock(&registry_mutex);
  gsq_disk_folder *folder = folders;
  while (folder &&
         (strcmp(folder->path, path) != 0 || folder->max_bytes != (uint64_t)max_bytes)) {
    folder = folder->next;
  }
  if (folder) {
    folder->references++;
  } else {
    code = make_folder(path, max_bytes, &folder, error);
    if (code == GSQ_OK) {
      folder->next = folders;
      folders = folder;
    }
  }
  pthread_mutex_unlock(&registry_mutex);
  if (code == GSQ_OK) *out = folder;
  return code;
}

void gsq_disk_folder_release(gsq_disk_folder *folder) {
  pthread_mutex_lock(&registry_mutex);
  const int last = --folder->references == 0;
  if (last) {
    gsq_disk_folder **link = &folders;
    while (*link != folder) link = &(*link)->next;
    *link = folder->next;
  }
  pthread_mutex_unlock(&registry_mutex);
  if (!last) return;
  pthread_mutex_lock(&folder->mutex);
  folder->stopping = 1;
  pthread_cond_signal(&folder->changed);
  pthread_mutex_unlock(&folder->mutex);
  if (folder->thread_running) pthread_join(folder->thread, NULL);
  free_folder(folder);
}

/* The thread: does what is queued, and ends when it is to and nothing is. */
static void *run(void *arg) {
  gsq_disk_folder *folder = arg;
  pthread_mutex_lock(&folder->mutex);
  for (;;) {
    gsq_disk_job *job = folder->first;
    if (!job) {
      if (folder->stopping) break;
      pthread_cond_wait(&folder->changed, &folder->mutex);
      continue;
    }
    const size_t bytes = job->bytes;
    folder->first = job->next;
    if (!folder->first) folder->last = &folder->first;
    pthread_mutex_unlock(&folder->mutex);
    job->run(folder, job);
    pthread_mutex_lock(&folder->mutex);
    folder->queued_bytes -= bytes;
  }
  pthread_mutex_unlock(&folder->mutex);
  return NULL;
}

/* With all signals blocked: they are the program's. Under folder->mutex. */
static int start_thread(gsq_disk_folder *folder) {
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  folder->thread_running = pthread_create(&folder->thread, NULL, run, folder) == 0;
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  return folder->thread_running;
}

int gsq_disk_later(gsq_disk_folder *folder, gsq_disk_job *job) {
  pthread_mutex_lock(&folder->mutex);
  const int fits = folder->queued_bytes + job->bytes <= MAX_QUEUED_BYTES &&
                   (folder->thread_running || start_thread(folder));
  if (fits) {
    job->next = NULL;
    *folder->last = job;
    folder->last = &job->next;
    folder->queued_bytes += job->bytes;
    pthread_cond_signal(&folder->changed);
  }
  pthread_mutex_unlock(&folder->mutex);
  return fits;
}

int gsq_disk_lock(gsq_disk_folder *folder) {
  pthread_mutex_lock(&folder->lock_mutex);
  for (int i = 0; i < LOCK_ATTEMPTS; i++) {
    if (flock(folder->directory_fd, LOCK_EX | LOCK_NB) == 0) return 1;
    if (errno != EWOULDBLOCK && errno != EINTR) break;
    nanosleep(&(struct timespec){.tv_nsec = LOCK_PAUSE_NS}, NULL);
  }
  pthread_mutex_unlock(&folder->lock_mutex);
  return 0;
}

void gsq_disk_unlock(gsq_disk_folder *folder) {
  flock(folder->directory_fd, LOCK_UN);
  pthread_mutex_unlock(&folder->lock_mutex);
}

void gsq_disk_folders_before_fork(void) {
  pthread_mutex_lock(&registry_mutex);
}

void gsq_disk_folders_after_fork(int in_child) {
  if (in_child) {
    /* The objects stay allocated, as those of servers do. */
    for (gsq_disk_folder *folder = folders; folder; folder = folder->next) {
      close(folder->pages_fd);
      close(folder->directory_fd);
    }
    folders = NULL;
  }
  pthread_mutex_unlock(&registry_mutex);
}
