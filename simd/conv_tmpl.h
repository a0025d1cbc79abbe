/* Convolution with whole vectors. The template; included after a vec_*.h and tile sizes:
 *
 *     TILE_C, TILE_X   channels x vectors of the register tile of forward and backward_input
 *     TILE_O, TILE_T   output channels x taps of the register tile of backward_weight
 *     FALLBACK         the table for what does not fill these vectors
 *
 * Samples side by side (lanes 8 or 16): a vector holds the same pixel of VL samples, so every chain of the arithmetic
 * is a chain of whole vectors, whatever the shape: no im2col, no tails. One sample alone (lanes 1): a vector holds VL
 * neighbours of a row, which takes a stride of 1; the gradient by weight is in conv_single_tmpl.h.
 *
 * Forward and backward_input are "rows": for one row of outputs and a few channels, a register tile walks the taps
 * (channel, ty, tx) in ascending order, one broadcast weight per channel and one load per vector. Taps that no pixel
 * of the tile has are left out; for the others the row is copied with zeros at both ends.
 *
 * backward_input is the same walk over dy: an input pixel (iy, ix) of phase (iy + pad) mod stride meets the outputs
 * oy = (iy + pad - ky) / stride in ascending order when ky descends. */
#include <string.h>

#include "simd/kernels.h"
#include "simd/tables.h"
#include "simd/unroll.h"

static int imin(int a, int b) { return a < b ? a : b; }
static int imax(int a, int b) { return a > b ? a : b; }

/* One row of outputs: pixel p = sum over channel, ty, tx of x[channel][ty][p * step + tx] * w. Strides in floats. */
struct row {
    int pixels, lanes;
    const float *x;             /* (channel 0, ty 0, tx 0) of pixel 0 */
    size_t x_channel, x_row;
    size_t x_step;              /* from a pixel to the next */
    int channels, ty, tx;       /* taps in this row */
    int window, first, last;    /* taps along x that exist for pixel p: first <= p * step_px + t <= last */
    int step_px;
    const float *w;             /* (channel, taps of the whole kernel, tile channel) packed */
    size_t w_channel, w_row;    /* strides of w; tx has stride = tile channels */
    float *y;
    size_t y_channel, y_step;
    const float *bias;          /* per tile channel, or NULL for +0 */
};

static inline __attribute__((always_inline)) void row_tile(const int tc, const int tv, const struct row *r,
                                                           const float *const *xv, float *const *yv, int t0, int t1,
                                                           const int narrow)
{
    vf acc[TILE_C][TILE_X];
    UNROLL for (int c = 0; c < tc; c++)
    {
        const vf start = r->bias ? vf_set1(r->bias[c]) : vf_zero();
        UNROLL for (int v = 0; v < tv; v++) acc[c][v] = start;
    }
    for (int k = 0; k < r->channels; k++)
        for (int ty = 0; ty < r->ty; ty++) {
            const size_t at = (size_t)k * r->x_channel + (size_t)ty * r->x_row;
            const float *w = r->w + (size_t)k * r->w_channel + (size_t)ty * r->w_row + (size_t)t0 * (size_t)tc;
            size_t x = at + (size_t)t0 * (size_t)r->lanes;
            for (int t = t0; t < t1; t++, x += (size_t)r->lanes, w += tc) {
                vf in[TILE_X];
                UNROLL for (int v = 0; v < tv; v++) in[v] = narrow ? vf_load_n(xv[v] + x, r->pixels) : vf_load(xv[v] + x);
                UNROLL for (int c = 0; c < tc; c++)
                {
                    const vf wc = vf_set1(w[c]);
                    UNROLL for (int v = 0; v < tv; v++) acc[c][v] = vf_fma(in[v], wc, acc[c][v]);
                }
            }
        }
    UNROLL for (int c = 0; c < tc; c++)
        UNROLL for (int v = 0; v < tv; v++)
        {
            float *const y = yv[v] + (size_t)c * r->y_channel;
            if (narrow)
                vf_store_n(y, acc[c][v], r->pixels);
            else
                vf_store(y, acc[c][v]);
        }
}

