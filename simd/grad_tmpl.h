/* From a block's gradient to the new weights: rounding to integers, the integer sum, and the update. The template;
 * included after a vec_*.h; grad_ref.c is the same with vectors of 1.
 *
 * Each loop takes whole vectors and then, with n = rest lanes, what is left: hence `n` in the step functions. */
#include "simd/kernels.h"
#include "simd/tables.h"

/* One vector of cr_round: returns the bits of |g|, which as integers order like the magnitudes. */
static inline vi round_step(const float *g, vf scale, uint32_t *q, int add, int n)
{
    const vf v = vf_load_n(g, n);
    vi r = vf_to_i(vf_mul(v, scale));
    if (add) r = vi_add(r, vi_load_n(q, n));
    vi_store_n(q, r, n);
    return vf_as_i(vf_abs(v));
}

static uint32_t greatest_lane(vi max)
{
    int32_t lane[VL], best = 0;
    vi_store(lane, max);
    for (int l = 0; l < VL; l++) best = lane[l] > best ? lane[l] : best;
    return (uint32_t)best;
}

/* What other cores have read must be asked back before it is written, and stores wait for that one by one: ask
 * early. */
static inline void will_write(const void *p)
{
    enum { AHEAD = 1024 }; /* bytes */
    __builtin_prefetch((const char *)p + AHEAD, 1, 3);
}

uint32_t ISA(cr_round)(size_t n, const float *g, float scale, uint32_t *q, int add)
{
    const size_t whole = n / VL * VL;
    const int rest = (int)(n - whole);
    const vf s = vf_set1(scale);
    vi max = vi_set1(0);

    for (size_t i = 0; i < whole; i += VL) {
        will_write(q + i);
        max = vi_max(max, round_step(g + i, s, q + i, add, VL));
    }
    if (rest) max = vi_max(max, round_step(g + whole, s, q + whole, add, rest));

    return greatest_lane(max);
}

/* The value of greatest |bits| among n. */
static float greatest_of(size_t n, const float *v)
{
    const size_t whole = n / VL * VL;
    vi max = vi_set1(0);
    for (size_t i = 0; i < whole; i += VL) max = vi_max(max, vf_as_i(vf_abs(vf_load(v + i))));
    if (whole < n) max = vi_max(max, vf_as_i(vf_abs(vf_load_n(v + whole, (int)(n - whole)))));
    const uint32_t bits = greatest_lane(max);
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}

/* Products of one vector as integers. */
static inline vi outer_of(const float *x, vf dy, vf scale, int n)
{
    return vf_to_i(vf_mul(vf_mul(vf_load_n(x, n), dy), scale));
}

static inline void outer_step(const float *x, vf dy, vf scale, uint32_t *q, int add, int n)
{
    vi r = outer_of(x, dy, scale, n);
    if (add) r = vi_add(r, vi_load_n(q, n));
    vi_store_n(q, r, n);
}

/* Rounding is monotone, so the greatest product is that of the greatest factors. */
uint32_t ISA(cr_greatest_outer)(int in, int out, const float *x, const float *dy)
{
    const float most = greatest_of((size_t)in, x) * greatest_of((size_t)out, dy);
    uint32_t bits;
    memcpy(&bits, &most, sizeof bits);
    return bits & 0x7fffffff; /* a NaN made here may have a sign */
}

uint32_t ISA(cr_round_outer)(int in, int out, const float *x, const float *dy, float scale, uint32_t *q, int add)
{
    const int whole = in / VL * VL;
    const vf s = vf_set1(scale);

    for (int o = 0; o < out; o++, q += in) {
        const vf d = vf_set1(dy[o]);
        if (add)
            for (int i = 0; i < whole; i += VL) outer_step(x + i, d, s, q + i, 1, VL);
        else
            for (int i = 0; i < whole; i += VL) outer_step(x + i, d, s, q + i, 0, VL);
        if (whole < in) outer_step(x + whole, d, s, q + whole, add, in - whole);
    }
    return ISA(cr_greatest_outer)(in, out, x, dy);
}

static inline void sum_step(size_t i, int parts, uint32_t *const *part, uint32_t *sum, int n)
{
    vi total = vi_load_n(part[0] + i, n);
    for (int p = 1; p < parts; p++) total = vi_add(total, vi_load_n(part[p] + i, n));
    vi_store_n(sum + i, total, n);
}

void ISA(cr_sum)(size_t from, size_t to, int parts, uint32_t *const *part, uint32_t *sum)
{
    size_t i = from;

    for (; i + VL <= to; i += VL) sum_step(i, parts, part, sum, VL);
    if (i < to) sum_step(i, parts, part, sum, (int)(to - i));
}

/* |a| < 2^-100 becomes +0, so that nothing lingers as a subnormal; NaN stays. */
static inline vm lingers(vf magnitude) { return vf_gt(vf_set1(0x1p-100f), magnitude); }
static inline vf flush(vf a) { return vf_select(lingers(vf_abs(a)), vf_zero(), a); }

