/* Convolution, the scalar reference: the definition of the right bits. Each output is one chain of fmaf in the order
 * its function's comment states; the lanes of a group are independent chains that are walked side by side. Terms
 * that fall into the padding are left out (they would add zero). */
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

/* Where w[oc][ic][ky][kx] is. */
static ptrdiff_t weight_at(const struct cr_conv *c, int oc, int ic, int ky, int kx)
{
    return (((ptrdiff_t)oc * c->in_c + ic) * c->kh + ky) * c->kw + kx;
}

/* One output y[group][oc][oy][ox], all lanes: from the bias, over (ic, ky, kx). */
static void forward_one(const struct cr_conv *c, struct view in, int group, int oc, int oy, int ox, const float *x,
                        const float *w, float bias, float *y)
{
    float sum[LANES];
    for (int l = 0; l < in.lanes; l++) sum[l] = bias;

    for (int ic = 0; ic < c->in_c; ic++)
        for (int ky = 0; ky < c->kh; ky++)
            for (int kx = 0; kx < c->kw; kx++) {
                const int iy = oy * c->stride + ky - c->pad;
                const int ix = ox * c->stride + kx - c->pad;
                if (!inside(iy, c->in_h) || !inside(ix, c->in_w)) continue;
                const float *xs = x + at(in, group, ic, iy, ix);
                const float wk = w[weight_at(c, oc, ic, ky, kx)];
                for (int l = 0; l < in.lanes; l++) sum[l] = fmaf(wk, xs[l], sum[l]);
            }
    for (int l = 0; l < in.lanes; l++) y[l] = sum[l];
}

static void forward(const struct cr_conv *c, struct cr_samples s, const float *x, const float *w, const float *b,
                    float *y, float *scratch)
{
    const struct view in = input_of(c, s), out = output_of(c, s);
    (void)scratch;

    for (int group = 0; group < cr_groups(s); group++)
        for (int oc = 0; oc < c->out_c; oc++)
            for (int oy = 0; oy < c->out_h; oy++)
                for (int ox = 0; ox < c->out_w; ox++)
                    forward_one(c, in, group, oc, oy, ox, x, w, b[oc], y + at(out, group, oc, oy, ox));
}

/* Give dy[group][oc][oy][ox] back to every input it was made of, by the weights of oc. */
static void scatter_one(const struct cr_conv *c, struct view in, int group, int oy, int ox, const float *dy,
                        const float *w, float *dx)
{
    for (int ic = 0; ic < c->in_c; ic++)
        for (int ky = 0; ky < c->kh; ky++)
            for (int kx = 0; kx < c->kw; kx++) {
                const int iy = oy * c->stride + ky - c->pad;
                const int ix = ox * c->stride + kx - c->pad;
                if (!inside(iy, c->in_h) || !inside(ix, c->in_w)) continue;
                float *dxs = dx + at(in, group, ic, iy, ix);
                const float wk = w[weight_at(c, 0, ic, ky, kx)];
                for (int l = 0; l < in.lanes; l++) dxs[l] = fmaf(wk, dy[l], dxs[l]);
            }
}

/* dx from +0 over (oc, oy, ox): the outputs in that order, each of which uses an input at most once. */
static void backward_input(const struct cr_conv *c, struct cr_samples s, const float *dy, const float *w,
                           size_t step, float *dx, float *scratch)
{
    const struct view in = input_of(c, s), out = output_of(c, s);
    (void)scratch;

    memset(dx, 0, (size_t)at(in, cr_groups(s), 0, 0, 0) * sizeof *dx);
    for (int group = 0; group < cr_groups(s); group++)
        for (int oc = 0; oc < c->out_c; oc++)
            for (int oy = 0; oy < c->out_h; oy++)
                for (int ox = 0; ox < c->out_w; ox++)
                    scatter_one(c, in, group, oy, ox, dy + at(out, group, oc, oy, ox), w + (size_t)oc * step, dx);
}

/* Lanes of this group that hold a sample. */
static int samples_in(struct cr_samples s, int group)
{
    const int left = s.n - group * s.lanes;
    return left < s.lanes ? left : s.lanes;
}

/* dw[oc][ic][ky][kx]: per lane from +0 over (sample, oy, ox), then the tree. */
static float weight_gradient(const struct cr_conv *c, struct cr_samples s, int oc, int ic, int ky, int kx,
                             const float *x, const float *dy)
{
    const struct view in = input_of(c, s), out = output_of(c, s);
    float sum[LANES] = { 0 };

    for (int group = 0; group < cr_groups(s); group++) {
        float *lane = sum + group * s.lanes % LANES; /* the lane of the group's first sample */
        const int count = samples_in(s, group);
        for (int oy = 0; oy < c->out_h; oy++)
            for (int ox = 0; ox < c->out_w; ox++) {
                const int iy = oy * c->stride + ky - c->pad;
                const int ix = ox * c->stride + kx - c->pad;
                if (!inside(iy, c->in_h) || !inside(ix, c->in_w)) continue;
                const float *xs = x + at(in, group, ic, iy, ix);
                const float *dys = dy + at(out, group, oc, oy, ox);
                for (int l = 0; l < count; l++) lane[l] = fmaf(xs[l], dys[l], lane[l]);
            }
    }
    return tree(sum);
}

/* db[oc]: per lane from +0 over (sample, oy, ox), then the tree. */
static float bias_gradient(const struct cr_conv *c, struct cr_samples s, int oc, const float *dy)
{
    const struct view out = output_of(c, s);
    float sum[LANES] = { 0 };

    for (int group = 0; group < cr_groups(s); group++) {
        float *lane = sum + group * s.lanes % LANES;
        const int count = samples_in(s, group);
        for (int oy = 0; oy < c->out_h; oy++)
            for (int ox = 0; ox < c->out_w; ox++) {
                const float *dys = dy + at(out, group, oc, oy, ox);
                for (int l = 0; l < count; l++) lane[l] += dys[l];
            }
    }
    return tree(sum);
}

static void backward_weight(const struct cr_conv *c, struct cr_samples s, const float *x, const float *dy, float *dw,
                            float *db, float *scratch)
{
    (void)scratch;
    for (int oc = 0; oc < c->out_c; oc++) {
        for (int ic = 0; ic < c->in_c; ic++)
            for (int ky = 0; ky < c->kh; ky++)
                for (int kx = 0; kx < c->kw; kx++)
                    dw[weight_at(c, oc, ic, ky, kx)] = weight_gradient(c, s, oc, ic, ky, kx, x, dy);
        db[oc] = bias_gradient(c, s, oc, dy);
    }
}

static int by_product(const struct cr_conv *c)
{
    (void)c;
    return 0;
}

const struct cr_conv_kernels REF(cr_conv) = { forward, backward_input, backward_weight, by_product };

/* With a max-pool: always one after the other. */
static int never(const struct cr_conv *c, struct cr_samples s)
{
    (void)c;
    (void)s;
    return 0;
}

const struct cr_conv_pool_kernels REF(cr_conv_pool) = { .fits = never };
