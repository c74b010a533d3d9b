/* The page cache against hand-made cases, a naive model, and threads. */
#include <pthread.h>

#include <stdlib.h>

#include "check.h"
#include "random.h"
#include "vfs/page_cache.h"

#define SIZE 512u

/* The bytes of a page say which page it is and which version wrote it. */
static void fill(unsigned char *page, uint32_t number, uint64_t version) {
  for (size_t i = 0; i < SIZE; i += 16) {
    uint64_t words[2] = {number + i, version};
    memcpy(page + i, words, 16);
  }
}

static void put(gsq_page_cache *cache, uint32_t page, uint64_t from, uint64_t snapshot) {
  unsigned char bytes[SIZE];
  fill(bytes, page, from);
  gsq_page_cache_put(cache, page, from, snapshot, bytes, SIZE);
}

static void put_ahead(gsq_page_cache *cache, uint32_t page, uint64_t version) {
  unsigned char bytes[SIZE];
  fill(bytes, page, version);
  gsq_page_cache_put_ahead(cache, page, version, bytes, SIZE);
}

/* The version that wrote what the cache gives, or -1 for a miss. */
static long long written_by(gsq_page_cache *cache, uint32_t page, uint64_t snapshot) {
  unsigned char got[SIZE], expected[SIZE];
  uint64_t version;
  if (!gsq_page_cache_get(cache, page, snapshot, 0, got, SIZE)) return -1;
  memcpy(&version, got + 8, 8);
  fill(expected, page, version);
  CHECK(!memcmp(got, expected, SIZE));
  return (long long)version;
}

static void an_entry_holds_from_the_version_that_wrote_it_to_the_snapshot_it_was_read_at(void) {
  gsq_page_cache *cache = gsq_page_cache_new(1 << 20);
  gsq_page_cache_advance(cache, 10, 1, NULL, 0);
  put(cache, 7, 3, 5);
  CHECK_INT(-1, written_by(cache, 7, 2));
  CHECK_INT(3, written_by(cache, 7, 3));
  CHECK_INT(3, written_by(cache, 7, 5));
  CHECK_INT(-1, written_by(cache, 7, 6));
  CHECK_INT(-1, written_by(cache, 8, 4));
  put(cache, 7, 3, 4); /* tells less than is known */
  CHECK_INT(3, written_by(cache, 7, 5));
  put(cache, 7, 3, 6); /* tells more */
  CHECK_INT(3, written_by(cache, 7, 6));
  gsq_page_cache_free(cache);
}

static void a_current_entry_moves_on_with_the_cache_until_it_is_changed(void) {
  gsq_page_cache *cache = gsq_page_cache_new(1 << 20);
  gsq_page_cache_advance(cache, 5, 0, NULL, 0);
  put(cache, 1, 2, 5);
  put(cache, 2, 2, 5);
  uint32_t changed[] = {2, 9};
  gsq_page_cache_advance(cache, 8, 0, changed, 2);
  CHECK_INT(8, (long long)gsq_page_cache_version(cache));
  CHECK_INT(2, written_by(cache, 1, 8));
  CHECK_INT(-1, written_by(cache, 1, 9));
  CHECK_INT(2, written_by(cache, 2, 5));
  CHECK_INT(-1, written_by(cache, 2, 6));
  CHECK_INT(-1, written_by(cache, 2, 8));
  put(cache, 2, 7, 8);
  CHECK_INT(2, written_by(cache, 2, 5)); /* both versions stay */
  CHECK_INT(7, written_by(cache, 2, 8));
  gsq_page_cache_advance(cache, 9, 1, NULL, 0);
  CHECK_INT(2, written_by(cache, 1, 8));
  CHECK_INT(-1, written_by(cache, 1, 9));
  gsq_page_cache_free(cache);
}

static void what_is_read_at_an_older_snapshot_does_not_become_current(void) {
  gsq_page_cache *cache = gsq_page_cache_new(1 << 20);
  gsq_page_cache_advance(cache, 5, 0, NULL, 0);
  put(cache, 1, 2, 4);
  gsq_page_cache_advance(cache, 6, 0, NULL, 0);
  CHECK_INT(2, written_by(cache, 1, 4));
  CHECK_INT(-1, written_by(cache, 1, 5));
  CHECK_INT(-1, written_by(cache, 1, 6));
  gsq_page_cache_free(cache);
}

