#include "core/plan.h"

#include <string.h>

int cr_plan_init(struct cr_plan *p, const struct cr_train_options *o, size_t train_count, struct cr_error *e)
{
    memset(p, 0, sizeof *p);
    p->held_out = (size_t)(o->val_split * (double)train_count);
    if (o->val_split > 0 && p->held_out == 0)
        return cr_fail(e, CR_E_USAGE, "--val-split %g of %zu samples keeps none for validation", o->val_split,
                       train_count);
    p->samples = train_count - p->held_out;
    if (p->samples == 0) return cr_fail(e, CR_E_INPUT, "no samples to train on");
    p->batch = (size_t)o->batch < p->samples ? o->batch : (long)p->samples;
    p->block = o->block ? o->block : cr_block_size(p->batch);
    const long blocks = (p->batch + p->block - 1) / p->block;
    if (blocks > 1024 && !o->block)
        return cr_fail(e, CR_E_USAGE, "--batch-size %ld makes %ld blocks; name the block size with --block", o->batch,
                       blocks);
    p->steps_per_epoch = (p->samples + (size_t)p->batch - 1) / (size_t)p->batch;
    p->total_steps = o->steps ? (uint64_t)o->steps : (uint64_t)o->epochs * p->steps_per_epoch;
    p->seed = o->seed;
    p->shuffle = o->shuffle;
    if (p->held_out) cr_permutation_init(&p->split, train_count, o->seed, CR_RNG_SPLIT, 0);
    return 0;
}

struct cr_step_plan cr_plan_step(const struct cr_plan *p, uint64_t step)
{
    struct cr_step_plan s = { .epoch = step / p->steps_per_epoch, .step = step };
    s.first = (size_t)(step % p->steps_per_epoch) * (size_t)p->batch;
    const size_t left = p->samples - s.first;
    s.count = left < (size_t)p->batch ? (long)left : p->batch;
    s.blocks = (s.count + p->block - 1) / p->block;
    return s;
}

size_t cr_plan_block(const struct cr_step_plan *s, long b)
{
    return s->first + (size_t)(s->count * b / s->blocks);
}

void cr_plan_order(const struct cr_plan *p, uint64_t epoch, struct cr_permutation *order)
{
    if (p->shuffle) cr_permutation_init(order, p->samples, p->seed, CR_RNG_SHUFFLE, epoch);
}

size_t cr_plan_sample(const struct cr_plan *p, const struct cr_permutation *order, size_t i)
{
    if (p->shuffle) i = (size_t)cr_permute(order, i);
    return p->held_out ? (size_t)cr_permute(&p->split, i) : i;
}

size_t cr_plan_held_out(const struct cr_plan *p, size_t i)
{
    return (size_t)cr_permute(&p->split, p->samples + i);
}
