/* The folder of the cache on disk: its limits, who may use it, and what becomes of it. */
#include <stdatomic.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

#include "base/clock.h"
#include "vfs/disk_history.h"

/* The bound. */

static off_t size_of(const char *file, off_t *on_disk) {
  struct stat is = {0};
  const int fd = disk_open_file(file, O_RDONLY);
  CHECK(fd >= 0 && fstat(fd, &is) == 0);
  close(fd);
  if (on_disk) *on_disk = is.st_blocks * 512;
  return is.st_size;
}

static void the_file_stays_within_its_limit(void) {
  CASE("the file never grows beyond the limit, and what was written last is mostly there");
  gsq_error error = {0};
  disk_empty_folder();
  gsq_disk_cache *cache =
      gsq_disk_cache_open(disk_folder, 2 * MIB, &id, &(gsq_snapshot){.version = 1}, &error);
  const gsq_snapshot one = at(1);
  uint8_t bytes[PAGE_SIZE];
  uint64_t from;
  memset(bytes, 'x', sizeof bytes);
  for (uint32_t page = 1; page <= 8192; page++) {
    gsq_disk_cache_put(cache, page, 1, &one, 1, bytes);
  }
  CHECK_INT(0, stats(cache).dropped);
  gsq_disk_cache_close(cache);
  off_t on_disk;
  CHECK(size_of("pages", &on_disk) <= 2 * MIB);
  CHECK(on_disk <= 2 * MIB + 4096);
  cache = gsq_disk_cache_open(disk_folder, 2 * MIB, &id, &(gsq_snapshot){.version = 1}, &error);
  int last = 0;
  for (uint32_t page = 8192 - 1000; page <= 8192; page++) {
    last += gsq_disk_cache_get(cache, page, &one, bytes, &from);
  }
  CHECK(last > 700);
  gsq_disk_cache_close(cache);

  CASE("with a lower limit it shrinks");
  cache = gsq_disk_cache_open(disk_folder, MIB, &id, &(gsq_snapshot){.version = 1}, &error);
  CHECK(size_of("pages", NULL) <= MIB);
  gsq_disk_cache_close(cache);
}

static void databases_are_forgotten(void) {
  CASE("of very many databases, those that were not opened for long are forgotten");
  gsq_error error = {0};
  disk_empty_folder();
  gsq_disk_cache *stays = open_at(1); /* or else the folder were opened each time */
  uint64_t random = random_seed("forgetting");
  /* All of them one file, which is faster made than many, and tells how many there are. */
  const int directory = open(disk_folder, O_RDONLY | O_DIRECTORY);
  const int fd = openat(directory, "one", O_CREAT | O_WRONLY, 0600);
  const struct timespec long_ago = {.tv_sec = 1000000000};
  CHECK_INT(0, futimens(fd, (const struct timespec[]){long_ago, long_ago}));
  for (int i = 0; i < 8192; i++) {
    char name[60];
    snprintf(name, sizeof name, "%032d.seen", i);
    if (!CHECK_INT(0, linkat(directory, "one", directory, name, 0))) break;
  }
  struct stat is;
  int opened = 0;
  while (fstat(fd, &is) == 0 && is.st_nlink > 8192 && opened < 2000) {
    gsq_id other;
    const uint64_t words[2] = {random_next(&random), random_next(&random)};
    memcpy(&other, words, sizeof other);
    gsq_disk_cache_close(
        gsq_disk_cache_open(disk_folder, MIB, &other, &(gsq_snapshot){.version = 1}, &error));
    opened++;
  }
  CHECK(opened < 2000);
  CHECK(is.st_nlink > 3000 && is.st_nlink < 4200);
  close(fd);
  close(directory);
  put_all(stays, 1);
  gsq_disk_cache_close(stays);
  stays = open_at(1);
  CHECK_INT(PAGES, held(stays, 1));
  gsq_disk_cache_close(stays);
}

/* The folder. */

static void cannot_be_used(const char *path, const char *why) {
  gsq_error error = {0};
  CHECK(!gsq_disk_cache_open(path, MIB, &id, &(gsq_snapshot){.version = 1}, &error));
  CHECK_HAS(why, error.message);
  CHECK_HAS(path, error.message);
}

