/*
** The cache on disk as its header promises it: pages come back, as they were, for the versions at
** which they hold; and never anything else, whatever is done to the files and by whom.
*/
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

#include "base/clock.h"
#include "vfs/disk_test.h"

#define PAGE_SIZE 1024
#define MIB (1024 * 1024)
#define PAGES 300

static const gsq_id id = {{1, 2, 3}};

/* The history: in each version but the first, one page in 20 changes. */
static int changes(uint32_t page, uint64_t version) {
  uint64_t state = (uint64_t)page << 32 ^ version;
  return version == 1 || random_next(&state) % 20 == 0;
}

static uint64_t written_at(uint32_t page, uint64_t version) {
  while (!changes(page, version)) version--;
  return version;
}

/* A page in five is all zeros. */
static const void *content(uint32_t page, uint64_t version, uint8_t *to) {
  uint64_t state = (uint64_t)page << 32 ^ written_at(page, version) ^ 0x5eed;
  memset(to, 0, PAGE_SIZE);
  if (page % 5 == 0) return NULL;
  for (size_t i = 0; i < PAGE_SIZE; i += 8) {
    const uint64_t word = random_next(&state);
    memcpy(to + i, &word, 8);
  }
  return to;
}

static gsq_snapshot at(uint64_t version) {
  return (gsq_snapshot){.version = version, .page_size = PAGE_SIZE, .page_count = PAGES};
}

static gsq_disk_cache *open_at(uint64_t head) {
  gsq_error error = {0};
  gsq_disk_cache *cache = gsq_disk_cache_open(disk_folder, MIB, &id, head, &error);
  if (!CHECK(cache)) fprintf(stderr, "  %s\n", error.message);
  return cache;
}

/* What a Refresh answers. */
static void learn(gsq_disk_cache *cache, uint64_t to) {
  uint32_t pages[PAGES];
  const uint64_t known = gsq_disk_cache_version(cache), from = known < to ? known : to;
  size_t count = 0;
  for (uint32_t page = 1; page <= PAGES; page++) {
    if (from < to && written_at(page, to) > from) pages[count++] = page;
  }
  gsq_disk_cache_learn(cache, from, to, 0, pages, count);
}

static void put(gsq_disk_cache *cache, uint32_t page, uint64_t version) {
  uint8_t bytes[PAGE_SIZE];
  const gsq_snapshot snapshot = at(version);
  gsq_disk_cache_put(cache, page, written_at(page, version), &snapshot, 1,
                     content(page, version, bytes));
}

static void put_all(gsq_disk_cache *cache, uint64_t version) {
  for (uint32_t page = 1; page <= PAGES; page++) put(cache, page, version);
}

/* 1: it has the page as it is at that version; 0: it does not have it; -1: it has another. */
static int get(gsq_disk_cache *cache, uint32_t page, uint64_t version) {
  uint8_t bytes[PAGE_SIZE], right[PAGE_SIZE];
  uint64_t from;
  const gsq_snapshot snapshot = at(version);
  if (!gsq_disk_cache_get(cache, page, &snapshot, bytes, &from)) return 0;
  content(page, version, right);
  return memcmp(bytes, right, PAGE_SIZE) == 0 && from == written_at(page, version) ? 1 : -1;
}

/* How many pages it has at a version; none that is wrong. */
static int held(gsq_disk_cache *cache, uint64_t version) {
  int count = 0;
  for (uint32_t page = 1; page <= PAGES; page++) {
    const int found = get(cache, page, version);
    CHECK(found >= 0);
    count += found > 0;
  }
  return count;
}

static int unchanged(uint64_t from, uint64_t to) {
  int count = 0;
  for (uint32_t page = 1; page <= PAGES; page++) count += written_at(page, to) <= from;
  return count;
}

static gsq_disk_cache_stats stats(gsq_disk_cache *cache) {
  gsq_disk_cache_stats now;
  gsq_disk_cache_stats_get(cache, &now);
  return now;
}

