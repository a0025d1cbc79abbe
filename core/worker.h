/* One thread's place of work: an arena planned from the network before the first step, and the passes over a block
 * that run inside it. Nothing is allocated after cr_worker_new. */
#ifndef CR_CORE_WORKER_H
#define CR_CORE_WORKER_H

#include <stddef.h>
#include <stdint.h>

#include "core/data.h"
#include "core/layer.h"
#include "core/net.h"
#include "core/profile.h"

struct cr_worker {
    const struct cr_net *net;
    const struct cr_kernels *kernels;
    void *arena;             /* owns everything below */
    int block, lanes;
    int two;                 /* takes two full blocks at once, if asked to */
    int apart;               /* no two layers in one go: every activation can be looked at */
    int factors;             /* a step is one block of one sample, and its outer products wait in `outer` */
    struct cr_samples samples; /* of the block in work */
    const uint8_t **image;   /* (block), of two (2, block) */
    uint8_t *label;          /* the same */
    float *loss;             /* the same */
    float **act;             /* (layers + 1): the input, then each layer's output (of a layer that takes the pool behind
                                it along: what backward needs to know) */
    float *gradient[2];      /* of activations, taking turns */
    float *dw, *db;          /* of the layer in work, a block's behind the other's */
    float *scratch;
    /* training only */
    uint32_t *sum;           /* (params) rounded gradients of this step's blocks */
    uint32_t *max;           /* (tensors) greatest |bits| of this step's blocks */
    struct cr_outer *outer;  /* (tensors) for blocks of one, else NULL: what `sum` would hold, until the next step */
    int32_t *scale;          /* (tensors) this thread's copy of E */
    int blocks;              /* done in this step */
    int64_t loss_sum;        /* of this step, units of 2^-24 */
    struct cr_profile_thread *profile; /* where to note the time work takes; NULL = nowhere */
};

/* Does layer i take the max-pool behind it along, for samples that lie so? */
int cr_takes_pool(const struct cr_net *net, int i, const struct cr_kernels *k, struct cr_samples s);
/* Bytes one worker takes. */
size_t cr_worker_size(const struct cr_net *net, const struct cr_kernels *k, int block, int training);
/* NULL when out of memory. Allocate on the thread that will use it (memory is placed at first touch). */
struct cr_worker *cr_worker_new(const struct cr_net *net, const struct cr_kernels *k, int block, int training);
void cr_worker_free(struct cr_worker *w);

/* Sum of the n losses, each rounded to 2^-24, so that the order in which they are added does not matter. */
int64_t cr_loss_sum(const float *loss, int n);

/* Run the layers forward over w->image[0..n-1], w->label[0..n-1]. When training, the last layer leaves its gradient in
 * w->gradient[0]. */
void cr_worker_forward(struct cr_worker *w, const float *params, const struct cr_normalization *z, int n,
                       int training);
/* Forward, backward, round and add to w->sum under 2^shift[tensor], collect maxima and losses. two: the n samples are
 * a block of 8 and another of n - 8; only if w->two. */
void cr_worker_train(struct cr_worker *w, const float *params, const struct cr_normalization *z, int n, int two,
                     const int *shift);

#endif
