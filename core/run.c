#define _POSIX_C_SOURCE 200809L
#include "core/run.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/diagnose.h"
#include "core/eval.h"
#include "core/events.h"
#include "core/resume.h"
#include "simd/answer.h"

static const double progress_seconds = 0.2;

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* ---- telling: to the caller when alone, else to whom the ranks report to */

static void tell(struct cr_run *r, const struct cr_event *event)
{
    if (!r->comm) {
        cr_event_dispatch(event, r->events);
        return;
    }
    uint8_t bytes[CR_EVENT_BYTES];
    const size_t size = cr_event_pack(event, bytes);
    r->comm->tell(r->comm, cr_event_key(event, r->state.step), bytes, size);
}

/* ---- what is due */

/* First step after `step` that is a whole multiple of `every` steps, which need not be whole. */
static uint64_t next_multiple(uint64_t step, double every)
{
    if (!(every > 0)) return UINT64_MAX;
    if (every < 1) every = 1;
    uint64_t k = (uint64_t)((double)step / every), at;
    do {
        const double exact = (double)++k * every;
        if (exact > 1e18) return UINT64_MAX;
        at = (uint64_t)(exact + 0.5);
    } while (at <= step);
    return at;
}

static int is_multiple(uint64_t step, double every)
{
    return step > 0 && next_multiple(step - 1, every) == step;
}

static double validation_steps(const struct cr_run *r)
{
    return r->options.validate_every * (double)r->plan.steps_per_epoch;
}

static double checkpoint_steps(const struct cr_run *r)
{
    if (!r->keeps || r->options.checkpoint_unit == 't') return 0;
    return r->options.checkpoint_every * (r->options.checkpoint_unit == 'e' ? (double)r->plan.steps_per_epoch : 1);
}

static int validation_due(const struct cr_run *r)
{
    const struct cr_session *s = &r->state.session;
    const uint64_t step = r->state.step;
    if (!(r->options.validate_every > 0) || s->validated_step == step || s->ending == CR_ENDING_INTERRUPTED) return 0;
    if (step == 0 && !*r->options.init) return 0; /* weights as drawn know nothing */
    return is_multiple(step, validation_steps(r)) || step == r->plan.total_steps || s->ending == CR_ENDING_STOP;
}

static int epoch_due(const struct cr_run *r)
{
    const uint64_t step = r->state.step;
    return r->state.session.closed_step != step &&
           (step % r->plan.steps_per_epoch == 0 || step == r->plan.total_steps);
}

static int checkpoint_due(const struct cr_run *r)
{
    const struct cr_session *s = &r->state.session;
    if (!r->keeps || s->saved_step == r->state.step) return 0;
    const int timed = r->options.checkpoint_unit == 't' && s->time - s->saved_time >= r->options.checkpoint_every;
    return s->ending || (s->asked & CR_ASK_CHECKPOINT) || timed || is_multiple(r->state.step, checkpoint_steps(r));
}

/* The next step at which something is due that is known beforehand. */
static uint64_t next_stop(const struct cr_run *r)
{
    const uint64_t step = r->state.step;
    uint64_t until = r->plan.total_steps;
    const uint64_t due[] = {
        next_multiple(step, (double)r->plan.steps_per_epoch), next_multiple(step, validation_steps(r)),
        next_multiple(step, checkpoint_steps(r)), next_multiple(step, (double)r->options.log_every),
    };
    for (size_t i = 0; i < sizeof due / sizeof *due; i++)
        if (due[i] < until) until = due[i];
    return until;
}

static int should_stop(const struct cr_run *r)
{
    const struct cr_session *s = &r->state.session;
    const double known[] = { s->top1, s->top5, s->val_loss, s->train_loss, s->epoch };
    double v[sizeof known / sizeof *known];
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) v[i] = known[i] < 0 ? NAN : known[i];
    return cr_stop_holds(&r->stop, &(struct cr_stop_values){ v[0], v[1], v[2], v[3], v[4], (double)r->state.step,
                                                             s->time });
}

static void decide_end(struct cr_run *r)
{
    struct cr_session *s = &r->state.session;
    if (s->ending) return;
    if (r->state.step >= r->plan.total_steps)
        s->ending = CR_ENDING_COMPLETE;
    else if (s->asked & CR_ASK_END)
        s->ending = CR_ENDING_INTERRUPTED;
    else if (should_stop(r))
        s->ending = CR_ENDING_STOP;
}

/* ---- what belongs to a step */

static void account(struct cr_run *r)
{
    const double clock = now(), seconds = clock - r->mark;
    r->mark = clock;
    r->trained += seconds;
    r->epoch_seconds += seconds;
    r->state.seconds += seconds;
}