static gsq_disk_cache *filled(uint64_t version) {
  disk_empty_folder();
  gsq_disk_cache *cache = open_at(version);
  put_all(cache, version);
  gsq_disk_cache_close(cache);
  return open_at(version);
}

static void what_did_not_change_is_there(void) {
  CASE("pages are there for who comes later, as far as they have not changed since");
  gsq_disk_cache *cache = filled(10);
  CHECK_INT(PAGES, held(cache, 10));
  CHECK_INT(0, held(cache, 11));
  learn(cache, 12);
  CHECK_INT(unchanged(10, 12), held(cache, 12));
  CHECK_INT(PAGES, held(cache, 10));
  gsq_disk_cache_close(cache);

  CASE("what is known of changes is there too: who comes next asks for those after it");
  cache = open_at(15);
  CHECK_INT(12, gsq_disk_cache_version(cache));
  CHECK_INT(unchanged(10, 12), held(cache, 12));
  learn(cache, 15);
  CHECK_INT(unchanged(10, 15), held(cache, 15));

  CASE("one that is read again is there again; one that is old takes nobody's place");
  put_all(cache, 15);
  put_all(cache, 11);
  gsq_disk_cache_close(cache);
  cache = open_at(15);
  CHECK_INT(PAGES, held(cache, 15));

  CASE("after a change of all pages, or of more than the server tells, none is there");
  gsq_disk_cache_learn(cache, 15, 16, 1, NULL, 0);
  CHECK_INT(0, held(cache, 16));
  put(cache, 7, 16);
  gsq_disk_cache_close(cache);
  cache = open_at(16);
  CHECK_INT(1, held(cache, 16));
  CHECK_INT(1, get(cache, 7, 16));
  gsq_disk_cache_close(cache);
}

static void unasked_pages_are_written_once(void) {
  CASE("what came unasked is not written again, unless what is there is of no use any more");
  uint8_t bytes[PAGE_SIZE];
  gsq_disk_cache *cache = filled(10);
  learn(cache, 12);
  gsq_disk_cache_learn(cache, 12, 13, 1, NULL, 0);
  const gsq_snapshot now = at(13);
  const void *data = content(3, 13, bytes);
  gsq_disk_cache_put(cache, 3, written_at(3, 13), &now, 0, data);
  gsq_disk_cache_close(cache);
  cache = open_at(13);
  CHECK_INT(1, get(cache, 3, 13));
  gsq_disk_cache_close(cache);
}

static void another_database_has_nothing_of_it(void) {
  CASE(
      "another database of the folder, or a smaller page, finds nothing of it; both live "
      "there");
  gsq_error error = {0};
  const gsq_id other_id = {{9}};
  gsq_disk_cache *cache = filled(10);
  gsq_disk_cache *other = gsq_disk_cache_open(disk_folder, MIB, &other_id, 10, &error);
  CHECK_INT(0, held(other, 10));
  uint8_t bytes[4096];
  uint64_t from;
  const gsq_snapshot small = {.version = 10, .page_size = 512, .page_count = PAGES};
  for (uint32_t page = 1; page <= PAGES; page++) {
    CHECK(!gsq_disk_cache_get(cache, page, &small, bytes, &from));
  }
  put_all(other, 10);
  gsq_disk_cache_close(other);
  gsq_disk_cache_close(cache);
  cache = open_at(10);
  other = gsq_disk_cache_open(disk_folder, MIB, &other_id, 10, &error);
  CHECK(held(cache, 10) > PAGES * 9 / 10);
  CHECK(held(other, 10) > PAGES * 9 / 10);
  gsq_disk_cache_close(other);
  gsq_disk_cache_close(cache);
}

/* Damage. */

typedef void (*damage_fn)(uint64_t *random, int fd, off_t size);

