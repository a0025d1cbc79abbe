/* The gradients by weight and by bias for samples side by side. Part of conv_tmpl.h.
 *
 * A register tile of output channels x taps stays put while all positions of all groups pass by: per lane, one chain
 * over (sample, oy, ox). Lanes are then added in the fixed tree. */
#ifndef CR_SIMD_CONV_WEIGHT_TMPL_H
#define CR_SIMD_CONV_WEIGHT_TMPL_H

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

/* The gradient by weight in tiles of output channels x taps. x and dy come in slices of VL lanes: where they are not
 * already (slices 1, no borders, stride 1), x is copied slice by slice with its borders, the columns under one tap side
 * by side, and of dy what is wanted next. Strides in floats. */
struct weighing {
    const struct cr_conv *c;
    struct cr_samples s;
    const float *x, *dy;
    size_t x_row, x_plane, y_plane;
    int slices, x_phase; /* columns of a phase */
    int taps, o_tiles, t_tiles;
};

/* Taps in order, without a division. */
struct tap {
    int k, ky, kx, phase, column; /* kx = column * stride + phase */
};

static struct tap tap_of(const struct cr_conv *c, int t)
{
    const int kx = t % c->kw, row = t / c->kw;
    return (struct tap){ row / c->kh, row % c->kh, kx, kx % c->stride, kx / c->stride };
}

/* Where the next one reads x for output (0, 0). */
static inline size_t next_tap(struct tap *t, const struct weighing *m)
{
    const struct cr_conv *const c = m->c;
    const size_t offset = (size_t)t->k * m->x_plane + (size_t)t->ky * m->x_row +
                          (size_t)(t->phase * m->x_phase + t->column) * VL;
    if (++t->phase == c->stride) {
        t->phase = 0;
        t->column++;
    }
    if (++t->kx == c->kw) {
        t->kx = t->phase = t->column = 0;
        if (++t->ky == c->kh) {
            t->ky = 0;
            t->k++;
        }
    }
    return offset;
}

/* In which order tiles and rows of outputs pass by. */
struct weight_order {
    int slab;         /* rows of outputs at a time */
    int o_lot, t_lot; /* tiles that take turns at each slab; their chains wait in scratch */
};

/* Planes of x that a tile reads, at most. */
static int planes_of_tile(const struct weighing *m)
{
    const int area = m->c->kh * m->c->kw;
    return imin(m->c->in_c, (TILE_T + 2 * area - 2) / area);
}

#if VL < 16
/* What a lot reads of a slab, and x of one tile, stay in the nearest cache while all taps pass by: tiles are small, so
 * they read often. Channels enough that x, which comes from farther away, is worth its way. */
static struct weight_order weight_order(const struct weighing *m)
{
    enum { NEAREST = CR_CONV_ROWS, REACH = 24 }; /* floats: all of a cache of 32 KB; channels x taps to a pixel of x */
    const struct cr_conv *c = m->c;
    struct weight_order r = { 0 };
    const int phases_y = imin(c->stride, c->kh), phases_x = imin(c->stride, c->kw); /* that have taps */
    r.o_lot = imin(m->o_tiles, tiles(REACH * phases_y * phases_x, TILE_O * c->kh * c->kw));
    const int x_row = planes_of_tile(m) * phases_x * m->x_phase * VL, halo = (c->kh - phases_y) * x_row;
    const int rows = (NEAREST - halo) / (r.o_lot * TILE_O * c->out_w * VL + phases_y * x_row);
    r.slab = tiles(c->out_h, tiles(c->out_h, imin(imax(1, rows), c->out_h)));
    r.t_lot = imin(m->t_tiles, imax(1, CR_CONV_CHAINS / (r.o_lot * TILE_O * TILE_T * 16)));
    return r;
}
#else
static struct weight_order weight_order(const struct weighing *m)
{
    enum { NEAREST = 6 * 1024, NEAR = 64 * 1024 }; /* floats: parts of caches of 32 KB and of 1 MB */
    const struct cr_conv *c = m->c;
    const size_t planes = (size_t)planes_of_tile(m);
    struct weight_order r = { .slab = c->out_h, .t_lot = 1 };
    if (planes * m->x_plane > 3 * m->y_plane) {
        /* Taps that share little of x: it shall stay in the nearest cache while the channel tiles of a lot pass by. */
        const int rows = ((int)(NEAREST / (planes * m->x_row)) - c->kh + c->stride) / c->stride;
        r.slab = imin(imax(1, rows), c->out_h);
    }
    /* What the lot reads of dy stays in the next cache while all taps pass by; */
    r.o_lot = imax(1, (int)(NEAR / ((size_t)(TILE_O * cr_groups(m->s)) * m->y_plane)));
    if (r.slab == c->out_h || r.o_lot >= imin(4, m->o_tiles)) return r;
    /* or, where that would be a few channels only, a slab of it with the chains of all taps. */
    const int per_channel = 16 * m->taps + m->s.lanes * c->out_w * r.slab;
    return (struct weight_order){ r.slab, imax(1, CR_CONV_CHAINS / per_channel / TILE_O), m->t_tiles };
}
#endif

