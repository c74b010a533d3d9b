/*
** Pages on the wire: message Page of page_store.proto (number = 1, version = 2, checksum = 3,
** data = 4, lz4 = 5), written around the caller's bytes and read in place, unless they were
** compressed.
*/
#ifndef GSQ_SERVICE_PAGES_H
#define GSQ_SERVICE_PAGES_H

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/error.h"
#include "base/wire.h"
#include "service/page_client.h"

int gsq_is_page_size(uint32_t size);

/* XXH3-64, seed 0. */
uint64_t gsq_checksum(const void *data, size_t size);

/* Makes a message of `head` and, after it, the pages as field `field`: an array of *count iovecs,
** which refer to `head` and to the pages. Free *out with free(). GSQ_NOMEM; GSQ_INVALID_ARGUMENT
** if a page is not page_size large. */
int gsq_pages_write(const uint8_t *head, size_t head_size, uint32_t field, uint32_t page_size,
                    const gsq_page_ref *pages, size_t page_count, struct iovec **out,
                    int *count, gsq_error *error);

typedef struct gsq_page_in {
  uint32_t number;
  uint64_t version;
  const uint8_t *data; /* within the message, or the room for it */
  uint32_t size;       /* page_size, or 0 for a page of zeros */
} gsq_page_in;

/* Reads and verifies one Page: size, checksum, a number of at least 1. A compressed one goes to
** `room`, which has page_size bytes; NULL: it may not be compressed. GSQ_BAD_ANSWER,
** GSQ_DATA_LOSS. */
int gsq_page_read(const gsq_field *field, uint32_t page_size, uint8_t *room, gsq_page_in *out,
                  gsq_error *error);

#endif
