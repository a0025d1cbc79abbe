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
    int turn;         /* tiles of output channels whose rows of dy stay near while the lot's taps pass by */
    int o_lot, t_lot; /* tiles whose chains wait in scratch for the next slab; o_lot: whole turns */
};

/* Planes of x that a tile reads, at most. */
static int planes_of_tile(const struct weighing *m)
{
    const int area = m->c->kh * m->c->kw;
    return imin(m->c->in_c, (TILE_T + 2 * area - 2) / area);
}

/* What a turn reads of a slab, and x of one tile, stay in the nearest cache while the taps pass by. A turn has channels
 * enough that x, which comes from farther away, is worth its way. */
static struct weight_order weight_order(const struct weighing *m)
{
    enum {
        NEAREST = VL < 16 ? CR_CONV_ROWS : 14 * 1024, /* floats: a cache of 32 KB; a little more than one of 48 KB */
        REACH = VL < 16 ? 24 : 12                     /* channels x taps to a pixel of x */
    };
    const struct cr_conv *c = m->c;
    struct weight_order r = { 0 };
    const int phases_y = imin(c->stride, c->kh), phases_x = imin(c->stride, c->kw); /* that have taps */
    r.turn = imin(m->o_tiles, tiles(REACH * phases_y * phases_x, TILE_O * c->kh * c->kw));
    const int x_row = planes_of_tile(m) * phases_x * m->x_phase * VL, halo = (c->kh - phases_y) * x_row;
    const int rows = (NEAREST - halo) / (r.turn * TILE_O * c->out_w * VL + phases_y * x_row);
    r.slab = tiles(c->out_h, tiles(c->out_h, imin(imax(1, rows), c->out_h)));

    /* x passes by once for each lot of channels, dy once for each lot of taps: the least in all where a lot's channels
     * are to its taps as a plane of x is to those of dy under a window; */
    enum { ROOM = CR_CONV_CHAINS / 16 }; /* chains */
    const size_t turn = (size_t)(r.turn * TILE_O), seen = (size_t)(c->kh * c->kw * c->out_h * c->out_w * VL);
    r.o_lot = r.turn;
    for (size_t n = turn; n * n * seen < ROOM * m->x_plane; n += turn) r.o_lot += r.turn;
    /* more channels where there are few taps, and the other way round. */
    r.o_lot = imin(m->o_tiles, imax(r.o_lot, ROOM / (m->taps * TILE_O) / r.turn * r.turn));
    r.t_lot = imin(m->t_tiles, imax(1, ROOM / (r.o_lot * TILE_O * TILE_T)));
    return r;
}

/* A lot, or a turn of it: output channels in tiles from o on, taps in tiles from t on. */
struct weight_lot {
    int o_tile, o_tiles, t_tile, t_tiles;
    struct part o, t;
    int channels, taps;
    struct tap tap; /* the first one */
};

/* From tiles o_tile and t_tile on, at most o_tiles and t_tiles. */
static struct weight_lot lot_of(const struct weighing *m, int o_tile, int o_tiles, int t_tile, int t_tiles)
{
    struct weight_lot lot = {
        .o_tile = o_tile, .o_tiles = imin(o_tiles, m->o_tiles - o_tile), .o = part_of(m->c->out_c, m->o_tiles, o_tile),
        .t_tile = t_tile, .t_tiles = imin(t_tiles, m->t_tiles - t_tile), .t = part_of(m->taps, m->t_tiles, t_tile),
    };
    lot.channels = share(m->c->out_c, o_tile + lot.o_tiles, m->o_tiles) - lot.o.begin;
    lot.taps = share(m->taps, t_tile + lot.t_tiles, m->t_tiles) - lot.t.begin;
    lot.tap = tap_of(m->c, lot.t.begin);
    return lot;
}

/* The turn that begins at the lot's tile i, of at most `most` tiles. */
static struct weight_lot turn_of(const struct weighing *m, const struct weight_lot *lot, int i, int most)
{
    return lot_of(m, lot->o_tile + i, imin(most, lot->o_tiles - i), lot->t_tile, lot->t_tiles);
}

