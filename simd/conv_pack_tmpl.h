/* Weights in the order in which a register tile of conv_tile_tmpl.h reads them. Part of conv_tmpl.h.
 *
 * Forward and by input, a tile of channels wants each tap of all its channels side by side; w has the taps of a channel
 * side by side. Where samples are few, or pictures small, turning one into the other takes a tenth of a layer's time
 * if it is not done with care. */
#ifndef CR_SIMD_CONV_PACK_TMPL_H
#define CR_SIMD_CONV_PACK_TMPL_H

#include "simd/conv_border_tmpl.h"

_Static_assert(TILE_C <= 8, "vf_columns() turns eight channels");
_Static_assert(CR_CONV_BEHIND >= 7, "it writes all eight of a channel's last tap");

/* Room for all packed weights, and what is overwritten behind them. */
static size_t packed_size(const struct cr_conv *c)
{
    const size_t weights = (size_t)c->in_c * (size_t)c->out_c * (size_t)c->kh * (size_t)c->kw;
    return (weights + CR_CONV_BEHIND + 15) & ~(size_t)15;
}

/* Channels in tiles of at most TILE_C, as even as can be. */
static int tile_count(int channels) { return tiles(channels, TILE_C); }

/* n <= VL taps of tc <= 8 channels, `stride` floats apart: tap k of all at to + k * step, ascending. Eight floats are
 * written each. */
static inline __attribute__((always_inline)) void turn_taps(const int tc, const int n, const float *w, size_t stride,
                                                            float *to, size_t step)
{
    vf row[8];
    UNROLL for (int i = 0; i < 8; i++)
    {
        const float *const from = w + (size_t)imin(i, tc - 1) * stride;
        row[i] = n == VL ? vf_load(from) : vf_load_n(from, n);
    }
    vf_columns(row, to, step);
}

/* A tile: taps in order, tile channel fastest. Up to CR_CONV_BEHIND floats behind it are overwritten. */
static inline __attribute__((always_inline)) void pack_tile(const int tc, int taps, const float *w, float *packed)
{
    int t = 0;
    for (; t + VL <= taps; t += VL, packed += VL * tc) turn_taps(tc, VL, w + t, (size_t)taps, packed, (size_t)tc);
    if (t == taps) return;
    float column[VL][8];
    turn_taps(tc, taps - t, w + t, (size_t)taps, column[0], 8);
    for (int k = 0; t < taps; t++, k++, packed += tc) memcpy(packed, column[k], (size_t)tc * sizeof *packed);
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

/* Some taps of a window, in the order in which w has them, of a tile's channels: PICKED weights at most. */
enum { PICKED = 64, PICKED_TAPS = PICKED / TILE_C };

/* Those of one phase. Packed, n taps of output o, of the tile of tc channels that begins at channel i, are side by side
 * from phase + taps * (i * outputs + o * tc) + first * tc on. */
struct picked {
    int py, px; /* which phase */
    int n, taps; /* here; of the whole phase */
    size_t phase, first;
    int index[2][PICKED]; /* where each one is in w, for tiles of `small` channels and of one more */
};

/* Taps t..t+n-1, phase by phase, the last one first. Returns how many phases they have. */
static int picked_of(const struct cr_conv *c, int t, int n, int small, struct picked *all)
{
    const int s = c->stride, area = c->kh * c->kw;
    int phases = 0;
    for (int k = n - 1; k >= 0; k--) {
        const int ky = (t + k) / c->kw, kx = (t + k) % c->kw, py = ky % s, px = kx % s;
        struct picked *p = all;
        while (p < all + phases && (p->py != py || p->px != px)) p++;
        if (p == all + phases) {
            const int ny = phase_of(py, c->kh, s, 0, 0).taps, nx = phase_of(px, c->kw, s, 0, 0).taps;
            p->py = py;
            p->px = px;
            p->n = 0;
            p->taps = ny * nx;
            p->phase = (size_t)c->in_c * weights_before(c, py * s + px);
            p->first = (size_t)((ny - 1 - ky / s) * nx + nx - 1 - kx / s);
            phases++;
        }
        for (int more = 0; more < 2; more++)
            for (int i = 0; i < small + more && small + more <= TILE_C; i++)
                p->index[more][p->n * (small + more) + i] = i * area + k;
        p->n++;
    }
    return phases;
}

/* to[k] = from[index[k]] for k < n; all of them are among `span` floats. */
static inline void pick(const float *from, int span, const int *index, int n, float *to)
{
#ifdef vec_pick
    if (span <= PICKED) {
        vec_pick(from, span, index, n, to);
        return;
    }
#endif
    (void)span;
    for (int k = 0; k < n; k++) to[k] = from[index[k]];
}

/* Phase by phase, the taps of each descending, so that outputs ascend: (output, ty, tx), all tiles of input channels
 * one after another. A phase is at in_c * weights_before(); its tile from channel i on, at i * out_c * its taps. Some
 * outputs at a time, lest each line of w come from memory by itself. */
static void pack_backward(const struct cr_conv *c, const float *w, size_t step, float *packed)
{
    enum { OUTPUTS = 8 };
    const int area = c->kh * c->kw, count = tile_count(c->in_c), small = c->in_c / count;
    for (int t = 0; t < area; t += PICKED_TAPS) {
        struct picked all[PICKED_TAPS];
        const int n = imin(PICKED_TAPS, area - t), phases = picked_of(c, t, n, small, all);
        for (int begin = 0; begin < c->out_c; begin += OUTPUTS) {
            const int end = imin(begin + OUTPUTS, c->out_c);
            struct part i = part_of(c->in_c, count, 0);
            for (int tile = 0; tile < count; tile++, next_part(&i))
                for (const struct picked *p = all; p < all + phases; p++) {
                    const size_t output = (size_t)(p->taps * i.size); /* packed floats of one */
                    const float *from = w + (size_t)begin * step + i.begin * area + t;
                    float *to = packed + p->phase + (size_t)(p->taps * i.begin) * (size_t)c->out_c +
                                (size_t)begin * output + p->first * (size_t)i.size;
                    for (int o = begin; o < end; o++, from += step, to += output)
                        pick(from, (i.size - 1) * area + n, p->index[i.size - small], p->n * i.size, to);
                }
        }
    }
}

#endif