/* tc and tv as constants, so that the tile lives in registers. */
#define ROW_TILE(TC, TV) row_tile(TC, TV, r, xv, yv, t0, t1, 0)
#define ROW_CHANNELS(TC)                                                                                               \
    case TC:                                                                                                           \
        switch (tv) {                                                                                                  \
        case 0: row_tile(TC, 1, r, xv, yv, t0, t1, 1); break;                                                          \
        case 1: ROW_TILE(TC, 1); break;                                                                                \
        case 2: ROW_TILE(TC, 2); break;                                                                                \
        FOUR(case 3: ROW_TILE(TC, 3); break; case 4: ROW_TILE(TC, 4); break;)                                          \
        }                                                                                                              \
        break;

#if TILE_X >= 4
#define FOUR(...) __VA_ARGS__
#else
#define FOUR(...)
#endif

/* tv = 0: one vector that is wider than the row. */
static void row_tile_any(int tc, int tv, const struct row *r, const float *const *xv, float *const *yv, int t0, int t1)
{
    switch (tc) {
        ROW_CHANNELS(1)
        ROW_CHANNELS(2)
        ROW_CHANNELS(3)
        ROW_CHANNELS(4)
        ROW_CHANNELS(5)
        ROW_CHANNELS(6)
    }
}

/* Where a row's vectors lie: `pixel` of vector v, and of `pixels` pixels each. One sample alone: VL pixels, the last
 * vector moved back to end with the row (what two vectors share is computed twice, to the same bits). */
static int first_pixel(const struct row *r, int v)
{
    if (r->lanes >= VL) return v / (r->lanes / VL);
    return v * VL + VL <= r->pixels || r->pixels < VL ? v * VL : r->pixels - VL;
}

/* How many vectors the tile that begins at vector v takes. In a row whose ends have few of many taps, as in the
 * gradient by input of a large unpadded window, tiles there are narrow, so that less is multiplied by zero. */
static int tile_width(const struct row *r, int v, int vectors)
{
    const int slices = r->lanes / VL, rest = vectors - v;
    const int missing = r->tx - 1 - (r->last - (r->pixels - 1) * r->step_px); /* taps the last pixel lacks */
    const int left = r->first >= 3 ? r->first * slices : 0, right = missing >= 3 ? missing * slices : 0;
    if (v < left || v >= vectors - right) return rest < 2 ? rest : 2;
    const int inner = rest - right, tiles = (inner + TILE_X - 1) / TILE_X;
    return (inner + tiles - 1) / tiles;
}

/* Cut a row into tiles of at most TILE_X vectors, as even as can be. */
static void run_row(int tc, const struct row *r)
{
    const int slices = r->lanes / VL;
    const int vectors = slices ? r->pixels * slices : (r->pixels + VL - 1) / VL, span = slices ? 1 : imin(VL, r->pixels);
    for (int from = 0, to; from < vectors; from = to) {
        const float *xv[TILE_X];
        float *yv[TILE_X];
        to = from + tile_width(r, from, vectors);
        for (int v = from; v < to; v++) {
            const size_t pixel = (size_t)first_pixel(r, v), lane = slices ? (size_t)(v % slices) * VL : 0;
            xv[v - from] = r->x + pixel * r->x_step + lane;
            yv[v - from] = r->y + pixel * r->y_step + lane;
        }
        /* Taps that at least one pixel of the tile has. */
        const int p0 = first_pixel(r, from) * r->step_px, p1 = (first_pixel(r, to - 1) + span - 1) * r->step_px;
        const int t0 = imax(0, r->first - p1), t1 = imin(r->tx, r->last - p0 + 1);
        row_tile_any(tc, !slices && span < VL ? 0 : to - from, r, xv, yv, t0, imax(t0, t1));
    }
}

/* Copy planes of `width` pixels a row with `left` and `right` pixels of zeros beside each row and `above`, `below`
 * rows of zeros. */
static void copy_bordered(size_t planes, int height, int width, int lanes, int left, int right, int above, int below,
                          const float *from, float *to)
{
    const size_t l = (size_t)left * (size_t)lanes, n = (size_t)width * (size_t)lanes, r = (size_t)right * (size_t)lanes;
    const size_t row = l + n + r;
    for (size_t p = 0; p < planes; p++) {
        memset(to, 0, (size_t)above * row * sizeof *to);
        to += (size_t)above * row;
        for (int y = 0; y < height; y++, from += n, to += row) {
            memset(to, 0, l * sizeof *to);
            memcpy(to + l, from, n * sizeof *to);
            memset(to + l + n, 0, r * sizeof *to);
        }
        memset(to, 0, (size_t)below * row * sizeof *to);
        to += (size_t)below * row;
    }
}

