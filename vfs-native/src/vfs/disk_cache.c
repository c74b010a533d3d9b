#include "vfs/disk_cache.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "vfs/disk_folder.h"
#include "vfs/disk_index.h"
#include "vfs/disk_known.h"
#include "vfs/disk_pages.h"

/* Between two writings of what is known. A process that is killed loses what it learnt since: the
** next one asks the server for that again. */
#define REST_MS 1000

struct gsq_disk_cache {
  gsq_disk_folder *folder; /* a reference */
  gsq_disk_owner owner;
  _Atomic int unwritten; /* `known` has something that the index has not */

  pthread_mutex_t mutex;
  /* Protected by mutex. */
  gsq_known known;
  int confirmed;         /* the server has the version known.through */
  int forgotten;         /* it has not: what is here is of another history */
  int64_t next_write_ms; /* of the index */

  _Atomic uint64_t hits, misses, damaged, bytes_read, bytes_written, dropped;
};

/* Under cache->mutex: whether a version of the number known.through is not the one that is known. */
static int is_other_(const gsq_disk_cache *cache, const gsq_have *version) {
  const gsq_have known = {.version = cache->known.through, .mark = cache->known.mark};
  return gsq_is_other(known, *version);
}

gsq_disk_cache *gsq_disk_cache_open(const char *path, int64_t max_bytes, const gsq_id *database,
                                    const gsq_snapshot *seen, gsq_error *error) {
  const gsq_have have = gsq_have_of(seen);
  gsq_disk_cache *cache = calloc(1, sizeof *cache);
  if (!cache) {
    gsq_error_nomem(error);
    return NULL;
  }
  cache->owner.database = *database;
  if (gsq_disk_folder_acquire(path, max_bytes, &cache->folder, error) != GSQ_OK) {
    free(cache);
    return NULL;
  }
  if (!gsq_disk_index_open(cache->folder, &cache->owner, &have, &cache->known)) {
    gsq_error_set(error, GSQ_UNAVAILABLE,
                  "in cache_dir %s no file can be made, so no page is kept on disk; is there "
                  "space left on it, and may this user write to it?",
                  path);
    gsq_disk_folder_release(cache->folder);
    free(cache);
    return NULL;
  }
  pthread_mutex_init(&cache->mutex, NULL);
  if (cache->known.through == seen->version) {
    cache->forgotten = is_other_(cache, &have);
    cache->confirmed = !cache->forgotten;
  }
  cache->next_write_ms = gsq_now_ms() + REST_MS;
  return cache;
}

/* Under cache->mutex. */
static void write_index_(gsq_disk_cache *cache) {
  if (!atomic_load(&cache->unwritten) || cache->forgotten) return;
  if (gsq_disk_index_write(cache->folder, &cache->owner, &cache->known)) {
    atomic_store(&cache->unwritten, 0);
  }
}

void gsq_disk_cache_close(gsq_disk_cache *cache) {
  if (!cache) return;
  pthread_mutex_lock(&cache->mutex);
  write_index_(cache);
  pthread_mutex_unlock(&cache->mutex);
  if (cache->forgotten) gsq_disk_index_remove(cache->folder, &cache->owner);
  gsq_disk_folder_release(cache->folder);
  gsq_known_free(&cache->known);
  pthread_mutex_destroy(&cache->mutex);
  free(cache);
}

static void count(_Atomic uint64_t *counter, uint64_t more) {
  atomic_fetch_add_explicit(counter, more, memory_order_relaxed);
}

/* The last version at which an image holds that was seen at `seen`. */
static uint64_t holds_until(gsq_disk_cache *cache, uint32_t page, uint64_t seen) {
  pthread_mutex_lock(&cache->mutex);
  const uint64_t until = gsq_known_until(&cache->known, page, seen);
  pthread_mutex_unlock(&cache->mutex);
  return until;
}

static int is_usable(gsq_disk_cache *cache) {
  pthread_mutex_lock(&cache->mutex);
  const int usable = cache->confirmed && !cache->forgotten;
  pthread_mutex_unlock(&cache->mutex);
  return usable;
}

