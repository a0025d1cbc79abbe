#define _POSIX_C_SOURCE 200809L
#include "core/part.h"

#include <stdlib.h>
#include <string.h>

#include "core/checkpoint.h"
#include "core/eval.h"
#include "core/events.h"
#include "core/run.h"
#include "simd/answer.h"

int cr_part_fingerprint(const void *state, size_t size, uint64_t *data_fingerprint, struct cr_error *e)
{
    struct cr_net net;
    struct cr_state s;
    CR_TRY(cr_checkpoint_unpack(state, size, &net, &s, e));
    *data_fingerprint = s.data_fingerprint;
    cr_state_free(&s);
    cr_net_free(&net);
    return 0;
}

static void tell_result(struct cr_run *r, const struct cr_train_result *result)
{
    uint8_t bytes[CR_EVENT_BYTES];
    const struct cr_event event = { .kind = CR_EVENT_END, .end = *result };
    const size_t size = cr_event_pack(&event, bytes);
    r->comm->tell(r->comm, cr_event_key(&event, r->state.step), bytes, size);
}

static void compute(void *run, long blocks)
{
    struct cr_run *r = run;
    cr_stepper_try(&r->stepper, blocks);
}

static int measure(struct cr_run *r, struct cr_error *e)
{
    const struct cr_workload w = {
        .blocks = (r->plan.batch + r->plan.block - 1) / r->plan.block,
        .bytes = cr_message_size(cr_stepper_shape(r->net)),
        .threads = r->stepper.threads, .cores = r->stepper.cpus.count, .compute = compute, .user = r,
    };
    return r->comm->measure ? r->comm->measure(r->comm, &w, e) : 0;
}

static int run(struct cr_run *r, long threads, struct cr_train_result *result, struct cr_error *e)
{
    if (cr_data_fingerprint(r->data) != r->state.data_fingerprint)
        return cr_fail(e, CR_E_INPUT, "the data set in %s is not the one of this run", r->data->path);
    CR_TRY(cr_kernels_check(cr_kernels(), e));
    CR_TRY(cr_check_fit(r->net, r->data, e));
    r->options = r->state.options;
    r->options.threads = threads;
    r->keeps = !r->options.no_checkpoint;
    CR_TRY(cr_run_settle(r, e));
    CR_TRY(cr_run_open(r, e));
    CR_TRY(measure(r, e));
    const int rc = cr_run_go(r, e);
    cr_run_result(r, rc, result);
    if (rc == 0 || rc == -CR_E_INTERRUPTED || rc == -CR_E_DIVERGED) tell_result(r, result);
    return rc;
}

int cr_part_run(const void *state, size_t size, long threads, const struct cr_data *data, struct cr_comm *comm,
                const struct cr_train_events *events, struct cr_train_result *result, struct cr_error *e)
{
    struct cr_net net;
    struct cr_run *r = aligned_alloc(64, (sizeof *r + 63) & ~(size_t)63);
    if (!r) return cr_fail(e, CR_E_NOMEM, "out of memory for a run");
    memset(r, 0, sizeof *r);
    memset(result, 0, sizeof *result);
    const unsigned long mode = cr_fp_enter();
    int rc = cr_checkpoint_unpack(state, size, &net, &r->state, e);
    if (rc == 0) {
        r->net = &net;
        r->data = data;
        r->events = events;
        r->comm = comm;
        rc = run(r, threads, result, e);
        cr_run_close(r);
        cr_state_free(&r->state);
        cr_net_free(&net);
    }
    cr_fp_leave(mode);
    free(r);
    return rc;
}
