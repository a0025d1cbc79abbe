/* The scalar reference against the oracle in double precision, and the oracle against central differences. A chain of
 * k terms a*b may be off by 2 k FLT_EPSILON sum |a b|; nothing else is tolerated. */
#include <check.h>
#include <float.h>
#include <math.h>
#include <stdlib.h>

#include "simd/kernels.h"
#include "simd/vec_ref.h"

#include "simd/math_tmpl.h"
#include "tests/oracle.h"
#include "tests/suites.h"
#include "tests/values.h"

/* ---- arrays: the same values as floats in the block's arrangement and as doubles, sample after sample */

static double *doubles(int n) { return calloc((size_t)n, sizeof(double)); }

static float *floats(int n) { return aligned_alloc(64, ((size_t)n * sizeof(float) + 63) / 64 * 64); }

static double *random_doubles(int n, struct values *v)
{
    double *a = doubles(n);
    for (int i = 0; i < n; i++) a[i] = next_float(v);
    return a;
}

static double *magnitudes(const double *a, int n)
{
    double *m = doubles(n);
    for (int i = 0; i < n; i++) m[i] = fabs(a[i]);
    return m;
}

/* a[sample][i] -> [group][i][lane]; lanes without a sample get +0. */
static float *arranged(const double *a, struct cr_samples s, int per)
{
    const int lanes = s.lanes, total = cr_groups(s) * lanes;
    float *f = floats(total * per);
    for (int k = 0; k < total; k++)
        for (int i = 0; i < per; i++)
            f[(k / lanes * per + i) * lanes + k % lanes] = k < s.n ? (float)a[k * per + i] : 0.0f;
    return f;
}

static float *plain(const double *a, int n) { return arranged(a, (struct cr_samples){ 1, 1, 0 }, n); }

static float of_sample(const float *f, struct cr_samples s, int per, int k, int i)
{
    return f[(k / s.lanes * per + i) * s.lanes + k % s.lanes];
}

/* One value against the oracle's, which is a chain of `terms` products of total magnitude `size`. */
static void check_close(const char *what, int shape, int k, int i, float got, double right, int terms, double size)
{
    const double err = fabs(got - right), bound = 2.0 * terms * (double)FLT_EPSILON * size;
    ck_assert_msg(err <= bound, "%s: shape %d, sample %d, index %d: %a, oracle %a, error %g > %g (seed %llu)", what,
                  shape, k, i, (double)got, right, err, bound, (unsigned long long)test_seed());
}

static const struct cr_samples arrangement[] = { { 3, 1, 0 }, { 11, 8, 0 }, { 19, 16, 0 } };
enum { ARRANGEMENTS = sizeof arrangement / sizeof *arrangement };

static const struct cr_kernels *reference(void)
{
    static struct cr_kernels t;
    cr_kernels_fill(&t, 0);
    return &t;
}

/* ---- convolution and pooling */

static const struct cr_conv conv_shape[] = {
    { 1, 12, 12, 6, 8, 8, 5, 5, 1, 0 }, { 6, 7, 7, 5, 3, 3, 5, 5, 1, 0 }, { 3, 5, 7, 2, 5, 7, 3, 3, 1, 1 },
    { 2, 9, 8, 3, 4, 4, 3, 2, 2, 0 },   { 2, 5, 5, 3, 3, 3, 5, 5, 2, 2 }, { 5, 3, 4, 7, 3, 4, 1, 1, 1, 0 },
    { 1, 1, 1, 1, 1, 1, 3, 3, 1, 1 },
};
enum { CONV_SHAPES = sizeof conv_shape / sizeof *conv_shape };

