/* Max- and average-pooling over windows without padding; the stride is the window unless said. */
#include "core/layer.h"
#include "core/window.h"

static int shape(struct cr_layer *l, const struct cr_layer_args *a, char why[160])
{
    return cr_window_shape(l, a, l->in.c, 0, why);
}

static double flop(const struct cr_layer *l)
{
    return (double)cr_shape_size(l->out) * l->conv.kh * l->conv.kw;
}

static const char *max_alone(const struct cr_layer *l)
{
    return cr_maxpool_along_rows(&l->conv) ? "along rows" : "scalar";
}

static const char *avg_alone(const struct cr_layer *l)
{
    (void)l;
    return "scalar";
}

static void max_forward(const struct cr_layer *l, const struct cr_pass *p)
{
    p->kernels->maxpool.forward(&l->conv, p->samples, p->x, p->y);
}

static void max_backward(const struct cr_layer *l, const struct cr_pass *p)
{
    if (p->dx) p->kernels->maxpool.backward(&l->conv, p->samples, p->x, p->dy, p->dx);
}

static void avg_forward(const struct cr_layer *l, const struct cr_pass *p)
{
    p->kernels->avgpool.forward(&l->conv, p->samples, p->x, p->y);
}

static void avg_backward(const struct cr_layer *l, const struct cr_pass *p)
{
    if (p->dx) p->kernels->avgpool.backward(&l->conv, p->samples, p->dy, p->dx);
}

const struct cr_layer_type cr_layer_maxpool = {
    .name = "maxpool",
    .usage = "maxpool HxW [stride=N] [name=NAME]",
    .takes = CR_ARG_KERNEL | CR_ARG_STRIDE,
    .is_maxpool = 1,
    .shape = shape,
    .flop = flop,
    .alone = max_alone,
    .forward = max_forward,
    .backward = max_backward,
};

const struct cr_layer_type cr_layer_avgpool = {
    .name = "avgpool",
    .usage = "avgpool HxW [stride=N] [name=NAME]",
    .takes = CR_ARG_KERNEL | CR_ARG_STRIDE,
    .shape = shape,
    .flop = flop,
    .alone = avg_alone,
    .forward = avg_forward,
    .backward = avg_backward,
};
