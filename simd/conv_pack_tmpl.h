/* Weights in the order in which a register tile of conv_tile_tmpl.h reads them. Part of conv_tmpl.h.
 *
 * Forward and by input, a tile of channels wants each tap of all its channels side by side; w has the taps of a channel
 * side by side. Where samples are few, or pictures small, turning one into the other takes a tenth of a layer's time
 * if it is done a float at a time. */
#ifndef CR_SIMD_CONV_PACK_TMPL_H
#define CR_SIMD_CONV_PACK_TMPL_H

#include "simd/conv_border_tmpl.h"

_Static_assert(TILE_C <= 8, "vf_columns() turns eight channels");

/* Room for all packed weights. */
static size_t packed_size(const struct cr_conv *c)
{
    return ((size_t)c->in_c * (size_t)c->out_c * (size_t)c->kh * (size_t)c->kw + 15) & ~(size_t)15;
}

/* Channels in tiles of at most TILE_C, as even as can be. */
static int tile_count(int channels) { return tiles(channels, TILE_C); }

/* Tap k of tc <= 8 channels, `stride` floats apart, in column[k], for n <= VL taps. */
static inline __attribute__((always_inline)) void take_columns(const int tc, const int n, const float *w, size_t stride,
                                                               float (*column)[8])
{
    vf row[8];
    UNROLL for (int i = 0; i < 8; i++)
    {
        const float *const from = w + (size_t)imin(i, tc - 1) * stride;
        row[i] = n == VL ? vf_load(from) : vf_load_n(from, n);
    }
    vf_columns(row, column);
}

static inline __attribute__((always_inline)) void put_column(const int tc, const float *column, float *to)
{
    if (tc == TILE_C)
        memcpy(to, column, TILE_C * sizeof *to);
    else
        for (int i = 0; i < tc; i++) to[i] = column[i];
}

/* A tile: taps in order, tile channel fastest. */
static inline __attribute__((always_inline)) void pack_tile(const int tc, int taps, const float *w, float *packed)
{
    float column[VL][8];
    int t = 0;
    for (; t + VL <= taps; t += VL) {
        take_columns(tc, VL, w + t, (size_t)taps, column);
        UNROLL for (int k = 0; k < VL; k++) put_column(tc, column[k], packed + k * tc);
        packed += VL * tc;
    }
    if (t == taps) return;
    take_columns(tc, taps - t, w + t, (size_t)taps, column);
    for (int k = 0; t < taps; t++, k++) put_column(tc, column[k], packed + k * tc);
}

/* All tiles of at most `most` channels, one after another. Tile from channel o on is at o * taps. */
static void pack_forward(const struct cr_conv *c, int most, const float *w, float *packed)
{
    const int taps = c->in_c * c->kh * c->kw, count = tiles(c->out_c, most);
    struct part o = part_of(c->out_c, count, 0);
    for (int tile = 0; tile < count; tile++, next_part(&o)) {
        const size_t at = (size_t)o.begin * (size_t)taps;
        if (o.size == TILE_C)
            pack_tile(TILE_C, taps, w + at, packed + at);
        else
            pack_tile(o.size, taps, w + at, packed + at);
    }
}

/* Of the gradient by input, the pixels of one phase along one axis: those with (i + pad) mod stride == phase. */
struct phase {
    int taps;  /* k = phase + stride * j, j = 0..taps-1 */
    int begin; /* first such pixel */
    int count;
    int q;     /* output under the first pixel's first tap */
};

static struct phase phase_of(int phase, int k, int stride, int pad, int in)
{
    struct phase f = { .taps = phase < k ? (k - 1 - phase) / stride + 1 : 0 };
    f.begin = ((phase - pad) % stride + stride) % stride;
    f.count = f.begin < in ? (in - 1 - f.begin) / stride + 1 : 0;
    f.q = (f.begin + pad) / stride;
    return f;
}

