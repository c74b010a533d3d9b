/*
** The pages of one database, each valid for an interval of versions.
**
** An entry has the version that wrote the page (from) and the last version at which it is known
** to be unchanged (to). Entries whose `to` is the version that the whole cache is synchronised
** with are *current*: they need no touch when the cache moves on past versions that did not
** change them. Several entries of one page may exist, for readers at older snapshots.
**
** Pure: no I/O, no SQLite. Thread-safe by one mutex of its own, which is held for a copy at most.
** Bounded: beyond max_bytes the least recently used entries go; interior pages of b-trees, without
** which nothing is found, a few times later than others; pages that came unasked and were read once,
** as a scan's, before all others.
*/
#ifndef GSQ_VFS_PAGE_CACHE_H
#define GSQ_VFS_PAGE_CACHE_H

#include <stddef.h>
#include <stdint.h>

typedef struct gsq_page_cache gsq_page_cache;

/* NULL: out of memory. Starts synchronised with version 0. */
gsq_page_cache *gsq_page_cache_new(size_t max_bytes);
void gsq_page_cache_free(gsq_page_cache *cache);

/* Copies `size` bytes from `offset` of a page as of a snapshot. Returns 1, or 0 if the cache does
** not have it (or the page is shorter than offset + size). A page of zeros is an entry like any. */
int gsq_page_cache_get(gsq_page_cache *cache, uint32_t page, uint64_t snapshot, uint32_t offset,
                       void *to, uint32_t size);

/* The same, but a page that is not there is not counted as missed: it is on its way, perhaps. */
int gsq_page_cache_try(gsq_page_cache *cache, uint32_t page, uint64_t snapshot, uint32_t offset,
                       void *to, uint32_t size);

/* Whether it has a page as of a snapshot. No use of it. */
int gsq_page_cache_has(gsq_page_cache *cache, uint32_t page, uint64_t snapshot);

/* Remembers a page that was read at `snapshot`: its content has not changed in
** [from_version, snapshot]. It becomes current if the cache is still synchronised with that very
** version. data NULL: a page of zeros. Out of memory is silent: it is a cache. */
void gsq_page_cache_put(gsq_page_cache *cache, uint32_t page, uint64_t from_version,
                        uint64_t snapshot, const void *data, uint32_t size);

/* The same of a page that nobody asked for. */
void gsq_page_cache_put_unasked(gsq_page_cache *cache, uint32_t page, uint64_t from_version,
                                uint64_t snapshot, const void *data, uint32_t size);

/* Remembers what the next version will have, ahead of gsq_page_cache_advance to it: put as
** current from `version` on, invisible until then, dropped by advancing to another version. */
void gsq_page_cache_put_ahead(gsq_page_cache *cache, uint32_t page, uint64_t version,
                              const void *data, uint32_t size);

/* Moves to a newer version: the pages named changed (or all did), the rest did not. Entries of
** changed pages stay for readers of older snapshots. An older version is ignored. */
void gsq_page_cache_advance(gsq_page_cache *cache, uint64_t version, int all,
                            const uint32_t *changed, size_t count);

/* Whether somebody reads at a version in [from, to]. Called under the cache's mutex. */
typedef int (*gsq_is_read_fn)(void *arg, uint64_t from, uint64_t to);

/* Drops what nobody reads any more: of these pages, what ended before the version of the cache. To be
** called when they have changed. Else a page that each commit writes leaves an entry each time, and
** whoever looks for it passes them all. */
void gsq_page_cache_trim(gsq_page_cache *cache, const uint32_t *pages, size_t count,
                         gsq_is_read_fn is_read, void *arg);

uint64_t gsq_page_cache_version(gsq_page_cache *cache);

/* Forgets every page, and which version it was at: after an unknown outcome. */
void gsq_page_cache_clear(gsq_page_cache *cache, uint64_t version);

typedef struct gsq_page_cache_stats {
  uint64_t hits, misses, evictions;
  uint64_t unasked,
      unasked_used; /* pages that nobody asked for; those of them that were read */
  size_t bytes, max_bytes;
} gsq_page_cache_stats;
void gsq_page_cache_stats_get(gsq_page_cache *cache, gsq_page_cache_stats *out);

#endif