static void conv_against_oracle(int shape, struct cr_samples s)
{
    const struct cr_conv *c = conv_shape + shape;
    const int in = c->in_c * c->in_h * c->in_w, out = c->out_c * c->out_h * c->out_w;
    const int fan_in = c->in_c * c->kh * c->kw, weights = c->out_c * fan_in, fan_out = c->out_c * c->kh * c->kw;
    const int places = s.n * c->out_h * c->out_w, total = cr_groups(s) * s.lanes;
    struct values v = { (uint64_t)shape << 32 };

    double *x = random_doubles(s.n * in, &v), *w = random_doubles(weights, &v), *b = random_doubles(c->out_c, &v);
    double *dy = random_doubles(s.n * out, &v);
    double *xm = magnitudes(x, s.n * in), *wm = magnitudes(w, weights), *bm = magnitudes(b, c->out_c);
    double *dym = magnitudes(dy, s.n * out);
    float *xf = arranged(x, s, in), *wf = plain(w, weights), *bf = plain(b, c->out_c), *dyf = arranged(dy, s, out);
    float *yf = floats(total * out), *dxf = floats(total * in), *dwf = floats(weights), *dbf = floats(c->out_c);
    const struct cr_conv_kernels *kernel = &reference()->conv;
    kernel->forward(c, s, xf, wf, bf, yf, NULL);
    kernel->backward_input(c, s, dyf, wf, cr_conv_step(c), dxf, NULL);
    kernel->backward_weight(c, s, xf, dyf, dwf, dbf, NULL);

    double *y = doubles(out), *ym = doubles(out), *dx = doubles(in), *dxm = doubles(in);
    double *dw = doubles(weights), *dwm = doubles(weights), *db = doubles(c->out_c), *dbm = doubles(c->out_c);
    for (int k = 0; k < s.n; k++) {
        oracle_conv(c, x + k * in, w, b, y);
        oracle_conv(c, xm + k * in, wm, bm, ym);
        for (int i = 0; i < out; i++)
            check_close("conv forward", shape, k, i, of_sample(yf, s, out, k, i), y[i], fan_in, ym[i]);
        oracle_conv_dx(c, dy + k * out, w, dx);
        oracle_conv_dx(c, dym + k * out, wm, dxm);
        for (int i = 0; i < in; i++)
            check_close("conv dx", shape, k, i, of_sample(dxf, s, in, k, i), dx[i], fan_out, dxm[i]);
        oracle_conv_dw(c, x + k * in, dy + k * out, dw, db);
        oracle_conv_dw(c, xm + k * in, dym + k * out, dwm, dbm);
    }
    for (int i = 0; i < weights; i++) check_close("conv dw", shape, -1, i, dwf[i], dw[i], places, dwm[i]);
    for (int i = 0; i < c->out_c; i++) check_close("conv db", shape, -1, i, dbf[i], db[i], places, dbm[i]);

    free(x), free(w), free(b), free(dy), free(xm), free(wm), free(bm), free(dym);
    free(xf), free(wf), free(bf), free(dyf), free(yf), free(dxf), free(dwf), free(dbf);
    free(y), free(ym), free(dx), free(dxm), free(dw), free(dwm), free(db), free(dbm);
}

START_TEST(conv)
{
    for (int a = 0; a < ARRANGEMENTS; a++) conv_against_oracle(_i, arrangement[a]);
}
END_TEST

static const struct cr_conv pool_shape[] = {
    { 3, 6, 4, 3, 3, 2, 2, 2, 2, 0 }, { 2, 7, 5, 2, 3, 2, 2, 2, 2, 0 }, { 2, 7, 7, 2, 3, 3, 3, 3, 2, 0 },
    { 1, 5, 6, 1, 4, 5, 2, 2, 1, 0 }, { 1, 8, 8, 1, 2, 2, 2, 3, 4, 0 },
};
enum { POOL_SHAPES = sizeof pool_shape / sizeof *pool_shape };

