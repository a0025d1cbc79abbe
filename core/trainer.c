/* A run from its first step to its last: what happens between the spans of steps that the stepper does. */
#define _POSIX_C_SOURCE 200809L
#include "core/trainer.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/checkpoint.h"
#include "core/diagnose.h"
#include "core/eval.h"
#include "core/plan.h"
#include "core/resume.h"
#include "core/stepper.h"
#include "core/stop.h"
#include "simd/answer.h"

static const double progress_seconds = 0.2;

struct run {
    struct cr_train_options options; /* as resolved */
    const struct cr_net *net;
    const struct cr_data *data;
    const struct cr_train_events *events;
    struct cr_train_result *result;
    struct cr_state state;
    struct cr_plan plan;
    struct cr_stepper stepper;
    struct cr_comm comm;
    struct cr_stop stop;
    struct cr_stop_values seen;     /* what --stop looks at */
    uint32_t *held_out;             /* indices of the validation samples under val_split, else NULL */
    char folder[512];               /* "" without checkpoints */
    double started, span_started;   /* clock */
    double trained;                 /* seconds of training alone, this session */
    uint64_t trained_samples;
    double epoch_seconds;           /* of training since the last epoch event */
    uint64_t epoch_samples;
    double last_progress, last_checkpoint; /* clock */
    uint64_t first_step;            /* of this session */
    uint64_t saved_step;            /* of the newest checkpoint; UINT64_MAX = none */
    uint64_t validated_step;
    int asked;                      /* what poll said */
};

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

#define TELL(r, event, ...)                                                                                            \
    do {                                                                                                               \
        if ((r)->events && (r)->events->event) (r)->events->event((r)->events->user, __VA_ARGS__);                     \
    } while (0)

