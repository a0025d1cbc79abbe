/* What becomes of gradients, which is rounding, sums and the update of weights: every instruction set of this machine
 * against the scalar reference, bit for bit, and the reference by hand. Not aligned: one float beyond a boundary. */
#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "simd/kernels.h"
#include "tests/bitwise.h"
#include "tests/suites.h"
#include "tests/values.h"

static void round_case(const char *isa, cr_round_fn *k, cr_round_fn *ref, size_t n, int add)
{
    struct values v = { n };
    const struct array g = array_new(n, 1), q[2] = { array_new(n, 1), array_new(n, 1) };

    for (size_t i = 0; i < n; i++) {
        const uint32_t word = next_word(&v);
        g.at[i] = word % 3 == 0 ? (float)(int)(word % 64) * 0x1p-21f - 0x1p-16f /* halves, after scaling */
                                : next_float(&v);
        if (add) memcpy(q[0].at + i, &word, sizeof word), memcpy(q[1].at + i, &word, sizeof word);
    }
    const uint32_t got = k(n, g.at, 0x1p20f, (uint32_t *)(void *)q[0].at, add);
    const uint32_t want = ref(n, g.at, 0x1p20f, (uint32_t *)(void *)q[1].at, add);
    ck_assert_msg(got == want, "%s round: maximum %08x, reference %08x", isa, got, want);
    check_words(isa, "round", q[0], q[1]);
    array_free(g);
}

START_TEST(rounding)
{
    FOR_EACH_ISA(isa, k, ref)
        for (size_t n = 0; n <= 70; n++)
            for (int add = 0; add < 2; add++) round_case(*isa, k.round, ref.round, n, add);
}
END_TEST

/* What the reference itself must do: ties to even, the greatest magnitude, NaN and Inf above all numbers. */
START_TEST(rounding_by_hand)
{
    FOR_EACH_ISA(isa, k, ref) {
        const float g[8] = { 0.5f, 1.5f, 2.5f, -0.5f, -1.5f, -2.5f, 3.4999998f, -1073741824.0f };
        const int32_t right[8] = { 0, 2, 2, 0, -2, -2, 3, -1073741824 };
        const float bad[9] = { 0, 0, 0, 0, 0, 0, 0, 0, -NAN };
        const float infinite[3] = { 1, -INFINITY, 2 };
        uint32_t q[9], bits;
        const float greatest = 1073741824.0f;
        memcpy(&bits, &greatest, sizeof bits);
        ck_assert_uint_eq(k.round(8, g, 1, q, 0), bits);
        for (int i = 0; i < 8; i++) ck_assert_msg((int32_t)q[i] == right[i], "%s: %g", *isa, (double)g[i]);
        ck_assert_uint_gt(k.round(9, bad, 1, q, 0), 0x7f800000u);
        ck_assert_uint_eq(k.round(3, infinite, 1, q, 0), 0x7f800000u);
        ck_assert_uint_eq(ref.round(3, infinite, 1, q, 0), 0x7f800000u);
    }
}
END_TEST

/* A slice from..to of `parts` arrays; what lies outside keeps its mark. The sum may replace the first part. */
static void sum_case(const char *isa, cr_sum_fn *k, size_t from, size_t to, int parts)
{
    enum { N = 80, MARK = 77 };
    struct values v = { to };
    uint32_t part[5][N], sum[N], right[N], *pointer[5];

    for (size_t i = 0; i < N; i++) sum[i] = right[i] = MARK;
    for (int p = 0; p < parts; p++) {
        pointer[p] = part[p];
        for (size_t i = 0; i < N; i++) part[p][i] = i < from || i >= to ? MARK : next_word(&v);
    }
    for (size_t i = from; i < to; i++) {
        right[i] = 0;
        for (int p = 0; p < parts; p++) right[i] += part[p][i];
    }
    k(from, to, parts, pointer, sum);
    ck_assert_msg(memcmp(sum, right, sizeof sum) == 0, "%s sum: %zu..%zu of %d", isa, from, to, parts);
    k(from, to, parts, pointer, part[0]);
    ck_assert_msg(memcmp(part[0], right, sizeof sum) == 0, "%s sum in place: %zu..%zu of %d", isa, from, to, parts);
}

