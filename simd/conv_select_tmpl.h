/* The gradients of a convolution with a 2x2 max-pool behind it, half of its zeros left out. Part of conv_tmpl.h, for
 * instruction sets that select between two vectors beside their multiplications without slowing these down.
 *
 * Of two neighbours in a row of a cell at most one is not zero, another one in each lane. So instead of two products
 * per row and cell there is one, whose other factor is selected lane by lane: of two pixels of x in the gradient by
 * weight, of two weights in the gradient by input. Rows and cells ascend, so the chains are the same but for zeros. */
#ifndef CR_SIMD_CONV_SELECT_TMPL_H
#define CR_SIMD_CONV_SELECT_TMPL_H

#include "simd/conv_pool_tmpl.h"

/* dy in rows of cells, [group][channel][output row][cell], +0 where the winner is in the other row; and in which of the
 * cell's two columns it is, [group][channel][cell row][cell]. */
struct halves {
    const float *dy;
    const lane_bits *right;
};

/* Which window widths there are kernels for, and images wide enough for a tile of the gradient by input. */
enum { SELECT_PIXELS = 6 };
static int select_fits(const struct cr_conv *c, struct cr_samples s)
{
    return s.lanes == VL && (c->kw == 3 || c->kw == 5) && c->in_w >= SELECT_PIXELS;
}

static void halve(const struct cr_conv *c, struct cr_samples s, const float *dy, const struct winner *won, float *rows,
                  lane_bits *right)
{
    const size_t row = (size_t)cell_columns(c) * VL;
    for (int y = 0; y < cr_groups(s) * c->out_c * cell_rows(c); y++, rows += 2 * row, dy += row)
        for (size_t at = 0; at < row; at += VL, won++) {
            const vf g = vf_load(dy + at);
            const vm lower = vm_from_bits(won->lower);
            vf_store(rows + at, vf_select(lower, vf_zero(), g));
            vf_store(rows + at + row, vf_select(lower, g, vf_zero()));
            *right++ = won->right;
        }
}

/* ---- by weight */

enum { SELECT_O = 2, SELECT_TAPS = 10 }; /* a register tile: output channels, taps at most */

/* Cells of one channel of one group, and x below them; strides in floats, of `right` in cells. */
struct select_field {
    int rows;            /* of outputs */
    size_t columns;      /* cells in a row */
    size_t x_row;
    size_t dy_channel, right_channel;
};

/* lane[(o * tr + r) * kw + k][0..VL) = chains from +0, or from what is there if go_on: `to` output channels, tr rows of
 * a window of kw taps, x[r] under the first of each. To load a mask costs as much as two products, so that few output
 * channels and many taps share it. */
static inline __attribute__((always_inline)) void select_weight_body(const int to, const int tr, const int kw,
                                                                     const struct select_field *f,
                                                                     const float *const *x, struct halves h,
                                                                     float *lane, int go_on)
{
    vf acc[SELECT_O][SELECT_TAPS];
    const float *xr[SELECT_TAPS];
    UNROLL for (int r = 0; r < tr; r++) xr[r] = x[r];
    UNROLL for (int o = 0; o < to; o++)
        UNROLL for (int t = 0; t < tr * kw; t++)
            acc[o][t] = go_on ? vf_load(lane + (o * tr * kw + t) * 16) : vf_zero();
    for (int row = 0; row < f->rows; row++) {
        const float *g = h.dy + (size_t)row * f->columns * VL;
        const lane_bits *right = h.right + (size_t)(row / 2) * f->columns;
        size_t xi = (size_t)row * f->x_row;
        for (const size_t end = xi + f->columns * 2 * VL; xi < end; xi += 2 * VL, right++, g += VL) {
            vf go[SELECT_O];
            vm second[SELECT_O];
            FORGET(xi);
            UNROLL for (int o = 0; o < to; o++)
            {
                go[o] = vf_load(g + (size_t)o * f->dy_channel);
                second[o] = vm_from_bits(right[(size_t)o * f->right_channel]);
            }
            UNROLL for (int r = 0; r < tr; r++)
            {
                vf in[6];
                UNROLL for (int k = 0; k <= kw; k++) in[k] = vf_load(xr[r] + xi + k * VL);
                UNROLL for (int o = 0; o < to; o++)
                    UNROLL for (int k = 0; k < kw; k++)
                        acc[o][r * kw + k] = vf_fma(vf_select(second[o], in[k + 1], in[k]), go[o], acc[o][r * kw + k]);
            }
        }
    }
    UNROLL for (int o = 0; o < to; o++)
        UNROLL for (int t = 0; t < tr * kw; t++) vf_store(lane + (o * tr * kw + t) * 16, acc[o][t]);
}

