/* The gradient by weight of one sample at a time, visiting only what is not zero in dy: each spike adds its patch of x
 * to the taps of its channel. Part of conv_tmpl.h. Leaving out a term of zero keeps the bits.
 *
 * A vector is a row of taps, or, if that takes fewer, a tap of all channels of x, which are then last in the canvas. */
#ifndef CR_SIMD_CONV_SPARSE_WEIGHT_TMPL_H
#define CR_SIMD_CONV_SPARSE_WEIGHT_TMPL_H

#include "simd/conv_single_tmpl.h"
#include "simd/conv_spikes_tmpl.h"

/* A window's rows in pieces of at most VL taps. */
static int pieces(const struct cr_conv *c) { return (c->kw + VL - 1) / VL; }

/* Vectors at once, of those that a table has a function for. */
enum { SPIKE_RUN = 12 };
#define UP_TO_12(NAME)                                                                                                 \
    { NAME##_1, NAME##_2, NAME##_3, NAME##_4, NAME##_5, NAME##_6, NAME##_7, NAME##_8, NAME##_9, NAME##_10, NAME##_11,  \
      NAME##_12 }

/* acc[r][0..VL) += g * x[at + row[r] ...] for n rows of taps, over the spikes, and acc[n][0..VL) += g if with_bias. x
 * may be read VL - 1 floats past its end. */
static inline __attribute__((always_inline)) void spike_rows(const int n, struct spikes spikes, size_t count,
                                                             const float *x, const size_t *row, float *acc,
                                                             const int with_bias)
{
    vf a[SPIKE_RUN], bias = with_bias ? vf_load(acc + n * VL) : vf_zero();
    const float *xr[SPIKE_RUN];
    UNROLL for (int r = 0; r < n; r++)
    {
        a[r] = vf_load(acc + r * VL);
        xr[r] = x + row[r];
    }
    for (size_t i = 0; i < count; i++) {
        const vf g = vf_set1(spikes.g[i]);
        const size_t at = (size_t)spikes.at[i];
        UNROLL for (int r = 0; r < n; r++) a[r] = vf_fma(vf_load(xr[r] + at), g, a[r]);
        if (with_bias) bias = vf_add(bias, g);
    }
    UNROLL for (int r = 0; r < n; r++) vf_store(acc + r * VL, a[r]);
    if (with_bias) vf_store(acc + n * VL, bias);
}

typedef void spike_rows_fn(struct spikes spikes, size_t count, const float *x, const size_t *row, float *acc);
#define ROWS(N)                                                                                                        \
    static void spike_rows_##N(struct spikes spikes, size_t count, const float *x, const size_t *row, float *acc)      \
    {                                                                                                                  \
        spike_rows(N, spikes, count, x, row, acc, 0);                                                                  \
    }                                                                                                                  \
    static void spike_last_rows_##N(struct spikes spikes, size_t count, const float *x, const size_t *row, float *acc) \
    {                                                                                                                  \
        spike_rows(N, spikes, count, x, row, acc, 1);                                                                  \
    }
ROWS(1) ROWS(2) ROWS(3) ROWS(4) ROWS(5) ROWS(6) ROWS(7) ROWS(8) ROWS(9) ROWS(10) ROWS(11) ROWS(12)
static spike_rows_fn *const spike_rows_of[2][SPIKE_RUN] = { /* [with the bias][n - 1] */
    UP_TO_12(spike_rows), UP_TO_12(spike_last_rows)
};

/* Any number of rows; the bias comes after the last. */
static void spike_all_rows(int rows, struct spikes spikes, size_t count, const float *x, const size_t *row, float *acc)
{
    const int times = tiles(rows, SPIKE_RUN);
    struct part p = part_of(rows, times, 0);
    for (int i = 0; i < times; i++, next_part(&p)) {
        spike_rows_of[i + 1 == times][p.size - 1](spikes, count, x, row + p.begin, acc);
        acc += p.size * VL;
    }
}

/* The same for vectors `pixel` floats apart in `rows` rows of a window, `cols` each: where a pixel is one vector, its
 * taps; else the vectors of taps that lie side by side. */
enum { SPIKE_VECTORS = 25 };
static inline __attribute__((always_inline)) void spike_taps(const int rows, const int cols, const int with_bias,
                                                             struct spikes spikes, size_t count, const float *x,
                                                             size_t pixel, size_t x_row, float *acc)
{
    const int n = rows * cols;
    vf a[SPIKE_VECTORS], bias = with_bias ? vf_load(acc + n * VL) : vf_zero();
    UNROLL for (int v = 0; v < n; v++) a[v] = vf_load(acc + v * VL);
    for (size_t i = 0; i < count; i++) {
        const vf g = vf_set1(spikes.g[i]);
        const float *const at = x + (size_t)spikes.at[i] * pixel;
        UNROLL for (int r = 0; r < rows; r++)
            UNROLL for (int t = 0; t < cols; t++)
                a[r * cols + t] = vf_fma(vf_load(at + (size_t)r * x_row + t * VL), g, a[r * cols + t]);
        if (with_bias) bias = vf_add(bias, g);
    }
    UNROLL for (int v = 0; v < n; v++) vf_store(acc + v * VL, a[v]);
    if (with_bias) vf_store(acc + n * VL, bias);
}

/* Windows of 3x3 and 5x5, as many rows at once as registers hold; 0 if it is another. */
static int spike_window(const struct cr_conv *c, struct spikes spikes, size_t count, const float *x, size_t x_row,
                        float *acc)
{
    enum { AT_ONCE = TILE_X >= 4 ? 5 : 2 };
    if (c->kh != c->kw) return 0;
    if (c->kw == 3) {
        spike_taps(3, 3, 1, spikes, count, x, VL, x_row, acc);
    } else if (c->kw == 5) {
        for (int r = 0; r + AT_ONCE < 5; r += AT_ONCE, x += AT_ONCE * x_row, acc += AT_ONCE * 5 * VL)
            spike_taps(AT_ONCE, 5, 0, spikes, count, x, VL, x_row, acc);
        spike_taps(AT_ONCE < 5 ? 5 % AT_ONCE : 5, 5, 1, spikes, count, x, VL, x_row, acc);
    } else {
        return 0;
    }
    return 1;
}

/* Vectors side by side. */
typedef void spike_run_fn(struct spikes spikes, size_t count, const float *x, size_t pixel, float *acc);
#define RUN(N)                                                                                                         \
    static void spike_run_##N(struct spikes spikes, size_t count, const float *x, size_t pixel, float *acc)            \
    {                                                                                                                  \
        spike_taps(1, N, 0, spikes, count, x, pixel, 0, acc);                                                          \
    }                                                                                                                  \
    static void spike_last_run_##N(struct spikes spikes, size_t count, const float *x, size_t pixel, float *acc)       \
    {                                                                                                                  \
        spike_taps(1, N, 1, spikes, count, x, pixel, 0, acc);                                                          \
    }
RUN(1) RUN(2) RUN(3) RUN(4) RUN(5) RUN(6) RUN(7) RUN(8) RUN(9) RUN(10) RUN(11) RUN(12)
static spike_run_fn *const spike_run_of[2][SPIKE_RUN] = { UP_TO_12(spike_run), UP_TO_12(spike_last_run) };

/* `rows` rows of a window, `vectors` in each; the bias comes after the last. */
static void spike_runs(int rows, int vectors, struct spikes spikes, size_t count, const float *x, size_t x_row,
                       size_t pixel, float *acc)
{
    const int times = tiles(vectors, SPIKE_RUN);
    for (; rows > 0; rows--, x += x_row) {
        struct part p = part_of(vectors, times, 0);
        for (int i = 0; i < times; i++, next_part(&p)) {
            spike_run_of[rows == 1 && i + 1 == times][p.size - 1](spikes, count, x + p.begin * VL, pixel, acc);
            acc += p.size * VL;
        }
    }
}

/* The chains of all taps while samples pass by: vectors, as above, then the bias, for each channel and lane. */
struct sparse_weight {
    struct canvas v;
    int last;               /* channels of x are last */
    size_t pixel;           /* of the canvas, floats */
    size_t image;           /* floats from a sample's canvas to the next; VL at the end are zeros */
    int lanes, rows;
    size_t per_channel, chains;
    float *acc, *canvas;
    size_t *row;            /* where each vector begins in the canvas, if these are rows of taps */
    float *end;             /* of the scratch it uses */
};

/* Vectors of a window in rows of taps, and as taps of all channels. */
static int vectors_in_rows(const struct cr_conv *c) { return c->in_c * c->kh * pieces(c); }
static int vectors_in_taps(const struct cr_conv *c) { return c->kh * c->kw * ((c->in_c + VL - 1) / VL); }

/* canvases: how many samples have theirs at a time. */
static struct sparse_weight sparse_weight_in(const struct cr_conv *c, struct cr_samples s, size_t canvases,
                                             float *scratch)
{
    struct sparse_weight k = { .v = canvas_of(c), .pixel = 1, .lanes = imin(s.n, 16), .acc = scratch };
    k.last = vectors_in_taps(c) < vectors_in_rows(c);
    k.rows = k.last ? vectors_in_taps(c) : vectors_in_rows(c);
    if (k.last) k.pixel = ((size_t)c->in_c + VL - 1) / VL * VL;
    const size_t picture = (k.last ? k.pixel : (size_t)c->in_c) * k.v.plane;
    k.image = apart(picture + VL);
    k.per_channel = (size_t)(k.rows + 1) * VL;
    k.chains = (size_t)c->out_c * k.per_channel;
    k.canvas = k.acc + (size_t)k.lanes * k.chains;
    k.row = (size_t *)(void *)(k.canvas + canvases * k.image);
    k.end = (float *)(void *)(k.row + (k.rows + 7) / 8 * 8);
    size_t *row = k.row;
    for (size_t i = 0; i < (size_t)c->in_c && !k.last; i++)
        for (size_t ky = 0; ky < (size_t)c->kh; ky++)
            for (size_t at = 0; at < (size_t)c->kw; at += VL) *row++ = i * k.v.plane + ky * k.v.width + at;
    if (c->pad && (k.last || canvases > 1)) put_zeros(k.canvas, canvases * k.image); /* a picture alone is copied so */
    for (size_t i = 0; i < canvases; i++) put_zeros(k.canvas + i * k.image + picture, k.image - picture);
    return k;
}

/* Chains from +0. */
static void sparse_weight_begin(const struct sparse_weight *k)
{
    put_zeros(k->acc, (size_t)k->lanes * k->chains);
}

/* The canvas of a sample's x. */
static void sparse_weight_sample(const struct cr_conv *c, const struct sparse_weight *k, const float *x)
{
    const size_t in_w = (size_t)c->in_w, plane = (size_t)c->in_h * in_w, pad = (size_t)c->pad;
    if (k->last)
        for (size_t y = 0; y < (size_t)c->in_h; y++)
            turn(c->in_c, in_w, x + y * in_w, plane, k->canvas + ((y + pad) * k->v.width + pad) * k->pixel, k->pixel,
                 ROOM_TO);
    else
        copy_bordered((size_t)c->in_c, c->in_h, c->in_w, 1, all_round(c), x, plane, k->canvas, k->v.plane);
}

/* The spikes of channel o of sample i, whose canvas it is. */
static void sparse_weight_add(const struct cr_conv *c, const struct sparse_weight *k, int i, int o,
                              const float *canvas, struct spikes spikes, size_t count)
{
    float *const acc = k->acc + (size_t)(i % 16) * k->chains + (size_t)o * k->per_channel;
    if (k->last && k->pixel == VL && spike_window(c, spikes, count, canvas, k->v.width * VL, acc)) return;
    if (k->last)
        spike_runs(c->kh, c->kw * (int)(k->pixel / VL), spikes, count, canvas, k->v.width * k->pixel, k->pixel, acc);
    else
        spike_all_rows(k->rows, spikes, count, canvas, k->row, acc);
}

static void sparse_weight_out(const struct cr_conv *c, const struct sparse_weight *k, float *dw, float *db)
{
    const int area = c->kh * c->kw, taps = c->in_c * area;
    single_tree(k->acc, k->chains, k->lanes);
    const float *chain = k->acc;
    for (int o = 0; o < c->out_c; o++, chain += VL, dw += taps) {
        if (k->last) {
            turn(area, (size_t)c->in_c, chain, k->pixel, dw, (size_t)area, ROOM_FROM);
            chain += (size_t)area * k->pixel;
        } else {
            float *to = dw;
            for (int row = 0; row < c->in_c * c->kh; row++, to += c->kw)
                for (int kx = 0; kx < c->kw; kx += VL, chain += VL)
                    vf_store_n(to + kx, vf_load(chain), imin(VL, c->kw - kx));
        }
        db[o] = *chain;
    }
}

static void sparse_backward_weight(const struct cr_conv *c, struct cr_samples s, const float *x, const float *dy,
                                   float *dw, float *db, float *scratch)
{
    const size_t positions = (size_t)c->out_h * (size_t)c->out_w;
    const struct sparse_weight k = sparse_weight_in(c, s, 1, scratch);
    const struct spikes spikes = spikes_in(k.end, positions);

    sparse_weight_begin(&k);
    for (int i = 0; i < s.n; i++, x += (size_t)c->in_c * (size_t)c->in_h * (size_t)c->in_w) {
        sparse_weight_sample(c, &k, x);
        for (int o = 0; o < c->out_c; o++, dy += positions)
            sparse_weight_add(c, &k, i, o, k.canvas, spikes, find_spikes(c, k.v, dy, spikes));
    }
    sparse_weight_out(c, &k, dw, db);
}

#endif
