#define _POSIX_C_SOURCE 200809L
#include "core/stepper.h"

#include <omp.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/lanes.h"
#include "core/scale.h"
#include "core/schedule.h"

enum { SLICE = 16 }; /* parameters of one cache line: slices of two threads never share one */
enum verdict { FITS, REDO, DIVERGED };

/* Words of a step's message: sums64, and the maxima after those of the tensors. Clocks travel in 1/64 s. */
enum { SUM_LOSS, SUM_SAMPLES, SUM_BLOCK_NUMBERS, STEP_SUMS };
enum { MAX_ASK_CHECKPOINT, MAX_ASK_END, MAX_CLOCK, STEP_MAXIMA };

struct cr_message_shape cr_stepper_shape(const struct cr_net *net)
{
    return (struct cr_message_shape){ STEP_SUMS, (size_t)net->tensors + STEP_MAXIMA, net->params };
}

int cr_stepper_init(struct cr_stepper *s, int threads, struct cr_error *e)
{
    const long most = (s->plan->batch + s->plan->block - 1) / s->plan->block;
    s->most_parts = cr_worker_most_parts(s->net, (int)s->plan->block, s->options->threads_per_block);
    long useful = most * s->most_parts; /* threads; more would only wait */
    if (!s->comm && threads < useful && threads > most) useful = threads / most * most;
    s->threads = threads < useful ? threads : (int)useful;
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
    const enum cr_worker_use use = s->most_parts > 1 && few ? CR_WORKER_SHARES : CR_WORKER_TRAINS;
    if (use != CR_WORKER_SHARES) s->most_parts = 1;
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

int cr_stepper_gather(const struct cr_stepper *s, struct cr_worker *w, const struct cr_step_plan *step,
                      const struct cr_permutation *order, long b, long end)
{
    const size_t plane = cr_shape_size(s->net->input);
    const size_t from = cr_plan_block(step, b), to = cr_plan_block(step, end);
    for (size_t i = from; i < to; i++) {
        const size_t sample = cr_plan_sample(s->plan, order, i);
        w->image[i - from] = s->train->images + sample * plane;
        w->label[i - from] = s->train->labels[sample];
    }
    return (int)(to - from);
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
    const int n = cr_stepper_gather(s, w, &r->step, order, b, b + 1);
    cr_worker_train(w, s->state->params, &s->state->normalization, n, 1, r->shift);
    if (t == lead) s->tally[t] = (struct cr_tally){ .samples = n, .blocks = 1, .block_numbers = b };
}

/* How many of the blocks b..end-1 are done at once: all but the last must be full. */
static int blocks_together(const struct cr_stepper *s, const struct cr_step_plan *step, long b, long end)
{
    const int most = s->worker[0]->at_once;
    const size_t full = (size_t)s->plan->block;
    int k = 1;
    while (k < most && b + k < end && cr_plan_block(step, b + k) - cr_plan_block(step, b + k - 1) == full) k++;
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
            k = blocks_together(s, &r->step, b, end);
            const int n = cr_stepper_gather(s, w, &r->step, order, b, b + k);
            fetch_next(s, &r->step, order);
            cr_worker_train(w, s->state->params, &s->state->normalization, n, k, r->shift);
            tally.samples += n;
            tally.blocks += k;
            tally.block_numbers += k * b + k * (k - 1) / 2;
        }
    }
    s->tally[t] = tally;
}

static void do_blocks(struct cr_stepper *s, int t, struct cr_round *r, const struct cr_permutation *order)
{
    s->worker[t]->blocks = 0;
    s->worker[t]->loss_sum = 0;
    atomic_store_explicit(&s->mark[t].reached, r->number * CR_MEETINGS, memory_order_relaxed);
    (r->parts > 1 ? share_block : take_blocks)(s, t, r, order);
}

/* The greatest |bits| of a tensor over all blocks this process did. */
static uint32_t greatest_here(const struct cr_stepper *s, int tensor)
{
    uint32_t max = 0;
    for (int t = 0; t < s->barrier.threads; t++)
        if (s->worker[t]->blocks && s->worker[t]->max[tensor] > max) max = s->worker[t]->max[tensor];
    return max;
}

/* The same over all blocks of the step. */
static uint32_t greatest(const struct cr_stepper *s, const struct cr_round *r, int tensor)
{
    return r->message ? r->message->max32[tensor] : greatest_here(s, tensor);
}

static int64_t nanoseconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* On thread 0: all but the gradients, which the team has summed, goes into the message. */
static void fill_message(struct cr_stepper *s, struct cr_message *m, unsigned wish, int64_t took)
{
    int64_t blocks = 0;
    for (int t = 0; t < s->barrier.threads; t++) {
        m->sum64[SUM_SAMPLES] += s->tally[t].samples;
        m->sum64[SUM_BLOCK_NUMBERS] += s->tally[t].block_numbers;
        blocks += s->tally[t].blocks;
    }
    m->sum64[SUM_LOSS] = s->loss_sum;
    for (int i = 0; i < s->net->tensors; i++) m->max32[i] = greatest_here(s, i);
    uint32_t *const rest = m->max32 + s->net->tensors;
    rest[MAX_ASK_CHECKPOINT] = (wish & CR_ASK_CHECKPOINT) != 0;
    rest[MAX_ASK_END] = (wish & CR_ASK_END) != 0;
    rest[MAX_CLOCK] = (uint32_t)(s->time * 64);
    s->comm->took(s->comm, took, (long)blocks);
}