/* First step after `step` that is a whole multiple of `every` steps, which need not be whole. */
static uint64_t next_multiple(uint64_t step, double every)
{
    if (!(every > 0)) return UINT64_MAX;
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

static double validation_steps(const struct run *r)
{
    return r->options.validate_every * (double)r->plan.steps_per_epoch;
}

static double checkpoint_steps(const struct run *r)
{
    if (!r->folder[0] || r->options.checkpoint_unit == 't') return 0;
    return r->options.checkpoint_every * (r->options.checkpoint_unit == 'e' ? (double)r->plan.steps_per_epoch : 1);
}

/* ---- between steps, on the first thread ---- */

static void report_progress(struct run *r, double clock)
{
    const uint64_t step = r->state.step, per_epoch = r->plan.steps_per_epoch;
    const double trained = r->trained + (clock - r->span_started);
    const double done = (double)(step - r->first_step);
    const struct cr_event_progress p = {
        .epoch = (long)(step / per_epoch), .epochs = (long)((r->plan.total_steps + per_epoch - 1) / per_epoch),
        .step = step, .steps_per_epoch = per_epoch, .total_steps = r->plan.total_steps,
        .loss = r->state.loss_count ? (double)r->state.loss_sum * 0x1p-24 / (double)r->state.loss_count : 0,
        .images_per_s = trained > 0 ? done * (double)r->plan.batch / trained : 0,
        .eta_seconds = done > 0 ? trained / done * (double)(r->plan.total_steps - step) : 0,
        .seconds = clock - r->started,
    };
    r->last_progress = clock;
    TELL(r, progress, &p);
}

/* After each step: does anything ask for a pause? */
static int pause(void *user)
{
    struct run *r = user;
    const double clock = now();
    if (clock - r->last_progress >= progress_seconds) report_progress(r, clock);
    if (r->events && r->events->poll) r->asked = r->events->poll(r->events->user);
    if (r->asked) return 1;
    if (r->folder[0] && r->options.checkpoint_unit == 't' &&
        clock - r->last_checkpoint >= r->options.checkpoint_every)
        return 1;
    if (r->stop.count == 0) return 0;
    r->seen.step = (double)r->state.step;
    r->seen.time = clock - r->started;
    return cr_stop_holds(&r->stop, &r->seen);
}

/* ---- between spans ---- */

static int save(struct run *r, struct cr_error *e)
{
    r->last_checkpoint = now();
    if (!r->folder[0] || r->saved_step == r->state.step) return 0;
    const struct cr_layer *bad = cr_bad_weight(r->net, r->state.params);
    if (bad)
        return cr_fail(e, CR_E_DIVERGED, "training diverged before step %llu: layer %s has a weight that is NaN or "
                       "Inf; lower --learning-rate", (unsigned long long)r->state.step, bad->name);
    char file[640];
    cr_checkpoint_name(r->folder, r->state.step, file);
    CR_TRY(cr_checkpoint_save(file, r->net, &r->state, e));
    cr_checkpoint_prune(r->folder, (int)r->options.keep);
    r->saved_step = r->state.step;
    snprintf(r->result->checkpoint, sizeof r->result->checkpoint, "%s", file);
    TELL(r, checkpoint, &(struct cr_event_checkpoint){ file, r->state.step });
    return 0;
}

static int validate(struct run *r, struct cr_event_epoch *event, struct cr_error *e)
{
    struct cr_eval eval;
    const struct cr_split *split = r->held_out ? &r->data->train : &r->data->test;
    const size_t count = r->held_out ? r->plan.held_out : split->count;
    CR_TRY(cr_evaluate(r->net, r->state.params, &r->state.normalization, split, 0, count, r->held_out,
                       (int)r->options.threads, &eval, NULL, NULL, e));
    event->validated = 1;
    event->val_loss = eval.loss;
    event->correct = (long)eval.top1;
    event->count = (long)eval.count;
    event->top1 = eval.count ? (double)eval.top1 / (double)eval.count : 0;
    event->top5 = eval.count ? (double)eval.top5 / (double)eval.count : 0;
    r->validated_step = r->state.step;
    r->result->top1 = event->top1;
    r->seen.top1 = event->top1;
    r->seen.top5 = event->top5;
    r->seen.val_loss = event->val_loss;
    if (event->top1 > r->state.best_top1) {
        r->state.best_top1 = event->top1;
        r->state.best_step = r->state.step;
    }
    return 0;
}

/* The epoch event: losses since the last one, and a validation when it is due. */
static int close_epoch(struct run *r, int with_validation, struct cr_error *e)
{
    const double per_epoch = (double)r->plan.steps_per_epoch;
    struct cr_event_epoch event = {
        .epoch = (long)(r->state.step / r->plan.steps_per_epoch),
        .epoch_exact = (double)r->state.step / per_epoch,
        .step = r->state.step,
        .train_loss = r->state.loss_count ? (double)r->state.loss_sum * 0x1p-24 / (double)r->state.loss_count : 0,
        .images_per_s = r->epoch_seconds > 0 ? (double)r->epoch_samples / r->epoch_seconds : 0,
    };
    if (with_validation) CR_TRY(validate(r, &event, e));
    event.seconds = now() - r->started;
    r->seen.train_loss = event.train_loss;
    r->seen.epoch = event.epoch_exact;
    r->state.loss_sum = 0;
    r->state.loss_count = 0;
    r->epoch_seconds = 0;
    r->epoch_samples = 0;
    TELL(r, epoch, &event);
    return 0;
}

/* Train up to the next step at which something is due. */
static int run_span(struct run *r, struct cr_error *e)
{
    const uint64_t step = r->state.step, samples = r->state.samples;
    uint64_t until = r->plan.total_steps;
    const uint64_t due[] = {
        next_multiple(step, (double)r->plan.steps_per_epoch), next_multiple(step, validation_steps(r)),
        next_multiple(step, checkpoint_steps(r)), next_multiple(step, (double)r->options.log_every),
    };
    for (size_t i = 0; i < sizeof due / sizeof *due; i++)
        if (due[i] < until) until = due[i];

    r->span_started = now();
    const int rc = cr_stepper_run(&r->stepper, until, pause, r, e);
    const double seconds = now() - r->span_started;
    r->trained += seconds;
    r->state.seconds += seconds;
    r->epoch_seconds += seconds;
    r->trained_samples += r->state.samples - samples;
    r->epoch_samples += r->state.samples - samples;
    return rc == -CR_E_DIVERGED ? cr_diagnose(&r->stepper, e) : rc;
}

/* All that is due at the step reached. *end: the reason why the run is over, or NULL. */
static int after_span(struct run *r, const char **end, struct cr_error *e)
{
    const uint64_t step = r->state.step;
    const int asked = r->asked;
    r->asked = 0;
    if (r->options.log_every && step % (uint64_t)r->options.log_every == 0)
        TELL(r, step, &(struct cr_event_step){ step, r->stepper.step_loss, (double)r->stepper.step_rate });

    const int last = step == r->plan.total_steps;
    const int validation = is_multiple(step, validation_steps(r)) || (last && r->options.validate_every > 0);
    if (validation || last || step % r->plan.steps_per_epoch == 0) CR_TRY(close_epoch(r, validation, e));

    r->seen.step = (double)step;
    r->seen.time = now() - r->started;
    if (last)
        *end = r->options.steps ? "steps" : "epochs";
    else if (asked == 2)
        *end = "interrupted";
    else if (cr_stop_holds(&r->stop, &r->seen))
        *end = "stop";

    const int timed = r->options.checkpoint_unit == 't' && now() - r->last_checkpoint >= r->options.checkpoint_every;
    if (*end || asked || timed || is_multiple(step, checkpoint_steps(r))) CR_TRY(save(r, e));
    return 0;
}

static int loop(struct run *r, const char **end, struct cr_error *e)
{
    while (!*end) {
        CR_TRY(run_span(r, e));
        CR_TRY(after_span(r, end, e));
    }
    if (strcmp(*end, "stop") == 0 && r->options.validate_every > 0 && r->validated_step != r->state.step)
        CR_TRY(close_epoch(r, 1, e));
    return 0;
}

/* ---- the whole ---- */

static int list_held_out(struct run *r, struct cr_error *e)
{
    if (!r->plan.held_out) return 0;
    r->held_out = malloc(r->plan.held_out * sizeof *r->held_out);
    if (!r->held_out) return cr_fail(e, CR_E_NOMEM, "out of memory for the validation split");
    for (size_t i = 0; i < r->plan.held_out; i++) r->held_out[i] = (uint32_t)cr_plan_held_out(&r->plan, i);
    return 0;
}

static void announce(struct run *r, const char *resumed_from)
{
    TELL(r, start, &(struct cr_event_start){
        .options = &r->options, .net = r->net, .data = r->data, .isa = cr_kernels()->isa, .block = r->plan.block,
        .threads = r->stepper.threads, .steps_per_epoch = (long)r->plan.steps_per_epoch,
        .start_step = r->state.step, .resumed_from = resumed_from,
    });
}

static int prepare(struct run *r, char resumed_from[640], struct cr_error *e)
{
    char note[512] = "";
    CR_TRY(cr_kernels_check(cr_kernels(), e));
    CR_TRY(cr_check_fit(r->net, r->data, e));
    CR_TRY(cr_stop_parse(&r->stop, r->options.stop, e));
    CR_TRY(cr_plan_init(&r->plan, &r->options, r->data->train.count, e));
    r->options.batch = r->plan.batch;
    r->options.block = r->plan.block;
    if (!r->options.threads) r->options.threads = cr_threads_default();
    CR_TRY(cr_run_begin(&r->state, &r->options, r->net, r->data, resumed_from, note, e));
    if (note[0]) TELL(r, warning, note);
    if (!r->options.no_checkpoint) {
        CR_TRY(cr_run_folder(&r->options, resumed_from, r->folder, e));
        snprintf(r->options.checkpoint, sizeof r->options.checkpoint, "%s", r->folder);
    }
    CR_TRY(list_held_out(r, e));
    r->stepper = (struct cr_stepper){
        .options = &r->options, .net = r->net, .train = &r->data->train, .kernels = cr_kernels(), .plan = &r->plan,
        .state = &r->state, .comm = &r->comm, .profile = r->events ? r->events->profile : NULL,
    };
    return cr_stepper_init(&r->stepper, (int)r->options.threads, e);
}

static int run(struct run *r, struct cr_error *e)
{
    char resumed_from[640] = "";
    const char *end = NULL;
    CR_TRY(prepare(r, resumed_from, e));
    r->first_step = r->state.step;
    r->saved_step = resumed_from[0] ? r->state.step : UINT64_MAX;
    snprintf(r->result->checkpoint, sizeof r->result->checkpoint, "%s", resumed_from);
    announce(r, resumed_from[0] ? resumed_from : NULL);
    int rc = 0;
    if (r->state.step >= r->plan.total_steps) {
        if (resumed_from[0]) TELL(r, warning, "nothing is left to do: the run resumed has all its steps behind it");
        end = r->options.steps ? "steps" : "epochs";
        rc = save(r, e);
    } else {
        rc = loop(r, &end, e);
    }

    struct cr_train_result *result = r->result;
    snprintf(result->reason, sizeof result->reason, "%s", rc == -CR_E_DIVERGED ? "diverged" : rc < 0 ? "error" : end);
    result->epochs = (long)(r->state.step / r->plan.steps_per_epoch);
    result->steps = r->state.step;
    result->redone = r->state.redone;
    result->seconds = now() - r->started;
    result->images_per_s = r->trained > 0 ? (double)r->trained_samples / r->trained : 0;
    cr_net_hash(r->net, r->state.params, result->weights_sha256);
    cr_state_hash(&r->state, r->net, result->state_sha256);
    if (rc == 0 && strcmp(end, "interrupted") == 0)
        return cr_fail(e, CR_E_INTERRUPTED, "interrupted after step %llu", (unsigned long long)r->state.step);
    return rc;
}

int cr_train(const struct cr_train_options *options, const struct cr_net *net, const struct cr_data *data,
             const struct cr_train_events *events, struct cr_train_result *result, struct cr_error *e)
{
    /* aligned, for the counters that threads share have cache lines of their own */
    struct run *r = aligned_alloc(64, (sizeof *r + 63) & ~(size_t)63);
    if (!r) return cr_fail(e, CR_E_NOMEM, "out of memory for a run");
    memset(r, 0, sizeof *r);
    memset(result, 0, sizeof *result);
    r->options = *options;
    r->net = net;
    r->data = data;
    r->events = events;
    r->result = result;
    r->comm = cr_comm_solo();
    r->validated_step = UINT64_MAX;
    r->seen = (struct cr_stop_values){ NAN, NAN, NAN, NAN, 0, 0, 0 };
    r->started = r->last_progress = r->last_checkpoint = now();
    const unsigned long mode = cr_fp_enter();
    const int rc = run(r, e);
    cr_fp_leave(mode);
    cr_stepper_free(&r->stepper);
    cr_state_free(&r->state);
    free(r->held_out);
    free(r);
    return rc;
}
