/* Forward and gradient by input: the register tile. Part of conv_tmpl.h.
 *
 * For a few channels and a few vectors of one row, it walks the taps (channel, ty, tx) in ascending order, one
 * broadcast weight per channel and one load per vector. */
#ifndef CR_SIMD_CONV_TILE_TMPL_H
#define CR_SIMD_CONV_TILE_TMPL_H

#include "simd/conv_border_tmpl.h"

/* Where a vector is a whole line of cache, rows of x are read where they lie, if tiles can do without zeros beside
 * them. Of shorter vectors a tile reads less from each channel: then it is better to have it all near. */
enum { IN_PLACE = VL >= 16 };

/* Outputs y[channel][row][p] = bias + sum over k, ty, tx of x[k][row's top + ty][p * x_step + tx] * w, for the
 * channels of a tile. Strides in floats. */
struct plane {
    int lanes, pixels, rows;
    const float *x;             /* (channel 0, row 0) at the first tap of pixel 0 */
    size_t x_channel, x_row, x_step;
    int channels, taps_y, taps_x;
    int top, top_step, height;  /* row of x under tap ty = 0: top + row * top_step; rows 0..height-1 exist */
    int first, last, step_px;   /* columns first..last of x exist; pixel p meets p * step_px + tx */
    int outputs;                /* channels of y */
    const float *w;             /* packed: (tile of outputs, channel, ty, tx, output) */
    int first_tap;              /* of channel 0 */
    size_t w_output;            /* weights of an output, those of all its channels */
    float *y;
    size_t y_channel, y_row, y_step;
    const float *bias;          /* per output, or NULL for +0 */
    int go_on;                  /* y holds what earlier channels gave; bias is in it */
};

struct tile {
    const float *x[TILE_X];     /* of each vector, at the row of its first tap */
    float *y[TILE_X];
    const float *w, *bias;
    int ty, t0, t1;             /* taps: ty rows, columns t0..t1-1 */
    int lead, trail;            /* the first vector lacks the first of these columns, the last one the last */
};

/* One tap of the walk, of vectors from..to-1. narrow: one vector that is wider than the row. */
static inline __attribute__((always_inline)) void tile_tap(const int tc, const int from, const int to, const int narrow,
                                                           const struct plane *p, const float *const *x, size_t at,
                                                           const float *w, vf (*acc)[TILE_X])
{
    vf in[TILE_X];
    UNROLL for (int v = from; v < to; v++) in[v] = narrow ? vf_load_n(x[v] + at, p->pixels) : vf_load(x[v] + at);
    UNROLL for (int c = 0; c < tc; c++)
    {
        const vf wc = vf_set1(w[c]);
        UNROLL for (int v = from; v < to; v++) acc[c][v] = vf_fma(in[v], wc, acc[c][v]);
    }
}

/* A row of taps. lead: the first vector lacks the first of them; trail: the last vector the last. */
static inline __attribute__((always_inline)) void tile_row(const int tc, const int tv, const int narrow, const int taps,
                                                           const int lead, const int trail, const struct plane *p,
                                                           const float *const *x, size_t at, const float *w,
                                                           vf (*acc)[TILE_X])
{
    UNROLL for (int tx = 0; tx < taps; tx++)
        tile_tap(tc, lead && tx == 0, tv - (trail && tx == taps - 1), narrow, p, x, at + (size_t)(tx * p->lanes),
                 w + tx * tc, acc);
}

/* The same where the vectors are pixels side by side: each one is loaded once, in the place of the one that is done
 * with. */
static inline __attribute__((always_inline)) void tile_row_along(const int tc, const int tv, const int taps,
                                                                 const int lead, const int trail, const float *x,
                                                                 const float *w, vf (*acc)[TILE_X])
{
    vf in[TILE_X];
    UNROLL for (int v = lead; v < tv; v++) in[v] = vf_load(x + v * VL);
    UNROLL for (int tx = 0; tx < taps; tx++, w += tc)
    {
        const int from = lead && tx == 0, to = tv - (trail && tx == taps - 1);
        if (tx > 0 && to == tv) in[(tx - 1) % tv] = vf_load(x + (tv + tx - 1) * VL);
        UNROLL for (int c = 0; c < tc; c++)
        {
            const vf wc = vf_set1(w[c]);
            UNROLL for (int v = from; v < to; v++) acc[c][v] = vf_fma(in[(v + tx) % tv], wc, acc[c][v]);
        }
    }
}

/* The walk over channels, rows of the window and taps; `fixed` taps a row if that is not 0. Beside the multiply-adds it
 * does as little as can be, for that takes their time: counters run down, steps to the next channel are laid by. */