/* Weights of an input channel that phases 0..phase-1 have, of stride * stride: (vertical, horizontal). */
static size_t weights_before(const struct cr_conv *c, int phase)
{
    const struct phase row = phase_of(phase / c->stride, c->kh, c->stride, c->pad, c->in_h);
    size_t taps = 0;
    for (int py = 0; py < phase / c->stride; py++)
        taps += (size_t)(phase_of(py, c->kh, c->stride, c->pad, c->in_h).taps * c->kw);
    for (int px = 0; px < phase % c->stride; px++)
        taps += (size_t)(row.taps * phase_of(px, c->kw, c->stride, c->pad, c->in_w).taps);
    return taps * (size_t)c->out_c;
}

/* Where some taps of w go: tap k of output o, of the tile of tc channels that begins at channel i, to
 * phase[k] + taps[k] * (i * outputs + o * tc) + tap[k] * tc. */
struct places {
    size_t phase[VL], taps[VL], tap[VL];
};

/* Taps t..t+n-1. */
static struct places places_of(const struct cr_conv *c, int t, int n)
{
    const int s = c->stride;
    struct places p;
    for (int k = 0; k < n; k++) {
        const int ky = (t + k) / c->kw, kx = (t + k) % c->kw;
        const int ny = phase_of(ky % s, c->kh, s, 0, 0).taps, nx = phase_of(kx % s, c->kw, s, 0, 0).taps;
        p.phase[k] = (size_t)c->in_c * weights_before(c, ky % s * s + kx % s);
        p.taps[k] = (size_t)(ny * nx);
        p.tap[k] = (size_t)((ny - 1 - ky / s) * nx + nx - 1 - kx / s);
    }
    return p;
}

/* n taps of a tile that begins at channel i, of outputs o..end-1. */
static inline __attribute__((always_inline)) void pack_taps(const int tc, int n, const struct cr_conv *c,
                                                            const float *w, size_t step, const struct places *p, int i,
                                                            int o, int end, float *packed)
{
    float column[VL][8];
    size_t at[VL];
    for (int k = 0; k < n; k++)
        at[k] = p->phase[k] + p->taps[k] * (size_t)(i * c->out_c + o * tc) + p->tap[k] * (size_t)tc;
    for (; o < end; o++, w += step) {
        if (c->kh * c->kw == 1) { /* side by side already */
            put_column(tc, w, packed + at[0]);
        } else {
            take_columns(tc, n, w, (size_t)(c->kh * c->kw), column);
            for (int k = 0; k < n; k++) put_column(tc, column[k], packed + at[k]);
        }
        for (int k = 0; k < n; k++) at[k] += p->taps[k] * (size_t)tc;
    }
}

/* Phase by phase, the taps of each descending, so that outputs ascend: (output, ty, tx), all tiles of input channels
 * one after another. A phase is at in_c * weights_before(); its tile from channel i on, at i * out_c * its taps. Some
 * outputs at a time, lest each line of w come from memory by itself. */
static void pack_backward(const struct cr_conv *c, const float *w, size_t step, float *packed)
{
    enum { OUTPUTS = 8 };
    const int area = c->kh * c->kw, count = tile_count(c->in_c);
    for (int t = 0; t < area; t += VL) {
        const int n = imin(VL, area - t);
        const struct places p = places_of(c, t, n);
        for (int o = 0; o < c->out_c; o += OUTPUTS) {
            const int end = imin(o + OUTPUTS, c->out_c);
            struct part i = part_of(c->in_c, count, 0);
            for (int tile = 0; tile < count; tile++, next_part(&i)) {
                const float *const from = w + (size_t)o * step + i.begin * area + t;
                if (i.size == TILE_C)
                    pack_taps(TILE_C, n, c, from, step, &p, i.begin, o, end, packed);
                else
                    pack_taps(i.size, n, c, from, step, &p, i.begin, o, end, packed);
            }
        }
    }
}

#endif
