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

/* The same for the h-th block of samples that are two, else for the only one. */
static void block_trees(float (*lane)[16], int n, struct cr_samples s, int h, float *sum)
{
    trees((float(*)[16])(void *)&lane[0][8 * h], n, s.two || s.n <= 8, sum);
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
        float lane[CHAINS + 1][16] = { { 0 } };
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
        for (int h = 0; h <= s.two; h++) block_trees(lane, n, s, h, db + h * channels + o);
    }
}

/* The gradient by weight in tiles of output channels x taps, and where their x and dy are. Strides in floats. */
struct weighing {
    const struct cr_conv *c;
    struct cr_samples s;
    const float *x, *dy;
    size_t x_row, x_plane, y_plane; /* of x with its borders */
    int taps, o_tiles, t_tiles;
};

/* What a tile works on: `to` output channels from o on, tt taps from t on. */
struct weight_tile {
    int o, to, t, tt;
    size_t offset[TILE_T]; /* of each tap in a group of x */
};

static struct weight_tile taps_of(const struct weighing *m, int k, struct tap *next)
{
    struct weight_tile tile = { .t = share(m->taps, k, m->t_tiles) };
    tile.tt = share(m->taps, k + 1, m->t_tiles) - tile.t;
    for (int b = 0; b < tile.tt; b++)
        tile.offset[b] = next_tap(next, m->c, m->x_plane, m->x_row, (size_t)m->s.lanes);
    return tile;
}

static void channels_of(const struct weighing *m, int i, struct weight_tile *tile)
{
    tile->o = share(m->c->out_c, i, m->o_tiles);
    tile->to = share(m->c->out_c, i + 1, m->o_tiles) - tile->o;
}

/* Carry the tile's chains on over rows begin..end-1 of group g. lane: (to * tt, 16). */
static void weigh_rows(const struct weighing *m, const struct weight_tile *tile, int g, int begin, int end, float *lane)
{
    const struct cr_conv *c = m->c;
    const size_t lanes = (size_t)m->s.lanes;
    const struct field f = {
        .height = end - begin, .width = c->out_w, .x_row = (size_t)c->stride * m->x_row,
        .x_step = (size_t)c->stride * lanes, .y_row = (size_t)c->out_w * lanes,
    };
    const float *const x = m->x + (size_t)(g * c->in_c) * m->x_plane + (size_t)begin * f.x_row;
    const float *const dy = m->dy + (size_t)(g * c->out_c + tile->o) * m->y_plane + (size_t)begin * f.y_row;
    for (int slice = 0; slice < m->s.lanes; slice += VL) {
        const float *xt[TILE_T], *dyo[TILE_O];
        for (int b = 0; b < tile->tt; b++) xt[b] = x + tile->offset[b] + slice;
        for (int a = 0; a < tile->to; a++) dyo[a] = dy + (size_t)a * m->y_plane + slice;
        weight_of[tile->to - 1][tile->tt - 1](&f, lanes, xt, dyo, lane + (g * m->s.lanes + slice) % 16,
                                              begin > 0 || g * m->s.lanes >= 16);
    }
}

/* The tile's chains are complete. */
static void put_weights(const struct weighing *m, const struct weight_tile *tile, float *lane, float *dw)
{
    float sum[TILE_O * TILE_T];
    for (int h = 0; h <= m->s.two; h++, dw += m->c->out_c * m->taps) {
        block_trees((float(*)[16])(void *)lane, tile->to * tile->tt, m->s, h, sum);
        for (int a = 0; a < tile->to; a++)
            for (int b = 0; b < tile->tt; b++)
                dw[(size_t)(tile->o + a) * (size_t)m->taps + (size_t)(tile->t + b)] = sum[a * tile->tt + b];
    }
}

/* In which order tiles and rows of outputs pass by. */
struct weight_order {
    int slab;         /* rows of outputs at a time */
    int o_lot, t_lot; /* tiles that take turns at each slab; their chains wait in scratch */
};

