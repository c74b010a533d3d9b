/*
** The page cache: see page_cache.h for what it promises.
**
** A hash table from page number to a chain of entries (one bucket's chain may hold several pages),
** an LRU list through all of them, and a list of those put ahead. An entry is one allocation, its
** bytes behind it; allocating, filling and freeing happen outside the mutex.
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

enum state { PAST, CURRENT, AHEAD };

typedef struct entry entry;
struct entry {
  entry *next_in_bucket;
  entry *newer, *older;           /* LRU */
  entry *next_ahead, *prev_ahead; /* while state is AHEAD */
  uint64_t from, to;
  uint32_t page;
  uint32_t size;           /* of the page, bytes */
  unsigned char state;     /* enum state */
  unsigned char zeros;     /* 1: bytes[] is absent, the page is all zeros */
  unsigned char interior;  /* it looks like an interior page of a b-tree, */
  unsigned char reprieves; /* and is passed over so often */
  unsigned char unasked;   /* nobody asked for it, nor has read it since */
  unsigned char bytes[];
};

struct gsq_page_cache {
  pthread_mutex_t mutex; /* protects everything below */
  uint64_t version;
  entry **buckets;
  uint32_t bucket_count; /* a power of two */
  size_t entry_count;
  entry *newest, *oldest;
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

static entry **bucket_of(gsq_page_cache *cache, uint32_t page) {
  /* Fibonacci hashing: neighbouring pages spread, and the high bits are the good ones. */
  uint32_t hash = page * 2654435769u;
  return &cache->buckets[(hash ^ hash >> 16) & (cache->bucket_count - 1)];
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
  pthread_mutex_destroy(&cache->mutex);
  free(cache);
}

static void lru_remove(gsq_page_cache *cache, entry *e) {
  if (e->newer)
    e->newer->older = e->older;
  else
    cache->newest = e->older;
  if (e->older)
    e->older->newer = e->newer;
  else
    cache->oldest = e->newer;
}

static void lru_add(gsq_page_cache *cache, entry *e) {
  e->newer = NULL;
  e->older = cache->newest;
  if (cache->newest)
    cache->newest->newer = e;
  else
    cache->oldest = e;
  cache->newest = e;
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
  while (cache->bytes > cache->max_bytes && cache->oldest) {
    entry *e = cache->oldest;
    if (e->reprieves > 0) {
      e->reprieves--;
      lru_remove(cache, e);
      lru_add(cache, e);
      continue;
    }
    drop(cache, cache->oldest, dropped);
    cache->evictions++;
  }
}

/* Doubles the table when there are more entries than buckets. Fails silently: only slower. */
static void grow(gsq_page_cache *cache) {
  uint32_t old_count = cache->bucket_count;
  if (cache->entry_count <= old_count || old_count >= MAX_BUCKETS) return;
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
  lru_add(cache, e);
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

int gsq_page_cache_get(gsq_page_cache *cache, uint32_t page, uint64_t snapshot, uint32_t offset,
                       void *to, uint32_t size) {
  int found = 0;
  pthread_mutex_lock(&cache->mutex);
  for (entry *e = *bucket_of(cache, page); e; e = e->next_in_bucket) {
    if (!holds_at(cache, e, page, snapshot)) continue;
    if (offset > e->size || size > e->size - offset) break;
    if (e->zeros)
      memset(to, 0, size);
    else
      memcpy(to, e->bytes + offset, size);
    if (e->unasked) {
      e->unasked = 0;
      cache->unasked_used++;
    }
    if (e->interior) e->reprieves = REPRIEVES;
    /* One that was read at a version which the cache reached later. */
    if (e->to == cache->version) e->state = CURRENT;
    if (cache->newest != e) {
      lru_remove(cache, e);
      lru_add(cache, e);
    }
    found = 1;
    break;
  }
  if (found)
    cache->hits++;
  else
    cache->misses++;
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
      for (entry *e = cache->newest; e; e = e->older) end_current(cache, e);
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
  while (cache->oldest) drop(cache, cache->oldest, &dropped);
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
