/* Convolution and the 2x2 max-pool behind it in one go, for samples side by side. Part of conv_tmpl.h.
 *
 * Forward: a register tile is the four outputs of one window of the pool (a cell) for a few channels; only the greatest
 * is stored, and which it was. Backward: dy of the convolution is not zero but at the winners, so it is made from the
 * pooled dy where it is needed, and where vectors select by mask at no cost next to the multiplications
 * (conv_select_tmpl.h) products with its zeros are left out. */
#ifndef CR_SIMD_CONV_POOL_TMPL_H
#define CR_SIMD_CONV_POOL_TMPL_H

#include "simd/cell_winner_tmpl.h"
#include "simd/conv_rows_tmpl.h"
#include "simd/conv_weight_tmpl.h"

enum { CELL_C = TILE_C * TILE_X / 4 }; /* channels of a tile of cells: as many registers as other tiles */

/* What a tile of cells reads and writes; strides in floats. Windows begin two pixels apart. */
struct cells {
    size_t x_channel, x_row, lanes; /* a pixel is `lanes` floats */
    int channels, kh, kw;
    size_t y_channel;               /* of pooled outputs */
    size_t won_channel;
};

static inline __attribute__((always_inline)) void cell_tap(const int tc, const vf in[4], const float *w, vf (*acc)[4])
{
    UNROLL for (int c = 0; c < tc; c++)
    {
        const vf wc = vf_set1(w[c]);
        UNROLL for (int v = 0; v < 4; v++) acc[c][v] = vf_fma(in[v], wc, acc[c][v]);
    }
}

/* A row of taps, without a loop: each column of two pixels serves the outputs on its left and on its right. With few
 * registers, one of the four is read again with each multiplication. */
static inline __attribute__((always_inline)) void cell_row(const int tc, const int taps, const float *x, size_t pixel,
                                                           size_t row, const float *w, vf (*acc)[4])
{
    vf in[4] = { vf_load(x), vf_zero(), vf_load(x + row), vf_zero() };
    UNROLL for (int t = 0; t < taps; t++, w += tc)
    {
        x += pixel;
        IN_TURN();
        in[1] = vf_load(x);
        if (TILE_X >= 4) {
            in[3] = vf_load(x + row);
            cell_tap(tc, in, w, acc);
            in[2] = in[3];
        } else {
            UNROLL for (int c = 0; c < tc; c++)
            {
                IN_TURN();
                const vf wc = vf_set1(w[c]);
                UNROLL for (int v = 0; v < 3; v++) acc[c][v] = vf_fma_in(in[v], wc, acc[c][v]);
                acc[c][3] = vf_fma_at(x + row, wc, acc[c][3]);
            }
            IN_TURN();
            in[2] = vf_load(x + row);
        }
        in[0] = in[1];
    }
}

/* One cell of tc channels. x: where the first tap of its first output is. */
static inline __attribute__((always_inline)) void cell_body(const int tc, const struct cells *p, const float *x,
                                                            const float *w, const float *bias, float *y,
                                                            struct winner *won)
{
    vf acc[CELL_C][4];
    const size_t pixel = p->lanes, row = p->x_row, channel = p->x_channel - (size_t)p->kh * row;
    UNROLL for (int c = 0; c < tc; c++)
    {
        const vf start = vf_set1(bias[c]);
        UNROLL for (int v = 0; v < 4; v++) acc[c][v] = start;
    }
    const int often = tc > CELL_C / 2; /* such tiles have loops of their own for the usual windows */
    if (often && TILE_X >= 4 && p->kw == 3 && p->kh == 3) {
        for (int k = p->channels; k > 0; k--, x += p->x_channel, w += 9 * tc)
            UNROLL for (int ky = 0; ky < 3; ky++)
                cell_row(tc, 3, x + (size_t)ky * row, pixel, row, w + 3 * ky * tc, acc);
    } else if (often && p->kw == 3 && pixel == VL) {
        for (int k = p->channels; k > 0; k--, x += channel)
            for (int ky = p->kh; ky > 0; ky--, x += row, w += 3 * tc) cell_row(tc, 3, x, VL, row, w, acc);
    } else if (often && p->kw == 5 && pixel == VL) {
        for (int k = p->channels; k > 0; k--, x += channel)
            for (int ky = p->kh; ky > 0; ky--, x += row, w += 5 * tc) cell_row(tc, 5, x, VL, row, w, acc);
    } else {
        for (int k = 0; k < p->channels; k++, x += p->x_channel) {
            const float *xr = x;
            for (int ky = 0; ky < p->kh; ky++, xr += row) {
                const float *xt = xr;
                for (int kx = 0; kx < p->kw; kx++, xt += pixel, w += tc) {
                    const vf in[4] = { vf_load(xt), vf_load(xt + pixel), vf_load(xt + row), vf_load(xt + row + pixel) };
                    cell_tap(tc, in, w, acc);
                }
            }
        }
    }
    UNROLL for (int c = 0; c < tc; c++)
        vf_store(y + (size_t)c * p->y_channel, cell_winner(acc[c], won + (size_t)c * p->won_channel));
}

typedef void cell_fn(const struct cells *p, const float *x, const float *w, const float *bias, float *y,
                     struct winner *won);
#define CELL(TC)                                                                                                       \
    static void cell_##TC(const struct cells *p, const float *x, const float *w, const float *bias, float *y,          \
                          struct winner *won)                                                                          \
    {                                                                                                                  \
        cell_body(TC, p, x, w, bias, y, won);                                                                          \
    }
CELL(1) CELL(2) CELL(3)
#if TILE_C * TILE_X / 4 >= 6
CELL(4) CELL(5) CELL(6)
static cell_fn *const cell_of[CELL_C] = { cell_1, cell_2, cell_3, cell_4, cell_5, cell_6 };
#else
static cell_fn *const cell_of[CELL_C] = { cell_1, cell_2, cell_3 };
#endif

