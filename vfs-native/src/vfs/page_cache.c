/*
** The page cache: see page_cache.h for what it promises.
**
** A hash table from page number to a chain of entries (one bucket's chain may hold several pages),
** two LRU lists, `kept` and `passing`, of which each is on one, and a list of those put ahead. An
** entry is one allocation, its bytes behind it; allocating, filling and freeing happen outside the
** mutex.
**
** What came unasked and is read for the first time is passing: most of it belongs to a scan, and is
** not wanted again. Beyond PASSING_PARTS of the cache the oldest of these have passed, and become
** the first of the kept to go when there is no room. So a scan takes from those that read again and
** again no more than this, and goes through memory that the processor has at hand. What is read again
** is kept; so is what comes again soon after it went (`gone` remembers these).
**
** An entry is in one of three states:
**
**   past     valid in [from, to], never longer
**   current  valid in [from, max(to, cache->version)]; the usual one
**   ahead    not visible; becomes current when the cache moves to exactly `from`
**
** Two visible entries of one page never overlap: put merges what does.
*/
#include "vfs/page_cache.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* What malloc keeps beside each block, roughly. */
#define BLOCK_OVERHEAD_BYTES 16
#define FIRST_BUCKETS 64u
#define MAX_BUCKETS (1u << 26)
/* How often an interior page of a b-tree is passed over when something has to go. */
#define REPRIEVES 3
/* Which part of the cache is for what passes, and what is more than enough for it. */
#define PASSING_PARTS 16
#define MOST_PASSING_BYTES ((size_t)1 << 20)
/* One page number is remembered for so many bytes of cache. */
#define BYTES_PER_GONE 4096

enum state { PAST, CURRENT, AHEAD };

typedef struct entry entry;
struct entry {
  entry *next_in_bucket;
  entry *newer, *older;           /* in kept or passing */
  entry *next_ahead, *prev_ahead; /* while state is AHEAD */
  uint64_t from, to;
  uint32_t page;
  uint32_t size;           /* of the page, bytes */
  unsigned char state;     /* enum state */
  unsigned char zeros;     /* 1: bytes[] is absent, the page is all zeros */
  unsigned char interior;  /* it looks like an interior page of a b-tree, */
  unsigned char reprieves; /* and is passed over so often */
  unsigned char unasked;   /* nobody asked for it, nor has read it since */
  unsigned char passing;   /* it is in that list, */
  unsigned char passed;    /* or was, and has not been read since */
  unsigned char bytes[];
};

typedef struct lru {
  entry *newest, *oldest;
  size_t bytes;
} lru;

struct gsq_page_cache {
  pthread_mutex_t mutex; /* protects everything below */
  uint64_t version;
  entry **buckets;
  uint32_t bucket_count; /* a power of two */
  size_t entry_count;
  lru kept, passing;
  size_t most_passing_bytes;
  uint32_t *gone;      /* page numbers by their hash, 0 for none; NULL: out of memory */
  uint32_t gone_count; /* a power of two */
  entry *ahead;
  size_t bytes, max_bytes; /* entries and the table, with BLOCK_OVERHEAD_BYTES each */
  uint64_t hits, misses, evictions;
  uint64_t unasked, unasked_used;
};

static size_t entry_cost(const entry *e) {
  return sizeof(entry) + (e->zeros ? 0 : e->size) + BLOCK_OVERHEAD_BYTES;
}

static size_t table_cost(uint32_t bucket_count) {
  return bucket_count * sizeof(entry *) + BLOCK_OVERHEAD_BYTES;
}

/* Fibonacci hashing of eights, whose buckets are neighbours: the high bits are the good ones. */
static uint32_t hash_of(uint32_t page) {
  const uint32_t hash = page / 8 * 2654435769u;
  return (hash ^ hash >> 16) * 8 + page % 8;
}

static entry **bucket_of(gsq_page_cache *cache, uint32_t page) {
  return &cache->buckets[hash_of(page) & (cache->bucket_count - 1)];
}

