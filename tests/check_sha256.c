/* SHA-256 against the examples of FIPS 180-4 and NIST's "SHA-2 additional" list, however the message is cut. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "simd/sha256.h"
#include "tests/suites.h"

static const struct {
    const char *message, *digest;
} example[] = {
    { "", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" },
    { "abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" },
    { "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
      "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1" },
    { "abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmn"
      "hijklmnoijklmnopjklmnopqklmnopqrlmnopqrsmnopqrstnopqrstu",
      "cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1" },
};
enum { EXAMPLES = sizeof example / sizeof *example };

static void finish(struct cr_sha256 *h, char hex[65])
{
    uint8_t digest[32];
    cr_sha256_end(h, digest);
    cr_sha256_hex(digest, hex);
}

static void hash(const void *bytes, size_t n, char hex[65])
{
    struct cr_sha256 h;
    cr_sha256_init(&h);
    cr_sha256_add(&h, bytes, n);
    finish(&h, hex);
}

START_TEST(standard_examples)
{
    char hex[65];
    hash(example[_i].message, strlen(example[_i].message), hex);
    ck_assert_str_eq(hex, example[_i].digest);
}
END_TEST

START_TEST(million_a)
{
    char hex[65], thousand[1000];
    struct cr_sha256 h;
    memset(thousand, 'a', sizeof thousand);
    cr_sha256_init(&h);
    for (int i = 0; i < 1000; i++) cr_sha256_add(&h, thousand, sizeof thousand);
    finish(&h, hex);
    ck_assert_str_eq(hex, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}
END_TEST

/* NIST's lengths around the end of a block, all zero bytes. */
START_TEST(lengths_around_a_block)
{
    static const struct {
        size_t zeros;
        const char *digest;
    } known[] = {
        { 55, "02779466cdec163811d078815c633f21901413081449002f24aa3e80f0b88ef7" },
        { 56, "d4817aa5497628e7c77e6b606107042bbba3130888c5f47a375e6179be789fbb" },
        { 57, "65a16cb7861335d5ace3c60718b5052e44660726da4cd13bb745381b235a1785" },
        { 64, "f5a5fd42d16a20302798ef6ed309979b43003d2320d9f0e8ea9831a92759fb4b" },
        { 1000, "541b3e9daa09b20bf85fa273e5cbd3e80185aa4ec298e765db87742b70138a53" },
    };
    static const uint8_t zeros[1000];
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        char hex[65];
        hash(zeros, known[i].zeros, hex);
        ck_assert_str_eq(hex, known[i].digest);
    }
}
END_TEST

/* The same digest wherever a message of 150 bytes is cut in three. */
START_TEST(any_cut)
{
    uint8_t message[150];
    char whole[65], parts[65];
    for (size_t i = 0; i < sizeof message; i++) message[i] = (uint8_t)(i * 37 + 11);
    hash(message, sizeof message, whole);
    const size_t first = (size_t)_i;
    for (size_t second = first; second <= sizeof message; second++) {
        struct cr_sha256 h;
        cr_sha256_init(&h);
        cr_sha256_add(&h, message, first);
        cr_sha256_add(&h, message + first, second - first);
        cr_sha256_add(&h, message + second, sizeof message - second);
        finish(&h, parts);
        ck_assert_msg(strcmp(whole, parts) == 0, "cut at %zu and %zu", first, second);
    }
}
END_TEST

/* Floats count as little-endian bytes, and the sign of a zero not at all; more of them than one inner buffer holds. */
START_TEST(floats)
{
    enum { N = 1000 };
    static float x[N];
    static uint8_t bytes[4 * N];
    for (size_t i = 0; i < N; i++) {
        const uint32_t bits = i % 7 == 0 ? 0 : 0x3f800000 + (uint32_t)i * 4099;
        memcpy(&x[i], &bits, sizeof bits);
        for (size_t b = 0; b < 4; b++) bytes[4 * i + b] = (uint8_t)(bits >> 8 * b);
        if (i % 14 == 0) x[i] = -0.0f;
    }
    char want[65], got[65];
    struct cr_sha256 h;
    hash(bytes, sizeof bytes, want);
    cr_sha256_init(&h);
    cr_sha256_add_floats(&h, x, N);
    finish(&h, got);
    ck_assert_str_eq(got, want);
}
END_TEST

Suite *sha256_suite(void)
{
    Suite *s = suite_create("sha256");
    TCase *tc = tcase_create("sha256");
    tcase_add_loop_test(tc, standard_examples, 0, EXAMPLES);
    tcase_add_test(tc, million_a);
    tcase_add_test(tc, lengths_around_a_block);
    tcase_add_loop_test(tc, any_cut, 0, 151);
    tcase_add_test(tc, floats);
    suite_add_tcase(s, tc);
    return s;
}
