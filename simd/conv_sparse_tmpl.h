/* Gradients of one sample at a time, visiting only what is not zero in dy: which way is shorter, and the gradient by
 * input: each spike adds the taps of its channel, input channels side by side, to the patch of dx it came from. Part of
 * conv_tmpl.h. Leaving out a term of zero keeps the bits. */
#ifndef CR_SIMD_CONV_SPARSE_TMPL_H
#define CR_SIMD_CONV_SPARSE_TMPL_H

#include "simd/conv_product_tmpl.h"
#include "simd/conv_sparse_weight_tmpl.h"

/* dx[at + tap][...] += g * w[tap][...] for the taps of a window and all input channels, `along` floats to a row of
 * taps. */
static inline void spike_patch(int rows, size_t row, size_t along, float g, const float *w, float *dx)
{
    const vf gv = vf_set1(g);
    for (; rows > 0; rows--, dx += row, w += along)
        for (size_t i = 0; i < along; i += VL) vf_store(dx + i, vf_fma(vf_load(w + i), gv, vf_load(dx + i)));
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
    for (size_t i = 0; i < count; i++) {
        float *const to = k->canvas + (size_t)spikes.at[i] * k->pixel;
        if (k->pixel == VL && c->kh == 5 && c->kw == 5)
            spike_square(5, row, spikes.g[i], w, to);
        else if (k->pixel == VL && c->kh == 3 && c->kw == 3)
            spike_square(3, row, spikes.g[i], w, to);
        else
            spike_patch(c->kh, row, (size_t)c->kw * k->pixel, spikes.g[i], w, to);
    }
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
