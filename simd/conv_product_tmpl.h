/* Samples that do not lie side by side (lanes 1) as matrix products, one sample at a time. Part of conv_tmpl.h;
 * GEMM names the products' kernels.
 *
 *     forward           y (out_c, positions)  =  b + w (out_c, taps) patches (taps, positions)
 *     gradient by input     dx (in_c, pixels) =  w turned (in_c, taps) patches of dy (taps, pixels), a phase at a time
 *     gradient by weight    dw (out_c, taps)  =  dy (out_c, positions) patches turned (positions, taps)
 *
 * The matrix of patches (im2col; Chellapilla et al., 2006) is never stored: a panel of it is written where the product
 * wants it packed. A product's chains ascend over its inner index, which is the order of the arithmetic. */
#ifndef CR_SIMD_CONV_PRODUCT_TMPL_H
#define CR_SIMD_CONV_PRODUCT_TMPL_H

#include "simd/conv_rows_tmpl.h"
#include "simd/conv_single_tmpl.h"

/* A picture with zeros round it, columns under the same tap side by side: (channel, row, column mod stride, column /
 * stride). Patches of it: tap (k, ky, kx) of output (oy, ox) is a fixed way from output (0, 0)'s. */
struct patches {
    const float *picture;
    size_t plane, row, phase;    /* floats */
    int kh, kw, stride, width;   /* width: outputs in a row */
    float *turned;               /* room for a panel, by weight */
};

/* What patches are taken of: `channels` planes of in_h x in_w; windows of kh x kw, a `stride` apart, for height x width
 * outputs; the first one begins at row `top`, column `left`. */
struct frame {
    int channels, in_h, in_w, kh, kw, stride;
    int height, width, top, left;
};

/* Of x, for y. */
static struct frame frame_of(const struct cr_conv *c)
{
    return (struct frame){
        c->in_c, c->in_h, c->in_w, c->kh, c->kw, c->stride, c->out_h, c->out_w, -c->pad, -c->pad,
    };
}

static size_t picture_size(struct frame f)
{
    const size_t row = (size_t)f.stride * (size_t)(f.width + (f.kw - 1) / f.stride);
    return ((size_t)f.channels * (size_t)((f.height - 1) * f.stride + f.kh) * row + VL + 15) / 16 * 16;
}

static struct patches take_picture(struct frame f, const float *x, float *to)
{
    const int in_h = f.in_h, in_w = f.in_w, stride = f.stride;
    const int phase = f.width + (f.kw - 1) / stride, rows = (f.height - 1) * stride + f.kh;
    const struct patches m = {
        .picture = to, .plane = (size_t)(rows * stride * phase), .row = (size_t)(stride * phase),
        .phase = (size_t)phase, .kh = f.kh, .kw = f.kw, .stride = stride, .width = f.width,
    };
    for (int k = 0; k < f.channels; k++, x += (size_t)in_h * (size_t)in_w)
        for (int row = f.top; row < f.top + rows; row++)
            for (int column = f.left; column < f.left + stride; column++, to += phase) {
                const int inside = row >= 0 && row < in_h;
                const int begin = imin(phase, tiles(imax(0, -column), stride));
                const int end = inside ? imax(begin, imin(phase, tiles(imax(0, in_w - column), stride))) : begin;
                const float *const from = x + (ptrdiff_t)row * in_w + column;
                put_zeros(to, (size_t)begin);
                if (stride == 1)
                    put_copy(to + begin, from + begin, (size_t)(end - begin));
                else
                    for (int i = begin; i < end; i++) to[i] = from[(ptrdiff_t)i * stride];
                put_zeros(to + end, (size_t)(phase - end));
            }
    vf_store(to, vf_zero()); /* what runs read past the end */
    return m;
}

/* Taps in order, and where they are for output (0, 0). */
struct tap {
    int ky, kx, phase, column;
    size_t row; /* where (k, ky) is */
};

static struct tap tap_of(const struct patches *m, size_t p)
{
    const size_t kw = (size_t)m->kw, line = p / kw, kh = (size_t)m->kh, ky = line % kh;
    const int kx = (int)(p % kw);
    return (struct tap){ (int)ky, kx, kx % m->stride, kx / m->stride, line / kh * m->plane + ky * m->row };
}

static inline size_t next_tap(struct tap *t, const struct patches *m)
{
    const size_t at = t->row + (size_t)t->phase * m->phase + (size_t)t->column;
    if (++t->phase == m->stride) {
        t->phase = 0;
        t->column++;
    }
    if (++t->kx == m->kw) {
        t->kx = t->phase = t->column = 0;
        t->row += m->row;
        if (++t->ky == m->kh) {
            t->ky = 0;
            t->row += m->plane - (size_t)m->kh * m->row;
        }
    }
    return at;
}

/* Outputs side by side in a row of the picture, at most a vector: `at` from output (0, 0)'s place, `to` in a panel. */
struct piece {
    size_t at, to;
};

