/* Pooling, vectors across the samples of a group: the template, included after a vec_*.h and
 *     POOL(name)      what this file's tables are called
 *     SMALLER(name)   the tables for groups of fewer than VL samples
 */
#include <string.h>

#include "simd/kernels.h"
#include "simd/tables.h"

/* One channel plane of one group, and of its lanes as many as a vector holds. */
struct column {
    const struct cr_conv *c;
    int lanes;
    ptrdiff_t in, out; /* where its first value is: in x and dx, in y and dy */
};

static inline ptrdiff_t in_at(struct column p, int y, int x)
{
    return p.in + ((ptrdiff_t)y * p.c->in_w + x) * p.lanes;
}

static inline ptrdiff_t out_at(struct column p, int y, int x)
{
    return p.out + ((ptrdiff_t)y * p.c->out_w + x) * p.lanes;
}

/* The loops over a column's windows. kh and kw are arguments so that the compiler can unroll the common 2x2. */
static inline void max_forward_column(struct column p, int kh, int kw, const float *x, float *y)
{
    const int stride = p.c->stride;

    for (int oy = 0; oy < p.c->out_h; oy++)
        for (int ox = 0; ox < p.c->out_w; ox++) {
            vf max = vf_load(x + in_at(p, oy * stride, ox * stride));
            for (int ky = 0; ky < kh; ky++)
                for (int kx = 0; kx < kw; kx++) {
                    const vf v = vf_load(x + in_at(p, oy * stride + ky, ox * stride + kx));
                    max = vf_select(vf_gt(v, max), v, max);
                }
            vf_store(y + out_at(p, oy, ox), max);
        }
}

/* Each window finds its winner again, by its number ky * kw + kx, and gives it dy and the others +0; added to what
 * is there if windows overlap. */
static inline void max_backward_column(struct column p, int kh, int kw, int overlap, const float *x, const float *dy,
                                       float *dx)
{
    const int stride = p.c->stride;

    for (int oy = 0; oy < p.c->out_h; oy++)
        for (int ox = 0; ox < p.c->out_w; ox++) {
            vf max = vf_load(x + in_at(p, oy * stride, ox * stride)), winner = vf_zero();
            for (int ky = 0; ky < kh; ky++)
                for (int kx = 0; kx < kw; kx++) {
                    const vf v = vf_load(x + in_at(p, oy * stride + ky, ox * stride + kx));
                    const vm greater = vf_gt(v, max);
                    max = vf_select(greater, v, max);
                    winner = vf_select(greater, vf_set1((float)(ky * kw + kx)), winner);
                }

            const vf gradient = vf_load(dy + out_at(p, oy, ox));
            for (int ky = 0; ky < kh; ky++)
                for (int kx = 0; kx < kw; kx++) {
                    float *to = dx + in_at(p, oy * stride + ky, ox * stride + kx);
                    const vm won = vf_eq(winner, vf_set1((float)(ky * kw + kx)));
                    const vf v = vf_select(won, gradient, vf_zero());
                    vf_store(to, overlap ? vf_add(vf_load(to), v) : v);
                }
        }
}

static inline void avg_forward_column(struct column p, int kh, int kw, const float *x, float *y)
{
    const int stride = p.c->stride;
    const vf share = vf_set1(1.0f / (float)(kh * kw));

    for (int oy = 0; oy < p.c->out_h; oy++)
        for (int ox = 0; ox < p.c->out_w; ox++) {
            vf sum = vf_zero();
            for (int ky = 0; ky < kh; ky++)
                for (int kx = 0; kx < kw; kx++)
                    sum = vf_add(sum, vf_load(x + in_at(p, oy * stride + ky, ox * stride + kx)));
            vf_store(y + out_at(p, oy, ox), vf_mul(sum, share));
        }
}

static inline void avg_backward_column(struct column p, int kh, int kw, int overlap, const float *dy, float *dx)
{
    const int stride = p.c->stride;
    const vf share = vf_set1(1.0f / (float)(kh * kw));

    for (int oy = 0; oy < p.c->out_h; oy++)
        for (int ox = 0; ox < p.c->out_w; ox++) {
            const vf gradient = vf_load(dy + out_at(p, oy, ox));
            for (int ky = 0; ky < kh; ky++)
                for (int kx = 0; kx < kw; kx++) {
                    float *to = dx + in_at(p, oy * stride + ky, ox * stride + kx);
                    vf_store(to, vf_fma(gradient, share, overlap ? vf_load(to) : vf_zero()));
                }
        }
}