START_TEST(sums)
{
    FOR_EACH_ISA(isa, k, ref)
        for (size_t to = 0; to <= 70; to++)
            for (int parts = 1; parts <= 5; parts++) {
                sum_case(*isa, k.sum, to / 3, to, parts);
                sum_case("plain ref", ref.sum, to / 3, to, parts);
            }
}
END_TEST

static void sgd_case(const char *isa, cr_sgd_fn *k, cr_sgd_fn *ref, const struct cr_sgd *o, size_t n)
{
    struct values v = { n };
    const struct array w[2] = { array_new(n, 1), array_new(n, 1) }, speed[2] = { array_new(n, 1), array_new(n, 1) };
    uint32_t q[71];

    for (size_t i = 0; i < n; i++) {
        const float tiny = i % 5 ? 1.0f : 0x1p-104f; /* about where state is flushed */
        q[i] = tiny < 1 ? 0 : next_word(&v);
        w[0].at[i] = w[1].at[i] = tiny * 32 * next_float(&v);
        speed[0].at[i] = speed[1].at[i] = tiny * 32 * next_float(&v);
    }
    k(n, q, o, w[0].at, o->momentum != 0 ? speed[0].at : NULL);
    ref(n, q, o, w[1].at, o->momentum != 0 ? speed[1].at : NULL);
    for (size_t i = 0; i < n; i++)
        ck_assert_msg(w[1].at[i] == 0 || fabsf(w[1].at[i]) >= 0x1p-100f, "reference sgd: %a lingers",
                      (double)w[1].at[i]);
    check_same(isa, "sgd weight", w[0].at, w[1].at, n);
    check_same(isa, "sgd momentum", speed[0].at, speed[1].at, n);
    for (int i = 0; i < 2; i++) {
        array_check(w[i], isa, "sgd weight");
        array_check(speed[i], isa, "sgd momentum");
    }
}

START_TEST(sgd)
{
    static const struct cr_sgd option[] = {
        { 0x1p-20f, 1.0f / 64, 0.05f, 0, 0, 0 },           { 0x1p-20f, 1.0f / 100, 0.05f, 0, 5e-4f, 0 },
        { 0x1p-25f, 1.0f / 64, 0.05f, 0.9f, 0, 0 },        { 0x1p-25f, 1.0f / 7, 0.05f, 0.9f, 5e-4f, 0 },
        { 0x1p-20f, 1.0f / 64, 0.05f, 0.9f, 0, 1 },        { 0x1p-20f, 1, 0.05f, 0.9f, 5e-4f, 1 },
    };
    FOR_EACH_ISA(isa, k, ref)
        for (size_t n = 0; n <= 70; n++)
            for (size_t i = 0; i < sizeof option / sizeof *option; i++) sgd_case(*isa, k.sgd, ref.sgd, option + i, n);
}
END_TEST

/* Weights by hand: the roundings in the order that kernels.h states. */
START_TEST(sgd_by_hand)
{
    const struct cr_sgd o = { 0x1p-10f, 0.1f, 0.3f, 0.7f, 0.01f, 1 };
    FOR_EACH_ISA(isa, k, ref) {
        struct values values = { 0 };
        for (int i = 0; i < 200; i++) {
            const int32_t sum = next_int(&values, 1 << 8) - (1 << 7);
            const uint32_t q = (uint32_t)sum;
            float w = next_float(&values), v = next_float(&values);
            float g = (float)sum * 0x1p-10f;
            g = g * 0.1f;
            g = fmaf(0.01f, w, g);
            const float new_v = fmaf(0.7f, v, g), d = fmaf(0.7f, new_v, g), new_w = fmaf(-0.3f, d, w);
            k.sgd(1, &q, &o, &w, &v);
            ck_assert_msg(w == new_w && v == new_v, "%s: %a %a, by hand %a %a", *isa, (double)w, (double)v,
                          (double)new_w, (double)new_v);
        }
        const uint32_t q = 1;
        float w = NAN, v = 0;
        ref.sgd(1, &q, &o, &w, &v);
        ck_assert_msg(isnan(w), "NaN flushed");
    }
}
END_TEST

Suite *update_suite(void)
{
    Suite *s = suite_create("update");
    TCase *t = tcase_create("update");
    tcase_add_test(t, rounding);
    tcase_add_test(t, rounding_by_hand);
    tcase_add_test(t, sums);
    tcase_add_test(t, sgd);
    tcase_add_test(t, sgd_by_hand);
    suite_add_tcase(s, t);
    return s;
}
