/* Linear layers, and their gradient by weight of one sample that is rounded at once: every instruction set of this
 * machine against the scalar reference, bit for bit, over odd shapes and sample counts and all arrangements. */
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "simd/kernels.h"
#include "tests/bitwise.h"
#include "tests/suites.h"
#include "tests/blocks.h"
#include "tests/values.h"

static const struct {
    int in, out;
} linear_shape[] = { { 1, 1 }, { 7, 13 }, { 192, 100 }, { 100, 10 }, { 17, 33 }, { 3, 101 }, { 64, 16 }, { 31, 5 } };
enum { LINEAR_SHAPES = sizeof linear_shape / sizeof *linear_shape };

/* The gradient by the last two thirds of the inputs. */
static void linear_part_case(const char *isa, const struct cr_linear_kernels *k, int in, int out, struct cr_samples s,
                             const float *dy, const float *w, struct array dx)
{
    const int first = in / 3, count = in - first;
    const size_t lanes = (size_t)s.lanes, of = (size_t)in * lanes, n = (size_t)count * lanes;
    const struct array got = array_new(block_size(s, count), 0), want = array_new(block_size(s, count), 0);
    for (size_t g = 0; g < (size_t)cr_groups(s); g++)
        memcpy(want.at + g * n, dx.at + g * of + (size_t)first * lanes, n * sizeof *want.at);
    k->backward_input(count, out, s, dy, w + first, (size_t)in, got.at);
    check_block(isa, "linear dx of some inputs", &got, &want, s, count, ZERO);
    array_check(got, isa, "linear dx of some inputs");
    array_free(want);
}

static void linear_case(const char *isa, const struct cr_linear_kernels *k, const struct cr_linear_kernels *ref,
                        int in, int out, struct cr_samples s)
{
    const size_t weights = (size_t)(in * out), biases = (size_t)out, blocks = (size_t)cr_blocks(s);
    struct values v = { 0 };
    const struct array x = array_random(block_size(s, in), &v), w = array_random(weights, &v);
    const struct array b = array_random(biases, &v), dy = random_gradient(s, out, &v);
    const struct array scratch = array_new(cr_linear_scratch(in, out, s), 0);
    const struct array y[2] = { array_new(block_size(s, out), 0), array_new(block_size(s, out), 0) };
    const struct array dx[2] = { array_new(block_size(s, in), 0), array_new(block_size(s, in), 0) };
    const struct array dw[2] = { array_new(blocks * weights, 0), array_new(blocks * weights, 0) };
    const struct array db[2] = { array_new(blocks * biases, 0), array_new(blocks * biases, 0) };

    for (int i = 0; i < 2; i++) {
        const struct cr_linear_kernels *one = i ? ref : k;
        one->forward(in, out, s, x.at, w.at, b.at, y[i].at);
        one->backward_input(in, out, s, dy.at, w.at, (size_t)in, dx[i].at);
        by_weight_linear(one, in, out, s, i, x.at, dy.at, dw[i].at, db[i].at, scratch.at);
    }
    check_block(isa, "linear forward", &y[0], &y[1], s, out, FINITE);
    check_block(isa, "linear dx", &dx[0], &dx[1], s, in, ZERO);
    check_same(isa, "linear dw", dw[0].at, dw[1].at, blocks * weights);
    check_same(isa, "linear db", db[0].at, db[1].at, blocks * biases);
    linear_part_case(isa, k, in, out, s, dy.at, w.at, dx[1]);

    for (int i = 0; i < 2; i++) {
        array_check(y[i], isa, "linear forward");
        array_check(dx[i], isa, "linear dx");
        array_check(dw[i], isa, "linear dw");
        array_check(db[i], isa, "linear db");
    }
    array_check(scratch, isa, "linear scratch");
    array_free(x), array_free(w), array_free(b), array_free(dy);
}

START_TEST(linear)
{
    FOR_EACH_ISA(isa, k, ref)
        for (int a = 0; a < ARRANGEMENTS; a++)
            if (can_do(&k, arrangement[a]))
                linear_case(*isa, &k.linear, &ref.linear, linear_shape[_i].in, linear_shape[_i].out, arrangement[a]);
}
END_TEST

/* Layers nobody thought of. */
START_TEST(linear_any_shape)
{
    enum { SHAPES = 20, MOST = 150 };
    struct values v = { (uint64_t)(1 + _i) << 32 };
    FOR_EACH_ISA(isa, k, ref)
        for (int i = 0; i < SHAPES; i++) {
            const int in = 1 + next_int(&v, MOST), out = 1 + next_int(&v, MOST);
            const struct cr_samples s = arrangement[next_int(&v, ARRANGEMENTS)];
            char name[100];
            snprintf(name, sizeof name, "%s, %d to %d, n %d of %d lanes, each %d,", *isa, in, out, s.n, s.lanes,
                     s.each);
            if (can_do(&k, s)) linear_case(name, &k.linear, &ref.linear, in, out, s);
        }
}
END_TEST