/* Column number `i` of a block: its planes (groups x channels), each in lanes / VL columns. */
static int columns(const struct cr_conv *c, struct cr_samples s)
{
    return cr_groups(s) * c->in_c * (s.lanes / VL);
}

static struct column column(const struct cr_conv *c, struct cr_samples s, int i)
{
    const int per_plane = s.lanes / VL;
    const ptrdiff_t plane = i / per_plane, lane = i % per_plane * VL;
    const ptrdiff_t in = (ptrdiff_t)c->in_h * c->in_w, out = (ptrdiff_t)c->out_h * c->out_w;
    return (struct column){ c, s.lanes, plane * in * s.lanes + lane, plane * out * s.lanes + lane };
}

static int is_2x2(const struct cr_conv *c) { return c->kh == 2 && c->kw == 2; }

static int overlapping(const struct cr_conv *c) { return c->stride < c->kh || c->stride < c->kw; }

/* Where windows lie side by side and reach every input, dx is written once; else it begins as +0. */
static void clear(const struct cr_conv *c, struct cr_samples s, float *dx)
{
    const int tiled = c->stride == c->kh && c->stride == c->kw && c->out_h * c->kh == c->in_h &&
                      c->out_w * c->kw == c->in_w;
    const size_t values = (size_t)c->in_h * (size_t)c->in_w * (size_t)(cr_groups(s) * c->in_c * s.lanes);
    if (!tiled) memset(dx, 0, values * sizeof *dx);
}

#if VL <= 8
#include "simd/pool_single_tmpl.h"
#endif

static void max_forward(const struct cr_conv *c, struct cr_samples s, const float *x, float *y)
{
#if VL <= 8
    if (s.lanes == 1 && cr_maxpool_along_rows(c)) {
        single_forward(c, s.n, x, y);
        return;
    }
#endif
    if (s.lanes < VL) {
        SMALLER(cr_maxpool).forward(c, s, x, y);
        return;
    }
    for (int i = 0; i < columns(c, s); i++) {
        const struct column p = column(c, s, i);
        if (is_2x2(c))
            max_forward_column(p, 2, 2, x, y);
        else
            max_forward_column(p, c->kh, c->kw, x, y);
    }
}

static void max_backward(const struct cr_conv *c, struct cr_samples s, const float *x, const float *dy, float *dx)
{
#if VL <= 8
    if (s.lanes == 1 && cr_maxpool_along_rows(c)) {
        clear(c, s, dx);
        single_backward(c, s.n, x, dy, dx);
        return;
    }
#endif
    if (s.lanes < VL) {
        SMALLER(cr_maxpool).backward(c, s, x, dy, dx);
        return;
    }
    clear(c, s, dx);
    for (int i = 0; i < columns(c, s); i++) {
        const struct column p = column(c, s, i);
        if (is_2x2(c) && !overlapping(c))
            max_backward_column(p, 2, 2, 0, x, dy, dx);
        else
            max_backward_column(p, c->kh, c->kw, overlapping(c), x, dy, dx);
    }
}

static void avg_forward(const struct cr_conv *c, struct cr_samples s, const float *x, float *y)
{
    if (s.lanes < VL) {
        SMALLER(cr_avgpool).forward(c, s, x, y);
        return;
    }
    for (int i = 0; i < columns(c, s); i++) {
        const struct column p = column(c, s, i);
        if (is_2x2(c))
            avg_forward_column(p, 2, 2, x, y);
        else
            avg_forward_column(p, c->kh, c->kw, x, y);
    }
}

static void avg_backward(const struct cr_conv *c, struct cr_samples s, const float *dy, float *dx)
{
    if (s.lanes < VL) {
        SMALLER(cr_avgpool).backward(c, s, dy, dx);
        return;
    }
    clear(c, s, dx);
    for (int i = 0; i < columns(c, s); i++) {
        const struct column p = column(c, s, i);
        if (is_2x2(c) && !overlapping(c))
            avg_backward_column(p, 2, 2, 0, dy, dx);
        else
            avg_backward_column(p, c->kh, c->kw, overlapping(c), dy, dx);
    }
}

const struct cr_maxpool_kernels POOL(cr_maxpool) = { max_forward, max_backward };
const struct cr_avgpool_kernels POOL(cr_avgpool) = { avg_forward, avg_backward };
