#define _POSIX_C_SOURCE 200809L
#include <omp.h>
#include <stdlib.h>
#include <time.h>

#include "core/scale.h"
#include "core/schedule.h"
#include "core/stepper_inside.h"

enum { SLICE = 16 }; /* parameters of one cache line: slices of two threads never share one */

/* Threads that have something to do when blocks are shared so; more would only wait. */
static int useful_threads(const struct cr_stepper *s, int threads, int way)
{
    const long most = (s->plan->batch + s->plan->block - 1) / s->plan->block;
    long useful = most * s->parts[way];
    if (!s->comm && threads < useful && threads > most) useful = threads / most * most;
    return threads < useful ? threads : (int)useful;
}

/* Do samples lie the same way, whether blocks are shared or not? */
static int side_by_side_alike(const struct cr_stepper *s)
{
    const int block = (int)s->plan->block;
    return cr_worker_lanes(s->net, s->kernels, block, CR_WORKER_SHARES) ==
           cr_worker_lanes(s->net, s->kernels, block, CR_WORKER_TRAINS);
}

int cr_stepper_init(struct cr_stepper *s, int threads, struct cr_error *e)
{
    const long most = (s->plan->batch + s->plan->block - 1) / s->plan->block;
    s->parts[0] = cr_worker_most_parts(s->net, (int)s->plan->block, s->options->threads_per_block, &s->parts[1]);
    if (s->comm || !side_by_side_alike(s)) s->parts[1] = s->parts[0];
    s->threads = useful_threads(s, threads, 1);
    s->pace.open = useful_threads(s, threads, 0) < s->threads;
    if (!s->pace.open) s->parts[0] = s->parts[1];
    s->guard = cr_scale_guard(most);
    s->mark = aligned_alloc(64, (size_t)s->threads * sizeof *s->mark);
    s->worker = calloc((size_t)s->threads, sizeof(struct cr_worker *));
    s->tally = aligned_alloc(64, (size_t)s->threads * sizeof *s->tally);
    int failed = !s->worker || !s->tally || !s->mark;
    for (int t = 0; t < s->threads && s->mark; t++) atomic_init(&s->mark[t].reached, 0);
    for (int i = 0; i < 2; i++) {
        s->round[i].shift = calloc((size_t)s->net->tensors, sizeof(int));
        s->round[i].busy = calloc((size_t)s->threads, sizeof(uint32_t *));
        failed |= !s->round[i].shift || !s->round[i].busy;
    }
    /* Of ranks' shares no more is known than that they are even at first. */
    const int few = s->threads > 1 && (s->comm ? most < 2L * s->threads * s->comm->size : most < s->threads);
    const enum cr_worker_use use = s->parts[1] > 1 && few ? CR_WORKER_SHARES : CR_WORKER_TRAINS;
    if (use != CR_WORKER_SHARES) s->parts[0] = s->parts[1] = 1;
    cr_cpus_allowed(&s->cpus);
    if (!failed) {
#pragma omp parallel num_threads(s->threads) reduction(| : failed)
        for (int t = omp_get_thread_num(); t < s->threads; t += omp_get_num_threads()) {
            const struct cr_pin pin = cr_pin(&s->cpus, t, s->threads);
            s->worker[t] = cr_worker_new(s->net, s->kernels, (int)s->plan->block, use);
            failed |= !s->worker[t];
            cr_unpin(&pin);
        }
    }
    if (failed) {
        cr_stepper_free(s);
        return cr_fail(e, CR_E_NOMEM, "out of memory: %d threads need %zu MB each; use fewer with -t", threads,
                       cr_worker_size(s->net, s->kernels, (int)s->plan->block, use) >> 20);
    }
    /* Ranks add their integers, so these must be made; one sample alone needs them for the update only. */
    for (int t = 0; t < s->threads; t++)
        s->worker[t]->factors = s->plan->batch == 1 && !s->comm && s->worker[t]->outer;
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
    free(s->tally);
    s->tally = NULL;
    free(s->mark);
    s->mark = NULL;
    for (int i = 0; i < 2; i++) {
        free(s->round[i].shift);
        free(s->round[i].busy);
        s->round[i].shift = NULL;
        s->round[i].busy = NULL;
    }
}

