/* The checksum of pages, however the processor makes it. */
#include <stdlib.h>

#include "check.h"
#include "service/checksum_avx2.h"
#include "service/pages.h"

#define XXH_INLINE_ALL
#define XXH_VECTOR XXH_SCALAR
#include <xxhash.h>

static void it_is_xxh3_of_any_size_at_any_address(void) {
  enum { SIZE = 65536, PLACES = 3 };
  unsigned char *bytes = malloc(SIZE + PLACES);
  uint32_t random = 1;
  for (int i = 0; i < SIZE + PLACES; i++) {
    random = random * 1664525u + 1013904223u;
    bytes[i] = (unsigned char)(random >> 24);
  }
  for (size_t size = 0; size <= SIZE; size += size < 5000 ? 1 : size / 7) {
    for (int at = 0; at < PLACES; at++) {
      CHECK(gsq_checksum(bytes + at, size) == XXH3_64bits(bytes + at, size));
#ifdef __x86_64__
      if (__builtin_cpu_supports("avx2")) {
        CHECK(gsq_checksum_avx2(bytes + at, size) == XXH3_64bits(bytes + at, size));
      }
#endif
    }
  }
  free(bytes);
}

int main(void) {
  CASE("it_is_xxh3_of_any_size_at_any_address");
  it_is_xxh3_of_any_size_at_any_address();
  return check_done();
}