gsq_page_cache *gsq_page_cache_new(size_t max_bytes) {
  gsq_page_cache *cache = calloc(1, sizeof *cache);
  if (!cache) return NULL;
  cache->buckets = calloc(FIRST_BUCKETS, sizeof(entry *));
  if (!cache->buckets) goto no_buckets;
  if (pthread_mutex_init(&cache->mutex, NULL)) goto no_mutex;
  cache->bucket_count = FIRST_BUCKETS;
  cache->max_bytes = max_bytes;
  cache->bytes = table_cost(FIRST_BUCKETS);
  cache->most_passing_bytes = max_bytes / PASSING_PARTS < MOST_PASSING_BYTES
                                  ? max_bytes / PASSING_PARTS
                                  : MOST_PASSING_BYTES;
  cache->gone_count = 1;
  while (cache->gone_count < max_bytes / BYTES_PER_GONE && cache->gone_count < MAX_BUCKETS) {
    cache->gone_count *= 2;
  }
  return cache;
no_mutex:
  free(cache->buckets);
no_buckets:
  free(cache);
  return NULL;
}

static void free_chain(entry *chain) {
  while (chain) {
    entry *next = chain->next_in_bucket;
    free(chain);
    chain = next;
  }
}

void gsq_page_cache_free(gsq_page_cache *cache) {
  if (!cache) return;
  for (uint32_t i = 0; i < cache->bucket_count; i++) free_chain(cache->buckets[i]);
  free(cache->buckets);
  free(cache->gone);
  pthread_mutex_destroy(&cache->mutex);
  free(cache);
}

static lru *lru_of(gsq_page_cache *cache, const entry *e) {
  return e->passing ? &cache->passing : &cache->kept;
}

static void lru_remove(gsq_page_cache *cache, entry *e) {
  lru *list = lru_of(cache, e);
  if (e->newer)
    e->newer->older = e->older;
  else
    list->newest = e->older;
  if (e->older)
    e->older->newer = e->newer;
  else
    list->oldest = e->newer;
  list->bytes -= entry_cost(e);
}

static void lru_add_newest(gsq_page_cache *cache, entry *e) {
  lru *list = lru_of(cache, e);
  e->newer = NULL;
  e->older = list->newest;
  if (list->newest)
    list->newest->newer = e;
  else
    list->oldest = e;
  list->newest = e;
  list->bytes += entry_cost(e);
}

static void lru_add_oldest(gsq_page_cache *cache, entry *e) {
  lru *list = lru_of(cache, e);
  e->newer = list->oldest;
  e->older = NULL;
  if (list->oldest)
    list->oldest->older = e;
  else
    list->newest = e;
  list->oldest = e;
  list->bytes += entry_cost(e);
}

static void remember_gone(gsq_page_cache *cache, uint32_t page) {
  if (!cache->gone) {
    cache->gone = calloc(cache->gone_count, sizeof *cache->gone);
    if (!cache->gone) return;
    cache->bytes += cache->gone_count * sizeof *cache->gone;
  }
  cache->gone[hash_of(page) & (cache->gone_count - 1)] = page;
}

/* Whether a page went not long ago, while it was passing. */
static int was_here(const gsq_page_cache *cache, uint32_t page) {
  return cache->gone && cache->gone[hash_of(page) & (cache->gone_count - 1)] == page;
}

static void ahead_add(gsq_page_cache *cache, entry *e) {
  e->prev_ahead = NULL;
  e->next_ahead = cache->ahead;
  if (cache->ahead) cache->ahead->prev_ahead = e;
  cache->ahead = e;
}

static void ahead_remove(gsq_page_cache *cache, entry *e) {
  if (e->prev_ahead)
    e->prev_ahead->next_ahead = e->next_ahead;
  else
    cache->ahead = e->next_ahead;
  if (e->next_ahead) e->next_ahead->prev_ahead = e->prev_ahead;
}

/* Takes an entry out of everything and pushes it onto a chain that is freed after unlocking. */
static void drop(gsq_page_cache *cache, entry *e, entry **dropped) {
  entry **at = bucket_of(cache, e->page);
  while (*at != e) at = &(*at)->next_in_bucket;
  *at = e->next_in_bucket;
  lru_remove(cache, e);
  if (e->state == AHEAD) ahead_remove(cache, e);
  cache->bytes -= entry_cost(e);
  cache->entry_count--;
  e->next_in_bucket = *dropped;
  *dropped = e;
}