/* Outputs j..j+n-1 in pieces; how many. */
static size_t pieces_of(const struct patches *m, size_t j, size_t n, struct piece *piece)
{
    const size_t width = (size_t)m->width, row = m->row * (size_t)m->stride;
    size_t count = 0, column = j % width, at = j / width * row;
    for (size_t i = 0; i < n; column = 0, at += row) {
        const size_t end = i + width - column < n ? i + width - column : n;
        for (size_t v = 0; i + v < end; v += VL) piece[count++] = (struct piece){ at + column + v, i + v };
        i = end;
    }
    return count;
}

/* What a tap meets; `tap` is where it is for output (0, 0). Whole vectors are written, each over the last one's end: up
 * to VL - 1 floats more. */
static inline void put_pieces(size_t count, const struct piece *piece, const float *tap, float *to)
{
    for (size_t i = 0; i < count; i++) vf_store(to + piece[i].to, vf_load(tap + piece[i].at));
}

/* A panel of patches (taps, outputs). */
static void fill_patches(const void *what, size_t from_p, size_t k, size_t from_j, size_t n, float *to, size_t step)
{
    const struct patches *const m = what;
    if (k == 0) return; /* a phase without taps */
    struct piece piece[CR_GEMM_MOST_NR];
    const size_t count = pieces_of(m, from_j, n, piece);
    struct tap t = tap_of(m, from_p);
    for (; k > 1; k--, to += step) put_pieces(count, piece, m->picture + next_tap(&t, m), to);
    float last[CR_GEMM_MOST_NR + VL]; /* nothing may be written behind the last row */
    put_pieces(count, piece, m->picture + next_tap(&t, m), last);
    put_copy(to, last, n);
}

/* A panel of patches turned (outputs, taps). */
static void fill_turned(const void *what, size_t from_p, size_t k, size_t from_j, size_t n, float *to, size_t step)
{
    const struct patches *const m = what;
    const size_t length = (k + 15) / 16 * 16 + 16; /* a vector more than is wanted may be written */
    struct piece piece[CR_GEMM_MOST_KC];
    const size_t count = pieces_of(m, from_p, k, piece);
    struct tap t = tap_of(m, from_j);
    for (size_t i = 0; i < n; i++) put_pieces(count, piece, m->picture + next_tap(&t, m), m->turned + i * length);
    GEMM.pack(n, k, m->turned, length, 1, to, step);
}

/* A few rows at a time: patches are cheap to write anew, and nothing has to be kept of them. */
static void multiply(struct cr_gemm g, float *room)
{
    const int rows = (int)g.m, count = tiles(rows, (int)GEMM.mc);
    for (int i = 0; i < count; i++) {
        g.m = (size_t)(share(rows, i + 1, count) - share(rows, i, count));
        cr_gemm(&GEMM, &g, room);
        g.a += g.m * g.a_row;
        if (g.start) g.start += g.m * g.start_row;
        g.c += g.m * g.c_row;
    }
}

static void product_forward(const struct cr_conv *c, struct cr_samples s, const float *x, const float *w,
                            const float *b, float *y, float *scratch)
{
    const size_t in = (size_t)(c->in_c * c->in_h * c->in_w), taps = (size_t)(c->in_c * c->kh * c->kw);
    const size_t positions = (size_t)(c->out_h * c->out_w), out = (size_t)c->out_c * positions;
    const struct frame f = frame_of(c);
    float *const room = scratch + picture_size(f);
    for (int i = 0; i < s.n; i++, x += in, y += out) {
        const struct patches m = take_picture(f, x, scratch);
        multiply((struct cr_gemm){
            .m = (size_t)c->out_c, .n = positions, .k = taps, .a = w, .a_row = taps, .a_col = 1,
            .fill_b = fill_patches, .what = &m, .start = b, .start_row = 1, .c = y, .c_row = positions,
        }, room);
    }
}

/* The weights of a phase as (taps descending, input channel). */
static void turn_weights(const struct cr_conv *c, int py, int px, int ny, int nx, const float *w, size_t step,
                         float *to)
{
    const size_t in_c = (size_t)c->in_c, area = (size_t)(c->kh * c->kw);
    for (int o = 0; o < c->out_c; o++, w += step)
        for (int ty = 0; ty < ny; ty++)
            for (int tx = 0; tx < nx; tx++, to += in_c) {
                const int ky = py + c->stride * (ny - 1 - ty), kx = px + c->stride * (nx - 1 - tx);
                const float *const from = w + (ky * c->kw + kx);
                for (size_t i = 0; i < in_c; i++) to[i] = from[i * area];
            }
}

/* A phase's pixels to their places. */
static void put_phase(const struct cr_conv *c, struct phase fy, struct phase fx, const float *from, float *dx)
{
    for (int k = 0; k < c->in_c; k++, dx += (size_t)(c->in_h * c->in_w))
        for (int y = 0; y < fy.count; y++) {
            float *const to = dx + (fy.begin + y * c->stride) * c->in_w + fx.begin;
            for (int i = 0; i < fx.count; i++) to[(size_t)(i * c->stride)] = *from++;
        }
}