static void what_is_read_at_a_newer_snapshot_is_kept_for_it(void) {
  gsq_page_cache *cache = gsq_page_cache_new(1 << 20);
  put(cache, 1, 3, 4);
  CHECK_INT(3, written_by(cache, 1, 4));
  CHECK_INT(-1, written_by(cache, 1, 0));
  CHECK_INT(-1, written_by(cache, 1, 5));
  gsq_page_cache_advance(cache, 4, 0, NULL, 0);
  CHECK_INT(3, written_by(cache, 1, 4)); /* found at the cache's version: current from now on */
  gsq_page_cache_advance(cache, 5, 0, NULL, 0);
  CHECK_INT(3, written_by(cache, 1, 5));
  gsq_page_cache_free(cache);
}

static void pages_put_ahead_appear_with_their_version_only(void) {
  gsq_page_cache *cache = gsq_page_cache_new(1 << 20);
  gsq_page_cache_advance(cache, 5, 0, NULL, 0);
  put(cache, 1, 2, 5);
  put_ahead(cache, 1, 6);
  CHECK_INT(2, written_by(cache, 1, 5));
  CHECK_INT(-1, written_by(cache, 1, 6));
  uint32_t changed[] = {1};
  gsq_page_cache_advance(cache, 6, 0, changed, 1);
  CHECK_INT(2, written_by(cache, 1, 5));
  CHECK_INT(6, written_by(cache, 1, 6));
  gsq_page_cache_advance(cache, 7, 0, NULL, 0);
  CHECK_INT(6, written_by(cache, 1, 7));

  put_ahead(cache, 2, 8);
  gsq_page_cache_advance(cache, 9, 0, NULL, 0);
  CHECK_INT(-1, written_by(cache, 2, 8));
  CHECK_INT(-1, written_by(cache, 2, 9));
  put_ahead(cache, 3, 9); /* not ahead at all */
  CHECK_INT(-1, written_by(cache, 3, 9));
  gsq_page_cache_free(cache);
}

static void the_last_of_two_put_ahead_counts(void) {
  gsq_page_cache *cache = gsq_page_cache_new(1 << 20);
  unsigned char a[SIZE], got;
  memset(a, 'a', SIZE);
  gsq_page_cache_put_ahead(cache, 1, 1, a, SIZE);
  a[0] = 'b';
  gsq_page_cache_put_ahead(cache, 1, 1, a, SIZE);
  gsq_page_cache_advance(cache, 1, 0, NULL, 0);
  CHECK(gsq_page_cache_get(cache, 1, 1, 0, &got, 1));
  CHECK_INT('b', got);
  gsq_page_cache_free(cache);
}

static void zeros_and_parts_of_pages(void) {
  gsq_page_cache *cache = gsq_page_cache_new(1 << 20);
  unsigned char got[SIZE];
  memset(got, 1, SIZE);
  gsq_page_cache_put(cache, 1, 0, 0, NULL, SIZE);
  CHECK(gsq_page_cache_get(cache, 1, 0, 100, got, 16));
  CHECK(got[0] == 0 && got[15] == 0 && got[16] == 1);
  CHECK(gsq_page_cache_get(cache, 1, 0, SIZE - 1, got, 1));
  CHECK(gsq_page_cache_get(cache, 1, 0, SIZE, got, 0));
  CHECK(!gsq_page_cache_get(cache, 1, 0, SIZE, got, 1));
  CHECK(!gsq_page_cache_get(cache, 1, 0, 1, got, SIZE));
  CHECK(!gsq_page_cache_get(cache, 1, 0, UINT32_MAX, got, 2));
  unsigned char bytes[SIZE];
  fill(bytes, 2, 0);
  gsq_page_cache_put(cache, 2, 0, 0, bytes, SIZE);
  CHECK(gsq_page_cache_get(cache, 2, 0, 24, got, 16));
  CHECK(!memcmp(got, bytes + 24, 16));
  gsq_page_cache_free(cache);
}

