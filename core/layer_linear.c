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
    p->kernels->linear.forward(l->conv.in_c, l->conv.out_c, p->samples, p->x, p->w, p->b, p->y);
}

static void backward(const struct cr_layer *l, const struct cr_pass *p)
{
    const int in = l->conv.in_c, out = l->conv.out_c;
    p->kernels->linear.backward_weight(in, out, p->samples, p->x, p->dy, p->dw, p->db, p->scratch);
    if (p->dx) p->kernels->linear.backward_input(in, out, p->samples, p->dy, p->w, p->dx);
}

/* One sample's gradient is an outer product, and that of the bias is dy. */
static void backward_rounded(const struct cr_layer *l, const struct cr_pass *p, struct cr_rounding *r)
{
    const int in = l->conv.in_c, out = l->conv.out_c;
    const struct cr_kernels *const k = p->kernels;
    if (r->outer) {
        memcpy(r->outer->dy, p->dy, (size_t)out * sizeof *p->dy);
        *r->outer = (struct cr_outer){ in, out, p->x, r->outer->dy, r->scale[0] };
        r->max[0] = k->greatest_outer(in, out, p->x, p->dy);
    } else {
        r->max[0] = k->round_outer(in, out, p->x, p->dy, r->scale[0], r->sum[0], r->add);
    }
    r->max[1] = k->round((size_t)out, p->dy, r->scale[1], r->sum[1], r->add);
    if (p->dx) k->linear.backward_input(in, out, p->samples, p->dy, p->w, p->dx);
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
    .backward = backward,
    .backward_rounded = backward_rounded,
};