/* The pool's outputs, as rows and columns of cells. */
static int cell_rows(const struct cr_conv *c) { return c->out_h / 2; }
static int cell_columns(const struct cr_conv *c) { return c->out_w / 2; }

/* Winners of a channel of a group. */
static size_t winners_of(const struct cr_conv *c, struct cr_samples s)
{
    return (size_t)(cell_rows(c) * cell_columns(c) * (s.lanes / VL));
}

/* Rows of cells at a time, so that what one channel tile reads of x is still in cache for the next. */
static int cell_slab(const struct cr_conv *c, size_t x_row)
{
    enum { SLAB = 96 * 1024 }; /* floats: 3/8 of a cache of 1 MB */
    return imax(1, imin(cell_rows(c), (int)(SLAB / (2 * x_row * (size_t)c->in_c))));
}

static void pool_forward(const struct cr_conv *c, struct cr_samples s, const float *x, const float *w, const float *b,
                         float *y, void *won, float *scratch)
{
    const size_t lanes = (size_t)s.lanes, slices = lanes / VL, columns = (size_t)cell_columns(c);
    const size_t row_in = (size_t)c->in_w * lanes, plane_in = (size_t)c->in_h * row_in;
    const size_t cells = (size_t)cell_rows(c) * columns, taps = (size_t)(c->in_c * c->kh * c->kw);
    const int count = tiles(c->out_c, CELL_C);
    float *const packed = scratch, *const bordered = packed + packed_size(c);
    struct winner *winner = won;
    struct cells p = {
        .x_row = (size_t)(c->in_w + 2 * c->pad) * lanes, .lanes = lanes, .channels = c->in_c, .kh = c->kh,
        .kw = c->kw, .y_channel = cells * lanes, .won_channel = cells * slices,
    };
    const int slab = cell_slab(c, p.x_row);

    pack_forward(c, CELL_C, w, packed);
    for (int g = 0; g < cr_groups(s); g++, x += (size_t)c->in_c * plane_in) {
        for (int from = 0; from < cell_rows(c); from += slab) {
            const int to = imin(from + slab, cell_rows(c)), height = 2 * (to - from) + c->kh - 1;
            const int top = 2 * from - c->pad, low = imax(0, top), high = imin(c->in_h, top + height);
            const float *in = x + (size_t)low * row_in;
            p.x_channel = plane_in;
            if (c->pad) {
                const struct border z = { c->pad, c->pad, low - top, top + height - high };
                copy_bordered((size_t)c->in_c, high - low, c->in_w, s.lanes, z, in, plane_in, bordered,
                              apart((size_t)height * p.x_row));
                in = bordered;
                p.x_channel = apart((size_t)height * p.x_row);
            }
            for (int tile = 0; tile < count; tile++) {
                const int o = share(c->out_c, tile, count), tc = share(c->out_c, tile + 1, count) - o;
                cell_fn *const run = cell_of[tc - 1];
                const float *const packed_o = packed + (size_t)o * taps;
                for (int row = from; row < to; row++) {
                    const float *xi = in + (size_t)(2 * (row - from)) * p.x_row;
                    size_t at = ((size_t)o * cells + (size_t)row * columns) * slices;
                    for (size_t column = 0; column < columns; column++, xi += 2 * lanes)
                        for (size_t slice = 0; slice < slices; slice++, at++)
                            run(&p, xi + slice * VL, packed_o, b + o, y + at * VL, winner + at);
                }
            }
        }
        y += (size_t)c->out_c * cells * lanes;
        winner += (size_t)c->out_c * winners_of(c, s);
    }
}

/* dy as the convolution had it alone: every value to its winner, +0 to the others and where no cell reaches. */
static void unpool(const struct cr_conv *c, struct cr_samples s, const float *dy, const struct winner *won, float *full)
{
    const size_t lanes = (size_t)s.lanes, row = (size_t)c->out_w * lanes;
    for (int plane = 0; plane < cr_groups(s) * c->out_c; plane++) {
        for (int y = 0; y < cell_rows(c); y++, full += 2 * row) {
            float *to = full;
            for (int x = 0; x < cell_columns(c); x++, to += 2 * lanes)
                for (size_t l = 0; l < lanes; l += VL, dy += VL, won++) {
                    const vm lower = vm_from_bits(won->lower), right = vm_from_bits(won->right);
                    const vf g = vf_load(dy), l_ = vf_select(right, vf_zero(), g), r = vf_select(right, g, vf_zero());
                    vf_store(to + l, vf_select(lower, vf_zero(), l_));
                    vf_store(to + l + lanes, vf_select(lower, vf_zero(), r));
                    vf_store(to + l + row, vf_select(lower, l_, vf_zero()));
                    vf_store(to + l + row + lanes, vf_select(lower, r, vf_zero()));
                }
            if (c->out_w % 2) {
                put_zeros(to, lanes);
                put_zeros(to + row, lanes);
            }
        }
        if (c->out_h % 2) {
            put_zeros(full, row);
            full += row;
        }
    }
}

static void pool_backward(const struct cr_conv *c, struct cr_samples s, const float *x, const float *dy,
                          const void *won, const float *w, size_t step, float *dw, float *db, float *dx, float *scratch)
{
    const size_t values = (size_t)(cr_groups(s) * c->out_c * c->out_h * c->out_w * s.lanes);
    float *const full = scratch, *const rest = full + (values + 15) / 16 * 16;
    unpool(c, s, dy, won, full);
    if (dw) lanes_backward_weight(c, s, x, full, dw, db, rest);
    if (dx) rows_backward_input(c, s, full, w, step, dx, rest);
}

#endif
