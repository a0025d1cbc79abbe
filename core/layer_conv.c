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
    return cr_conv_pool_scratch(&l->conv, s); /* no less than that of the convolution alone */
}

static const char *alone(const struct cr_layer *l)
{
    return cr_kernels()->conv.alone_by_product(&l->conv) ? "as matrix products" : "along rows";
}

static void forward(const struct cr_layer *l, const struct cr_pass *p)
{
    p->kernels->conv.forward(&l->conv, p->samples, p->x, p->w, p->b, p->y, p->scratch);
}

static void backward(const struct cr_layer *l, const struct cr_pass *p)
{
    p->kernels->conv.backward_weight(&l->conv, p->samples, p->x, p->dy, p->dw, p->db, p->scratch);
    if (p->dx) p->kernels->conv.backward_input(&l->conv, p->samples, p->dy, p->w, p->dx, p->scratch);
}

static int pools(const struct cr_layer *l, const struct cr_kernels *k, struct cr_samples s)
{
    return k->conv_pool.fits(&l->conv, s);
}

static void forward_pool(const struct cr_layer *l, const struct cr_pass *p)
{
    p->kernels->conv_pool.forward(&l->conv, p->samples, p->x, p->w, p->b, p->y, p->won, p->scratch);
}

static void backward_pool(const struct cr_layer *l, const struct cr_pass *p)
{
    p->kernels->conv_pool.backward(&l->conv, p->samples, p->x, p->dy, p->won, p->w, p->dw, p->db, p->dx, p->scratch);
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
    .forward_pool = forward_pool,
    .backward_pool = backward_pool,
};