static void flip(uint64_t *random, int fd, off_t size) {
  uint8_t byte;
  for (int i = 0; i < 100; i++) {
    const off_t where = random_below(random, (uint32_t)size);
    CHECK_INT(1, pread(fd, &byte, 1, where));
    byte ^= (uint8_t)(1u << random_below(random, 8));
    CHECK_INT(1, pwrite(fd, &byte, 1, where));
  }
}

static void shorten(uint64_t *random, int fd, off_t size) {
  CHECK_INT(0, ftruncate(fd, random_below(random, (uint32_t)size)));
}

/* Records, or parts of them, at other places; also as they lie: each is 64 bytes and a page. */
static void misplace(uint64_t *random, int fd, off_t size) {
  static uint8_t bytes[5 * (64 + PAGE_SIZE)];
  for (int i = 0; i < 20; i++) {
    const off_t from = random_below(random, (uint32_t)size) / 1088 * 1088;
    const off_t to = random_below(random, (uint32_t)size) / 1088 * 1088 + i % 2 * 64;
    const ssize_t got = pread(fd, bytes, sizeof bytes, from);
    if (got > 0) CHECK(pwrite(fd, bytes, (size_t)got, to) == got);
  }
}

static void fill_with_noise(uint64_t *random, int fd, off_t size) {
  for (off_t where = 0; where < size; where += 8) {
    const uint64_t word = random_next(random);
    CHECK_INT(8, pwrite(fd, &word, 8, where));
  }
}

static void damage_is_never_seen(uint64_t *random, const char *file, damage_fn damage) {
  gsq_disk_cache *cache = filled(10);
  gsq_disk_cache_close(cache);
  const int fd = disk_open_file(file, O_RDWR);
  struct stat is;
  if (!CHECK(fd >= 0) || !CHECK(fstat(fd, &is) == 0)) return;
  damage(random, fd, is.st_size);
  close(fd);
  cache = open_at(10);
  if (!cache) return;
  held(cache, 10);
  learn(cache, 12);
  held(cache, 12);
  put_all(cache, 12);
  gsq_disk_cache_close(cache);
  cache = open_at(12);
  CHECK(held(cache, 12) > PAGES * 3 / 4);
  gsq_disk_cache_close(cache);
}

static void damage_of_all_kinds(void) {
  CASE("bits that changed, files cut off, records in the wrong place, noise: a miss, no more");
  uint64_t random = random_seed("damage");
  static const damage_fn kinds[] = {flip, shorten, misplace, fill_with_noise};
  for (int i = 0; i < 24; i++) {
    damage_is_never_seen(&random, i % 3 ? "pages" : ".seen", kinds[i % 4]);
  }
  CASE("damage is counted");
  gsq_disk_cache *cache = filled(10);
  const int fd = disk_open_file("pages", O_RDWR);
  struct stat is;
  CHECK_INT(0, fstat(fd, &is));
  for (off_t where = 500; where < is.st_size; where += 1088) {
    uint8_t byte;
    CHECK_INT(1, pread(fd, &byte, 1, where));
    byte ^= 1;
    CHECK_INT(1, pwrite(fd, &byte, 1, where));
  }
  close(fd);
  CHECK_INT(PAGES / 5, held(cache, 10)); /* those of zeros have no bytes */
  CHECK_INT(PAGES - PAGES / 5, stats(cache).damaged);
  gsq_disk_cache_close(cache);
}

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
  gsq_disk_cache *cache = gsq_disk_cache_open(disk_folder, 2 * MIB, &id, 1, &error);
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
  cache = gsq_disk_cache_open(disk_folder, 2 * MIB, &id, 1, &error);
  int last = 0;
  for (uint32_t page = 8192 - 1000; page <= 8192; page++) {
    last += gsq_disk_cache_get(cache, page, &one, bytes, &from);
  }
  CHECK(last > 700);
  gsq_disk_cache_close(cache);

  CASE("with a lower limit it shrinks");
  cache = gsq_disk_cache_open(disk_folder, MIB, &id, 1, &error);
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
    gsq_disk_cache_close(gsq_disk_cache_open(disk_folder, MIB, &other, 1, &error));
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

