/* The gradient by weight for samples side by side: in which order tiles, rows and channels pass by. Part of
 * conv_tmpl.h. */
#ifndef CR_SIMD_CONV_WEIGHT_TMPL_H
#define CR_SIMD_CONV_WEIGHT_TMPL_H

#include "simd/conv_sums_tmpl.h"
#include "simd/conv_weight_tile_tmpl.h"

/* x and dy come in slices of VL lanes: where they are not already (slices > 1), x is copied slice by slice, and of dy
 * what is wanted next. Tiles: of output channels; of channels of x; pieces of a row of taps. Strides in floats. */
struct weighing {
    const struct cr_conv *c;
    struct cr_samples s;
    const float *x, *dy;
    size_t x_plane, y_plane;
    int slices; /* of lanes */
    int outputs, planes; /* channels of dy and of x in a tile, at most */
    int o_tiles, k_tiles, pieces;
};

/* In which order tiles and rows of outputs pass by. */
struct weight_order {
    int slab;         /* rows of outputs at a time */
    int turn;         /* tiles of output channels whose rows of dy stay near while the lot's channels of x pass by */
    int fetches;      /* while a tile is worked on, what the next one reads is asked for */
    int o_lot, k_lot; /* tiles whose chains wait in scratch for the next slab; o_lot: whole turns */
};

/* What a turn reads of a slab, and x of one tile, stay in the nearest cache while channels of x pass by; but for
 * windows of a single tap and vectors shorter than a line, where chains would be put down and taken up more often than
 * that is worth. A turn has outputs enough that x, which comes from farther away, is worth its way. A picture that is
 * larger by half that cache passes by whole, for then no chain has to wait. */
static struct weight_order weight_order(const struct weighing *m)
{
    enum {
        NEAREST = VL < 16 ? 8 * 1024 : 14 * 1024, /* floats: a cache of 32 KB; a little more than one of 48 KB */
        SINGLE_TAP = VL < 16 ? CR_CONV_ROWS - NEAREST / 2 : NEAREST,
        REACH = VL < 16 ? 24 : 12                     /* channels x taps to a pixel of x */
    };
    const struct cr_conv *c = m->c;
    const int area = c->kh * c->kw, step = imin(c->stride, c->kh); /* rows of x that a row of outputs adds */
    const int reach = REACH * step * imin(c->stride, c->kw);
    struct weight_order r = { .turn = imin(m->o_tiles, tiles(reach, m->outputs * area)) };
    const int x_row = m->planes * c->in_w * VL, halo = (c->kh - step) * x_row;
    const int room = (area == 1 ? SINGLE_TAP : NEAREST) - halo;
    const int y_row = r.turn * m->outputs * c->out_w * VL;
    r.fetches = FETCHES && area == 1 && c->stride == 1 && y_row + 2 * x_row <= room;
    const int row = y_row + (r.fetches ? 2 : step) * x_row;
    const int whole = (room + NEAREST / 2) / row >= c->out_h, most = whole ? c->out_h : imax(1, room / row);
    r.slab = tiles(c->out_h, tiles(c->out_h, imin(most, c->out_h)));

    /* x passes by once for each lot of outputs, dy once for each lot of channels of x: the least in all where these
     * are to each other as a plane of x is to one of dy; */
    enum { ROOM = CR_CONV_CHAINS / 16 }; /* chains */
    const size_t turn = (size_t)(r.turn * m->outputs), seen = (size_t)(area * c->out_h * c->out_w * VL);
    r.o_lot = r.turn;
    for (size_t n = turn; n * n * seen < ROOM * m->x_plane; n += turn) r.o_lot += r.turn;
    /* no more outputs than their chains have room, */
    const int tile = m->outputs * m->planes * area; /* chains */
    r.o_lot = imin(r.o_lot, imax(r.turn, ROOM / tile / r.turn * r.turn));
    /* and more of the ones where there are few of the others. */
    r.o_lot = imin(m->o_tiles, imax(r.o_lot, ROOM / (c->in_c * area * m->outputs) / r.turn * r.turn));
    r.k_lot = imin(m->k_tiles, imax(1, ROOM / (r.o_lot * tile)));
    return r;
}

