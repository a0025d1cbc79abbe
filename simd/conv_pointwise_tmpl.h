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

/* y[output][vector] = bias + sum over channels of x[channel][vector] * w. w: packed; bias may be NULL, for +0. */
struct points {
    int channels, outputs, vectors;
    const float *x, *w, *bias;
    float *y;
};

/* Some outputs at some vectors side by side. Strides in floats. */
struct point_tile {
    int channels;
    const float *x;             /* of the first channel; the others follow at once, or, if keep, x_plane apart */
    size_t x_plane, y_channel;
    const float *w, *bias;      /* bias: per output, or NULL for +0 */
    float *y;
    int go_on;                  /* y holds what earlier channels gave; bias is in it */
    float *keep;                /* what is read is put down here, channel by channel; or NULL */
    const float *ahead;         /* lines_ahead lines from here on, x_plane apart, are read before long */
    int lines_ahead;
};

static inline __attribute__((always_inline)) void point_tap(const int tc, const int tv, const float *x, const float *w,
                                                            vf (*acc)[TILE_X])
{
    vf in[TILE_X];
    UNROLL for (int v = 0; v < tv; v++) in[v] = vf_load(x + v * VL);
    UNROLL for (int c = 0; c < tc; c++)
    {
        const vf wc = vf_set1(w[c]);
        UNROLL for (int v = 0; v < tv; v++) acc[c][v] = vf_fma(in[v], wc, acc[c][v]);
    }
}

/* n channels one after another. */
static inline __attribute__((always_inline)) void point_taps(const int tc, const int tv, const int n, const float **x,
                                                             const float **w, vf (*acc)[TILE_X])
{
    UNROLL for (int i = 0; i < n; i++)
    {
        IN_TURN();
        point_tap(tc, tv, *x + i * tv * VL, *w + i * tc, acc);
    }
    *x += n * tv * VL;
    *w += n * tc;
}

/* Lines that memory is asked for beforehand, evenly: a processor that waits for a dozen of them can do nothing else. */
static inline __attribute__((always_inline)) void point_body(const int tc, const int tv, const struct point_tile *t)
{
    const size_t x_plane = t->x_plane, y_channel = t->y_channel;
    const float *x = t->x, *w = t->w;
    vf acc[TILE_C][TILE_X];
    int k = t->channels;
    UNROLL for (int c = 0; c < tc; c++)
    {
        const vf start = t->bias ? vf_set1(t->bias[c]) : vf_zero();
        UNROLL for (int v = 0; v < tv; v++)
            acc[c][v] = t->go_on ? vf_load(t->y + (size_t)c * y_channel + v * VL) : start;
    }
    if (t->keep)
        for (float *keep = t->keep; k > 0; k--, x += x_plane, w += tc, keep += tv * VL) {
            UNROLL for (int v = 0; v < tv; v++) vf_store(keep + v * VL, vf_load(x + v * VL));
            point_tap(tc, tv, x, w, acc);
        }
    const float *line = t->y;
    for (int c = 0; c < tc && k >= tv; c++, k -= tv, line += y_channel) {
        UNROLL for (int v = 0; v < tv; v++) __builtin_prefetch(line + v * VL, 1);
        point_taps(tc, tv, tv, &x, &w, acc);
    }
    line = t->ahead;
    for (int n = imin(t->lines_ahead, k / 2); n > 0; n--, k -= 2, line += x_plane) {
        __builtin_prefetch(line, 0, 2);
        point_taps(tc, tv, 2, &x, &w, acc);
    }
    for (; k >= 4; k -= 4) point_taps(tc, tv, 4, &x, &w, acc);
    for (; k > 0; k--) point_taps(tc, tv, 1, &x, &w, acc);
    float *y = t->y;
    UNROLL for (int c = 0; c < tc; c++, y += y_channel)
        UNROLL for (int v = 0; v < tv; v++) vf_store(y + v * VL, acc[c][v]);
}