static void pool_against_oracle(int shape, struct cr_samples s)
{
    const struct cr_conv *c = pool_shape + shape;
    const int in = c->in_c * c->in_h * c->in_w, out = c->out_c * c->out_h * c->out_w, window = c->kh * c->kw;
    const int total = cr_groups(s) * s.lanes;
    struct values v = { (uint64_t)shape << 32 };

    double *x = random_doubles(s.n * in, &v), *dy = random_doubles(s.n * out, &v);
    double *xm = magnitudes(x, s.n * in), *dym = magnitudes(dy, s.n * out);
    float *xf = arranged(x, s, in), *dyf = arranged(dy, s, out), *yf = floats(total * out), *dxf = floats(total * in);
    double *y = doubles(out), *ym = doubles(out), *dx = doubles(in), *dxm = doubles(in);

    reference()->maxpool.forward(c, s, xf, yf);
    reference()->maxpool.backward(c, s, xf, dyf, dxf);
    for (int k = 0; k < s.n; k++) {
        oracle_maxpool(c, x + k * in, y);
        for (int i = 0; i < out; i++)
            check_close("maxpool forward", shape, k, i, of_sample(yf, s, out, k, i), y[i], 0, 0);
        oracle_maxpool_dx(c, x + k * in, dy + k * out, dx);
        oracle_maxpool_dx(c, x + k * in, dym + k * out, dxm);
        for (int i = 0; i < in; i++)
            check_close("maxpool dx", shape, k, i, of_sample(dxf, s, in, k, i), dx[i], window, dxm[i]);
    }
    reference()->avgpool.forward(c, s, xf, yf);
    reference()->avgpool.backward(c, s, dyf, dxf);
    for (int k = 0; k < s.n; k++) {
        oracle_avgpool(c, x + k * in, y);
        oracle_avgpool(c, xm + k * in, ym);
        for (int i = 0; i < out; i++)
            check_close("avgpool forward", shape, k, i, of_sample(yf, s, out, k, i), y[i], window, ym[i]);
        oracle_avgpool_dx(c, dy + k * out, dx);
        oracle_avgpool_dx(c, dym + k * out, dxm);
        for (int i = 0; i < in; i++)
            check_close("avgpool dx", shape, k, i, of_sample(dxf, s, in, k, i), dx[i], window, dxm[i]);
    }
    free(x), free(dy), free(xm), free(dym), free(xf), free(dyf), free(yf), free(dxf);
    free(y), free(ym), free(dx), free(dxm);
}

START_TEST(pool)
{
    for (int a = 0; a < ARRANGEMENTS; a++) pool_against_oracle(_i, arrangement[a]);
}
END_TEST

/* ---- linear, softmax, activations */

static const struct {
    int in, out;
} linear_shape[] = { { 1, 1 }, { 7, 13 }, { 100, 10 }, { 33, 65 } };
enum { LINEAR_SHAPES = sizeof linear_shape / sizeof *linear_shape };

static void linear_against_oracle(int shape, struct cr_samples s)
{
    const int in = linear_shape[shape].in, out = linear_shape[shape].out, total = cr_groups(s) * s.lanes;
    struct values v = { (uint64_t)shape << 32 };

    double *x = random_doubles(s.n * in, &v), *w = random_doubles(in * out, &v), *b = random_doubles(out, &v);
    double *dy = random_doubles(s.n * out, &v);
    double *xm = magnitudes(x, s.n * in), *wm = magnitudes(w, in * out), *bm = magnitudes(b, out);
    double *dym = magnitudes(dy, s.n * out);
    float *xf = arranged(x, s, in), *wf = plain(w, in * out), *bf = plain(b, out), *dyf = arranged(dy, s, out);
    float *yf = floats(total * out), *dxf = floats(total * in), *dwf = floats(in * out), *dbf = floats(out);
    const struct cr_linear_kernels *kernel = &reference()->linear;
    kernel->forward(in, out, s, xf, wf, bf, yf);
    kernel->backward_input(in, out, s, dyf, wf, (size_t)in, dxf);
    kernel->backward_weight(in, out, s, xf, dyf, dwf, dbf, NULL);

    double *y = doubles(out), *ym = doubles(out), *dx = doubles(in), *dxm = doubles(in);
    double *dw = doubles(in * out), *dwm = doubles(in * out), *db = doubles(out), *dbm = doubles(out);
    for (int k = 0; k < s.n; k++) {
        oracle_linear(in, out, x + k * in, w, b, y);
        oracle_linear(in, out, xm + k * in, wm, bm, ym);
        for (int i = 0; i < out; i++)
            check_close("linear forward", shape, k, i, of_sample(yf, s, out, k, i), y[i], in, ym[i]);
        oracle_linear_dx(in, out, dy + k * out, w, dx);
        oracle_linear_dx(in, out, dym + k * out, wm, dxm);
        for (int i = 0; i < in; i++)
            check_close("linear dx", shape, k, i, of_sample(dxf, s, in, k, i), dx[i], out, dxm[i]);
        oracle_linear_dw(in, out, x + k * in, dy + k * out, dw, db);
        oracle_linear_dw(in, out, xm + k * in, dym + k * out, dwm, dbm);
    }
    for (int i = 0; i < in * out; i++) check_close("linear dw", shape, -1, i, dwf[i], dw[i], s.n, dwm[i]);
    for (int i = 0; i < out; i++) check_close("linear db", shape, -1, i, dbf[i], db[i], s.n, dbm[i]);

    free(x), free(w), free(b), free(dy), free(xm), free(wm), free(bm), free(dym);
    free(xf), free(wf), free(bf), free(dyf), free(yf), free(dxf), free(dwf), free(dbf);
    free(y), free(ym), free(dx), free(dxm), free(dw), free(dwm), free(db), free(dbm);
}

