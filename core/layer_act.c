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

/* Of some channels: how many values, and where they begin. */
static size_t values(const struct cr_layer *l, const struct cr_pass *p, struct cr_range r)
{
    return cr_channel_at(l->out, p, r.count) * (size_t)cr_groups(p->samples);
}

static size_t first(const struct cr_layer *l, const struct cr_pass *p, struct cr_range r)
{
    return cr_channel_at(l->out, p, r.first);
}

#define ACTIVATION(NAME)                                                                                               \
    static void NAME##_forward(const struct cr_layer *l, const struct cr_pass *p)                                      \
    {                                                                                                                  \
        const size_t at = first(l, p, p->out);                                                                         \
        p->kernels->NAME.forward(values(l, p, p->out), p->x + at, p->y + at);                                          \
    }                                                                                                                  \
    static void NAME##_backward(const struct cr_layer *l, const struct cr_pass *p)                                     \
    {                                                                                                                  \
        const size_t at = first(l, p, p->in);                                                                          \
        if (p->dx) p->kernels->NAME.backward(values(l, p, p->in), p->y + at, p->dy + at, p->dx + at);                  \
    }                                                                                                                  \
    const struct cr_layer_type cr_layer_##NAME = {                                                                     \
        .name = #NAME,                                                                                                 \
        .usage = #NAME " [name=NAME]",                                                                                 \
        .monotone = 1,                                                                                                 \
        .own_channels = 1,                                                                                             \
        .in_place = 1,                                                                                                 \
        .shape = shape,                                                                                                \
        .flop = flop,                                                                                                  \
        .forward = NAME##_forward,                                                                                     \
        .backward = NAME##_backward,                                                                                   \
    }

ACTIVATION(tanh);
ACTIVATION(relu);
ACTIVATION(sigmoid);