/* Carry a turn's chains on over some rows of a group's slice. x, dy: of the first row; dy of the first channel, y_plane
 * floats a channel. lane: (o tile within the t tile ..., 16), where each tile's chains are. */
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

/* A turn's chains are complete. */
static void put_weights(const struct weighing *m, const struct weight_lot *lot, float *lane, float *dw)
{
    float sum[TILE_O * TILE_T];
    struct part t = lot->t;
    for (int k = 0; k < lot->t_tiles; k++, next_part(&t)) {
        struct part o = lot->o;
        for (int i = 0; i < lot->o_tiles; i++, lane += o.size * t.size * 16, next_part(&o))
            for (int h = 0; h <= m->s.two; h++) {
                float *const to = dw + (size_t)((h * m->c->out_c + o.begin) * m->taps + t.begin);
                /* Rows of dw are far apart, and too many for the processor to foresee. */
                for (int a = 0; a < o.size; a++) __builtin_prefetch(to + a * m->taps + 32, 1);
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

/* A lot; `turn` tiles of output channels and `slab` rows at a time. space: for a turn's rows of dy, for chains of bias
 * and of weights. */
static void weigh_lot(const struct weighing *m, const struct weight_lot *lot, int turn, int slab, float *dw, float *db,
                      float *space)
{
    const struct cr_conv *c = m->c;
    const size_t lanes = (size_t)m->s.lanes, row = (size_t)c->out_w * lanes;
    const size_t copied = m->slices > 1 ? apart((size_t)(slab * c->out_w) * VL) : 0; /* floats a channel */
    const int with_bias = lot->t_tile == 0;
    float *const bias = space + (size_t)(turn * TILE_O) * copied;
    float *weights = bias + (lot->channels + 3) * 16; /* a tree takes four */
    for (int i = 0; i < cr_groups(m->s) * m->slices; i++) {
        const int g = i / m->slices, slice = i % m->slices, at = (g * m->s.lanes + slice * VL) % 16;
        const float *const x = m->x + (size_t)(i * c->in_c) * m->x_plane;
        const float *const dy = m->dy + (size_t)(g * c->out_c) * m->y_plane + (size_t)(slice * VL);
        for (int begin = 0; begin < c->out_h; begin += slab) {
            const int rows = imin(slab, c->out_h - begin), go_on = begin > 0 || g * m->s.lanes >= 16;
            const size_t positions = (size_t)(rows * c->out_w);
            float *b = bias + at, *w = weights + at;
            for (int tile = 0; tile < lot->o_tiles; tile += turn) {
                const struct weight_lot part = turn_of(m, lot, tile, turn);
                const float *from = dy + (size_t)part.o.begin * m->y_plane + (size_t)begin * row;
                size_t plane = m->y_plane;
                if (copied) {
                    take_slice((size_t)part.channels, positions, lanes, from, plane, space, copied);
                    from = space;
                    plane = copied;
                }
                weigh_rows(m, &part, rows, x + (size_t)(begin * c->stride) * m->x_row, from, plane, w, go_on);
                if (with_bias) bias_rows(part.channels, positions, from, plane, b, go_on);
                w += part.channels * part.taps * 16;
                b += part.channels * 16;
            }
        }
    }
    for (int tile = 0; tile < lot->o_tiles; tile += turn) {
        const struct weight_lot part = turn_of(m, lot, tile, turn);
        put_weights(m, &part, weights, dw);
        weights += part.channels * part.taps * 16;
    }
    for (int h = 0; h <= m->s.two && with_bias; h++)
        block_trees((float(*)[16])(void *)bias, lot->channels, m->s, h, db + h * c->out_c + lot->o.begin);
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
    for (int o = 0; o < m.o_tiles; o += r.o_lot)
        for (int t = 0; t < m.t_tiles; t += r.t_lot) {
            const struct weight_lot lot = lot_of(&m, o, r.o_lot, t, r.t_lot);
            weigh_lot(&m, &lot, r.turn, r.slab, dw, db, scratch);
        }
}

#endif
