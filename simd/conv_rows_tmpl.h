/* Forward and gradient by input: walks over the rows of a plane of outputs, tile by tile. Part of conv_tmpl.h.
 *
 * Taps that no pixel of a tile has are left out; for the others the rows have zeros at both ends, or, where tiles do
 * without these, are read where they lie.
 *
 * The gradient by input is the same walk over dy: an input pixel (iy, ix) of phase (iy + pad) mod stride meets the
 * outputs oy = (iy + pad - ky) / stride in ascending order when ky descends. */
#ifndef CR_SIMD_CONV_ROWS_TMPL_H
#define CR_SIMD_CONV_ROWS_TMPL_H

#include "simd/conv_pack_tmpl.h"
#include "simd/conv_tile_tmpl.h"

/* The pixel at which vector v of a row begins. One sample alone: VL pixels a vector, the last one moved back to end
 * with the row (what two vectors share is computed twice, to the same bits). */
static int first_pixel(const struct plane *p, int v)
{
    if (p->lanes >= VL) return v / (p->lanes / VL);
    return v * VL + VL <= p->pixels || p->pixels < VL ? v * VL : p->pixels - VL;
}

/* How many taps the last pixel of a row lacks. */
static int lacks(const struct plane *p) { return p->taps_x - 1 - (p->last - (p->pixels - 1) * p->step_px); }

/* How many vectors the tile that begins at vector v takes. In a row whose ends have few of many taps, as in the
 * gradient by input of a large unpadded window, tiles there are narrow, so that less is multiplied by zero. */
static int tile_width(const struct plane *p, int v, int vectors)
{
    const int slices = p->lanes / VL, rest = vectors - v;
    const int left = p->first >= 3 ? p->first * slices : 0, right = lacks(p) >= 3 ? lacks(p) * slices : 0;
    if (v < left || v >= vectors - right) return rest < 2 ? rest : 2;
    const int inner = rest - right, tiles = (inner + TILE_X - 1) / TILE_X;
    return (inner + tiles - 1) / tiles;
}

/* Rows of the window that rows of outputs from `row` on have within the image, and how many outputs have the same. */
struct overlap {
    int k0, k1, rows;
};

static struct overlap overlap_of(const struct plane *p, int row, int most)
{
    const int top = p->top + row * p->top_step;
    struct overlap v = { imax(0, -top), imin(p->taps_y, p->height - top), 1 };
    if (v.k0 == 0 && v.k1 == p->taps_y)
        while (v.rows < most && top + v.rows * p->top_step + p->taps_y <= p->height) v.rows++;
    return v;
}

/* Some tiles of outputs. */
struct lot {
    struct part first;
    int tiles;
};

/* n vectors (0: a narrow one) of the outputs of a lot. y: where those of output 0 are; k0: row of the window under
 * t->x. */
static void run_tiles(const struct plane *p, struct lot lot, int n, float *const *y, int k0, struct tile *t)
{
    const int skipped = k0 * p->taps_x;
    struct part part = lot.first;
    for (int tile = 0; tile < lot.tiles; tile++, next_part(&part)) {
        const int o = part.begin, tc = part.size;
        t->w = p->w + (size_t)o * p->w_output + (size_t)((p->first_tap + skipped) * tc);
        t->bias = p->bias ? p->bias + o : NULL;
        for (int v = 0; v < imax(1, n); v++) t->y[v] = y[v] + (size_t)o * p->y_channel;
        tile_of[tc - 1][n](p, t);
    }
}

#ifdef WIDE
_Static_assert(TILE_C <= CR_WIDE_OUTPUTS, "what is packed for a tile is packed for that of conv_wide.h");

/* One sample alone, where two runs of pixels fill a vector of twice this width. */
static int goes_wide(const struct plane *p)
{
    return p->lanes == 1 && p->pixels >= CR_WIDE_RUN && p->x_step == 1 && p->y_step == 1 && p->taps_x > 1 &&
           !p->go_on;
}