static inline __attribute__((always_inline)) void tile_walk(const int tc, const int tv, const int narrow,
                                                            const int fixed, const struct plane *p,
                                                            const struct tile *t, const float *const *x,
                                                            vf (*acc)[TILE_X])
{
    const size_t lanes = (size_t)p->lanes, taps = fixed ? (size_t)fixed : (size_t)(t->t1 - t->t0);
    const size_t rows = (size_t)t->ty, w_row = (size_t)(p->taps_x * tc);
    const size_t x_row = p->x_row, x_channel = p->x_channel - rows * x_row;
    const size_t w_channel = ((size_t)p->taps_y - rows) * w_row;
    const float *w = t->w + t->t0 * tc;
    size_t at = (size_t)t->t0 * lanes;
    for (int k = p->channels; k > 0; k--, at += x_channel, w += w_channel)
        for (size_t row = rows; row > 0; row--, at += x_row, w += w_row)
            if (fixed)
                tile_row(tc, tv, narrow, fixed, 0, 0, p, x, at, w, acc);
            else
                for (size_t tx = 0; tx < taps; tx++)
                    tile_tap(tc, 0, tv, narrow, p, x, at + tx * lanes, w + tx * (size_t)tc, acc);
}

/* The same for a tile of two or more pixels at an end of the rows, whose outer pixel lacks the outer tap. */
static inline __attribute__((always_inline)) void tile_end(const int tc, const int tv, const int taps, const int along,
                                                           const int lead, const struct plane *p, const struct tile *t,
                                                           const float *const *x, vf (*acc)[TILE_X])
{
    const size_t rows = (size_t)t->ty, x_row = p->x_row, x_channel = p->x_channel - rows * x_row;
    const size_t w_channel = ((size_t)p->taps_y - rows) * (size_t)(taps * tc);
    const float *w = t->w;
    size_t at = 0;
    for (int k = p->channels; k > 0; k--, at += x_channel, w += w_channel)
        for (size_t row = rows; row > 0; row--, at += x_row, w += taps * tc)
            if (along)
                tile_row_along(tc, tv, taps, lead, !lead, x[0] + at, w, acc);
            else
                tile_row(tc, tv, 0, taps, lead, !lead, p, x, at, w, acc);
}

/* Rows of such windows may be read where they lie, for tiles at their ends want no zeros beside them; if these tiles
 * have two pixels or more, only one end each, and outputs enough to have loops of their own. */
static inline int ends_in_place(int taps_x, int along) { return IN_PLACE && (taps_x == 3 || (taps_x == 2 && along)); }
static inline int has_loops(int tc) { return tc > TILE_C / 2; }

/* Whether there was such an end to walk. Where rows are copied, only three taps side by side have tiles for it. */
static inline __attribute__((always_inline)) int tile_at_end(const int tc, const int tv, int along,
                                                             const struct plane *p, const struct tile *t,
                                                             const float *const *x, vf (*acc)[TILE_X])
{
    const int three = p->taps_x == 3;
    if (!t->lead && !t->trail) return 0;
    if (!(three && along) && !ends_in_place(p->taps_x, along)) return 0;
    if (three && along && t->lead)
        tile_end(tc, tv, 3, 1, 1, p, t, x, acc);
    else if (three && along)
        tile_end(tc, tv, 3, 1, 0, p, t, x, acc);
    else if (IN_PLACE && three && t->lead)
        tile_end(tc, tv, 3, 0, 1, p, t, x, acc);
    else if (IN_PLACE && three)
        tile_end(tc, tv, 3, 0, 0, p, t, x, acc);
    else if (IN_PLACE && t->lead)
        tile_end(tc, tv, 2, 1, 1, p, t, x, acc);
    else if (IN_PLACE)
        tile_end(tc, tv, 2, 1, 0, p, t, x, acc);
    return 1;
}

/* The walk over 3x3 taps of pixels side by side. With many registers, tiles are so large that even a loop over three
 * rows is felt; with few, a long body is the slower one. */
static inline __attribute__((always_inline)) void tile_three(const int tc, const int tv, const struct plane *p,
                                                             const struct tile *t, const float *x, vf (*acc)[TILE_X])
{
    const size_t x_row = p->x_row, x_channel = p->x_channel;
    const float *w = t->w;
    for (int k = p->channels; k > 0; k--, x += x_channel, w += 9 * tc)
        UNROLL for (int ty = 0; ty < 3; ty++)
            tile_row_along(tc, tv, 3, 0, 0, x + (size_t)ty * x_row, w + 3 * ty * tc, acc);
}

/* The same for a single tap: one loop is enough. */
static inline __attribute__((always_inline)) void tile_one_tap(const int tc, const int tv, const int narrow,
                                                               const struct plane *p, const struct tile *t,
                                                               const float *const *x, vf (*acc)[TILE_X])
{
    const size_t x_channel = p->x_channel, w_channel = (size_t)(p->taps_y * p->taps_x * tc);
    const float *w = t->w + t->t0 * tc;
    size_t at = (size_t)(t->t0 * p->lanes);
    for (int k = p->channels; k > 0; k--, at += x_channel, w += w_channel)
        tile_tap(tc, 0, tv, narrow, p, x, at, w, acc);
}