START_TEST(linear)
{
    for (int a = 0; a < ARRANGEMENTS; a++) linear_against_oracle(_i, arrangement[a]);
}
END_TEST

static const int class_count[] = { 2, 10, 63, 64, 101 };
enum { CLASS_COUNTS = sizeof class_count / sizeof *class_count };

static void softmax_against_oracle(int shape, struct cr_samples s)
{
    const int classes = class_count[shape], total = cr_groups(s) * s.lanes;
    struct values v = { (uint64_t)shape << 32 };
    double *x = random_doubles(s.n * classes, &v), *p = doubles(classes), *dx = doubles(classes);
    for (int i = 0; i < s.n * classes; i++) x[i] *= 16;
    float *xf = arranged(x, s, classes), *pf = floats(total * classes), *dxf = floats(total * classes);
    float loss[32];
    uint8_t label[32];
    for (int k = 0; k < s.n; k++) label[k] = (uint8_t)next_int(&v, classes);
    reference()->softmax(classes, s, xf, label, pf, dxf, loss);

    for (int k = 0; k < s.n; k++) {
        const double right = oracle_softmax(classes, x + k * classes, label[k], p, dx);
        check_close("softmax loss", shape, k, label[k], loss[k], right, classes, 1 + fabs(right));
        for (int i = 0; i < classes; i++) {
            /* x - max is rounded before exp: with |x| <= 16 that weighs as much as 32 terms */
            const int terms = classes + 32;
            check_close("softmax p", shape, k, i, of_sample(pf, s, classes, k, i), p[i], terms, p[i]);
            check_close("softmax dx", shape, k, i, of_sample(dxf, s, classes, k, i), dx[i], terms,
                        p[i] + (i == label[k]));
        }
    }
    free(x), free(p), free(dx), free(xf), free(pf), free(dxf);
}

START_TEST(softmax)
{
    for (int a = 0; a < ARRANGEMENTS; a++) softmax_against_oracle(_i, arrangement[a]);
}
END_TEST

/* The order of the denominator's sum: one chain below 64 classes, else 16 and the tree, written out here. */
START_TEST(softmax_order)
{
    enum { MOST = 100 };
    const int classes = _i ? MOST : 63;
    float x[MOST], p[MOST], loss, chain[16] = { 0 };
    const uint8_t label = 0;
    struct values v = { 0 };

    for (int c = 1; c < classes; c++) x[c] = 4 * next_float(&v) - 5;
    x[0] = 0; /* the greatest */
    for (int c = 0; c < classes; c++) chain[_i ? c % 16 : 0] += math_exp(x[c]);
    for (int i = 0; i < 8; i++) chain[i] += chain[i + 8];
    for (int i = 0; i < 4; i++) chain[i] += chain[i + 4];
    for (int i = 0; i < 2; i++) chain[i] += chain[i + 2];
    const float sum = chain[0] + chain[1];

    reference()->softmax(classes, (struct cr_samples){ 1, 1, 0 }, x, &label, p, NULL, &loss);
    ck_assert(loss == math_log(sum));
    for (int c = 0; c < classes; c++) ck_assert(p[c] == math_exp(x[c]) / sum);
}
END_TEST

static double relu(double x) { return x > 0 ? x : 0; }

/* The derivatives from x, not from y as the kernels have them. */
static double tanh_slope(double x) { return 1 / (cosh(x) * cosh(x)); }
static double relu_slope(double x) { return x > 0; }
static double sigmoid_slope(double x) { return 1 / (2 + exp(x) + exp(-x)); }

