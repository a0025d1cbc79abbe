#define _POSIX_C_SOURCE 200809L
#include "dist/hmac.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

enum { BLOCK = 64, DIGEST = 32 }; /* of SHA-256, in bytes */

void cr_hmac_init(struct cr_hmac *h, const void *key, size_t bytes)
{
    uint8_t padded[BLOCK] = { 0 };
    if (bytes > BLOCK) {
        struct cr_sha256 s;
        cr_sha256_init(&s);
        cr_sha256_add(&s, key, bytes);
        cr_sha256_end(&s, padded);
        cr_wipe(&s, sizeof s);
    } else if (bytes) {
        memcpy(padded, key, bytes);
    }
    for (int i = 0; i < BLOCK; i++) h->outer[i] = padded[i] ^ 0x5c;
    for (int i = 0; i < BLOCK; i++) padded[i] ^= 0x36;
    cr_sha256_init(&h->inner);
    cr_sha256_add(&h->inner, padded, BLOCK);
    cr_wipe(padded, sizeof padded);
}

void cr_hmac_add(struct cr_hmac *h, const void *data, size_t bytes)
{
    cr_sha256_add(&h->inner, data, bytes);
}

void cr_hmac_end(struct cr_hmac *h, uint8_t mac[32])
{
    uint8_t digest[DIGEST];
    cr_sha256_end(&h->inner, digest);
    cr_sha256_init(&h->inner);
    cr_sha256_add(&h->inner, h->outer, BLOCK);
    cr_sha256_add(&h->inner, digest, DIGEST);
    cr_sha256_end(&h->inner, mac);
    cr_wipe(h, sizeof *h);
    cr_wipe(digest, sizeof digest);
}

int cr_equal_secret(const void *a, const void *b, size_t bytes)
{
    /* volatile: no early end may be made of this loop. */
    const volatile uint8_t *x = a, *y = b;
    unsigned difference = 0;
    for (size_t i = 0; i < bytes; i++) difference |= (unsigned)(x[i] ^ y[i]);
    return difference == 0;
}

void cr_wipe(void *secret, size_t bytes)
{
    volatile uint8_t *p = secret;
    while (bytes--) *p++ = 0;
}

/* For kernels without getrandom (before 3.17). */
static int read_urandom(uint8_t *out, size_t bytes, struct cr_error *e)
{
    const int fd = open("/dev/urandom", O_RDONLY | O_CLOEXEC);
    while (fd >= 0 && bytes) {
        const ssize_t n = read(fd, out, bytes);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) break;
        out += n;
        bytes -= (size_t)n;
    }
    if (fd >= 0) close(fd);
    return bytes ? cr_fail(e, CR_E_IO, "no random numbers: neither getrandom nor /dev/urandom works here") : 0;
}

int cr_random_bytes(void *out, size_t bytes, struct cr_error *e)
{
    uint8_t *p = out;
    while (bytes) {
        const ssize_t n = getrandom(p, bytes, 0);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return read_urandom(p, bytes, e);
        p += n;
        bytes -= (size_t)n;
    }
    return 0;
}
