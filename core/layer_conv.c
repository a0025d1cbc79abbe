/* Convolution (cross-correlation, as the field has it) with bias. */
#include <stdio.h>

#include "core/layer.h"
#include "core/window.h"

static int shape(struct cr_layer *l, const struct cr_layer_args *a, char why[160])
{
    if (cr_window_shape(l, a, a->count, 1, why) < 0) return -1;
    const struct cr_conv *c = &l->conv;
    l->weights = (size_t)c->out_c * (size_t)c->in_c * (size_t)c->kh * (size_t)c->kw;
    l->biases = (size_t)c->out_c;
    return 0;
}

static double flop(const struct cr_layer *l)
{
    return 2.0 * (double)l->weights * l->out.h * l->out.w;
}

static size_t scratch(const struct cr_layer *l, struct cr_samples s)
{
    return cr_conv_scratch(&l->conv, s);
}

static size_t scratch_pool(const struct cr_layer *l, struct cr_samples s)
{
    return cr_conv_pool_scratch(&l->conv, s);
}

static const char *alone(const struct cr_layer *l)
{
    return cr_kernels()->conv.alone_by_product(&l->conv) ? "as matrix products" : "along rows";
}

/* The layer as if it had the output channels alone that are to be made, and what belongs to these. */
struct outputs {
    struct cr_conv conv;
    size_t w, b, y; /* offsets, floats */
};

static struct outputs outputs_of(const struct cr_layer *l, const struct cr_pass *p, struct cr_shape y)
{
    const size_t first = (size_t)p->out.first;
    struct outputs o = { l->conv, first * cr_conv_step(&l->conv), first, cr_channel_at(y, p, p->out.first) };
    o.conv.out_c = p->out.count;
    return o;
}

/* The same with the input channels whose dx is to be made. */
struct inputs {
    struct cr_conv conv;
    size_t w, x;
};

static struct inputs inputs_of(const struct cr_layer *l, const struct cr_pass *p)
{
    const size_t area = (size_t)l->conv.kh * (size_t)l->conv.kw;
    struct inputs i = { l->conv, (size_t)p->in.first * area, cr_channel_at(l->in, p, p->in.first) };
    i.conv.in_c = p->in.count;
    return i;
}

static void forward(const struct cr_layer *l, const struct cr_pass *p)
{
    const struct outputs o = outputs_of(l, p, l->out);
    if (!p->out.count) return;
    p->kernels->conv.forward(&o.conv, p->samples, p->x, p->w + o.w, p->b + o.b, p->y + o.y, p->scratch);
}

static void backward(const struct cr_layer *l, const struct cr_pass *p)
{
    const struct cr_conv_kernels *const k = &p->kernels->conv;
    if (p->out.count) {
        const struct outputs o = outputs_of(l, p, l->out);
        k->backward_weight(&o.conv, p->samples, p->x, p->dy + o.y, p->dw + o.w, p->db + o.b, p->scratch);
    }
    if (p->dx && p->in.count) {
        const struct inputs i = inputs_of(l, p);
        k->backward_input(&i.conv, p->samples, p->dy, p->w + i.w, cr_conv_step(&l->conv), p->dx + i.x,
                          p->scratch);
    }
}

static int pools(const struct cr_layer *l, const struct cr_kernels *k, struct cr_samples s)
{
    return k->conv_pool.fits(&l->conv, s);
}

/* The pool's output. */
static struct cr_shape pooled(const struct cr_layer *l) { return l[1].out; }

/* What the channels to be made have left, or will leave, about winners. */
static void *won_of(const struct cr_layer *l, const struct cr_pass *p)
{
    return (char *)p->won + (size_t)p->out.first * p->kernels->conv_pool.won(&l->conv, p->samples);
}

static void forward_pool(const struct cr_layer *l, const struct cr_pass *p)
{
    const struct outputs o = outputs_of(l, p, pooled(l));
    if (!p->out.count) return;
    p->kernels->conv_pool.forward(&o.conv, p->samples, p->x, p->w + o.w, p->b + o.b, p->y + o.y, won_of(l, p),
                                  p->scratch);
}

/* Both gradients at once, if all channels of both are to be made: they have some of the work in common. */
static void backward_pool(const struct cr_layer *l, const struct cr_pass *p)
{
    const struct cr_conv_pool_kernels *const k = &p->kernels->conv_pool;
    const struct cr_conv *const c = &l->conv;
    const size_t step = cr_conv_step(c);
    float *const dx = p->in.count ? p->dx : NULL;
    if (p->out.count == c->out_c && (!dx || p->in.count == c->in_c)) {
        k->backward(c, p->samples, p->x, p->dy, p->won, p->w, step, p->dw, p->db, dx, p->scratch);
        return;
    }
    if (p->out.count) {
        const struct outputs o = outputs_of(l, p, pooled(l));
        k->backward(&o.conv, p->samples, p->x, p->dy + o.y, won_of(l, p), p->w + o.w, step, p->dw + o.w, p->db + o.b,
                    NULL, p->scratch);
    }
    if (dx) {
        const struct inputs i = inputs_of(l, p);
        k->backward(&i.conv, p->samples, p->x, p->dy, p->won, p->w + i.w, step, NULL, NULL, dx + i.x, p->scratch);
    }
}

const struct cr_layer_type cr_layer_conv = {
    .name = "conv",
    .usage = "conv CHANNELS HxW [stride=N] [pad=N] [init=NAME] [name=NAME]",
    .takes = CR_ARG_COUNT | CR_ARG_KERNEL | CR_ARG_STRIDE | CR_ARG_PAD | CR_ARG_INIT,
    .shape = shape,
    .flop = flop,
    .scratch = scratch,
    .alone = alone,
    .forward = forward,
    .backward = backward,
    .pools = pools,
    .scratch_pool = scratch_pool,
    .forward_pool = forward_pool,
    .backward_pool = backward_pool,
};
