/* pages.c's checksum, compiled for processors that have AVX2. */
#include "service/checksum_avx2.h"

#ifdef __x86_64__
#define XXH_INLINE_ALL
#define XXH_VECTOR XXH_AVX2
#include <xxhash.h>

uint64_t gsq_checksum_avx2(const void *data, size_t size) {
  return XXH3_64bits(data, size);
}
#else
typedef int gsq_not_for_this_processor; /* a file may not be empty */
#endif
