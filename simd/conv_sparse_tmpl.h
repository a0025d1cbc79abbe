/* Gradients of one sample at a time, visiting only what is not zero in dy: after max-pooling three of four values are,
 * after ReLU half. Part of conv_tmpl.h. Leaving out a term of zero keeps the bits.
 *
 * By weight: each spike adds its patch of x to the taps of its channel, a row of the window at a time. By input: each
 * spike adds the taps of its channel, input channels side by side, to the patch of dx it came from. */
#ifndef CR_SIMD_CONV_SPARSE_TMPL_H
#define CR_SIMD_CONV_SPARSE_TMPL_H

#include "simd/conv_border_tmpl.h"
#include "simd/conv_product_tmpl.h"
#include "simd/conv_single_tmpl.h"

/* Values of dy that are not zero, and where their windows begin in the bordered image. Room for VL more than there
 * are. */
struct spikes {
    float *g;
    int32_t *at;
};

static struct spikes spikes_in(float *space, size_t most)
{
    return (struct spikes){ space, (int32_t *)(void *)(space + (most + VL + 15) / 16 * 16) };
}

/* The image with its borders, as both gradients address it. */
struct canvas {
    size_t width, plane;
};

static struct canvas canvas_of(const struct cr_conv *c)
{
    const size_t width = (size_t)(c->in_w + 2 * c->pad);
    return (struct canvas){ width, width * (size_t)(c->in_h + 2 * c->pad) };
}

/* The spikes of one channel of dy, (oy, ox) ascending; returns how many. */
static size_t find_spikes(const struct cr_conv *c, struct canvas v, const float *dy, struct spikes spikes)
{
    int32_t steps[VL];
    size_t n = 0;
    for (int k = 0; k < VL; k++) steps[k] = k * c->stride;
    for (int oy = 0; oy < c->out_h; oy++, dy += c->out_w) {
        const int row = oy * c->stride * (int)v.width;
        for (int ox = 0; ox < c->out_w; ox += VL) {
            const int count = imin(VL, c->out_w - ox);
            const vf g = count == VL ? vf_load(dy + ox) : vf_load_n(dy + ox, count);
            const vi at = vi_add(vi_set1(row + ox * c->stride), vi_load(steps));
            n += vf_keep(vm_or(vf_gt(g, vf_zero()), vf_gt(vf_zero(), g)), g, at, spikes.g + n, spikes.at + n);
        }
    }
    return n;
}

/* Values that are not zero: what a sparse pass costs. */
static size_t count_spikes(const float *dy, size_t n)
{
    size_t zeros = 0, i = 0;
    for (; i + VL <= n; i += VL) zeros += (size_t)__builtin_popcount(vm_bits(vf_eq(vf_load(dy + i), vf_zero())));
    for (; i < n; i++) zeros += dy[i] == 0;
    return n - zeros;
}

/* A window's rows in pieces of at most VL taps. */
static int pieces(const struct cr_conv *c) { return (c->kw + VL - 1) / VL; }

/* acc[r][0..VL) += g * x[at + row[r] ...] for n rows, over the spikes, and acc[n][0..VL) += g if with_bias. x may be
 * read VL - 1 floats past its end. */
static inline __attribute__((always_inline)) void spike_rows(const int n, struct spikes spikes, size_t count,
                                                             const float *x, const size_t *row, float *acc,
                                                             const int with_bias)
{
    vf a[SPIKE_ROWS], bias = with_bias ? vf_load(acc + n * VL) : vf_zero();
    const float *xr[SPIKE_ROWS];
    UNROLL for (int r = 0; r < n; r++)
    {
        a[r] = vf_load(acc + r * VL);
        xr[r] = x + row[r];
    }
    for (size_t i = 0; i < count; i++) {
        const vf g = vf_set1(spikes.g[i]);
        const size_t at = (size_t)spikes.at[i];
        UNROLL for (int r = 0; r < n; r++) a[r] = vf_fma(vf_load(xr[r] + at), g, a[r]);
        if (with_bias) bias = vf_add(bias, g);
    }
    UNROLL for (int r = 0; r < n; r++) vf_store(acc + r * VL, a[r]);
    if (with_bias) vf_store(acc + n * VL, bias);
}

/* Any number of rows; the bias comes after the last. */
static void spike_all_rows(int rows, struct spikes spikes, size_t count, const float *x, const size_t *row, float *acc)
{
    while (rows > 0) {
        const int n = rows >= SPIKE_ROWS ? SPIKE_ROWS : rows >= 5 ? 5 : 1, last = rows == n;
        if (n == SPIKE_ROWS && last)
            spike_rows(SPIKE_ROWS, spikes, count, x, row, acc, 1);
        else if (n == SPIKE_ROWS)
            spike_rows(SPIKE_ROWS, spikes, count, x, row, acc, 0);
        else if (n == 5 && last)
            spike_rows(5, spikes, count, x, row, acc, 1);
        else if (n == 5)
            spike_rows(5, spikes, count, x, row, acc, 0);
        else if (last)
            spike_rows(1, spikes, count, x, row, acc, 1);
        else
            spike_rows(1, spikes, count, x, row, acc, 0);
        rows -= n;
        row += n;
        acc += n * VL;
    }
}

