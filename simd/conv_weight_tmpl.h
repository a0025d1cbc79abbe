/* The gradient by weight for samples side by side: in which order tiles, rows and channels pass by. Part of
 * conv_tmpl.h. */
#ifndef CR_SIMD_CONV_WEIGHT_TMPL_H
#define CR_SIMD_CONV_WEIGHT_TMPL_H

#include "simd/conv_weight_tile_tmpl.h"

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
    int o_tiles, t_tiles, channels;
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