/* A lot: output channels in tiles from o on, taps in tiles from t on. tap: the first one. */
struct weight_lot {
    struct part o, t;
    int o_tiles, t_tiles, channels, chains; /* chains of a channel */
    struct tap tap;
};

/* Carry the lot's chains on over rows begin..end-1 of a group's slice. x, dy: of the first row; dy of the lot's first
 * channel, y_plane floats a channel. lane: (o tile within the t tile ..., 16), where each tile's chains are. */
static void weigh_rows(const struct weighing *m, const struct weight_lot *lot, int rows, const float *x,
                       const float *dy, size_t y_plane, float *lane, int go_on)
{
    const struct cr_conv *c = m->c;
    struct field f = {
        .height = rows, .width = c->out_w, .x_row = (size_t)c->stride * m->x_row, .y_row = (size_t)c->out_w * VL,
    };
    if (f.x_row == f.y_row) { /* one long row */
        f.width *= rows;
        f.height = 1;
    }
    struct tap tap = lot->tap;
    struct part t = lot->t;
    for (int k = 0; k < lot->t_tiles; k++, next_part(&t)) {
        const float *xt[TILE_T], *dyo[TILE_O];
        for (int b = 0; b < t.size; b++) xt[b] = x + next_tap(&tap, m);
        weight_fn *const *const run = &weight_of[0][t.size - 1];
        struct part o = lot->o;
        const float *from = dy;
        for (int i = 0; i < lot->o_tiles; i++, next_part(&o)) {
            for (int a = 0; a < o.size; a++, from += y_plane) dyo[a] = from;
            run[(o.size - 1) * TILE_T](&f, xt, dyo, lane, go_on);
            lane += o.size * t.size * 16;
        }
    }
}

/* The lot's chains are complete. */
static void put_weights(const struct weighing *m, const struct weight_lot *lot, float *lane, float *dw)
{
    float sum[TILE_O * TILE_T];
    struct part t = lot->t;
    for (int k = 0; k < lot->t_tiles; k++, next_part(&t)) {
        struct part o = lot->o;
        for (int i = 0; i < lot->o_tiles; i++, lane += o.size * t.size * 16, next_part(&o))
            for (int h = 0; h <= m->s.two; h++) {
                float *const to = dw + (size_t)((h * m->c->out_c + o.begin) * m->taps + t.begin);
                block_trees((float(*)[16])(void *)lane, o.size * t.size, m->s, h, sum);
                for (int a = 0; a < o.size; a++)
                    for (int b = 0; b < t.size; b++) to[(size_t)(a * m->taps + b)] = sum[a * t.size + b];
            }
    }
}

/* A slice of dy: rows of some channels, a vector each position. */
static void take_slice(size_t channels, size_t positions, size_t lanes, const float *from, size_t from_plane, float *to,
                       size_t to_plane)
{
    for (size_t o = 0; o < channels; o++, from += from_plane, to += to_plane)
        for (size_t p = 0; p < positions; p++) vf_store(to + p * VL, vf_load(from + p * lanes));
}

