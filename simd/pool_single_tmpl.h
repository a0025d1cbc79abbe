/* Max-pooling 2x2 with stride 2 for samples that do not lie side by side (lanes 1). Part of pool_tmpl.h. A vector holds
 * VL neighbouring windows. */
#include "simd/pool_window_tmpl.h"

static inline void single_forward_row(const float *x, int in_w, int n, float *y)
{
    vf value[4];
    windows(x, in_w, n, value);
    vf max = value[0];
    for (int k = 1; k < 4; k++) max = vf_select(vf_gt(value[k], max), value[k], max);
    vf_store_n(y, max, n);
}

static inline void single_backward_row(const float *x, const float *dy, int in_w, int n, float *dx)
{
    vf value[4];
    windows(x, in_w, n, value);
    vf max = value[0], winner = vf_zero();
    for (int k = 1; k < 4; k++) {
        const vm greater = vf_gt(value[k], max);
        max = vf_select(greater, value[k], max);
        winner = vf_select(greater, vf_set1((float)k), winner);
    }
    const vf gradient = vf_load_n(dy, n);
    for (int k = 0; k < 4; k++) value[k] = vf_select(vf_eq(winner, vf_set1((float)k)), gradient, vf_zero());
    for (int k = 0; k < 2; k++, dx += in_w) {
        vf_store_n(dx, vf_zip_low(value[2 * k], value[2 * k + 1]), lesser(2 * n, VL));
        if (2 * n > VL) vf_store_n(dx + VL, vf_zip_high(value[2 * k], value[2 * k + 1]), 2 * n - VL);
    }
}

static void single_forward(const struct cr_conv *c, int samples, const float *x, float *y)
{
    for (int plane = 0; plane < samples * c->in_c; plane++, x += (ptrdiff_t)c->in_h * c->in_w)
        for (int oy = 0; oy < c->out_h; oy++, y += c->out_w) {
            const float *const row = x + (ptrdiff_t)(2 * oy) * c->in_w;
            int ox = 0;
            for (; ox + VL <= c->out_w; ox += VL) single_forward_row(row + 2 * ox, c->in_w, VL, y + ox);
            if (ox < c->out_w) single_forward_row(row + 2 * ox, c->in_w, c->out_w - ox, y + ox);
        }
}

/* dx has been cleared where no window reaches. */
static void single_backward(const struct cr_conv *c, int samples, const float *x, const float *dy, float *dx)
{
    const ptrdiff_t in = (ptrdiff_t)c->in_h * c->in_w;
    for (int plane = 0; plane < samples * c->in_c; plane++, x += in, dx += in)
        for (int oy = 0; oy < c->out_h; oy++, dy += c->out_w) {
            const ptrdiff_t row = (ptrdiff_t)(2 * oy) * c->in_w;
            int ox = 0;
            for (; ox + VL <= c->out_w; ox += VL)
                single_backward_row(x + row + 2 * ox, dy + ox, c->in_w, VL, dx + row + 2 * ox);
            if (ox < c->out_w)
                single_backward_row(x + row + 2 * ox, dy + ox, c->in_w, c->out_w - ox, dx + row + 2 * ox);
        }
}
