/* The gradient by weight for samples that do not lie side by side (lanes 1). Part of conv_tmpl.h.
 *
 * A vector holds VL output channels: dy is turned to (position, channel), and each tap's gradients are one chain over
 * the positions, with x broadcast. Several samples have each their lane (sample mod 16), added by the tree at the end,
 * so the chains of all taps are kept per lane. */
#ifndef CR_SIMD_CONV_SINGLE_TMPL_H
#define CR_SIMD_CONV_SINGLE_TMPL_H

#include "simd/conv_border_tmpl.h"

/* The outputs' positions: (oy, ox) meets x[offset of the tap + oy * x_row + ox * x_step]. */
struct positions {
    int height, width;
    size_t x_row, x_step;
};

enum { TAPS = TILE_O * TILE_T / 2 }; /* of a register tile: TAPS x 2 vectors of channels */

/* acc[t][v] += sum over positions of dy[position][v] * x[offset[t] + position]. */
static inline __attribute__((always_inline)) void single_tile(const int tt, const int tv, const struct positions *f,
                                                              const float *x, const size_t *offset, const float *dyt,
                                                              size_t dyt_step, float *acc, size_t acc_step, int go_on)
{
    vf a[TAPS][2];
    const float *xt[TAPS];
    UNROLL for (int t = 0; t < tt; t++)
    {
        xt[t] = x + offset[t];
        UNROLL for (int v = 0; v < tv; v++) a[t][v] = go_on ? vf_load(acc + (size_t)t * acc_step + v * VL) : vf_zero();
    }
    for (int oy = 0; oy < f->height; oy++) {
        size_t xi = (size_t)oy * f->x_row;
        for (int ox = 0; ox < f->width; ox++, xi += f->x_step, dyt += dyt_step) {
            vf g[2];
            UNROLL for (int v = 0; v < tv; v++) g[v] = vf_load(dyt + v * VL);
            UNROLL for (int t = 0; t < tt; t++)
            {
                const vf in = vf_set1(xt[t][xi]);
                UNROLL for (int v = 0; v < tv; v++) a[t][v] = vf_fma(in, g[v], a[t][v]);
            }
        }
    }
    UNROLL for (int t = 0; t < tt; t++)
        UNROLL for (int v = 0; v < tv; v++) vf_store(acc + (size_t)t * acc_step + v * VL, a[t][v]);
}

#define SINGLE_TILE(TT, TV) single_tile(TT, TV, f, x, offset, dyt, dyt_step, acc, acc_step, go_on)

/* Any number of taps: whole tiles, then ever smaller ones. */
static void single_taps(int taps, int vectors, const struct positions *f, const float *x, const size_t *offset,
                        const float *dyt, size_t dyt_step, float *acc, size_t acc_step, int go_on)
{
    while (taps > 0) {
        const int tt = taps >= TAPS ? TAPS : taps >= 5 ? 5 : taps >= 2 ? 2 : 1;
        if (vectors == 2) {
            if (tt == TAPS) SINGLE_TILE(TAPS, 2);
            else if (tt == 5) SINGLE_TILE(5, 2);
            else if (tt == 2) SINGLE_TILE(2, 2);
            else SINGLE_TILE(1, 2);
        } else {
            if (tt == TAPS) SINGLE_TILE(TAPS, 1);
            else if (tt == 5) SINGLE_TILE(5, 1);
            else if (tt == 2) SINGLE_TILE(2, 1);
            else SINGLE_TILE(1, 1);
        }
        taps -= tt;
        offset += tt;
        acc += (size_t)tt * acc_step;
    }
}

/* Turn a square: up to VL rows of n <= VL values, in whole vectors. whole: those of `to` have room for them too. */
static inline __attribute__((always_inline)) void turn_square(int rows, int n, const float *from, size_t from_step,
                                                              float *to, size_t to_step, int whole)
{
    vf square[VL];
    UNROLL for (int k = 0; k < VL; k++) square[k] = vf_load(from + (size_t)imin(k, rows - 1) * from_step);
    vf_transpose(square);
    if (whole || rows == VL)
        UNROLL for (int k = 0; k < VL; k++)
        {
            if (k < n) vf_store(to + (size_t)k * to_step, square[k]);
        }
    else
        UNROLL for (int k = 0; k < VL; k++)
        {
            if (k < n) vf_store_n(to + (size_t)k * to_step, square[k], rows);
        }
}

/* Where rows have room for whole vectors; behind the values of `to` there is then anything finite. */
enum room { ROOM_NOWHERE, ROOM_TO = 1, ROOM_FROM = 2 };

