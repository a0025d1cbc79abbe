#include "simd/crc32c.h"

#include <arm_acle.h>
#include <arm_neon.h>

#define CRC32C cr_crc32c_aarch64
#define FEED(s, w) __crc32cd((s), (w))
#define FEED_BYTE(s, b) __crc32cb((s), (b))
#define TIMES(s, k) times((s), (k))

static inline uint64_t times(uint32_t a, uint32_t b) { return (uint64_t)vmull_p64(a, b); }

#include "simd/crc32c_tmpl.h"