static void run_wide(const struct plane *p, struct lot lot, int begin, int end)
{
    for (int row = begin, next; row < end; row = next) {
        const struct overlap k = overlap_of(p, row, end - row);
        struct part part = lot.first;
        next = row + k.rows;
        for (int tile = 0; tile < lot.tiles; tile++, next_part(&part)) {
            const size_t o = (size_t)part.begin, size = (size_t)part.size, window = (size_t)(p->taps_y * p->taps_x);
            WIDE(rows)(&(struct cr_wide_rows){
                .x = p->x + (size_t)imax(0, p->top + row) * p->x_row, .x_channel = p->x_channel, .x_row = p->x_row,
                .channels = p->channels, .taps_y = imax(0, k.k1 - k.k0), .taps_x = p->taps_x,
                .w = p->w + o * p->w_output + (size_t)(k.k0 * p->taps_x) * size, .w_channel = window * size,
                .bias = p->bias ? p->bias + o : NULL, .y = p->y + o * p->y_channel + (size_t)row * p->y_row,
                .y_channel = p->y_channel, .y_row = p->y_row, .outputs = part.size, .rows = k.rows,
                .pixels = p->pixels,
            });
        }
    }
}
#endif

/* Rows begin..end-1, a column of tiles at a time; where a row has less vectors than a tile, several rows a tile. */
static void run_plane(const struct plane *p, struct lot lot, int begin, int end)
{
#ifdef WIDE
    if (goes_wide(p)) {
        run_wide(p, lot, begin, end);
        return;
    }
#endif
    const int slices = p->lanes / VL, span = slices ? 1 : imin(VL, p->pixels);
    const int vectors = slices ? p->pixels * slices : (p->pixels + VL - 1) / VL;
    for (int from = 0, to; from < vectors; from = to) {
        to = from + tile_width(p, from, vectors);
        const int tv = to - from;
        const int most_rows = slices || span < VL || tv < vectors ? 1 : TILE_X / tv;
        size_t x[TILE_X], y[TILE_X];
        for (int v = 0; v < tv; v++) {
            const size_t pixel = (size_t)first_pixel(p, from + v);
            const size_t lane = slices ? (size_t)((from + v) % slices) * VL : 0;
            x[v] = pixel * p->x_step + lane;
            y[v] = pixel * p->y_step + lane;
        }
        /* Columns of taps that at least one pixel of the tile has. */
        const int p0 = first_pixel(p, from) * p->step_px, p1 = (first_pixel(p, to - 1) + span - 1) * p->step_px;
        float *out[TILE_X];
        struct tile t = { .t0 = imax(0, p->first - p1) };
        t.t1 = imax(t.t0, imin(p->taps_x, p->last - p0 + 1));
        t.lead = slices && p0 + t.t0 < p->first;
        t.trail = slices && p1 + t.t1 - 1 > p->last;
        for (int row = begin, next; row < end; row = next) {
            const struct overlap k = overlap_of(p, row, imin(most_rows, end - row));
            const float *xr = p->x + (size_t)imax(0, p->top + row * p->top_step) * p->x_row;
            t.ty = imax(0, k.k1 - k.k0);
            next = row + k.rows;
            for (int n = 0; row < next; row++, xr += (size_t)p->top_step * p->x_row)
                for (int v = 0; v < tv; v++, n++) {
                    t.x[n] = xr + x[v];
                    out[n] = p->y + (size_t)row * p->y_row + y[v];
                }
            run_tiles(p, lot, !slices && span < VL ? 0 : tv * k.rows, out, k.k0, &t);
        }
    }
}

/* What passes by together: channels of x, tiles of outputs, rows. */
struct portion {
    int channels, lot, rows;
};

/* A tile narrower than four pixels reads each pixel of x often. There channels are so many that what a tile reads of
 * them stays in the nearest cache while the tiles of a lot take their turn at one place, and so do the lot's weights; y
 * is put down and taken up again for the next channels. Of a wide tile all channels pass by; if what it reads at a
 * place stays in a cache of 48 KB, as many tiles take their turn there as have their weights, with it, in twice as
 * much, else one goes over all places, and its weights stay. */
static struct portion portion_of(const struct plane *p)
{
    enum { NEAREST = 4 * 1024, WIDE = 9 * 1024, WITH_WEIGHTS = 24 * 1024 }; /* floats */
    const size_t taps = (size_t)imax(1, p->taps_y * p->taps_x), channels = (size_t)p->channels;
    const size_t window = (size_t)p->taps_y * ((TILE_X - 1) * p->x_step + (size_t)p->taps_x * VL); /* of a channel */
    const int narrow = TILE_X * VL < 4 * p->lanes;
    const int slab = (narrow ? 24 : 64) * 1024; /* floats: 1/5, and half of a cache of 512 KB */
    struct portion r = { .channels = p->channels, .lot = tile_count(p->outputs) };
    int lot = 1; /* at most; 0 counts as 1 */
    if (narrow) {
        r.channels = tiles(p->channels, imax(1, (int)((channels * window + NEAREST - 1) / NEAREST)));
        lot = (int)(NEAREST / ((size_t)r.channels * taps * TILE_C));
    } else if (channels * window <= WIDE) {
        lot = (int)((WITH_WEIGHTS - channels * window) / (channels * taps * TILE_C));
    }
    r.lot = tiles(r.lot, tiles(r.lot, imax(1, lot)));
    const size_t row = (size_t)(r.channels * p->top_step) * p->x_row;
    r.rows = imax(1, imin(p->rows, slab / imax(1, (int)row)));
    return r;
}

