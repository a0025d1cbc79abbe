/* The table way of CRC-32C, for any processor, and the choice of the fastest. */
#define _POSIX_C_SOURCE 200809L
#include "simd/crc32c.h"

#include <pthread.h>

#include "config.h"

#if defined __aarch64__ && defined __linux__
#include <asm/hwcap.h>
#include <sys/auxv.h>
#endif

/* x^32 + x^28 + ... + 1 with the bits reversed: the coefficient of x^31 is bit 0. */
static const uint32_t polynomial = 0x82f63b78;

/* Eight bytes at a time ("slicing by 8": Kounavis, Berry, 2005): slice[k][b] is what byte b leaves k bytes later. */
static uint32_t slice[8][256];
static cr_crc32c_fn *chosen;

static void make_tables(void)
{
    for (uint32_t b = 0; b < 256; b++) {
        uint32_t crc = b;
        for (int bit = 0; bit < 8; bit++) crc = crc >> 1 ^ (crc & 1 ? polynomial : 0);
        slice[0][b] = crc;
    }
    for (int k = 1; k < 8; k++)
        for (int b = 0; b < 256; b++) slice[k][b] = slice[k - 1][b] >> 8 ^ slice[0][slice[k - 1][b] & 0xff];
}

static uint32_t by_table(uint32_t state, const uint8_t *p, size_t n)
{
    for (; n >= 8; n -= 8, p += 8)
        state = slice[7][p[0] ^ (state & 0xff)] ^ slice[6][p[1] ^ (state >> 8 & 0xff)] ^
                slice[5][p[2] ^ (state >> 16 & 0xff)] ^ slice[4][p[3] ^ state >> 24] ^ slice[3][p[4]] ^
                slice[2][p[5]] ^ slice[1][p[6]] ^ slice[0][p[7]];
    for (; n; n--, p++) state = state >> 8 ^ slice[0][(state ^ *p) & 0xff];
    return state;
}

int cr_crc32c_ways(struct cr_crc32c_way way[CR_CRC32C_WAYS])
{
    int ways = 0;
    way[ways++] = (struct cr_crc32c_way){ "table", by_table };
#if defined __x86_64__
    if (__builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("pclmul"))
        way[ways++] = (struct cr_crc32c_way){ "x86", cr_crc32c_x86 };
#if CR_HAVE_AVX512
    if (ways > 1 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("vpclmulqdq"))
        way[ways++] = (struct cr_crc32c_way){ "avx512", cr_crc32c_avx512 };
#endif
#elif defined __aarch64__ && defined __linux__
    const unsigned long both = HWCAP_CRC32 | HWCAP_PMULL;
    if ((getauxval(AT_HWCAP) & both) == both) way[ways++] = (struct cr_crc32c_way){ "aarch64", cr_crc32c_aarch64 };
#endif
    return ways;
}

static void begin(void)
{
    struct cr_crc32c_way way[CR_CRC32C_WAYS];
    make_tables();
    chosen = way[cr_crc32c_ways(way) - 1].run;
}

uint32_t cr_crc32c(uint32_t crc, const void *data, size_t n)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, begin);
    return ~chosen(~crc, data, n);
}
