#ifndef GSQ_SERVICE_CHECKSUM_AVX2_H
#define GSQ_SERVICE_CHECKSUM_AVX2_H

#include <stddef.h>
#include <stdint.h>

#ifdef __x86_64__
/* XXH3-64, seed 0. Only where __builtin_cpu_supports("avx2"). */
uint64_t gsq_checksum_avx2(const void *data, size_t size);
#endif

#endif