/* A lot, or a turn of it: tiles of output channels from o on, of channels of x from k on. */
struct weight_lot {
    int o_tile, o_tiles, k_tile, k_tiles;
    struct part o, k; /* the first ones */
    int outputs, chains;
};

/* From tiles o_tile and k_tile on, at most o_tiles and k_tiles. */
static struct weight_lot lot_of(const struct weighing *m, int o_tile, int o_tiles, int k_tile, int k_tiles)
{
    const struct cr_conv *c = m->c;
    struct weight_lot lot = {
        .o_tile = o_tile, .o_tiles = imin(o_tiles, m->o_tiles - o_tile), .o = part_of(c->out_c, m->o_tiles, o_tile),
        .k_tile = k_tile, .k_tiles = imin(k_tiles, m->k_tiles - k_tile), .k = part_of(c->in_c, m->k_tiles, k_tile),
    };
    lot.outputs = share(c->out_c, o_tile + lot.o_tiles, m->o_tiles) - lot.o.begin;
    lot.chains = lot.outputs * (share(c->in_c, k_tile + lot.k_tiles, m->k_tiles) - lot.k.begin) * c->kh * c->kw;
    return lot;
}

/* The turn that begins at the lot's tile i, of at most `most` tiles. */
static struct weight_lot turn_of(const struct weighing *m, const struct weight_lot *lot, int i, int most)
{
    return lot_of(m, lot->o_tile + i, imin(most, lot->o_tiles - i), lot->k_tile, lot->k_tiles);
}

/* Outputs first..end-1 along one axis, of n, have the tap k within a picture of `in`. */
struct within {
    int first, end;
};

static struct within within(const struct cr_conv *c, int n, int in, int k)
{
    struct within v = { imax(0, c->pad - k), imax(0, in + c->pad - k) };
    if (c->stride > 1) v = (struct within){ tiles(v.first, c->stride), tiles(v.end, c->stride) };
    v.end = imin(n, v.end);
    v.first = imin(v.first, v.end);
    return v;
}

/* From the rows of outputs under one row of taps to those under the next one, ky; without a division. */
static inline void next_row(const struct cr_conv *c, int ky, struct within *v)
{
    while (v->first > 0 && (v->first - 1) * c->stride + ky >= c->pad) v->first--;
    while (v->end > v->first && (v->end - 1) * c->stride + ky >= c->in_h + c->pad) v->end--;
}

/* Under the taps kx..kx+columns-1 of a row. */
static struct field field_of(const struct weighing *m, int kx, int columns)
{
    const struct cr_conv *c = m->c;
    const int first = within(c, c->out_w, c->in_w, kx).first;
    const int end = within(c, c->out_w, c->in_w, kx + columns - 1).end;
    struct field f = {
        .stride = c->stride, .column = kx - c->pad, .in_w = c->in_w, .left = c->out_w,
        .x_row = (size_t)(c->stride * c->in_w) * VL, .x_plane = m->x_plane,
    };
    if (first >= end) return f; /* nowhere all of them */
    f.left = first;
    f.inside = end - first;
    f.right = c->out_w - end;
    const int last = f.column + (c->out_w - 1) * c->stride + columns - 1; /* column under the last tap of all */
    f.lacks_one = f.left <= 1 && f.column >= -1 && f.right <= 1 && last <= c->in_w;
    return f;
}

/* The chains of a turn's outputs and of channels k of x are complete: lane[o][k, ky, kx][16]. */
static void put_weights(const struct weighing *m, const struct weight_lot *turn, struct part k, float *lane, float *dw)
{
    const struct cr_conv *c = m->c;
    const int area = c->kh * c->kw, taps = c->in_c * area, n = k.size * area;
    for (int h = 0; h < cr_blocks(m->s); h++) {
        float *from = lane, *to = dw + (size_t)((h * c->out_c + turn->o.begin) * taps + k.begin * area);
        for (int o = 0; o < turn->outputs; o++, from += n * 16, to += taps)
            block_trees((float(*)[16])(void *)from, n, m->s, h, to);
    }
}

/* Of the whole walk over rows, samples and lanes, one part: chains begin, go on, are complete. */
struct stage {
    int begin, end; /* rows of outputs */
    int go_on, last, waits, fetches;
    int at; /* lanes at..at+VL-1 of 16 */
};