/* Rows of x under rows row..end-1 of some planes of outputs. */
struct reach {
    int low, high;
};

static struct reach reach_of(const struct plane *p, int planes, int row, int end)
{
    struct reach r = { p->height, 0 };
    for (int i = 0; i < planes; i++) {
        if (row >= p[i].rows) continue;
        r.low = imin(r.low, imax(0, p[i].top + row * p[i].top_step));
        r.high = imax(r.high, p[i].top + (imin(end, p[i].rows) - 1) * p[i].top_step + p[i].taps_y);
    }
    r.high = imax(r.low, imin(r.high, p->height));
    return r;
}

/* Can the tiles of a plane do without zeros beside the rows? One sample alone if there are none; samples side by side
 * if there is a tile for each end (tile_at_end). */
static int wants_no_zeros(const struct plane *p)
{
    const int none = p->first <= 0 && lacks(p) <= 0, few = p->first <= 1 && lacks(p) <= 1;
    if (p->lanes == 1 || none) return none;
    return few && ends_in_place(p->taps_x, p->x_step == VL) && p->pixels > TILE_X &&
           has_loops(p->outputs / tile_count(p->outputs));
}

static int in_place(const struct plane *p, int planes)
{
    int yes = p->lanes == 1 || (IN_PLACE && p->lanes == VL);
    for (int i = 0; i < planes; i++) yes = yes && wants_no_zeros(p + i);
    return yes;
}

/* The whole walk: slab by slab of rows. The planes of outputs differ in rows, taps and y; portions are those of the
 * first, which with a stride of 2 has the most taps. x (channels, height, width) is copied to `space`, with zeros
 * beside the rows and channels well apart, hence x_channel is set here; p->x is where pixel 0's first tap is in such
 * a copy. Where no zeros are wanted x is read where it is. */
static void run_slabs(const struct plane *p, int planes, struct border z, int width, const float *x, float *space)
{
    const struct portion some = portion_of(p);
    const int count = tile_count(p->outputs);
    const size_t plane = (size_t)(p->height * width) * (size_t)p->lanes;
    const int copied = !in_place(p, planes);
    int rows = 0;
    for (int i = 0; i < planes; i++) rows = imax(rows, p[i].rows);
    for (int row = 0; row < rows; row += some.rows) {
        const int end = imin(row + some.rows, rows);
        const struct reach r = reach_of(p, planes, row, end);
        const size_t x_channel = copied ? apart((size_t)(r.high - r.low) * p->x_row) : plane;
        for (int k = 0; k < p->channels; k += some.channels) {
            const int channels = imin(some.channels, p->channels - k);
            const float *const from = x + (size_t)k * plane + (size_t)(r.low * width) * (size_t)p->lanes;
            if (copied)
                copy_bordered((size_t)channels, r.high - r.low, width, p->lanes, z, from, plane, space, x_channel);
            for (int i = 0; i < planes; i++) {
                struct plane q = p[i];
                if (!copied) {
                    q.x = from + (q.x - space) - z.left * p->lanes;
                    q.x_row = (size_t)(width * p->lanes);
                }
                q.x_channel = x_channel;
                q.top -= r.low;
                q.height = r.high - r.low;
                q.channels = channels;
                q.first_tap = k * q.taps_y * q.taps_x;
                q.go_on = k > 0;
                for (int tile = 0; tile < count; tile += some.lot)
                    run_plane(&q, (struct lot){ part_of(q.outputs, count, tile), imin(some.lot, count - tile) }, row,
                              imin(end, q.rows));
            }
        }
    }
}

