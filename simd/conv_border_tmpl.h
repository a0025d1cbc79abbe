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

/* One such tile, and the way to the next without a division. */
struct part {
    int begin, size;
    int n, count, whole, rest; /* n / count; n * (tile + 1) mod count */
};

static struct part part_of(int n, int count, int tile)
{
    struct part p = { share(n, tile, count), 0, n, count, n / count, (int)((long)n * (tile + 1) % count) };
    p.size = share(n, tile + 1, count) - p.begin;
    return p;
}

static inline void next_part(struct part *p)
{
    p->begin += p->size;
    p->rest += p->n - p->whole * p->count;
    p->size = p->whole + (p->rest >= p->count);
    if (p->rest >= p->count) p->rest -= p->count;
}

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

/* Copy `height` rows of each plane, `from_plane` floats apart, with zeros round them; to_plane: floats apart there. */
static void copy_bordered(size_t planes, int height, int width, int lanes, struct border z, const float *from,
                          size_t from_plane, float *copy, size_t to_plane)
{
    const size_t l = (size_t)z.left * (size_t)lanes, r = (size_t)z.right * (size_t)lanes;
    const size_t n = (size_t)width * (size_t)lanes, row = l + n + r;
    for (size_t p = 0; p < planes; p++, from += from_plane, copy += to_plane) {
        float *to = copy;
        put_zeros(to, (size_t)z.above * row);
        to += (size_t)z.above * row;
        for (size_t y = 0; y < (size_t)height; y++, to += row) {
            put_zeros(to, l);
            put_copy(to + l, from + y * n, n);
            put_zeros(to + l + n, r);
        }
        put_zeros(to, (size_t)z.below * row);
    }
}

/* Planes of `floats` each, how far apart? By an odd number of cache lines, so that the same pixel of many channels is
 * spread over all sets of a cache. */
static size_t apart(size_t floats) { return ((floats + 15) / 16 | 1) * 16; }

#endif
