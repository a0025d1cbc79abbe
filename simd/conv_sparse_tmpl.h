/* Gradients of one sample at a time, visiting only what is not zero in dy: which way is shorter, and the gradient by
 * input: each spike adds the taps of its channel, input channels side by side, to the patch of dx it came from. Part of
 * conv_tmpl.h. Leaving out a term of zero keeps the bits. */
#ifndef CR_SIMD_CONV_SPARSE_TMPL_H
#define CR_SIMD_CONV_SPARSE_TMPL_H

#include "simd/conv_product_tmpl.h"
#include "simd/conv_sparse_weight_tmpl.h"

/* dx[window + tap][...] += g * w[tap][...] over the spikes, for the taps of a window of side x side and a vector of
 * input channels. w and dx: `pixel` floats to the next tap; dx: `row` to the next row. The weights stay in registers if
 * there are enough. */
static inline __attribute__((always_inline)) void spike_square(const int side, struct spikes spikes, size_t count,
                                                               const float *w, size_t pixel, size_t row, float *dx)
{
    enum { MOST = 25 };
    const int held = TILE_X >= 4 || side == 3;
    vf taps[MOST];
    if (held) UNROLL for (int t = 0; t < side * side; t++) taps[t] = vf_load(w + (size_t)t * pixel);
    for (size_t k = 0; k < count; k++) {
        const vf g = vf_set1(spikes.g[k]);
        float *to = dx + (size_t)spikes.at[k] * pixel;
        UNROLL for (int ky = 0; ky < side; ky++, to += row)
            UNROLL for (int kx = 0; kx < side; kx++)
            {
                float *const at = to + (size_t)kx * pixel;
                const int t = ky * side + kx;
                vf_store(at, vf_fma(held ? taps[t] : vf_load(w + (size_t)t * pixel), g, vf_load(at)));
            }
    }
}

/* The same for any window and all channels, `along` floats to a row of taps. */
static void spike_patch(int rows, size_t along, struct spikes spikes, size_t count, const float *w, size_t pixel,
                        size_t row, float *dx)
{
    for (size_t k = 0; k < count; k++) {
        const vf g = vf_set1(spikes.g[k]);
        const float *from = w;
        float *to = dx + (size_t)spikes.at[k] * pixel;
        for (int ky = 0; ky < rows; ky++, to += row, from += along)
            for (size_t i = 0; i < along; i += VL) vf_store(to + i, vf_fma(vf_load(from + i), g, vf_load(to + i)));
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
             k.packed + (size_t)o * k.area * k.pixel, k.pixel, ROOM_TO);
    return k;
}

static void sparse_input_sample(const struct sparse_input *k) { put_zeros(k->canvas, k->v.plane * k->pixel); }

/* The spikes of channel o. */
static void sparse_input_add(const struct cr_conv *c, const struct sparse_input *k, int o, struct spikes spikes,
                             size_t count)
{
    const float *const w = k->packed + (size_t)o * k->area * k->pixel;
    const size_t row = k->v.width * k->pixel;
    if (c->kh == 3 && c->kw == 3 && k->pixel == VL)
        spike_square(3, spikes, count, w, VL, row, k->canvas);
    else if (c->kh == 5 && c->kw == 5 && k->pixel == VL)
        spike_square(5, spikes, count, w, VL, row, k->canvas);
    else if (c->kh == 3 && c->kw == 3)
        for (size_t i = 0; i < k->pixel; i += VL) spike_square(3, spikes, count, w + i, k->pixel, row, k->canvas + i);
    else
        spike_patch(c->kh, (size_t)c->kw * k->pixel, spikes, count, w, k->pixel, row, k->canvas);
}

static void sparse_input_out(const struct cr_conv *c, const struct sparse_input *k, float *dx)
{
    for (int y = 0; y < c->in_h; y++)
        turn(c->in_w, (size_t)c->in_c, k->canvas + ((size_t)(y + c->pad) * k->v.width + (size_t)c->pad) * k->pixel,
             k->pixel, dx + (size_t)(y * c->in_w), (size_t)(c->in_h * c->in_w), ROOM_FROM);
}

static void sparse_backward_input(const struct cr_conv *c, struct cr_samples s, const float *dy, const float *w,
                                  size_t step, float *dx, float *scratch)
{
    const size_t positions = (size_t)c->out_h * (size_t)c->out_w;
    const struct sparse_input k = sparse_input_in(c, w, step, scratch);
    const struct spikes spikes = spikes_in(k.end, positions);

    for (int i = 0; i < s.n; i++, dx += (size_t)c->in_c * (size_t)c->in_h * (size_t)c->in_w) {
        sparse_input_sample(&k);
        for (int o = 0; o < c->out_c; o++, dy += positions) {
            const size_t count = find_spikes(c, k.v, dy, spikes);
            sparse_input_add(c, &k, o, spikes, count);
        }
        sparse_input_out(c, &k, dx);
    }
}

/* Is the sparse way shorter? Counted in vector operations. */
static int sparse_weight_pays(const struct cr_conv *c, struct cr_samples s, const float *dy)
{
    const size_t positions = (size_t)c->out_h * (size_t)c->out_w, taps = (size_t)(c->in_c * c->kh * c->kw);
    const size_t out_c = (size_t)c->out_c, values = (size_t)s.n * out_c * positions;
    const size_t sparse = count_spikes(dy, values) * (size_t)imin(vectors_in_rows(c), vectors_in_taps(c));
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
