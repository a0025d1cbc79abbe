/* Sealed connections: RFC 8439's cipher with the keys and nonces that dist/seal.h promises, and nothing opened but what
 * was sealed next. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "config.h"
#include "dist/hmac.h"
#include "dist/seal.h"
#include "tests/suites.h"
#include "tests/values.h"

#if CR_HAVE_SODIUM

#include <sodium.h>

enum { N = 1000, ROOM = N + CR_SEAL_OVERHEAD };

static const uint8_t secret[32] = { 1, 2, 3, 4, 5, 6, 7, 8, 9 };
static struct cr_seal *dialer, *listener;
static struct cr_error e;

static void setup(void)
{
    ck_assert(cr_seal_possible());
    dialer = cr_seal_new(secret, 1, &e);
    listener = cr_seal_new(secret, 0, &e);
    ck_assert(dialer && listener);
}

static void teardown(void)
{
    cr_seal_free(dialer);
    cr_seal_free(listener);
}

static void refused(struct cr_seal *s, const uint8_t *sealed, size_t n)
{
    uint8_t out[ROOM];
    memset(out, 0x55, sizeof out);
    ck_assert_int_eq(cr_seal_open(s, out, sealed, n, &e), -CR_E_PEER);
    ck_assert_ptr_nonnull(strstr(e.text, "sealed record"));
}

START_TEST(both_ways)
{
    struct values v = { 0 };
    uint8_t text[N], sealed[ROOM], opened[N];
    for (int record = 0; record < 600; record++) { /* past a byte of the counter */
        const int forth = next_int(&v, 3) > 0;
        const size_t n = record < 5 ? (size_t)record : (size_t)next_int(&v, N + 1);
        for (size_t i = 0; i < n; i++) text[i] = (uint8_t)next_word(&v);
        memset(sealed, 0, sizeof sealed);
        cr_seal_lock(forth ? dialer : listener, sealed, text, n);
        for (size_t i = n + CR_SEAL_OVERHEAD; i < ROOM; i++) ck_assert_uint_eq(sealed[i], 0);
        ck_assert(n < 16 || memcmp(sealed, text, n) != 0);
        ck_assert_int_eq(cr_seal_open(forth ? listener : dialer, opened, sealed, n + CR_SEAL_OVERHEAD, &e), 0);
        ck_assert(memcmp(opened, text, n) == 0);
    }
}
END_TEST

/* The third record of the listener, by the text of the header. */
START_TEST(as_described)
{
    static const char text[] = "no weights visible", label[] = "corering seal listener";
    const uint8_t nonce[12] = { 2 };
    uint8_t key[32], sealed[sizeof text + CR_SEAL_OVERHEAD], opened[sizeof text];
    struct cr_hmac h;
    for (int i = 0; i < 3; i++) cr_seal_lock(listener, sealed, text, sizeof text);
    cr_hmac_init(&h, secret, sizeof secret);
    cr_hmac_add(&h, label, sizeof label - 1);
    cr_hmac_end(&h, key);
    const int rc = crypto_aead_chacha20poly1305_ietf_decrypt(opened, NULL, NULL, sealed, sizeof sealed, NULL, 0, nonce,
                                                             key);
    ck_assert_int_eq(rc, 0);
    ck_assert_mem_eq(opened, text, sizeof text);
}
END_TEST

/* The same text is sealed differently each time, in each direction, under each secret. */
START_TEST(no_two_alike)
{
    enum { RECORDS = 300, SEALS = 4 };
    static uint8_t sealed[SEALS * RECORDS][16 + CR_SEAL_OVERHEAD];
    static const uint8_t zeros[16], other_secret[32] = { 1, 2, 3, 4, 5, 6, 7, 8, 8 };
    struct cr_seal *s[SEALS] = { dialer, listener, cr_seal_new(other_secret, 1, &e), cr_seal_new(other_secret, 0, &e) };
    for (int i = 0; i < SEALS * RECORDS; i++) {
        cr_seal_lock(s[i % SEALS], sealed[i], zeros, sizeof zeros);
        for (int j = 0; j < i; j++) ck_assert_msg(memcmp(sealed[i], sealed[j], 16) != 0, "records %d and %d", j, i);
    }
    cr_seal_free(s[2]);
    cr_seal_free(s[3]);
}
END_TEST

START_TEST(every_bit_changed)
{
    uint8_t text[40] = "every bit", sealed[40 + CR_SEAL_OVERHEAD];
    for (size_t bit = 0; bit < 8 * sizeof sealed; bit++) {
        struct cr_seal *from = cr_seal_new(secret, 1, &e), *to = cr_seal_new(secret, 0, &e);
        cr_seal_lock(from, sealed, text, sizeof text);
        sealed[bit / 8] ^= (uint8_t)(1 << bit % 8);
        refused(to, sealed, sizeof sealed);
        cr_seal_free(from);
        cr_seal_free(to);
    }
}
END_TEST

/* Cut, repeated, left out, put in another order, sent back. */
START_TEST(out_of_order)
{
    static const uint8_t text[20] = "order";
    uint8_t first[20 + CR_SEAL_OVERHEAD], second[20 + CR_SEAL_OVERHEAD], opened[20];
    cr_seal_lock(dialer, first, text, sizeof text);
    cr_seal_lock(dialer, second, text, sizeof text);
    switch (_i) {
    case 0:
        refused(listener, second, sizeof second);
        break;
    case 1:
        ck_assert_int_eq(cr_seal_open(listener, opened, first, sizeof first, &e), 0);
        refused(listener, first, sizeof first);
        break;
    case 2:
        refused(dialer, first, sizeof first);
        break;
    case 3:
        refused(listener, first, sizeof first - 1);
        break;
    case 4:
        refused(listener, first, CR_SEAL_OVERHEAD - 1);
        break;
    default:
        refused(listener, first, 0);
    }
}
END_TEST

#else

START_TEST(without_libsodium)
{
    static const uint8_t secret[32];
    struct cr_error e;
    ck_assert(!cr_seal_possible());
    ck_assert_ptr_null(cr_seal_new(secret, 1, &e));
    ck_assert_int_eq(e.code, CR_E_USAGE);
    ck_assert_ptr_nonnull(strstr(e.text, "libsodium"));
    cr_seal_free(NULL);
}
END_TEST

#endif

Suite *seal_suite(void)
{
    Suite *s = suite_create("seal");
    TCase *tc = tcase_create("seal");
#if CR_HAVE_SODIUM
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, both_ways);
    tcase_add_test(tc, as_described);
    tcase_add_test(tc, no_two_alike);
    tcase_add_test(tc, every_bit_changed);
    tcase_add_loop_test(tc, out_of_order, 0, 6);
#else
    tcase_add_test(tc, without_libsodium);
#endif
    suite_add_tcase(s, tc);
    return s;
}