int gsq_disk_cache_get(gsq_disk_cache *cache, uint32_t page, const gsq_snapshot *at, void *to,
                       uint64_t *from_version) {
  if (!is_usable(cache)) return 0;
  for (int place = 0; place < GSQ_DISK_PLACES; place++) {
    gsq_disk_image image = {.page = page, .page_size = at->page_size};
    const int found = gsq_disk_read(cache->folder, &cache->owner, place, &image, to);
    if (found < 0) count(&cache->damaged, 1);
    if (found <= 0 || image.from > at->version ||
        at->version > holds_until(cache, page, image.to)) {
      continue;
    }
    count(&cache->hits, 1);
    count(&cache->bytes_read, at->page_size);
    *from_version = image.from;
    return 1;
  }
  count(&cache->misses, 1);
  return 0;
}

void gsq_disk_cache_put(gsq_disk_cache *cache, uint32_t page, uint64_t from_version,
                        const gsq_snapshot *at, int asked, const void *data) {
  pthread_mutex_lock(&cache->mutex);
  const uint64_t until = gsq_known_until(&cache->known, page, at->version);
  const int is_old = until < cache->known.through;
  /* One that was asked for was looked for here before. */
  const uint64_t enough = asked ? UINT64_MAX : gsq_known_unchanged_since(&cache->known, page);
  const int usable = cache->confirmed && !cache->forgotten;
  pthread_mutex_unlock(&cache->mutex);
  if (!usable || is_old || from_version > at->version) return;
  const gsq_disk_image image = {
      .page = page, .page_size = at->page_size, .from = from_version, .to = until};
  if (gsq_disk_write(cache->folder, &cache->owner, &image, data, enough)) {
    count(&cache->bytes_written, data ? at->page_size : 0);
  } else {
    count(&cache->dropped, 1);
  }
}

int gsq_disk_cache_have(gsq_disk_cache *cache, gsq_have *have) {
  pthread_mutex_lock(&cache->mutex);
  const int has = !cache->forgotten;
  *have = (gsq_have){.version = cache->known.through, .mark = cache->known.mark};
  pthread_mutex_unlock(&cache->mutex);
  return has;
}

int gsq_disk_cache_waits(gsq_disk_cache *cache, uint64_t head) {
  pthread_mutex_lock(&cache->mutex);
  const int waits = !cache->forgotten && (!cache->confirmed || cache->known.through < head);
  pthread_mutex_unlock(&cache->mutex);
  return waits;
}

static void confirm_(gsq_disk_cache *cache, const gsq_have *version) {
  if (!is_other_(cache, version)) cache->confirmed = 1;
}

void gsq_disk_cache_confirm(gsq_disk_cache *cache, const gsq_have *version) {
  pthread_mutex_lock(&cache->mutex);
  confirm_(cache, version);
  pthread_mutex_unlock(&cache->mutex);
}

void gsq_disk_cache_learn(gsq_disk_cache *cache, const gsq_have *from, const gsq_snapshot *to,
                          int all, const uint32_t *pages, size_t count_of_pages) {
  pthread_mutex_lock(&cache->mutex);
  confirm_(cache, from);
  if (cache->confirmed && gsq_known_learn(&cache->known, from->version, to->version, to->mark,
                                          all, pages, count_of_pages)) {
    atomic_store(&cache->unwritten, 1);
  }
  pthread_mutex_unlock(&cache->mutex);
}

void gsq_disk_cache_forget(gsq_disk_cache *cache) {
  pthread_mutex_lock(&cache->mutex);
  cache->forgotten = 1;
  pthread_mutex_unlock(&cache->mutex);
}

void gsq_disk_cache_rest(gsq_disk_cache *cache) {
  if (!atomic_load_explicit(&cache->unwritten, memory_order_relaxed)) return;
  const int64_t now_ms = gsq_now_ms();
  pthread_mutex_lock(&cache->mutex);
  if (now_ms >= cache->next_write_ms) {
    cache->next_write_ms = now_ms + REST_MS;
    write_index_(cache);
  }
  pthread_mutex_unlock(&cache->mutex);
}

void gsq_disk_cache_stats_get(gsq_disk_cache *cache, gsq_disk_cache_stats *out) {
  memset(out, 0, sizeof *out);
  if (!cache) return;
  out->hits = atomic_load(&cache->hits);
  out->misses = atomic_load(&cache->misses);
  out->damaged = atomic_load(&cache->damaged);
  out->bytes_read = atomic_load(&cache->bytes_read);
  out->bytes_written = atomic_load(&cache->bytes_written);
  out->dropped = atomic_load(&cache->dropped);
}