static void unusable_folders(void) {
  char path[300];
  disk_empty_folder();
  CASE("a folder is made, for this user alone");
  gsq_error error = {0};
  struct stat is;
  snprintf(path, sizeof path, "%s/made", disk_folder);
  gsq_disk_cache *cache =
      gsq_disk_cache_open(path, MIB, &id, &(gsq_snapshot){.version = 1}, &error);
  CHECK(cache);
  CHECK(stat(path, &is) == 0 && (is.st_mode & 0777) == 0700);
  gsq_disk_cache_close(cache);
  snprintf(path, sizeof path, "%s/made/pages", disk_folder);
  CHECK(stat(path, &is) == 0 && (is.st_mode & 0777) == 0600);

  CASE(
      "what is no folder, or has something else by our names, is not used, and a sentence says "
      "so");
  cannot_be_used(path, "Not a directory");
  CHECK_INT(0, unlink(path));
  CHECK_INT(0, symlink("elsewhere", path));
  snprintf(path, sizeof path, "%s/made", disk_folder);
  cannot_be_used(path, "symbolic links");
  snprintf(path, sizeof path, "%s/made/pages", disk_folder);
  CHECK_INT(0, unlink(path));
  CHECK_INT(0, mkfifo(path, 0600));
  snprintf(path, sizeof path, "%s/made", disk_folder);
  cannot_be_used(path, "not permitted");
  snprintf(path, sizeof path, "%s/made/pages", disk_folder);
  CHECK_INT(0, unlink(path));
  snprintf(path, sizeof path, "%s/missing/made", disk_folder);
  cannot_be_used(path, "No such file");

  CASE("a folder that is removed under way, or emptied, is only a cache that is lost");
  snprintf(path, sizeof path, "%s/made", disk_folder);
  cache = gsq_disk_cache_open(path, MIB, &id, &(gsq_snapshot){.version = 10}, &error);
  put_all(cache, 10);
  disk_empty(path);
  CHECK_INT(0, rmdir(path));
  held(cache, 10);
  learn(cache, 12);
  gsq_disk_cache_close(cache);
  CHECK(stat(path, &is) != 0);
  cache = gsq_disk_cache_open(path, MIB, &id, &(gsq_snapshot){.version = 12}, &error);
  CHECK_INT(0, held(cache, 12));
  put_all(cache, 12);
  gsq_disk_cache_close(cache);
  cache = gsq_disk_cache_open(path, MIB, &id, &(gsq_snapshot){.version = 12}, &error);
  CHECK_INT(PAGES, held(cache, 12));
  gsq_disk_cache_close(cache);
  disk_empty(path);
  CHECK_INT(0, rmdir(path));
}

/* Runs something in a process of its own; its checks count here. */
static void in_child(void (*what)(void)) {
  fflush(NULL);
  const pid_t child = fork();
  if (child == 0) {
    what();
    _exit(atomic_load(&check_failures) > 0);
  }
  int status = -1;
  waitpid(child, &status, 0);
  CHECK_INT(0, status);
}

/* Of each file the first 100 KiB can be written, as if the disk were full after that. */
static void with_a_full_disk(void) {
  const struct rlimit little = {100 << 10, 100 << 10};
  gsq_disk_cache *cache = open_at(10);
  CHECK_INT(0, setrlimit(RLIMIT_FSIZE, &little));
  put_all(cache, 10);
  learn(cache, 12);
  gsq_disk_cache_close(cache);
  cache = open_at(12);
  held(cache, 12);
  gsq_disk_cache_close(cache);
}

static void a_full_disk(void) {
  CASE("a full disk");
  disk_empty_folder();
  in_child(with_a_full_disk);
  gsq_disk_cache *cache = open_at(12);
  CHECK(held(cache, 12) < PAGES);
  put_all(cache, 12);
  gsq_disk_cache_close(cache);
  cache = open_at(12);
  CHECK_INT(PAGES, held(cache, 12));
  gsq_disk_cache_close(cache);
}

static void a_stopped_process_stops_nobody(void) {
  CASE("one that has the lock, and does nothing, keeps others from writing down, and no more");
  gsq_disk_cache *cache = filled(10);
  const int fd = open(disk_folder, O_RDONLY | O_DIRECTORY);
  CHECK_INT(0, flock(fd, LOCK_EX));
  learn(cache, 12);
  const int64_t before_ms = gsq_now_ms();
  gsq_disk_cache_close(cache);
  CHECK(gsq_now_ms() - before_ms < 5000);
  cache = open_at(12);
  CHECK_INT(10, known(cache));
  gsq_disk_cache_close(cache);
  gsq_error error = {0};
  const gsq_id other = {{8}};
  CHECK(!gsq_disk_cache_open(disk_folder, MIB, &other, &(gsq_snapshot){.version = 1}, &error));
  close(fd);
  cache = gsq_disk_cache_open(disk_folder, MIB, &other, &(gsq_snapshot){.version = 1}, &error);
  CHECK(cache);
  gsq_disk_cache_close(cache);
}

int main(void) {
  if (!disk_make_folder()) return check_done();
  the_file_stays_within_its_limit();
  databases_are_forgotten();
  unusable_folders();
  a_full_disk();
  a_stopped_process_stops_nobody();
  disk_remove_folder();
  return check_done();
}
