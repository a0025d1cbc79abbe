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

/* Chains over k values for some vectors of samples: of the next vector, x is x_next floats on, y y_next. Values of a
 * vector are x_step floats apart, results y_step; weights of a chain w_step, those of the next chain w_next. start: +0
 * if NULL. */
struct chains {
    int k;
    const float *x, *w, *start;
    float *y;
    size_t x_step, x_next, y_step, y_next, w_step, w_next;
};

/* nf chains of nv vectors. */
static inline __attribute__((always_inline)) void chain_tile(const int nf, const int nv, const struct chains *c, int f)
{
    vf acc[TILE_F][2];
    const float *row[TILE_F], *x = c->x, *const w = c->w + (size_t)f * c->w_next;
    const size_t x_step = c->x_step, x_next = c->x_next, w_step = c->w_step, w_next = c->w_next;
    UNROLL for (int i = 0; i < nf; i++)
    {
        const vf start = c->start ? vf_set1(c->start[f + i]) : vf_zero();
        UNROLL for (int v = 0; v < nv; v++) acc[i][v] = start;
        row[i] = w + (size_t)i * w_next;
    }
    size_t at = 0;
    for (int i = c->k; i > 0; i--, x += x_step, at += w_step) {
        vf in[2];
        UNROLL for (int v = 0; v < nv; v++) in[v] = vf_load(x + (size_t)v * x_next);
        UNROLL for (int j = 0; j < nf; j++)
        {
            const vf weight = vf_set1(row[j][at]);
            UNROLL for (int v = 0; v < nv; v++) acc[j][v] = vf_fma(in[v], weight, acc[j][v]);
        }
    }
    float *y = c->y + (size_t)f * c->y_step;
    UNROLL for (int i = 0; i < nf; i++, y += c->y_step)
        UNROLL for (int v = 0; v < nv; v++) vf_store(y + (size_t)v * c->y_next, acc[i][v]);
}

/* `count` chains of one vector, and of two. */
static void chains_of_one(const struct chains *c, int count)
{
    for (int f = 0; f < count; f += TILE_F)
        switch (count - f) {
        case 1: chain_tile(1, 1, c, f); break;
        case 2: chain_tile(2, 1, c, f); break;
        case 3: chain_tile(3, 1, c, f); break;
        case 4: chain_tile(4, 1, c, f); break;
        case 5: chain_tile(5, 1, c, f); break;
        case 6: chain_tile(6, 1, c, f); break;
        case 7: chain_tile(7, 1, c, f); break;
        default: chain_tile(TILE_F, 1, c, f);
        }
}

static void chains_of_two(const struct chains *c, int count)
{
    enum { PAIRS = 6 }; /* as many chains fill 16 registers */
    for (int f = 0; f < count; f += PAIRS)
        switch (count - f) {
        case 1: chain_tile(1, 2, c, f); break;
        case 2: chain_tile(2, 2, c, f); break;
        case 3: chain_tile(3, 2, c, f); break;
        case 4: chain_tile(4, 2, c, f); break;
        case 5: chain_tile(5, 2, c, f); break;
        default: chain_tile(PAIRS, 2, c, f);
        }
}

/* `count` chains for all samples, of `values` values each in x. */
static void all_chains(struct cr_samples s, struct chains c, int values, int count)
{
    const int slices = s.lanes / VL;
    const size_t x_group = (size_t)values * (size_t)s.lanes, y_group = (size_t)count * (size_t)s.lanes;
    int vectors = cr_groups(s) * slices;
    c.x_next = slices > 1 ? VL : x_group;
    c.y_next = slices > 1 ? VL : y_group;
    for (int v = 0; v < vectors;) {
        const int two = VL <= 8 && v + 1 < vectors; /* wider ones multiply by weights where these lie */
        if (two)
            chains_of_two(&c, count);
        else
            chains_of_one(&c, count);
        v += two ? 2 : 1;
        c.x += two ? 2 * c.x_next : c.x_next;
        c.y += two ? 2 * c.y_next : c.y_next;
        if (slices > 1 && v % slices == 0) {
            c.x += x_group - (size_t)s.lanes;
            c.y += y_group - (size_t)s.lanes;
        }
    }
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
    const struct chains c = {
        .k = in, .x = x, .w = w, .start = b, .y = y, .x_step = lanes, .y_step = lanes, .w_step = 1,
        .w_next = (size_t)in,
    };
    all_chains(s, c, in, out);
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
    const struct chains c = {
        .k = out, .x = dy, .w = w, .y = dx, .x_step = lanes, .y_step = lanes, .w_step = step, .w_next = 1,
    };
    all_chains(s, c, out, in);
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

/* The same VL features of VL samples, turned: r[k] is sample k's. Features from `count` on are anything finite. */
static inline __attribute__((always_inline)) void turned(const float *x, size_t lanes, int count, vf r[VL])
{
    UNROLL for (int i = 0; i < VL; i++) r[i] = vf_load(x + (size_t)(i < count ? i : count - 1) * lanes);
    vf_transpose(r);
}

/* Fewer samples than that may be some of a vector's only, beyond which nothing can be read. */
static int fills_vectors(struct cr_samples s) { return s.lanes % VL == 0 && s.n >= VL; }

/* Where sample k lies. */
static const float *sample_of(const float *x, int features, struct cr_samples s, int k)
{
    return x + (size_t)(k / s.lanes) * (size_t)features * (size_t)s.lanes + (size_t)(k % s.lanes);
}

/* Sample-major copy of x, each row padded to whole vectors with what is finite. */
static size_t transpose(int in, struct cr_samples s, const float *x, float *xt)
{
    const size_t step = ((size_t)in + VL - 1) / VL * VL, lanes = (size_t)s.lanes;
    for (int k = 0; k < s.n && fills_vectors(s); k += VL) {
        const float *const from = sample_of(x, in, s, k);
        for (int i = 0; i < in; i += VL) {
            vf r[VL];
            turned(from + (size_t)i * lanes, lanes, in - i, r);
            UNROLL for (int l = 0; l < VL; l++)
                if (k + l < s.n) vf_store(xt + (size_t)(k + l) * step + i, r[l]);
        }
    }
    for (int k = 0; k < s.n && !fills_vectors(s); k++, xt += step) {
        const float *const from = sample_of(x, in, s, k);
        for (size_t i = 0; i < step; i++) xt[i] = i < (size_t)in ? from[i * lanes] : 0;
    }
    return step;
}

/* db: sums over the samples. */
static void sum_samples(int out, struct cr_samples s, const float *dy, float *db)
{
    const size_t lanes = (size_t)s.lanes;
    for (int o = 0; o < out && fills_vectors(s); o += VL) {
        vf sum = vf_zero();
        for (int k = 0; k < s.n; k += VL) {
            vf r[VL];
            turned(sample_of(dy, out, s, k) + (size_t)o * lanes, lanes, out - o, r);
            UNROLL for (int l = 0; l < VL; l++)
                if (k + l < s.n) sum = vf_add(sum, r[l]);
        }
        vf_store_n(db + o, sum, out - o < VL ? out - o : VL);
    }
    for (int o = 0; o < out && !fills_vectors(s); o++) {
        float sum = 0;
        for (int k = 0; k < s.n; k++) sum += sample_of(dy, out, s, k)[(size_t)o * lanes];
        db[o] = sum;
    }
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
    sum_samples(out, s, dy, db);
}

const struct cr_linear_kernels LINEAR_NAME = { forward, backward_input, backward_weight };