/* Do the arrangement and the shape fill these vectors? One sample alone takes vectors of at most 8
 * floats: rows are short. */
static int fits(const struct cr_conv *c, struct cr_samples s)
{
    return s.lanes % VL == 0 || (s.lanes == 1 && VL <= 8 && c->stride == 1);
}

/* Channels o..o+tc-1 of w, taps in order, tile channel fastest. */
static void pack_forward(const struct cr_conv *c, int o, int tc, const float *w, float *packed)
{
    const size_t taps = (size_t)c->in_c * (size_t)c->kh * (size_t)c->kw;
    for (int i = 0; i < tc; i++)
        for (size_t t = 0; t < taps; t++) packed[t * (size_t)tc + (size_t)i] = w[(size_t)(o + i) * taps + t];
}

static void forward(const struct cr_conv *c, struct cr_samples s, const float *x, const float *w, const float *b,
                    float *y, float *scratch)
{
    if (!fits(c, s)) {
        FALLBACK.forward(c, s, x, w, b, y, scratch);
        return;
    }
    const size_t lanes = (size_t)s.lanes;
    const size_t x_group = (size_t)c->in_c * (size_t)c->in_h * (size_t)c->in_w * lanes;
    const size_t y_group = (size_t)c->out_c * (size_t)c->out_h * (size_t)c->out_w * lanes;
    const size_t width = (size_t)(c->in_w + 2 * c->pad);
    float *const packed = scratch;
    float *const bordered = packed + (((size_t)TILE_C * (size_t)c->in_c * (size_t)c->kh * (size_t)c->kw + 15) & ~(size_t)15);

    for (int g = 0; g < cr_groups(s); g++, x += x_group, y += y_group) {
        const float *in = x;
        if (c->pad) {
            copy_bordered((size_t)c->in_c, c->in_h, c->in_w, s.lanes, c->pad, c->pad, 0, 0, x, bordered);
            in = bordered;
        }
        const int tiles = (c->out_c + TILE_C - 1) / TILE_C;
        for (int i = 0; i < tiles; i++) {
            const int o = c->out_c * i / tiles, tc = c->out_c * (i + 1) / tiles - o;
            pack_forward(c, o, tc, w, packed);
            for (int oy = 0; oy < c->out_h; oy++) {
                const int top = oy * c->stride - c->pad; /* input row of ky = 0 */
                const int k0 = imax(0, -top), k1 = imin(c->kh, c->in_h - top);
                const struct row r = {
                    .pixels = c->out_w, .lanes = s.lanes, .channels = c->in_c, .ty = imax(0, k1 - k0), .tx = c->kw,
                    .x = in + (size_t)imax(0, top) * width * lanes, .x_row = width * lanes,
                    .x_channel = (size_t)c->in_h * width * lanes, .x_step = (size_t)c->stride * lanes,
                    .first = c->pad, .last = c->in_w - 1 + c->pad, .step_px = c->stride,
                    .w = packed + (size_t)(k0 * c->kw * tc), .w_row = (size_t)(c->kw * tc),
                    .w_channel = (size_t)(c->kh * c->kw * tc), .bias = b + o,
                    .y = y + ((size_t)o * (size_t)c->out_h + (size_t)oy) * (size_t)c->out_w * lanes,
                    .y_channel = (size_t)c->out_h * (size_t)c->out_w * lanes, .y_step = lanes,
                };
                run_row(tc, &r);
            }
        }
    }
}

/* Input channels i..i+tc-1 for taps of phase (py, px), descending, so that outputs ascend: (out channel, ty, tx). */
static void pack_backward(const struct cr_conv *c, int i, int tc, int py, int px, int ny, int nx, const float *w,
                          float *packed)
{
    const size_t area = (size_t)c->kh * (size_t)c->kw;
    for (int o = 0; o < c->out_c; o++)
        for (int ty = 0; ty < ny; ty++)
            for (int tx = 0; tx < nx; tx++) {
                const int ky = py + c->stride * (ny - 1 - ty), kx = px + c->stride * (nx - 1 - tx);
                const float *from = w + ((size_t)o * (size_t)c->in_c + (size_t)i) * area + (size_t)(ky * c->kw + kx);
                for (int k = 0; k < tc; k++) *packed++ = from[(size_t)k * area];
            }
}

