#include "vfs/prefetch.h"

typedef struct keeper {
  const gsq_prefetch *prefetch;
  gsq_page_cache *cache;
} keeper;

static int keep(void *arg, uint32_t number, uint64_t version, int asked, const uint8_t *data,
                uint32_t size, gsq_error *error) {
  const keeper *it = arg;
  const gsq_snapshot *at = &it->prefetch->at;
  (void)asked, (void)error;
  gsq_page_cache_put_unasked(it->cache, number, version, at->version, size ? data : NULL,
                             at->page_size);
  return 0;
}

static void take(gsq_prefetch *prefetch, gsq_page_cache *cache) {
  keeper it = {prefetch, cache};
  if (!gsq_page_rest_take(prefetch->rest, keep, &it)) prefetch->rest = NULL;
}

void gsq_prefetch_await(gsq_prefetch *prefetch, gsq_page_cache *cache, uint32_t page,
                        uint64_t snapshot) {
  while (prefetch->rest && !gsq_page_cache_has(cache, page, snapshot)) take(prefetch, cache);
}

void gsq_prefetch_finish(gsq_prefetch *prefetch, gsq_page_cache *cache) {
  while (prefetch->rest) take(prefetch, cache);
}
