/* A run on this machine alone, from its first step to its last. */
#define _POSIX_C_SOURCE 200809L
#include "core/trainer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/eval.h"
#include "core/resume.h"
#include "core/run.h"
#include "simd/answer.h"

static void warn(const struct cr_run *r, const char *sentence)
{
    if (r->events && r->events->warning) r->events->warning(r->events->user, sentence);
}

static void announce(const struct cr_run *r, const char *resumed_from)
{
    if (!r->events || !r->events->start) return;
    const long blocks = cr_plan_step(&r->plan, r->state.step).blocks;
    r->events->start(r->events->user, &(struct cr_event_start){
        .options = &r->options, .net = r->net, .data = r->data, .isa = cr_kernels()->isa, .block = r->plan.block,
        .threads = r->stepper.threads, .threads_per_block = cr_stepper_parts(&r->stepper, blocks, r->stepper.threads),
        .steps_per_epoch = (long)r->plan.steps_per_epoch,
        .start_step = r->state.step, .resumed_from = resumed_from,
    });
}

/* From options to a run that is ready to go. */
static int begin(struct cr_run *r, struct cr_error *e)
{
    char note[512] = "";
    CR_TRY(cr_kernels_check(cr_kernels(), e));
    CR_TRY(cr_check_fit(r->net, r->data, e));
    CR_TRY(cr_run_settle(r, e));
    CR_TRY(cr_run_begin(&r->state, &r->options, r->net, r->data, r->checkpoint, note, e));
    if (note[0]) warn(r, note);
    CR_TRY(cr_run_place(r, r->checkpoint, e));
    r->keeps = !r->options.no_checkpoint;
    return cr_run_open(r, e);
}

static int run(struct cr_run *r, struct cr_train_result *result, struct cr_error *e)
{
    CR_TRY(begin(r, e));
    const int resumed = r->checkpoint[0] != 0;
    announce(r, resumed ? r->checkpoint : NULL);
    if (resumed && r->state.session.ending)
        warn(r, "nothing is left to do: the run resumed has all its steps behind it");
    const int rc = cr_run_go(r, e);
    cr_run_result(r, rc, result);
    return rc;
}

int cr_train(const struct cr_train_options *options, const struct cr_net *net, const struct cr_data *data,
             const struct cr_train_events *events, struct cr_train_result *result, struct cr_error *e)
{
    /* aligned, for the counters that threads share have cache lines of their own */
    struct cr_run *r = aligned_alloc(64, (sizeof *r + 63) & ~(size_t)63);
    if (!r) return cr_fail(e, CR_E_NOMEM, "out of memory for a run");
    memset(r, 0, sizeof *r);
    memset(result, 0, sizeof *result);
    r->options = *options;
    r->lock = -1;
    r->net = net;
    r->data = data;
    r->events = events;
    const unsigned long mode = cr_fp_enter();
    const int rc = run(r, result, e);
    cr_fp_leave(mode);
    cr_run_close(r);
    if (r->lock >= 0) close(r->lock);
    cr_state_free(&r->state);
    free(r);
    return rc;
}
