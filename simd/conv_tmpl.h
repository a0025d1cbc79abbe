/* Convolution with whole vectors. The template; included after a vec_*.h, a tree_*.h and tile sizes:
 *
 *     TILE_C, TILE_X   channels x vectors of the register tile of forward and backward_input
 *     TILE_O, TILE_T   output channels x taps of the register tile of backward_weight
 *     SPIKE_ROWS       rows of a window in the register tile of the sparse gradient by weight
 *     FALLBACK         the table for what does not fill these vectors
 *     CONV_NAME        what the table made here is called
 *
 * Samples side by side (lanes 8 or 16): a vector holds the same pixel of VL samples, so every chain of the arithmetic
 * is a chain of whole vectors, whatever the shape: no im2col, no tails. One sample alone (lanes 1): a vector holds VL
 * neighbours of a row, or VL output channels for the gradient by weight. */
#include <string.h>

#include "simd/kernels.h"
#include "simd/tables.h"
#include "simd/unroll.h"

static int imin(int a, int b) { return a < b ? a : b; }
static int imax(int a, int b) { return a > b ? a : b; }

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

#include "simd/conv_rows_tmpl.h"
#include "simd/conv_weight_tmpl.h"
#if VL <= 8 /* rows of one sample are short */
#include "simd/conv_single_tmpl.h"
#include "simd/conv_sparse_tmpl.h"
#endif

static void forward(const struct cr_conv *c, struct cr_samples s, const float *x, const float *w, const float *b,
                    float *y, float *scratch)
{
    if (fits(c, s))
        rows_forward(c, s, x, w, b, y, scratch);
    else
        FALLBACK.forward(c, s, x, w, b, y, scratch);
}

static void backward_input(const struct cr_conv *c, struct cr_samples s, const float *dy, const float *w, float *dx,
                           float *scratch)
{
#if VL <= 8
    if (s.lanes == 1 && sparse_input_pays(c, s, dy)) {
        sparse_backward_input(c, s, dy, w, dx, scratch);
        return;
    }
#endif
    if (fits(c, s))
        rows_backward_input(c, s, dy, w, dx, scratch);
    else
        FALLBACK.backward_input(c, s, dy, w, dx, scratch);
}

static void backward_weight(const struct cr_conv *c, struct cr_samples s, const float *x, const float *dy, float *dw,
                            float *db, float *scratch)
{
#if VL <= 8
    if (s.lanes == 1) {
        if (sparse_weight_pays(c, s, dy))
            sparse_backward_weight(c, s, x, dy, dw, db, scratch);
        else
            dense_backward_weight(c, s, x, dy, dw, db, scratch);
        return;
    }
#endif
    if (s.lanes % VL == 0)
        lanes_backward_weight(c, s, x, dy, dw, db, scratch);
    else
        FALLBACK.backward_weight(c, s, x, dy, dw, db, scratch);
}

const struct cr_conv_kernels CONV_NAME = { forward, backward_input, backward_weight };
