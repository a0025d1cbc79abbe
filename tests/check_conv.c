/* Convolution, alone and with a max-pool behind it: every instruction set of this machine against the scalar reference,
 * bit for bit, over odd shapes and sample counts, all arrangements, and gradients thinned out. */
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

static const struct cr_conv conv_shape[] = {
    /* in: channels, height, width; out: the same; kernel height, width, stride, pad */
    { 1, 28, 28, 6, 24, 24, 5, 5, 1, 0 },  { 6, 12, 12, 12, 8, 8, 5, 5, 1, 0 },  { 3, 7, 11, 5, 7, 11, 3, 3, 1, 1 },
    { 2, 9, 8, 7, 4, 4, 3, 2, 2, 0 },      { 2, 5, 5, 3, 3, 3, 5, 5, 2, 2 },     { 13, 3, 4, 11, 3, 4, 1, 1, 1, 0 },
    { 1, 1, 1, 1, 1, 1, 3, 3, 1, 1 },      { 4, 10, 7, 17, 3, 2, 3, 3, 3, 0 },   { 5, 6, 13, 1, 6, 13, 5, 5, 1, 2 },
    { 1, 2, 2, 2, 4, 4, 1, 1, 1, 1 },      { 3, 17, 5, 13, 7, 1, 5, 5, 2, 0 },   { 2, 6, 6, 3, 5, 5, 2, 2, 1, 0 },
    { 2, 4, 31, 4, 4, 31, 3, 3, 1, 1 },    { 7, 11, 3, 2, 4, 1, 2, 3, 3, 0 },   { 3, 7, 9, 4, 4, 5, 3, 3, 2, 1 },
    { 40, 2, 3, 60, 2, 3, 3, 3, 1, 1 },    { 9, 13, 11, 5, 3, 2, 3, 4, 5, 0 },  { 3, 6, 60, 5, 6, 60, 3, 3, 1, 1 },
    { 2, 9, 11, 5, 5, 6, 7, 7, 2, 3 },     { 3, 5, 12, 6, 4, 6, 2, 7, 1, 0 },   { 520, 1, 3, 5, 1, 3, 1, 1, 1, 0 },
    { 3, 2, 2, 530, 2, 2, 1, 1, 1, 0 },    { 1, 48, 46, 8, 1, 1, 48, 46, 1, 0 }, { 5, 6, 9, 6, 4, 7, 3, 3, 1, 0 },
    { 6, 4, 6, 5, 6, 8, 3, 3, 1, 2 },      { 5, 6, 10, 4, 3, 5, 3, 3, 2, 1 },   { 4, 5, 19, 6, 3, 10, 3, 3, 2, 1 },
    { 5, 7, 15, 4, 3, 7, 3, 3, 2, 0 },     { 1, 30, 21, 9, 30, 21, 1, 1, 1, 0 }, { 6, 49, 5, 92, 1, 5, 49, 1, 1, 0 },
    { 1, 32, 32, 1, 1, 1, 32, 32, 1, 0 },  { 1, 50, 50, 1, 1, 1, 50, 50, 1, 0 }, { 6, 200, 1, 1, 1, 1, 200, 1, 1, 0 },
};
enum { CONV_SHAPES = sizeof conv_shape / sizeof *conv_shape };

/* Leave one of `of` values, as max-pooling and ReLU do; kernels may skip the rest. */
static void thin_out(struct array a, int of)
{
    for (size_t i = 0; i < a.n; i++)
        if (i * 2654435761u % 1000003 % (unsigned)of) a.at[i] = 0;
}

/* Some channels of all, each of `plane` pixels. */
static struct array channels_of(struct array all, struct cr_samples s, int channels, int plane, int first, int count)
{
    const struct array some = array_new(block_size(s, count * plane), 0);
    const size_t pixels = (size_t)plane * (size_t)s.lanes, of = (size_t)channels * pixels, n = (size_t)count * pixels;
    for (int g = 0; g < cr_groups(s); g++)
        memcpy(some.at + (size_t)g * n, all.at + (size_t)g * of + (size_t)first * pixels, n * sizeof *all.at);
    return some;
}

