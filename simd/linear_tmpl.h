/* Linear layers with whole vectors. The template; included after a vec_*.h and tile sizes:
 *
 *     TILE_F           output features of the register tile of forward (a row of weights each) and backward_input
 *     TILE_O, TILE_I   output features x vectors of input features of the register tile of backward_weight
 *     FALLBACK         the table for what does not fill these vectors
 *
 * For samples side by side, forward and backward_input have vectors of samples and broadcast weights; for one sample
 * alone, linear_single_tmpl.h. The gradient by weight has vectors of input features and broadcast dy: x is turned
 * sample-major once per block, so that each weight's gradient is one chain over the samples. */
#include "simd/kernels.h"
#include "simd/tables.h"
#include "simd/unroll.h"

/* acc[f] = start[f] + sum over k of v[k] * w[k * k_step + f * f_step], for n vectors of one lane slice. */
static inline __attribute__((always_inline)) void chain_tile(const int nf, int k, const float *v, size_t lanes,
                                                             const float *w, size_t k_step, size_t f_step,
                                                             const float *start, float *y)
{
    vf acc[TILE_F];
    const float *row[TILE_F];
    UNROLL for (int f = 0; f < nf; f++)
    {
        acc[f] = start ? vf_set1(start[f]) : vf_zero();
        row[f] = w + (size_t)f * f_step;
    }
    size_t at = 0;
    for (int i = 0; i < k; i++, v += lanes, at += k_step) {
        const vf in = vf_load(v);
        UNROLL for (int f = 0; f < nf; f++) acc[f] = vf_fma(in, vf_set1(row[f][at]), acc[f]);
    }
    UNROLL for (int f = 0; f < nf; f++) vf_store(y + (size_t)f * lanes, acc[f]);
}

#define CHAINS(STEP_K, STEP_F)                                                                                         \
    for (int f = 0; f < count; f += TILE_F) {                                                                          \
        const float *const wf = w + (size_t)f * (STEP_F), *const bf = b ? b + f : NULL;                                \
        float *const yf = y + (size_t)f * lanes;                                                                       \
        switch (count - f) {                                                                                           \
        case 1: chain_tile(1, k, x, lanes, wf, STEP_K, STEP_F, bf, yf); break;                                         \
        case 2: chain_tile(2, k, x, lanes, wf, STEP_K, STEP_F, bf, yf); break;                                         \
        case 3: chain_tile(3, k, x, lanes, wf, STEP_K, STEP_F, bf, yf); break;                                         \
        case 4: chain_tile(4, k, x, lanes, wf, STEP_K, STEP_F, bf, yf); break;                                         \
        case 5: chain_tile(5, k, x, lanes, wf, STEP_K, STEP_F, bf, yf); break;                                         \
        case 6: chain_tile(6, k, x, lanes, wf, STEP_K, STEP_F, bf, yf); break;                                         \
        case 7: chain_tile(7, k, x, lanes, wf, STEP_K, STEP_F, bf, yf); break;                                         \
        default: chain_tile(TILE_F, k, x, lanes, wf, STEP_K, STEP_F, bf, yf);                                          \
        }                                                                                                              \
    }

/* `count` chains over k values each, weights of a chain side by side in memory (a row of w each). */
static void chains_by_row(int count, int k, const float *x, size_t lanes, const float *w, const float *b, float *y)
{
    CHAINS(1, (size_t)k)
}

/* The same with the weights of a chain in a column of w, whose rows are `step` apart, and from +0. */
static void chains_by_column(int count, int k, const float *x, size_t lanes, const float *w, size_t step, float *y)
{
    const float *const b = NULL;
    CHAINS(step, 1)
}

#if VL <= 8
#include "simd/linear_single_tmpl.h"
#endif

static void forward(int in, int out, struct cr_samples s, const float *x, const float *w, const float *b, float *y)
{
#if VL <= 8
    if (s.lanes == 1) {
        single_forward(in, out, s.n, x, w, b, y);
        return;
    }
#endif
    if (s.lanes % VL) {
        FALLBACK.forward(in, out, s, x, w, b, y);
        return;
    }
    const size_t lanes = (size_t)s.lanes;
    for (int g = 0; g < cr_groups(s); g++, x += (size_t)in * lanes, y += (size_t)out * lanes)
        for (int slice = 0; slice < s.lanes; slice += VL) chains_by_row(out, in, x + slice, lanes, w, b, y + slice);
}

