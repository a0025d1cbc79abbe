#include "core/layer.h"

const struct cr_layer_type *const cr_layer_types[] = {
    &cr_layer_conv, &cr_layer_linear,  &cr_layer_maxpool, &cr_layer_avgpool, &cr_layer_tanh,
    &cr_layer_relu, &cr_layer_sigmoid, &cr_layer_softmax, 0,
};

int cr_may_pool(const struct cr_net *net, int i)
{
    const struct cr_layer *l = &net->layer[i];
    if (i + 1 >= net->layers || !l[1].type->is_maxpool || !l->type->pools) return 0;
    const struct cr_conv *pool = &l[1].conv;
    return pool->kh == 2 && pool->kw == 2 && pool->stride == 2;
}

int cr_takes_pool(const struct cr_net *net, int i, const struct cr_kernels *k, struct cr_samples s)
{
    const struct cr_layer *l = &net->layer[i];
    return cr_may_pool(net, i) && l->type->pools(l, k, s);
}