START_TEST(activations)
{
    const struct {
        const char *name;
        const struct cr_act_kernels *kernel;
        double (*f)(double), (*slope)(double);
    } act[] = {
        { "tanh", &reference()->tanh, tanh, tanh_slope },
        { "relu", &reference()->relu, relu, relu_slope },
        { "sigmoid", &reference()->sigmoid, oracle_sigmoid, sigmoid_slope },
    };
    enum { N = 1000 };
    struct values v = { 0 };
    double *x = random_doubles(N, &v), *dy = random_doubles(N, &v);
    for (int i = 0; i < N; i++) x[i] *= 8;
    float *xf = plain(x, N), *dyf = plain(dy, N), *yf = floats(N), *dxf = floats(N);
    for (int a = 0; a < 3; a++) {
        act[a].kernel->forward(N, xf, yf);
        act[a].kernel->backward(N, yf, dyf, dxf);
        for (int i = 0; i < N; i++) {
            const double y = act[a].f(xf[i]), dx = dyf[i] * act[a].slope(xf[i]);
            check_close(act[a].name, a, 0, i, yf[i], y, 1, fabs(y));
            check_close(act[a].name, a, 1, i, dxf[i], dx, 1, fabs((double)dyf[i])); /* 1 - y cancels */
        }
    }
    free(x), free(dy), free(xf), free(dyf), free(yf), free(dxf);
}
END_TEST

/* ---- the oracle's gradients against central differences of its forward functions */

struct problem {
    const struct cr_conv *c;
    double *x, *w, *b, *y;
    const double *dy;
    int outputs;
};
typedef void evaluate_fn(struct problem *p);

static void evaluate_conv(struct problem *p) { oracle_conv(p->c, p->x, p->w, p->b, p->y); }
static void evaluate_linear(struct problem *p) { oracle_linear(p->c->in_c, p->c->out_c, p->x, p->w, p->b, p->y); }
static void evaluate_maxpool(struct problem *p) { oracle_maxpool(p->c, p->x, p->y); }
static void evaluate_avgpool(struct problem *p) { oracle_avgpool(p->c, p->x, p->y); }

enum { CLASSES = 10, LABEL = 3 };
static void evaluate_softmax(struct problem *p)
{
    double prob[CLASSES], dx[CLASSES];
    *p->y = oracle_softmax(CLASSES, p->x, LABEL, prob, dx);
}

/* sum of dy * y: what the gradients are the gradients of */
static double weighted_sum(evaluate_fn *evaluate, struct problem *p)
{
    double sum = 0;
    evaluate(p);
    for (int i = 0; i < p->outputs; i++) sum += p->dy[i] * p->y[i];
    return sum;
}

/* gradient[i] is the derivative by at[i], an array of p's. */
static void check_gradient(const char *what, evaluate_fn *evaluate, struct problem *p, double *at, int n,
                           const double *gradient)
{
    const double step = 0x1p-10;
    for (int i = 0; i < n; i++) {
        const double kept = at[i];
        at[i] = kept + step;
        const double above = weighted_sum(evaluate, p);
        at[i] = kept - step;
        const double below = weighted_sum(evaluate, p);
        at[i] = kept;
        const double right = (above - below) / (2 * step);
        ck_assert_msg(fabs(gradient[i] - right) <= 1e-6, "%s, index %d: %g, by differences %g", what, i, gradient[i],
                      right);
    }
}

START_TEST(conv_differences)
{
    const struct cr_conv *c = conv_shape + _i;
    const int in = c->in_c * c->in_h * c->in_w, out = c->out_c * c->out_h * c->out_w;
    const int weights = c->out_c * c->in_c * c->kh * c->kw;
    struct values v = { 0 };
    double *x = random_doubles(in, &v), *w = random_doubles(weights, &v), *b = random_doubles(c->out_c, &v);
    double *dy = random_doubles(out, &v), *y = doubles(out);
    double *dx = doubles(in), *dw = doubles(weights), *db = doubles(c->out_c);
    struct problem p = { c, x, w, b, y, dy, out };

    oracle_conv_dx(c, dy, w, dx);
    oracle_conv_dw(c, x, dy, dw, db);
    check_gradient("conv dx", evaluate_conv, &p, x, in, dx);
    check_gradient("conv dw", evaluate_conv, &p, w, weights, dw);
    check_gradient("conv db", evaluate_conv, &p, b, c->out_c, db);
    free(x), free(w), free(b), free(dy), free(y), free(dx), free(dw), free(db);
}
END_TEST

