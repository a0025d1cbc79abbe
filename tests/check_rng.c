/* Philox against its published answers, the keyed permutation against what a permutation is. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "core/rng.h"
#include "tests/suites.h"

/* From kat_vectors of Random123, the authors' own distribution. */
static const struct {
    uint32_t counter[4], key[2], out[4];
} known[] = {
    {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
    {{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
     {0xffffffff, 0xffffffff},
     {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
    {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
     {0xa4093822, 0x299f31d0},
     {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
};

START_TEST(known_answers)
{
    uint32_t out[4];
    cr_philox4x32(known[_i].counter, known[_i].key, out);
    ck_assert_mem_eq(out, known[_i].out, sizeof out);
}
END_TEST

/* Every part of the key counts, and the words never change: runs of old seeds must repeat. */
START_TEST(random_is_keyed)
{
    const uint32_t pinned[4] = {0xa348b669, 0x160ca65f, 0xa0404471, 0x27872207};
    uint32_t out[4], other[4];
    cr_random(1, CR_RNG_TEST, 2, 3, out);
    ck_assert_msg(memcmp(out, pinned, sizeof out) == 0, "words are %08x %08x %08x %08x", out[0], out[1], out[2],
                  out[3]);
    cr_random(2, CR_RNG_TEST, 2, 3, other);
    ck_assert_mem_ne(out, other, sizeof out);
    cr_random(1, CR_RNG_SHUFFLE, 2, 3, other);
    ck_assert_mem_ne(out, other, sizeof out);
    cr_random(1, CR_RNG_TEST, 2 + ((uint64_t)1 << 32), 3, other);
    ck_assert_mem_ne(out, other, sizeof out);
    cr_random(1, CR_RNG_TEST, 2, 3 + ((uint64_t)1 << 32), other);
    ck_assert_mem_ne(out, other, sizeof out);
    cr_random(1 + ((uint64_t)1 << 32), CR_RNG_TEST, 2, 3, other);
    ck_assert_mem_ne(out, other, sizeof out);
}
END_TEST

START_TEST(unit_is_below_one)
{
    ck_assert(cr_unit(0) == 0);
    ck_assert(cr_unit(0x80000000) == 0.5f);
    ck_assert(cr_unit(0xffffffff) == 1 - 0x1p-24f);
}
END_TEST

static const uint64_t lengths[] = {1, 2, 3, 4, 5, 10, 255, 256, 257, 1000, 4096, 4097, 10000, 60000, 65536, 65537};

/* Every element exactly once. */
START_TEST(permutation_is_bijection)
{
    const uint64_t n = lengths[_i];
    struct cr_permutation p;
    cr_permutation_init(&p, n, 1, CR_RNG_SHUFFLE, (uint64_t)_i);
    unsigned char *seen = calloc(n, 1);
    ck_assert_ptr_nonnull(seen);
    for (uint64_t i = 0; i < n; i++) {
        const uint64_t j = cr_permute(&p, i);
        ck_assert_msg(j < n && !seen[j], "n = %llu: element %llu goes to %llu", (unsigned long long)n,
                      (unsigned long long)i, (unsigned long long)j);
        seen[j] = 1;
    }
    free(seen);
}
END_TEST

/* Larger than any table: single elements stay inside, and come back in less than a cycle's walk. */
START_TEST(permutation_of_huge_sets)
{
    const uint64_t sizes[] = {((uint64_t)1 << 40) + 1, UINT64_MAX};
    for (int k = 0; k < 2; k++) {
        struct cr_permutation p;
        cr_permutation_init(&p, sizes[k], 1, CR_RNG_TEST, 0);
        for (uint64_t i = 0; i < 1000; i++) {
            const uint64_t a = cr_permute(&p, i), b = cr_permute(&p, sizes[k] - 1 - i);
            ck_assert(a < sizes[k] && b < sizes[k] && a != b);
        }
    }
}
END_TEST

/* Chi-square of "position i goes to value j" over many keys. Its mean is (n-1)^2, its deviation (n-1) sqrt 2; the
 * keys are fixed, so the test always ends the same way: five deviations leave room for no bad luck, only for bias. */
START_TEST(permutation_is_uniform)
{
    enum { KEYS = 20000, MOST = 10 };
    static const int size[] = {2, 3, 5, MOST};
    const int n = size[_i];
    static double count[MOST][MOST];
    for (int key = 0; key < KEYS; key++) {
        struct cr_permutation p;
        cr_permutation_init(&p, (uint64_t)n, 1, CR_RNG_TEST, (uint64_t)key);
        for (int i = 0; i < n; i++) count[i][cr_permute(&p, (uint64_t)i)]++;
    }
    const double expected = (double)KEYS / n, freedom = (n - 1.0) * (n - 1.0);
    double chi = 0;
    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++) chi += (count[i][j] - expected) * (count[i][j] - expected) / expected;
    ck_assert_msg(chi < freedom + 5 * 1.415 * (n - 1), "n = %d: chi-square %g with %g degrees of freedom", n, chi,
                  freedom);
}
END_TEST

/* Neighbours must not stay neighbours: of 60,000 images, about two steps keep a distance of one either way. */
START_TEST(permutation_mixes)
{
    enum { N = 60000 };
    struct cr_permutation p, q;
    cr_permutation_init(&p, N, 1, CR_RNG_SHUFFLE, 0);
    cr_permutation_init(&q, N, 1, CR_RNG_SHUFFLE, 1);
    int neighbours = 0, same = 0;
    for (uint64_t i = 0; i + 1 < N; i++) {
        const uint64_t a = cr_permute(&p, i), b = cr_permute(&p, i + 1);
        neighbours += a + 1 == b || b + 1 == a;
        same += a == cr_permute(&q, i);
    }
    ck_assert_int_lt(neighbours, 12);
    ck_assert_int_lt(same, 12); /* another epoch, another order: about one element in the same place */
}
END_TEST

Suite *rng_suite(void)
{
    Suite *s = suite_create("rng");
    TCase *tc = tcase_create("rng");
    tcase_add_loop_test(tc, known_answers, 0, 3);
    tcase_add_test(tc, random_is_keyed);
    tcase_add_test(tc, unit_is_below_one);
    tcase_add_loop_test(tc, permutation_is_bijection, 0, (int)(sizeof lengths / sizeof *lengths));
    tcase_add_test(tc, permutation_of_huge_sets);
    tcase_add_loop_test(tc, permutation_is_uniform, 0, 4);
    tcase_add_test(tc, permutation_mixes);
    suite_add_tcase(s, tc);
    return s;
}
