/* Forward and gradient by input of windows of a single tap (1x1, stride 1, no padding) for samples side by side. Part
 * of conv_tmpl.h.
 *
 * Each output is a sum over channels of the same pixel, so a plane is one long row of vectors. A register tile's
 * vectors of all channels are gathered to lie side by side, near, while every output channel has its turn. */
#ifndef CR_SIMD_CONV_POINTWISE_TMPL_H
#define CR_SIMD_CONV_POINTWISE_TMPL_H

#include "simd/conv_rows_tmpl.h"

static int is_pointwise(const struct cr_conv *c, struct cr_samples s)
{
    return c->kh == 1 && c->kw == 1 && c->stride == 1 && c->pad == 0 && s.lanes % VL == 0;
}

/* n vectors of some channels, `plane` floats apart, from the v-th on. */
static void gather(int channels, int n, const float *x, size_t plane, float *to)
{
    for (int k = 0; k < channels; k++, x += plane)
        for (int v = 0; v < n; v++, to += VL) vf_store(to, vf_load(x + v * VL));
}

/* y[output][vector] = bias + sum over channels of x[channel][vector] * w. w: packed; bias may be NULL, for +0. */
struct points {
    int channels, outputs, vectors;
    const float *x, *w, *bias;
    float *y;
};

/* All outputs at some vectors, of which channels k lie in `window`. */
static void run_window(const struct points *s, struct part k, struct part v, const float *window)
{
    const size_t plane = (size_t)s->vectors * VL;
    const int count = tile_count(s->outputs), widths = tiles(v.size, TILE_X);
    const struct plane p = {
        .lanes = VL, .channels = k.size, .taps_y = 1, .taps_x = 1,
        .x_channel = (size_t)v.size * VL, .y_channel = plane, .go_on = k.begin > 0,
    };
    struct tile t = { .ty = 1, .t0 = 0, .t1 = 1 };
    struct part o = part_of(s->outputs, count, 0);
    for (int i = 0; i < count; i++, next_part(&o)) {
        float *const y = s->y + (size_t)o.begin * plane + (size_t)(v.begin * VL);
        t.w = s->w + (size_t)(o.begin * s->channels + k.begin * o.size);
        t.bias = s->bias ? s->bias + o.begin : NULL;
        struct part n = part_of(v.size, widths, 0);
        for (int j = 0; j < widths; j++, next_part(&n)) {
            for (int q = 0; q < n.size; q++) {
                t.x[q] = window + (n.begin + q) * VL;
                t.y[q] = y + (n.begin + q) * VL;
            }
            tile_of[o.size - 1][n.size](&p, &t);
        }
    }
}

static void run_points(const struct points *s, float *window)
{
    enum {
        NEAR = 8 * 1024, /* floats of what is gathered: a cache of 32 KB, most of one of 48 KB; */
        RUN = 128        /* of a channel: what memory likes to give at a time */
    };
    const size_t plane = (size_t)s->vectors * VL;
    const int blocks = tiles(s->channels, NEAR / (TILE_X * VL));
    struct part k = part_of(s->channels, blocks, 0);
    for (int block = 0; block < blocks; block++, next_part(&k)) {
        const int span = imin(NEAR / k.size, RUN) / (TILE_X * VL) * TILE_X, windows = tiles(s->vectors, span);
        struct part v = part_of(s->vectors, windows, 0);
        for (int i = 0; i < windows; i++, next_part(&v)) {
            gather(k.size, v.size, s->x + (size_t)k.begin * plane + (size_t)(v.begin * VL), plane, window);
            run_window(s, k, v, window);
        }
    }
}

static void pointwise_forward(const struct cr_conv *c, struct cr_samples s, const float *x, const float *w,
                              const float *b, float *y, float *scratch)
{
    const size_t plane = (size_t)(c->in_h * c->in_w * s.lanes);
    struct points p = {
        .channels = c->in_c, .outputs = c->out_c, .vectors = (int)(plane / VL), .x = x, .w = scratch, .bias = b, .y = y,
    };
    pack_forward(c, TILE_C, w, scratch);
    for (int g = 0; g < cr_groups(s); g++, p.x += (size_t)c->in_c * plane, p.y += (size_t)c->out_c * plane)
        run_points(&p, scratch + packed_size(c));
}

static void pointwise_backward_input(const struct cr_conv *c, struct cr_samples s, const float *dy, const float *w,
                                     size_t step, float *dx, float *scratch)
{
    const size_t plane = (size_t)(c->in_h * c->in_w * s.lanes);
    struct points p = {
        .channels = c->out_c, .outputs = c->in_c, .vectors = (int)(plane / VL), .x = dy, .w = scratch, .y = dx,
    };
    pack_backward(c, w, step, scratch);
    for (int g = 0; g < cr_groups(s); g++, p.x += (size_t)c->out_c * plane, p.y += (size_t)c->in_c * plane)
        run_points(&p, scratch + packed_size(c));
}

#endif