/* What a loop knows of its settings beforehand: momentum, but not Nesterov's; with it, weight decay or not; one sample,
 * itself the mean; that dy * scale is exact, so that x may be multiplied by both at once: scale is a power of two, and
 * a product that would have been a subnormal is 0 as an integer, for scale <= 2^120. */
enum { USUAL = 1, DECAYS = 2, ALONE = 4, FOLDED = 8 };

static int known_of(const struct cr_sgd *o)
{
    return o->momentum == 0 || o->nesterov ? 0 : o->weight_decay != 0 ? USUAL | DECAYS : USUAL;
}

/* The roundings in the order that kernels.h states. */
static inline __attribute__((always_inline)) void sgd_step(const int known, vi q, const struct cr_sgd *o, float *w,
                                                           float *v, int n)
{
    const int usual = known & USUAL, decays = usual ? known & DECAYS : o->weight_decay != 0;
    const vf momentum = vf_set1(o->momentum);
    const vf old = vf_load_n(w, n);
    vf g = vf_mul(vi_to_f(q), vf_set1(o->unscale));
    if (!(known & ALONE)) g = vf_mul(g, vf_set1(o->inv_n));
    if (decays) g = vf_fma(vf_set1(o->weight_decay), old, g);

    vf d = g, speed = vf_zero();
    const int moves = usual || o->momentum != 0;
    if (moves) {
        speed = vf_fma(momentum, vf_load_n(v, n), g);
        d = !usual && o->nesterov ? vf_fma(momentum, speed, g) : speed;
    }
    vf new = vf_fma(vf_set1(-o->lr), d, old);
    if (vm_any(lingers(moves ? vf_least(speed, new) : vf_abs(new)))) { /* one question for both, seldom answered yes */
        speed = flush(speed);
        new = flush(new);
    }
    if (moves) vf_store_n(v, speed, n);
    vf_store_n(w, new, n);
}

static inline __attribute__((always_inline)) void sgd_run(const int known, size_t n, const uint32_t *q,
                                                          const struct cr_sgd *o, float *w, float *v)
{
    const size_t whole = n / VL * VL;
    const int rest = (int)(n - whole);

    for (size_t i = 0; i < whole; i += VL) {
        will_write(w + i);
        sgd_step(known, vi_load(q + i), o, w + i, v ? v + i : NULL, VL);
    }
    if (rest) sgd_step(known, vi_load_n(q + whole, rest), o, w + whole, v ? v + whole : NULL, rest);
}

void ISA(cr_sgd)(size_t n, const uint32_t *q, const struct cr_sgd *o, float *w, float *v)
{
    const struct cr_sgd own = *o; /* which stores to w cannot change, so it stays in registers */
    switch (known_of(o)) {
    case USUAL: sgd_run(USUAL, n, q, &own, w, v); break;
    case USUAL | DECAYS: sgd_run(USUAL | DECAYS, n, q, &own, w, v); break;
    default: sgd_run(0, n, q, &own, w, v);
    }
}

/* One output's row of weights. */
static inline __attribute__((always_inline)) void sgd_outer_row(const int known, int in, const float *x, float dy,
                                                                float scale, const struct cr_sgd *o, float *w, float *v)
{
    const int whole = in / VL * VL, rest = in - whole;
    const vf d = vf_set1(dy), s = vf_set1(scale), both = vf_set1(dy * scale);
    const int folded = known & FOLDED;
    for (int i = 0; i < whole; i += VL) {
        will_write(w + i);
        const vi q = folded ? vf_to_i(vf_mul(vf_load(x + i), both)) : outer_of(x + i, d, s, VL);
        sgd_step(known, q, o, w + i, v ? v + i : NULL, VL);
    }
    if (rest) sgd_step(known, outer_of(x + whole, d, s, rest), o, w + whole, v ? v + whole : NULL, rest);
}

static inline __attribute__((always_inline)) void sgd_outer_run(const int known, int in, int out, const float *x,
                                                                const float *dy, float scale, const struct cr_sgd *o,
                                                                float *w, float *v)
{
    for (int k = 0; k < out; k++, w += in, v = v ? v + in : NULL)
        if (known && dy[k] * scale / scale == dy[k])
            sgd_outer_row(known | FOLDED, in, x, dy[k], scale, o, w, v);
        else
            sgd_outer_row(0, in, x, dy[k], scale, o, w, v);
}

void ISA(cr_sgd_outer)(int in, int out, const float *x, const float *dy, float scale, const struct cr_sgd *o, float *w,
                       float *v)
{
    const struct cr_sgd own = *o;
    switch (o->inv_n == 1 ? known_of(o) : 0) {
    case USUAL: sgd_outer_run(USUAL | ALONE, in, out, x, dy, scale, &own, w, v); break;
    case USUAL | DECAYS: sgd_outer_run(USUAL | DECAYS | ALONE, in, out, x, dy, scale, &own, w, v); break;
    default: sgd_outer_run(0, in, out, x, dy, scale, &own, w, v);
    }
}
