/* A network: the text of a .net file, understood, with every shape inferred and checked.
 *
 * Immutable after parsing; any number of threads may use one. Weights live outside, in one allocation of
 * net->params floats, with the views weight_at / bias_at of each layer. */
#ifndef CR_CORE_NET_H
#define CR_CORE_NET_H

#include <stddef.h>
#include <stdint.h>

#include "simd/error.h"
#include "simd/kernels.h"

enum cr_init { CR_INIT_TORCH, CR_INIT_XAVIER, CR_INIT_HE, CR_INIT_LECUN };

struct cr_shape {
    int c, h, w; /* channels, height, width; a vector is (n, 1, 1) */
};

/* What the words after a layer's name may say: `conv 32 3x3 stride=2 pad=1 init=he name=stem`. */
struct cr_layer_args {
    int count;                  /* channels or features: the first plain number; 0 = not given */
    int kh, kw;                 /* 5x5; 0 = not given */
    int stride, pad;            /* -1 = not given */
    enum cr_init init;          /* the network's default unless said */
};

struct cr_layer {
    const struct cr_layer_type *type;
    char name[64];              /* conv1, linear2, ... or name=... */
    struct cr_shape in, out;
    struct cr_conv conv;        /* conv and pooling; linear uses conv.in_c, conv.out_c alone */
    enum cr_init init;
    size_t weights, biases;     /* how many; 0 for layers without parameters */
    size_t weight_at, bias_at;  /* offsets into the network's parameters, in floats */
    int tensor;                 /* index of the weight tensor among the network's tensors (the bias is next); -1 */
    long line;                  /* of the .net text, for messages */
};

/* A parameter tensor as checkpoints name it: model.LAYER.weight, model.LAYER.bias. */
struct cr_tensor {
    const struct cr_layer *layer;
    int is_bias;
    size_t at, count;           /* floats */
    int dims[4], ndim;          /* (out, in, kh, kw), (out, in) or (out) */
};

/* What a .net file recommends, by the names of the command line: `default learning-rate=0.1 momentum=0.9`. */
struct cr_default {
    char option[32], value[64];
};

struct cr_net {
    char name[64];              /* file name without folder and .net, or the built-in's name */
    char *text;                 /* the text as read; owned */
    struct cr_shape input;
    struct cr_layer *layer;     /* layers, in order of computation (a monotone activation before a max-pool has
                                   changed places with it: arithmetic.md, section 3); owned */
    int layers;
    struct cr_tensor *tensor;   /* parameter tensors in network order; owned */
    int tensors;
    size_t params;
    int classes;
    struct cr_default *defaults;
    int default_count;
};

/* Understand `text` (file is its name in messages). Limits: 64 KiB of text, 256 layers, 2^28 values per layer and
 * parameters in all. -CR_E_INPUT with line and column otherwise. The caller frees with cr_net_free. */
int cr_net_parse(struct cr_net *net, const char *name, const char *file, const char *text, struct cr_error *e);
/* Read a .net file and understand it. */
int cr_net_read(struct cr_net *net, const char *path, struct cr_error *e);
void cr_net_free(struct cr_net *net);

/* Multiply-adds x 2 of one sample: forward, and forward + backward of one trained image. */
double cr_layer_flop_forward(const struct cr_layer *l);
double cr_net_flop_forward(const struct cr_net *net);
double cr_net_flop_train(const struct cr_net *net);

/* Draw the starting weights (keyed by seed, layer and element). params: net->params floats.
 *   torch: uniform +-1/sqrt(fan_in), biases too   xavier: uniform +-sqrt(6/(fan_in+fan_out)) (Glorot, Bengio 2010)
 *   he: uniform +-sqrt(6/fan_in) (He et al. 2015)  lecun: uniform +-sqrt(3/fan_in) (LeCun et al. 1998); biases 0 */
void cr_net_init(const struct cr_net *net, uint64_t seed, float *params);

/* SHA-256 over the parameters in network order, little-endian, -0 as +0. */
void cr_net_hash(const struct cr_net *net, const float *params, char hex[65]);

#endif