/* Turn `rows` rows of n values into n rows of `rows` values. from_step, to_step: floats from a row to the next. */
static void turn(int rows, size_t n, const float *from, size_t from_step, float *to, size_t to_step, enum room room)
{
    for (int r = 0; r < rows; r += VL) {
        const int count = imin(VL, rows - r), whole = room & ROOM_TO;
        const float *const first = from + (size_t)r * from_step;
        float *const column = to + r;
        size_t i = 0;
        for (; i + VL <= n; i += VL)
            turn_square(count, VL, first + i, from_step, column + i * to_step, to_step, whole);
        if (i < n && room & ROOM_FROM)
            turn_square(count, (int)(n - i), first + i, from_step, column + i * to_step, to_step, whole);
        else if (i < n && n >= VL) /* some again */
            turn_square(count, VL, first + n - VL, from_step, column + (n - VL) * to_step, to_step, whole);
        else
            for (; i < n; i++) {
                float *const row = column + i * to_step;
                if (whole) vf_store(row, vf_zero());
                for (int k = 0; k < count; k++) row[k] = first[(size_t)k * from_step + i];
            }
    }
}

/* The tree of eight lanes, in registers. */
static void single_tree_of_eight(float *acc, size_t n)
{
    for (size_t k = 0; k < n; k += VL) {
        vf sum[8];
        UNROLL for (int i = 0; i < 8; i++) sum[i] = vf_load(acc + (size_t)i * n + k);
        UNROLL for (int half = 4; half > 0; half /= 2)
            UNROLL for (int i = 0; i < half; i++) sum[i] = vf_add(sum[i], sum[i + half]);
        vf_store(acc + k, sum[0]);
    }
}

/* acc[k] (lanes 0..lanes-1 of n values each, whole vectors, one after another) to the tree's sums, in lane 0. Absent
 * lanes are +0. */
static void single_tree(float *acc, size_t n, int lanes)
{
    if (lanes == 8) {
        single_tree_of_eight(acc, n);
        return;
    }
    for (int half = 8; half > 0; half /= 2)
        for (int i = 0; i < half; i++)
            if (i + half < lanes)
                for (size_t k = 0; k < n; k += VL) {
                    float *const to = acc + (size_t)i * n + k;
                    vf_store(to, vf_add(vf_load(to), vf_load(to + (size_t)half * n)));
                }
}

static void dense_backward_weight(const struct cr_conv *c, struct cr_samples s, const float *x, const float *dy,
                                  float *dw, float *db, float *scratch)
{
    const int area = c->kh * c->kw, taps = c->in_c * area, lanes = imin(s.n, 16);
    const size_t width = (size_t)(c->in_w + 2 * c->pad), plane = (size_t)(c->in_h + 2 * c->pad) * width;
    const size_t positions = (size_t)c->out_h * (size_t)c->out_w;
    const size_t step = ((size_t)c->out_c + VL - 1) / VL * VL, chains = ((size_t)taps + 1) * step;
    const struct positions f = {
        .height = c->out_h, .width = c->out_w, .x_row = (size_t)c->stride * width, .x_step = (size_t)c->stride,
    };
    /* scratch: chains of each lane (taps, then the bias; channels fastest), dy channels last, offsets of taps, x */
    float *const acc = scratch, *const dyt = acc + (size_t)lanes * chains;
    size_t *const offset = (size_t *)(void *)(dyt + (positions * step + 15) / 16 * 16);
    float *const bordered = (float *)(void *)(offset + ((size_t)taps + 7) / 8 * 8);

    size_t *next = offset;
    for (size_t k = 0; k < (size_t)c->in_c; k++)
        for (size_t ky = 0; ky < (size_t)c->kh; ky++)
            for (size_t kx = 0; kx < (size_t)c->kw; kx++) *next++ = k * plane + ky * width + kx;
    for (int i = 0; i < s.n; i++) {
        const float *in = x + (size_t)i * (size_t)c->in_c * (size_t)c->in_h * (size_t)c->in_w;
        float *const lane = acc + (size_t)(i % 16) * chains;
        if (c->pad) {
            copy_bordered((size_t)c->in_c, c->in_h, c->in_w, 1, all_round(c), in, (size_t)(c->in_h * c->in_w),
                          bordered, plane);
            in = bordered;
        }
        turn(c->out_c, positions, dy + (size_t)i * (size_t)c->out_c * positions, positions, dyt, step, ROOM_TO);
        for (size_t o = 0; o < step; o += 2 * VL)
            single_taps(taps, o + VL < step ? 2 : 1, &f, in, offset, dyt + o, step, lane + o, step, i >= 16);
        for (size_t o = 0; o < step; o += VL) {
            float *const bias = lane + (size_t)taps * step + o;
            vf sum = i >= 16 ? vf_load(bias) : vf_zero();
            for (size_t p = 0; p < positions; p++) sum = vf_add(sum, vf_load(dyt + p * step + o));
            vf_store(bias, sum);
        }
    }
    single_tree(acc, chains, lanes);
    turn(taps, (size_t)c->out_c, acc, step, dw, (size_t)taps, ROOM_FROM);
    put_copy(db, acc + (size_t)taps * step, (size_t)c->out_c);
}

#endif
