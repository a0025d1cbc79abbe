/* CRC-32C (Castagnoli), the checksum of iSCSI (RFC 3720), SCTP and ext4: finds every error of up to 3 bits in the
 * frames of this project, and any burst of up to 32. Against damage, not against forgery. */
#ifndef CR_SIMD_CRC32C_H
#define CR_SIMD_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* The checksum of n more bytes after those whose checksum is crc; crc is 0 before the first. Any alignment; data may
 * be NULL when n is 0. Thread-safe. */
uint32_t cr_crc32c(uint32_t crc, const void *data, size_t n);

/* The ways of this build that this processor can go, the fastest last: for tests. All take and return the register,
 * which is the complement of the checksum. */
typedef uint32_t cr_crc32c_fn(uint32_t state, const uint8_t *data, size_t n);
struct cr_crc32c_way {
    const char *name;
    cr_crc32c_fn *run;
};
/* Fills `way` and returns how many. */
enum { CR_CRC32C_WAYS = 3 };
int cr_crc32c_ways(struct cr_crc32c_way way[CR_CRC32C_WAYS]);

/* Instructions of their own: x86-64 with SSE4.2 and PCLMULQDQ, then AVX-512 and VPCLMULQDQ; AArch64 with CRC32 and
 * PMULL. */
cr_crc32c_fn cr_crc32c_x86, cr_crc32c_avx512, cr_crc32c_aarch64;

#endif