/* Every sample once: the message counts what was done, the plan says what had to be. */
static int check_message(const struct cr_round *r, const struct cr_message *m, struct cr_error *e)
{
    const int64_t numbers = (int64_t)r->step.blocks * (r->step.blocks - 1) / 2;
    if (m->sum64[SUM_SAMPLES] == r->step.count && m->sum64[SUM_BLOCK_NUMBERS] == numbers) return 0;
    return cr_fail(e, CR_E_PEER, "step %llu counted %lld samples of %ld: the ranks do not agree on who does what; is "
                   "the same corering on all hosts?", (unsigned long long)r->step.step + 1,
                   (long long)m->sum64[SUM_SAMPLES], r->step.count);
}

/* On thread 0: trade this rank's message for the world's. */
static int exchange(struct cr_stepper *s, const struct cr_round *r, unsigned wish, int64_t took, struct cr_error *e)
{
    struct cr_message *const m = r->message;
    fill_message(s, m, wish, took);
    const int rc = s->comm->reduce(s->comm, e);
    s->again = rc == CR_COMM_AGAIN;
    if (rc) return rc < 0 ? rc : 0;
    CR_TRY(check_message(r, m, e));
    const uint32_t *const rest = m->max32 + s->net->tensors;
    s->loss_sum = m->sum64[SUM_LOSS];
    s->asked = (rest[MAX_ASK_CHECKPOINT] ? CR_ASK_CHECKPOINT : 0u) | (rest[MAX_ASK_END] ? CR_ASK_END : 0u);
    s->time = (double)rest[MAX_CLOCK] / 64;
    return 0;
}

/* Every thread comes to the same verdict, from the same maxima. */
static enum verdict judge(const struct cr_stepper *s, const struct cr_round *r)
{
    enum verdict v = FITS;
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
static void update(struct cr_stepper *s, const struct cr_round *r, const uint32_t *sum, size_t from, size_t to)
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
static void update_own(struct cr_stepper *s, const struct cr_round *r, const struct cr_worker *w)
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
static void keep_books(struct cr_stepper *s, const struct cr_round *r, enum verdict v)
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
    state->loss_sum += s->loss_sum;
    state->loss_count += (uint64_t)r->step.count;
    s->step_loss = (double)s->loss_sum * 0x1p-24 / (double)r->step.count;
    s->step_rate = r->rate;
}

int cr_stepper_parts(const struct cr_stepper *s, long blocks, int threads)
{
    const int parts = blocks > 0 && blocks < threads ? threads / (int)blocks : 1;
    return parts < s->most_parts ? parts : s->most_parts;
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

/* The sums of this process's workers, for a thread's slice of the parameters; returns where they are. */
static uint32_t *sum_here(struct cr_stepper *s, struct cr_round *r, size_t from, size_t to)
{
    const int busy = atomic_load_explicit(&r->busy_count, memory_order_relaxed);
    uint32_t *const sum = r->message ? r->message->sum32 : r->busy[0];
    if (busy == 0)
        memset(sum + from, 0, (to - from) * sizeof *sum); /* this rank had no block to do */
    else if (busy > 1 || r->message)
        s->kernels->sum(from, to, busy, r->busy, sum);
    return sum;
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
        do_blocks(s, t, r, &order);
        cr_barrier_wait(&s->barrier);
        cr_profile_mark(w->profile, CR_SPAN_WAIT);

        uint32_t *const sum = sum_here(s, r, from, to);
        unsigned wish = 0;
        if (t == 0) {
            s->loss_sum = 0;
            for (size_t i = 0; i < team; i++) s->loss_sum += s->worker[i]->loss_sum;
            wish = ask(s, span->hooks);
        }
        cr_profile_mark(w->profile, CR_SPAN_SUM);
        if (s->comm) {
            cr_barrier_wait(&s->barrier);
            if (t == 0) s->status = exchange(s, r, wish, nanoseconds() - began, span->error);
            cr_barrier_wait(&s->barrier);
            cr_profile_mark(w->profile, CR_SPAN_EXCHANGE);
            if (s->status < 0) return;
        }
        const int again = s->again;
        const enum verdict v = again ? REDO : judge(s, r);
        if (v == FITS && w->factors)
            update_own(s, r, w);
        else if (v == FITS)
            update(s, r, sum, from, to);
        if (t == 0) {
            if (v == DIVERGED)
                s->status = -CR_E_DIVERGED;
            else if (!again)
                keep_books(s, r, v);
            const int due = v == FITS && span->hooks && span->hooks->pause(span->hooks->user);
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
#pragma omp parallel num_threads(s->threads)
    {
        const int t = omp_get_thread_num();
        const struct cr_pin pin = cr_pin(&s->cpus, t, s->threads);
        const unsigned long mode = cr_fp_enter();
        if (t == 0) {
            cr_barrier_init(&s->barrier, omp_get_num_threads(), s->cpus.count);
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
    do_blocks(s, t, &s->round[0], &order);
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
    const struct span span = { until, hooks, e };
    if (s->state->step >= until) return 0;
    s->status = s->again = 0;
    run_team(s, &(struct team_work){ begin_span, run_span, &span });
    return s->status;
}
