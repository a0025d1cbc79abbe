/* Pooling, the scalar reference: the definition of the right bits. No padding: every window lies inside the input
 * (inputs that no window reaches get a gradient of +0). The lanes of a group are independent. */
#include <math.h>
#include <string.h>

#include "simd/ref.h"
#include "simd/tables.h"

static struct view input_of(const struct cr_conv *c, struct cr_samples s)
{
    return (struct view){ c->in_c, c->in_h, c->in_w, s.lanes };
}

static struct view output_of(const struct cr_conv *c, struct cr_samples s)
{
    return (struct view){ c->out_c, c->out_h, c->out_w, s.lanes };
}

/* Where the greatest value of a window is: first in (y, x) order, a later one wins only if greater. */
static ptrdiff_t winner(const struct cr_conv *c, struct view in, int group, int ch, int oy, int ox, int lane,
                        const float *x)
{
    ptrdiff_t best = at(in, group, ch, oy * c->stride, ox * c->stride) + lane;
    for (int ky = 0; ky < c->kh; ky++)
        for (int kx = 0; kx < c->kw; kx++) {
            const ptrdiff_t i = at(in, group, ch, oy * c->stride + ky, ox * c->stride + kx) + lane;
            if (x[i] > x[best]) best = i;
        }
    return best;
}

static void max_forward(const struct cr_conv *c, struct cr_samples s, const float *x, float *y)
{
    const struct view in = input_of(c, s), out = output_of(c, s);

    for (int group = 0; group < cr_groups(s); group++)
        for (int ch = 0; ch < c->in_c; ch++)
            for (int oy = 0; oy < c->out_h; oy++)
                for (int ox = 0; ox < c->out_w; ox++)
                    for (int l = 0; l < s.lanes; l++)
                        y[at(out, group, ch, oy, ox) + l] = x[winner(c, in, group, ch, oy, ox, l, x)];
}

/* dx from +0: each window's dy is added to its winner, windows in (oy, ox) order. */
static void max_backward(const struct cr_conv *c, struct cr_samples s, const float *x, const float *dy, float *dx)
{
    const struct view in = input_of(c, s), out = output_of(c, s);

    memset(dx, 0, (size_t)at(in, cr_groups(s), 0, 0, 0) * sizeof *dx);
    for (int group = 0; group < cr_groups(s); group++)
        for (int ch = 0; ch < c->in_c; ch++)
            for (int oy = 0; oy < c->out_h; oy++)
                for (int ox = 0; ox < c->out_w; ox++)
                    for (int l = 0; l < s.lanes; l++)
                        dx[winner(c, in, group, ch, oy, ox, l, x)] += dy[at(out, group, ch, oy, ox) + l];
}

/* The sum from +0 over (ky, kx), then one multiplication by 1/count. */
static void avg_forward(const struct cr_conv *c, struct cr_samples s, const float *x, float *y)
{
    const struct view in = input_of(c, s), out = output_of(c, s);
    const float share = 1.0f / (float)(c->kh * c->kw);

    for (int group = 0; group < cr_groups(s); group++)
        for (int ch = 0; ch < c->in_c; ch++)
            for (int oy = 0; oy < c->out_h; oy++)
                for (int ox = 0; ox < c->out_w; ox++)
                    for (int l = 0; l < s.lanes; l++) {
                        float sum = 0;
                        for (int ky = 0; ky < c->kh; ky++)
                            for (int kx = 0; kx < c->kw; kx++)
                                sum += x[at(in, group, ch, oy * c->stride + ky, ox * c->stride + kx) + l];
                        y[at(out, group, ch, oy, ox) + l] = sum * share;
                    }
}

/* dx from +0: each window gives 1/count of its dy to each of its inputs, windows in (oy, ox) order. */
static void avg_backward(const struct cr_conv *c, struct cr_samples s, const float *dy, float *dx)
{
    const struct view in = input_of(c, s), out = output_of(c, s);
    const float share = 1.0f / (float)(c->kh * c->kw);

    memset(dx, 0, (size_t)at(in, cr_groups(s), 0, 0, 0) * sizeof *dx);
    for (int group = 0; group < cr_groups(s); group++)
        for (int ch = 0; ch < c->in_c; ch++)
            for (int oy = 0; oy < c->out_h; oy++)
                for (int ox = 0; ox < c->out_w; ox++)
                    for (int ky = 0; ky < c->kh; ky++)
                        for (int kx = 0; kx < c->kw; kx++) {
                            float *dxs = dx + at(in, group, ch, oy * c->stride + ky, ox * c->stride + kx);
                            const float *dys = dy + at(out, group, ch, oy, ox);
                            for (int l = 0; l < s.lanes; l++) dxs[l] = fmaf(dys[l], share, dxs[l]);
                        }
}

const struct cr_maxpool_kernels REF(cr_maxpool) = { max_forward, max_backward };
const struct cr_avgpool_kernels REF(cr_avgpool) = { avg_forward, avg_backward };
