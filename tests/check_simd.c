/* Every kernel of every instruction set of this machine against the scalar reference, bit for bit (-0 equals +0): odd
 * shapes and sample counts, all arrangements. Outputs begin as NaN, for kernels must not read them, and have canaries
 * on both sides; so has scratch. */
#define _POSIX_C_SOURCE 200809L

#include <check.h>
#include <fenv.h>
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#ifdef __x86_64__
#include <xmmintrin.h>
#endif

#include "simd/answer.h"
#include "simd/kernels.h"
#include "tests/bitwise.h"
#include "tests/suites.h"
#include "tests/two_blocks.h"
#include "tests/values.h"

static const struct cr_conv conv_shape[] = {
    /* in: channels, height, width; out: the same; kernel height, width, stride, pad */
    { 1, 28, 28, 6, 24, 24, 5, 5, 1, 0 },  { 6, 12, 12, 12, 8, 8, 5, 5, 1, 0 },  { 3, 7, 11, 5, 7, 11, 3, 3, 1, 1 },
    { 2, 9, 8, 7, 4, 4, 3, 2, 2, 0 },      { 2, 5, 5, 3, 3, 3, 5, 5, 2, 2 },     { 13, 3, 4, 11, 3, 4, 1, 1, 1, 0 },
    { 1, 1, 1, 1, 1, 1, 3, 3, 1, 1 },      { 4, 10, 7, 17, 3, 2, 3, 3, 3, 0 },   { 5, 6, 13, 1, 6, 13, 5, 5, 1, 2 },
    { 1, 2, 2, 2, 4, 4, 1, 1, 1, 1 },      { 3, 17, 5, 13, 7, 1, 5, 5, 2, 0 },   { 2, 6, 6, 3, 5, 5, 2, 2, 1, 0 },
    { 2, 4, 31, 4, 4, 31, 3, 3, 1, 1 },    { 7, 11, 3, 2, 4, 1, 2, 3, 3, 0 },
};
enum { CONV_SHAPES = sizeof conv_shape / sizeof *conv_shape };

/* Leave one of `of` values, as max-pooling and ReLU do; kernels may skip the rest. */
static void thin_out(struct array a, int of)
{
    for (size_t i = 0; i < a.n; i++)
        if (i * 2654435761u % 1000003 % (unsigned)of) a.at[i] = 0;
}

static void conv_case(const char *isa, const struct cr_conv_kernels *k, const struct cr_conv_kernels *ref,
                      const struct cr_conv *c, struct cr_samples s, int one_of)
{
    const int in = c->in_c * c->in_h * c->in_w, out = c->out_c * c->out_h * c->out_w;
    const size_t blocks = s.two ? 2 : 1;
    const size_t weights = (size_t)(c->out_c * c->in_c * c->kh * c->kw), biases = (size_t)c->out_c;
    struct values v = { 0 };
    const struct array x = array_random(block_size(s, in), &v), w = array_random(weights, &v);
    const struct array b = array_random(biases, &v), dy = random_gradient(s, out, &v);
    const struct array scratch = array_new(cr_conv_scratch(c, s), 0);
    thin_out(dy, one_of);
    const struct array y[2] = { array_new(block_size(s, out), 0), array_new(block_size(s, out), 0) };
    const struct array dx[2] = { array_new(block_size(s, in), 0), array_new(block_size(s, in), 0) };
    const struct array dw[2] = { array_new(blocks * weights, 0), array_new(blocks * weights, 0) };
    const struct array db[2] = { array_new(blocks * biases, 0), array_new(blocks * biases, 0) };

    for (int i = 0; i < 2; i++) {
        const struct cr_conv_kernels *one = i ? ref : k;
        one->forward(c, s, x.at, w.at, b.at, y[i].at, scratch.at);
        one->backward_input(c, s, dy.at, w.at, dx[i].at, scratch.at);
        by_weight_conv(one, c, s, i, x.at, dy.at, dw[i].at, db[i].at, scratch.at);
    }
    check_block(isa, "conv forward", &y[0], &y[1], s, out, FINITE);
    check_block(isa, "conv dx", &dx[0], &dx[1], s, in, ZERO);
    check_same(isa, "conv dw", dw[0].at, dw[1].at, blocks * weights);
    check_same(isa, "conv db", db[0].at, db[1].at, blocks * biases);

    for (int i = 0; i < 2; i++) {
        array_free(y[i], isa, "conv forward");
        array_free(dx[i], isa, "conv dx");
        array_free(dw[i], isa, "conv dw");
        array_free(db[i], isa, "conv db");
    }
    array_free(scratch, isa, "conv scratch");
    free(x.base), free(w.base), free(b.base), free(dy.base);
}

