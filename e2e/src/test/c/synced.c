/*
** For LD_PRELOAD: notes what a program has had synced, so that a test can take away all else, as a power loss
** may. In the file that SYNCED names, after each fsync or fdatasync that succeeded, a line
**
**   F INODE SIZE                       of a file; SIZE is what it had before, so at least that is safe
**   D PATH <TAB> NAME=INODE ...        of a folder
*/
#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

typedef int sync_call(int fd);

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static int notes = -1;
static sync_call *real_fsync, *real_fdatasync;

__attribute__((constructor)) static void begin(void) {
  const char *path = getenv("SYNCED");
  if (path) notes = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
  *(void **)&real_fsync = dlsym(RTLD_NEXT, "fsync");
  *(void **)&real_fdatasync = dlsym(RTLD_NEXT, "fdatasync");
}

static void describe_folder(int fd, FILE *to) {
  char link[64], path[4096];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t size = readlink(link, path, sizeof path - 1);
  path[size < 0 ? 0 : size] = 0;
  fprintf(to, "D %s", path);
  DIR *folder = opendir(path);
  for (struct dirent *each; folder && (each = readdir(folder));) {
    if (strcmp(each->d_name, ".") == 0 || strcmp(each->d_name, "..") == 0) continue;
    fprintf(to, "\t%s=%lu", each->d_name, (unsigned long)each->d_ino);
  }
  if (folder) closedir(folder);
  fputc('\n', to);
}

static int sync_and_note(int fd, sync_call *real) {
  struct stat status;
  char *line = NULL;
  size_t size = 0;
  FILE *to = notes >= 0 && fstat(fd, &status) == 0 ? open_memstream(&line, &size) : NULL;
  if (to && S_ISDIR(status.st_mode)) {
    describe_folder(fd, to);
  } else if (to) {
    fprintf(to, "F %lu %lld\n", (unsigned long)status.st_ino, (long long)status.st_size);
  }
  if (to) fclose(to);
  int result = real(fd);
  if (result == 0 && line) {
    pthread_mutex_lock(&mutex);
    if (write(notes, line, size) != (ssize_t)size) abort();
    pthread_mutex_unlock(&mutex);
  }
  free(line);
  return result;
}

int fsync(int fd) {
  return sync_and_note(fd, real_fsync);
}
int fdatasync(int fd) {
  return sync_and_note(fd, real_fdatasync);
}