static void backward_input(int in, int out, struct cr_samples s, const float *dy, const float *w, size_t step,
                           float *dx)
{
#if VL <= 8
    if (s.lanes == 1) {
        single_backward_input(in, out, s.n, dy, w, step, dx);
        return;
    }
#endif
    if (s.lanes % VL) {
        FALLBACK.backward_input(in, out, s, dy, w, step, dx);
        return;
    }
    const size_t lanes = (size_t)s.lanes;
    for (int g = 0; g < cr_groups(s); g++, dy += (size_t)out * lanes, dx += (size_t)in * lanes)
        for (int slice = 0; slice < s.lanes; slice += VL)
            chains_by_column(in, out, dy + slice, lanes, w, step, dx + slice);
}

/* dw[o][i0 .. i0 + ni vectors) for no features: from +0 over the samples. `last` lanes of the last vector count. */
static inline __attribute__((always_inline)) void outer_tile(const int no, const int ni, int n, int lanes, int out,
                                                             const float *xt, size_t xt_step, const float *dy,
                                                             float *dw, size_t dw_step, int last)
{
    vf acc[TILE_O][TILE_I];
    UNROLL for (int o = 0; o < no; o++)
        UNROLL for (int i = 0; i < ni; i++) acc[o][i] = vf_zero();
    for (; n > 0; n -= lanes, dy += (size_t)out * (size_t)lanes) /* group by group */
        for (int k = 0; k < lanes && k < n; k++, xt += xt_step) {
            vf in[TILE_I];
            UNROLL for (int i = 0; i < ni; i++) in[i] = vf_load(xt + i * VL);
            UNROLL for (int o = 0; o < no; o++)
            {
                const vf go = vf_set1(dy[(size_t)o * (size_t)lanes + (size_t)k]);
                UNROLL for (int i = 0; i < ni; i++) acc[o][i] = vf_fma(in[i], go, acc[o][i]);
            }
        }
    UNROLL for (int o = 0; o < no; o++)
    {
        float *const to = dw + (size_t)o * dw_step;
        UNROLL for (int i = 0; i < ni - 1; i++) vf_store(to + i * VL, acc[o][i]);
        if (last == VL)
            vf_store(to + (ni - 1) * VL, acc[o][ni - 1]);
        else
            vf_store_n(to + (ni - 1) * VL, acc[o][ni - 1], last);
    }
}

#define OUTER(NO, NI)                                                                                                  \
    case NI: outer_tile(NO, NI, n, s.lanes, out, xt + i * VL, step, dyo, to + i * VL, (size_t)in, last); break;
#define OUTER_ROWS(NO)                                                                                                 \
    switch (ni) {                                                                                                      \
        OUTER(NO, 1)                                                                                                   \
        OUTER(NO, 2)                                                                                                   \
        THREE(OUTER(NO, 3))                                                                                            \
    }

#if TILE_I >= 3
#define THREE(...) __VA_ARGS__
#else
#define THREE(...)
#endif

/* Sample-major copy of x, each row padded with zeros to whole vectors. */
static size_t transpose(int in, struct cr_samples s, const float *x, float *xt)
{
    const size_t step = ((size_t)in + VL - 1) / VL * VL, lanes = (size_t)s.lanes;
    for (int k = 0; k < s.n; k++, xt += step) {
        const float *from = x + (size_t)(k / s.lanes) * (size_t)in * lanes + (size_t)(k % s.lanes);
        for (size_t i = 0; i < (size_t)in; i++) xt[i] = from[i * lanes];
        for (size_t i = (size_t)in; i < step; i++) xt[i] = 0;
    }
    return step;
}

static void backward_weight(int in, int out, struct cr_samples s, const float *x, const float *dy, float *dw, float *db,
                            float *xt)
{
    const size_t step = transpose(in, s, x, xt);
    const int vectors = (int)(step / VL), n = s.n;

    for (int o = 0; o < out; o += TILE_O) {
        const float *const dyo = dy + (size_t)o * (size_t)s.lanes;
        float *const to = dw + (size_t)o * (size_t)in;
        for (int i = 0; i < vectors; i += TILE_I) {
            const int ni = vectors - i < TILE_I ? vectors - i : TILE_I;
            const int last = i + ni < vectors ? VL : in - (vectors - 1) * VL;
            switch (out - o) {
            case 1: OUTER_ROWS(1) break;
            case 2: OUTER_ROWS(2) break;
            case 3: OUTER_ROWS(3) break;
            default: OUTER_ROWS(TILE_O)
            }
        }
    }
    for (int o = 0; o < out; o++) {
        const float *from = dy + (size_t)o * (size_t)s.lanes;
        float sum = 0;
        for (int left = n; left > 0; left -= s.lanes, from += (size_t)out * (size_t)s.lanes)
            for (int k = 0; k < s.lanes && k < left; k++) sum += from[k];
        db[o] = sum;
    }
}

const struct cr_linear_kernels LINEAR_NAME = { forward, backward_input, backward_weight };