START_TEST(conv)
{
    FOR_EACH_ISA(isa, k, ref)
        for (int a = 0; a < ARRANGEMENTS; a++)
            for (int one_of = 1; one_of <= 16 && arrangement[a].two <= k.two; one_of *= 4)
                conv_case(*isa, &k.conv, &ref.conv, conv_shape + _i, arrangement[a], one_of);
}
END_TEST

/* Shapes whose outputs are pooled: besides those above, odd sides, odd padding, and rows that do not stay in cache. */
static const struct cr_conv pooled_shape[] = {
    { 4, 6, 7, 3, 6, 7, 3, 3, 1, 1 },   { 3, 8, 7, 7, 4, 3, 5, 5, 1, 0 },     { 2, 7, 9, 5, 5, 7, 5, 5, 1, 1 },
    { 7, 9, 14, 4, 9, 14, 3, 3, 1, 1 }, { 5, 12, 18, 3, 16, 22, 5, 5, 1, 4 }, { 1, 5, 6, 2, 3, 4, 3, 3, 1, 0 },
    { 3, 4, 8, 2, 3, 6, 2, 3, 1, 0 },   { 32, 6, 130, 2, 4, 128, 3, 3, 1, 0 },
};
enum { POOLED_SHAPES = sizeof pooled_shape / sizeof *pooled_shape };

/* With a max-pool in one go, against the reference's two layers one after the other. */
static void conv_pool_case(const char *isa, const struct cr_kernels *k, const struct cr_kernels *ref,
                           const struct cr_conv *c, struct cr_samples s)
{
    const struct cr_conv pool = { c->out_c, c->out_h, c->out_w, c->out_c, c->out_h / 2, c->out_w / 2, 2, 2, 2, 0 };
    const int in = c->in_c * c->in_h * c->in_w, out = c->out_c * c->out_h * c->out_w;
    const int pooled = c->out_c * pool.out_h * pool.out_w;
    const size_t blocks = s.two ? 2 : 1;
    const size_t weights = (size_t)(c->out_c * c->in_c * c->kh * c->kw), biases = (size_t)c->out_c;
    struct values v = { 0 };
    const struct array x = array_random(block_size(s, in), &v), w = array_random(weights, &v);
    const struct array b = array_random(biases, &v), dy = random_gradient(s, pooled, &v);
    const struct array scratch = array_new(cr_conv_pool_scratch(c, s), 0), won = array_new(block_size(s, out), 0);
    const struct array full = array_new(block_size(s, out), 0), dfull = array_new(block_size(s, out), 0);
    const struct array y[2] = { array_new(block_size(s, pooled), 0), array_new(block_size(s, pooled), 0) };
    const struct array dx[2] = { array_new(block_size(s, in), 0), array_new(block_size(s, in), 0) };
    const struct array dw[2] = { array_new(blocks * weights, 0), array_new(blocks * weights, 0) };
    const struct array db[2] = { array_new(blocks * biases, 0), array_new(blocks * biases, 0) };

    for (size_t i = 0; i < x.n; i++) x.at[i] = nearbyintf(2 * x.at[i]); /* so that there are ties */
    for (size_t i = 0; i < w.n; i++) w.at[i] = nearbyintf(2 * w.at[i]);
    for (int want_dx = 0; want_dx < 2; want_dx++) {
        k->conv_pool.forward(c, s, x.at, w.at, b.at, y[0].at, won.at, scratch.at);
        k->conv_pool.backward(c, s, x.at, dy.at, won.at, w.at, dw[0].at, db[0].at, want_dx ? dx[0].at : NULL,
                              scratch.at);
    }
    ref->conv.forward(c, s, x.at, w.at, b.at, full.at, NULL);
    ref->maxpool.forward(&pool, s, full.at, y[1].at);
    ref->maxpool.backward(&pool, s, full.at, dy.at, dfull.at);
    by_weight_conv(&ref->conv, c, s, 1, x.at, dfull.at, dw[1].at, db[1].at, NULL);
    ref->conv.backward_input(c, s, dfull.at, w.at, dx[1].at, NULL);
    check_block(isa, "conv+pool forward", &y[0], &y[1], s, pooled, FINITE);
    check_block(isa, "conv+pool dx", &dx[0], &dx[1], s, in, ZERO);
    check_same(isa, "conv+pool dw", dw[0].at, dw[1].at, blocks * weights);
    check_same(isa, "conv+pool db", db[0].at, db[1].at, blocks * biases);

    for (int i = 0; i < 2; i++) {
        array_free(y[i], isa, "conv+pool forward");
        array_free(dx[i], isa, "conv+pool dx");
        array_free(dw[i], isa, "conv+pool dw");
        array_free(db[i], isa, "conv+pool db");
    }
    array_free(scratch, isa, "conv+pool scratch");
    array_free(won, isa, "conv+pool winners");
    free(x.base), free(w.base), free(b.base), free(dy.base), free(full.base), free(dfull.base);
}