static void backward_input(const struct cr_conv *c, struct cr_samples s, const float *dy, const float *w, float *dx,
                           float *scratch)
{
    if (!fits(c, s)) {
        FALLBACK.backward_input(c, s, dy, w, dx, scratch);
        return;
    }
    const size_t lanes = (size_t)s.lanes;
    const size_t x_plane = (size_t)c->in_h * (size_t)c->in_w * lanes;
    const size_t y_group = (size_t)c->out_c * (size_t)c->out_h * (size_t)c->out_w * lanes;
    const int left = (c->kw - 1) / c->stride, right = imax(0, (c->in_w - 1 + c->pad) / c->stride - (c->out_w - 1));
    const size_t width = (size_t)(left + c->out_w + right);
    float *const packed = scratch;
    float *const bordered = packed + (((size_t)TILE_C * (size_t)c->out_c * (size_t)c->kh * (size_t)c->kw + 15) & ~(size_t)15);

    for (int g = 0; g < cr_groups(s); g++, dy += y_group, dx += (size_t)c->in_c * x_plane) {
        copy_bordered((size_t)c->out_c, c->out_h, c->out_w, s.lanes, left, right, 0, 0, dy, bordered);
        const int tiles = (c->in_c + TILE_C - 1) / TILE_C;
        for (int i = 0; i < tiles; i++) {
            const int ci = c->in_c * i / tiles, tc = c->in_c * (i + 1) / tiles - ci;
            for (int py = 0; py < c->stride; py++)
                for (int px = 0; px < c->stride; px++) {
                    const int ny = py < c->kh ? (c->kh - 1 - py) / c->stride + 1 : 0;
                    const int nx = px < c->kw ? (c->kw - 1 - px) / c->stride + 1 : 0;
                    const int iy0 = ((py - c->pad) % c->stride + c->stride) % c->stride;
                    const int ix0 = ((px - c->pad) % c->stride + c->stride) % c->stride;
                    const int pixels = ix0 < c->in_w ? (c->in_w - 1 - ix0) / c->stride + 1 : 0;
                    const int q0 = (ix0 + c->pad) / c->stride; /* ox of pixel 0 under its first tap kx = px */
                    pack_backward(c, ci, tc, py, px, ny, nx, w, packed);
                    for (int iy = iy0; iy < c->in_h; iy += c->stride) {
                        const int low = (iy + c->pad) / c->stride - (ny - 1); /* oy of ty = 0 */
                        const int k0 = imax(0, -low), k1 = imin(ny, c->out_h - low);
                        const int shift = q0 - (nx - 1) + left; /* bordered column of pixel 0, tx = 0 */
                        const struct row r = {
                            .pixels = pixels, .lanes = s.lanes, .channels = c->out_c, .ty = imax(0, k1 - k0),
                            .tx = nx, .x = bordered + ((size_t)imax(0, low) * width + (size_t)imax(0, shift)) * lanes,
                            .x_row = width * lanes, .x_channel = (size_t)c->out_h * width * lanes, .x_step = lanes,
                            .first = left - shift, .last = left - shift + c->out_w - 1, .step_px = 1,
                            .w = packed + (size_t)(k0 * nx * tc), .w_row = (size_t)(nx * tc),
                            .w_channel = (size_t)(ny * nx * tc), .bias = NULL,
                            .y = dx + (size_t)ci * x_plane + ((size_t)iy * (size_t)c->in_w + (size_t)ix0) * lanes,
                            .y_channel = x_plane, .y_step = (size_t)c->stride * lanes,
                        };
                        run_row(tc, &r);
                    }
                }
        }
    }
}

/* Positions a gradient by weight sums over: dy[o][oy][ox] meets x[tap offset + oy * x_row + ox * x_step]. */
struct field {
    int height, width;
    size_t x_row, x_step, y_row, y_step;
};