/* The gradient by some of the input channels, which are the last two thirds. */
static void conv_part_case(const char *isa, const struct cr_conv_kernels *k, const struct cr_conv *c,
                           struct cr_samples s, const float *dy, const float *w, struct array dx, struct array scratch)
{
    const int first = c->in_c / 3, plane = c->in_h * c->in_w;
    struct cr_conv part = *c;
    part.in_c -= first;
    ck_assert_uint_le(cr_conv_scratch(&part, s), scratch.n);
    const struct array want = channels_of(dx, s, c->in_c, plane, first, part.in_c);
    const struct array got = array_new(block_size(s, part.in_c * plane), 0);
    k->backward_input(&part, s, dy, w + first * c->kh * c->kw, cr_conv_step(c), got.at, scratch.at);
    check_block(isa, "conv dx of some channels", &got, &want, s, part.in_c * plane, ZERO);
    array_check(got, isa, "conv dx of some channels");
    array_free(want);
}

static void conv_case(const char *isa, const struct cr_conv_kernels *k, const struct cr_conv_kernels *ref,
                      const struct cr_conv *c, struct cr_samples s, int one_of)
{
    const int in = c->in_c * c->in_h * c->in_w, out = c->out_c * c->out_h * c->out_w;
    const size_t blocks = (size_t)cr_blocks(s);
    const size_t weights = (size_t)(c->out_c * c->in_c * c->kh * c->kw), biases = (size_t)c->out_c;
    struct values v = { 0 };
    const struct array x = array_random(block_size(s, in), &v), w = array_random(weights, &v);
    const struct array b = array_random(biases, &v), dy = random_gradient(s, out, &v);
    const struct array scratch = array_new(cr_conv_scratch(c, s), 0);
    thin_out(dy, one_of);
    const struct array y[2] = { array_new(block_size(s, out), 0), array_new(block_size(s, out), 0) };
    const struct array dx[2] = { array_new(block_size(s, in), 0), array_new(block_size(s, in), 0) };
    const struct array dw[2] = { array_new(blocks * weights, 3), array_new(blocks * weights, 0) };
    const struct array db[2] = { array_new(blocks * biases, 5), array_new(blocks * biases, 0) };

    for (int i = 0; i < 2; i++) {
        const struct cr_conv_kernels *one = i ? ref : k;
        one->forward(c, s, x.at, w.at, b.at, y[i].at, scratch.at);
        one->backward_input(c, s, dy.at, w.at, cr_conv_step(c), dx[i].at, scratch.at);
        by_weight_conv(one, c, s, i, x.at, dy.at, dw[i].at, db[i].at, scratch.at);
    }
    check_block(isa, "conv forward", &y[0], &y[1], s, out, FINITE);
    check_block(isa, "conv dx", &dx[0], &dx[1], s, in, ZERO);
    check_same(isa, "conv dw", dw[0].at, dw[1].at, blocks * weights);
    check_same(isa, "conv db", db[0].at, db[1].at, blocks * biases);
    if (cr_groups(s) == 1 && one_of == 1) conv_part_case(isa, k, c, s, dy.at, w.at, dx[1], scratch);

    for (int i = 0; i < 2; i++) {
        array_check(y[i], isa, "conv forward");
        array_check(dx[i], isa, "conv dx");
        array_check(dw[i], isa, "conv dw");
        array_check(db[i], isa, "conv db");
    }
    array_check(scratch, isa, "conv scratch");
    array_free(x), array_free(w), array_free(b), array_free(dy);
}

START_TEST(conv)
{
    FOR_EACH_ISA(isa, k, ref)
        for (int a = 0; a < ARRANGEMENTS; a++) {
            const int most = arrangement[a].lanes == 1 ? 16 : 1; /* side by side, nothing is left out for a zero */
            for (int one_of = 1; one_of <= most && can_do(&k, arrangement[a]); one_of *= 4)
                conv_case(*isa, &k.conv, &ref.conv, conv_shape + _i, arrangement[a], one_of);
            if (most > 1) conv_case(*isa, &k.conv_product, &ref.conv, conv_shape + _i, arrangement[a], 1);
        }
}
END_TEST

