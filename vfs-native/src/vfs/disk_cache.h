/*
** The pages of one database that are kept on disk (cache_dir), for the next process or for
** another one beside this.
**
** What is on disk are facts: this image of that page was seen to hold from this version to that one
** (disk_pages.h). Facts do not grow old: whoever wrote them, however long ago and at whichever head,
** they are used for what they say. What makes a page of an old version good for a new one is to know
** what changed in between (disk_known.h). That is kept in memory, by each process for itself, and
** written down now and then (disk_index.h), so that the next process goes on from there: it asks
** the server with its first Refresh for what changed since. So processes that are at different heads
** need to agree on nothing, and which of them wrote something last never matters.
**
** A page from disk is used for a snapshot only where the two together say that it holds there;
** that is the same rule as for a page in memory.
**
** ERAS. The facts of a database belong together with a number that its index has. Without the index
** there is none, and a new one is made up: the pages of the old era are found no more. That is how all
** is dropped at once when a server went on from an older copy of its data, as from a backup: it
** numbers other versions the same. So the index has the mark of the newest version that it knows, and
** nothing on disk is used before the server has been seen to have that very version.
**
** Nothing here fails: what cannot be read or written is not there.
**
** Thread-safe; its mutex is held for moments, and never across I/O.
*/
#ifndef GSQ_VFS_DISK_CACHE_H
#define GSQ_VFS_DISK_CACHE_H

#include "base/error.h"
#include "service/page_client.h"

typedef struct gsq_disk_cache gsq_disk_cache;

/* Opens the cache of a database that was seen to have the version `seen`. NULL: there is none, and *error
** says why. */
gsq_disk_cache *gsq_disk_cache_open(const char *path, int64_t max_bytes, const gsq_id *database,
                                    const gsq_snapshot *seen, gsq_error *error);
/* What was put is written down then, if no other database uses the folder. cache may be NULL. */
void gsq_disk_cache_close(gsq_disk_cache *cache);

/* Reads a whole page as of a snapshot. Returns 1 and the version that wrote it, or 0. */
int gsq_disk_cache_get(gsq_disk_cache *cache, uint32_t page, const gsq_snapshot *at, void *to,
                       uint64_t *from_version);

/* Keeps a page as gsq_page_cache_put does: `data` NULL is a page of zeros. One that was not asked for
** is not written if it seems to be there. One that has changed since `at` is not kept. */
void gsq_disk_cache_put(gsq_disk_cache *cache, uint32_t page, uint64_t from_version,
                        const gsq_snapshot *at, int asked, const void *data);

/* The newest version up to which changes are known: those after it are of interest. Returns 0 if there
** is none, as of a cache that was forgotten. */
int gsq_disk_cache_have(gsq_disk_cache *cache, gsq_have *have);
/* Whether it is of use only once the server was asked what changed since that version, or whether it has
** it at all. */
int gsq_disk_cache_waits(gsq_disk_cache *cache, uint64_t head);
/* The server has this version, and so what is here is of its history if it knows up to just there. */
void gsq_disk_cache_confirm(gsq_disk_cache *cache, const gsq_have *version);
/* What changed between a version that is the server's too and `to`. */
void gsq_disk_cache_learn(gsq_disk_cache *cache, const gsq_have *from, const gsq_snapshot *to,
                          int all, const uint32_t *pages, size_t count);
/* What is here is of another history than the server's. From here on the cache has nothing, and takes
** nothing. */
void gsq_disk_cache_forget(gsq_disk_cache *cache);

/* A good moment to write down what is known, if that was not done just now. */
void gsq_disk_cache_rest(gsq_disk_cache *cache);

typedef struct gsq_disk_cache_stats {
  uint64_t hits, misses; /* of what the cache in memory did not have */
  uint64_t damaged;      /* records whose checksum was wrong */
  uint64_t bytes_read, bytes_written;
  uint64_t dropped; /* pages that were not written: there was too much to do */
} gsq_disk_cache_stats;
void gsq_disk_cache_stats_get(gsq_disk_cache *cache, gsq_disk_cache_stats *out);

#endif