START_TEST(conv_pool)
{
    const struct cr_conv *const c = _i < CONV_SHAPES ? conv_shape + _i : pooled_shape + (_i - CONV_SHAPES);
    FOR_EACH_ISA(isa, k, ref)
        for (int a = 0; a < ARRANGEMENTS; a++) {
            const int fits = k.conv_pool.fits(c, arrangement[a]);
            ck_assert_msg(fits || _i > 0 || arrangement[a].lanes == 1 || !strcmp(*isa, "ref"), "%s never pools", *isa);
            if (fits && arrangement[a].two <= k.two) conv_pool_case(*isa, &k, &ref, c, arrangement[a]);
        }
}
END_TEST

START_TEST(answer)
{
    FOR_EACH_ISA(isa, k, ref)
    {
        struct cr_error e;
        ck_assert_msg(cr_kernels_check(&k, &e) == 0, "%s: %s", *isa, e.text);
        k.relu.forward = ref.tanh.forward; /* one wrong kernel is enough */
        ck_assert_msg(cr_kernels_check(&k, &e) == -CR_E_IO, "%s with a wrong kernel passes", *isa);
    }
}
END_TEST

static const struct {
    int in, out;
} linear_shape[] = { { 1, 1 }, { 7, 13 }, { 192, 100 }, { 100, 10 }, { 17, 33 }, { 3, 101 }, { 64, 16 }, { 31, 5 } };
enum { LINEAR_SHAPES = sizeof linear_shape / sizeof *linear_shape };

static void linear_case(const char *isa, const struct cr_linear_kernels *k, const struct cr_linear_kernels *ref,
                        int in, int out, struct cr_samples s)
{
    const size_t weights = (size_t)(in * out), biases = (size_t)out, blocks = s.two ? 2 : 1;
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
        one->backward_input(in, out, s, dy.at, w.at, dx[i].at);
        by_weight_linear(one, in, out, s, i, x.at, dy.at, dw[i].at, db[i].at, scratch.at);
    }
    check_block(isa, "linear forward", &y[0], &y[1], s, out, FINITE);
    check_block(isa, "linear dx", &dx[0], &dx[1], s, in, ZERO);
    check_same(isa, "linear dw", dw[0].at, dw[1].at, blocks * weights);
    check_same(isa, "linear db", db[0].at, db[1].at, blocks * biases);

    for (int i = 0; i < 2; i++) {
        array_free(y[i], isa, "linear forward");
        array_free(dx[i], isa, "linear dx");
        array_free(dw[i], isa, "linear dw");
        array_free(db[i], isa, "linear db");
    }
    array_free(scratch, isa, "linear scratch");
    free(x.base), free(w.base), free(b.base), free(dy.base);
}

