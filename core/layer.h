/* A kind of layer: how its words are understood, what shape it makes, and which kernels run it.
 *
 * A new layer is one file core/layer_NAME.c with a struct cr_layer_type, one line in core/layer_types.c, and its
 * kernels in simd/. */
#ifndef CR_CORE_LAYER_H
#define CR_CORE_LAYER_H

#include "core/net.h"
#include "core/share.h"
#include "simd/kernels.h"

/* One layer's share of a pass over one block, on one thread. Forward reads x, w, b and writes y; backward reads also
 * dy and writes dx, dw, db. Arrangement of x, y, dx, dy: simd/kernels.h. All pointers are to channel 0, whichever
 * channels are to be made; those may be less than all if the block is one group. */
struct cr_pass {
    const struct cr_kernels *kernels;
    struct cr_samples samples;
    struct cr_range out;  /* forward: channels of y to make; backward: those whose dw and db to make */
    struct cr_range in;   /* backward: channels of dx to make */
    const float *x, *w, *b;
    float *y;
    void *won;            /* of a layer that pools: left by forward to backward */
    const float *dy;
    float *dx;            /* NULL: nobody needs it (first layer, or a pass without training) */
    float *dw, *db;
    const uint8_t *label; /* (n) for the loss; */
    float *loss;          /* (n) */
    float *scratch;
};

/* One sample's gradient by weight as what it is the outer product of, (out, in), not yet multiplied. */
struct cr_outer {
    int in, out;
    const float *x; /* NULL: there is none */
    float *dy;
    float scale;
};

/* Where a layer's gradients go, weights first, then biases, when it rounds them itself: cr_round_fn, simd/kernels.h. */
struct cr_rounding {
    float scale[2];
    uint32_t *sum[2];
    struct cr_outer *outer; /* not NULL: the weights' go here, and not into sum[0]; dy is room for a copy */
    int add;
    uint32_t max[2]; /* out */
};

/* Which words a layer takes after its name. */
enum { CR_ARG_COUNT = 1, CR_ARG_KERNEL = 2, CR_ARG_STRIDE = 4, CR_ARG_PAD = 8, CR_ARG_INIT = 16 };

struct cr_layer_type {
    const char *name;
    const char *usage;     /* "conv CHANNELS HxW [stride=N] [pad=N] [init=NAME]" */
    unsigned takes;        /* CR_ARG_... */
    int monotone;          /* an activation that may change places with a following max-pool */
    int is_maxpool, is_loss;
    int own_channels;      /* a channel of y comes from the same one of x alone, and one of dx from that of dy */
    int in_place;          /* backward takes dx == dy */
    /* From l->in and the arguments to l->out, l->conv, l->weights, l->biases. 0, or -1 with why it cannot be. */
    int (*shape)(struct cr_layer *l, const struct cr_layer_args *a, char why[160]);
    double (*flop)(const struct cr_layer *l);                           /* of one forward pass of one sample */
    size_t (*scratch)(const struct cr_layer *l, struct cr_samples s);   /* floats; NULL = none */
    const char *(*alone)(const struct cr_layer *l); /* how samples that do not lie side by side are gone through, for
                                                       people; NULL = value by value, like all others */
    void (*forward)(const struct cr_layer *l, const struct cr_pass *p);
    void (*backward)(const struct cr_layer *l, const struct cr_pass *p); /* NULL: forward has done it (the loss) */
    /* dw, db of the h-th of blocks side by side alone, at the first block's place; backward then leaves dx only. For
     * layers whose many weights have little to do: they are rounded while they are near. NULL: backward leaves all. */
    void (*weigh)(const struct cr_layer *l, const struct cr_pass *p, int h);
    /* Backward with the gradients of weights and biases rounded, not stored; for one sample alone. May be NULL. */
    void (*backward_rounded)(const struct cr_layer *l, const struct cr_pass *p, struct cr_rounding *r);
    /* The layer and the next one, a max-pool, in one go; y and dy are the pool's. NULL: never, like pools() == 0. The
     * scratch is enough for the layer alone too. */
    int (*pools)(const struct cr_layer *l, const struct cr_kernels *k, struct cr_samples s);
    size_t (*scratch_pool)(const struct cr_layer *l, struct cr_samples s);
    void (*forward_pool)(const struct cr_layer *l, const struct cr_pass *p);
    void (*backward_pool)(const struct cr_layer *l, const struct cr_pass *p);
};

extern const struct cr_layer_type cr_layer_conv, cr_layer_linear, cr_layer_maxpool, cr_layer_avgpool, cr_layer_tanh,
    cr_layer_relu, cr_layer_sigmoid, cr_layer_softmax;

/* All kinds, NULL-terminated. */
extern const struct cr_layer_type *const cr_layer_types[];

/* May layer i take the max-pool behind it along; does it, for samples that lie so? */
int cr_may_pool(const struct cr_net *net, int i);
int cr_takes_pool(const struct cr_net *net, int i, const struct cr_kernels *k, struct cr_samples s);

static inline size_t cr_shape_size(struct cr_shape s)
{
    return (size_t)s.c * (size_t)s.h * (size_t)s.w;
}

/* Where channel `first` of an activation of this shape begins, of a block that is one group if first > 0. */
static inline size_t cr_channel_at(struct cr_shape s, const struct cr_pass *p, int first)
{
    return (size_t)first * (size_t)s.h * (size_t)s.w * (size_t)p->samples.lanes;
}

#endif