static void evict(gsq_page_cache *cache, entry **dropped) {
  while (cache->bytes > cache->max_bytes) {
    entry *e = cache->kept.oldest ? cache->kept.oldest : cache->passing.oldest;
    if (!e) return;
    if (e->reprieves > 0) {
      e->reprieves--;
      lru_remove(cache, e);
      lru_add_newest(cache, e);
      continue;
    }
    if (e->passed) remember_gone(cache, e->page);
    drop(cache, e, dropped);
    cache->evictions++;
  }
}

/* It has been read: moves it to where that puts it. */
static void used(gsq_page_cache *cache, entry *e) {
  const int passes = e->unasked && !e->interior && !was_here(cache, e->page);
  if (e->unasked) {
    e->unasked = 0;
    cache->unasked_used++;
  }
  if (e->interior) e->reprieves = REPRIEVES;
  if (!passes && !e->passing && cache->kept.newest == e) return;
  lru_remove(cache, e);
  e->passing = (unsigned char)passes;
  e->passed = 0;
  lru_add_newest(cache, e);
  while (cache->passing.bytes > cache->most_passing_bytes) {
    entry *least = cache->passing.oldest;
    lru_remove(cache, least);
    least->passing = 0;
    least->passed = 1;
    lru_add_oldest(cache, least);
  }
}

/* Doubles the table when there are more entries than buckets. Fails silently: only slower. */
static void grow(gsq_page_cache *cache) {
  uint32_t old_count = cache->bucket_count;
  if (cache->entry_count <= old_count / 2 || old_count >= MAX_BUCKETS) return;
  entry **old = cache->buckets;
  entry **buckets = calloc((size_t)old_count * 2, sizeof(entry *));
  if (!buckets) return;
  cache->buckets = buckets;
  cache->bucket_count = old_count * 2;
  cache->bytes += table_cost(old_count * 2) - table_cost(old_count);
  for (uint32_t i = 0; i < old_count; i++) {
    for (entry *e = old[i], *next; e; e = next) {
      next = e->next_in_bucket;
      entry **at = bucket_of(cache, e->page);
      e->next_in_bucket = *at;
      *at = e;
    }
  }
  free(old);
}

static void add(gsq_page_cache *cache, entry *e, entry **dropped) {
  if (entry_cost(e) + table_cost(cache->bucket_count) > cache->max_bytes) {
    /* It would push out all the others and then itself. */
    e->next_in_bucket = *dropped;
    *dropped = e;
    return;
  }
  entry **at = bucket_of(cache, e->page);
  e->next_in_bucket = *at;
  *at = e;
  lru_add_newest(cache, e);
  if (e->state == AHEAD) ahead_add(cache, e);
  cache->bytes += entry_cost(e);
  cache->entry_count++;
  grow(cache);
  evict(cache, dropped);
}

/* The last version at which a visible entry is known to hold. */
static uint64_t last_version(const gsq_page_cache *cache, const entry *e) {
  return e->state == CURRENT && cache->version > e->to ? cache->version : e->to;
}

static int holds_at(const gsq_page_cache *cache, const entry *e, uint32_t page,
                    uint64_t snapshot) {
  return e->page == page && e->state != AHEAD && snapshot >= e->from &&
         snapshot <= last_version(cache, e);
}

int gsq_page_cache_has(gsq_page_cache *cache, uint32_t page, uint64_t snapshot) {
  pthread_mutex_lock(&cache->mutex);
  const entry *e = *bucket_of(cache, page);
  while (e && !holds_at(cache, e, page, snapshot)) e = e->next_in_bucket;
  const int has = e != NULL;
  pthread_mutex_unlock(&cache->mutex);
  return has;
}

