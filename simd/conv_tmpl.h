/* Convolution with whole vectors. The template; included after a vec_*.h, a tree_*.h and tile sizes:
 *
 *     TILE_C, TILE_X   channels x vectors of the register tile of forward and backward_input
 *     TILE_O, TILE_T   output channels x taps of the register tile of backward_weight
 *     SELECT           if defined: vectors select by mask beside their multiplications (conv_select_tmpl.h)
 *     GEMM             kernels of the products, for one sample
 *     WIDE(name)       if defined: functions of conv_wide.h
 *     SMALLER(name)    the tables for what does not fill these vectors
 *     CONV(name)       what the tables made here are called
 *
 * Samples side by side (lanes 8 or 16): a vector holds the same pixel of VL samples, so every chain of the arithmetic
 * is a chain of whole vectors, whatever the shape: no im2col, no tails. One sample alone (lanes 1): a vector holds VL
 * neighbours of a row, or VL output channels for the gradient by weight. */
#include "simd/conv_apart.h"
#include "simd/conv_rows_tmpl.h"
#include "simd/conv_pointwise_tmpl.h"
#include "simd/conv_weight_tmpl.h"
#include "simd/conv_pool_tmpl.h"
#ifdef SELECT
enum { SELECTS = 1 };
#include "simd/conv_select_tmpl.h"
#else
enum { SELECTS = 0 };
#endif
#if VL <= 8 /* rows of one sample are short */
#include "simd/conv_single_tmpl.h"
#include "simd/conv_product_tmpl.h"
#include "simd/conv_sparse_tmpl.h"
#include "simd/conv_pool_single_tmpl.h"
#include "simd/conv_apart_tmpl.h"
#endif

#if VL <= 8
static int alone_by_product(const struct cr_conv *c) { return product_pays(c, c->out_c, c->out_w); }
#else
static int alone_by_product(const struct cr_conv *c) { return SMALLER(cr_conv).alone_by_product(c); }
#endif

static void forward(const struct cr_conv *c, struct cr_samples s, const float *x, const float *w, const float *b,
                    float *y, float *scratch)
{
    if (is_pointwise(c, s))
        pointwise_forward(c, s, x, w, b, y, scratch);
    else if (s.lanes % VL == 0)
        rows_forward(c, s, x, w, b, y, scratch);
#if VL <= 8
    else if (s.lanes == 1 && product_pays(c, c->out_c, c->out_w))
        product_forward(c, s, x, w, b, y, scratch);
    else if (s.lanes == 1)
        rows_forward(c, s, x, w, b, y, scratch);
#endif
    else
        SMALLER(cr_conv).forward(c, s, x, w, b, y, scratch);
}

static void backward_input(const struct cr_conv *c, struct cr_samples s, const float *dy, const float *w,
                           size_t step, float *dx, float *scratch)
{
    if (is_pointwise(c, s))
        pointwise_backward_input(c, s, dy, w, step, dx, scratch);
    else if (s.lanes % VL == 0)
        rows_backward_input(c, s, dy, w, step, dx, scratch);
#if VL <= 8
    else if (s.lanes == 1 && sparse_input_pays(c, s, dy))
        sparse_backward_input(c, s, dy, w, step, dx, scratch);
    else if (s.lanes == 1 && product_pays(c, c->in_c, c->in_w))
        product_backward_input(c, s, dy, w, step, dx, scratch);
    else if (s.lanes == 1)
        rows_backward_input(c, s, dy, w, step, dx, scratch);
#endif
    else
        SMALLER(cr_conv).backward_input(c, s, dy, w, step, dx, scratch);
}

static void backward_weight(const struct cr_conv *c, struct cr_samples s, const float *x, const float *dy, float *dw,
                            float *db, float *scratch)
{
    if (s.lanes % VL == 0)
        lanes_backward_weight(c, s, x, dy, dw, db, scratch);
#if VL <= 8
    else if (s.lanes == 1 && sparse_weight_pays(c, s, dy))
        sparse_backward_weight(c, s, x, dy, dw, db, scratch);
    else if (s.lanes == 1 && product_pays_by_weight(c))
        product_backward_weight(c, s, x, dy, dw, db, scratch);
    else if (s.lanes == 1)
        dense_backward_weight(c, s, x, dy, dw, db, scratch);
#endif
    else
        SMALLER(cr_conv).backward_weight(c, s, x, dy, dw, db, scratch);
}

const struct cr_conv_kernels CONV(cr_conv) = { forward, backward_input, backward_weight, alone_by_product };