/* lo..hi, small ones more often. */
static int some(struct values *v, int lo, int hi) { return lo + next_int(v, 1 + next_int(v, hi - lo + 1)); }

/* A layer nobody thought of, of little work. */
static struct cr_conv any_shape(struct values *v, int most_stride)
{
    struct cr_conv c;
    do {
        c.in_c = some(v, 1, 40);
        c.out_c = some(v, 1, 40);
        c.stride = some(v, 1, most_stride);
        c.kh = some(v, 1, 20);
        c.kw = some(v, 1, 20);
        c.pad = some(v, 0, c.kh < c.kw ? c.kh : c.kw);
        c.in_h = some(v, 1, 40);
        c.in_w = some(v, 1, 40);
        c.out_h = (c.in_h + 2 * c.pad - c.kh) / c.stride + 1;
        c.out_w = (c.in_w + 2 * c.pad - c.kw) / c.stride + 1;
    } while (c.in_h + 2 * c.pad < c.kh || c.in_w + 2 * c.pad < c.kw ||
             (double)(c.in_c * c.kh * c.kw) * (double)(c.out_c * c.out_h * c.out_w) > 2e5);
    return c;
}

/* One on an instruction set, with samples in any arrangement. */
struct any {
    struct cr_conv c;
    struct cr_samples s;
    char name[120];
};

static struct any any_of(struct values *v, const char *isa, int most_stride)
{
    struct any a = { .c = any_shape(v, most_stride) };
    a.s = arrangement[next_int(v, ARRANGEMENTS)];
    snprintf(a.name, sizeof a.name, "%s, %dx%dx%d-%d-%dx%d-s%d-p%d, n %d of %d lanes, each %d,", isa, a.c.in_c,
             a.c.in_h, a.c.in_w, a.c.out_c, a.c.kh, a.c.kw, a.c.stride, a.c.pad, a.s.n, a.s.lanes, a.s.each);
    return a;
}

enum { ANY_SHAPES = 8, OF_EACH = 12 };
START_TEST(conv_any_shape)
{
    struct values v = { (uint64_t)(1 + _i) << 32 };
    FOR_EACH_ISA(isa, k, ref)
        for (int i = 0; i < OF_EACH; i++) {
            const struct any a = any_of(&v, *isa, 9);
            const int one_of = a.s.lanes == 1 ? 1 + 3 * next_int(&v, 2) : 1;
            if (can_do(&k, a.s)) conv_case(a.name, &k.conv, &ref.conv, &a.c, a.s, one_of);
        }
}
END_TEST

/* Shapes whose outputs are pooled: besides those above, odd sides, odd padding, and rows that do not stay in cache. */
static const struct cr_conv pooled_shape[] = {
    { 4, 6, 7, 3, 6, 7, 3, 3, 1, 1 },   { 3, 8, 7, 7, 4, 3, 5, 5, 1, 0 },     { 2, 7, 9, 5, 5, 7, 5, 5, 1, 1 },
    { 7, 9, 14, 4, 9, 14, 3, 3, 1, 1 }, { 5, 12, 18, 3, 16, 22, 5, 5, 1, 4 }, { 1, 5, 6, 2, 3, 4, 3, 3, 1, 0 },
    { 3, 4, 8, 2, 3, 6, 2, 3, 1, 0 },   { 32, 6, 130, 2, 4, 128, 3, 3, 1, 0 },
};
enum { POOLED_SHAPES = sizeof pooled_shape / sizeof *pooled_shape };

