/* The gradients by weight and by bias for samples side by side. Part of conv_tmpl.h.
 *
 * A register tile of output channels x taps stays put while all positions of all groups pass by: per lane, one chain
 * over (sample, oy, ox). Lanes are then added in the fixed tree. */
#ifndef CR_SIMD_CONV_WEIGHT_TMPL_H
#define CR_SIMD_CONV_WEIGHT_TMPL_H

#include "simd/conv_border_tmpl.h"

/* Positions: dy[o][oy][ox] meets x[offset of the tap + oy * x_row + ox * x_step]. Strides in floats. */
struct field {
    int height, width;
    size_t x_row, x_step, y_row;
};

/* lane[o * tt + t][0..VL) = chains from +0, or from what is there if go_on. */
static inline __attribute__((always_inline)) void weight_body(const int to, const int tt, const struct field *f,
                                                              size_t lanes, const float *const *x,
                                                              const float *const *dy, float *lane, int go_on)
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
        const size_t end = yi + (size_t)f->width * lanes;
        for (; yi < end; xi += f->x_step, yi += lanes) {
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

typedef void weight_fn(const struct field *f, size_t lanes, const float *const *x, const float *const *dy, float *lane,
                       int go_on);
#define WEIGHT(TO, TT)                                                                                                 \
    static void weight_##TO##_##TT(const struct field *f, size_t lanes, const float *const *x, const float *const *dy, \
                                   float *lane, int go_on)                                                             \
    {                                                                                                                  \
        weight_body(TO, TT, f, lanes, x, dy, lane, go_on);                                                             \
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

static weight_fn *const weight_of[TILE_O][TILE_T] = { /* [channels - 1][taps - 1] */
    WEIGHT_ROW(1), WEIGHT_ROW(2), WEIGHT_ROW(3),
#if TILE_O >= 4
    WEIGHT_ROW(4),
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

/* Does group g hold samples of the lanes from `slice` on? (Sample i of the block is on lane i mod 16.) */
static int covers(int g, int lanes, int slice)
{
    const int base = g * lanes % 16;
    return base <= slice && slice < base + lanes;
}

/* dy: planes of `plane` values a lane, `channels` of them a group. */
static void bias_gradient(int channels, size_t plane, struct cr_samples s, const float *dy, float *db)
{
    const size_t lanes = (size_t)s.lanes;
    enum { CHAINS = 8 }; /* channels at once: as many independent chains as hide an addition's latency */
    for (int o = 0; o < channels; o += CHAINS) {
        const int n = imin(CHAINS, channels - o);
        float lane[CHAINS][16] = { { 0 } };
        for (int slice = 0; slice < 16; slice += VL) {
            vf acc[CHAINS];
            for (int i = 0; i < CHAINS; i++) acc[i] = vf_zero();
            for (int g = 0; g < cr_groups(s); g++) {
                if (!covers(g, s.lanes, slice)) continue;
                const float *from = dy + ((size_t)g * (size_t)channels + (size_t)o) * plane * lanes;
                from += slice - g * s.lanes % 16;
                for (size_t p = 0; p < plane; p++, from += lanes)
                    UNROLL for (int i = 0; i < CHAINS; i++)
                        acc[i] = vf_add(acc[i], vf_load(from + (size_t)(i < n ? i : 0) * plane * lanes));
            }
            for (int i = 0; i < CHAINS; i++) vf_store(&lane[i][slice], acc[i]);
        }
        trees(lane, n, 0, db + o);
    }
}

/* Gradients of output channels o..o+to-1 by the tt taps at `offset`: sum[channel * tt + tap]. */
static void weight_tile(const struct cr_conv *c, struct cr_samples s, const struct field *f, const float *x,
                        size_t x_group, const float *dy, int o, int to, const size_t *offset, int tt, float *sum)
{
    weight_fn *const run = weight_of[to - 1][tt - 1];
    const size_t lanes = (size_t)s.lanes, y_plane = (size_t)c->out_h * f->y_row;
    float lane[TILE_O * TILE_T + 3][16];
    for (int g = 0; g < cr_groups(s); g++)
        for (int slice = 0; slice < s.lanes; slice += VL) {
            const float *xt[TILE_T], *dyo[TILE_O];
            for (int b = 0; b < tt; b++) xt[b] = x + (size_t)g * x_group + offset[b] + slice;
            for (int a = 0; a < to; a++)
                dyo[a] = dy + ((size_t)g * (size_t)c->out_c + (size_t)(o + a)) * y_plane + slice;
            run(f, lanes, xt, dyo, &lane[0][(g * s.lanes + slice) % 16], g * s.lanes >= 16);
        }
    trees(lane, to * tt, s.n <= 8, sum);
}

static void lanes_backward_weight(const struct cr_conv *c, struct cr_samples s, const float *x, const float *dy,
                                  float *dw, float *db, float *scratch)
{
    const size_t lanes = (size_t)s.lanes, y_plane = (size_t)c->out_h * (size_t)c->out_w * lanes;
    const size_t x_row = (size_t)(c->in_w + 2 * c->pad) * lanes, x_plane = (size_t)(c->in_h + 2 * c->pad) * x_row;
    const struct field f = {
        .height = c->out_h, .width = c->out_w, .x_row = (size_t)c->stride * x_row,
        .x_step = (size_t)c->stride * lanes, .y_row = (size_t)c->out_w * lanes,
    };
    const int taps = c->in_c * c->kh * c->kw, groups = cr_groups(s);
    const int o_tiles = (c->out_c + TILE_O - 1) / TILE_O, t_tiles = (taps + TILE_T - 1) / TILE_T;

    if (c->pad) {
        copy_bordered((size_t)(groups * c->in_c), c->in_h, c->in_w, s.lanes, all_round(c), x,
                      (size_t)(c->in_h * c->in_w) * lanes, scratch);
        x = scratch;
    }
    /* As many channel tiles at a time as stay in cache; x passes by once for each such lot. */
    enum { LOT = 64 * 1024 }; /* floats */
    const int lot = imax(1, (int)(LOT / ((size_t)(TILE_O * groups) * y_plane)));
    for (int first = 0; first < o_tiles; first += lot) {
        struct tap tap = { 0, 0, 0 };
        for (int k = 0; k < t_tiles; k++) {
            const int t = (int)((long)taps * k / t_tiles), tt = (int)((long)taps * (k + 1) / t_tiles) - t;
            size_t offset[TILE_T];
            for (int b = 0; b < tt; b++) offset[b] = next_tap(&tap, c, x_plane, x_row, lanes);
            for (int i = first; i < imin(first + lot, o_tiles); i++) {
                const int o = c->out_c * i / o_tiles, to = c->out_c * (i + 1) / o_tiles - o;
                float sum[TILE_O * TILE_T];
                weight_tile(c, s, &f, x, (size_t)c->in_c * x_plane, dy, o, to, offset, tt, sum);
                for (int a = 0; a < to; a++)
                    for (int b = 0; b < tt; b++) dw[(size_t)(o + a) * (size_t)taps + (size_t)(t + b)] = sum[a * tt + b];
            }
        }
    }
    bias_gradient(c->out_c, (size_t)c->out_h * (size_t)c->out_w, s, dy, db);
}

#endif