static void rows_forward(const struct cr_conv *c, struct cr_samples s, const float *x, const float *w, const float *b,
                         float *y, float *scratch)
{
    const size_t lanes = (size_t)s.lanes, width = (size_t)(c->in_w + 2 * c->pad);
    const size_t x_group = (size_t)c->in_c * (size_t)c->in_h * (size_t)c->in_w * lanes;
    const size_t y_plane = (size_t)c->out_h * (size_t)c->out_w * lanes;
    float *const packed = scratch, *const bordered = packed + packed_size(c);

    pack_forward(c, TILE_C, w, packed);
    for (int g = 0; g < cr_groups(s); g++, x += x_group, y += (size_t)c->out_c * y_plane) {
        const struct plane p = {
            .lanes = s.lanes, .pixels = c->out_w, .rows = c->out_h, .x = bordered,
            .x_row = width * lanes, .x_step = (size_t)c->stride * lanes,
            .channels = c->in_c, .taps_y = c->kh, .taps_x = c->kw,
            .top = -c->pad, .top_step = c->stride, .height = c->in_h,
            .first = c->pad, .last = c->pad + c->in_w - 1, .step_px = c->stride,
            .outputs = c->out_c, .w = packed, .w_output = (size_t)(c->in_c * c->kh * c->kw),
            .y = y, .y_channel = y_plane, .y_row = (size_t)c->out_w * lanes, .y_step = lanes, .bias = b,
        };
        run_slabs(&p, 1, (struct border){ .left = c->pad, .right = c->pad }, c->in_w, x, bordered);
    }
}

/* The pixels of phase (py, px), which have weights of their own. left: zeros beside a row of dy. */
static struct plane plane_of_phase(const struct cr_conv *c, struct cr_samples s, int py, int px, int left, size_t width,
                                   const float *packed, const float *bordered, float *dx)
{
    const size_t lanes = (size_t)s.lanes;
    const struct phase fy = phase_of(py, c->kh, c->stride, c->pad, c->in_h);
    const struct phase fx = phase_of(px, c->kw, c->stride, c->pad, c->in_w);
    const int begin = left + fx.q - imax(0, fx.taps - 1); /* column of pixel 0 under tx = 0 */
    return (struct plane){
        .lanes = s.lanes, .pixels = fx.count, .rows = fy.count,
        .x = bordered + (size_t)begin * lanes, .x_row = width * lanes, .x_step = lanes,
        .channels = c->out_c, .taps_y = fy.taps, .taps_x = fx.taps,
        .top = fy.q - (fy.taps - 1), .top_step = 1, .height = c->out_h,
        .first = left - begin, .last = left - begin + c->out_w - 1, .step_px = 1,
        .outputs = c->in_c, .w = packed, .w_output = (size_t)(c->out_c * fy.taps * fx.taps),
        .y = dx + (size_t)(fy.begin * c->in_w + fx.begin) * lanes,
        .y_channel = (size_t)c->in_h * (size_t)c->in_w * lanes, .y_row = (size_t)(c->stride * c->in_w) * lanes,
        .y_step = (size_t)c->stride * lanes, .bias = NULL,
    };
}

static void rows_backward_input(const struct cr_conv *c, struct cr_samples s, const float *dy, const float *w,
                                size_t step, float *dx, float *scratch)
{
    enum { TOGETHER = 4 }; /* phases: those of stride 2 */
    const size_t x_group = (size_t)c->in_c * (size_t)c->in_h * (size_t)c->in_w * (size_t)s.lanes;
    const size_t y_group = (size_t)c->out_c * (size_t)c->out_h * (size_t)c->out_w * (size_t)s.lanes;
    const int left = (c->kw - 1) / c->stride, right = imax(0, (c->in_w - 1 + c->pad) / c->stride - (c->out_w - 1));
    const size_t width = (size_t)(left + c->out_w + right);
    float *const bordered = scratch + packed_size(c);
    const int phases = c->stride * c->stride;

    pack_backward(c, w, step, scratch);
    for (int first = 0, planes; first < phases; first += planes) {
        struct plane p[TOGETHER];
        planes = imin(TOGETHER, phases - first);
        for (int i = 0; i < planes; i++) {
            const int py = (first + i) / c->stride, px = (first + i) % c->stride;
            const float *const packed = scratch + (size_t)c->in_c * weights_before(c, first + i);
            p[i] = plane_of_phase(c, s, py, px, left, width, packed, bordered, dx);
        }
        for (int g = 0; g < cr_groups(s); g++) {
            run_slabs(p, planes, (struct border){ .left = left, .right = right }, c->out_w, dy + (size_t)g * y_group,
                      bordered);
            for (int i = 0; i < planes; i++) p[i].y += x_group;
        }
    }
}

#endif
