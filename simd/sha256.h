/* SHA-256 (FIPS 180-4), the fingerprint of weights, checkpoints and downloads. Thread-safe; cannot fail. */
#ifndef CR_SIMD_SHA256_H
#define CR_SIMD_SHA256_H

#include <stddef.h>
#include <stdint.h>

struct cr_sha256 {
    uint32_t state[8];
    uint64_t length;     /* bytes taken so far */
    uint8_t buffer[64];
};

void cr_sha256_init(struct cr_sha256 *h);
void cr_sha256_add(struct cr_sha256 *h, const void *data, size_t bytes);
void cr_sha256_end(struct cr_sha256 *h, uint8_t digest[32]);
/* Lower-case hexadecimal text with its final 0. */
void cr_sha256_hex(const uint8_t digest[32], char text[65]);
/* Adds n floats as little-endian IEEE single precision, with -0 written as +0 (the sign of a zero is no result). */
void cr_sha256_add_floats(struct cr_sha256 *h, const float *x, size_t n);

#endif
