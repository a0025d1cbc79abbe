/* CRC-32C by folding (Gopal et al., "Fast CRC computation for generic polynomials using PCLMULQDQ instruction", Intel,
 * 2009) with 16 carry-less products at a time: 256 bytes are kept as 16 remainders of 128 bits side by side; to take in
 * the next 256, each is moved by 2048 bits. The last 256 go through the CRC32 instruction. */
#include "simd/crc32c.h"

#include <immintrin.h>

enum { VECTORS = 4, FOLD = VECTORS * sizeof(__m512i), LEAST = 4 * FOLD };
/* x^(2048 + 64 - 33) for the lower, which is the higher in degree, and x^(2048 - 33) for the upper half; reversed. */
static const int64_t move_lower = 0xdcb17aa4, move_upper = 0xb9e02b86;

static inline __m512i moved(__m512i x, __m512i by, __m512i more)
{
    const __m512i lower = _mm512_clmulepi64_epi128(x, by, 0x00), upper = _mm512_clmulepi64_epi128(x, by, 0x11);
    return _mm512_xor_si512(_mm512_xor_si512(lower, upper), more);
}

uint32_t cr_crc32c_avx512(uint32_t state, const uint8_t *p, size_t n)
{
    if (n < LEAST) return cr_crc32c_x86(state, p, n);
    const __m512i by = _mm512_broadcast_i32x4(_mm_set_epi64x(move_upper, move_lower));
    __m512i x[VECTORS];
    uint8_t rest[FOLD];
    for (int i = 0; i < VECTORS; i++) x[i] = _mm512_loadu_si512(p + i * 64);
    x[0] = _mm512_xor_si512(x[0], _mm512_zextsi128_si512(_mm_cvtsi32_si128((int)state)));
    for (p += FOLD, n -= FOLD; n >= FOLD; p += FOLD, n -= FOLD)
        for (int i = 0; i < VECTORS; i++) x[i] = moved(x[i], by, _mm512_loadu_si512(p + i * 64));
    for (int i = 0; i < VECTORS; i++) _mm512_storeu_si512(rest + i * 64, x[i]);
    return cr_crc32c_x86(cr_crc32c_x86(0, rest, sizeof rest), p, n);
}