/* The chains of all taps while samples pass by: rows of windows in pieces, then the bias, for each channel and lane. */
struct sparse_weight {
    struct canvas v;
    size_t image;           /* floats of a sample's canvas */
    int lanes, split, rows;
    size_t per_channel, chains;
    float *acc, *canvas;
    size_t *row;            /* where each piece begins in the canvas */
    float *end;             /* of the scratch it uses */
};

static struct sparse_weight sparse_weight_in(const struct cr_conv *c, struct cr_samples s, float *scratch)
{
    struct sparse_weight k = { .v = canvas_of(c), .lanes = imin(s.n, 16), .split = pieces(c), .acc = scratch };
    k.image = (size_t)c->in_c * k.v.plane;
    k.rows = c->in_c * c->kh * k.split;
    k.per_channel = (size_t)(k.rows + 1) * VL;
    k.chains = (size_t)c->out_c * k.per_channel;
    k.canvas = k.acc + (size_t)k.lanes * k.chains;
    k.row = (size_t *)(void *)(k.canvas + (k.image + VL + 15) / 16 * 16);
    k.end = (float *)(void *)(k.row + (k.rows + 7) / 8 * 8);
    size_t *row = k.row;
    for (size_t i = 0; i < (size_t)c->in_c; i++)
        for (size_t ky = 0; ky < (size_t)c->kh; ky++)
            for (size_t piece = 0; piece < (size_t)k.split; piece++)
                *row++ = i * k.v.plane + ky * k.v.width + piece * VL;
    put_zeros(k.acc, (size_t)k.lanes * k.chains);
    return k;
}

/* The next sample's x. */
static void sparse_weight_sample(const struct cr_conv *c, const struct sparse_weight *k, const float *x)
{
    copy_bordered((size_t)c->in_c, c->in_h, c->in_w, 1, all_round(c), x, (size_t)(c->in_h * c->in_w), k->canvas,
                  k->v.plane);
    put_zeros(k->canvas + k->image, VL);
}

/* The spikes of channel o of sample i. */
static void sparse_weight_add(const struct sparse_weight *k, int i, int o, struct spikes spikes, size_t count)
{
    spike_all_rows(k->rows, spikes, count, k->canvas, k->row,
                   k->acc + (size_t)(i % 16) * k->chains + (size_t)o * k->per_channel);
}

static void sparse_weight_out(const struct cr_conv *c, const struct sparse_weight *k, float *dw, float *db)
{
    single_tree(k->acc, k->chains, k->lanes);
    const float *chain = k->acc;
    for (int o = 0; o < c->out_c; o++) {
        for (int row = 0; row < c->in_c * c->kh; row++, dw += c->kw)
            for (int kx = 0; kx < c->kw; kx += VL, chain += VL)
                vf_store_n(dw + kx, vf_load(chain), imin(VL, c->kw - kx));
        db[o] = *chain;
        chain += VL;
    }
}

static void sparse_backward_weight(const struct cr_conv *c, struct cr_samples s, const float *x, const float *dy,
                                   float *dw, float *db, float *scratch)
{
    const size_t positions = (size_t)c->out_h * (size_t)c->out_w;
    const struct sparse_weight k = sparse_weight_in(c, s, scratch);
    const struct spikes spikes = spikes_in(k.end, positions);

    for (int i = 0; i < s.n; i++, x += (size_t)c->in_c * (size_t)c->in_h * (size_t)c->in_w) {
        sparse_weight_sample(c, &k, x);
        for (int o = 0; o < c->out_c; o++, dy += positions)
            sparse_weight_add(&k, i, o, spikes, find_spikes(c, k.v, dy, spikes));
    }
    sparse_weight_out(c, &k, dw, db);
}

/* dx[at + tap][0..VL) += g * w[tap] for the taps of a window, VL input channels. Strides in floats. */
static inline void spike_patch(const struct cr_conv *c, size_t row, size_t pixel, float g, const float *w, float *dx)
{
    const vf gv = vf_set1(g);
    for (int ky = 0; ky < c->kh; ky++, dx += row) {
        float *to = dx;
        for (int kx = 0; kx < c->kw; kx++, to += pixel, w += pixel)
            vf_store(to, vf_fma(vf_load(w), gv, vf_load(to)));
    }
}

/* The same for windows of side x side and pixels of VL floats, which the compiler unrolls. */
static inline __attribute__((always_inline)) void spike_square(const int side, size_t row, float g, const float *w,
                                                               float *dx)
{
    const vf gv = vf_set1(g);
    UNROLL for (int ky = 0; ky < side; ky++, dx += row)
        UNROLL for (int kx = 0; kx < side; kx++)
        {
            float *const to = dx + kx * VL;
            vf_store(to, vf_fma(vf_load(w + (ky * side + kx) * VL), gv, vf_load(to)));
        }
}

