#include "core/rng.h"

/* Multipliers of the rounds and Weyl increments of the key, from the paper. */
static const uint32_t round_multiplier[2] = {0xd2511f53u, 0xcd9e8d57u};
static const uint32_t key_increment[2] = {0x9e3779b9u, 0xbb67ae85u};

/* Halves of fewer than four bits mix noticeably worse: with two bits, 400,000 permutations of five things show it. */
enum { PHILOX_ROUNDS = 10, FEISTEL_ROUNDS = 8, MIN_HALF_BITS = 4 };

void cr_philox4x32(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4])
{
    uint32_t c0 = counter[0], c1 = counter[1], c2 = counter[2], c3 = counter[3];
    uint32_t k0 = key[0], k1 = key[1];
    for (int round = 0; round < PHILOX_ROUNDS; round++) {
        const uint64_t p0 = (uint64_t)round_multiplier[0] * c0;
        const uint64_t p1 = (uint64_t)round_multiplier[1] * c2;
        c0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0;
        c1 = (uint32_t)p1;
        c2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
        c3 = (uint32_t)p0;
        k0 += key_increment[0];
        k1 += key_increment[1];
    }
    out[0] = c0;
    out[1] = c1;
    out[2] = c2;
    out[3] = c3;
}

/* The finaliser of SplitMix64 (Steele, Lea, Flood, OOPSLA 2014): a bijection, so seeds never collide. */
static uint64_t mix64(uint64_t x)
{
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

void cr_random(uint64_t seed, enum cr_purpose purpose, uint64_t a, uint64_t b, uint32_t out[4])
{
    /* The golden ratio step keeps (seed, purpose) pairs of small seeds apart: no purpose is another one's neighbour. */
    const uint64_t k = mix64(seed + (uint64_t)purpose * 0x9e3779b97f4a7c15u);
    const uint32_t key[2] = {(uint32_t)k, (uint32_t)(k >> 32)};
    const uint32_t counter[4] = {(uint32_t)a, (uint32_t)(a >> 32), (uint32_t)b, (uint32_t)(b >> 32)};
    cr_philox4x32(counter, key, out);
}

void cr_permutation_init(struct cr_permutation *p, uint64_t n, uint64_t seed, enum cr_purpose purpose, uint64_t a)
{
    p->n = n;
    p->half_bits = MIN_HALF_BITS;
    while (p->half_bits < 32 && (uint64_t)1 << 2 * p->half_bits < n) p->half_bits++;
    cr_random(seed, purpose, a, 0, p->key);
    cr_random(seed, purpose, a, 1, p->key + 4);
}

/* The round function: the finaliser of MurmurHash3 on the keyed half. It need not be a bijection; Feistel is. */
static uint32_t scramble(uint32_t half, uint32_t key)
{
    uint32_t x = half ^ key;
    x = (x ^ (x >> 16)) * 0x85ebca6bu;
    x = (x ^ (x >> 13)) * 0xc2b2ae35u;
    return x ^ (x >> 16);
}

uint64_t cr_permute(const struct cr_permutation *p, uint64_t i)
{
    const uint32_t mask = (uint32_t)(((uint64_t)1 << p->half_bits) - 1);
    do { /* the domain is less than 4n (or 256), so a few turns do on average; the walk is along a cycle, so it ends */
        uint32_t left = (uint32_t)(i >> p->half_bits), right = (uint32_t)i & mask;
        for (int round = 0; round < FEISTEL_ROUNDS; round++) {
            const uint32_t next = left ^ (scramble(right, p->key[round]) & mask);
            left = right;
            right = next;
        }
        i = (uint64_t)left << p->half_bits | right;
    } while (i >= p->n);
    return i;
}