static double mean_loss(const struct cr_state *s)
{
    return s->loss_count ? (double)s->loss_sum * 0x1p-24 / (double)s->loss_count : 0;
}

static void report_progress(struct cr_run *r, double clock)
{
    const uint64_t step = r->state.step, per_epoch = r->plan.steps_per_epoch;
    const double trained = r->trained + (clock - r->mark);
    const double done = (double)(step - r->first_step);
    r->last_progress = clock;
    if (r->comm && r->comm->rank != 0) return;
    tell(r, &(struct cr_event){ .kind = CR_EVENT_PROGRESS, .progress = {
        .epoch = (long)(step / per_epoch), .epochs = (long)((r->plan.total_steps + per_epoch - 1) / per_epoch),
        .step = step, .steps_per_epoch = per_epoch, .total_steps = r->plan.total_steps,
        .loss = mean_loss(&r->state),
        .images_per_s = trained > 0 ? done * (double)r->plan.batch / trained : 0,
        .eta_seconds = done > 0 ? trained / done * (double)(r->plan.total_steps - step) : 0,
        .seconds = clock - r->started,
    } });
}

/* The epoch event, which a validation may be part of: losses since the last one. */
static void close_epoch(struct cr_run *r, const struct cr_eval *validation)
{
    struct cr_session *s = &r->state.session;
    struct cr_event_epoch event = {
        .epoch = (long)(r->state.step / r->plan.steps_per_epoch),
        .epoch_exact = (double)r->state.step / (double)r->plan.steps_per_epoch,
        .step = r->state.step,
        .train_loss = mean_loss(&r->state),
        .images_per_s = r->epoch_seconds > 0 ? (double)(r->state.samples - r->epoch_samples) / r->epoch_seconds : 0,
        .seconds = now() - r->started,
    };
    if (validation) {
        event.validated = 1;
        event.val_loss = validation->loss;
        event.correct = (long)validation->top1;
        event.count = (long)validation->count;
        event.top1 = s->top1;
        event.top5 = s->top5;
    }
    s->train_loss = event.train_loss;
    s->epoch = event.epoch_exact;
    s->closed_step = r->state.step;
    r->state.loss_sum = 0;
    r->state.loss_count = 0;
    r->epoch_seconds = 0;
    r->epoch_samples = r->state.samples;
    tell(r, &(struct cr_event){ .kind = CR_EVENT_EPOCH, .epoch = event });
}

/* Stepper hook: what this process wants, and its clock. A wish stays until all ranks know of it. */
static unsigned wish(void *user, double *time)
{
    struct cr_run *r = user;
    *time = now() - r->started;
    const int polled = r->events && r->events->poll ? r->events->poll(r->events->user) : 0;
    if (polled == 1) r->wish |= CR_ASK_CHECKPOINT;
    if (polled == 2) r->wish |= CR_ASK_END;
    if (r->comm) r->wish |= r->comm->asked(r->comm);
    return r->wish;
}

/* Stepper hook: bring the state to where the step leaves it. Not 0 when something else than a step is due. */
static int after_step(void *user)
{
    struct cr_run *r = user;
    struct cr_session *s = &r->state.session;
    const uint64_t step = r->state.step;
    const double clock = now();
    if (clock - r->last_progress >= progress_seconds) report_progress(r, clock);

    s->time = r->stepper.time;
    s->asked |= r->stepper.asked;
    r->wish &= ~r->stepper.asked;
    if (!r->keeps) s->asked &= ~(uint64_t)CR_ASK_CHECKPOINT;
    if (r->options.log_every && step % (uint64_t)r->options.log_every == 0)
        tell(r, &(struct cr_event){ .kind = CR_EVENT_STEP,
                                    .step = { step, r->stepper.step_loss, (double)r->stepper.step_rate } });
    if (validation_due(r)) return 1; /* the epoch is closed and the end decided with its result */
    if (epoch_due(r)) {
        account(r);
        close_epoch(r, NULL);
    }
    decide_end(r);
    return s->ending || validation_due(r) || checkpoint_due(r);
}

/* ---- steps, validations, checkpoints */

static int train_steps(struct cr_run *r, struct cr_error *e)
{
    const struct cr_stepper_hooks hooks = { wish, after_step, r };
    r->mark = now();
    const int rc = cr_stepper_run(&r->stepper, next_stop(r), &hooks, e);
    account(r);
    return rc == -CR_E_DIVERGED ? cr_diagnose(&r->stepper, e) : rc;
}

enum { EVAL_BLOCK = 16 }; /* samples that are evaluated together; ranks share whole ones */
enum { SUM_COUNT, SUM_TOP1, SUM_TOP5, SUM_EVAL_LOSS, EVAL_SUMS };

