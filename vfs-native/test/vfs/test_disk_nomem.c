/*
** The cache on disk, each time with another allocation failing, once or from then on: it has less,
** and nothing wrong, and nothing leaks (the address build looks).
*/
#include "alloc_fault.h"
#include "vfs/disk_test.h"

#define MIB (1024 * 1024)
#define PAGES 20

static const gsq_id id = {{7}};

/* What page and version are, all over the page. */
static void fill(uint8_t *to, uint32_t page, uint64_t version) {
  memset(to, (int)(page * 16 + version), 1024);
}

/* Reads what is there; all of it must be right. */
static int look(gsq_disk_cache *cache, uint64_t version) {
  uint8_t bytes[1024], right[1024];
  int count = 0;
  const gsq_snapshot at = {.version = version, .page_size = 1024, .page_count = PAGES};
  for (uint32_t page = 1; page <= PAGES; page++) {
    uint64_t from;
    if (!gsq_disk_cache_get(cache, page, &at, bytes, &from)) continue;
    count++;
    /* Page 3 changes in each version. */
    fill(right, page, page == 3 ? version : 1);
    CHECK(memcmp(bytes, right, sizeof right) == 0);
    CHECK_INT(page == 3 ? version : 1, from);
  }
  return count;
}

/* Of all pages, the third one changed. */
static void learn(gsq_disk_cache *cache, const gsq_snapshot *to) {
  gsq_have have;
  gsq_disk_cache_have(cache, &have);
  gsq_disk_cache_learn(cache, &have, to, 0, (const uint32_t[]){3}, 1);
}

static void live(void) {
  gsq_error error = {0};
  uint8_t bytes[1024];
  for (uint64_t version = 1; version <= 3; version++) {
    const gsq_snapshot at = {.version = version, .page_size = 1024, .page_count = PAGES};
    gsq_disk_cache *cache = gsq_disk_cache_open(disk_folder, MIB, &id, &at, &error);
    if (!cache) {
      CHECK(alloc_fault_hits() > 0);
      continue;
    }
    learn(cache, &at);
    look(cache, version);
    for (uint32_t page = 1; page <= PAGES; page++) {
      fill(bytes, page, page == 3 ? version : 1);
      gsq_disk_cache_put(cache, page, page == 3 ? version : 1, &at, 1, bytes);
    }
    gsq_disk_cache_close(cache);
  }
}

static void sweep(int forever) {
  int hits, n = 1;
  do {
    disk_empty_folder();
    alloc_fault_at(n, forever);
    live();
    hits = alloc_fault_hits();
    alloc_fault_at(0, 0);
    gsq_error error = {0};
    const gsq_snapshot at = {.version = 3, .page_size = 1024, .page_count = PAGES};
    gsq_disk_cache *cache = gsq_disk_cache_open(disk_folder, MIB, &id, &at, &error);
    CHECK(cache);
    /* What is known may be older, but then it is asked for. */
    learn(cache, &at);
    const int count = look(cache, 3);
    if (hits == 0) CHECK_INT(PAGES, count);
    gsq_disk_cache_close(cache);
    n++;
  } while (hits > 0);
  CHECK(n > 60);
}

int main(void) {
  if (!disk_make_folder()) return check_done();
  CASE("an allocation fails");
  sweep(0);
  CASE("all do from then on");
  sweep(1);
  disk_remove_folder();
  return check_done();
}