static struct weight_order weight_order(const struct weighing *m)
{
    enum { NEAREST = 6 * 1024, NEAR = 64 * 1024 }; /* floats: parts of caches of 32 KB and of 1 MB */
    const struct cr_conv *c = m->c;
    const int area = c->kh * c->kw, planes = imin(c->in_c, (TILE_T + 2 * area - 2) / area); /* of x, at most, a tile */
    struct weight_order r = { .slab = c->out_h, .t_lot = 1 };
    if ((size_t)planes * m->x_plane > 3 * m->y_plane) {
        /* Taps that share little of x: it shall stay in the nearest cache while the channel tiles of a lot pass by. */
        const int rows = ((int)(NEAREST / ((size_t)planes * m->x_row)) - c->kh + c->stride) / c->stride;
        r.slab = imin(imax(1, rows), c->out_h);
    }
    /* What the lot reads of dy stays in the next cache while all taps pass by; */
    r.o_lot = imax(1, (int)(NEAR / ((size_t)(TILE_O * cr_groups(m->s)) * m->y_plane)));
    if (r.slab == c->out_h || r.o_lot >= imin(4, m->o_tiles)) return r;
    /* or, where that would be a few channels only, a slab of it with the chains of all taps. */
    const int per_channel = 16 * m->taps + m->s.lanes * c->out_w * r.slab;
    return (struct weight_order){ r.slab, imax(1, CR_CONV_CHAINS / per_channel / TILE_O), m->t_tiles };
}

/* The tiles of a lot, slab by slab of each group's rows. next: the first tap, then that of the next lot. lane: room for
 * their chains. */
static void weigh_lot(const struct weighing *m, const struct weight_order *r, int first_o, int first_t,
                      struct tap *next, float *dw, float *lane)
{
    const int end_o = imin(first_o + r->o_lot, m->o_tiles), end_t = imin(first_t + r->t_lot, m->t_tiles);
    const int o = share(m->c->out_c, first_o, m->o_tiles), t = share(m->taps, first_t, m->t_tiles);
    const int chains = share(m->taps, end_t, m->t_tiles) - t; /* of a channel */
    const int slabs = tiles(m->c->out_h, r->slab), turns = slabs * cr_groups(m->s);
    struct tap tap = *next;
    for (int turn = 0; turn < turns; turn++) {
        const int g = turn / slabs, row = turn % slabs * r->slab;
        tap = *next;
        for (int k = first_t; k < end_t; k++) {
            struct weight_tile tile = taps_of(m, k, &tap);
            for (int i = first_o; i < end_o; i++) {
                channels_of(m, i, &tile);
                float *const at = lane + (size_t)((tile.o - o) * chains + tile.to * (tile.t - t)) * 16;
                weigh_rows(m, &tile, g, row, imin(row + r->slab, m->c->out_h), at);
                if (turn + 1 == turns) put_weights(m, &tile, at, dw);
            }
        }
    }
    *next = tap;
}

static void lanes_backward_weight(const struct cr_conv *c, struct cr_samples s, const float *x, const float *dy,
                                  float *dw, float *db, float *scratch)
{
    const size_t lanes = (size_t)s.lanes, plane = (size_t)c->out_h * (size_t)c->out_w;
    struct weighing m = {
        .c = c, .s = s, .x = x, .dy = dy, .x_row = (size_t)(c->in_w + 2 * c->pad) * lanes, .y_plane = plane * lanes,
        .taps = c->in_c * c->kh * c->kw,
    };
    m.x_plane = (size_t)(c->in_h + 2 * c->pad) * m.x_row;
    m.o_tiles = tiles(c->out_c, TILE_O);
    m.t_tiles = tiles(m.taps, TILE_T);
    if (c->pad) {
        const size_t planes = (size_t)(cr_groups(s) * c->in_c);
        copy_bordered(planes, c->in_h, c->in_w, s.lanes, all_round(c), x, (size_t)(c->in_h * c->in_w) * lanes, scratch);
        m.x = scratch;
        scratch += planes * m.x_plane;
    }
    const struct weight_order r = weight_order(&m);
    for (int i = 0; i < m.o_tiles; i += r.o_lot) {
        struct tap next = { 0, 0, 0 };
        for (int k = 0; k < m.t_tiles; k += r.t_lot) weigh_lot(&m, &r, i, k, &next, dw, scratch);
    }
    bias_gradient(c->out_c, plane, s, dy, db);
}

#endif