#if VL <= 8
const struct cr_conv_kernels CONV(cr_conv_product) = {
    product_forward, product_backward_input, product_backward_weight, alone_by_product,
};
#endif

/* One sample alone: where its gradients by weight are shorter from a list of winners, a quarter of the outputs. */
static int pooled_fits(const struct cr_conv *c, struct cr_samples s)
{
#if VL <= 8
    if (s.lanes == 1) return c->stride == 1 && c->kw >= 3 && c->out_h >= 2 && c->out_w >= 2;
#endif
    if (s.lanes % VL) return SMALLER(cr_conv_pool).fits(c, s);
    return c->stride == 1 && c->out_h >= 2 && c->out_w >= 2;
}

static size_t pooled_won(const struct cr_conv *c, struct cr_samples s)
{
#if VL <= 8
    if (s.lanes == 1) return (size_t)single_winners_of(c) * sizeof(struct winner);
#endif
    return s.lanes % VL ? SMALLER(cr_conv_pool).won(c, s) : winners_of(c, s) * sizeof(struct winner);
}

static void pooled_forward(const struct cr_conv *c, struct cr_samples s, const float *x, const float *w, const float *b,
                           float *y, void *won, float *scratch)
{
#if VL <= 8
    if (s.lanes == 1) {
        pool_single_forward(c, s, x, w, b, y, won, scratch);
        return;
    }
#endif
    if (s.lanes % VL)
        SMALLER(cr_conv_pool).forward(c, s, x, w, b, y, won, scratch);
    else
        pool_forward(c, s, x, w, b, y, won, scratch);
}

#ifndef SELECT
static int select_fits(const struct cr_conv *c, struct cr_samples s) { return (void)c, (void)s, 0; }
#define select_backward pool_backward
#endif

/* Each gradient in the shorter way. `select`: side by side, half of the zeros are left out where that is possible. */
static void side_by_side_backward(const struct cr_conv *c, struct cr_samples s, const float *x, const float *dy,
                                  const void *won, int select, const float *w, size_t step, float *dw, float *db,
                                  float *dx, float *scratch)
{
#if VL <= 8
    const struct cr_apart_kernels k = { apart_pays, apart_backward };
#else
    const struct cr_apart_kernels k = SMALLER(cr_apart);
#endif
    const int wide = VL > 8, selects = select && select_fits(c, s);
    const struct cr_apart apart = k.pays(c, s, dy, wide, selects);
    float *const weight = dw && apart.weight ? dw : NULL, *const input = dx && apart.input ? dx : NULL;
    cr_conv_pool_backward_fn *const dense = selects ? select_backward : pool_backward;
    if (weight || input) k.backward(c, s, x, dy, won, wide, w, step, weight, db, input, scratch);
    if ((dw && !weight) || (dx && !input))
        dense(c, s, x, dy, won, w, step, weight ? NULL : dw, db, input ? NULL : dx, scratch);
}

static void backward_in(int select, const struct cr_conv *c, struct cr_samples s, const float *x, const float *dy,
                        const void *won, const float *w, size_t step, float *dw, float *db, float *dx, float *scratch)
{
    if (s.lanes % VL == 0)
        side_by_side_backward(c, s, x, dy, won, select, w, step, dw, db, dx, scratch);
#if VL <= 8
    else if (s.lanes == 1)
        pool_single_backward(c, s, x, dy, won, w, step, dw, db, dx, scratch);
#endif
    else
        SMALLER(cr_conv_pool).backward(c, s, x, dy, won, w, step, dw, db, dx, scratch);
}

static void pooled_backward(const struct cr_conv *c, struct cr_samples s, const float *x, const float *dy,
                            const void *won, const float *w, size_t step, float *dw, float *db, float *dx,
                            float *scratch)
{
    backward_in(1, c, s, x, dy, won, w, step, dw, db, dx, scratch);
}

const struct cr_conv_pool_kernels CONV(cr_conv_pool) = { pooled_fits, pooled_won, pooled_forward, pooled_backward };

#if defined SELECT && VL > 8
/* For processors on which to select takes the place of a multiplication: only windows of five columns win by it. */
static void pooled_backward_wide(const struct cr_conv *c, struct cr_samples s, const float *x, const float *dy,
                                 const void *won, const float *w, size_t step, float *dw, float *db, float *dx,
                                 float *scratch)
{
    backward_in(c->kw >= 5, c, s, x, dy, won, w, step, dw, db, dx, scratch);
}

const struct cr_conv_pool_kernels CONV(cr_conv_pool_wide) = {
    pooled_fits, pooled_won, pooled_forward, pooled_backward_wide,
};
#endif
