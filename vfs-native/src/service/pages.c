#include "service/pages.h"

#include <limits.h>
#include <lz4.h>
#include <stdlib.h>
#include <string.h>

#include "service/checksum_avx2.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

enum { PAGE_NUMBER = 1, PAGE_VERSION = 2, PAGE_CHECKSUM = 3, PAGE_DATA = 4, PAGE_LZ4 = 5 };

/* The page's tag and length, then number, checksum, and the tag and length of data. */
#define PAGE_HEADER_BYTES (2 * 5 + 6 + 9 + 1 + 5)

int gsq_is_page_size(uint32_t size) {
  return size >= 512 && size <= 65536 && (size & (size - 1)) == 0;
}

uint64_t gsq_checksum(const void *data, size_t size) {
#ifdef __x86_64__
  if (__builtin_cpu_supports("avx2")) return gsq_checksum_avx2(data, size);
#endif
  return XXH3_64bits(data, size);
}

size_t gsq_pages_wire_size(uint32_t page_size, size_t count) {
  return count * (PAGE_HEADER_BYTES + (size_t)page_size);
}

static uint8_t *put_page_header(uint8_t *to, uint32_t field, const gsq_page_ref *page) {
  uint8_t inner[PAGE_HEADER_BYTES], *end = inner;
  end = gsq_put_uint(end, PAGE_NUMBER, page->number);
  if (page->size) {
    end = gsq_put_tag(end, PAGE_CHECKSUM, GSQ_FIXED64);
    end = gsq_put_fixed64(end, gsq_checksum(page->data, page->size));
    end = gsq_put_tag(end, PAGE_DATA, GSQ_BYTES);
    end = gsq_put_varint(end, page->size);
  }
  size_t size = (size_t)(end - inner);
  to = gsq_put_tag(to, field, GSQ_BYTES);
  to = gsq_put_varint(to, size + page->size);
  memcpy(to, inner, size);
  return to + size;
}

int gsq_pages_write(const uint8_t *head, size_t head_size, uint32_t field, uint32_t page_size,
                    const gsq_page_ref *pages, size_t page_count, struct iovec **out,
                    int *count, gsq_error *error) {
  for (size_t i = 0; i < page_count; i++) {
    if (pages[i].number == 0 || (pages[i].size != 0 && pages[i].size != page_size)) {
      return gsq_error_set(error, GSQ_INVALID_ARGUMENT, "page %u has %u bytes, not %u",
                           pages[i].number, pages[i].size, page_size);
    }
  }
  if (page_count > INT_MAX / 4) {
    return gsq_error_set(error, GSQ_INVALID_ARGUMENT, "too many pages for a message");
  }
  size_t slots = 1 + 2 * page_count;
  struct iovec *iov = malloc(slots * sizeof *iov + page_count * PAGE_HEADER_BYTES);
  if (!iov) return gsq_error_nomem(error);
  uint8_t *header = (uint8_t *)(iov + slots);
  int used = 0;
  iov[used++] = (struct iovec){(void *)(uintptr_t)head, head_size};
  for (size_t i = 0; i < page_count; i++) {
    uint8_t *end = put_page_header(header, field, &pages[i]);
    iov[used++] = (struct iovec){header, (size_t)(end - header)};
    if (pages[i].size) {
      iov[used++] = (struct iovec){(void *)(uintptr_t)pages[i].data, pages[i].size};
    }
    header = end;
  }
  *out = iov;
  *count = used;
  return GSQ_OK;
}

/* Makes *page of a compressed one, whatever the bytes are. */
static int decompress(const gsq_field *lz4, uint32_t page_size, uint8_t *room,
                      gsq_page_in *page, gsq_error *error) {
  if (!room) {
    return gsq_error_set(error, GSQ_BAD_ANSWER,
                         "the server sent page %u compressed, which nobody asked for",
                         page->number);
  }
  int size = -1;
  if (lz4->size <= INT_MAX) {
    size = LZ4_decompress_safe((const char *)lz4->data, (char *)room, (int)lz4->size,
                               (int)page_size);
  }
  if (size < 0 || (uint32_t)size != page_size) {
    return gsq_error_set(error, GSQ_BAD_ANSWER,
                         "the server sent page %u compressed, but not to a page of %u bytes",
                         page->number, page_size);
  }
  page->data = room;
  page->size = page_size;
  return GSQ_OK;
}

int gsq_page_read(const gsq_field *field, uint32_t page_size, uint8_t *room, gsq_page_in *out,
                  gsq_error *error) {
  gsq_page_in page = {0};
  uint64_t number = 0, checksum = 0;
  size_t size = 0;
  gsq_reader reader = gsq_reader_of(field->data, field->size);
  gsq_field part, lz4 = {0};
  int more = -1;
  if (field->type != GSQ_BYTES) goto malformed;
  while ((more = gsq_next_field(&reader, &part)) == 1) {
    switch (part.number) {
      case PAGE_NUMBER:
        if (part.type != GSQ_VARINT) goto malformed;
        number = part.value;
        break;
      case PAGE_VERSION:
        if (part.type != GSQ_VARINT) goto malformed;
        page.version = part.value;
        break;
      case PAGE_CHECKSUM:
        if (part.type != GSQ_FIXED64) goto malformed;
        checksum = part.value;
        break;
      case PAGE_DATA:
        if (part.type != GSQ_BYTES) goto malformed;
        page.data = part.data;
        size = part.size;
        break;
      case PAGE_LZ4:
        if (part.type != GSQ_BYTES) goto malformed;
        lz4 = part;
        break;
    }
  }
  if (more < 0 || (lz4.size && size)) goto malformed;
  if (number == 0 || number > UINT32_MAX) {
    return gsq_error_set(error, GSQ_BAD_ANSWER, "the server sent a page with number %llu",
                         (unsigned long long)number);
  }
  page.number = (uint32_t)number;
  if (size != 0 && size != page_size) {
    return gsq_error_set(error, GSQ_BAD_ANSWER,
                         "the server sent page %u with %zu bytes, where a page has %u",
                         page.number, size, page_size);
  }
  page.size = (uint32_t)size;
  if (lz4.size && decompress(&lz4, page_size, room, &page, error) != GSQ_OK) {
    return error->code;
  }
  if (checksum != (page.size ? gsq_checksum(page.data, page.size) : 0)) {
    return gsq_error_set(error, GSQ_DATA_LOSS, "page %u came damaged: its checksum is wrong",
                         page.number);
  }
  *out = page;
  return GSQ_OK;

malformed:
  return gsq_error_set(error, GSQ_BAD_ANSWER, "the server sent a page that cannot be decoded");
}
