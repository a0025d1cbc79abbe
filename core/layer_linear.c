/* Fully connected layer with bias; a picture is taken as a vector in (channel, y, x) order. */
#include <string.h>

#include "core/layer.h"

static int shape(struct cr_layer *l, const struct cr_layer_args *a, char why[160])
{
    (void)why;
    const size_t in = cr_shape_size(l->in);
    l->out = (struct cr_shape){ a->count, 1, 1 };
    l->conv = (struct cr_conv){ .in_c = (int)in, .out_c = a->count };
    l->weights = in * (size_t)a->count;
    l->biases = (size_t)a->count;
    return 0;
}

static double flop(const struct cr_layer *l)
{
    return 2.0 * (double)l->weights;
}

static size_t scratch(const struct cr_layer *l, struct cr_samples s)
{
    return cr_linear_scratch(l->conv.in_c, l->conv.out_c, s);
}

static const char *alone(const struct cr_layer *l)
{
    (void)l;
    return "across features";
}

static void forward(const struct cr_layer *l, const struct cr_pass *p)
{
    const size_t in = (size_t)l->conv.in_c, first = (size_t)p->out.first;
    if (!p->out.count) return;
    p->kernels->linear.forward(l->conv.in_c, p->out.count, p->samples, p->x, p->w + first * in, p->b + first,
                               p->y + cr_channel_at(l->out, p, p->out.first));
}

static void backward_input(const struct cr_layer *l, const struct cr_pass *p)
{
    const int plane = l->in.h * l->in.w, first = p->in.first * plane;
    if (!p->dx || !p->in.count) return;
    p->kernels->linear.backward_input(p->in.count * plane, l->conv.out_c, p->samples, p->dy, p->w + first,
                                      (size_t)l->conv.in_c, p->dx + cr_channel_at(l->in, p, p->in.first));
}

/* Seen from its first lane, a block among others is one alone. */
static void weigh(const struct cr_layer *l, const struct cr_pass *p, int h)
{
    const struct cr_samples s = { cr_block_samples(p->samples, h), p->samples.lanes, 0 };
    const size_t in = (size_t)l->conv.in_c, first = (size_t)p->out.first, lane = (size_t)(h * p->samples.each);
    if (!p->out.count) return;
    p->kernels->linear.backward_weight(l->conv.in_c, p->out.count, s, p->x + lane,
                                       p->dy + cr_channel_at(l->out, p, p->out.first) + lane, p->dw + first * in,
                                       p->db + first, p->scratch);
}

/* One sample's gradient is an outer product, and that of the bias is dy. */
static void backward_rounded(const struct cr_layer *l, const struct cr_pass *p, struct cr_rounding *r)
{
    const int in = l->conv.in_c, count = p->out.count;
    const size_t first = (size_t)p->out.first;
    const struct cr_kernels *const k = p->kernels;
    const float *const dy = p->dy + first;
    if (count && r->outer) {
        float *const kept = r->outer->dy;
        memcpy(kept + first, dy, (size_t)count * sizeof *dy);
        *r->outer = (struct cr_outer){ in, l->conv.out_c, p->x, kept, r->scale[0] };
        r->max[0] = k->greatest_outer(in, count, p->x, dy);
    } else if (count) {
        r->max[0] = k->round_outer(in, count, p->x, dy, r->scale[0], r->sum[0] + first * (size_t)in, r->add);
    }
    if (count) r->max[1] = k->round((size_t)count, dy, r->scale[1], r->sum[1] + first, r->add);
    backward_input(l, p);
}

const struct cr_layer_type cr_layer_linear = {
    .name = "linear",
    .usage = "linear FEATURES [init=NAME] [name=NAME]",
    .takes = CR_ARG_COUNT | CR_ARG_INIT,
    .shape = shape,
    .flop = flop,
    .scratch = scratch,
    .alone = alone,
    .forward = forward,
    .backward = backward_input,
    .weigh = weigh,
    .backward_rounded = backward_rounded,
};