START_TEST(linear)
{
    FOR_EACH_ISA(isa, k, ref)
        for (int a = 0; a < ARRANGEMENTS; a++)
            if (arrangement[a].two <= k.two)
                linear_case(*isa, &k.linear, &ref.linear, linear_shape[_i].in, linear_shape[_i].out, arrangement[a]);
}
END_TEST

static const struct cr_conv pool_shape[] = {
    { 6, 24, 24, 6, 12, 12, 2, 2, 2, 0 }, { 3, 7, 5, 3, 3, 2, 2, 2, 2, 0 }, { 2, 7, 7, 2, 3, 3, 3, 3, 2, 0 },
    { 1, 5, 6, 1, 4, 5, 2, 2, 1, 0 },     { 2, 9, 9, 2, 3, 3, 3, 3, 3, 0 }, { 1, 8, 9, 1, 2, 2, 2, 3, 4, 0 },
    { 3, 5, 5, 3, 3, 3, 1, 1, 2, 0 },     { 1, 3, 8, 1, 1, 3, 2, 3, 2, 0 }, { 1, 7, 7, 1, 1, 1, 7, 7, 1, 0 },
    { 1, 8, 8, 1, 3, 3, 2, 2, 3, 0 },
};
enum { POOL_SHAPES = sizeof pool_shape / sizeof *pool_shape };

static void pool_case(const char *isa, const struct cr_kernels *k, const struct cr_kernels *ref,
                      const struct cr_conv *c, struct cr_samples s)
{
    const int in = c->in_c * c->in_h * c->in_w, out = c->out_c * c->out_h * c->out_w;
    struct values v = { 0 };
    const struct array x = array_random(block_size(s, in), &v), dy = random_gradient(s, out, &v);
    const struct array y[2] = { array_new(block_size(s, out), 0), array_new(block_size(s, out), 0) };
    const struct array dx[2] = { array_new(block_size(s, in), 0), array_new(block_size(s, in), 0) };

    for (size_t i = 0; i < x.n; i++) x.at[i] = nearbyintf(4 * x.at[i]) / 4; /* so that there are ties */
    for (int i = 0; i < 2; i++) {
        (i ? ref : k)->maxpool.forward(c, s, x.at, y[i].at);
        (i ? ref : k)->maxpool.backward(c, s, x.at, dy.at, dx[i].at);
    }
    check_block(isa, "maxpool forward", &y[0], &y[1], s, out, FINITE);
    check_block(isa, "maxpool dx", &dx[0], &dx[1], s, in, ZERO);

    for (int i = 0; i < 2; i++) {
        for (size_t j = 0; j < y[i].n; j++) y[i].at[j] = NAN;
        for (size_t j = 0; j < dx[i].n; j++) dx[i].at[j] = NAN;
        (i ? ref : k)->avgpool.forward(c, s, x.at, y[i].at);
        (i ? ref : k)->avgpool.backward(c, s, dy.at, dx[i].at);
    }
    check_block(isa, "avgpool forward", &y[0], &y[1], s, out, FINITE);
    check_block(isa, "avgpool dx", &dx[0], &dx[1], s, in, ZERO);

    for (int i = 0; i < 2; i++) {
        array_free(y[i], isa, "pool forward");
        array_free(dx[i], isa, "pool dx");
    }
    free(x.base), free(dy.base);
}

START_TEST(pool)
{
    FOR_EACH_ISA(isa, k, ref)
        for (int a = 0; a < ARRANGEMENTS; a++) pool_case(*isa, &k, &ref, pool_shape + _i, arrangement[a]);
}
END_TEST

/* ---- element by element */

