#include "core/lanes.h"
#include "core/stepper_inside.h"

int cr_stepper_gather(const struct cr_stepper *s, struct cr_worker *w, const struct cr_step_plan *step,
                      const struct cr_permutation *order, long b, int place)
{
    const size_t plane = cr_shape_size(s->net->input);
    const size_t from = cr_plan_block(step, b), to = cr_plan_block(step, b + 1);
    for (size_t i = from; i < to; i++, place++) {
        const size_t sample = cr_plan_sample(s->plan, order, i);
        w->image[place] = s->train->images + sample * plane;
        w->label[place] = s->train->labels[sample];
    }
    return (int)(to - from);
}

/* The same of blocks b..b+k-1 side by side: how many places they take. A block may be smaller than its lanes. */
static int gather_blocks(const struct cr_stepper *s, struct cr_worker *w, const struct cr_step_plan *step,
                         const struct cr_permutation *order, long b, int k)
{
    const int each = (int)s->plan->block;
    int end = 0;
    for (int h = 0; h < k; h++) {
        for (; end < h * each; end++) {
            w->image[end] = w->image[end - 1];
            w->label[end] = w->label[end - 1];
            w->absent |= 1u << end;
        }
        end += cr_stepper_gather(s, w, step, order, b + h, end);
    }
    return end;
}

/* Have the next step's image on its way from memory while this step is worked on, where a step is one image. (Of many
 * it gains nothing: their lines keep those out that are needed now.) */
static void fetch_next(const struct cr_stepper *s, const struct cr_step_plan *step, const struct cr_permutation *order)
{
    enum { LINE = 64 };
    const size_t next = step->first + 1, plane = cr_shape_size(s->net->input);
    if (s->plan->batch > 1 || next >= s->plan->samples) return;
    const uint8_t *const image = s->train->images + cr_plan_sample(s->plan, order, next) * plane;
    for (size_t i = 0; i < plane; i += LINE) __builtin_prefetch(image + i, 0, 2);
}

/* This thread's part of the block that it shares with its neighbours. */
static void share_block(struct cr_stepper *s, int t, struct cr_round *r, const struct cr_permutation *order)
{
    struct cr_worker *const w = s->worker[t];
    const int lead = t - t % r->parts;
    const long b = r->first_block + t / r->parts;
    s->tally[t] = (struct cr_tally){ 0 };
    w->share = (struct cr_share){ 0, 0 };
    if (b >= r->end_block) return;
    if (t == lead) r->busy[atomic_fetch_add_explicit(&r->busy_count, 1, memory_order_relaxed)] = w->sum;
    const struct cr_share share = { t - lead, r->parts };
    const unsigned since = r->number * CR_MEETINGS;
    cr_worker_join(w, s->worker[lead], share,
                   (struct cr_meeting){ s->mark + lead, share.part, share.parts, s->barrier.spins, since });
    const int n = cr_stepper_gather(s, w, &r->step, order, b, 0);
    cr_worker_train(w, s->state->params, &s->state->normalization, n, 1, r->shift);
    if (t == lead) s->tally[t] = (struct cr_tally){ .samples = n, .blocks = 1, .block_numbers = b };
}

/* How many of the blocks b..end-1 are done at once. */
static int blocks_together(const struct cr_stepper *s, long b, long end)
{
    const int most = s->worker[0]->at_once, k = end - b < most ? (int)(end - b) : most;
    return k > 1 && cr_lanes_of_blocks(s->kernels, k, s->plan->block) ? k : 1;
}

/* Take this rank's blocks until none is left, or none is needed any more. */
static void take_blocks(struct cr_stepper *s, int t, struct cr_round *r, const struct cr_permutation *order)
{
    struct cr_worker *w = s->worker[t];
    struct cr_tally tally = { 0 };
    cr_worker_alone(w);
    while (!s->comm || !s->comm->stale(s->comm)) {
        long b = atomic_fetch_add_explicit(&r->next_block, r->at_once, memory_order_relaxed);
        const long end = b + r->at_once < r->end_block ? b + r->at_once : r->end_block;
        if (b >= end) break;
        if (w->blocks == 0) r->busy[atomic_fetch_add_explicit(&r->busy_count, 1, memory_order_relaxed)] = w->sum;
        for (int k; b < end; b += k) {
            k = blocks_together(s, b, end);
            const int n = gather_blocks(s, w, &r->step, order, b, k);
            fetch_next(s, &r->step, order);
            cr_worker_train(w, s->state->params, &s->state->normalization, n, k, r->shift);
            tally.samples += (int64_t)(cr_plan_block(&r->step, b + k) - cr_plan_block(&r->step, b));
            tally.blocks += k;
            tally.block_numbers += k * b + k * (k - 1) / 2;
        }
    }
    s->tally[t] = tally;
}

void cr_stepper_blocks(struct cr_stepper *s, int t, struct cr_round *r, const struct cr_permutation *order)
{
    s->worker[t]->blocks = 0;
    s->worker[t]->loss_sum = 0;
    atomic_store_explicit(&s->mark[t].reached, r->number * CR_MEETINGS, memory_order_relaxed);
    (r->parts > 1 ? share_block : take_blocks)(s, t, r, order);
}
