/* Gradients of one sample at a time, visiting only what is not zero in dy: after max-pooling three of four values are,
 * after ReLU half. Part of conv_tmpl.h. Leaving out a term of zero keeps the bits.
 *
 * By weight: each spike adds its patch of x to the taps of its channel, a row of the window at a time. By input: each
 * spike adds the taps of its channel, input channels side by side, to the patch of dx it came from. */
#ifndef CR_SIMD_CONV_SPARSE_TMPL_H
#define CR_SIMD_CONV_SPARSE_TMPL_H

#include "simd/conv_border_tmpl.h"
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

static void sparse_backward_weight(const struct cr_conv *c, struct cr_samples s, const float *x, const float *dy,
                                   float *dw, float *db, float *scratch)
{
    const struct canvas v = canvas_of(c);
    const size_t positions = (size_t)c->out_h * (size_t)c->out_w, image = (size_t)c->in_c * v.plane;
    const int lanes = imin(s.n, 16), split = pieces(c), rows = c->in_c * c->kh * split;
    const size_t per_channel = (size_t)(rows + 1) * VL; /* taps, then the bias */
    const size_t chains = (size_t)c->out_c * per_channel;
    float *const acc = scratch;
    float *const canvas = acc + (size_t)lanes * chains;
    size_t *const row = (size_t *)(void *)(canvas + (image + VL + 15) / 16 * 16);
    const struct spikes spikes = spikes_in((float *)(void *)(row + (rows + 7) / 8 * 8), positions);

    for (int r = 0; r < rows; r++)
        row[r] = (size_t)(r / split / c->kh) * v.plane + (size_t)(r / split % c->kh) * v.width +
                 (size_t)(r % split * VL);
    put_zeros(acc, (size_t)lanes * chains);
    for (int i = 0; i < s.n; i++) {
        const float *const in = x + (size_t)i * (size_t)c->in_c * (size_t)c->in_h * (size_t)c->in_w;
        copy_bordered((size_t)c->in_c, c->in_h, c->in_w, 1, all_round(c), in, (size_t)(c->in_h * c->in_w), canvas);
        put_zeros(canvas + image, VL);
        for (int o = 0; o < c->out_c; o++) {
            float *const chain = acc + (size_t)(i % 16) * chains + (size_t)o * per_channel;
            const size_t n = find_spikes(c, v, dy + ((size_t)i * (size_t)c->out_c + (size_t)o) * positions, spikes);
            spike_all_rows(rows, spikes, n, canvas, row, chain);
        }
    }
    single_tree(acc, chains, lanes);
    for (int o = 0; o < c->out_c; o++) {
        const float *const chain = acc + (size_t)o * per_channel;
        for (int r = 0; r < rows; r++) {
            const int kx = r % split * VL, n = imin(VL, c->kw - kx);
            vf_store_n(dw + (size_t)(o * c->in_c * c->kh + r / split) * (size_t)c->kw + kx, vf_load(chain + r * VL), n);
        }
        db[o] = chain[(size_t)rows * VL];
    }
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

static void sparse_backward_input(const struct cr_conv *c, struct cr_samples s, const float *dy, const float *w,
                                  float *dx, float *scratch)
{
    const struct canvas v = canvas_of(c);
    const size_t positions = (size_t)c->out_h * (size_t)c->out_w, area = (size_t)c->kh * (size_t)c->kw;
    const size_t plane = (size_t)c->in_h * (size_t)c->in_w;
    const size_t pixel = ((size_t)c->in_c + VL - 1) / VL * VL; /* input channels side by side */
    float *const canvas = scratch;                             /* (bordered y, x, channel) */
    float *const packed = canvas + v.plane * pixel;            /* (out channel, tap, channel) */
    const struct spikes spikes = spikes_in(packed + (size_t)c->out_c * area * pixel, positions);

    for (int o = 0; o < c->out_c; o++)
        turn(c->in_c, area, w + (size_t)o * (size_t)c->in_c * area, area, packed + (size_t)o * area * pixel, pixel, 1);
    for (int i = 0; i < s.n; i++, dx += (size_t)c->in_c * plane) {
        put_zeros(canvas, v.plane * pixel);
        for (int o = 0; o < c->out_c; o++, dy += positions) {
            const size_t n = find_spikes(c, v, dy, spikes);
            for (size_t k = 0; k < n; k++)
                for (size_t part = 0; part < pixel; part += VL)
                    spike_patch(c, v.width * pixel, pixel, spikes.g[k], packed + (size_t)o * area * pixel + part,
                                canvas + (size_t)spikes.at[k] * pixel + part);
        }
        for (int y = 0; y < c->in_h; y++)
            turn(c->in_w, (size_t)c->in_c, canvas + ((size_t)(y + c->pad) * v.width + (size_t)c->pad) * pixel, pixel,
                 dx + (size_t)(y * c->in_w), plane, 0);
    }
}

/* Is the sparse way shorter? Counted in vector operations. */
static int sparse_weight_pays(const struct cr_conv *c, struct cr_samples s, const float *dy)
{
    const size_t positions = (size_t)c->out_h * (size_t)c->out_w, values = (size_t)(s.n * c->out_c) * positions;
    const size_t sparse = count_spikes(dy, values) * (size_t)(c->in_c * c->kh * pieces(c));
    const size_t dense = (size_t)(s.n * ((c->out_c + VL - 1) / VL)) * positions * (size_t)(c->in_c * c->kh * c->kw);
    return sparse < dense;
}

/* A spike is a load and a store besides each multiplication, hence the 2. */
static int sparse_input_pays(const struct cr_conv *c, struct cr_samples s, const float *dy)
{
    const size_t values = (size_t)(s.n * c->out_c) * (size_t)c->out_h * (size_t)c->out_w;
    const size_t sparse = 2 * count_spikes(dy, values) * (size_t)((c->in_c + VL - 1) / VL);
    const size_t dense = (size_t)(s.n * c->out_c * c->in_h) * (size_t)((c->in_w + VL - 1) / VL * c->in_c);
    return sparse < dense;
}

#endif