typedef void select_weight_fn(const struct select_field *f, const float *const *x, struct halves h, float *lane,
                              int go_on);
#define SELECT_WEIGHT(TO, TR, KW)                                                                                      \
    static void select_weight_##TO##_##TR##_##KW(const struct select_field *f, const float *const *x, struct halves h, \
                                                 float *lane, int go_on)                                               \
    {                                                                                                                  \
        select_weight_body(TO, TR, KW, f, x, h, lane, go_on);                                                          \
    }
#define SELECT_WEIGHTS(TR, KW) SELECT_WEIGHT(1, TR, KW) SELECT_WEIGHT(2, TR, KW)
SELECT_WEIGHTS(1, 3) SELECT_WEIGHTS(2, 3) SELECT_WEIGHTS(3, 3) SELECT_WEIGHTS(1, 5) SELECT_WEIGHTS(2, 5)

static select_weight_fn *const select_weight_3[3][SELECT_O] = { /* [rows - 1][channels - 1] */
    { select_weight_1_1_3, select_weight_2_1_3 },
    { select_weight_1_2_3, select_weight_2_2_3 },
    { select_weight_1_3_3, select_weight_2_3_3 },
};
static select_weight_fn *const select_weight_5[2][SELECT_O] = {
    { select_weight_1_1_5, select_weight_2_1_5 },
    { select_weight_1_2_5, select_weight_2_2_5 },
};

static select_weight_fn *select_weight_for(int kw, int tr, int to)
{
    return kw == 3 ? select_weight_3[tr - 1][to - 1] : select_weight_5[tr - 1][to - 1];
}

/* dy: planes of `positions` vectors, `channels` of them a group. */
static void select_bias(int channels, size_t positions, struct cr_samples s, const float *dy, float *db)
{
    enum { SOME = 8 };
    for (int o = 0; o < channels; o += SOME, dy += SOME * positions * VL) {
        const int n = imin(SOME, channels - o);
        float lane[SOME + 3][16];
        for (int g = 0; g < cr_groups(s); g++)
            bias_rows(n, positions, dy + (size_t)(g * channels) * positions * VL, positions * VL,
                      &lane[0][g * VL % 16], g * VL >= 16);
        for (int h = 0; h < cr_blocks(s); h++) block_trees(lane, n, s, h, db + h * channels + o);
    }
}

static void select_backward_weight(const struct cr_conv *c, struct cr_samples s, const float *x, struct halves h,
                                   float *dw, float *db, float *scratch)
{
    const size_t x_row = (size_t)(c->in_w + 2 * c->pad) * VL, x_plane = (size_t)(c->in_h + 2 * c->pad) * x_row;
    const size_t cells = (size_t)(cell_rows(c) * cell_columns(c));
    const struct select_field f = {
        .rows = 2 * cell_rows(c), .columns = (size_t)cell_columns(c), .x_row = x_row,
        .dy_channel = 2 * cells * VL, .right_channel = cells,
    };
    const int groups = cr_groups(s), o_tiles = tiles(c->out_c, SELECT_O), window_rows = c->in_c * c->kh;
    const int r_tiles = tiles(window_rows, SELECT_TAPS / c->kw);

    if (c->pad) {
        copy_bordered((size_t)(groups * c->in_c), c->in_h, c->in_w, VL, all_round(c), x,
                      (size_t)(c->in_h * c->in_w) * VL, scratch, x_plane);
        x = scratch;
    }
    enum { LOT = 64 * 1024 }; /* floats: as many channel tiles at a time as stay in cache */
    const int lot = imax(1, (int)(LOT / ((size_t)(SELECT_O * groups) * f.dy_channel)));
    for (int first = 0; first < o_tiles; first += lot)
        for (int k = 0; k < r_tiles; k++)
            for (int i = first; i < imin(first + lot, o_tiles); i++) {
                const int o = share(c->out_c, i, o_tiles), to = share(c->out_c, i + 1, o_tiles) - o;
                const int row = share(window_rows, k, r_tiles), tr = share(window_rows, k + 1, r_tiles) - row;
                select_weight_fn *const run = select_weight_for(c->kw, tr, to);
                const int taps = tr * c->kw;
                float lane[SELECT_O * SELECT_TAPS + 3][16], sum[SELECT_O * SELECT_TAPS];
                for (int g = 0; g < groups; g++) {
                    const size_t plane = (size_t)(g * c->out_c + o);
                    const float *xr[SELECT_TAPS];
                    for (int r = 0; r < tr; r++)
                        xr[r] = x + (size_t)(g * c->in_c + (row + r) / c->kh) * x_plane +
                                (size_t)((row + r) % c->kh) * x_row;
                    run(&f, xr, (struct halves){ h.dy + plane * f.dy_channel, h.right + plane * cells },
                        &lane[0][g * VL % 16], g * VL >= 16);
                }
                for (int b = 0; b < cr_blocks(s); b++) {
                    const int channel = b * c->out_c + o;
                    block_trees(lane, to * taps, s, b, sum);
                    for (int a = 0; a < to; a++)
                        put_copy(dw + ((size_t)(channel + a) * (size_t)window_rows + (size_t)row) * (size_t)c->kw,
                                 sum + a * taps, (size_t)taps);
                }
            }
    select_bias(c->out_c, 2 * cells, s, h.dy, db);
}

