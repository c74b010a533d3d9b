/* Pages of a snapshot: out of the caches, or from the server. Needs none of what moves with the head. */
#include <stdlib.h>
#include <string.h>

#include "vfs/database.h"

/* Page ranges in one ReadPages: SQLite reads page by page, so this is seldom more than one. */
#define MAX_RANGES 64
/* What comes unasked may push out so much of the cache. */
#define CACHE_PARTS 4

void gsq_database_keep_page(const gsq_database *database, const gsq_snapshot *at,
                            uint32_t number, uint64_t version, int asked, const uint8_t *data,
                            uint32_t size) {
  (asked ? gsq_page_cache_put : gsq_page_cache_put_unasked)(
      database->cache, number, version, at->version, size ? data : NULL, at->page_size);
  if (database->disk) {
    gsq_disk_cache_put(database->disk, number, version, at, asked, size ? data : NULL);
  }
}

/* Copies a part of a page, if a cache has it. */
static int cached(gsq_database *database, const gsq_snapshot *at, uint32_t page,
                  uint32_t offset, void *to, uint32_t size) {
  if (gsq_page_cache_get(database->cache, page, at->version, offset, to, size)) return 1;
  if (!database->disk) return 0;
  const int whole = offset == 0 && size == at->page_size;
  uint8_t *bytes = whole ? to : malloc(at->page_size);
  uint64_t from_version;
  const int found = bytes && gsq_disk_cache_get(database->disk, page, at, bytes, &from_version);
  if (found) {
    gsq_page_cache_put(database->cache, page, from_version, at->version, bytes, at->page_size);
    if (!whole) memcpy(to, bytes + offset, size);
  }
  if (!whole) free(bytes);
  return found;
}

uint32_t gsq_database_credit(const gsq_database *database, int64_t prefetch_bytes) {
  if (!database->server->info.prefetch) return 0;
  gsq_page_cache_stats cache;
  gsq_page_cache_stats_get(database->cache, &cache);
  const int64_t most = (int64_t)(cache.max_bytes / CACHE_PARTS);
  const int64_t credit = prefetch_bytes < most ? prefetch_bytes : most;
  return credit > (int64_t)UINT32_MAX ? UINT32_MAX : (uint32_t)credit;
}

typedef struct page_reader {
  gsq_database *database;
  const gsq_snapshot *at;
  uint64_t offset; /* of the bytes wanted */
  uint8_t *to;
  uint32_t size;
} page_reader;

/* Keeps a page and copies the part of it that is wanted. */
static int take_page(void *arg, uint32_t number, uint64_t version, int asked,
                     const uint8_t *data, uint32_t size, gsq_error *error) {
  const page_reader *reader = arg;
  const uint32_t page_size = reader->at->page_size;
  (void)error;
  gsq_database_keep_page(reader->database, reader->at, number, version, asked, data, size);
  if (!asked) return 0;
  const uint64_t page_start = (uint64_t)(number - 1) * page_size;
  const uint64_t end = reader->offset + reader->size;
  uint64_t from = reader->offset > page_start ? reader->offset : page_start;
  uint64_t until = end < page_start + page_size ? end : page_start + page_size;
  if (from >= until) return 0;
  uint8_t *to = reader->to + (from - reader->offset);
  if (size) {
    memcpy(to, data + (from - page_start), until - from);
  } else {
    memset(to, 0, until - from);
  }
  return 0;
}

static int fetch(gsq_database *database, const gsq_snapshot *at, const gsq_page_range *ranges,
                 size_t count, uint32_t credit, gsq_page_fn on_page, void *arg,
                 gsq_page_rest **rest, int64_t deadline_ms, gsq_error *error) {
  gsq_server *server = database->server;
  const gsq_read_request request = {.database = database->id,
                                    .version = at->version,
                                    .mark = at->mark,
                                    .page_size = at->page_size,
                                    .ranges = ranges,
                                    .range_count = count,
                                    .prefetch_credit_bytes = credit,
                                    .accept_lz4 = gsq_server_accepts_lz4(server)};
  gsq_attempts attempts = gsq_server_attempts(server);
  int code;
  do {
    code = gsq_read_pages(&server->client, &request, on_page, arg, rest, deadline_ms, error);
  } while (code != GSQ_OK && gsq_server_again(server, &attempts, deadline_ms, error));
  if (code == GSQ_OK) return GSQ_OK;
  if (gsq_error_is(error, "NO_SUCH_VERSION")) gsq_database_ask_next(database);
  return error->code;
}

