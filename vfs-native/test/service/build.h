/* Builds messages for tests, good ones and others. */
#ifndef GSQ_TEST_BUILD_H
#define GSQ_TEST_BUILD_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/wire.h"
#include "service/pages.h"

typedef struct builder {
  uint8_t bytes[1 << 17];
  size_t size;
} builder;

static inline void b_uint(builder *b, uint32_t field, uint64_t value) {
  b->size = (size_t)(gsq_put_uint(b->bytes + b->size, field, value) - b->bytes);
}

/* Unlike gsq_put_bytes also if there are none. */
static inline void b_bytes(builder *b, uint32_t field, const void *data, size_t size) {
  uint8_t *at = gsq_put_tag(b->bytes + b->size, field, GSQ_BYTES);
  at = gsq_put_varint(at, size);
  if (size) memcpy(at, data, size);
  b->size = (size_t)(at + size - b->bytes);
}

static inline void b_fixed64(builder *b, uint32_t field, uint64_t value) {
  uint8_t *at = gsq_put_tag(b->bytes + b->size, field, GSQ_FIXED64);
  b->size = (size_t)(gsq_put_fixed64(at, value) - b->bytes);
}

static inline void b_id(builder *b, uint32_t field, uint8_t fill) {
  uint8_t id[GSQ_ID_BYTES];
  memset(id, fill, sizeof id);
  b_bytes(b, field, id, sizeof id);
}

static inline void b_snapshot(builder *b, uint32_t field, uint64_t version, uint32_t page_size,
                              uint32_t page_count) {
  static _Thread_local builder inner;
  inner.size = 0;
  b_uint(&inner, 1, version);
  b_uint(&inner, 2, page_size);
  b_uint(&inner, 3, page_count);
  b_bytes(b, field, inner.bytes, inner.size);
}

/* A page filled with `fill`; size 0: a page of zeros. `damage` is added to the checksum. */
static inline void b_page(builder *b, uint32_t field, uint64_t number, uint64_t version,
                          uint32_t size, uint8_t fill, uint64_t damage) {
  static _Thread_local builder inner;
  static _Thread_local uint8_t data[1 << 16];
  inner.size = 0;
  memset(data, fill, size);
  b_uint(&inner, 1, number);
  b_uint(&inner, 2, version);
  uint64_t checksum = (size ? gsq_checksum(data, size) : 0) + damage;
  if (checksum) b_fixed64(&inner, 3, checksum);
  if (size) b_bytes(&inner, 4, data, size);
  b_bytes(b, field, inner.bytes, inner.size);
}

static inline void b_changes(builder *b, uint32_t field, int all, int packed,
                             const uint32_t *pages, size_t count) {
  static _Thread_local builder inner, list;
  inner.size = list.size = 0;
  b_uint(&inner, 1, (uint64_t)all);
  for (size_t i = 0; i < count; i++) {
    if (packed) {
      list.size = (size_t)(gsq_put_varint(list.bytes + list.size, pages[i]) - list.bytes);
    } else {
      uint8_t *at = gsq_put_tag(inner.bytes + inner.size, 2, GSQ_VARINT);
      inner.size = (size_t)(gsq_put_varint(at, pages[i]) - inner.bytes);
    }
  }
  if (packed && count) b_bytes(&inner, 2, list.bytes, list.size);
  b_bytes(b, field, inner.bytes, inner.size);
}

#endif