static void a_page_of_another_size_takes_the_place(void) {
  gsq_page_cache *cache = gsq_page_cache_new(1 << 20);
  unsigned char bytes[2 * SIZE], got[2 * SIZE];
  memset(bytes, 5, sizeof bytes);
  gsq_page_cache_put(cache, 1, 0, 0, bytes, SIZE);
  gsq_page_cache_put(cache, 1, 0, 0, bytes, 2 * SIZE);
  CHECK(gsq_page_cache_get(cache, 1, 0, 0, got, 2 * SIZE));
  gsq_page_cache_free(cache);
}

static void clearing_forgets_all_and_may_go_back(void) {
  gsq_page_cache *cache = gsq_page_cache_new(1 << 20);
  gsq_page_cache_advance(cache, 9, 0, NULL, 0);
  put(cache, 1, 9, 9);
  put_ahead(cache, 2, 10);
  gsq_page_cache_clear(cache, 4);
  CHECK_INT(4, (long long)gsq_page_cache_version(cache));
  CHECK_INT(-1, written_by(cache, 1, 9));
  gsq_page_cache_advance(cache, 10, 0, NULL, 0);
  CHECK_INT(-1, written_by(cache, 2, 10));
  gsq_page_cache_advance(cache, 3, 1, NULL, 0); /* older: ignored */
  CHECK_INT(10, (long long)gsq_page_cache_version(cache));
  gsq_page_cache_free(cache);
}

static void the_least_recently_used_go_and_the_bound_holds(void) {
  gsq_page_cache *cache = gsq_page_cache_new(64 * 1024);
  gsq_page_cache_stats stats;
  put(cache, 1, 0, 0);
  for (uint32_t page = 2; page < 2000; page++) {
    CHECK_INT(0, written_by(cache, 1, 0)); /* used, so it stays */
    if (page % 3)
      put(cache, page, 0, 0);
    else
      gsq_page_cache_put(cache, page, 0, 0, NULL, SIZE);
    gsq_page_cache_stats_get(cache, &stats);
    CHECK(stats.bytes <= stats.max_bytes);
  }
  CHECK_INT(0, written_by(cache, 1999, 0));
  CHECK_INT(-1, written_by(cache, 2, 0));
  gsq_page_cache_stats_get(cache, &stats);
  CHECK(stats.bytes > stats.max_bytes / 2);
  CHECK(stats.evictions > 1500);
  CHECK_INT(1999, stats.hits);
  CHECK_INT(1, stats.misses);
  /* One too large for the cache leaves the others alone. */
  void *large = calloc(1, 65536);
  gsq_page_cache_put(cache, 5000, 0, 0, large, 65536);
  free(large);
  CHECK_INT(0, written_by(cache, 1999, 0));
  gsq_page_cache_free(cache);

  cache = gsq_page_cache_new(0);
  put(cache, 1, 0, 0);
  put_ahead(cache, 1, 1);
  gsq_page_cache_advance(cache, 1, 0, NULL, 0);
  CHECK_INT(-1, written_by(cache, 1, 1));
  gsq_page_cache_free(cache);
}

