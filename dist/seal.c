#include "dist/seal.h"

#include "config.h"

/* CR_NO_SODIUM: the copy in a static program for which there is no static libsodium. */
#if CR_HAVE_SODIUM && !defined CR_NO_SODIUM

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "dist/hmac.h"

enum { KEY = crypto_aead_chacha20poly1305_ietf_KEYBYTES, NONCE = crypto_aead_chacha20poly1305_ietf_NPUBBYTES };
_Static_assert(KEY == 32 && crypto_aead_chacha20poly1305_ietf_ABYTES == CR_SEAL_OVERHEAD, "sizes of RFC 8439");

struct direction {
    uint8_t key[KEY];
    uint64_t records;
};

struct cr_seal {
    struct direction out, in;
};

int cr_seal_possible(void)
{
    return sodium_init() >= 0;
}

static void begin(struct direction *d, const uint8_t secret[32], int by_dialer)
{
    const char *label = by_dialer ? "corering seal dialer" : "corering seal listener";
    struct cr_hmac h;
    cr_hmac_init(&h, secret, 32);
    cr_hmac_add(&h, label, strlen(label));
    cr_hmac_end(&h, d->key);
}

struct cr_seal *cr_seal_new(const uint8_t secret[32], int dialer, struct cr_error *e)
{
    if (!cr_seal_possible()) {
        cr_fail(e, CR_E_USAGE, "libsodium does not start here; leave out --secure, or look at the installation");
        return NULL;
    }
    struct cr_seal *s = calloc(1, sizeof *s);
    if (!s) {
        cr_fail(e, CR_E_NOMEM, "out of memory for the keys of a connection");
        return NULL;
    }
    begin(&s->out, secret, dialer != 0);
    begin(&s->in, secret, dialer == 0);
    return s;
}

void cr_seal_free(struct cr_seal *s)
{
    if (!s) return;
    cr_wipe(s, sizeof *s);
    free(s);
}

/* The nonce of the next record. 64 bits of it count: more records than any connection lives to see. */
static void next_nonce(struct direction *d, uint8_t nonce[NONCE])
{
    memset(nonce, 0, NONCE);
    for (int i = 0; i < 8; i++) nonce[i] = (uint8_t)(d->records >> 8 * i);
    d->records++;
}

void cr_seal_lock(struct cr_seal *s, void *out, const void *in, size_t n)
{
    uint8_t nonce[NONCE];
    next_nonce(&s->out, nonce);
    crypto_aead_chacha20poly1305_ietf_encrypt(out, NULL, in, n, NULL, 0, NULL, nonce, s->out.key);
}

int cr_seal_open(struct cr_seal *s, void *out, const void *in, size_t n, struct cr_error *e)
{
    uint8_t nonce[NONCE];
    next_nonce(&s->in, nonce);
    if (n < CR_SEAL_OVERHEAD ||
        crypto_aead_chacha20poly1305_ietf_decrypt(out, NULL, NULL, in, n, NULL, 0, nonce, s->in.key) != 0)
        return cr_fail(e, CR_E_PEER, "a sealed record is not what the other side sealed next: something on the way "
                       "changes, repeats or reorders bytes");
    return 0;
}

#else

int cr_seal_possible(void)
{
    return 0;
}

struct cr_seal *cr_seal_new(const uint8_t secret[32], int dialer, struct cr_error *e)
{
    (void)secret;
    (void)dialer;
    cr_fail(e, CR_E_USAGE, "this corering is built without libsodium, which --secure needs: install libsodium's "
            "development files and build again, or leave out --secure");
    return NULL;
}

void cr_seal_free(struct cr_seal *s)
{
    (void)s;
}

/* There is no seal to call these two with. */
void cr_seal_lock(struct cr_seal *s, void *out, const void *in, size_t n)
{
    (void)s;
    (void)out;
    (void)in;
    (void)n;
}

int cr_seal_open(struct cr_seal *s, void *out, const void *in, size_t n, struct cr_error *e)
{
    (void)s;
    (void)out;
    (void)in;
    (void)n;
    return cr_fail(e, CR_E_USAGE, "this corering is built without libsodium");
}

#endif
