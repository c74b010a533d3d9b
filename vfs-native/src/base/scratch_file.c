#include "base/scratch_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define MAX_PATH_BYTES 4096

/* Not every file system has files without a name from the start. */
static int open_and_unlink(const char *folder) {
  char path[MAX_PATH_BYTES];
  const int length = snprintf(path, sizeof path, "%s/grpsqlite-XXXXXX", folder);
  if (length < 0 || (size_t)length >= sizeof path) return -1;
  const int file = mkostemp(path, O_CLOEXEC);
  if (file >= 0) unlink(path);
  return file;
}

int gsq_scratch_file_open(void) {
  const char *const folders[] = {
      getenv("SQLITE_TMPDIR"), getenv("TMPDIR"), "/var/tmp", "/usr/tmp", "/tmp", "."};
  for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
    if (!folders[i] || !*folders[i]) continue;
    int file = open(folders[i], O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (file < 0) file = open_and_unlink(folders[i]);
    if (file >= 0) return file;
  }
  return -1;
}

int gsq_scratch_file_write(int file, const void *data, size_t size, uint64_t offset) {
  const char *from = data;
  while (size > 0) {
    const ssize_t n = pwrite(file, from, size, (off_t)offset);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return -1;
    from += n;
    offset += (uint64_t)n;
    size -= (size_t)n;
  }
  return 0;
}

int gsq_scratch_file_read(int file, void *to, size_t size, uint64_t offset) {
  char *at = to;
  while (size > 0) {
    const ssize_t n = pread(file, at, size, (off_t)offset);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return -1;
    at += n;
    offset += (uint64_t)n;
    size -= (size_t)n;
  }
  return 0;
}