static void interior_pages_of_btrees_stay_longer_but_not_for_ever(void) {
  gsq_page_cache *cache = gsq_page_cache_new(64 * 1024);
  unsigned char bytes[SIZE];
  for (uint32_t page = 1000; page < 1003; page++) {
    fill(bytes, page, 0);
    bytes[0] = page == 1000 ? 2 : page == 1001 ? 5 : 13;
    gsq_page_cache_put(cache, page, 0, 0, bytes, SIZE);
  }
  fill(bytes, 1, 0);
  bytes[100] = 5;
  gsq_page_cache_put(cache, 1, 0, 0, bytes, SIZE);
  memset(bytes, 0xff, SIZE);
  uint32_t page = 2000;
  for (; page < 2200; page++) gsq_page_cache_put(cache, page, 0, 0, bytes, SIZE);
  CHECK(gsq_page_cache_get(cache, 1, 0, 0, bytes, 8));
  CHECK(gsq_page_cache_get(cache, 1000, 0, 0, bytes, 8));
  CHECK(gsq_page_cache_get(cache, 1001, 0, 0, bytes, 8));
  CHECK(!gsq_page_cache_get(cache, 1002, 0, 0, bytes, 8));
  memset(bytes, 0xff, SIZE);
  for (; page < 4000; page++) gsq_page_cache_put(cache, page, 0, 0, bytes, SIZE);
  CHECK(!gsq_page_cache_get(cache, 1000, 0, 0, bytes, 8));
  /* Where there is nothing else, they go like others. */
  bytes[0] = 5;
  for (page = 1; page < 2000; page++) gsq_page_cache_put(cache, page, 0, 0, bytes, SIZE);
  gsq_page_cache_stats stats;
  gsq_page_cache_stats_get(cache, &stats);
  CHECK(stats.bytes <= stats.max_bytes);
  CHECK(gsq_page_cache_get(cache, 1999, 0, 0, bytes, 8));
  gsq_page_cache_free(cache);
}

static void what_nobody_asked_for_is_counted_and_once_more_when_it_is_read(void) {
  gsq_page_cache *cache = gsq_page_cache_new(1 << 20);
  gsq_page_cache_stats stats;
  unsigned char bytes[SIZE];
  for (uint32_t page = 1; page <= 3; page++) {
    fill(bytes, page, 0);
    gsq_page_cache_put_unasked(cache, page, 0, 0, bytes, SIZE);
  }
  put(cache, 4, 0, 0);
  for (int i = 0; i < 2; i++) {
    CHECK_INT(0, written_by(cache, 1, 0));
    CHECK_INT(0, written_by(cache, 3, 0));
    CHECK_INT(0, written_by(cache, 4, 0));
  }
  gsq_page_cache_stats_get(cache, &stats);
  CHECK_INT(3, stats.unasked);
  CHECK_INT(2, stats.unasked_used);
  gsq_page_cache_free(cache);
}

/* Reads pages in turn as a scan does: those that are not there come unasked before they are read.
** How many were there. */
static int scan(gsq_page_cache *cache, uint32_t first, uint32_t last) {
  int there = 0;
  for (uint32_t page = first; page <= last; page++) {
    if (written_by(cache, page, 0) == 0) {
      there++;
      continue;
    }
    unsigned char bytes[SIZE];
    fill(bytes, page, 0);
    gsq_page_cache_put_unasked(cache, page, 0, 0, bytes, SIZE);
    CHECK_INT(0, written_by(cache, page, 0));
  }
  return there;
}

/* Room for somewhat more than 400 pages. */
#define SOME_PAGES ((size_t)256 << 10)

static void a_scan_does_not_push_out_what_is_read_again_and_again(void) {
  gsq_page_cache *cache = gsq_page_cache_new(SOME_PAGES);
  for (uint32_t page = 1; page <= 150; page++) put(cache, page, 0, 0);
  scan(cache, 1001, 1150);
  CHECK_INT(150, scan(cache, 1001, 1150)); /* came unasked, and is read once more */
  scan(cache, 5001, 9000);
  CHECK_INT(150, scan(cache, 1, 150));
  CHECK_INT(150, scan(cache, 1001, 1150));
  gsq_page_cache_stats stats;
  gsq_page_cache_stats_get(cache, &stats);
  CHECK(stats.bytes <= stats.max_bytes);
  CHECK(stats.bytes > stats.max_bytes / 2);
  gsq_page_cache_free(cache);
}

static void what_is_scanned_several_times_stays_also_in_a_full_cache(void) {
  gsq_page_cache *cache = gsq_page_cache_new(SOME_PAGES);
  for (uint32_t page = 1; page <= 300; page++) put(cache, page, 0, 0);
  scan(cache, 5001, 9000);
  /* gone is small here; some numbers are forgotten for others */
  for (int i = 0; i < 8; i++) scan(cache, 1001, 1040);
  CHECK(scan(cache, 1001, 1040) >= 35);
  gsq_page_cache_free(cache);
}