static inline __attribute__((always_inline)) void weight_tile(const int to, const int tt, const struct field *f,
                                                              const float *const *x, const float *const *dy,
                                                              vf (*acc)[TILE_T])
{
    vf a[TILE_O][TILE_T];
    UNROLL for (int o = 0; o < to; o++)
        UNROLL for (int t = 0; t < tt; t++) a[o][t] = acc[o][t];
    for (int oy = 0; oy < f->height; oy++) {
        size_t xi = (size_t)oy * f->x_row, yi = (size_t)oy * f->y_row;
        for (int ox = 0; ox < f->width; ox++, xi += f->x_step, yi += f->y_step) {
            vf g[TILE_O];
            UNROLL for (int o = 0; o < to; o++) g[o] = vf_load(dy[o] + yi);
            UNROLL for (int t = 0; t < tt; t++)
            {
                const vf in = vf_load(x[t] + xi);
                UNROLL for (int o = 0; o < to; o++) a[o][t] = vf_fma(in, g[o], a[o][t]);
            }
        }
    }
    UNROLL for (int o = 0; o < to; o++)
        UNROLL for (int t = 0; t < tt; t++) acc[o][t] = a[o][t];
}

#define WEIGHT_TILE(TO, TT)                                                                                            \
    case TT: weight_tile(TO, TT, f, x, dy, acc); break;
#define WEIGHT_CHANNELS(TO)                                                                                            \
    case TO:                                                                                                           \
        switch (tt) {                                                                                                  \
            WEIGHT_TILE(TO, 1) WEIGHT_TILE(TO, 2) WEIGHT_TILE(TO, 3) WEIGHT_TILE(TO, 4) FIVE(WEIGHT_TILE(TO, 5))       \
        }                                                                                                              \
        break;

#if TILE_T >= 5
#define FIVE(...) __VA_ARGS__
#else
#define FIVE(...)
#endif

static void weight_tile_any(int to, int tt, const struct field *f, const float *const *x, const float *const *dy,
                            vf (*acc)[TILE_T])
{
    switch (to) {
        WEIGHT_CHANNELS(1)
        WEIGHT_CHANNELS(2)
        WEIGHT_CHANNELS(3)
#if TILE_O >= 4
        WEIGHT_CHANNELS(4)
#endif
    }
}

/* sum[e] = the fixed tree over lane[e], for n elements. */
static void trees(float (*lane)[16], int n, float *sum)
{
    int e = 0;
    for (; e + 4 <= n; e += 4) tree_four((const float(*)[16])(lane + e), sum + e);
    for (; e < n; e++) {
        for (int half = 8; half > 0; half /= 2)
            for (int i = 0; i < half; i++) lane[e][i] += lane[e][i + half];
        sum[e] = lane[e][0];
    }
}

/* Taps in order, without a division: where the next one reads x for output (0, 0). */
struct tap {
    int ci, ky, kx;
};

static size_t next_tap(struct tap *t, const struct cr_conv *c, size_t x_plane, size_t x_row, size_t lanes)
{
    const size_t offset = (size_t)t->ci * x_plane + (size_t)t->ky * x_row + (size_t)t->kx * lanes;
    if (++t->kx == c->kw) {
        t->kx = 0;
        if (++t->ky == c->kh) {
            t->ky = 0;
            t->ci++;
        }
    }
    return offset;
}

/* Does group g hold samples of the lanes from `slice` on? (Sample i of the block is on lane i mod 16.) */
static int covers(int g, int lanes, int slice)
{
    const int base = g * lanes % 16;
    return base <= slice && slice < base + lanes;
}

static void bias_gradient(const struct cr_conv *c, struct cr_samples s, const float *dy, float *db)
{
    const size_t plane = (size_t)c->out_h * (size_t)c->out_w, lanes = (size_t)s.lanes;
    enum { SIDE = 8 }; /* channels at once: as many independent chains as hide an addition's latency */
    for (int o = 0; o < c->out_c; o += SIDE) {
        const int n = imin(SIDE, c->out_c - o);
        float lane[SIDE][16] = { { 0 } };
        for (int slice = 0; slice < 16; slice += VL) {
            vf acc[SIDE];
            for (int i = 0; i < SIDE; i++) acc[i] = vf_zero();
            for (int g = 0; g < cr_groups(s); g++) {
                if (!covers(g, s.lanes, slice)) continue;
                const float *from = dy + ((size_t)g * (size_t)c->out_c + (size_t)o) * plane * lanes;
                from += slice - g * s.lanes % 16;
                for (size_t p = 0; p < plane; p++, from += lanes)
                    UNROLL for (int i = 0; i < SIDE; i++)
                        acc[i] = vf_add(acc[i], vf_load(from + (size_t)(i < n ? i : 0) * plane * lanes));
            }
            for (int i = 0; i < SIDE; i++) vf_store(&lane[i][slice], acc[i]);
        }
        trees(lane, n, db + o);
    }
}

