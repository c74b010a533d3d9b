/*
** A history of one database that everyone can compute, so that any number of processes can say
** whether an image of a page is the right one; and a cache of it in the tests' folder.
*/
#ifndef GSQ_TEST_VFS_DISK_HISTORY_H
#define GSQ_TEST_VFS_DISK_HISTORY_H

#include "vfs/disk_test.h"

#define PAGE_SIZE 1024
#define MIB (1024 * 1024)
#define PAGES 300

static const gsq_id id = {{1, 2, 3}};

/* The history: in each version but the first, one page in 20 changes. */
static inline int changes(uint32_t page, uint64_t version) {
  uint64_t state = (uint64_t)page << 32 ^ version;
  return version == 1 || random_next(&state) % 20 == 0;
}

static inline uint64_t written_at(uint32_t page, uint64_t version) {
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

static inline gsq_snapshot at(uint64_t version) {
  return (gsq_snapshot){
      .version = version, .page_size = PAGE_SIZE, .page_count = PAGES, .mark = 1000 + version};
}

static inline gsq_disk_cache *open_at(uint64_t head) {
  gsq_error error = {0};
  const gsq_snapshot seen = at(head);
  gsq_disk_cache *cache = gsq_disk_cache_open(disk_folder, MIB, &id, &seen, &error);
  if (!CHECK(cache)) fprintf(stderr, "  %s\n", error.message);
  return cache;
}

static inline gsq_have have_at(uint64_t version) {
  const gsq_snapshot snapshot = at(version);
  return (gsq_have){.version = version, .mark = snapshot.mark};
}

static inline uint64_t known(gsq_disk_cache *cache) {
  gsq_have have;
  gsq_disk_cache_have(cache, &have);
  return have.version;
}

/* All pages changed; or none, as far as anybody says. */
static inline void learn_of(gsq_disk_cache *cache, uint64_t from, uint64_t to, int all) {
  const gsq_have have = have_at(from);
  const gsq_snapshot head = at(to);
  gsq_disk_cache_learn(cache, &have, &head, all, NULL, 0);
}

/* What a Refresh answers. */
static inline void learn(gsq_disk_cache *cache, uint64_t to) {
  uint32_t pages[PAGES];
  const gsq_snapshot head = at(to);
  gsq_have have;
  size_t count = 0;
  gsq_disk_cache_have(cache, &have);
  for (uint32_t page = 1; page <= PAGES; page++) {
    if (have.version < to && written_at(page, to) > have.version) pages[count++] = page;
  }
  gsq_disk_cache_learn(cache, &have, &head, 0, pages, count);
}

static inline void put(gsq_disk_cache *cache, uint32_t page, uint64_t version) {
  uint8_t bytes[PAGE_SIZE];
  const gsq_snapshot snapshot = at(version);
  gsq_disk_cache_put(cache, page, written_at(page, version), &snapshot, 1,
                     content(page, version, bytes));
}

static inline void put_all(gsq_disk_cache *cache, uint64_t version) {
  for (uint32_t page = 1; page <= PAGES; page++) put(cache, page, version);
}

/* 1: it has the page as it is at that version; 0: it does not have it; -1: it has another. */
static inline int get(gsq_disk_cache *cache, uint32_t page, uint64_t version) {
  uint8_t bytes[PAGE_SIZE], right[PAGE_SIZE];
  uint64_t from;
  const gsq_snapshot snapshot = at(version);
  if (!gsq_disk_cache_get(cache, page, &snapshot, bytes, &from)) return 0;
  content(page, version, right);
  return memcmp(bytes, right, PAGE_SIZE) == 0 && from == written_at(page, version) ? 1 : -1;
}

/* How many pages it has at a version; none that is wrong. */
static inline int held(gsq_disk_cache *cache, uint64_t version) {
  int count = 0;
  for (uint32_t page = 1; page <= PAGES; page++) {
    const int found = get(cache, page, version);
    CHECK(found >= 0);
    count += found > 0;
  }
  return count;
}

static inline int unchanged(uint64_t from, uint64_t to) {
  int count = 0;
  for (uint32_t page = 1; page <= PAGES; page++) count += written_at(page, to) <= from;
  return count;
}

static inline gsq_disk_cache_stats stats(gsq_disk_cache *cache) {
  gsq_disk_cache_stats now;
  gsq_disk_cache_stats_get(cache, &now);
  return now;
}

static inline gsq_disk_cache *filled(uint64_t version) {
  disk_empty_folder();
  gsq_disk_cache *cache = open_at(version);
  put_all(cache, version);
  gsq_disk_cache_close(cache);
  return open_at(version);
}

#endif
