#define _POSIX_C_SOURCE 200809L
#include "core/stepper.h"

#include <omp.h>
#include <stdlib.h>
#include <string.h>

#include "core/scale.h"
#include "core/schedule.h"

enum { SLICE = 16 }; /* parameters of one cache line: slices of two threads never share one */
enum verdict { FITS, REDO, DIVERGED };

int cr_stepper_init(struct cr_stepper *s, int threads, struct cr_error *e)
{
    const long most = (s->plan->batch + s->plan->block - 1) / s->plan->block;
    s->threads = threads < most ? threads : (int)most; /* a thread without blocks would only wait */
    s->guard = cr_scale_guard(most);
    s->worker = calloc((size_t)s->threads, sizeof(struct cr_worker *));
    int failed = !s->worker;
    for (int i = 0; i < 2; i++) {
        s->round[i].shift = calloc((size_t)s->net->tensors, sizeof(int));
        s->round[i].busy = calloc((size_t)s->threads, sizeof(uint32_t *));
        failed |= !s->round[i].shift || !s->round[i].busy;
    }
    cr_cpus_allowed(&s->cpus);
    if (!failed) {
#pragma omp parallel num_threads(s->threads) reduction(| : failed)
        for (int t = omp_get_thread_num(); t < s->threads; t += omp_get_num_threads()) {
            const struct cr_pin pin = cr_pin(&s->cpus, t, s->threads);
            s->worker[t] = cr_worker_new(s->net, s->kernels, (int)s->plan->block, 1);
            failed |= !s->worker[t];
            cr_unpin(&pin);
        }
    }
    if (failed) {
        cr_stepper_free(s);
        return cr_fail(e, CR_E_NOMEM, "out of memory: %d threads need %zu MB each; use fewer with -t", threads,
                       cr_worker_size(s->net, (int)s->plan->block, 1) >> 20);
    }
    if (!s->profile) return 0;
    CR_TRY(cr_profile_begin(s->profile, s->net, s->threads, e));
    for (int t = 0; t < s->threads; t++) s->worker[t]->profile = s->profile->thread[t];
    return 0;
}

void cr_stepper_free(struct cr_stepper *s)
{
    for (int t = 0; s->worker && t < s->threads; t++) cr_worker_free(s->worker[t]);
    free(s->worker);
    s->worker = NULL;
    for (int i = 0; i < 2; i++) {
        free(s->round[i].shift);
        free(s->round[i].busy);
        s->round[i].shift = NULL;
        s->round[i].busy = NULL;
    }
}

int cr_stepper_gather(const struct cr_stepper *s, struct cr_worker *w, const struct cr_step_plan *step,
                      const struct cr_permutation *order, long b)
{
    const size_t plane = cr_shape_size(s->net->input);
    const size_t first = cr_plan_block(step, b), end = cr_plan_block(step, b + 1);
    for (size_t i = first; i < end; i++) {
        const size_t sample = cr_plan_sample(s->plan, order, i);
        w->image[i - first] = s->train->images + sample * plane;
        w->label[i - first] = s->train->labels[sample];
    }
    return (int)(end - first);
}

/* Take this rank's blocks until none is left. */
static void take_blocks(struct cr_stepper *s, struct cr_worker *w, struct cr_round *r,
                        const struct cr_permutation *order)
{
    const long end = r->step.blocks * (s->comm->rank + 1) / s->comm->size;
    w->blocks = 0;
    w->loss_sum = 0;
    for (;;) {
        const long b = atomic_fetch_add_explicit(&r->next_block, 1, memory_order_relaxed);
        if (b >= end) return;
        const int n = cr_stepper_gather(s, w, &r->step, order, b);
        cr_worker_train(w, s->state->params, &s->state->normalization, n, r->shift);
        if (w->blocks == 1) r->busy[atomic_fetch_add_explicit(&r->busy_count, 1, memory_order_relaxed)] = w->sum;
    }
}

/* The greatest |bits| of a tensor over all blocks of the step. */
static uint32_t greatest(const struct cr_stepper *s, int tensor)
{
    uint32_t max = 0;
    for (int t = 0; t < s->barrier.threads; t++)
        if (s->worker[t]->blocks && s->worker[t]->max[tensor] > max) max = s->worker[t]->max[tensor];
    return max;
}

/* One thread trades this rank's sums and maxima for the world's. */
static int exchange(struct cr_stepper *s, uint32_t *sum, struct cr_error *e)
{
    struct cr_worker *first = s->worker[0];
    for (int i = 0; i < s->net->tensors; i++) first->max[i] = greatest(s, i);
    first->blocks = 1;
    struct cr_message m = {
        .sum32 = sum, .sums32 = s->net->params, .sum64 = &s->loss_sum, .sums64 = 1,
        .max32 = first->max, .maxima = (size_t)s->net->tensors,
    };
    return s->comm->reduce(s->comm, &m, e);
}

/* Every thread comes to the same verdict, from the same maxima. */
static enum verdict judge(const struct cr_stepper *s, const struct cr_round *r)
{
    enum verdict v = FITS;
    for (int i = 0; i < s->net->tensors; i++) {
        const uint32_t max = greatest(s, i);
        if (max >= 0x7f800000) return DIVERGED;
        if (!cr_scale_fits(max, r->shift[i], s->guard)) v = REDO;
    }
    return v;
}

