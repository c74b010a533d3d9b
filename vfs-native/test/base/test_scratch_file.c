/* Scratch files: where they are made, and that nothing of them is left. */
#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/scratch_file.h"
#include "check.h"

static int entries(const char *folder) {
  DIR *dir = opendir(folder);
  int count = 0;
  while (dir && readdir(dir)) count++;
  if (dir) closedir(dir);
  return count - 2;
}

static void it_is_in_the_folder_asked_for_and_has_no_name(void) {
  CASE("it is in the first folder that takes it, for this user alone, without a name");
  char folder[] = "/tmp/gsq-scratch-XXXXXX";
  if (!CHECK(mkdtemp(folder) != NULL)) return;
  setenv("SQLITE_TMPDIR", "/no/such/folder", 1);
  setenv("TMPDIR", folder, 1);
  const int file = gsq_scratch_file_open();
  struct stat here, there;
  CHECK(file >= 0);
  CHECK_INT(0, fstat(file, &here));
  CHECK_INT(0, stat(folder, &there));
  CHECK(here.st_dev == there.st_dev);
  CHECK_INT(0600, here.st_mode & 0777);
  CHECK_INT(0, here.st_nlink);
  CHECK_INT(0, entries(folder));
  close(file);
  CHECK_INT(0, rmdir(folder));
}

static void bytes_come_back(void) {
  CASE("bytes come back from where they were put; what was never put there does not");
  const int file = gsq_scratch_file_open();
  char back[5] = {0};
  CHECK_INT(0, gsq_scratch_file_write(file, "hello", 5, (uint64_t)5 << 30));
  CHECK_INT(0, gsq_scratch_file_read(file, back, 5, (uint64_t)5 << 30));
  CHECK_INT(0, memcmp(back, "hello", 5));
  CHECK_INT(0, gsq_scratch_file_read(file, back, 5, 17));
  CHECK_INT(0, back[0]);
  CHECK_INT(-1, gsq_scratch_file_read(file, back, 5, ((uint64_t)5 << 30) + 1));
  close(file);
}

int main(void) {
  it_is_in_the_folder_asked_for_and_has_no_name();
  unsetenv("SQLITE_TMPDIR");
  unsetenv("TMPDIR");
  bytes_come_back();
  return check_done();
}
