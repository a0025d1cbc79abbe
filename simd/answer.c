/* The known-answer test of a kernel table: small fixed inputs through every kernel, one hash out. */
#include "simd/answer.h"

#include <stdlib.h>
#include <string.h>

enum { ROOM = 4096, SCRATCH = 32768, CLASSES = 7, FEATURES = 12 };

static const struct cr_conv conv_shape = { 2, 6, 6, 3, 6, 6, 3, 3, 1, 1 };
static const struct cr_conv strided_shape = { 2, 6, 6, 3, 3, 3, 2, 2, 2, 0 };
static const struct cr_conv pool_shape = { 3, 6, 6, 3, 3, 3, 2, 2, 2, 0 };

struct bench {
    const struct cr_kernels *k;
    struct cr_samples s;
    float *in, *out, *gradient, *w, *b, *scratch; /* ROOM floats each, scratch SCRATCH */
    uint64_t hash;
};

/* FNV-1a over 32-bit words, -0 taken as +0. */
static void hash_words(struct bench *t, const void *words, size_t n)
{
    const uint8_t *p = words;
    for (size_t i = 0; i < n; i++) {
        uint32_t word;
        memcpy(&word, p + i * sizeof word, sizeof word);
        if (word == 0x80000000u) word = 0;
        t->hash = (t->hash ^ word) * 0x100000001b3u;
    }
}

/* Values in -2..2 with all bits of the mantissa at work, every fourth +0 (kernels may skip zeros). */
static void fill(float *x, size_t n, uint32_t seed)
{
    for (size_t i = 0; i < n; i++) {
        seed = seed * 1664525u + 1013904223u;
        x[i] = i % 4 == 3 ? 0.0f : ((float)(seed >> 8) - 8388608.0f) * 0x1p-22f;
    }
}

static size_t values(const struct bench *t, int channels, int height, int width)
{
    return (size_t)(cr_groups(t->s) * t->s.lanes * channels * height * width);
}

static void check_conv(struct bench *t, const struct cr_conv *c)
{
    const size_t in = values(t, c->in_c, c->in_h, c->in_w), out = values(t, c->out_c, c->out_h, c->out_w);
    const size_t weights = (size_t)(c->out_c * c->in_c * c->kh * c->kw);
    fill(t->in, in, 1);
    fill(t->gradient, out, 2);
    fill(t->w, weights, 3);
    fill(t->b, (size_t)c->out_c, 4);
    t->k->conv.forward(c, t->s, t->in, t->w, t->b, t->out, t->scratch);
    hash_words(t, t->out, out);
    t->k->conv.backward_input(c, t->s, t->gradient, t->w, cr_conv_step(c), t->out, t->scratch);
    hash_words(t, t->out, in);
    t->k->conv.backward_weight(c, t->s, t->in, t->gradient, t->w, t->b, t->scratch);
    hash_words(t, t->w, weights);
    hash_words(t, t->b, (size_t)c->out_c);
}

/* A convolution and its max-pool, in one go where the table has that. */
static void check_conv_pool(struct bench *t)
{
    const struct cr_conv *c = &conv_shape;
    const size_t in = values(t, c->in_c, c->in_h, c->in_w), out = values(t, 3, 3, 3);
    const size_t weights = (size_t)(c->out_c * c->in_c * c->kh * c->kw);
    float *const full = t->out + ROOM / 2, *const dfull = t->scratch + SCRATCH / 2;
    float *const w = t->w, *const dw = t->w + ROOM / 2, *const db = t->b + ROOM / 2;
    fill(t->in, in, 18);
    fill(t->gradient, out, 19);
    fill(w, weights, 20);
    fill(t->b, (size_t)c->out_c, 21);
    if (t->k->conv_pool.fits(c, t->s)) {
        t->k->conv_pool.forward(c, t->s, t->in, w, t->b, t->out, full, t->scratch);
        hash_words(t, t->out, out);
        t->k->conv_pool.backward(c, t->s, t->in, t->gradient, full, w, cr_conv_step(c), dw, db, t->out,
                               t->scratch);
    } else {
        t->k->conv.forward(c, t->s, t->in, w, t->b, full, t->scratch);
        t->k->maxpool.forward(&pool_shape, t->s, full, t->out);
        hash_words(t, t->out, out);
        t->k->maxpool.backward(&pool_shape, t->s, full, t->gradient, dfull);
        t->k->conv.backward_weight(c, t->s, t->in, dfull, dw, db, t->scratch);
        t->k->conv.backward_input(c, t->s, dfull, w, cr_conv_step(c), t->out, t->scratch);
    }
    hash_words(t, dw, weights);
    hash_words(t, db, (size_t)c->out_c);
    hash_words(t, t->out, in);
}

static void check_linear(struct bench *t)
{
    const size_t in = values(t, FEATURES, 1, 1), out = values(t, CLASSES, 1, 1);
    fill(t->in, in, 5);
    fill(t->gradient, out, 6);
    fill(t->w, FEATURES * CLASSES, 7);
    fill(t->b, CLASSES, 8);
    t->k->linear.forward(FEATURES, CLASSES, t->s, t->in, t->w, t->b, t->out);
    hash_words(t, t->out, out);
    t->k->linear.backward_input(FEATURES, CLASSES, t->s, t->gradient, t->w, FEATURES, t->out);
    hash_words(t, t->out, in);
    t->k->linear.backward_weight(FEATURES, CLASSES, t->s, t->in, t->gradient, t->w, t->b, t->scratch);
    hash_words(t, t->w, FEATURES * CLASSES);
    hash_words(t, t->b, CLASSES);
}