/* space: for a slab of dy, then for chains. */
static void weigh_lot(const struct weighing *m, int slab, const struct weight_lot *lot, float *dw, float *space)
{
    const struct cr_conv *c = m->c;
    const size_t lanes = (size_t)m->s.lanes, row = (size_t)c->out_w * lanes;
    const size_t to_plane = apart((size_t)(slab * c->out_w) * VL);
    float *const lane = m->slices > 1 ? space + (size_t)lot->channels * to_plane : space;
    for (int i = 0; i < cr_groups(m->s) * m->slices; i++) {
        const int g = i / m->slices, slice = i % m->slices, at = (g * m->s.lanes + slice * VL) % 16;
        const float *const x = m->x + (size_t)(i * c->in_c) * m->x_plane;
        const float *const dy = m->dy + (size_t)(g * c->out_c + lot->o.begin) * m->y_plane + (size_t)(slice * VL);
        for (int begin = 0; begin < c->out_h; begin += slab) {
            const int rows = imin(slab, c->out_h - begin);
            const float *from = dy + (size_t)begin * row;
            if (m->slices > 1) {
                take_slice((size_t)lot->channels, (size_t)(rows * c->out_w), lanes, from, m->y_plane, space, to_plane);
                from = space;
            }
            weigh_rows(m, lot, rows, x + (size_t)(begin * c->stride) * m->x_row, from,
                       m->slices > 1 ? to_plane : m->y_plane, lane + at, begin > 0 || g * m->s.lanes >= 16);
        }
    }
    put_weights(m, lot, lane, dw);
}

/* x as weighing wants it. */
static void take_apart(struct weighing *m, float *to)
{
    const struct cr_conv *c = m->c;
    const size_t lanes = (size_t)m->s.lanes, image = (size_t)(c->in_h * c->in_w) * lanes;
    const float *x = m->x;
    m->x = to;
    for (int g = 0; g < cr_groups(m->s); g++, x += (size_t)c->in_c * image)
        for (size_t slice = 0; slice < lanes; slice += VL)
            for (int k = 0; k < c->in_c; k++, to += m->x_plane)
                copy_phases(c, lanes, x + (size_t)k * image + slice, to);
}

static void lanes_backward_weight(const struct cr_conv *c, struct cr_samples s, const float *x, const float *dy,
                                  float *dw, float *db, float *scratch)
{
    const size_t plane = (size_t)c->out_h * (size_t)c->out_w;
    struct weighing m = {
        .c = c, .s = s, .x = x, .dy = dy, .y_plane = plane * (size_t)s.lanes, .slices = s.lanes / VL,
        .x_phase = phase_width(c), .taps = c->in_c * c->kh * c->kw,
    };
    m.x_row = (size_t)(m.x_phase * c->stride) * VL;
    m.x_plane = (size_t)(c->in_h + 2 * c->pad) * m.x_row;
    m.o_tiles = tiles(c->out_c, TILE_O);
    m.t_tiles = tiles(m.taps, TILE_T);
    if (c->pad || m.slices > 1 || c->stride > 1) {
        m.x_plane = apart(m.x_plane);
        take_apart(&m, scratch);
        scratch += (size_t)(cr_groups(s) * m.slices * c->in_c) * m.x_plane;
    }
    const struct weight_order r = weight_order(&m);
    for (int i = 0; i < m.o_tiles; i += r.o_lot) {
        struct weight_lot lot = { .o = part_of(c->out_c, m.o_tiles, i), .o_tiles = imin(r.o_lot, m.o_tiles - i) };
        lot.channels = part_of(c->out_c, m.o_tiles, i + lot.o_tiles).begin - lot.o.begin;
        for (int k = 0; k < m.t_tiles; k += r.t_lot) {
            lot.t = part_of(m.taps, m.t_tiles, k);
            lot.t_tiles = imin(r.t_lot, m.t_tiles - k);
            lot.tap = tap_of(c, lot.t.begin);
            weigh_lot(&m, r.slab, &lot, dw, scratch);
        }
    }
    bias_gradient(c->out_c, plane, s, dy, db);
}

#endif