int cr_stepper_parts(const struct cr_stepper *s, long blocks, int threads)
{
    const int parts = blocks > 0 && blocks < threads ? threads / (int)blocks : 1;
    return parts < s->parts[s->way] ? parts : s->parts[s->way];
}

/* Blocks from `first` on are there to be done: some at once, but no more than leave every thread its share; by several
 * threads each, where there are threads enough. */
static void begin_round(struct cr_stepper *s, struct cr_round *r, long first)
{
    const long blocks = r->end_block - first;
    r->parts = cr_stepper_parts(s, blocks, s->barrier.threads);
    r->first_block = first;
    r->number = ++s->rounds;
    const long share = (blocks + s->barrier.threads - 1) / s->barrier.threads;
    r->at_once = share < 1 ? 1 : share < s->worker[0]->at_once ? (int)share : s->worker[0]->at_once;
    atomic_store_explicit(&r->busy_count, 0, memory_order_relaxed);
    atomic_store_explicit(&r->next_block, first, memory_order_relaxed);
}

/* On thread 0: all that the next step needs. */
static void prepare(struct cr_stepper *s, struct cr_round *r)
{
    r->step = cr_plan_step(s->plan, s->state->step);
    for (int i = 0; i < s->net->tensors; i++) r->shift[i] = cr_scale_shift(s->state->scale[i], s->guard);
    r->rate = cr_schedule_rate(s->options, s->state->step, s->plan->steps_per_epoch, s->plan->total_steps);
    r->end_block = r->step.blocks;
    long first = 0;
    if (s->comm) {
        r->message = s->comm->begin(s->comm, cr_stepper_shape(s->net), CR_PHASE_STEP);
        first = cr_comm_first(s->comm, r->step.blocks, s->comm->rank);
        r->end_block = cr_comm_first(s->comm, r->step.blocks, s->comm->rank + 1);
    }
    begin_round(s, r, first);
}

static int64_t nanoseconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static unsigned ask(struct cr_stepper *s, const struct cr_stepper_hooks *hooks)
{
    const unsigned wish = hooks ? hooks->wish(hooks->user, &s->time) : 0;
    s->asked = wish;
    return wish;
}

struct span {
    uint64_t until;
    const struct cr_stepper_hooks *hooks;
    struct cr_error *error;
};

static void run_span(struct cr_stepper *s, int t, const void *what)
{
    const struct span *const span = what;
    struct cr_worker *w = s->worker[t];
    struct cr_permutation order = { 0 };
    const size_t lines = (s->net->params + SLICE - 1) / SLICE, team = (size_t)s->barrier.threads;
    const size_t from = lines * (size_t)t / team * SLICE;
    const size_t end = lines * (size_t)(t + 1) / team * SLICE, to = end < s->net->params ? end : s->net->params;
    uint64_t epoch = UINT64_MAX;

    if (s->status < 0) return;
    cr_profile_start(w->profile);
    for (int turn = 0;; turn = !turn) {
        struct cr_round *const r = &s->round[turn];
        const int64_t began = s->comm && t == 0 ? nanoseconds() : 0;
        if (r->step.epoch != epoch) cr_plan_order(s->plan, epoch = r->step.epoch, &order);
        cr_stepper_blocks(s, t, r, &order);
        cr_barrier_wait(&s->barrier);
        cr_profile_mark(w->profile, CR_SPAN_WAIT);

        uint32_t *const sum = cr_stepper_sum_here(s, r, from, to);
        unsigned wish = 0;
        if (t == 0) {
            s->loss_sum = 0;
            for (size_t i = 0; i < team; i++) s->loss_sum += s->worker[i]->loss_sum;
            wish = ask(s, span->hooks);
        }
        cr_profile_mark(w->profile, CR_SPAN_SUM);
        if (s->comm) {
            cr_barrier_wait(&s->barrier);
            if (t == 0) s->status = cr_stepper_exchange(s, r, wish, nanoseconds() - began, span->error);
            cr_barrier_wait(&s->barrier);
            cr_profile_mark(w->profile, CR_SPAN_EXCHANGE);
            if (s->status < 0) return;
        }
        const int again = s->again;
        const enum cr_verdict v = again ? REDO : cr_stepper_judge(s, r);
        if (v == FITS && w->factors)
            cr_stepper_update_own(s, r, w);
        else if (v == FITS)
            cr_stepper_update(s, r, sum, from, to);
        if (t == 0) {
            if (v == DIVERGED)
                s->status = -CR_E_DIVERGED;
            else if (!again)
                cr_stepper_keep_books(s, r, v);
            const int due = v == FITS && span->hooks && span->hooks->pause(span->hooks->user);
            s->paused = due;
            s->leave = s->status < 0 || s->state->step >= span->until || due;
            if (!s->leave) prepare(s, &s->round[!turn]);
        }
        cr_profile_mark(w->profile, CR_SPAN_UPDATE);
        cr_barrier_wait(&s->barrier);
        cr_profile_mark(w->profile, CR_SPAN_WAIT);
        if (t == 0 && s->comm && !again && s->status == 0) s->comm->commit(s->comm, s->state->step);
        if (s->leave) return;
    }
}