static void of_what_is_larger_than_the_cache_a_part_stays_from_scan_to_scan(void) {
  gsq_page_cache *cache = gsq_page_cache_new(SOME_PAGES);
  scan(cache, 1, 1000);
  CHECK(scan(cache, 1, 1000) > 300);
  CHECK(scan(cache, 1, 1000) > 300);
  gsq_page_cache_free(cache);
}

static void what_is_tried_is_not_counted_as_missed(void) {
  gsq_page_cache *cache = gsq_page_cache_new(SOME_PAGES);
  unsigned char byte;
  gsq_page_cache_stats stats;
  put(cache, 1, 0, 0);
  CHECK(gsq_page_cache_try(cache, 1, 0, 0, &byte, 1));
  CHECK(!gsq_page_cache_try(cache, 2, 0, 0, &byte, 1));
  gsq_page_cache_stats_get(cache, &stats);
  CHECK_INT(1, stats.hits);
  CHECK_INT(0, stats.misses);
  gsq_page_cache_free(cache);
}

typedef struct read_versions {
  uint64_t at[2];
} read_versions;

static int is_read(void *arg, uint64_t from, uint64_t to) {
  const read_versions *all = arg;
  for (int i = 0; i < 2; i++) {
    if (all->at[i] >= from && all->at[i] <= to) return 1;
  }
  return 0;
}

static void what_nobody_reads_any_more_goes_and_what_somebody_reads_stays(void) {
  gsq_page_cache *cache = gsq_page_cache_new(1 << 20);
  read_versions two = {{3, 6}};
  const uint32_t changed[] = {1, 2}, trimmed[] = {1, 3};
  for (uint64_t version = 1; version <= 9; version++) {
    gsq_page_cache_advance(cache, version, 0, changed, 2);
    put(cache, 1, version, version);
    put(cache, 2, version, version);
    if (version == 1) put(cache, 3, 1, 1);
  }
  put(cache, 1, 11, 12); /* newer than the cache is yet */
  put_ahead(cache, 1, 10);
  gsq_page_cache_trim(cache, trimmed, 2, is_read, &two);
  for (int version = 1; version <= 9; version++) {
    const int kept = version == 3 || version == 6 || version == 9;
    CHECK_INT(kept ? version : -1, written_by(cache, 1, (uint64_t)version));
    CHECK_INT(version, written_by(cache, 2, (uint64_t)version));
    CHECK_INT(1, written_by(cache, 3, (uint64_t)version)); /* it did not change */
  }
  CHECK_INT(11, written_by(cache, 1, 12));
  gsq_page_cache_advance(cache, 10, 0, NULL, 0);
  CHECK_INT(10, written_by(cache, 1, 10));
  gsq_page_cache_free(cache);
}

static void a_page_that_each_commit_changes_takes_no_more_room_each_time(void) {
  gsq_page_cache *cache = gsq_page_cache_new(1 << 20);
  gsq_page_cache_stats first, last;
  read_versions two = {{3, 0}};
  const uint32_t changed[] = {1};
  for (uint64_t version = 1; version <= 500; version++) {
    put_ahead(cache, 1, version);
    two.at[1] = version;
    gsq_page_cache_advance(cache, version, 0, changed, 1);
    gsq_page_cache_trim(cache, changed, 1, is_read, &two);
    if (version == 4) gsq_page_cache_stats_get(cache, &first);
  }
  gsq_page_cache_stats_get(cache, &last);
  CHECK_INT((long long)first.bytes, (long long)last.bytes);
  CHECK_INT(3, written_by(cache, 1, 3));
  CHECK_INT(500, written_by(cache, 1, 500));
  gsq_page_cache_free(cache);
}

/* ---- Against a naive model ------------------------------------------------------------------ */

enum { PAGES = 12, VERSIONS = 80 };

typedef struct model {
  uint64_t head;
  unsigned char wrote[VERSIONS][PAGES]; /* the truth: version v wrote page p */
  unsigned char must[PAGES][VERSIONS];  /* the cache must have it (it is never full here) */
  unsigned char may[PAGES][VERSIONS];   /* it may */
  unsigned char current[PAGES];
  unsigned char ahead[PAGES]; /* of version head + 1 */
} model;