static void product_backward_input(const struct cr_conv *c, struct cr_samples s, const float *dy, const float *w,
                                   size_t step, float *dx, float *scratch)
{
    const size_t in = (size_t)(c->in_c * c->in_h * c->in_w), out = (size_t)(c->out_c * c->out_h * c->out_w);
    float *const turned = scratch, *const pixels = turned + packed_size(c);
    float *const picture = pixels + (c->stride > 1 ? (in + 15) / 16 * 16 : 0);
    for (int phase = 0; phase < c->stride * c->stride; phase++) {
        const int py = phase / c->stride, px = phase % c->stride;
        const struct phase fy = phase_of(py, c->kh, c->stride, c->pad, c->in_h);
        const struct phase fx = phase_of(px, c->kw, c->stride, c->pad, c->in_w);
        if (fy.count == 0 || fx.count == 0) continue;
        const int ny = fy.taps, nx = fx.taps, none = ny == 0 || nx == 0;
        const size_t taps = none ? 0 : (size_t)(c->out_c * ny * nx), count = (size_t)(fy.count * fx.count);
        const struct frame f = {
            c->out_c, c->out_h, c->out_w, ny, nx, 1, fy.count, fx.count, fy.q - (ny - 1), fx.q - (nx - 1),
        };
        float *const room = picture + (none ? 0 : picture_size(f));
        if (!none) turn_weights(c, py, px, ny, nx, w, step, turned);
        for (int i = 0; i < s.n; i++) {
            struct patches m = { 0 };
            if (!none) m = take_picture(f, dy + (size_t)i * out, picture);
            float *const to = dx + (size_t)i * in;
            multiply((struct cr_gemm){
                .m = (size_t)c->in_c, .n = count, .k = taps, .a = turned, .a_row = 1, .a_col = (size_t)c->in_c,
                .fill_b = fill_patches, .what = &m, .c = c->stride > 1 ? pixels : to, .c_row = count,
            }, room);
            if (c->stride > 1) put_phase(c, fy, fx, pixels, to);
        }
    }
}

/* The gradient by bias of one sample: carry chains on over its positions. */
static void bias_sums(size_t channels, size_t positions, const float *dy, float *to, int go_on)
{
    enum { CHAINS = 8 }; /* at once: as many as hide an addition's latency */
    for (size_t o = 0; o < channels; o += CHAINS) {
        const size_t n = channels - o < CHAINS ? channels - o : CHAINS;
        float sum[CHAINS];
        for (size_t i = 0; i < CHAINS; i++) sum[i] = go_on && i < n ? to[o + i] : 0;
        const float *from[CHAINS];
        for (size_t i = 0; i < CHAINS; i++) from[i] = dy + (o + (i < n ? i : 0)) * positions;
        for (size_t p = 0; p < positions; p++)
            UNROLL for (int i = 0; i < CHAINS; i++) sum[i] += from[i][p];
        for (size_t i = 0; i < n; i++) to[o + i] = sum[i];
    }
}

static void product_backward_weight(const struct cr_conv *c, struct cr_samples s, const float *x, const float *dy,
                                    float *dw, float *db, float *scratch)
{
    const size_t in = (size_t)(c->in_c * c->in_h * c->in_w), taps = (size_t)(c->in_c * c->kh * c->kw);
    const size_t positions = (size_t)(c->out_h * c->out_w), out = (size_t)c->out_c * positions;
    const size_t weights = (size_t)c->out_c * taps, chains = (weights + (size_t)c->out_c + 15) / 16 * 16;
    const int lanes = imin(s.n, 16);
    const struct frame f = frame_of(c);
    /* scratch: chains of each lane (weights, then biases) if there are several, a picture, a panel */
    float *const acc = scratch, *const picture = acc + (lanes > 1 ? (size_t)lanes * chains : 0);
    float *const turned = picture + picture_size(f);
    float *const room = turned + CR_CONV_PANEL;
    for (int i = 0; i < s.n; i++) {
        float *const lane = acc + (size_t)(i % 16) * chains, *const to = lanes > 1 ? lane : dw;
        struct patches m = take_picture(f, x + (size_t)i * in, picture);
        m.turned = turned;
        multiply((struct cr_gemm){
            .m = (size_t)c->out_c, .n = taps, .k = positions, .a = dy + (size_t)i * out, .a_row = positions,
            .a_col = 1, .fill_b = fill_turned, .what = &m, .start = i >= 16 ? to : NULL, .start_row = taps,
            .start_col = 1, .c = to, .c_row = taps,
        }, room);
        bias_sums((size_t)c->out_c, positions, dy + (size_t)i * out, lanes > 1 ? lane + weights : db, i >= 16);
    }
    if (lanes == 1) return;
    single_tree(acc, chains, lanes);
    put_copy(dw, acc, weights);
    put_copy(db, acc + weights, (size_t)c->out_c);
}

/* Where products, of m rows, are the shorter way: where vectors along rows of `width` do not fit, or are shorter than
 * those of products. For a few rows, writing the patches takes too long. */
enum { ENOUGH = 32 };
static int product_pays(const struct cr_conv *c, int m, int width)
{
    return !cr_conv_along_rows(c) || (m >= ENOUGH && (GEMM.vector > VL || width < VL));
}

static int product_pays_by_weight(const struct cr_conv *c) { return c->out_c >= ENOUGH; }

#endif