/* The body with constant sizes, so that the tile lives in registers. */
typedef void point_fn(const struct point_tile *t);
#define POINT(TC, TV) static void point_##TC##_##TV(const struct point_tile *t) { point_body(TC, TV, t); }
#if TILE_X >= 4
#define POINTS(TC) POINT(TC, 1) POINT(TC, 2) POINT(TC, 3) POINT(TC, 4)
#define POINT_ROW(TC) { point_##TC##_1, point_##TC##_2, point_##TC##_3, point_##TC##_4 }
#else
#define POINTS(TC) POINT(TC, 1) POINT(TC, 2)
#define POINT_ROW(TC) { point_##TC##_1, point_##TC##_2 }
#endif
POINTS(1) POINTS(2) POINTS(3) POINTS(4) POINTS(5) POINTS(6)

static point_fn *const point_of[TILE_C][TILE_X] = { /* [outputs - 1][vectors - 1] */
    POINT_ROW(1), POINT_ROW(2), POINT_ROW(3), POINT_ROW(4), POINT_ROW(5), POINT_ROW(6),
};

/* Channels k at vectors v. */
struct view {
    struct part k, v;
};

/* All outputs from some channels at some vectors. The first tile of outputs gathers these vectors, for they come from
 * far apart, into `window`, where the others find them one after another. next: what follows, empty if nothing does. */
static void run_view(const struct points *s, struct view now, struct view next, float *window)
{
    enum { LINE = 16 };
    const size_t plane = (size_t)s->vectors * VL;
    const float *const x = s->x + (size_t)now.k.begin * plane + (size_t)(now.v.begin * VL);
    const float *const ahead = s->x + (size_t)next.k.begin * plane + (size_t)(next.v.begin * VL);
    const int count = tile_count(s->outputs), widths = tiles(now.v.size, TILE_X);
    const int lines = imax(1, tiles(next.v.size * VL, LINE)), turns = tiles(count * widths, lines); /* of a channel */
    struct point_tile t = {
        .channels = now.k.size, .y_channel = plane, .x_plane = plane, .go_on = now.k.begin > 0,
    };
    struct part o = part_of(s->outputs, count, 0);
    for (int i = 0, turn = 0; i < count; i++, next_part(&o)) {
        float *const y = s->y + (size_t)o.begin * plane + (size_t)(now.v.begin * VL);
        t.w = s->w + (size_t)(o.begin * s->channels + now.k.begin * o.size);
        t.bias = s->bias ? s->bias + o.begin : NULL;
        struct part n = part_of(now.v.size, widths, 0);
        for (int j = 0; j < widths; j++, turn++, next_part(&n)) {
            const struct part far = part_of(next.k.size, turns, turn / lines);
            t.ahead = ahead + (size_t)far.begin * plane + turn % lines * LINE;
            t.lines_ahead = far.size;
            float *const gathered = window + n.begin * now.k.size * VL;
            t.x = i ? gathered : x + n.begin * VL;
            t.keep = i ? NULL : gathered;
            t.y = y + n.begin * VL;
            point_of[o.size - 1][n.size - 1](&t);
        }
    }
}

static void run_points(const struct points *s, float *window)
{
    enum {
        NEAR = 8 * 1024, /* floats of a window: a cache of 32 KB, most of one of 48 KB; */
        RUN = 128        /* of a channel: what memory likes to give at a time */
    };
    const int blocks = tiles(s->channels, NEAR / (TILE_X * VL));
    struct view now = { .k = part_of(s->channels, blocks, 0) };
    for (int block = 0; block < blocks; block++) {
        const int span = imin(NEAR / now.k.size, RUN) / (TILE_X * VL) * TILE_X, windows = tiles(s->vectors, span);
        struct view next = now;
        now.v = part_of(s->vectors, windows, 0);
        for (int i = 0; i < windows; i++, now = next) {
            next = now;
            next_part(&next.v);
            if (i + 1 == windows) {
                next_part(&next.k);
                next.v = part_of(s->vectors, windows, 0);
                if (block + 1 == blocks) next.k.size = 0;
            }
            run_view(s, now, next, window);
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
