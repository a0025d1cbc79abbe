/* SHA-256 in plain C, 16 rounds unrolled so that the eight variables never move. */
#include "simd/sha256.h"

#include <string.h>

/* The 64 words of FIPS 180-4, section 4.2.2: the first 32 bits of the fractional parts of the cube roots of the first
 * 64 primes. */
static const uint32_t k[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

static inline uint32_t rotate_right(uint32_t x, unsigned n)
{
    return x >> n | x << (32 - n);
}

static inline uint32_t load_big_endian(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static inline void store_big_endian(uint8_t *p, uint32_t x)
{
    p[0] = (uint8_t)(x >> 24);
    p[1] = (uint8_t)(x >> 16);
    p[2] = (uint8_t)(x >> 8);
    p[3] = (uint8_t)x;
}

static inline uint32_t sum0(uint32_t x)
{
    return rotate_right(x, 2) ^ rotate_right(x, 13) ^ rotate_right(x, 22);
}

static inline uint32_t sum1(uint32_t x)
{
    return rotate_right(x, 6) ^ rotate_right(x, 11) ^ rotate_right(x, 25);
}

static inline uint32_t sigma0(uint32_t x)
{
    return rotate_right(x, 7) ^ rotate_right(x, 18) ^ x >> 3;
}

static inline uint32_t sigma1(uint32_t x)
{
    return rotate_right(x, 17) ^ rotate_right(x, 19) ^ x >> 10;
}

/* Round t + i with the eight working variables in the places of this round: instead of moving them, the next round
 * names them one place further. */
#define ROUND(a, b, c, d, e, f, g, h, i)                                                                               \
    do {                                                                                                               \
        const uint32_t t1 = (h) + sum1(e) + ((g) ^ ((e) & ((f) ^ (g)))) + k[t + (i)] + w[i];                           \
        (d) += t1;                                                                                                     \
        (h) = t1 + sum0(a) + (((a) & (b)) | ((c) & ((a) | (b))));                                                      \
    } while (0)

/* FIPS 180-4, section 6.2.2; w holds the 16 words of the message schedule that the next 16 rounds use. */
static void compress(uint32_t state[8], const uint8_t *block)
{
    uint32_t w[16];
    for (int i = 0; i < 16; i++) w[i] = load_big_endian(block + 4 * i);

    uint32_t a = state[0], b = state[1], c = state[2], d = state[3];
    uint32_t e = state[4], f = state[5], g = state[6], h = state[7];
    for (int t = 0;;) {
        ROUND(a, b, c, d, e, f, g, h, 0);
        ROUND(h, a, b, c, d, e, f, g, 1);
        ROUND(g, h, a, b, c, d, e, f, 2);
        ROUND(f, g, h, a, b, c, d, e, 3);
        ROUND(e, f, g, h, a, b, c, d, 4);
        ROUND(d, e, f, g, h, a, b, c, 5);
        ROUND(c, d, e, f, g, h, a, b, 6);
        ROUND(b, c, d, e, f, g, h, a, 7);
        ROUND(a, b, c, d, e, f, g, h, 8);
        ROUND(h, a, b, c, d, e, f, g, 9);
        ROUND(g, h, a, b, c, d, e, f, 10);
        ROUND(f, g, h, a, b, c, d, e, 11);
        ROUND(e, f, g, h, a, b, c, d, 12);
        ROUND(d, e, f, g, h, a, b, c, 13);
        ROUND(c, d, e, f, g, h, a, b, 14);
        ROUND(b, c, d, e, f, g, h, a, 15);
        t += 16;
        if (t == 64) break;
        for (int i = 0; i < 16; i++) w[i] += sigma1(w[(i + 14) & 15]) + w[(i + 9) & 15] + sigma0(w[(i + 1) & 15]);
    }
    state[0] += a;
    state[1] += b;
    state[2] += c;
    state[3] += d;
    state[4] += e;
    state[5] += f;
    state[6] += g;
    state[7] += h;
}

void cr_sha256_init(struct cr_sha256 *h)
{
    *h = (struct cr_sha256){
        .state = { 0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19 },
    };
}

void cr_sha256_add(struct cr_sha256 *h, const void *data, size_t bytes)
{
    const uint8_t *p = data;
    const size_t held = h->length % 64;
    h->length += bytes;
    if (held) {
        const size_t room = 64 - held, take = bytes < room ? bytes : room;
        if (take) memcpy(h->buffer + held, p, take);
        if (take < room) return;
        compress(h->state, h->buffer);
        p += take;
        bytes -= take;
    }
    for (; bytes >= 64; p += 64, bytes -= 64) compress(h->state, p);
    if (bytes) memcpy(h->buffer, p, bytes);
}

void cr_sha256_end(struct cr_sha256 *h, uint8_t digest[32])
{
    /* A one bit, zeros up to 8 bytes before the end of a block, and the length in bits. */
    static const uint8_t one_and_zeros[64] = { 0x80 };
    const uint64_t bits = h->length * 8;
    uint8_t length[8];
    store_big_endian(length, (uint32_t)(bits >> 32));
    store_big_endian(length + 4, (uint32_t)bits);
    cr_sha256_add(h, one_and_zeros, 64 - (h->length + 8) % 64);
    cr_sha256_add(h, length, sizeof length);
    for (int i = 0; i < 8; i++) store_big_endian(digest + 4 * i, h->state[i]);
}

void cr_sha256_hex(const uint8_t digest[32], char text[65])
{
    static const char digit[] = "0123456789abcdef";
    for (int i = 0; i < 32; i++) {
        text[2 * i] = digit[digest[i] >> 4];
        text[2 * i + 1] = digit[digest[i] & 15];
    }
    text[64] = 0;
}

void cr_sha256_add_floats(struct cr_sha256 *h, const float *x, size_t n)
{
    uint8_t bytes[1024];
    while (n) {
        const size_t some = n < sizeof bytes / 4 ? n : sizeof bytes / 4;
        for (size_t i = 0; i < some; i++) {
            uint32_t bits;
            memcpy(&bits, x + i, sizeof bits);
            if (bits == 0x80000000) bits = 0;
            for (int j = 0; j < 4; j++) bytes[4 * i + (size_t)j] = (uint8_t)(bits >> 8 * j);
        }
        cr_sha256_add(h, bytes, 4 * some);
        x += some;
        n -= some;
    }
}