/* ---- by input */

/* A row of pixels of dx for all rows of dy that reach it; strides in floats, of `right` in cells. */
struct select_row {
    int channels;        /* of dy */
    int top, bottom;     /* rows of dy, ascending; row y meets the weights of window row `last - y` */
    int last;
    int kh, columns;
    size_t dy_channel, right_channel;
    size_t dx_channel;
};

enum { SELECT_C = 3, REACH = 6 }; /* channels of a tile, cells that may reach it */

/* SELECT_PIXELS pixels of tc channels of dx, the first of them in column `at` of the bordered image, of parity `odd`.
 * w: (channel of dy, window row, tile channel, window column). The first cell that reaches the tile has its left output
 * e0 columns before pixel 0, the r-th after it has pixel p under its window's column e = e0 + p - 2 r if the winner is
 * on the left, else e - 1. clip: some of these cells lie beside the row. */
static inline __attribute__((always_inline)) void select_input_body(const int tc, const int kw, const int odd,
                                                                    const int clip, const struct select_row *p, int at,
                                                                    struct halves h, const float *w, float *dx)
{
    const int e0 = kw - (kw + odd) % 2, reach = (e0 + SELECT_PIXELS - 1) / 2 + 1;
    const int first = (at - e0) / 2;
    const unsigned low = first < 0 ? ~0u << -first : ~0u, high = ~0u << imin(reach, p->columns - first);
    const unsigned inside = low & ~high; /* bit r: the cell exists */
    vf acc[SELECT_C][SELECT_PIXELS];
    UNROLL for (int c = 0; c < tc; c++)
        UNROLL for (int px = 0; px < SELECT_PIXELS; px++) acc[c][px] = vf_zero();
    const float *dy = h.dy + ((ptrdiff_t)p->top * p->columns + first) * VL;
    const lane_bits *right = h.right + first;
    w += (p->last - p->top) * tc * kw;
    for (int o = 0; o < p->channels; o++, dy += p->dy_channel, right += p->right_channel, w += p->kh * tc * kw) {
        const float *g = dy, *wy = w;
        for (int y = p->top; y <= p->bottom; y++, g += p->columns * VL, wy -= tc * kw) {
            const lane_bits *const ry = right + y / 2 * p->columns;
            vf gr[REACH];
            vm second[REACH];
            UNROLL for (int r = 0; r < reach; r++)
            {
                if (clip && !(inside & 1u << r)) continue;
                gr[r] = vf_load(g + r * VL);
                second[r] = vm_from_bits(ry[r]);
            }
            UNROLL for (int c = 0; c < tc; c++)
            {
                vf wk[5];
                UNROLL for (int k = 0; k < kw; k++) wk[k] = vf_set1(wy[c * kw + k]);
                UNROLL for (int r = 0; r < reach; r++)
                {
                    if (clip && !(inside & 1u << r)) continue;
                    UNROLL for (int px = 0; px < SELECT_PIXELS; px++)
                    {
                        const int e = e0 + px - 2 * r;
                        if (e < 0 || e > kw) continue;
                        const vf wl = e < kw ? wk[e] : vf_zero(), wr = e > 0 ? wk[e - 1] : vf_zero();
                        acc[c][px] = vf_fma(vf_select(second[r], wr, wl), gr[r], acc[c][px]);
                    }
                }
            }
        }
    }
    UNROLL for (int c = 0; c < tc; c++)
        UNROLL for (int px = 0; px < SELECT_PIXELS; px++)
            vf_store(dx + (size_t)c * p->dx_channel + px * VL, acc[c][px]);
}