static void check_pools(struct bench *t)
{
    const size_t in = values(t, 3, 6, 6), out = values(t, 3, 3, 3);
    fill(t->in, in, 9);
    fill(t->gradient, out, 10);
    t->k->maxpool.forward(&pool_shape, t->s, t->in, t->out);
    hash_words(t, t->out, out);
    t->k->maxpool.backward(&pool_shape, t->s, t->in, t->gradient, t->out);
    hash_words(t, t->out, in);
    t->k->avgpool.forward(&pool_shape, t->s, t->in, t->out);
    hash_words(t, t->out, out);
    t->k->avgpool.backward(&pool_shape, t->s, t->gradient, t->out);
    hash_words(t, t->out, in);
}

static void check_activation(struct bench *t, const struct cr_act_kernels *a)
{
    const size_t n = 333;
    fill(t->in, n, 11);
    fill(t->gradient, n, 12);
    a->forward(n, t->in, t->out);
    hash_words(t, t->out, n);
    a->backward(n, t->out, t->gradient, t->w);
    hash_words(t, t->w, n);
}

static void check_loss(struct bench *t)
{
    const size_t n = values(t, CLASSES, 1, 1);
    uint8_t label[16];
    for (int i = 0; i < 16; i++) label[i] = (uint8_t)(i % CLASSES);
    fill(t->in, n, 13);
    t->k->softmax(CLASSES, t->s, t->in, label, t->out, t->gradient, t->b);
    hash_words(t, t->out, n);
    hash_words(t, t->gradient, n);
    hash_words(t, t->b, (size_t)t->s.n);
}

static void check_load(struct bench *t)
{
    uint8_t bytes[16][39];
    const uint8_t *image[16];
    const float scale = 1.0f / 77.0f, shift = -0.37f;
    for (int i = 0; i < 16; i++) {
        image[i] = bytes[i];
        for (int p = 0; p < 39; p++) bytes[i][p] = (uint8_t)(i * 37 + p * 101);
    }
    t->k->load(t->s, image, 1, 39, &scale, &shift, t->out);
    hash_words(t, t->out, values(t, 39, 1, 1));
}

static void check_step(struct bench *t)
{
    const size_t n = 333;
    const struct cr_sgd sgd = { .unscale = 0x1p-20f, .inv_n = 1.0f / 13.0f, .lr = 0.1f, .momentum = 0.9f,
                                .weight_decay = 0.01f, .nesterov = 1 };
    uint32_t *const q = (uint32_t *)(void *)t->out, *const part[2] = { q, q + n };
    fill(t->gradient, n, 14);
    const uint32_t max = t->k->round(n, t->gradient, 0x1p20f, q, 0);
    hash_words(t, &max, 1);
    fill(t->gradient, n, 15);
    t->k->round(n, t->gradient, 0x1p20f, q + n, 0);
    t->k->round(n, t->gradient, 0x1p19f, q + n, 1);
    t->k->sum(0, n, 2, part, q);
    hash_words(t, q, n);
    fill(t->gradient, FEATURES, 22);
    fill(t->b, CLASSES, 23);
    const uint32_t outer = t->k->round_outer(FEATURES, CLASSES, t->gradient, t->b, 0x1p20f, q, 1);
    hash_words(t, &outer, 1);
    hash_words(t, q, FEATURES * CLASSES);
    fill(t->w, n, 16);
    fill(t->in, n, 17);
    t->k->sgd(n, q, &sgd, t->w, t->in);
    hash_words(t, t->w, n);
    hash_words(t, t->in, n);
    t->k->sgd_outer(FEATURES, CLASSES, t->gradient, t->b, 0x1p20f, &sgd, t->w, t->in);
    hash_words(t, t->w, FEATURES * CLASSES);
    hash_words(t, t->in, FEATURES * CLASSES);
}

int cr_kernels_answer(const struct cr_kernels *k, uint64_t *hash, struct cr_error *e)
{
    static const struct cr_samples arrangement[] = { { 16, 16, 0 }, { 8, 8, 0 }, { 2, 1, 0 } };
    float *room = aligned_alloc(64, (5 * ROOM + SCRATCH) * sizeof *room);
    if (!room) return cr_fail(e, CR_E_NOMEM, "out of memory for the test of the kernels");
    struct bench t = {
        .k = k, .in = room, .out = room + ROOM, .gradient = room + 2 * ROOM, .w = room + 3 * ROOM,
        .b = room + 4 * ROOM, .scratch = room + 5 * ROOM, .hash = 0xcbf29ce484222325u,
    };
    const unsigned long mode = cr_fp_enter();
    for (size_t i = 0; i < sizeof arrangement / sizeof *arrangement; i++) {
        t.s = arrangement[i];
        check_conv(&t, &conv_shape);
        check_conv(&t, &strided_shape);
        check_conv_pool(&t);
        check_linear(&t);
        check_pools(&t);
        check_loss(&t);
        check_load(&t);
    }
    check_activation(&t, &k->tanh);
    check_activation(&t, &k->relu);
    check_activation(&t, &k->sigmoid);
    check_step(&t);
    cr_fp_leave(mode);
    free(room);
    *hash = t.hash;
    return 0;
}

int cr_kernels_check(const struct cr_kernels *k, struct cr_error *e)
{
    uint64_t hash;
    CR_TRY(cr_kernels_answer(k, &hash, e));
    if (hash == CR_KERNELS_ANSWER) return 0;
    return cr_fail(e, CR_E_IO, "the %s kernels compute wrongly on this machine (answer %016llx instead of %016llx): "
                   "choose others with --isa, and look at compiler, flags and processor", k->isa,
                   (unsigned long long)hash, (unsigned long long)CR_KERNELS_ANSWER);
}
