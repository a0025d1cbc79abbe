/* Softmax with cross-entropy: the network's end. The forward pass also leaves the loss and, when training, the
 * gradient, so there is no backward of its own. */
#include <stdio.h>

#include "core/layer.h"

static int shape(struct cr_layer *l, const struct cr_layer_args *a, char why[160])
{
    (void)a;
    if (l->in.h != 1 || l->in.w != 1) {
        snprintf(why, 160, "softmax wants a vector, not %dx%dx%d; put a linear layer before it", l->in.c, l->in.h,
                 l->in.w);
        return -1;
    }
    l->out = l->in;
    return 0;
}

static double flop(const struct cr_layer *l)
{
    return 4.0 * l->out.c;
}

static void forward(const struct cr_layer *l, const struct cr_pass *p)
{
    p->kernels->softmax(l->out.c, p->samples, p->x, p->label, p->y, p->dx, p->loss);
}

const struct cr_layer_type cr_layer_softmax = {
    .name = "softmax",
    .usage = "softmax",
    .is_loss = 1,
    .shape = shape,
    .flop = flop,
    .forward = forward,
};
