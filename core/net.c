/* What can be said of a network once it is understood: cost, starting weights, hash. */
#include "core/net.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/layer.h"
#include "core/rng.h"
#include "simd/sha256.h"

void cr_net_free(struct cr_net *net)
{
    free(net->text);
    free(net->layer);
    free(net->tensor);
    free(net->defaults);
    memset(net, 0, sizeof *net);
}

double cr_layer_flop_forward(const struct cr_layer *l)
{
    return l->type->flop(l);
}

double cr_net_flop_forward(const struct cr_net *net)
{
    double sum = 0;
    for (int i = 0; i < net->layers; i++) sum += cr_layer_flop_forward(&net->layer[i]);
    return sum;
}

/* Backward costs twice the forward pass (by weight and by input), except that the first layer's input needs none. */
double cr_net_flop_train(const struct cr_net *net)
{
    double sum = 0;
    for (int i = 0; i < net->layers; i++) {
        const struct cr_layer *l = &net->layer[i];
        const double times = l->weights ? (i > 0 ? 3 : 2) : 2;
        sum += times * cr_layer_flop_forward(l);
    }
    return sum;
}

/* Uniform in (-bound, bound), each element from its own counter (tensor, element / 4). */
static void draw(float *w, size_t n, float bound, uint64_t seed, uint64_t tensor)
{
    uint32_t word[4] = { 0 };
    for (size_t i = 0; i < n; i++) {
        if (i % 4 == 0) cr_random(seed, CR_RNG_INIT, tensor, i / 4, word);
        w[i] = (2.0f * cr_unit(word[i % 4]) - 1.0f) * bound;
    }
}

static float bound_of(enum cr_init init, size_t fan_in, size_t fan_out)
{
    switch (init) {
    case CR_INIT_XAVIER: return (float)sqrt(6.0 / (double)(fan_in + fan_out));
    case CR_INIT_HE: return (float)sqrt(6.0 / (double)fan_in);
    case CR_INIT_LECUN: return (float)sqrt(3.0 / (double)fan_in);
    case CR_INIT_TORCH: break;
    }
    return (float)sqrt(1.0 / (double)fan_in);
}

void cr_net_init(const struct cr_net *net, uint64_t seed, float *params)
{
    for (int t = 0; t < net->tensors; t++) {
        const struct cr_tensor *x = &net->tensor[t];
        const struct cr_layer *l = x->layer;
        const size_t fan_in = l->weights / l->biases;
        const size_t fan_out = l->weights / (size_t)l->conv.in_c;
        const float bound = bound_of(l->init, fan_in, fan_out);
        if (x->is_bias && l->init != CR_INIT_TORCH)
            memset(params + x->at, 0, x->count * sizeof *params);
        else
            draw(params + x->at, x->count, bound, seed, (uint64_t)t);
    }
}

void cr_net_hash(const struct cr_net *net, const float *params, char hex[65])
{
    struct cr_sha256 h;
    uint8_t digest[32];
    cr_sha256_init(&h);
    cr_sha256_add_floats(&h, params, net->params);
    cr_sha256_end(&h, digest);
    cr_sha256_hex(digest, hex);
}