static uint64_t writer_of(const model *m, uint32_t page, uint64_t at) {
  while (at > 0 && !m->wrote[at][page]) at--;
  return at;
}

static void model_commit(model *m, uint64_t *random) {
  m->head++;
  for (int page = 0; page < PAGES; page++) m->wrote[m->head][page] = !random_below(random, 4);
}

static void model_advance(model *m, gsq_page_cache *cache, uint64_t to, int all) {
  uint64_t from = gsq_page_cache_version(cache);
  uint32_t list[PAGES];
  size_t count = 0;
  for (uint32_t page = 0; page < PAGES; page++) {
    int changed = 0;
    for (uint64_t v = from + 1; v <= to; v++) changed |= m->wrote[v][page];
    if (changed) list[count++] = page;
    for (uint64_t v = from + 1; !changed && !all && v <= to; v++) {
      m->must[page][v] |= m->current[page];
      m->may[page][v] |= m->may[page][from];
    }
    if (changed || all) m->current[page] = 0;
    if (m->ahead[page] && to == from + 1) {
      CHECK(m->wrote[to][page]);
      m->must[page][to] = m->may[page][to] = m->current[page] = 1;
    }
    m->ahead[page] = 0;
  }
  gsq_page_cache_advance(cache, to, all, list, all ? 0 : count);
}

static void random_histories_agree_with_a_naive_model(void) {
  uint64_t random = random_seed("random_histories_agree_with_a_naive_model");
  unsigned long long hits = 0, misses = 0;
  for (int round = 0; round < 400 && !atomic_load(&check_failures); round += test_every()) {
    model *m = calloc(1, sizeof *m);
    gsq_page_cache *cache = gsq_page_cache_new(16 << 20);
    CHECK(m && cache);
    while (m->head < VERSIONS - 4) {
      uint64_t version = gsq_page_cache_version(cache);
      switch (random_below(&random, 24)) {
        case 0: /* somebody commits */
          model_commit(m, &random);
          break;
        case 1: /* we catch up, perhaps partly */
        case 2:
          if (version < m->head) {
            uint64_t to = version + 1 + random_below(&random, (uint32_t)(m->head - version));
            model_advance(m, cache, to, !random_below(&random, 5));
          }
          break;
        case 3: /* we commit */
          if (version == m->head) {
            int lost = !random_below(&random, 4);
            model_commit(m, &random);
            for (uint32_t page = 0; page < PAGES; page++) {
              if (!m->wrote[m->head][page]) continue;
              put_ahead(cache, page, m->head);
              m->ahead[page] = 1;
            }
            if (lost) model_commit(m, &random); /* another went on top before we knew */
            model_advance(m, cache, m->head, 0);
          }
          break;
        case 4:
          if (!random_below(&random, 10)) {
            memset(m->must, 0, sizeof m->must);
            memset(m->may, 0, sizeof m->may);
            memset(m->current, 0, sizeof m->current);
            memset(m->ahead, 0, sizeof m->ahead);
            gsq_page_cache_clear(cache, random_below(&random, (uint32_t)m->head + 1));
          }
          break;
        default: { /* a reader */
          uint32_t page = random_below(&random, PAGES);
          uint64_t snapshot =
              random_below(&random, 3) ? version : random_below(&random, (uint32_t)m->head + 1);
          uint64_t truth = writer_of(m, page, snapshot);
          long long got = written_by(cache, page, snapshot);
          if (got >= 0) {
            hits++;
            CHECK_INT((long long)truth, got);
            CHECK(m->may[page][snapshot]);
          } else {
            misses++;
            CHECK(!m->must[page][snapshot]);
            if (random_below(&random, 3)) {
              put(cache, page, truth, snapshot);
              for (uint64_t v = truth; v <= snapshot; v++)
                m->must[page][v] = m->may[page][v] = 1;
              if (snapshot == version) m->current[page] = 1;
            }
          }
          break;
        }
      }
    }
    gsq_page_cache_free(cache);
    free(m);
  }
  CHECK(hits > 10000 && misses > 10000);
}

