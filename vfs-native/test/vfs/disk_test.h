/*
** For tests of the cache on disk: a folder, and a history of versions that everyone can compute, so
** that any number of processes can say whether an image of a page is the right one.
*/
#ifndef GSQ_TEST_VFS_DISK_TEST_H
#define GSQ_TEST_VFS_DISK_TEST_H

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"
#include "vfs/disk_cache.h"
#include "vfs/random.h"

static char disk_folder[200];

/* Makes the folder that tests may fill. Returns 0 if that failed. */
static inline int disk_make_folder(void) {
  const char *place = getenv("TMPDIR");
  snprintf(disk_folder, sizeof disk_folder, "%s/gsq-disk-XXXXXX", place ? place : P_tmpdir);
  return CHECK(mkdtemp(disk_folder) != NULL);
}

/* Removes the files that are in a folder. */
static inline void disk_empty(const char *path) {
  DIR *directory = opendir(path);
  const struct dirent *entry;
  while (directory && (entry = readdir(directory))) {
    if (entry->d_name[0] != '.') unlinkat(dirfd(directory), entry->d_name, 0);
  }
  if (directory) closedir(directory);
}

static inline void disk_empty_folder(void) {
  disk_empty(disk_folder);
}

static inline void disk_remove_folder(void) {
  disk_empty_folder();
  CHECK_INT(0, rmdir(disk_folder));
}

/* Opens a file there whose name ends so: the pages or the one index. */
static inline int disk_open_file(const char *ending, int flags) {
  DIR *directory = opendir(disk_folder);
  const struct dirent *entry;
  int fd = -1;
  while (fd < 0 && directory && (entry = readdir(directory))) {
    const size_t length = strlen(entry->d_name), end = strlen(ending);
    if (length < end || strcmp(entry->d_name + length - end, ending) != 0) continue;
    fd = openat(dirfd(directory), entry->d_name, flags);
  }
  if (directory) closedir(directory);
  return fd;
}

#endif
