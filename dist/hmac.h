/* HMAC-SHA256 (RFC 2104, RFC 4231), random bytes, comparison in constant time, and forgetting. Thread-safe. */
#ifndef CR_DIST_HMAC_H
#define CR_DIST_HMAC_H

#include <stddef.h>
#include <stdint.h>

#include "simd/error.h"
#include "simd/sha256.h"

struct cr_hmac {
    struct cr_sha256 inner;
    uint8_t outer[64]; /* the key, padded and xored */
};
/* A key of any length; those longer than 64 bytes are hashed first. */
void cr_hmac_init(struct cr_hmac *h, const void *key, size_t bytes);
void cr_hmac_add(struct cr_hmac *h, const void *data, size_t bytes);
/* Nothing of the key is left in *h. */
void cr_hmac_end(struct cr_hmac *h, uint8_t mac[32]);

/* 1 if equal, in a time that does not depend on where they differ. */
int cr_equal_secret(const void *a, const void *b, size_t bytes);

/* Overwrite a secret with zeros, also where the compiler thinks that nobody will look. */
void cr_wipe(void *secret, size_t bytes);

/* Fill with random bytes from the kernel (getrandom, else /dev/urandom). 0 or -CR_E_IO. */
int cr_random_bytes(void *out, size_t bytes, struct cr_error *e);

#endif