/* A turn. x: of a group's slice; dy: of the first row and channel, y_plane floats a channel. lane: where chains wait if
 * they have to, tile of k by tile of k, (piece, ky, tile of o ..., 16); those of a tile of k that are complete come to
 * be in the order of the weights in `done`, (o, k, ky, kx, 16). If they WAIT_IN_ORDER, that is how they lie in lane. */
static void weigh_turn(const struct weighing *m, const struct weight_lot *turn, struct stage s, const float *x,
                       const float *dy, size_t y_plane, float *lane, float *done, float *dw)
{
    const struct cr_conv *c = m->c;
    const int area = c->kh * c->kw;
    const int long_rows = c->kw == 1 && c->stride == 1 && c->in_w == c->out_w;
    const struct within top = within(c, c->out_h, c->in_h, 0);
    struct field f = field_of(m, 0, part_of(c->kw, m->pieces, 0).size);
    struct part k = turn->k;
    for (int tile = 0; tile < turn->k_tiles; tile++, next_part(&k)) {
        float *const ordered = WAIT_IN_ORDER ? lane : done;
        const size_t chains = (size_t)(k.size * area) * 16; /* floats of an output */
        struct part piece = part_of(c->kw, m->pieces, 0);
        for (int i = 0; i < m->pieces; i++, next_part(&piece)) {
            struct within v = top;
            if (m->pieces > 1) f = field_of(m, piece.begin, piece.size);
            f.y_plane = y_plane;
            f.to_k = (size_t)(WAIT_IN_ORDER || s.last ? area : piece.size) * 16;
            for (int ky = 0; ky < c->kh; ky++) {
                next_row(c, ky, &v);
                const int first = imax(s.begin, imin(s.end, v.first)), rows = imax(0, imin(s.end, v.end) - first);
                const float *const in = x + (size_t)k.begin * m->x_plane +
                                        (ptrdiff_t)((first * c->stride + ky - c->pad) * c->in_w) * VL;
                const float *from = dy + (size_t)((first - s.begin) * c->out_w) * VL;
                float *to = ordered + (ky * c->kw + piece.begin) * 16 + s.at;
                struct part o = turn->o;
                f.rows = rows;
                if (long_rows) {
                    f.rows = 1;
                    f.inside = rows * c->out_w;
                }
                for (int a = 0; a < turn->o_tiles; a++, next_part(&o)) {
                    float *const waiting = WAIT_IN_ORDER ? to : lane;
                    if (s.fetches) {
                        const int behind = tile + 1 < turn->k_tiles ? k.size : 0;
                        f.next_x = in + (size_t)(behind + imin(2 * a, imax(0, k.size - 2))) * m->x_plane;
                        f.next_chains = lane + o.size * k.size * 16;
                    }
                    weight_of[o.size - 1][k.size - 1][piece.size - 1](&f, in, from, s.go_on ? waiting : NULL,
                                                                      s.last ? to : waiting);
                    from += (size_t)o.size * y_plane;
                    to += (size_t)o.size * chains;
                    if (!WAIT_IN_ORDER && s.waits) lane += o.size * k.size * piece.size * 16;
                }
            }
        }
        if (WAIT_IN_ORDER && s.waits) lane += (size_t)turn->outputs * chains;
        if (s.last) put_weights(m, turn, k, ordered, dw);
    }
}

/* A slice of some channels: a vector each position. */
static void take_slice(size_t channels, size_t positions, size_t lanes, const float *from, size_t from_plane, float *to,
                       size_t to_plane)
{
    for (size_t o = 0; o < channels; o++, from += from_plane, to += to_plane)
        for (size_t p = 0; p < positions; p++) vf_store(to + p * VL, vf_load(from + p * lanes));
}

