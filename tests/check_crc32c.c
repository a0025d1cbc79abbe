/* CRC-32C against the examples of RFC 3720, B.4, and a bit-by-bit loop: every way, length, alignment and cut. */
#include <check.h>
#include <string.h>

#include "simd/crc32c.h"
#include "tests/suites.h"

enum { MOST = 30000 };
static uint8_t bytes[MOST + 8];

static void fill(void)
{
    uint32_t x = 1;
    for (size_t i = 0; i < sizeof bytes; i++) bytes[i] = (uint8_t)((x = x * 1664525 + 1013904223) >> 24);
}

/* The definition: a bit at a time. */
static uint32_t slowly(const uint8_t *p, size_t n)
{
    uint32_t crc = ~(uint32_t)0;
    for (; n; n--, p++) {
        crc ^= *p;
        for (int bit = 0; bit < 8; bit++) crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78 : 0);
    }
    return ~crc;
}

START_TEST(standard_examples)
{
    uint8_t zeros[32] = { 0 }, ones[32], up[32], down[32];
    memset(ones, 0xff, sizeof ones);
    for (int i = 0; i < 32; i++) {
        up[i] = (uint8_t)i;
        down[i] = (uint8_t)(31 - i);
    }
    ck_assert_uint_eq(cr_crc32c(0, zeros, 32), 0x8a9136aa);
    ck_assert_uint_eq(cr_crc32c(0, ones, 32), 0x62a8ab43);
    ck_assert_uint_eq(cr_crc32c(0, up, 32), 0x46dd794e);
    ck_assert_uint_eq(cr_crc32c(0, down, 32), 0x113fdb5c);
    ck_assert_uint_eq(cr_crc32c(0, "123456789", 9), 0xe3069283);
    ck_assert_uint_eq(cr_crc32c(0, NULL, 0), 0);
}
END_TEST

/* Lengths around the three parts that are walked side by side, and several times them. */
START_TEST(every_way)
{
    struct cr_crc32c_way way[CR_CRC32C_WAYS];
    cr_crc32c(0, NULL, 0); /* makes the tables */
    fill();
    const int ways = cr_crc32c_ways(way);
    for (int w = 0; w < ways; w++)
        for (size_t n = 0; n <= MOST; n += n < 80 || (n > 12250 && n < 12320) ? 1 : 311) {
            const uint8_t *const p = bytes + n % 8;
            ck_assert_msg(~way[w].run(~(uint32_t)0, p, n) == slowly(p, n), "%s, %zu bytes", way[w].name, n);
        }
}
END_TEST

START_TEST(any_cut)
{
    fill();
    const uint32_t whole = cr_crc32c(0, bytes, MOST);
    for (size_t cut = 0; cut <= MOST; cut += 237)
        ck_assert_uint_eq(cr_crc32c(cr_crc32c(0, bytes, cut), bytes + cut, MOST - cut), whole);
}
END_TEST

START_TEST(every_bit_counts)
{
    fill();
    const uint32_t right = cr_crc32c(0, bytes, 2000);
    for (size_t bit = 0; bit < 8 * 2000; bit += 13) {
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        ck_assert_uint_ne(cr_crc32c(0, bytes, 2000), right);
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
}
END_TEST

Suite *crc32c_suite(void)
{
    Suite *s = suite_create("crc32c");
    TCase *t = tcase_create("crc32c");
    tcase_add_test(t, standard_examples);
    tcase_add_test(t, every_way);
    tcase_add_test(t, any_cut);
    tcase_add_test(t, every_bit_counts);
    suite_add_tcase(s, t);
    return s;
}
