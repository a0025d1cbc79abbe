#include "core/layer.h"

const struct cr_layer_type *const cr_layer_types[] = {
    &cr_layer_conv, &cr_layer_linear,  &cr_layer_maxpool, &cr_layer_avgpool, &cr_layer_tanh,
    &cr_layer_relu, &cr_layer_sigmoid, &cr_layer_softmax, 0,
};
