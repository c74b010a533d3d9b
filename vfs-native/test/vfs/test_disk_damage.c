/* Whatever is done to the files of the cache on disk, and whoever is killed: no wrong page. */
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "vfs/disk_history.h"

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

/* Several processes. */

#define WORKERS 4
#define SECONDS 2
#define MOST_SECONDS 120 /* until enough was read, on a machine that does much else */

typedef struct shared {
  _Atomic uint64_t head;
  _Atomic uint64_t hits, wrong, lives;
  atomic_int done;
} shared;
static shared *common;

/* A process that reads at heads of its own, until it is killed or all are done. */
static void work(uint64_t seed) {
  uint64_t random = seed;
  while (!atomic_load(&common->done)) {
    uint64_t head = atomic_load(&common->head);
    gsq_disk_cache *cache = open_at(head);
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

static pid_t start(uint64_t seed) {
  const pid_t child = fork();
  if (child == 0) {
    work(seed);
    _exit(0);
  }
  return child;
}

static int has_read_enough(void) {
  return atomic_load(&common->hits) > 100 && atomic_load(&common->head) > 52;
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
  const int64_t begun_ms = gsq_now_ms();
  pid_t workers[WORKERS];
  int kills = 0;
  for (int i = 0; i < WORKERS; i++) workers[i] = start(random_next(&random));
  for (int64_t ms = 0; ms < SECONDS * 1000 || (!has_read_enough() && ms < MOST_SECONDS * 1000);
       ms = gsq_now_ms() - begun_ms) {
    const int one = (int)random_below(&random, WORKERS);
    usleep(1000 + random_below(&random, 40000)); /* so that it gets somewhere, at random */
    kill(workers[one], SIGKILL);
    waitpid(workers[one], NULL, 0);
    workers[one] = start(random_next(&random));
    kills++;
  }
  atomic_store(&common->done, 1);
  for (int i = 0; i < WORKERS; i++) waitpid(workers[i], NULL, 0);
  CHECK_INT(0, atomic_load(&common->wrong));
  CHECK(has_read_enough());
  fprintf(stderr, "  %d kills, %llu lives, head %llu, %llu hits\n", kills,
          (unsigned long long)atomic_load(&common->lives),
          (unsigned long long)atomic_load(&common->head),
          (unsigned long long)atomic_load(&common->hits));
  munmap(common, sizeof *common);
}

int main(void) {
  if (!disk_make_folder()) return check_done();
  damage_of_all_kinds();
  killed_at_any_time();
  disk_remove_folder();
  return check_done();
}