/* An outer product rounded at once, against one that is stored before. Not aligned: one float beyond a boundary. */
static void round_outer_case(const char *isa, cr_round_outer_fn *k, const struct cr_kernels *ref, int in, int out,
                             int add)
{
    const size_t n = (size_t)(in * out);
    struct values v = { n };
    const struct array x = array_new((size_t)in, 1), dy = array_new((size_t)out, 1), dw = array_new(n, 0);
    const struct array db = array_new((size_t)out, 0), q[2] = { array_new(n, 1), array_new(n, 1) };

    for (int i = 0; i < in; i++) x.at[i] = next_float(&v);
    for (int i = 0; i < out; i++) dy.at[i] = i % 3 ? next_float(&v) : i % 2 ? 0x1p-130f : 0;
    for (size_t i = 0; i < n && add; i++) {
        const uint32_t word = next_word(&v);
        memcpy(q[0].at + i, &word, sizeof word), memcpy(q[1].at + i, &word, sizeof word);
    }
    ref->linear.backward_weight(in, out, (struct cr_samples){ 1, 1, 0 }, x.at, dy.at, dw.at, db.at, NULL);
    const uint32_t got = k(in, out, x.at, dy.at, 0x1p20f, (uint32_t *)(void *)q[0].at, add);
    const uint32_t want = ref->round(n, dw.at, 0x1p20f, (uint32_t *)(void *)q[1].at, add);
    ck_assert_msg(got == want, "%s round_outer: maximum %08x, reference %08x", isa, got, want);
    check_words(isa, "round_outer", q[0], q[1]);
    x.at[in / 2] = NAN;
    ck_assert_msg(k(in, out, x.at, dy.at, 1, (uint32_t *)(void *)dw.at, 0) > 0x7f800000u, "%s hides NaN", isa);
    array_free(x), array_free(dy), array_free(dw), array_free(db);
}

START_TEST(rounding_outer)
{
    FOR_EACH_ISA(isa, k, ref)
        for (int add = 0; add < 2; add++)
            round_outer_case(*isa, k.round_outer, &ref, linear_shape[_i].in, linear_shape[_i].out, add);
}
END_TEST

/* An update by factors, against one by integers that are stored before. */
static void sgd_outer_case(const char *isa, const struct cr_kernels *k, const struct cr_kernels *ref, int in, int out,
                           const struct cr_sgd *o)
{
    const size_t n = (size_t)(in * out);
    struct values v = { n };
    const struct array x = array_new((size_t)in, 1), dy = array_new((size_t)out, 1);
    const struct array w[2] = { array_new(n, 1), array_new(n, 1) }, speed[2] = { array_new(n, 1), array_new(n, 1) };
    uint32_t *const q = calloc(n, sizeof *q);

    for (int i = 0; i < in; i++) x.at[i] = next_float(&v);
    for (int i = 0; i < out; i++) dy.at[i] = i % 3 ? next_float(&v) : 0;
    for (size_t i = 0; i < n; i++) w[0].at[i] = w[1].at[i] = next_float(&v);
    for (size_t i = 0; i < n; i++) speed[0].at[i] = speed[1].at[i] = next_float(&v);
    const uint32_t want = ref->round_outer(in, out, x.at, dy.at, 0x1p20f, q, 0);
    ck_assert_uint_eq(k->greatest_outer(in, out, x.at, dy.at), want);
    ref->sgd(n, q, o, w[1].at, o->momentum != 0 ? speed[1].at : NULL);
    k->sgd_outer(in, out, x.at, dy.at, 0x1p20f, o, w[0].at, o->momentum != 0 ? speed[0].at : NULL);
    check_same(isa, "sgd_outer weight", w[0].at, w[1].at, n);
    check_same(isa, "sgd_outer momentum", speed[0].at, speed[1].at, n);
    for (int i = 0; i < 2; i++) {
        array_check(w[i], isa, "sgd_outer weight");
        array_check(speed[i], isa, "sgd_outer momentum");
    }
    array_free(x), array_free(dy), free(q);
}

START_TEST(sgd_outer)
{
    static const struct cr_sgd option[] = {
        { 0x1p-20f, 1, 0.05f, 0, 0, 0 },          { 0x1p-20f, 1, 0.05f, 0.9f, 0.0005f, 0 },
        { 0x1p-20f, 1, 0.1f, 0.9f, 0, 0 },        { 0x1p-20f, 1, 0.1f, 0.9f, 0, 1 },
        { 0x1p-20f, 0.3f, 0.1f, 0.9f, 0.01f, 0 }, { 0x1p-20f, 1, 0.1f, 0.9f, 0.01f, 1 },
    };
    FOR_EACH_ISA(isa, k, ref)
        for (size_t i = 0; i < sizeof option / sizeof *option; i++)
            sgd_outer_case(*isa, &k, &ref, linear_shape[_i].in, linear_shape[_i].out, option + i);
}
END_TEST

Suite *linear_suite(void)
{
    Suite *s = suite_create("linear");
    TCase *t = tcase_create("linear");
    tcase_add_loop_test(t, linear, 0, LINEAR_SHAPES);
    tcase_add_loop_test(t, linear_any_shape, 0, 4);
    tcase_add_loop_test(t, rounding_outer, 0, LINEAR_SHAPES);
    tcase_add_loop_test(t, sgd_outer, 0, LINEAR_SHAPES);
    suite_add_tcase(s, t);
    return s;
}
