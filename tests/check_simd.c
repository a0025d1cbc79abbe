/* Kernels without weights, which are pooling, activations, softmax and loading: every instruction set of this machine
 * against the scalar reference, bit for bit, over odd shapes and sample counts and all arrangements. */
#include <check.h>
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "simd/kernels.h"
#include "tests/bitwise.h"
#include "tests/suites.h"
#include "tests/values.h"

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
        array_check(y[i], isa, "pool forward");
        array_check(dx[i], isa, "pool dx");
    }
    array_free(x), array_free(dy);
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
        array_check(y[i], isa, name);
        array_check(dx[i], isa, name);
    }
    array_free(x), array_free(dy);
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
        array_check(p[i], isa, "softmax p");
        array_check(dx[i], isa, "softmax dx");
        array_check(loss[i], isa, "softmax loss");
    }
    array_free(x);
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
    for (int i = 0; i < 2; i++) array_check(x[i], isa, "load");
    for (int i = 0; i < s.n; i++) free(image[i]);
}

START_TEST(load)
{
    FOR_EACH_ISA(isa, k, ref)
        for (int a = 0; a < ARRANGEMENTS; a++)
            load_case(*isa, k.load, ref.load, image_shape[_i].channels, image_shape[_i].plane, arrangement[a]);
}
END_TEST

/* ---- sums of bytes */

START_TEST(sum_bytes)
{
    enum { MOST = 70001 };
    static const size_t size[] = { 0, 1, 255, 784, 1024, 4096, 4097, MOST };
    uint8_t *const bytes = malloc(MOST + 1);
    struct values v = { 0 };
    for (int i = 0; i <= MOST; i++) bytes[i] = (uint8_t)(_i ? 255 : next_word(&v)); /* the largest sums, any sums */
    FOR_EACH_ISA(isa, k, ref)
        for (size_t i = 0; i < sizeof size / sizeof *size; i++) {
            uint64_t got[2] = { 5, 7 }, right[2] = { 5, 7 };
            k.sum_bytes(size[i], bytes + 1, &got[0], &got[1]);
            ref.sum_bytes(size[i], bytes + 1, &right[0], &right[1]);
            ck_assert_msg(got[0] == right[0] && got[1] == right[1], "%s: %zu bytes", *isa, size[i]);
        }
    free(bytes);
}
END_TEST

Suite *simd_suite(void)
{
    Suite *s = suite_create("simd");
    TCase *t = tcase_create("kernels");
    tcase_add_loop_test(t, pool, 0, POOL_SHAPES);
    tcase_add_test(t, activations);
    tcase_add_test(t, nan_shows);
    tcase_add_loop_test(t, softmax, 0, CLASS_COUNTS);
    tcase_add_loop_test(t, load, 0, IMAGE_SHAPES);
    tcase_add_loop_test(t, sum_bytes, 0, 2);
    suite_add_tcase(s, t);
    return s;
}
