#include <string.h>

#include "core/scale.h"
#include "core/stepper_inside.h"

/* The same over all blocks of the step. */
static uint32_t greatest(const struct cr_stepper *s, const struct cr_round *r, int tensor)
{
    return r->message ? r->message->max32[tensor] : cr_stepper_greatest_here(s, tensor);
}

/* Every thread comes to the same verdict, from the same maxima. */
enum cr_verdict cr_stepper_judge(const struct cr_stepper *s, const struct cr_round *r)
{
    enum cr_verdict v = FITS;
    for (int i = 0; i < s->net->tensors; i++) {
        const uint32_t max = greatest(s, r, i);
        if (max >= 0x7f800000) return DIVERGED;
        if (!cr_scale_fits(max, r->shift[i], s->guard)) v = REDO;
    }
    return v;
}

/* How tensor i is updated. */
static struct cr_sgd sgd_of(const struct cr_stepper *s, const struct cr_round *r, int i)
{
    const struct cr_train_options *o = s->options;
    return (struct cr_sgd){
        .unscale = cr_scale_power(-r->shift[i]), .inv_n = 1.0f / (float)r->step.count, .lr = r->rate,
        .momentum = (float)o->momentum, .weight_decay = (float)o->weight_decay, .nesterov = o->nesterov,
    };
}

static float *momentum_at(const struct cr_stepper *s, size_t at)
{
    return s->state->momentum ? s->state->momentum + at : NULL;
}

/* Sums are in `sum`; update the parameters from..to, tensor by tensor since each has its own scale. */
void cr_stepper_update(struct cr_stepper *s, const struct cr_round *r, const uint32_t *sum, size_t from, size_t to)
{
    for (int i = 0; i < s->net->tensors; i++) {
        const struct cr_tensor *x = &s->net->tensor[i];
        const size_t lo = x->at > from ? x->at : from;
        const size_t hi = x->at + x->count < to ? x->at + x->count : to;
        if (lo >= hi) continue;
        const struct cr_sgd sgd = sgd_of(s, r, i);
        s->kernels->sgd(hi - lo, sum + lo, &sgd, s->state->params + lo, momentum_at(s, lo));
    }
}

/* The same of one sample alone, whose gradients by the weights of linear layers wait as factors. A thread updates the
 * channels whose gradients it made: it has kept their factors, and will read their weights first. */
void cr_stepper_update_own(struct cr_stepper *s, const struct cr_round *r, const struct cr_worker *w)
{
    for (int i = 0; i < s->net->tensors; i++) {
        const struct cr_tensor *x = &s->net->tensor[i];
        const struct cr_outer *const outer = &w->outer[i];
        const struct cr_range own = cr_worker_updates(w, (int)(x->layer - s->net->layer));
        const size_t channel = x->count / (size_t)x->layer->out.c, at = x->at + (size_t)own.first * channel;
        const struct cr_sgd sgd = sgd_of(s, r, i);
        float *const params = s->state->params + at, *const v = momentum_at(s, at);
        if (own.count && outer->x)
            s->kernels->sgd_outer(outer->in, own.count, outer->x, outer->dy + own.first, outer->scale, &sgd, params, v);
        else
            s->kernels->sgd((size_t)own.count * channel, w->lead->sum + at, &sgd, params, v);
    }
}

/* What one thread does between the barriers once the verdict is known. */
void cr_stepper_keep_books(struct cr_stepper *s, const struct cr_round *r, enum cr_verdict v)
{
    struct cr_state *state = s->state;
    for (int i = 0; i < s->net->tensors; i++) {
        const uint32_t max = greatest(s, r, i);
        state->scale[i] = v == FITS ? cr_scale_next(state->scale[i], max) : cr_scale_raise(state->scale[i], max);
    }
    if (v == REDO) {
        state->redone++;
        return;
    }
    state->step++;
    state->samples += (uint64_t)r->step.count;
    state->loss_sum = (int64_t)((uint64_t)state->loss_sum + (uint64_t)s->loss_sum); /* a forged one may wrap */
    state->loss_count += (uint64_t)r->step.count;
    s->step_loss = (double)s->loss_sum * 0x1p-24 / (double)r->step.count;
    s->step_rate = r->rate;
}

/* The sums of this process's workers, for a thread's slice of the parameters; returns where they are. */
uint32_t *cr_stepper_sum_here(struct cr_stepper *s, struct cr_round *r, size_t from, size_t to)
{
    const int busy = atomic_load_explicit(&r->busy_count, memory_order_relaxed);
    uint32_t *const sum = r->message ? r->message->sum32 : r->busy[0];
    if (busy == 0)
        memset(sum + from, 0, (to - from) * sizeof *sum); /* this rank had no block to do */
    else if (busy > 1 || r->message)
        s->kernels->sum(from, to, busy, r->busy, sum);
    return sum;
}