static inline __attribute__((always_inline)) void tile_taps(const int tc, const int tv, const int narrow,
                                                            const struct plane *p, const struct tile *t,
                                                            const float *const *x, vf (*acc)[TILE_X])
{
    const int taps = t->t1 - t->t0; /* of a row */
    const int often = has_loops(tc); /* of their own, for the usual windows */
    const int along = p->lanes == VL && p->x_step == VL && x[tv - 1] == x[0] + (tv - 1) * VL;
    const int square = taps == 3 && t->ty == 3 && p->taps_x == 3 && p->taps_y == 3;
    if (t->ty == 0 || taps == 0)
        return;
    else if (t->ty == 1 && taps == 1)
        tile_one_tap(tc, tv, narrow, p, t, x, acc);
    else if (often && !narrow && tv > 1 && taps == p->taps_x && tile_at_end(tc, tv, along, p, t, x, acc))
        return;
    else if (often && !narrow && TILE_X >= 4 && square && along)
        tile_three(tc, tv, p, t, x[0], acc);
    else if (often && taps == 2)
        tile_walk(tc, tv, narrow, 2, p, t, x, acc);
    else if (often && taps == 3)
        tile_walk(tc, tv, narrow, 3, p, t, x, acc);
    else if (often && taps == 5)
        tile_walk(tc, tv, narrow, 5, p, t, x, acc);
    else
        tile_walk(tc, tv, narrow, 0, p, t, x, acc);
}

static inline __attribute__((always_inline)) void tile_body(const int tc, const int tv, const int narrow,
                                                            const struct plane *p, const struct tile *t)
{
    vf acc[TILE_C][TILE_X];
    const float *x[TILE_X];
    UNROLL for (int v = 0; v < tv; v++) x[v] = t->x[v];
    /* Channels of y are far apart: too many ways for the processor to foresee. */
    UNROLL for (int c = 0; c < tc; c++) __builtin_prefetch(t->y[0] + (size_t)c * p->y_channel, 1);
    if (p->go_on) {
        UNROLL for (int c = 0; c < tc; c++)
            UNROLL for (int v = 0; v < tv; v++)
            {
                const float *const y = t->y[v] + (size_t)c * p->y_channel;
                acc[c][v] = narrow ? vf_load_n(y, p->pixels) : vf_load(y);
            }
    } else {
        UNROLL for (int c = 0; c < tc; c++)
        {
            const vf start = t->bias ? vf_set1(t->bias[c]) : vf_zero();
            UNROLL for (int v = 0; v < tv; v++) acc[c][v] = start;
        }
    }
    tile_taps(tc, tv, narrow, p, t, x, acc);
    float *y[TILE_X]; /* here, or the compiler reads them again after each store */
    const size_t y_channel = p->y_channel;
    const int pixels = p->pixels;
    UNROLL for (int v = 0; v < tv; v++) y[v] = t->y[v];
    UNROLL for (int c = 0; c < tc; c++)
        UNROLL for (int v = 0; v < tv; v++)
        {
            if (narrow)
                vf_store_n(y[v], acc[c][v], pixels);
            else
                vf_store(y[v], acc[c][v]);
            y[v] += y_channel;
        }
}

/* The body with constant sizes, so that the tile lives in registers. */
typedef void tile_fn(const struct plane *p, const struct tile *t);
#define TILE(TC, TV)                                                                                                   \
    static void tile_##TC##_##TV(const struct plane *p, const struct tile *t) { tile_body(TC, TV ? TV : 1, !TV, p, t); }
#if TILE_X >= 4
#define TILES(TC) TILE(TC, 0) TILE(TC, 1) TILE(TC, 2) TILE(TC, 3) TILE(TC, 4)
#define TILE_ROW(TC) { tile_##TC##_0, tile_##TC##_1, tile_##TC##_2, tile_##TC##_3, tile_##TC##_4 }
#else
#define TILES(TC) TILE(TC, 0) TILE(TC, 1) TILE(TC, 2)
#define TILE_ROW(TC) { tile_##TC##_0, tile_##TC##_1, tile_##TC##_2 }
#endif
TILES(1) TILES(2) TILES(3) TILES(4) TILES(5) TILES(6)

/* [channels - 1][vectors], vectors 0 being the narrow one. */
static tile_fn *const tile_of[TILE_C][TILE_X + 1] = {
    TILE_ROW(1), TILE_ROW(2), TILE_ROW(3), TILE_ROW(4), TILE_ROW(5), TILE_ROW(6),
};

#endif
