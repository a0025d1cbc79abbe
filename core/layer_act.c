/* Activations: tanh, relu, sigmoid. All are monotone, so a max-pool that follows is computed first. */
#include "core/layer.h"

static int shape(struct cr_layer *l, const struct cr_layer_args *a, char why[160])
{
    (void)a;
    (void)why;
    l->out = l->in;
    return 0;
}

static double flop(const struct cr_layer *l)
{
    return (double)cr_shape_size(l->out);
}

static size_t values(const struct cr_layer *l, const struct cr_pass *p)
{
    return cr_shape_size(l->out) * (size_t)cr_groups(p->samples) * (size_t)p->samples.lanes;
}

#define ACTIVATION(NAME)                                                                                               \
    static void NAME##_forward(const struct cr_layer *l, const struct cr_pass *p)                                      \
    {                                                                                                                  \
        p->kernels->NAME.forward(values(l, p), p->x, p->y);                                                            \
    }                                                                                                                  \
    static void NAME##_backward(const struct cr_layer *l, const struct cr_pass *p)                                     \
    {                                                                                                                  \
        if (p->dx) p->kernels->NAME.backward(values(l, p), p->y, p->dy, p->dx);                                        \
    }                                                                                                                  \
    const struct cr_layer_type cr_layer_##NAME = {                                                                     \
        .name = #NAME,                                                                                                 \
        .usage = #NAME " [name=NAME]",                                                                                 \
        .monotone = 1,                                                                                                 \
        .shape = shape,                                                                                                \
        .flop = flop,                                                                                                  \
        .forward = NAME##_forward,                                                                                     \
        .backward = NAME##_backward,                                                                                   \
    }

ACTIVATION(tanh);
ACTIVATION(relu);
ACTIVATION(sigmoid);