/* A server that is not where it was. */

static void a_server_that_went_back_is_noticed(void) {
  CASE("a head below what is known: nothing is used, and all is dropped");
  gsq_disk_cache *cache = filled(10);
  gsq_disk_cache_close(cache);
  cache = open_at(8);
  CHECK_INT(0, held(cache, 8));
  gsq_disk_cache_learn(cache, 8, 9, 0, NULL, 0);
  CHECK_INT(0, held(cache, 9));
  gsq_disk_cache_learn(cache, 9, 11, 0, NULL, 0);
  CHECK_INT(0, held(cache, 10));
  put_all(cache, 10);
  gsq_disk_cache_close(cache);
  cache = open_at(10);
  CHECK_INT(10, gsq_disk_cache_version(cache));
  CHECK_INT(0, held(cache, 10));
  gsq_disk_cache_close(cache);

  CASE("who still has the versions of before writes nothing down over those of now");
  cache = filled(10);
  gsq_disk_cache *now = open_at(8);
  gsq_disk_cache_learn(now, 8, 9, 0, NULL, 0);
  gsq_disk_cache_close(now);
  now = open_at(9);
  learn(cache, 12);
  gsq_disk_cache_close(cache);
  gsq_disk_cache_close(now);
  now = open_at(12);
  CHECK_INT(9, gsq_disk_cache_version(now));
  CHECK_INT(0, held(now, 10));
  gsq_disk_cache_close(now);

  CASE("a head that another process has gone beyond meanwhile is no such server");
  cache = filled(10);
  gsq_disk_cache_close(cache);
  cache = open_at(8);
  CHECK_INT(0, held(cache, 8));
  gsq_disk_cache_learn(cache, 8, 10, 0, NULL, 0);
  CHECK_INT(PAGES, held(cache, 10));
  gsq_disk_cache_close(cache);
}

static void the_newest_knowledge_stays(void) {
  CASE("who knows less writes nothing down over who knows more");
  gsq_disk_cache *behind = filled(10);
  gsq_disk_cache *ahead = open_at(10);
  learn(ahead, 15);
  learn(behind, 12);
  gsq_disk_cache_close(ahead);
  gsq_disk_cache_close(behind);
  gsq_disk_cache *next = open_at(20);
  CHECK_INT(15, gsq_disk_cache_version(next));
  gsq_disk_cache_close(next);
}

/* The folder. */

static void cannot_be_used(const char *path, const char *why) {
  gsq_error error = {0};
  CHECK(!gsq_disk_cache_open(path, MIB, &id, 1, &error));
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
  gsq_disk_cache *cache = gsq_disk_cache_open(path, MIB, &id, 1, &error);
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
  cache = gsq_disk_cache_open(path, MIB, &id, 10, &error);
  put_all(cache, 10);
  disk_empty(path);
  CHECK_INT(0, rmdir(path));
  held(cache, 10);
  learn(cache, 12);
  gsq_disk_cache_close(cache);
  CHECK(stat(path, &is) != 0);
  cache = gsq_disk_cache_open(path, MIB, &id, 12, &error);
  CHECK_INT(0, held(cache, 12));
  put_all(cache, 12);
  gsq_disk_cache_close(cache);
  cache = gsq_disk_cache_open(path, MIB, &id, 12, &error);
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
  CHECK_INT(10, gsq_disk_cache_version(cache));
  gsq_disk_cache_close(cache);
  gsq_error error = {0};
  const gsq_id other = {{8}};
  CHECK(!gsq_disk_cache_open(disk_folder, MIB, &other, 1, &error));
  close(fd);
  cache = gsq_disk_cache_open(disk_folder, MIB, &other, 1, &error);
  CHECK(cache);
  gsq_disk_cache_close(cache);
}