/* A lot. space: for a turn's rows of dy, for chains of bias, for those of weights that are complete, and all. */
static void weigh_lot(const struct weighing *m, const struct weight_lot *lot, const struct weight_order *r, float *dw,
                      float *db, float *space)
{
    const struct cr_conv *c = m->c;
    const size_t lanes = (size_t)m->s.lanes, row = (size_t)c->out_w * lanes;
    const size_t copied = m->slices > 1 ? apart((size_t)(r->slab * c->out_w) * VL) : 0; /* floats a channel */
    const int with_bias = lot->k_tile == 0, times = cr_groups(m->s) * m->slices;
    float *const bias = space + (size_t)(r->turn * m->outputs) * copied;
    const size_t some = (size_t)(imin(r->turn * m->outputs, lot->outputs) * m->planes * c->kh * c->kw); /* chains */
    float *const done = bias + (lot->outputs + 3) * 16; /* a tree takes four */
    float *const weights = done + (WAIT_IN_ORDER ? 0 : some + 3) * 16;
    for (int i = 0; i < times; i++) {
        const int g = i / m->slices, slice = i % m->slices;
        const float *const x = m->x + (size_t)(i * c->in_c) * m->x_plane;
        const float *const dy = m->dy + (size_t)(g * c->out_c) * m->y_plane + (size_t)(slice * VL);
        for (int begin = 0; begin < c->out_h; begin += r->slab) {
            const struct stage s = {
                .begin = begin, .end = imin(begin + r->slab, c->out_h),
                .go_on = begin > 0 || g * m->s.lanes >= 16, .last = i + 1 == times && begin + r->slab >= c->out_h,
                .waits = times > 1 || r->slab < c->out_h, .fetches = r->fetches,
                .at = (g * m->s.lanes + slice * VL) % 16,
            };
            const size_t positions = (size_t)((s.end - begin) * c->out_w);
            float *b = bias + s.at, *w = weights;
            for (int tile = 0; tile < lot->o_tiles; tile += r->turn) {
                const struct weight_lot turn = turn_of(m, lot, tile, r->turn);
                const float *from = dy + (size_t)turn.o.begin * m->y_plane + (size_t)begin * row;
                size_t plane = m->y_plane;
                if (copied) {
                    take_slice((size_t)turn.outputs, positions, lanes, from, plane, space, copied);
                    from = space;
                    plane = copied;
                }
                weigh_turn(m, &turn, s, x, from, plane, w, done, dw);
                if (with_bias) bias_rows(turn.outputs, positions, from, plane, b, s.go_on);
                w += turn.chains * 16;
                b += turn.outputs * 16;
            }
        }
    }
    for (int h = 0; h < cr_blocks(m->s) && with_bias; h++)
        block_trees((float(*)[16])(void *)bias, lot->outputs, m->s, h, db + h * c->out_c + lot->o.begin);
}

static void lanes_backward_weight(const struct cr_conv *c, struct cr_samples s, const float *x, const float *dy,
                                  float *dw, float *db, float *scratch)
{
    const size_t in = (size_t)(c->in_h * c->in_w), out = (size_t)(c->out_h * c->out_w), lanes = (size_t)s.lanes;
    struct weighing m = {
        .c = c, .s = s, .x = x, .dy = dy, .x_plane = in * lanes, .y_plane = out * lanes, .slices = s.lanes / VL,
        .pieces = c->kw <= TILE_ROW_T ? 1 : tiles(c->kw, TILE_T),
    };
    const int columns = tiles(c->kw, m.pieces);
    m.outputs = imin(TILE_O, TILE_O * TILE_T / columns);
    m.planes = imin(c->in_c, imax(1, TILE_T / columns));
    m.o_tiles = tiles(c->out_c, m.outputs);
    m.k_tiles = tiles(c->in_c, m.planes);
    if (m.slices > 1) {
        m.x_plane = apart(in * VL);
        m.x = scratch;
        for (int g = 0; g < cr_groups(s); g++, x += (size_t)c->in_c * in * lanes)
            for (size_t slice = 0; slice < lanes; slice += VL, scratch += (size_t)c->in_c * m.x_plane)
                take_slice((size_t)c->in_c, in, lanes, x + slice, in * lanes, scratch, m.x_plane);
    }
    const struct weight_order r = weight_order(&m);
    for (int o = 0; o < m.o_tiles; o += r.o_lot)
        for (int k = 0; k < m.k_tiles; k += r.k_lot) {
            const struct weight_lot lot = lot_of(&m, o, r.o_lot, k, r.k_lot);
            weigh_lot(&m, &lot, &r, dw, db, scratch);
        }
}

#endif
