#include "vfs/prefetch.h"

#include "vfs/database.h"

typedef struct keeper {
  const gsq_prefetch *prefetch;
  const gsq_database *database;
} keeper;

static int keep(void *arg, uint32_t number, uint64_t version, int asked, const uint8_t *data,
                uint32_t size, gsq_error *error) {
  const keeper *it = arg;
  (void)error;
  gsq_database_keep_page(it->database, &it->prefetch->at, number, version, asked, data, size);
  return 0;
}

static void take(gsq_prefetch *prefetch, gsq_database *database) {
  keeper it = {prefetch, database};
  if (!gsq_page_rest_take(prefetch->rest, keep, &it)) prefetch->rest = NULL;
}

void gsq_prefetch_await(gsq_prefetch *prefetch, gsq_database *database, uint32_t page,
                        uint64_t snapshot) {
  while (prefetch->rest && !gsq_page_cache_has(database->cache, page, snapshot)) {
    take(prefetch, database);
  }
}

void gsq_prefetch_finish(gsq_prefetch *prefetch, gsq_database *database) {
  while (prefetch->rest) take(prefetch, database);
}