/* Any bit pattern, with the remarkable ones among them; NaN only by name (its payload is nobody's promise). */
static float any_float(struct values *v)
{
    static const float special[] = {
        0.0f, -0.0f, 1.0f, -1.0f, 0.625f, -0.625f, FLT_MIN, -FLT_MIN, 1e-40f, FLT_MAX, -FLT_MAX,
        88.72283f, 87.3f, -87.3f,
    };
    const uint32_t word = next_word(v);
    if (word % 16 == 0) return special[word / 16 % (sizeof special / sizeof *special)];
    if (word % 2 == 0) return 20 * (cr_unit(word) - 0.5f);
    float f;
    memcpy(&f, &word, sizeof f);
    return isfinite(f) ? f : 0.5f;
}

static void act_case(const char *isa, const char *name, const struct cr_act_kernels *k,
                     const struct cr_act_kernels *ref, size_t n)
{
    struct values v = { n };
    const struct array x = array_new(n, 0), dy = array_random(n, &v);
    const struct array y[2] = { array_new(n, 0), array_new(n, 0) }, dx[2] = { array_new(n, 0), array_new(n, 0) };

    for (size_t i = 0; i < n; i++) x.at[i] = any_float(&v);
    k->forward(n, x.at, y[0].at);
    ref->forward(n, x.at, y[1].at);
    check_same(isa, name, y[0].at, y[1].at, n);
    k->backward(n, y[1].at, dy.at, dx[0].at);
    ref->backward(n, y[1].at, dy.at, dx[1].at);
    check_same(isa, name, dx[0].at, dx[1].at, n);
    for (int i = 0; i < 2; i++) {
        array_free(y[i], isa, name);
        array_free(dx[i], isa, name);
    }
    free(x.base), free(dy.base);
}

START_TEST(activations)
{
    FOR_EACH_ISA(isa, k, ref)
        for (size_t n = 0; n <= 40000; n = n < 70 ? n + 1 : n * 10 + 1) {
            act_case(*isa, "tanh", &k.tanh, &ref.tanh, n);
            act_case(*isa, "relu", &k.relu, &ref.relu, n);
            act_case(*isa, "sigmoid", &k.sigmoid, &ref.sigmoid, n);
        }
}
END_TEST

START_TEST(nan_shows)
{
    FOR_EACH_ISA(isa, k, ref) {
        float x[17], y[17];
        for (int i = 0; i < 17; i++) x[i] = NAN;
        k.tanh.forward(17, x, y);
        for (int i = 0; i < 17; i++) ck_assert_msg(isnan(y[i]), "%s tanh", *isa);
        k.sigmoid.forward(17, x, y);
        for (int i = 0; i < 17; i++) ck_assert_msg(isnan(y[i]), "%s sigmoid", *isa);
        ref.tanh.forward(17, x, y);
        for (int i = 0; i < 17; i++) ck_assert_msg(isnan(y[i]), "reference tanh");
    }
}
END_TEST

/* ---- softmax */

static const int class_count[] = { 1, 2, 10, 63, 64, 65, 100, 256 };
enum { CLASS_COUNTS = sizeof class_count / sizeof *class_count };

/* p and dx are wanted or not. */
static void softmax_case(const char *isa, cr_softmax_fn *k, cr_softmax_fn *ref, int classes, struct cr_samples s,
                         int want_p, int want_dx)
{
    struct values v = { 0 };
    const struct array x = array_random(block_size(s, classes), &v);
    const struct array p[2] = { array_new(x.n, 0), array_new(x.n, 0) };
    const struct array dx[2] = { array_new(x.n, 0), array_new(x.n, 0) };
    const struct array loss[2] = { array_new((size_t)s.n, 1), array_new((size_t)s.n, 1) };
    uint8_t label[64];

    for (size_t i = 0; i < x.n; i++) x.at[i] *= 60; /* some exponentials vanish */
    for (int i = 0; i < s.n; i++) label[i] = (uint8_t)next_int(&v, classes);
    k(classes, s, x.at, label, want_p ? p[0].at : NULL, want_dx ? dx[0].at : NULL, loss[0].at);
    ref(classes, s, x.at, label, p[1].at, dx[1].at, loss[1].at);
    check_same(isa, "softmax loss", loss[0].at, loss[1].at, (size_t)s.n);
    if (want_p) check_block(isa, "softmax p", &p[0], &p[1], s, classes, FINITE);
    if (want_dx) check_block(isa, "softmax dx", &dx[0], &dx[1], s, classes, ZERO);
    for (int i = 0; i < 2; i++) {
        array_free(p[i], isa, "softmax p");
        array_free(dx[i], isa, "softmax dx");
        array_free(loss[i], isa, "softmax loss");
    }
    free(x.base);
}