static int pass_over(void *arg, uint32_t number, uint64_t version, int asked,
                     const uint8_t *data, uint32_t size, gsq_error *error) {
  (void)arg, (void)number, (void)version, (void)asked, (void)data, (void)size, (void)error;
  return 0;
}

int gsq_database_ask_for(gsq_database *database, const gsq_snapshot *at, int64_t deadline_ms,
                         gsq_error *error) {
  const gsq_page_range first = {.first = 1, .count = 1};
  return fetch(database, at, &first, 1, 0, pass_over, NULL, NULL, deadline_ms, error);
}

int gsq_database_try(gsq_database *database, const gsq_snapshot *at, uint64_t offset, void *to,
                     uint32_t size) {
  const uint32_t within = (uint32_t)(offset % at->page_size);
  return size <= at->page_size - within &&
         gsq_page_cache_try(database->cache, (uint32_t)(offset / at->page_size + 1),
                            at->version, within, to, size);
}

int gsq_database_read(gsq_database *database, const gsq_snapshot *at, uint64_t offset, void *to,
                      uint32_t size, gsq_prefetch *prefetch, int64_t deadline_ms,
                      gsq_error *error) {
  if (size == 0) return GSQ_OK;
  page_reader reader = {
      .database = database, .at = at, .offset = offset, .to = to, .size = size};
  gsq_page_range ranges[MAX_RANGES];
  size_t range_count = 0;
  const uint32_t page_size = at->page_size;
  const uint64_t end = offset + size;
  for (uint64_t from = offset; from < end;) {
    const uint32_t page = (uint32_t)(from / page_size + 1);
    const uint64_t page_end = (uint64_t)page * page_size;
    const uint64_t until = end < page_end ? end : page_end;
    if (prefetch) gsq_prefetch_await(prefetch, database, page, at->version);
    if (!cached(database, at, page, (uint32_t)(from % page_size),
                (uint8_t *)to + (from - offset), (uint32_t)(until - from))) {
      gsq_page_range *last = range_count ? &ranges[range_count - 1] : NULL;
      if (last && last->first + last->count == page) {
        last->count++;
      } else {
        if (range_count == MAX_RANGES) {
          int code = fetch(database, at, ranges, range_count, 0, take_page, &reader, NULL,
                           deadline_ms, error);
          if (code != GSQ_OK) return code;
          range_count = 0;
        }
        ranges[range_count++] = (gsq_page_range){.first = page, .count = 1};
      }
    }
    from = until;
  }
  if (range_count == 0) return GSQ_OK;
  if (!prefetch) {
    return fetch(database, at, ranges, range_count, 0, take_page, &reader, NULL, deadline_ms,
                 error);
  }
  /* What was awaited may have come, and another thread have pushed it out again before it was copied. */
  gsq_prefetch_finish(prefetch, database);
  const uint32_t credit = gsq_database_credit(database, gsq_prefetch_credit(prefetch));
  gsq_prefetch_begin(prefetch, at, credit);
  return fetch(database, at, ranges, range_count, credit, take_page, &reader, &prefetch->rest,
               deadline_ms, error);
}

int gsq_database_read_pages(gsq_database *database, const gsq_snapshot *at,
                            const uint32_t *numbers, size_t count, void *to,
                            int64_t deadline_ms, gsq_error *error) {
  gsq_page_list list = {
      .numbers = numbers, .count = count, .page_size = at->page_size, .to = to};
  uint32_t missing[GSQ_BATCH_PAGES];
  gsq_page_range ranges[GSQ_BATCH_PAGES];
  size_t missing_count = 0;
  for (size_t i = 0; i < count; i++) {
    uint8_t *page = list.to + i * at->page_size;
    if (!gsq_database_cached(database, at, numbers[i], page)) {
      missing[missing_count++] = numbers[i];
    }
  }
  if (missing_count == 0) return GSQ_OK;
  return fetch(database, at, ranges, gsq_page_ranges(missing, missing_count, ranges), 0,
               gsq_page_list_take, &list, NULL, deadline_ms, error);
}

int gsq_database_cached(gsq_database *database, const gsq_snapshot *at, uint32_t page,
                        void *to) {
  return cached(database, at, page, 0, to, at->page_size);
}