/* One sample's dx, and all weights: input channels side by side. */
struct sparse_input {
    struct canvas v;
    size_t area, pixel;     /* taps of a window; floats of a pixel */
    float *canvas;          /* (bordered y, x, channel) */
    float *packed;          /* (out channel, tap, channel) */
    float *end;             /* of the scratch it uses */
};

static struct sparse_input sparse_input_in(const struct cr_conv *c, const float *w, size_t step, float *scratch)
{
    struct sparse_input k = { .v = canvas_of(c), .area = (size_t)c->kh * (size_t)c->kw, .canvas = scratch };
    k.pixel = ((size_t)c->in_c + VL - 1) / VL * VL;
    k.packed = k.canvas + k.v.plane * k.pixel;
    k.end = k.packed + (size_t)c->out_c * k.area * k.pixel;
    for (int o = 0; o < c->out_c; o++)
        turn(c->in_c, k.area, w + (size_t)o * step, k.area,
             k.packed + (size_t)o * k.area * k.pixel, k.pixel, 1);
    return k;
}

static void sparse_input_sample(const struct sparse_input *k) { put_zeros(k->canvas, k->v.plane * k->pixel); }

/* The spikes of channel o. */
static void sparse_input_add(const struct cr_conv *c, const struct sparse_input *k, int o, struct spikes spikes,
                             size_t count)
{
    const float *const w = k->packed + (size_t)o * k->area * k->pixel;
    const size_t row = k->v.width * k->pixel;
    for (size_t i = 0; i < count; i++) {
        float *const to = k->canvas + (size_t)spikes.at[i] * k->pixel;
        if (k->pixel == VL && c->kh == 5 && c->kw == 5)
            spike_square(5, row, spikes.g[i], w, to);
        else if (k->pixel == VL && c->kh == 3 && c->kw == 3)
            spike_square(3, row, spikes.g[i], w, to);
        else
            for (size_t part = 0; part < k->pixel; part += VL)
                spike_patch(c, row, k->pixel, spikes.g[i], w + part, to + part);
    }
}

static void sparse_input_out(const struct cr_conv *c, const struct sparse_input *k, float *dx)
{
    for (int y = 0; y < c->in_h; y++)
        turn(c->in_w, (size_t)c->in_c, k->canvas + ((size_t)(y + c->pad) * k->v.width + (size_t)c->pad) * k->pixel,
             k->pixel, dx + (size_t)(y * c->in_w), (size_t)(c->in_h * c->in_w), 0);
}

static void sparse_backward_input(const struct cr_conv *c, struct cr_samples s, const float *dy, const float *w,
                                  size_t step, float *dx, float *scratch)
{
    const size_t positions = (size_t)c->out_h * (size_t)c->out_w;
    const struct sparse_input k = sparse_input_in(c, w, step, scratch);
    const struct spikes spikes = spikes_in(k.end, positions);

    for (int i = 0; i < s.n; i++, dx += (size_t)c->in_c * (size_t)c->in_h * (size_t)c->in_w) {
        sparse_input_sample(&k);
        for (int o = 0; o < c->out_c; o++, dy += positions)
            sparse_input_add(c, &k, o, spikes, find_spikes(c, k.v, dy, spikes));
        sparse_input_out(c, &k, dx);
    }
}

/* Is the sparse way shorter? Counted in vector operations. */
static int sparse_weight_pays(const struct cr_conv *c, struct cr_samples s, const float *dy)
{
    const size_t positions = (size_t)c->out_h * (size_t)c->out_w, taps = (size_t)(c->in_c * c->kh * c->kw);
    const size_t out_c = (size_t)c->out_c, values = (size_t)s.n * out_c * positions;
    const size_t sparse = count_spikes(dy, values) * (size_t)(c->in_c * c->kh * pieces(c));
    const size_t dense = product_pays_by_weight(c) ? values * taps / (size_t)GEMM.vector
                                                   : (size_t)s.n * ((out_c + VL - 1) / VL) * positions * taps;
    return sparse < dense;
}

/* A spike is a load and a store besides each multiplication, hence the 2. */
static int sparse_input_pays(const struct cr_conv *c, struct cr_samples s, const float *dy)
{
    const size_t values = (size_t)(s.n * c->out_c) * (size_t)c->out_h * (size_t)c->out_w, in_c = (size_t)c->in_c;
    const size_t sparse = 2 * count_spikes(dy, values) * ((in_c + VL - 1) / VL);
    const size_t dense = product_pays(c, c->in_c, c->in_w)
                             ? values * in_c / (size_t)GEMM.vector
                             : (size_t)(s.n * c->out_c * c->in_h) * (size_t)((c->in_w + VL - 1) / VL) * in_c;
    return sparse < dense;
}

#endif