/* Copies a part of a page, if it is there. */
static int look(gsq_page_cache *cache, uint32_t page, uint64_t snapshot, uint32_t offset,
                void *to, uint32_t size) {
  for (entry *e = *bucket_of(cache, page); e; e = e->next_in_bucket) {
    if (!holds_at(cache, e, page, snapshot)) continue;
    if (offset > e->size || size > e->size - offset) break;
    if (e->zeros)
      memset(to, 0, size);
    else
      memcpy(to, e->bytes + offset, size);
    /* One that was read at a version which the cache reached later. */
    if (e->to == cache->version) e->state = CURRENT;
    used(cache, e);
    cache->hits++;
    return 1;
  }
  return 0;
}

int gsq_page_cache_try(gsq_page_cache *cache, uint32_t page, uint64_t snapshot, uint32_t offset,
                       void *to, uint32_t size) {
  pthread_mutex_lock(&cache->mutex);
  const int found = look(cache, page, snapshot, offset, to, size);
  pthread_mutex_unlock(&cache->mutex);
  return found;
}

int gsq_page_cache_get(gsq_page_cache *cache, uint32_t page, uint64_t snapshot, uint32_t offset,
                       void *to, uint32_t size) {
  pthread_mutex_lock(&cache->mutex);
  const int found = look(cache, page, snapshot, offset, to, size);
  if (!found) cache->misses++;
  pthread_mutex_unlock(&cache->mutex);
  return found;
}

static entry *new_entry(uint32_t page, uint64_t from, uint64_t to, enum state state,
                        const void *data, uint32_t size) {
  entry *e = malloc(sizeof *e + (data ? size : 0));
  if (!e) return NULL;
  memset(e, 0, sizeof *e);
  e->page = page;
  e->from = from;
  e->to = to;
  e->state = (unsigned char)state;
  e->size = size;
  e->zeros = !data;
  if (data) {
    memcpy(e->bytes, data, size);
    const uint32_t header = page == 1 ? 100 : 0;
    e->interior = size > header && (e->bytes[header] == 2 || e->bytes[header] == 5);
    if (e->interior) e->reprieves = REPRIEVES;
  }
  return e;
}

/* Drops the visible entries of e's page, e aside, that overlap e: they are the same content. Widens
** e by them, for they may be known to hold for longer. */
static void absorb(gsq_page_cache *cache, entry *e, entry **dropped) {
  entry *next;
  for (entry *o = *bucket_of(cache, e->page); o; o = next) {
    next = o->next_in_bucket;
    if (o == e || o->page != e->page || o->state == AHEAD) continue;
    if (o->from > last_version(cache, e) || e->from > last_version(cache, o)) continue;
    if (o->size == e->size) {
      if (o->from < e->from) e->from = o->from;
      if (o->to > e->to) e->to = o->to;
      if (o->state == CURRENT) e->state = CURRENT;
    }
    drop(cache, o, dropped);
  }
}

static void put(gsq_page_cache *cache, uint32_t page, uint64_t from_version, uint64_t snapshot,
                const void *data, uint32_t size, int unasked) {
  if (from_version > snapshot) return;
  entry *e = new_entry(page, from_version, snapshot, PAST, data, size);
  if (!e) return;
  e->unasked = unasked != 0;
  entry *dropped = NULL;
  pthread_mutex_lock(&cache->mutex);
  if (unasked) cache->unasked++;
  if (snapshot == cache->version) e->state = CURRENT;
  absorb(cache, e, &dropped);
  add(cache, e, &dropped);
  pthread_mutex_unlock(&cache->mutex);
  free_chain(dropped);
}

void gsq_page_cache_put(gsq_page_cache *cache, uint32_t page, uint64_t from_version,
                        uint64_t snapshot, const void *data, uint32_t size) {
  put(cache, page, from_version, snapshot, data, size, 0);
}

void gsq_page_cache_put_unasked(gsq_page_cache *cache, uint32_t page, uint64_t from_version,
                                uint64_t snapshot, const void *data, uint32_t size) {
  put(cache, page, from_version, snapshot, data, size, 1);
}