/* What some threads of those that share a block do: some output channels forward and by weight, some input channels. */
static void conv_pool_part_case(const char *isa, const struct cr_kernels *k, const struct cr_conv *c,
                                struct cr_samples s, const float *x, const float *dy, const float *w, const float *b,
                                const struct array want[4], struct array scratch)
{
    const int first = c->in_c / 3, plane = c->in_h * c->in_w, at = c->out_c / 2, cells = c->out_h / 2 * (c->out_w / 2);
    const size_t step = cr_conv_step(c), place = (size_t)(at * cells) * (size_t)s.lanes;
    const struct array y = array_new(want[0].n, 0), won = array_new(block_size(s, c->out_c * c->out_h * c->out_w), 0);
    const struct array dw = array_new(want[2].n, 0), db = array_new(want[3].n, 0);
    const struct array dx = array_new(block_size(s, (c->in_c - first) * plane), 0);
    const struct array want_dx = channels_of(want[1], s, c->in_c, plane, first, c->in_c - first);
    struct cr_conv in = *c, out[2] = { *c, *c };
    char *const won_at[2] = { (char *)won.at, (char *)won.at + (size_t)at * k->conv_pool.won(c, s) };
    in.in_c -= first;
    out[0].out_c = at;
    out[1].out_c -= at;
    for (int i = at == 0; i < 2; i++) { /* the channels from `at` on apart from those before */
        const size_t o = i ? (size_t)at : 0, p = i ? place : 0;
        ck_assert_uint_le(cr_conv_pool_scratch(&out[i], s), scratch.n);
        k->conv_pool.forward(&out[i], s, x, w + o * step, b + o, y.at + p, won_at[i], scratch.at);
        k->conv_pool.backward(&out[i], s, x, dy + p, won_at[i], w + o * step, step, dw.at + o * step, db.at + o, NULL,
                              scratch.at);
    }
    ck_assert_uint_le(cr_conv_pool_scratch(&in, s), scratch.n);
    k->conv_pool.backward(&in, s, x, dy, won.at, w + first * c->kh * c->kw, step, NULL, NULL, dx.at, scratch.at);
    check_block(isa, "conv+pool forward in parts", &y, &want[0], s, c->out_c * cells, FINITE);
    check_same(isa, "conv+pool dw in parts", dw.at, want[2].at, dw.n);
    check_same(isa, "conv+pool db in parts", db.at, want[3].at, db.n);
    check_block(isa, "conv+pool dx in parts", &dx, &want_dx, s, in.in_c * plane, ZERO);
    array_check(y, isa, "conv+pool forward in parts");
    array_check(won, isa, "conv+pool winners in parts");
    array_check(dw, isa, "conv+pool dw in parts");
    array_check(db, isa, "conv+pool db in parts");
    array_check(dx, isa, "conv+pool dx in parts");
    array_free(want_dx);
}