START_TEST(softmax)
{
    FOR_EACH_ISA(isa, k, ref)
        for (int a = 0; a < ARRANGEMENTS; a++)
            for (int want = 0; want < 4; want++)
                softmax_case(*isa, k.softmax, ref.softmax, class_count[_i], arrangement[a], want & 1, want & 2);
}
END_TEST

/* ---- loading */

static const struct {
    int channels;
    size_t plane;
} image_shape[] = { { 1, 1 }, { 3, 7 }, { 1, 15 }, { 3, 16 }, { 2, 17 }, { 3, 31 }, { 1, 784 }, { 3, 1021 } };
enum { IMAGE_SHAPES = sizeof image_shape / sizeof *image_shape };

static void load_case(const char *isa, cr_load_fn *k, cr_load_fn *ref, int channels, size_t plane, struct cr_samples s)
{
    static const float scale[3] = { 1.0f / 255, 0.0127f, 3 }, shift[3] = { 0, -0.4242f, 0.1f };
    const size_t size = (size_t)channels * plane;
    struct values v = { 0 };
    const struct array x[2] = { array_new(block_size(s, (int)size), 0), array_new(block_size(s, (int)size), 0) };
    uint8_t *image[64]; /* each ends where its memory ends: address sanitizer sees a read beyond */

    for (int i = 0; i < s.n; i++) {
        image[i] = malloc(size);
        for (size_t j = 0; j < size; j++) image[i][j] = (uint8_t)next_int(&v, 256);
    }
    k(s, (const uint8_t *const *)image, channels, plane, scale, shift, x[0].at);
    ref(s, (const uint8_t *const *)image, channels, plane, scale, shift, x[1].at);
    check_block(isa, "load", &x[0], &x[1], s, (int)size, ZERO);
    check_block("ref", "load", &x[1], &x[1], s, (int)size, ZERO);
    for (int i = 0; i < 2; i++) array_free(x[i], isa, "load");
    for (int i = 0; i < s.n; i++) free(image[i]);
}

START_TEST(load)
{
    FOR_EACH_ISA(isa, k, ref)
        for (int a = 0; a < ARRANGEMENTS; a++)
            load_case(*isa, k.load, ref.load, image_shape[_i].channels, image_shape[_i].plane, arrangement[a]);
}
END_TEST

/* ---- gradients: rounding, sums, update. Not aligned: one float beyond a boundary. */

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
    free(g.base);
}

START_TEST(rounding)
{
    FOR_EACH_ISA(isa, k, ref)
        for (size_t n = 0; n <= 70; n++)
            for (int add = 0; add < 2; add++) round_case(*isa, k.round, ref.round, n, add);
}
END_TEST

/* An outer product rounded at once, against one that is stored before. */
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
    free(x.base), free(dy.base), free(dw.base), free(db.base);
}