START_TEST(linear_differences)
{
    const int in = linear_shape[_i].in, out = linear_shape[_i].out;
    const struct cr_conv c = { .in_c = in, .out_c = out };
    struct values v = { 0 };
    double *x = random_doubles(in, &v), *w = random_doubles(in * out, &v), *b = random_doubles(out, &v);
    double *dy = random_doubles(out, &v), *y = doubles(out), *dx = doubles(in), *dw = doubles(in * out);
    double *db = doubles(out);
    struct problem p = { &c, x, w, b, y, dy, out };

    oracle_linear_dx(in, out, dy, w, dx);
    oracle_linear_dw(in, out, x, dy, dw, db);
    check_gradient("linear dx", evaluate_linear, &p, x, in, dx);
    check_gradient("linear dw", evaluate_linear, &p, w, in * out, dw);
    check_gradient("linear db", evaluate_linear, &p, b, out, db);
    free(x), free(w), free(b), free(dy), free(y), free(dx), free(dw), free(db);
}
END_TEST

START_TEST(pool_differences)
{
    const struct cr_conv *c = pool_shape + _i;
    const int in = c->in_c * c->in_h * c->in_w, out = c->out_c * c->out_h * c->out_w;
    struct values v = { 0 };
    double *x = doubles(in), *dy = random_doubles(out, &v), *y = doubles(out), *dx = doubles(in);
    struct problem p = { c, x, NULL, NULL, y, dy, out };

    for (int i = 0; i < in; i++) x[i] = fmod(i * 0.6180339887, 1); /* no two so near that a step changes the winner */
    oracle_maxpool_dx(c, x, dy, dx);
    check_gradient("maxpool dx", evaluate_maxpool, &p, x, in, dx);
    oracle_avgpool_dx(c, dy, dx);
    check_gradient("avgpool dx", evaluate_avgpool, &p, x, in, dx);
    free(x), free(dy), free(y), free(dx);
}
END_TEST

START_TEST(softmax_differences)
{
    struct values v = { 0 };
    double *x = random_doubles(CLASSES, &v), loss, prob[CLASSES], dx[CLASSES];
    const double one = 1;
    struct problem p = { NULL, x, NULL, NULL, &loss, &one, 1 };

    oracle_softmax(CLASSES, x, LABEL, prob, dx);
    check_gradient("softmax dx", evaluate_softmax, &p, x, CLASSES, dx);
    free(x);
}
END_TEST

START_TEST(activation_differences)
{
    const double step = 0x1p-10;
    for (int i = -4000; i <= 4000; i++) {
        const double x = i / 500.0 + 0.0013; /* away from the kink of relu */
        ck_assert(fabs(tanh_slope(x) - (tanh(x + step) - tanh(x - step)) / (2 * step)) < 1e-6);
        ck_assert(fabs(relu_slope(x) - (relu(x + step) - relu(x - step)) / (2 * step)) < 1e-6 || fabs(x) < step);
        ck_assert(fabs(sigmoid_slope(x) - (oracle_sigmoid(x + step) - oracle_sigmoid(x - step)) / (2 * step)) < 1e-6);
    }
}
END_TEST

Suite *ref_suite(void)
{
    Suite *s = suite_create("ref");
    TCase *t = tcase_create("oracle");
    tcase_add_loop_test(t, conv, 0, CONV_SHAPES);
    tcase_add_loop_test(t, pool, 0, POOL_SHAPES);
    tcase_add_loop_test(t, linear, 0, LINEAR_SHAPES);
    tcase_add_loop_test(t, softmax, 0, CLASS_COUNTS);
    tcase_add_loop_test(t, softmax_order, 0, 2);
    tcase_add_test(t, activations);
    suite_add_tcase(s, t);
    t = tcase_create("differences");
    tcase_add_loop_test(t, conv_differences, 0, CONV_SHAPES);
    tcase_add_loop_test(t, linear_differences, 0, LINEAR_SHAPES);
    tcase_add_loop_test(t, pool_differences, 0, POOL_SHAPES);
    tcase_add_test(t, softmax_differences);
    tcase_add_test(t, activation_differences);
    suite_add_tcase(s, t);
    return s;
}