/* With a max-pool in one go, against the reference's two layers one after the other. */
static void conv_pool_case(const char *isa, const struct cr_kernels *k, const struct cr_kernels *ref,
                           const struct cr_conv *c, struct cr_samples s, int one_of)
{
    const struct cr_conv pool = { c->out_c, c->out_h, c->out_w, c->out_c, c->out_h / 2, c->out_w / 2, 2, 2, 2, 0 };
    const int in = c->in_c * c->in_h * c->in_w, out = c->out_c * c->out_h * c->out_w;
    const int pooled = c->out_c * pool.out_h * pool.out_w;
    const size_t blocks = (size_t)cr_blocks(s);
    const size_t weights = (size_t)(c->out_c * c->in_c * c->kh * c->kw), biases = (size_t)c->out_c;
    struct values v = { 0 };
    const struct array x = array_random(block_size(s, in), &v), w = array_random(weights, &v);
    const struct array b = array_random(biases, &v), dy = random_gradient(s, pooled, &v);
    const struct array scratch = array_new(cr_conv_pool_scratch(c, s), 0), won = array_new(block_size(s, out), 0);
    const struct array full = array_new(block_size(s, out), 0), dfull = array_new(block_size(s, out), 0);
    const struct array y[2] = { array_new(block_size(s, pooled), 0), array_new(block_size(s, pooled), 0) };
    const struct array dx[2] = { array_new(block_size(s, in), 0), array_new(block_size(s, in), 0) };
    const struct array dw[2] = { array_new(blocks * weights, 3), array_new(blocks * weights, 0) };
    const struct array db[2] = { array_new(blocks * biases, 5), array_new(blocks * biases, 0) };

    thin_out(dy, one_of);
    for (size_t i = 0; i < x.n; i++) x.at[i] = nearbyintf(2 * x.at[i]); /* so that there are ties */
    for (size_t i = 0; i < w.n; i++) w.at[i] = nearbyintf(2 * w.at[i]);
    for (int want_dx = 0; want_dx < 2; want_dx++) {
        k->conv_pool.forward(c, s, x.at, w.at, b.at, y[0].at, won.at, scratch.at);
        k->conv_pool.backward(c, s, x.at, dy.at, won.at, w.at, cr_conv_step(c), dw[0].at, db[0].at,
                              want_dx ? dx[0].at : NULL, scratch.at);
    }
    ref->conv.forward(c, s, x.at, w.at, b.at, full.at, NULL);
    ref->maxpool.forward(&pool, s, full.at, y[1].at);
    ref->maxpool.backward(&pool, s, full.at, dy.at, dfull.at);
    by_weight_conv(&ref->conv, c, s, 1, x.at, dfull.at, dw[1].at, db[1].at, NULL);
    ref->conv.backward_input(c, s, dfull.at, w.at, cr_conv_step(c), dx[1].at, NULL);
    check_block(isa, "conv+pool forward", &y[0], &y[1], s, pooled, FINITE);
    check_block(isa, "conv+pool dx", &dx[0], &dx[1], s, in, ZERO);
    check_same(isa, "conv+pool dw", dw[0].at, dw[1].at, blocks * weights);
    check_same(isa, "conv+pool db", db[0].at, db[1].at, blocks * biases);
    if (cr_groups(s) == 1 && !s.each)
        conv_pool_part_case(isa, k, c, s, x.at, dy.at, w.at, b.at,
                            (const struct array[4]){ y[1], dx[1], dw[1], db[1] }, scratch);

    for (int i = 0; i < 2; i++) {
        array_check(y[i], isa, "conv+pool forward");
        array_check(dx[i], isa, "conv+pool dx");
        array_check(dw[i], isa, "conv+pool dw");
        array_check(db[i], isa, "conv+pool db");
    }
    array_check(scratch, isa, "conv+pool scratch");
    array_check(won, isa, "conv+pool winners");
    array_free(x), array_free(w), array_free(b), array_free(dy), array_free(full), array_free(dfull);
}

START_TEST(conv_pool)
{
    const struct cr_conv *const c = _i < CONV_SHAPES ? conv_shape + _i : pooled_shape + (_i - CONV_SHAPES);
    FOR_EACH_ISA(isa, k, ref)
        for (int i = 0; i < 2 * ARRANGEMENTS; i++) {
            const int a = i / 2;
            const unsigned flags = cr_isa_flags(*isa), other = flags ^ CR_CPU_SELECTS; /* of other processors */
            if (i % 2 && !(flags & CR_CPU_AVX512)) continue;
            cr_kernels_fill(&k, i % 2 ? other : flags);
            const int fits = k.conv_pool.fits(c, arrangement[a]);
            ck_assert_msg(fits || _i > 0 || arrangement[a].lanes == 1 || !strcmp(*isa, "ref"), "%s never pools", *isa);
            if (!fits || !can_do(&k, arrangement[a])) continue;
            conv_pool_case(*isa, &k, &ref, c, arrangement[a], 1);
            conv_pool_case(*isa, &k, &ref, c, arrangement[a], 16); /* what is not zero is added by itself */
        }
}
END_TEST

START_TEST(conv_pool_any_shape)
{
    struct values v = { (uint64_t)(1 + _i) << 33 };
    FOR_EACH_ISA(isa, k, ref)
        for (int i = 0; i < OF_EACH; i++) {
            const struct any a = any_of(&v, *isa, 1);
            const int one_of = 1 + 15 * next_int(&v, 2);
            if (k.conv_pool.fits(&a.c, a.s) && can_do(&k, a.s)) conv_pool_case(a.name, &k, &ref, &a.c, a.s, one_of);
        }
}
END_TEST