START_TEST(rounding_outer)
{
    FOR_EACH_ISA(isa, k, ref)
        for (int add = 0; add < 2; add++)
            round_outer_case(*isa, k.round_outer, &ref, linear_shape[_i].in, linear_shape[_i].out, add);
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
        array_free(w[i], isa, "sgd weight");
        array_free(speed[i], isa, "sgd momentum");
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

/* ---- choosing, and the floating-point mode */

START_TEST(choosing)
{
    struct cr_error e;
    ck_assert_str_eq(cr_isa_names()[0], "ref");
    ck_assert_int_eq(cr_isa_choose("sse9", &e), -CR_E_USAGE);
    ck_assert_msg(strstr(e.text, "sse9") && strstr(e.text, "ref"), "%s", e.text);
    setenv("CR_ISA", "avx1024", 1);
    ck_assert_int_eq(cr_isa_choose("auto", &e), -CR_E_USAGE);
    ck_assert_msg(strstr(e.text, "avx1024") && strstr(e.text, "CR_ISA"), "%s", e.text);
    setenv("CR_ISA", "ref", 1);
    ck_assert_int_eq(cr_isa_choose("auto", &e), 0);
    ck_assert_str_eq(cr_kernels()->isa, "ref");
}
END_TEST

START_TEST(choosing_best)
{
    const char *const *best = cr_isa_names();
    while (best[1]) best++;
    unsetenv("CR_ISA");
    ck_assert_str_eq(cr_kernels()->isa, *best);
}
END_TEST

START_TEST(choosing_by_name)
{
    const char *name = cr_isa_names()[1];
    setenv("CR_ISA", "ref", 1);
    if (!name) return;
    ck_assert_int_eq(cr_isa_choose(name, NULL), 0); /* goes before CR_ISA */
    ck_assert_str_eq(cr_kernels()->isa, name);
}
END_TEST

static float product(float a, float b)
{
    volatile float x = a, y = b; /* multiplied when the program runs */
    return x * y;
}

START_TEST(rounding_mode)
{
    const float a = 1 + FLT_EPSILON, nearest = product(a, a);
    ck_assert_int_eq(fesetround(FE_UPWARD), 0);
    ck_assert(product(a, a) > nearest);
    const unsigned long saved = cr_fp_enter();
    ck_assert(product(a, a) == nearest);
    cr_fp_leave(saved);
    ck_assert(product(a, a) > nearest);
}
END_TEST

#ifdef __x86_64__
START_TEST(subnormals_kept)
{
    const unsigned before = _mm_getcsr();
    _mm_setcsr(before | 0x8040); /* flush results, take subnormals as zero */
    ck_assert(product(FLT_MIN, 0.5f) == 0);
    const unsigned long saved = cr_fp_enter();
    ck_assert(product(FLT_MIN, 0.5f) > 0);
    cr_fp_leave(saved);
    ck_assert(product(FLT_MIN, 0.5f) == 0);
    _mm_setcsr(before);
}
END_TEST
#endif

Suite *simd_suite(void)
{
    Suite *s = suite_create("simd");
    TCase *t = tcase_create("kernels");
    tcase_add_loop_test(t, conv, 0, CONV_SHAPES);
    tcase_add_loop_test(t, conv_pool, 0, CONV_SHAPES + POOLED_SHAPES);
    tcase_add_test(t, answer);
    tcase_add_loop_test(t, linear, 0, LINEAR_SHAPES);
    tcase_add_loop_test(t, pool, 0, POOL_SHAPES);
    tcase_add_test(t, activations);
    tcase_add_test(t, nan_shows);
    tcase_add_loop_test(t, softmax, 0, CLASS_COUNTS);
    tcase_add_loop_test(t, load, 0, IMAGE_SHAPES);
    tcase_add_test(t, rounding);
    tcase_add_loop_test(t, rounding_outer, 0, LINEAR_SHAPES);
    tcase_add_test(t, rounding_by_hand);
    tcase_add_test(t, sums);
    tcase_add_test(t, sgd);
    tcase_add_test(t, sgd_by_hand);
    suite_add_tcase(s, t);
    t = tcase_create("dispatch");
    tcase_add_test(t, choosing);
    tcase_add_test(t, choosing_best);
    tcase_add_test(t, choosing_by_name);
    tcase_add_test(t, rounding_mode);
#ifdef __x86_64__
    tcase_add_test(t, subnormals_kept);
#endif
    suite_add_tcase(s, t);
    return s;
}
