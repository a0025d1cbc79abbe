/* Which samples make up which step: a pure function of data size, batch, block, seed and step. It knows neither
 * threads nor hosts; they only decide who takes which blocks. */
#ifndef CR_CORE_PLAN_H
#define CR_CORE_PLAN_H

#include <stddef.h>
#include <stdint.h>

#include "core/rng.h"
#include "core/trainer.h"
#include "simd/error.h"

struct cr_plan {
    size_t samples;          /* trained per epoch */
    size_t held_out;         /* kept for validation by val_split; 0 = none */
    long batch, block;       /* samples per step and at most per block */
    uint64_t steps_per_epoch, total_steps;
    uint64_t seed;
    int shuffle;
    struct cr_permutation split; /* of the whole training set: the first `samples` train, the rest validate */
};

/* One step: samples [first, first + count) of the epoch's order, in `blocks` blocks whose sizes differ by at most 1. */
struct cr_step_plan {
    uint64_t epoch, step;
    size_t first;
    long count, blocks;
};

/* -CR_E_USAGE when the options ask for more than 1,024 blocks without naming a block size, or hold out everything. */
int cr_plan_init(struct cr_plan *p, const struct cr_train_options *o, size_t train_count, struct cr_error *e);
/* The last step of an epoch takes what is left; nothing is dropped. */
struct cr_step_plan cr_plan_step(const struct cr_plan *p, uint64_t step);
/* First sample of block b of the step, b <= blocks (the end of the last). */
size_t cr_plan_block(const struct cr_step_plan *s, long b);
/* Index into the training split of position i of an epoch; `order` is the epoch's permutation. */
void cr_plan_order(const struct cr_plan *p, uint64_t epoch, struct cr_permutation *order);
size_t cr_plan_sample(const struct cr_plan *p, const struct cr_permutation *order, size_t i);
/* Index of held-out sample i < held_out. */
size_t cr_plan_held_out(const struct cr_plan *p, size_t i);

#endif
