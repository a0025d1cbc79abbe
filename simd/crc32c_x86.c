#include "simd/crc32c.h"

#include <immintrin.h>

#define CRC32C cr_crc32c_x86
#define FEED(s, w) ((uint32_t)_mm_crc32_u64((s), (w)))
#define FEED_BYTE(s, b) _mm_crc32_u8((s), (b))
#define TIMES(s, k) times((s), (k))

static inline uint64_t times(uint32_t a, uint32_t b)
{
    return (uint64_t)_mm_cvtsi128_si64(_mm_clmulepi64_si128(_mm_cvtsi32_si128((int)a), _mm_cvtsi32_si128((int)b), 0));
}

#include "simd/crc32c_tmpl.h"
