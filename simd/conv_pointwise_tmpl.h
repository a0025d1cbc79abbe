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
static void run_points(int channels, int outputs, int vectors, const float *x, const float *w, const float *bias,
                       float *y, float *window)
{
    enum {
        NEAR = 8 * 1024, /* floats of what is gathered: a cache of 32 KB, most of one of 48 KB; */
        RUN = 128        /* of a channel: what memory likes to give at a time */
    };
    const size_t plane = (size_t)vectors * VL;
    const int blocks = tiles(channels, NEAR / (TILE_X * VL)), count = tile_count(outputs);
    struct part k = part_of(channels, blocks, 0);
    for (int block = 0; block < blocks; block++, next_part(&k)) {
        const int span = imin(NEAR / k.size, RUN) / (TILE_X * VL) * TILE_X, windows = tiles(vectors, span);
        struct part v = part_of(vectors, windows, 0);
        for (int i = 0; i < windows; i++, next_part(&v)) {
            gather(k.size, v.size, x + (size_t)k.begin * plane + (size_t)(v.begin * VL), plane, window);
            const int count_x = tiles(v.size, TILE_X);
            const struct plane p = {
                .lanes = VL, .channels = k.size, .taps_y = 1, .taps_x = 1,
                .x_channel = (size_t)v.size * VL, .y_channel = plane, .go_on = block > 0,
            };
            struct tile t = { .ty = 1, .t0 = 0, .t1 = 1 };
            struct part o = part_of(outputs, count, 0);
            for (int tile = 0; tile < count; tile++, next_part(&o)) {
                t.w = w + (size_t)(o.begin * channels + k.begin * o.size);
                t.bias = bias ? bias + o.begin : NULL;
                float *const to = y + (size_t)o.begin * plane + (size_t)(v.begin * VL);
                struct part n = part_of(v.size, count_x, 0);
                for (int m = 0; m < count_x; m++, next_part(&n)) {
                    for (int q = 0; q < n.size; q++) {
                        t.x[q] = window + (n.begin + q) * VL;
                        t.y[q] = to + (n.begin + q) * VL;
                    }
                    tile_of[o.size - 1][n.size](&p, &t);
                }
            }
        }
    }
}

static void pointwise_forward(const struct cr_conv *c, struct cr_samples s, const float *x, const float *w,
                              const float *b, float *y, float *scratch)
{
    const size_t plane = (size_t)(c->in_h * c->in_w * s.lanes);
    pack_forward(c, TILE_C, w, scratch);
    for (int g = 0; g < cr_groups(s); g++, x += (size_t)c->in_c * plane, y += (size_t)c->out_c * plane)
        run_points(c->in_c, c->out_c, (int)(plane / VL), x, scratch, b, y, scratch + packed_size(c));
}

static void pointwise_backward_input(const struct cr_conv *c, struct cr_samples s, const float *dy, const float *w,
                                     float *dx, float *scratch)
{
    const size_t plane = (size_t)(c->in_h * c->in_w * s.lanes);
    pack_backward(c, 0, 0, 1, 1, w, scratch);
    for (int g = 0; g < cr_groups(s); g++, dy += (size_t)c->out_c * plane, dx += (size_t)c->in_c * plane)
        run_points(c->out_c, c->in_c, (int)(plane / VL), dy, scratch, NULL, dx, scratch + packed_size(c));
}

#endif