void gsq_page_cache_put_ahead(gsq_page_cache *cache, uint32_t page, uint64_t version,
                              const void *data, uint32_t size) {
  entry *e = new_entry(page, version, version, AHEAD, data, size);
  if (!e) return;
  entry *dropped = NULL, *next;
  pthread_mutex_lock(&cache->mutex);
  for (entry *o = *bucket_of(cache, page); o; o = next) {
    next = o->next_in_bucket;
    if (o->page == page && o->state == AHEAD && o->from == version) drop(cache, o, &dropped);
  }
  if (version > cache->version) {
    add(cache, e, &dropped);
  } else {
    e->next_in_bucket = dropped;
    dropped = e;
  }
  pthread_mutex_unlock(&cache->mutex);
  free_chain(dropped);
}

/* The page is not known to be unchanged up to the next version. */
static void end_current(gsq_page_cache *cache, entry *e) {
  if (e->state != CURRENT) return;
  e->to = last_version(cache, e);
  e->state = PAST;
}

static void end_current_of_page(gsq_page_cache *cache, uint32_t page) {
  for (entry *e = *bucket_of(cache, page); e; e = e->next_in_bucket) {
    if (e->page == page) end_current(cache, e);
  }
}

void gsq_page_cache_advance(gsq_page_cache *cache, uint64_t version, int all,
                            const uint32_t *changed, size_t count) {
  entry *dropped = NULL;
  pthread_mutex_lock(&cache->mutex);
  if (version > cache->version) {
    if (all) {
      for (entry *e = cache->kept.newest; e; e = e->older) end_current(cache, e);
      for (entry *e = cache->passing.newest; e; e = e->older) end_current(cache, e);
    } else {
      for (size_t i = 0; i < count; i++) end_current_of_page(cache, changed[i]);
    }
    /* Whoever put a page ahead has changed it, be it named or not. */
    for (entry *e = cache->ahead; e; e = e->next_ahead) {
      if (e->from == version) end_current_of_page(cache, e->page);
    }
    cache->version = version;
    while (cache->ahead) {
      entry *e = cache->ahead;
      if (e->from == version) {
        ahead_remove(cache, e);
        e->state = CURRENT;
        absorb(cache, e, &dropped);
      } else {
        drop(cache, e, &dropped);
      }
    }
  }
  pthread_mutex_unlock(&cache->mutex);
  free_chain(dropped);
}

void gsq_page_cache_trim(gsq_page_cache *cache, const uint32_t *pages, size_t count,
                         gsq_is_read_fn is_read, void *arg) {
  entry *dropped = NULL;
  pthread_mutex_lock(&cache->mutex);
  for (size_t i = 0; i < count; i++) {
    entry *next;
    for (entry *e = *bucket_of(cache, pages[i]); e; e = next) {
      next = e->next_in_bucket;
      if (e->page == pages[i] && e->state == PAST && e->to < cache->version &&
          !is_read(arg, e->from, e->to)) {
        drop(cache, e, &dropped);
      }
    }
  }
  pthread_mutex_unlock(&cache->mutex);
  free_chain(dropped);
}

uint64_t gsq_page_cache_version(gsq_page_cache *cache) {
  pthread_mutex_lock(&cache->mutex);
  uint64_t version = cache->version;
  pthread_mutex_unlock(&cache->mutex);
  return version;
}

void gsq_page_cache_clear(gsq_page_cache *cache, uint64_t version) {
  entry *dropped = NULL;
  pthread_mutex_lock(&cache->mutex);
  while (cache->kept.oldest) drop(cache, cache->kept.oldest, &dropped);
  while (cache->passing.oldest) drop(cache, cache->passing.oldest, &dropped);
  cache->version = version;
  pthread_mutex_unlock(&cache->mutex);
  free_chain(dropped);
}

void gsq_page_cache_stats_get(gsq_page_cache *cache, gsq_page_cache_stats *out) {
  pthread_mutex_lock(&cache->mutex);
  out->hits = cache->hits;
  out->misses = cache->misses;
  out->evictions = cache->evictions;
  out->unasked = cache->unasked;
  out->unasked_used = cache->unasked_used;
  out->bytes = cache->bytes;
  out->max_bytes = cache->max_bytes;
  pthread_mutex_unlock(&cache->mutex);
}