/* A team of threads, each on a processor of its own; the calling one is the first, and alone calls `begin` before all
 * go on. */
struct team_work {
    void (*begin)(struct cr_stepper *s, const void *what);
    void (*run)(struct cr_stepper *s, int t, const void *what);
    const void *what;
};

static void run_team(struct cr_stepper *s, const struct team_work *work)
{
    const int threads = useful_threads(s, s->threads, s->way);
#pragma omp parallel num_threads(threads)
    {
        const int t = omp_get_thread_num();
        const struct cr_pin pin = cr_pin(&s->cpus, t, threads);
        const unsigned long mode = cr_fp_enter();
        if (t == 0) {
            cr_barrier_init(&s->barrier, omp_get_num_threads(), s->cpus.count);
            for (int i = 0; i < s->threads; i++) /* those that were not in the last team have fallen behind */
                atomic_store_explicit(&s->mark[i].reached, s->rounds * CR_MEETINGS, memory_order_relaxed);
            work->begin(s, work->what);
        }
#pragma omp barrier
        work->run(s, t, work->what);
        cr_fp_leave(mode);
        cr_unpin(&pin);
    }
}

static void begin_try(struct cr_stepper *s, const void *blocks)
{
    struct cr_round *const r = &s->round[0];
    const long most = *(const long *)blocks;
    r->step = cr_plan_step(s->plan, s->state->step);
    for (int i = 0; i < s->net->tensors; i++) r->shift[i] = cr_scale_shift(s->state->scale[i], s->guard);
    r->end_block = most < r->step.blocks ? most : r->step.blocks;
    begin_round(s, r, 0);
}

static void run_try(struct cr_stepper *s, int t, const void *blocks)
{
    struct cr_permutation order = { 0 };
    (void)blocks;
    cr_plan_order(s->plan, s->round[0].step.epoch, &order);
    cr_stepper_blocks(s, t, &s->round[0], &order);
}

void cr_stepper_try(struct cr_stepper *s, long blocks)
{
    run_team(s, &(struct team_work){ begin_try, run_try, &blocks });
}

static void begin_span(struct cr_stepper *s, const void *what)
{
    const struct span *const span = what;
    prepare(s, &s->round[0]);
    if (s->comm && !s->round[0].message)
        s->status = cr_fail(span->error, CR_E_NOMEM, "out of memory for what ranks exchange");
}

int cr_stepper_run(struct cr_stepper *s, uint64_t until, const struct cr_stepper_hooks *hooks, struct cr_error *e)
{
    s->status = s->again = s->paused = 0;
    while (s->status == 0 && !s->paused && s->state->step < until) {
        uint64_t steps;
        s->way = cr_pace_way(&s->pace, &steps);
        const uint64_t from = s->state->step, end = until - from < steps ? until : from + steps;
        const struct span span = { end, hooks, e };
        const int64_t began = nanoseconds();
        run_team(s, &(struct team_work){ begin_span, run_span, &span });
        cr_pace_took(&s->pace, s->state->step - from, 1e-9 * (double)(nanoseconds() - began),
                     s->state->step == end && end < until);
    }
    return s->status;
}
