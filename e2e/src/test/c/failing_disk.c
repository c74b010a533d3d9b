/*
** For LD_PRELOAD: makes a program's disk fail while a test wants it to. Of regular files below the folder DISK,
**
**   while the file DISK_LOW exists       there is 1 MiB left, as the system says
**   while the file DISK_FULL exists      writing fails with ENOSPC
**   while the file DISK_BROKEN exists    syncing fails with EIO
*/
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

static int is_on_disk(int fd) {
  const char *disk = getenv("DISK");
  char link[64], path[4096];
  struct stat status;
  if (!disk || fstat(fd, &status) != 0 || !S_ISREG(status.st_mode)) return 0;
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t size = readlink(link, path, sizeof path - 1);
  path[size < 0 ? 0 : size] = 0;
  return strncmp(path, disk, strlen(disk)) == 0;
}

static int is_wanted(const char *when) {
  const char *control = getenv(when);
  int before = errno;
  int result = control && access(control, F_OK) == 0;
  errno = before;
  return result;
}

static int fails(int fd, const char *when) {
  return is_wanted(when) && is_on_disk(fd);
}

#define REAL(type, name, ...)       \
  static type (*real)(__VA_ARGS__); \
  if (!real) *(void **)&real = dlsym(RTLD_NEXT, #name)

#define FAIL_IF(fd, when, problem) \
  if (fails(fd, when)) return errno = problem, -1

int statvfs64(const char *path, struct statvfs64 *status) {
  REAL(int, statvfs64, const char *, struct statvfs64 *);
  int result = real(path, status);
  if (result == 0 && is_wanted("DISK_LOW")) {
    status->f_bavail = (1 << 20) / status->f_frsize;
  }
  return result;
}

ssize_t write(int fd, const void *data, size_t size) {
  REAL(ssize_t, write, int, const void *, size_t);
  FAIL_IF(fd, "DISK_FULL", ENOSPC);
  return real(fd, data, size);
}

ssize_t writev(int fd, const struct iovec *parts, int count) {
  REAL(ssize_t, writev, int, const struct iovec *, int);
  FAIL_IF(fd, "DISK_FULL", ENOSPC);
  return real(fd, parts, count);
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t at) {
  REAL(ssize_t, pwrite, int, const void *, size_t, off_t);
  FAIL_IF(fd, "DISK_FULL", ENOSPC);
  return real(fd, data, size, at);
}

ssize_t pwrite64(int fd, const void *data, size_t size, off64_t at) {
  REAL(ssize_t, pwrite64, int, const void *, size_t, off64_t);
  FAIL_IF(fd, "DISK_FULL", ENOSPC);
  return real(fd, data, size, at);
}

int fallocate(int fd, int mode, off_t at, off_t size) {
  REAL(int, fallocate, int, int, off_t, off_t);
  FAIL_IF(fd, "DISK_FULL", ENOSPC);
  return real(fd, mode, at, size);
}

int fsync(int fd) {
  REAL(int, fsync, int);
  FAIL_IF(fd, "DISK_BROKEN", EIO);
  return real(fd);
}

int fdatasync(int fd) {
  REAL(int, fdatasync, int);
  FAIL_IF(fd, "DISK_BROKEN", EIO);
  return real(fd);
}