/* Sums are in `sum`; update the parameters from..to, tensor by tensor since each has its own scale. */
static void update(struct cr_stepper *s, const struct cr_round *r, const uint32_t *sum, size_t from, size_t to)
{
    const struct cr_train_options *o = s->options;
    for (int i = 0; i < s->net->tensors; i++) {
        const struct cr_tensor *x = &s->net->tensor[i];
        const size_t lo = x->at > from ? x->at : from;
        const size_t hi = x->at + x->count < to ? x->at + x->count : to;
        if (lo >= hi) continue;
        const struct cr_sgd sgd = {
            .unscale = cr_scale_power(-r->shift[i]), .inv_n = 1.0f / (float)r->step.count, .lr = r->rate,
            .momentum = (float)o->momentum, .weight_decay = (float)o->weight_decay, .nesterov = o->nesterov,
        };
        s->kernels->sgd(hi - lo, sum + lo, &sgd, s->state->params + lo,
                        s->state->momentum ? s->state->momentum + lo : NULL);
    }
}

/* What one thread does between the barriers once the verdict is known. */
static void keep_books(struct cr_stepper *s, const struct cr_round *r, enum verdict v)
{
    struct cr_state *state = s->state;
    for (int i = 0; i < s->net->tensors; i++) {
        const uint32_t max = greatest(s, i);
        state->scale[i] = v == FITS ? cr_scale_next(state->scale[i], max) : cr_scale_raise(state->scale[i], max);
    }
    if (v == REDO) {
        state->redone++;
        return;
    }
    state->step++;
    state->samples += (uint64_t)r->step.count;
    state->loss_sum += s->loss_sum;
    state->loss_count += (uint64_t)r->step.count;
    s->step_loss = (double)s->loss_sum * 0x1p-24 / (double)r->step.count;
    s->step_rate = r->rate;
}

static void prepare(struct cr_stepper *s, struct cr_round *r)
{
    r->step = cr_plan_step(s->plan, s->state->step);
    for (int i = 0; i < s->net->tensors; i++) r->shift[i] = cr_scale_shift(s->state->scale[i], s->guard);
    r->rate = cr_schedule_rate(s->options, s->state->step, s->plan->steps_per_epoch, s->plan->total_steps);
    atomic_store_explicit(&r->busy_count, 0, memory_order_relaxed);
    atomic_store_explicit(&r->next_block, r->step.blocks * s->comm->rank / s->comm->size, memory_order_relaxed);
}

struct span {
    uint64_t until;
    int (*pause)(void *user);
    void *user;
    struct cr_error *error;
};

static void run_thread(struct cr_stepper *s, int t, const struct span *span)
{
    struct cr_worker *w = s->worker[t];
    struct cr_permutation order = { 0 };
    const size_t lines = (s->net->params + SLICE - 1) / SLICE, team = (size_t)s->barrier.threads;
    const size_t from = lines * (size_t)t / team * SLICE;
    const size_t end = lines * (size_t)(t + 1) / team * SLICE, to = end < s->net->params ? end : s->net->params;
    uint64_t epoch = UINT64_MAX;

    cr_profile_start(w->profile);
    for (int turn = 0;; turn = !turn) {
        struct cr_round *const r = &s->round[turn];
        if (r->step.epoch != epoch) cr_plan_order(s->plan, epoch = r->step.epoch, &order);
        take_blocks(s, w, r, &order);
        cr_barrier_wait(&s->barrier);
        cr_profile_mark(w->profile, CR_SPAN_WAIT);

        const int busy = atomic_load_explicit(&r->busy_count, memory_order_relaxed);
        uint32_t *const sum = busy ? r->busy[0] : s->worker[0]->sum;
        if (busy == 0) memset(sum + from, 0, (to - from) * sizeof *sum); /* this rank had no block to do */
        if (busy > 1) s->kernels->sum(from, to, busy, r->busy, sum);
        if (t == 0) {
            s->loss_sum = 0;
            for (size_t i = 0; i < team; i++) s->loss_sum += s->worker[i]->loss_sum;
        }
        cr_profile_mark(w->profile, CR_SPAN_SUM);
        if (s->comm->size > 1) {
            cr_barrier_wait(&s->barrier);
            if (t == 0) s->status = exchange(s, sum, span->error);
            cr_barrier_wait(&s->barrier);
            cr_profile_mark(w->profile, CR_SPAN_EXCHANGE);
            if (s->status < 0) return;
        }
        const enum verdict v = judge(s, r);
        if (v == FITS) update(s, r, sum, from, to);
        if (t == 0) {
            if (v == DIVERGED)
                s->status = -CR_E_DIVERGED;
            else
                keep_books(s, r, v);
            s->leave = s->status < 0 || s->state->step >= span->until ||
                       (v == FITS && span->pause && span->pause(span->user));
            prepare(s, &s->round[!turn]);
        }
        cr_profile_mark(w->profile, CR_SPAN_UPDATE);
        cr_barrier_wait(&s->barrier);
        cr_profile_mark(w->profile, CR_SPAN_WAIT);
        if (s->leave) return;
    }
}

int cr_stepper_run(struct cr_stepper *s, uint64_t until, int (*pause)(void *user), void *user, struct cr_error *e)
{
    const struct span span = { until, pause, user, e };
    if (s->state->step >= until) return 0;
    s->status = 0;
    prepare(s, &s->round[0]);
#pragma omp parallel num_threads(s->threads)
    {
        const int t = omp_get_thread_num();
        const struct cr_pin pin = cr_pin(&s->cpus, t, s->threads);
        const unsigned long mode = cr_fp_enter();
#pragma omp single
        cr_barrier_init(&s->barrier, omp_get_num_threads(), s->cpus.count);
        run_thread(s, t, &span);
        cr_fp_leave(mode);
        cr_unpin(&pin);
    }
    return s->status;
}