/* ---- Threads -------------------------------------------------------------------------------- */

enum { THREAD_PAGES = 200, THREAD_VERSIONS = 2000, READERS = 4 };

typedef struct shared {
  gsq_page_cache *cache;
  uint64_t seed;
  atomic_int done;
} shared;

/* Version v writes page p if they agree modulo 7; so every reader knows the truth. */
static uint64_t thread_writer_of(uint32_t page, uint64_t at) {
  while (at > 0 && (at % 7) != (page % 7)) at--;
  return at;
}

static void *read_much(void *arg) {
  shared *s = arg;
  uint64_t random = s->seed + (uint64_t)(uintptr_t)&random;
  while (!atomic_load(&s->done) && !atomic_load(&check_failures)) {
    uint64_t version = gsq_page_cache_version(s->cache);
    uint64_t snapshot = version - (version > 5 ? random_below(&random, 5) : 0);
    for (int i = 0; i < 20; i++) {
      uint32_t page = random_below(&random, THREAD_PAGES);
      uint64_t truth = thread_writer_of(page, snapshot);
      long long got = written_by(s->cache, page, snapshot);
      if (got >= 0)
        CHECK_INT((long long)truth, got);
      else
        put(s->cache, page, truth, snapshot);
    }
  }
  return NULL;
}

static void many_readers_beside_a_writer_see_their_snapshots(void) {
  shared s = {gsq_page_cache_new(100 * 1024),
              random_seed("many_readers_beside_a_writer_see_their_snapshots"), 0};
  pthread_t readers[READERS];
  for (int i = 0; i < READERS; i++) CHECK(!pthread_create(&readers[i], NULL, read_much, &s));
  for (uint64_t version = 1; version <= THREAD_VERSIONS; version++) {
    uint32_t changed[THREAD_PAGES];
    size_t count = 0;
    for (uint32_t page = 0; page < THREAD_PAGES; page++) {
      if (page % 7 != version % 7) continue;
      changed[count++] = page;
      put_ahead(s.cache, page, version);
    }
    gsq_page_cache_advance(s.cache, version, version % 50 == 0, changed, count);
  }
  atomic_store(&s.done, 1);
  for (int i = 0; i < READERS; i++) CHECK(!pthread_join(readers[i], NULL));
  gsq_page_cache_stats stats;
  gsq_page_cache_stats_get(s.cache, &stats);
  CHECK(stats.bytes <= stats.max_bytes);
  gsq_page_cache_free(s.cache);
}

#define RUN(test) (CASE(#test), test())

int main(void) {
  RUN(an_entry_holds_from_the_version_that_wrote_it_to_the_snapshot_it_was_read_at);
  RUN(a_current_entry_moves_on_with_the_cache_until_it_is_changed);
  RUN(what_is_read_at_an_older_snapshot_does_not_become_current);
  RUN(what_is_read_at_a_newer_snapshot_is_kept_for_it);
  RUN(pages_put_ahead_appear_with_their_version_only);
  RUN(the_last_of_two_put_ahead_counts);
  RUN(zeros_and_parts_of_pages);
  RUN(a_page_of_another_size_takes_the_place);
  RUN(clearing_forgets_all_and_may_go_back);
  RUN(the_least_recently_used_go_and_the_bound_holds);
  RUN(interior_pages_of_btrees_stay_longer_but_not_for_ever);
  RUN(what_nobody_asked_for_is_counted_and_once_more_when_it_is_read);
  RUN(a_scan_does_not_push_out_what_is_read_again_and_again);
  RUN(what_is_scanned_several_times_stays_also_in_a_full_cache);
  RUN(of_what_is_larger_than_the_cache_a_part_stays_from_scan_to_scan);
  RUN(what_is_tried_is_not_counted_as_missed);
  RUN(what_nobody_reads_any_more_goes_and_what_somebody_reads_stays);
  RUN(a_page_that_each_commit_changes_takes_no_more_room_each_time);
  RUN(random_histories_agree_with_a_naive_model);
  RUN(many_readers_beside_a_writer_see_their_snapshots);
  return check_done();
}
