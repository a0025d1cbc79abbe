#define _POSIX_C_SOURCE 200809L
#include "core/conduct.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "core/checkpoint.h"
#include "core/eval.h"
#include "core/events.h"
#include "core/resume.h"
#include "core/run.h"
#include "simd/answer.h"

struct cr_conduct {
    struct cr_run run;             /* never opened: it only begins here */
    void *state;                   /* owned */
    size_t state_size;
    char resumed_from[640];
    struct timespec began;
    struct cr_train_result result; /* as the ranks tell it */
    int ended;                     /* they have */
};

static int begin(struct cr_conduct *c, struct cr_error *e)
{
    struct cr_run *r = &c->run;
    char note[512] = "";
    CR_TRY(cr_kernels_check(cr_kernels(), e));
    CR_TRY(cr_check_fit(r->net, r->data, e));
    CR_TRY(cr_run_settle(r, e));
    CR_TRY(cr_run_begin(&r->state, &r->options, r->net, r->data, c->resumed_from, note, e));
    if (note[0] && r->events && r->events->warning) r->events->warning(r->events->user, note);
    CR_TRY(cr_run_place(r, c->resumed_from, e));
    return cr_checkpoint_pack(r->net, &r->state, &c->state, &c->state_size, e);
}

static void announce(const struct cr_conduct *c, int hosts)
{
    const struct cr_run *r = &c->run;
    if (!r->events || !r->events->start) return;
    r->events->start(r->events->user, &(struct cr_event_start){
        .options = &r->options, .net = r->net, .data = r->data, .isa = cr_kernels()->isa, .block = r->plan.block,
        .threads = 0, .hosts = hosts, .steps_per_epoch = (long)r->plan.steps_per_epoch, .start_step = r->state.step,
        .resumed_from = c->resumed_from[0] ? c->resumed_from : NULL,
    });
}

static void free_all(struct cr_conduct *c)
{
    if (c->run.lock >= 0) close(c->run.lock);
    cr_state_free(&c->run.state);
    free(c->state);
    free(c);
}

struct cr_conduct *cr_conduct_begin(const struct cr_train_options *options, const struct cr_net *net,
                                    const struct cr_data *data, const struct cr_train_events *events, int hosts,
                                    struct cr_error *e)
{
    struct cr_conduct *c = aligned_alloc(64, (sizeof *c + 63) & ~(size_t)63);
    if (!c) {
        cr_fail(e, CR_E_NOMEM, "out of memory for a run");
        return NULL;
    }
    memset(c, 0, sizeof *c);
    c->run.options = *options;
    c->run.lock = -1;
    c->run.net = net;
    c->run.data = data;
    c->run.events = events;
    clock_gettime(CLOCK_MONOTONIC, &c->began);
    const unsigned long mode = cr_fp_enter();
    const int rc = begin(c, e);
    cr_fp_leave(mode);
    if (rc < 0) {
        free_all(c);
        return NULL;
    }
    announce(c, hosts);
    return c;
}

const void *cr_conduct_state(const struct cr_conduct *c, size_t *size)
{
    *size = c->state_size;
    return c->state;
}

int cr_conduct_keep(void *conduct, const void *bytes, size_t size, struct cr_error *e)
{
    struct cr_conduct *c = conduct;
    struct cr_run *r = &c->run;
    struct cr_net net;
    struct cr_state state;
    char file[640];
    if (!r->folder[0]) return 0;
    CR_TRY(cr_checkpoint_unpack(bytes, size, &net, &state, e));
    cr_checkpoint_name(r->folder, state.step, file);
    const int rc = cr_checkpoint_save(file, &net, &state, e);
    if (rc == 0) {
        cr_checkpoint_prune(r->folder, (int)r->options.keep);
        memcpy(r->checkpoint, file, sizeof file);
        r->state.step = state.step;
    }
    cr_state_free(&state);
    cr_net_free(&net);
    return rc;
}

void cr_conduct_kept(void *conduct)
{
    const struct cr_conduct *c = conduct;
    const struct cr_run *r = &c->run;
    if (r->folder[0])
        cr_event_dispatch(&(struct cr_event){ .kind = CR_EVENT_CHECKPOINT,
                                              .checkpoint = { r->checkpoint, r->state.step } }, r->events);
}

void cr_conduct_told(void *conduct, const void *event, size_t size)
{
    struct cr_conduct *c = conduct;
    struct cr_event value;
    if (cr_event_unpack(&value, event, size) < 0) return;
    if (value.kind == CR_EVENT_END) {
        c->result = value.end;
        c->ended = 1;
    } else {
        cr_event_dispatch(&value, c->run.events);
    }
}

int cr_conduct_end(struct cr_conduct *c, int rc, struct cr_train_result *result, struct cr_error *e)
{
    struct cr_run *r = &c->run;
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    *result = c->result;
    if (!c->ended) {
        snprintf(result->reason, sizeof result->reason, "%s", rc < 0 ? "error" : "");
        result->steps = r->state.step;
        result->top1 = -1;
    }
    result->seconds = (double)(now.tv_sec - c->began.tv_sec) + 1e-9 * (double)(now.tv_nsec - c->began.tv_nsec);
    const int holds = r->state.step == result->steps; /* a file of other weights is not what has come of it */
    snprintf(result->checkpoint, sizeof result->checkpoint, "%s",
             !holds ? "" : r->checkpoint[0] ? r->checkpoint : c->resumed_from);
    if (rc == 0 && strcmp(result->reason, "interrupted") == 0)
        rc = cr_fail(e, CR_E_INTERRUPTED, "interrupted after step %llu", (unsigned long long)result->steps);
    free_all(c);
    return rc;
}
