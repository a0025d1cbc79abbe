/* The gradient by weight for samples side by side: the register tile, the tree over lanes, and the gradient by bias.
 * Part of conv_tmpl.h.
 *
 * A register tile of output channels x taps stays put while positions pass by: per lane, one chain over (sample, oy,
 * ox). Lanes are then added in the fixed tree. */
#ifndef CR_SIMD_CONV_WEIGHT_TILE_TMPL_H
#define CR_SIMD_CONV_WEIGHT_TILE_TMPL_H

#include "simd/conv_border_tmpl.h"

/* Positions, a vector each: dy[o][oy * y_row + ox * VL] meets x[offset of the tap + oy * x_row + ox * VL]. */
struct field {
    int height, width;
    size_t x_row, y_row;
};

/* lane[o * tt + t][0..VL) = chains from +0, or from what is there if go_on. */
static inline __attribute__((always_inline)) void weight_body(const int to, const int tt, const struct field *f,
                                                              const float *const *x, const float *const *dy,
                                                              float *lane, int go_on)
{
    vf acc[TILE_O][TILE_T];
    const float *xt[TILE_T], *dyo[TILE_O];
    UNROLL for (int t = 0; t < tt; t++) xt[t] = x[t];
    UNROLL for (int o = 0; o < to; o++)
    {
        dyo[o] = dy[o];
        UNROLL for (int t = 0; t < tt; t++) acc[o][t] = go_on ? vf_load(lane + (o * tt + t) * 16) : vf_zero();
    }
    for (int oy = 0; oy < f->height; oy++) {
        size_t xi = (size_t)oy * f->x_row, yi = (size_t)oy * f->y_row;
        const size_t end = yi + (size_t)f->width * VL;
        for (; yi < end; xi += VL, yi += VL) {
            vf g[TILE_O];
            UNROLL for (int o = 0; o < to; o++) g[o] = vf_load(dyo[o] + yi);
            UNROLL for (int t = 0; t < tt; t++)
            {
                const vf in = vf_load(xt[t] + xi);
                UNROLL for (int o = 0; o < to; o++) acc[o][t] = vf_fma(in, g[o], acc[o][t]);
            }
        }
    }
    UNROLL for (int o = 0; o < to; o++)
        UNROLL for (int t = 0; t < tt; t++) vf_store(lane + (o * tt + t) * 16, acc[o][t]);
}

typedef void weight_fn(const struct field *f, const float *const *x, const float *const *dy, float *lane, int go_on);
#define WEIGHT(TO, TT)                                                                                                 \
    static void weight_##TO##_##TT(const struct field *f, const float *const *x, const float *const *dy, float *lane,  \
                                   int go_on)                                                                          \
    {                                                                                                                  \
        weight_body(TO, TT, f, x, dy, lane, go_on);                                                                    \
    }
#if TILE_T >= 5
#define WEIGHTS(TO) WEIGHT(TO, 1) WEIGHT(TO, 2) WEIGHT(TO, 3) WEIGHT(TO, 4) WEIGHT(TO, 5)
#define WEIGHT_ROW(TO) { weight_##TO##_1, weight_##TO##_2, weight_##TO##_3, weight_##TO##_4, weight_##TO##_5 }
#else
#define WEIGHTS(TO) WEIGHT(TO, 1) WEIGHT(TO, 2) WEIGHT(TO, 3) WEIGHT(TO, 4)
#define WEIGHT_ROW(TO) { weight_##TO##_1, weight_##TO##_2, weight_##TO##_3, weight_##TO##_4 }
#endif
WEIGHTS(1) WEIGHTS(2) WEIGHTS(3)
#if TILE_O >= 4
WEIGHTS(4)
#endif
#if TILE_O >= 5
WEIGHTS(5)
#endif

static weight_fn *const weight_of[TILE_O][TILE_T] = { /* [channels - 1][taps - 1] */
    WEIGHT_ROW(1), WEIGHT_ROW(2), WEIGHT_ROW(3),
#if TILE_O >= 4
    WEIGHT_ROW(4),
#endif
#if TILE_O >= 5
    WEIGHT_ROW(5),
#endif
};

/* sum[e] = the fixed tree over lane[e], for n elements; half: lanes 8..15 are absent (+0) and not read. There is room
 * for a whole last four. */
static void trees(float (*lane)[16], int n, int half, float *sum)
{
    float four[4];
    int e = 0;
    for (; e + 4 <= n; e += 4) tree_four((const float(*)[16])(lane + e), half, sum + e);
    if (e == n) return;
    tree_four((const float(*)[16])(lane + e), half, four);
    for (int i = 0; e + i < n; i++) sum[e + i] = four[i];
}

/* The same for the h-th block of samples that are two, else for the only one. */
static void block_trees(float (*lane)[16], int n, struct cr_samples s, int h, float *sum)
{
    trees((float(*)[16])(void *)&lane[0][8 * h], n, s.two || s.n <= 8, sum);
}

/* The gradient by bias: carry chains on over `positions` of some channels. lane: (channel, 16). */
static void bias_rows(int channels, size_t positions, const float *dy, size_t y_plane, float *lane, int go_on)
{
    enum { CHAINS = 8 }; /* channels at once: as many independent chains as hide an addition's latency */
    for (int o = 0; o < channels; o += CHAINS) {
        vf acc[CHAINS];
        const float *from[CHAINS];
        UNROLL for (int i = 0; i < CHAINS; i++)
        {
            const int k = imin(o + i, channels - 1);
            from[i] = dy + (size_t)k * y_plane;
            acc[i] = go_on ? vf_load(lane + k * 16) : vf_zero();
        }
        for (size_t p = 0; p < positions * VL; p += VL)
            UNROLL for (int i = 0; i < CHAINS; i++) acc[i] = vf_add(acc[i], vf_load(from[i] + p));
        UNROLL for (int i = 0; i < CHAINS; i++) vf_store(lane + imin(o + i, channels - 1) * 16, acc[i]);
    }
}

#endif