static int evaluate(struct cr_run *r, size_t first, size_t count, struct cr_eval *result, struct cr_error *e)
{
    const struct cr_split *split = r->held_out ? &r->data->train : &r->data->test;
    return cr_evaluate(r->net, r->state.params, &r->state.normalization, split, r->held_out ? 0 : first, count,
                       r->held_out ? r->held_out + first : NULL, (int)r->options.threads, result, NULL, NULL, e);
}

/* This rank's share of the validation samples, then the sum over all ranks. */
static int evaluate_together(struct cr_run *r, size_t total, struct cr_eval *result, struct cr_error *e)
{
    const long blocks = (long)((total + EVAL_BLOCK - 1) / EVAL_BLOCK);
    int rc;
    do {
        struct cr_message *m = r->comm->begin(r->comm, (struct cr_message_shape){ .sums64 = EVAL_SUMS },
                                              CR_PHASE_VALIDATE);
        if (!m) return cr_fail(e, CR_E_NOMEM, "out of memory for what ranks exchange");
        const size_t first = (size_t)cr_comm_first(r->comm, blocks, r->comm->rank) * EVAL_BLOCK;
        size_t end = (size_t)cr_comm_first(r->comm, blocks, r->comm->rank + 1) * EVAL_BLOCK;
        if (end > total) end = total;
        struct cr_eval part = { 0 };
        if (end > first) CR_TRY(evaluate(r, first, end - first, &part, e));
        m->sum64[SUM_COUNT] = (int64_t)part.count;
        m->sum64[SUM_TOP1] = (int64_t)part.top1;
        m->sum64[SUM_TOP5] = (int64_t)part.top5;
        m->sum64[SUM_EVAL_LOSS] = part.loss_sum;
        rc = r->comm->reduce(r->comm, e);
        if (rc == 0)
            *result = (struct cr_eval){ .count = (size_t)m->sum64[SUM_COUNT], .top1 = (size_t)m->sum64[SUM_TOP1],
                                        .top5 = (size_t)m->sum64[SUM_TOP5], .loss_sum = m->sum64[SUM_EVAL_LOSS] };
    } while (rc == CR_COMM_AGAIN);
    if (rc < 0) return rc;
    if (result->count != total)
        return cr_fail(e, CR_E_PEER, "a validation counted %zu samples of %zu: the ranks do not agree on who does "
                       "what; is the same corering on all hosts?", result->count, total);
    result->loss = total ? (double)result->loss_sum * 0x1p-24 / (double)total : 0;
    return 0;
}

static int validate(struct cr_run *r, struct cr_error *e)
{
    struct cr_eval eval;
    struct cr_session *s = &r->state.session;
    const size_t total = r->held_out ? r->plan.held_out : r->data->test.count;
    CR_TRY(r->comm ? evaluate_together(r, total, &eval, e) : evaluate(r, 0, total, &eval, e));
    s->validated_step = r->state.step;
    s->top1 = eval.count ? (double)eval.top1 / (double)eval.count : 0;
    s->top5 = eval.count ? (double)eval.top5 / (double)eval.count : 0;
    s->val_loss = eval.loss;
    if (s->top1 > r->state.best_top1) {
        r->state.best_top1 = s->top1;
        r->state.best_step = r->state.step;
    }
    if (!r->comm) s->time = now() - r->started; /* with others, only clocks that all agreed on count */
    close_epoch(r, &eval);
    decide_end(r);
    if (r->comm) r->comm->commit(r->comm, r->state.step);
    return 0;
}

static int check_weights(const struct cr_run *r, struct cr_error *e)
{
    const struct cr_layer *bad = cr_bad_weight(r->net, r->state.params);
    if (!bad) return 0;
    return cr_fail(e, CR_E_DIVERGED, "training diverged before step %llu: layer %s has a weight that is NaN or "
                   "Inf; lower --learning-rate", (unsigned long long)r->state.step, bad->name);
}

static int save(struct cr_run *r, struct cr_error *e)
{
    struct cr_session *s = &r->state.session;
    CR_TRY(check_weights(r, e));
    if (r->comm) {
        CR_TRY(r->comm->save(r->comm, e));
    } else {
        char file[640];
        cr_checkpoint_name(r->folder, r->state.step, file);
        CR_TRY(cr_checkpoint_save(file, r->net, &r->state, e));
        cr_checkpoint_prune(r->folder, (int)r->options.keep);
        memcpy(r->checkpoint, file, sizeof file);
        struct cr_event event = { .kind = CR_EVENT_CHECKPOINT, .checkpoint = { r->checkpoint, r->state.step } };
        tell(r, &event);
    }
    s->saved_step = r->state.step;
    s->saved_time = s->time;
    s->asked &= ~(uint64_t)CR_ASK_CHECKPOINT;
    if (r->comm) r->comm->commit(r->comm, r->state.step);
    return 0;
}