/* Several processes. */

#define WORKERS 4
#define SECONDS 2

typedef struct shared {
  _Atomic uint64_t head;
  _Atomic uint64_t hits, wrong, lives;
} shared;
static shared *common;

/* A process that reads at heads of its own, until it is killed or done. */
static void work(uint64_t seed, int64_t until_ms) {
  uint64_t random = seed;
  while (gsq_now_ms() < until_ms) {
    gsq_error error = {0};
    uint64_t head = atomic_load(&common->head);
    gsq_disk_cache *cache = gsq_disk_cache_open(disk_folder, MIB, &id, head, &error);
    if (!cache) continue; /* someone was killed with the lock just now, or has it */
    atomic_fetch_add(&common->lives, 1);
    for (int i = 0; i < 30; i++) {
      head = i % 3 ? head : atomic_load(&common->head);
      learn(cache, head);
      for (int j = 0; j < 30; j++) {
        const uint32_t page = 1 + random_below(&random, PAGES);
        const uint64_t version = head - random_below(&random, 2);
        const int found = get(cache, page, version);
        if (found < 0) atomic_fetch_add(&common->wrong, 1);
        if (found > 0) atomic_fetch_add(&common->hits, 1);
        if (found <= 0) put(cache, page, version);
      }
      gsq_disk_cache_rest(cache);
      if (random_below(&random, 4) == 0) {
        uint64_t expected = head;
        atomic_compare_exchange_strong(&common->head, &expected, head + 1);
      }
    }
    gsq_disk_cache_close(cache);
  }
}

static pid_t start(uint64_t seed, int64_t until_ms) {
  const pid_t child = fork();
  if (child == 0) {
    work(seed, until_ms);
    _exit(0);
  }
  return child;
}

static void killed_at_any_time(void) {
  CASE(
      "processes at different heads share the folder and are killed: no wrong page, and many "
      "right");
  disk_empty_folder();
  common =
      mmap(NULL, sizeof *common, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (!CHECK(common != MAP_FAILED)) return;
  atomic_store(&common->head, 50);
  uint64_t random = random_seed("processes");
  const int64_t until_ms = gsq_now_ms() + SECONDS * 1000;
  pid_t workers[WORKERS];
  int kills = 0;
  for (int i = 0; i < WORKERS; i++) workers[i] = start(random_next(&random), until_ms);
  while (gsq_now_ms() < until_ms) {
    const int one = (int)random_below(&random, WORKERS);
    usleep(1000 + random_below(&random, 40000)); /* so that it gets somewhere, at random */
    kill(workers[one], SIGKILL);
    waitpid(workers[one], NULL, 0);
    workers[one] = start(random_next(&random), until_ms);
    kills++;
  }
  for (int i = 0; i < WORKERS; i++) waitpid(workers[i], NULL, 0);
  CHECK_INT(0, atomic_load(&common->wrong));
  CHECK(atomic_load(&common->hits) > 100);
  CHECK(atomic_load(&common->head) > 52);
  fprintf(stderr, "  %d kills, %llu lives, head %llu, %llu hits\n", kills,
          (unsigned long long)atomic_load(&common->lives),
          (unsigned long long)atomic_load(&common->head),
          (unsigned long long)atomic_load(&common->hits));
  munmap(common, sizeof *common);
}

int main(void) {
  if (!disk_make_folder()) return check_done();
  what_did_not_change_is_there();
  unasked_pages_are_written_once();
  another_database_has_nothing_of_it();
  damage_of_all_kinds();
  the_file_stays_within_its_limit();
  databases_are_forgotten();
  a_server_that_went_back_is_noticed();
  the_newest_knowledge_stays();
  unusable_folders();
  a_full_disk();
  a_stopped_process_stops_nobody();
  killed_at_any_time();
  disk_remove_folder();
  return check_done();
}
