/* Counter-based randomness: Philox 4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC'11).
 * A number is a pure function of (seed, purpose, two counters), so it does not matter who asks, when or how often. */
#ifndef CR_CORE_RNG_H
#define CR_CORE_RNG_H

#include <stddef.h>
#include <stdint.h>

enum cr_purpose { CR_RNG_INIT = 1, CR_RNG_SHUFFLE, CR_RNG_SPLIT, CR_RNG_SYNTH, CR_RNG_TEST };

/* The published function itself: ten rounds over a counter of four words under a key of two. */
void cr_philox4x32(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4]);

/* Four 32-bit words for counter (a, b). */
void cr_random(uint64_t seed, enum cr_purpose purpose, uint64_t a, uint64_t b, uint32_t out[4]);

/* A word as a float in [0, 1): its upper 24 bits times 2^-24, exact. */
static inline float cr_unit(uint32_t word)
{
    return (float)(word >> 8) * 0x1p-24f;
}

/* A keyed permutation of 0..n-1: a Feistel network over the next even power of two, 256 at least, walked until it falls
 * inside (Black and Rogaway, "Ciphers with arbitrary finite domains", CT-RSA 2002). No table, any element in O(1). */
struct cr_permutation {
    uint64_t n;
    unsigned half_bits;
    uint32_t key[8];
};
void cr_permutation_init(struct cr_permutation *p, uint64_t n, uint64_t seed, enum cr_purpose purpose, uint64_t a);
uint64_t cr_permute(const struct cr_permutation *p, uint64_t i); /* i < n */

#endif
