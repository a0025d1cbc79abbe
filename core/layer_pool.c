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

/* The layer as if it had some channels alone, and where these begin. */
struct pooling {
    struct cr_conv conv;
    size_t x, y; /* offsets, floats */
};

static struct pooling pooling_of(const struct cr_layer *l, const struct cr_pass *p, struct cr_range r)
{
    struct pooling o = { l->conv, cr_channel_at(l->in, p, r.first), cr_channel_at(l->out, p, r.first) };
    o.conv.in_c = o.conv.out_c = r.count;
    return o;
}

static void max_forward(const struct cr_layer *l, const struct cr_pass *p)
{
    const struct pooling o = pooling_of(l, p, p->out);
    if (p->out.count) p->kernels->maxpool.forward(&o.conv, p->samples, p->x + o.x, p->y + o.y);
}

static void max_backward(const struct cr_layer *l, const struct cr_pass *p)
{
    const struct pooling o = pooling_of(l, p, p->in);
    if (!p->dx || !p->in.count) return;
    p->kernels->maxpool.backward(&o.conv, p->samples, p->x + o.x, p->dy + o.y, p->dx + o.x);
}

static void avg_forward(const struct cr_layer *l, const struct cr_pass *p)
{
    const struct pooling o = pooling_of(l, p, p->out);
    if (p->out.count) p->kernels->avgpool.forward(&o.conv, p->samples, p->x + o.x, p->y + o.y);
}

static void avg_backward(const struct cr_layer *l, const struct cr_pass *p)
{
    const struct pooling o = pooling_of(l, p, p->in);
    if (p->dx && p->in.count) p->kernels->avgpool.backward(&o.conv, p->samples, p->dy + o.y, p->dx + o.x);
}

const struct cr_layer_type cr_layer_maxpool = {
    .name = "maxpool",
    .usage = "maxpool HxW [stride=N] [name=NAME]",
    .takes = CR_ARG_KERNEL | CR_ARG_STRIDE,
    .own_channels = 1,
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
    .own_channels = 1,
    .shape = shape,
    .flop = flop,
    .alone = avg_alone,
    .forward = avg_forward,
    .backward = avg_backward,
};