int cr_run_go(struct cr_run *r, struct cr_error *e)
{
    for (;;) {
        if (validation_due(r))
            CR_TRY(validate(r, e));
        else if (checkpoint_due(r))
            CR_TRY(save(r, e));
        else if (r->state.session.ending)
            break;
        else
            CR_TRY(train_steps(r, e));
    }
    CR_TRY(check_weights(r, e));
    if (r->state.session.ending == CR_ENDING_INTERRUPTED)
        return cr_fail(e, CR_E_INTERRUPTED, "interrupted after step %llu", (unsigned long long)r->state.step);
    return 0;
}

/* ---- the whole */

static int list_held_out(struct cr_run *r, struct cr_error *e)
{
    if (!r->plan.held_out) return 0;
    r->held_out = malloc(r->plan.held_out * sizeof *r->held_out);
    if (!r->held_out) return cr_fail(e, CR_E_NOMEM, "out of memory for the validation split");
    for (size_t i = 0; i < r->plan.held_out; i++) r->held_out[i] = (uint32_t)cr_plan_held_out(&r->plan, i);
    return 0;
}

static int snapshot(void *run, void **bytes, size_t *size, struct cr_error *e)
{
    const struct cr_run *r = run;
    return cr_checkpoint_pack(r->net, &r->state, bytes, size, e);
}

int cr_run_place(struct cr_run *r, const char *from, struct cr_error *e)
{
    r->lock = -1;
    if (r->options.no_checkpoint) return 0;
    CR_TRY(cr_run_folder(&r->options, from, r->folder, e));
    snprintf(r->options.checkpoint, sizeof r->options.checkpoint, "%s", r->folder);
    const int lock = cr_checkpoint_lock(r->folder, e);
    if (lock < 0) return lock;
    r->lock = lock;
    return 0;
}

int cr_run_settle(struct cr_run *r, struct cr_error *e)
{
    CR_TRY(cr_stop_parse(&r->stop, r->options.stop, e));
    CR_TRY(cr_plan_init(&r->plan, &r->options, r->data->train.count, e));
    r->options.batch = r->plan.batch;
    r->options.block = r->plan.block;
    if (!r->options.threads) r->options.threads = cr_threads_default();
    return 0;
}

int cr_run_open(struct cr_run *r, struct cr_error *e)
{
    CR_TRY(list_held_out(r, e));
    r->stepper = (struct cr_stepper){
        .options = &r->options, .net = r->net, .train = &r->data->train, .kernels = cr_kernels(), .plan = &r->plan,
        .state = &r->state, .comm = r->comm, .profile = r->events ? r->events->profile : NULL,
    };
    CR_TRY(cr_stepper_init(&r->stepper, (int)r->options.threads, e));
    r->mark = r->last_progress = now();
    r->started = r->mark - r->state.session.time;
    r->first_step = r->state.step;
    r->first_samples = r->epoch_samples = r->state.samples;
    if (r->state.step >= r->plan.total_steps) decide_end(r);
    if (r->comm) {
        r->comm->snapshot = snapshot;
        r->comm->run = r;
    }
    return 0;
}

void cr_run_close(struct cr_run *r)
{
    cr_stepper_free(&r->stepper);
    free(r->held_out);
}

void cr_run_result(const struct cr_run *r, int rc, struct cr_train_result *result)
{
    static const char *const reason[] = { "error", "epochs", "stop", "interrupted" };
    const struct cr_session *s = &r->state.session;
    const char *why = s->ending == CR_ENDING_COMPLETE && r->options.steps ? "steps" : reason[s->ending];
    if (rc < 0 && rc != -CR_E_INTERRUPTED) why = rc == -CR_E_DIVERGED ? "diverged" : "error";
    *result = (struct cr_train_result){
        .epochs = (long)(r->state.step / r->plan.steps_per_epoch),
        .steps = r->state.step,
        .redone = r->state.redone,
        .seconds = now() - r->started,
        .images_per_s = r->trained > 0 ? (double)(r->state.samples - r->first_samples) / r->trained : 0,
        .top1 = s->top1,
    };
    snprintf(result->reason, sizeof result->reason, "%s", why);
    if (s->saved_step == r->state.step) /* else it holds other weights */
        snprintf(result->checkpoint, sizeof result->checkpoint, "%s", r->checkpoint);
    cr_net_hash(r->net, r->state.params, result->weights_sha256);
    cr_state_hash(&r->state, r->net, result->state_sha256);
}