typedef void select_input_fn(const struct select_row *p, int at, struct halves h, const float *w, float *dx);
#define SELECT_INPUT(TC, KW, ODD)                                                                                      \
    static void select_input_##TC##_##KW##_##ODD(const struct select_row *p, int at, struct halves h, const float *w,  \
                                                 float *dx)                                                            \
    {                                                                                                                  \
        if (at >= KW && at + SELECT_PIXELS <= 2 * p->columns)                                                          \
            select_input_body(TC, KW, ODD, 0, p, at, h, w, dx);                                                        \
        else                                                                                                           \
            select_input_body(TC, KW, ODD, 1, p, at, h, w, dx);                                                        \
    }
#define SELECT_INPUTS(KW, ODD) SELECT_INPUT(1, KW, ODD) SELECT_INPUT(2, KW, ODD) SELECT_INPUT(3, KW, ODD)
#define SELECT_INPUT_ROW(KW, ODD)                                                                                      \
    {                                                                                                                  \
        select_input_1_##KW##_##ODD, select_input_2_##KW##_##ODD, select_input_3_##KW##_##ODD                          \
    }
SELECT_INPUTS(3, 0) SELECT_INPUTS(3, 1) SELECT_INPUTS(5, 0) SELECT_INPUTS(5, 1)

/* Weights of a tile: (channel of dy, window row, tile channel, window column). Tile from channel i on is at
 * i * out_c * kh * kw. */
static void pack_select(const struct cr_conv *c, const float *w, size_t step, float *packed)
{
    const size_t area = (size_t)(c->kh * c->kw);
    const int count = tiles(c->in_c, SELECT_C);
    for (int tile = 0; tile < count; tile++) {
        const int i = share(c->in_c, tile, count), end = share(c->in_c, tile + 1, count);
        for (int o = 0; o < c->out_c; o++)
            for (int ky = 0; ky < c->kh; ky++)
                for (int k = i; k < end; k++, packed += c->kw)
                    put_copy(packed, w + (size_t)o * step + (size_t)k * area + (size_t)(ky * c->kw),
                             (size_t)c->kw);
    }
}

static void select_backward_input(const struct cr_conv *c, struct cr_samples s, struct halves h, const float *w,
                                  size_t step, float *dx, float *scratch)
{
    static select_input_fn *const three[2][SELECT_C] = { SELECT_INPUT_ROW(3, 0), SELECT_INPUT_ROW(3, 1) };
    static select_input_fn *const five[2][SELECT_C] = { SELECT_INPUT_ROW(5, 0), SELECT_INPUT_ROW(5, 1) };
    const size_t cells = (size_t)(cell_rows(c) * cell_columns(c)), plane = (size_t)(c->in_h * c->in_w) * VL;
    const int count = tiles(c->in_c, SELECT_C);
    struct select_row p = {
        .channels = c->out_c, .kh = c->kh, .columns = cell_columns(c),
        .dy_channel = 2 * cells * VL, .right_channel = cells, .dx_channel = plane,
    };

    pack_select(c, w, step, scratch);
    for (int g = 0; g < cr_groups(s); g++) {
        for (int tile = 0; tile < count; tile++) {
            const int i = share(c->in_c, tile, count), tc = share(c->in_c, tile + 1, count) - i;
            const float *const packed = scratch + (size_t)(i * c->out_c * c->kh * c->kw);
            for (int y = 0; y < c->in_h; y++) {
                p.last = y + c->pad;
                p.top = imax(0, p.last - c->kh + 1);
                p.bottom = imin(2 * cell_rows(c) - 1, p.last);
                for (int from = 0; from < c->in_w; from += SELECT_PIXELS) {
                    const int px = imin(from, c->in_w - SELECT_PIXELS), at = px + c->pad;
                    (c->kw == 3 ? three : five)[at % 2][tc - 1](
                        &p, at, h, packed, dx + (size_t)i * plane + (size_t)(y * c->in_w + px) * VL);
                }
            }
        }
        dx += (size_t)c->in_c * plane;
        h.dy += (size_t)c->out_c * p.dy_channel;
        h.right += (size_t)c->out_c * cells;
    }
}

static void select_backward(const struct cr_conv *c, struct cr_samples s, const float *x, const float *dy,
                            const void *won, const float *w, size_t step, float *dw, float *db, float *dx,
                            float *scratch)
{
    const size_t cells = (size_t)(cr_groups(s) * c->out_c * cell_rows(c) * cell_columns(c));
    float *const rows = scratch, *const rest = rows + (3 * cells * VL + 15) / 16 * 16;
    lane_bits *const right = (lane_bits *)(void *)(rows + 2 * cells * VL);
    const struct halves h = { rows, right };

    halve(c, s, dy, won, rows, right);
    if (dw) select_backward_weight(c, s, x, h, dw, db, rest);
    if (dx) select_backward_input(c, s, h, w, step, dx, rest);
}

#endif