/* A gradient that is no number is no zero to be left out, however few the others are. */
START_TEST(conv_pool_nan)
{
    const struct cr_conv *const c = pooled_shape;
    const int in = c->in_c * c->in_h * c->in_w, pooled = c->out_c * (c->out_h / 2) * (c->out_w / 2);
    FOR_EACH_ISA(isa, k, ref)
        for (int a = 0; a < ARRANGEMENTS; a++) {
            const struct cr_samples s = arrangement[a];
            (void)ref; /* has no such kernels */
            if (!k.conv_pool.fits(c, s) || !can_do(&k, s)) continue;
            const size_t blocks = (size_t)cr_blocks(s), weights = (size_t)(c->out_c * c->in_c * c->kh * c->kw);
            struct values v = { 0 };
            const struct array x = array_random(block_size(s, in), &v), w = array_random(weights, &v);
            const struct array b = array_random((size_t)c->out_c, &v), dy = array_new(block_size(s, pooled), 0);
            const struct array y = array_new(dy.n, 0), dx = array_new(x.n, 0), dw = array_new(blocks * weights, 0);
            const struct array db = array_new(blocks * (size_t)c->out_c, 0);
            const struct array scratch = array_new(cr_conv_pool_scratch(c, s), 0);
            const struct array won = array_new(block_size(s, c->out_c * c->out_h * c->out_w), 0);
            memset(dy.at, 0, dy.n * sizeof *dy.at);
            dy.at[0] = NAN;
            k.conv_pool.forward(c, s, x.at, w.at, b.at, y.at, won.at, scratch.at);
            k.conv_pool.backward(c, s, x.at, dy.at, won.at, w.at, cr_conv_step(c), dw.at, db.at, dx.at, scratch.at);
            size_t found[3] = { 0 };
            for (size_t i = 0; i < dw.n; i++) found[0] += isnan(dw.at[i]) != 0;
            for (size_t i = 0; i < db.n; i++) found[1] += isnan(db.at[i]) != 0;
            for (size_t i = 0; i < dx.n; i++) found[2] += isnan(dx.at[i]) != 0;
            ck_assert_msg(found[0] && found[1] && found[2], "%s, lanes %d: NaN in %zu dw, %zu db, %zu dx", *isa,
                          s.lanes, found[0], found[1], found[2]);
            const struct array all[] = { x, w, b, dy, y, dx, dw, db, scratch, won };
            for (size_t i = 0; i < sizeof all / sizeof *all; i++) array_free(all[i]);
        }
}
END_TEST

/* The scratch of a whole block of a whole layer is enough for fewer samples, and for some of the outputs, which is what
 * a last block and threads that share one come with. */
START_TEST(scratch_covers_less)
{
    static const struct cr_conv shape[] = {
        { 256, 14, 14, 256, 14, 14, 3, 3, 1, 1 }, { 128, 14, 14, 256, 14, 14, 3, 3, 1, 1 },
        { 6, 12, 12, 12, 8, 8, 5, 5, 1, 0 },      { 64, 8, 8, 700, 8, 8, 1, 1, 1, 0 },
    };
    for (size_t i = 0; i < sizeof shape / sizeof *shape; i++)
        for (int lanes = 8; lanes <= 16; lanes += 8) {
            const struct cr_samples all = { 16, lanes, 0 };
            const size_t whole = cr_conv_scratch(shape + i, all), pooled = cr_conv_pool_scratch(shape + i, all);
            for (int n = 1; n <= 16; n++)
                for (int parts = 1; parts <= 4; parts++) {
                    struct cr_conv some = shape[i];
                    some.out_c /= parts;
                    ck_assert_uint_le(cr_conv_scratch(&some, (struct cr_samples){ n, lanes, 0 }), whole);
                    ck_assert_uint_le(cr_conv_pool_scratch(&some, (struct cr_samples){ n, lanes, 0 }), pooled);
                }
        }
}
END_TEST

Suite *conv_suite(void)
{
    Suite *s = suite_create("conv");
    TCase *t = tcase_create("conv");
    tcase_add_loop_test(t, conv, 0, CONV_SHAPES);
    tcase_add_loop_test(t, conv_any_shape, 0, ANY_SHAPES);
    tcase_add_loop_test(t, conv_pool, 0, CONV_SHAPES + POOLED_SHAPES);
    tcase_add_loop_test(t, conv_pool_any_shape, 0, ANY_SHAPES);
    tcase_add_test(t, conv_pool_nan);
    tcase_add_test(t, scratch_covers_less);
    suite_add_tcase(s, t);
    return s;
}
