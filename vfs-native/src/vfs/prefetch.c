#include "vfs/prefetch.h"

#include "base/clock.h"
#include "vfs/database.h"

#define MIB (INT64_C(1) << 20)
#define FIRST_BYTES (4 * MIB)
#define LEAST_BYTES (1 * MIB)
#define SOON_US 50000
#define LONG_US 250000

int64_t gsq_prefetch_credit(const gsq_prefetch *prefetch) {
  const int64_t want = prefetch->want_bytes ? prefetch->want_bytes : FIRST_BYTES;
  return want < prefetch->most_bytes ? want : prefetch->most_bytes;
}

void gsq_prefetch_note(gsq_prefetch *prefetch, int64_t asked_bytes, int64_t came_bytes,
                       int64_t took_us) {
  int64_t want = gsq_prefetch_credit(prefetch);
  if (took_us >= LONG_US) {
    want = want / 2 > LEAST_BYTES ? want / 2 : LEAST_BYTES;
  } else if (took_us <= SOON_US && came_bytes >= asked_bytes / 2) {
    want = 2 * want < prefetch->most_bytes ? 2 * want : prefetch->most_bytes;
  }
  prefetch->want_bytes = want;
}

void gsq_prefetch_begin(gsq_prefetch *prefetch, const gsq_snapshot *at, int64_t asked_bytes) {
  prefetch->at = *at;
  prefetch->asked_us = gsq_now_us();
  prefetch->asked_bytes = asked_bytes;
  prefetch->came_bytes = 0;
}

typedef struct keeper {
  gsq_prefetch *prefetch;
  const gsq_database *database;
} keeper;

static int keep(void *arg, uint32_t number, uint64_t version, int asked, const uint8_t *data,
                uint32_t size, gsq_error *error) {
  const keeper *it = arg;
  (void)error;
  it->prefetch->came_bytes += it->prefetch->at.page_size;
  gsq_database_keep_page(it->database, &it->prefetch->at, number, version, asked, data, size);
  return 0;
}

static void take(gsq_prefetch *prefetch, gsq_database *database) {
  keeper it = {prefetch, database};
  if (gsq_page_rest_take(prefetch->rest, keep, &it)) return;
  prefetch->rest = NULL;
  gsq_prefetch_note(prefetch, prefetch->asked_bytes, prefetch->came_bytes,
                    gsq_now_us() - prefetch->asked_us);
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
