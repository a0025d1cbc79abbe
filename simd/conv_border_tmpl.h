/* What the ways of convolution share: copies with zeros round the picture, and taps in order. Part of conv_tmpl.h. */
#ifndef CR_SIMD_CONV_BORDER_TMPL_H
#define CR_SIMD_CONV_BORDER_TMPL_H

#include <string.h>

#include "simd/kernels.h"
#include "simd/tables.h"
#include "simd/unroll.h"

static int imin(int a, int b) { return a < b ? a : b; }
static int imax(int a, int b) { return a > b ? a : b; }

/* n things in tiles of at most `most`, as even as can be: how many, and where each begins. */
static int tiles(int n, int most) { return (n + most - 1) / most; }
static int share(int n, int tile, int count) { return (int)((long)n * tile / count); }

/* Short runs, for which a call of memset or memcpy would cost more than the work. */
static inline void put_zeros(float *to, size_t n)
{
    size_t i = 0;
    for (; i + VL <= n; i += VL) vf_store(to + i, vf_zero());
    if (i < n) vf_store_n(to + i, vf_zero(), (int)(n - i));
}

static inline void put_copy(float *to, const float *from, size_t n)
{
    size_t i = 0;
    for (; i + VL <= n; i += VL) vf_store(to + i, vf_load(from + i));
    if (i < n) vf_store_n(to + i, vf_load_n(from + i, (int)(n - i)), (int)(n - i));
}

/* Zeros round a picture: pixels beside each row, rows above and below. */
struct border {
    int left, right, above, below;
};

static inline struct border all_round(const struct cr_conv *c)
{
    return (struct border){ c->pad, c->pad, c->pad, c->pad };
}

/* Copy `height` rows of each plane, `from_plane` floats apart, with zeros round them. */
static void copy_bordered(size_t planes, int height, int width, int lanes, struct border z, const float *from,
                          size_t from_plane, float *to)
{
    const size_t l = (size_t)z.left * (size_t)lanes, r = (size_t)z.right * (size_t)lanes;
    const size_t n = (size_t)width * (size_t)lanes, row = l + n + r;
    for (size_t p = 0; p < planes; p++, from += from_plane) {
        put_zeros(to, (size_t)z.above * row);
        to += (size_t)z.above * row;
        for (size_t y = 0; y < (size_t)height; y++, to += row) {
            put_zeros(to, l);
            put_copy(to + l, from + y * n, n);
            put_zeros(to + l + n, r);
        }
        put_zeros(to, (size_t)z.below * row);
        to += (size_t)z.below * row;
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

#endif
