/* One thread's place of work: an arena planned from the network before the first step (worker.c), and the passes over a
 * block that run inside it (block.c). Nothing is allocated after cr_worker_new. */
#ifndef CR_CORE_WORKER_H
#define CR_CORE_WORKER_H

#include <stddef.h>
#include <stdint.h>

#include "core/data.h"
#include "core/layer.h"
#include "core/meet.h"
#include "core/net.h"
#include "core/profile.h"
#include "core/share.h"

struct cr_worker {
    const struct cr_net *net;
    const struct cr_kernels *kernels;
    void *arena;             /* owns everything below */
    int block, lanes;
    int at_once;             /* takes so many blocks at once, if asked to */
    int apart;               /* no two layers in one go: every activation can be looked at */
    int factors;             /* a step is one block of one sample, and its outer products wait in `outer` */
    struct cr_worker *lead;  /* of those who share a block, the first, whose activations, gradients and sums all work
                                on; alone, the worker itself */
    struct cr_share share;   /* which part of the block's work is this worker's */
    struct cr_meeting meeting; /* with the others */
    char *way;               /* (layers) enum cr_sharing */
    struct cr_samples samples; /* of the block in work */
    uint32_t absent;         /* of several blocks side by side, places without a sample, a bit each: for the next
                                cr_worker_train. Image and label are those of the sample before it */
    const uint8_t **image;   /* (blocks at once, block) */
    uint8_t *label;          /* the same */
    float *loss;             /* the same */
    float **act;             /* (layers + 1): the input, then each layer's output (of a layer that takes the pool behind
                                it along: what backward needs to know) */
    float *gradient[2];      /* of activations, taking turns */
    float *common[2];        /* the same of those who share a block; NULL where nobody does */
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

/* What a worker is for: evaluation; training; training, and sometimes a block with others. */
enum cr_worker_use { CR_WORKER_EVALUATES, CR_WORKER_TRAINS, CR_WORKER_SHARES };
/* How many samples of one block lie side by side in it, and how many blocks it takes at once, if asked to. */
int cr_worker_lanes(const struct cr_net *net, const struct cr_kernels *k, int block, enum cr_worker_use use);
int cr_worker_at_once(const struct cr_net *net, const struct cr_kernels *k, int block, enum cr_worker_use use);
/* Bytes one worker takes. */
size_t cr_worker_size(const struct cr_net *net, const struct cr_kernels *k, int block, enum cr_worker_use use);
/* NULL when out of memory. Allocate on the thread that will use it (memory is placed at first touch). */
struct cr_worker *cr_worker_new(const struct cr_net *net, const struct cr_kernels *k, int block,
                                enum cr_worker_use use);
void cr_worker_free(struct cr_worker *w);

/* How many threads may share a block: so many as are asked for, or, if 0, as make it faster; but no more than have a
 * channel to make in some layer, and 1 where the samples of a block lie one behind the other. *bold: so many as might,
 * where threads hand over quickly. */
int cr_worker_most_parts(const struct cr_net *net, int block, long asked, int *bold);

/* The next blocks are this worker's alone; or the next one is shared with others, who are met before a layer reads what
 * they have made: at most CR_MEETINGS times. */
void cr_worker_alone(struct cr_worker *w);
void cr_worker_join(struct cr_worker *w, struct cr_worker *lead, struct cr_share share, struct cr_meeting meeting);

/* Of a step that is one block: the channels of layer i whose weights this worker updates. */
struct cr_range cr_worker_updates(const struct cr_worker *w, int i);

/* Sum of the n losses, each rounded to 2^-24, so that the order in which they are added does not matter. */
int64_t cr_loss_sum(const float *loss, int n);

/* Run the layers forward over w->image[0..n-1], w->label[0..n-1]. When training, the last layer leaves its gradient in
 * w->gradient[0]. */
void cr_worker_forward(struct cr_worker *w, const float *params, const struct cr_normalization *z, int n,
                       int training);
/* How n samples lie in memory, those of so many blocks. */
struct cr_samples cr_worker_samples(const struct cr_worker *w, int n, int blocks);
/* Forward, backward, round and add to w->sum under 2^shift[tensor], collect maxima and losses. The n samples are those
 * of `blocks` blocks, at most w->at_once, w->block places for each but the last. With others, all call it with the same
 * n, the sums are in those of the lead, each has maxima of its own, and the lead has the losses. */
void cr_worker_train(struct cr_worker *w, const float *params, const struct cr_normalization *z, int n, int blocks,
                     const int *shift);

#endif