#if VL <= 8
#include "simd/conv_single_tmpl.h"
#endif

static void backward_weight(const struct cr_conv *c, struct cr_samples s, const float *x, const float *dy, float *dw,
                            float *db, float *scratch)
{
#if VL <= 8
    if (s.lanes == 1) {
        single_backward_weight(c, s, x, dy, dw, db, scratch);
        return;
    }
#endif
    if (s.lanes % VL) {
        FALLBACK.backward_weight(c, s, x, dy, dw, db, scratch);
        return;
    }
    const size_t lanes = (size_t)s.lanes, y_plane = (size_t)c->out_h * (size_t)c->out_w * lanes;
    const int height = c->in_h + 2 * c->pad, width = c->in_w + 2 * c->pad, area = c->kh * c->kw;
    const size_t x_row = (size_t)width * lanes, x_plane = (size_t)height * x_row;
    const struct field f = {
        .height = c->out_h, .width = c->out_w, .x_row = (size_t)c->stride * x_row,
        .x_step = (size_t)c->stride * lanes, .y_row = (size_t)c->out_w * lanes, .y_step = lanes,
    };
    const int taps = c->in_c * area, groups = cr_groups(s);

    if (c->pad) {
        copy_bordered((size_t)groups * (size_t)c->in_c, c->in_h, c->in_w, s.lanes, c->pad, c->pad, c->pad, c->pad, x,
                      scratch);
        x = scratch;
    }
    const int o_tiles = (c->out_c + TILE_O - 1) / TILE_O, t_tiles = (taps + TILE_T - 1) / TILE_T;
    for (int i = 0; i < o_tiles; i++) {
        const int o = c->out_c * i / o_tiles, to = c->out_c * (i + 1) / o_tiles - o;
        struct tap tap = { 0, 0, 0 };
        for (int k = 0; k < t_tiles; k++) {
            const int t = (int)((long)taps * k / t_tiles), tt = (int)((long)taps * (k + 1) / t_tiles) - t;
            size_t offset[TILE_T];
            float lane[TILE_O * TILE_T][16], sum[TILE_O * TILE_T];
            for (int b = 0; b < tt; b++) offset[b] = next_tap(&tap, c, x_plane, x_row, lanes);
            for (int slice = 0; slice < 16; slice += VL) {
                vf acc[TILE_O][TILE_T];
                for (int a = 0; a < TILE_O; a++)
                    for (int b = 0; b < TILE_T; b++) acc[a][b] = vf_zero();
                for (int g = 0; g < groups; g++) {
                    if (!covers(g, s.lanes, slice)) continue;
                    const size_t first = (size_t)(slice - g * s.lanes % 16);
                    const float *xt[TILE_T], *dyo[TILE_O];
                    for (int b = 0; b < tt; b++) xt[b] = x + (size_t)g * (size_t)c->in_c * x_plane + first + offset[b];
                    for (int a = 0; a < to; a++)
                        dyo[a] = dy + ((size_t)g * (size_t)c->out_c + (size_t)(o + a)) * y_plane + first;
                    weight_tile_any(to, tt, &f, xt, dyo, acc);
                }
                for (int a = 0; a < to; a++)
                    for (int b = 0; b < tt; b++) vf_store(&lane[a * tt + b][slice], acc[a][b]);
            }
            trees(lane, to * tt, sum);
            for (int a = 0; a < to; a++)
                for (int b = 0; b < tt; b++) dw[(size_t)(o + a) * (size_t)taps + (size_t)(t + b)] = sum[a * tt + b];
        }
    }
    bias_gradient(c, s, dy, db);
}

const struct cr_conv_kernels CONV_NAME = { forward, backward_input, backward_weight };
