/* A run in progress: which steps, validations and checkpoints follow each other, for a program alone and for one rank
 * of many. Internal to core/; programs call core/trainer.h or core/part.h.
 *
 * What is due next is read off the state alone, and everything that belongs to a step or a validation is in the state
 * before it is committed. So a rank that gets the state at any moment between two commits goes on exactly alike. */
#ifndef CR_CORE_RUN_H
#define CR_CORE_RUN_H

#include "core/checkpoint.h"
#include "core/plan.h"
#include "core/stepper.h"
#include "core/stop.h"
#include "core/trainer.h"

struct cr_run {
    /* the caller's; state, folder, keeps after cr_run_settle */
    struct cr_train_options options; /* as resolved, after cr_run_settle */
    const struct cr_net *net;
    const struct cr_data *data;
    const struct cr_train_events *events; /* or NULL; alone, for all events; with others, for poll and profile only */
    struct cr_comm *comm;           /* the other ranks, or NULL */
    struct cr_state state;
    char folder[512];               /* where checkpoints go when alone; "" = nowhere */
    int lock;                       /* of that folder, or -1 */
    int keeps;                      /* checkpoints are wanted */

    /* filled by cr_run_settle */
    struct cr_plan plan;
    struct cr_stop stop;

    /* filled by cr_run_open */
    struct cr_stepper stepper;
    uint32_t *held_out;             /* indices of the validation samples under val_split, else NULL */
    char checkpoint[640];           /* the last file written or resumed from, or "" */
    double started;                 /* clock when the session's time was 0 */
    double mark;                    /* clock up to which training time is accounted */
    double trained;                 /* seconds of training alone, in this process */
    double epoch_seconds;           /* the same since the last epoch event */
    uint64_t first_step;            /* of this process */
    uint64_t first_samples, epoch_samples; /* state.samples then; at the last epoch event */
    double last_progress;           /* clock */
    unsigned wish;                  /* CR_ASK_... bits of this process not yet agreed on by all */
};

/* The folder for checkpoints, and nobody else in it, if they are wanted. The caller closes r->lock if it is not -1. */
int cr_run_place(struct cr_run *r, const char *from, struct cr_error *e);
/* Resolve the options (batch, block, threads) and plan. */
int cr_run_settle(struct cr_run *r, struct cr_error *e);
/* The state is there: allocate the workers. cr_run_close whatever the outcome. */
int cr_run_open(struct cr_run *r, struct cr_error *e);
void cr_run_close(struct cr_run *r);
/* Train until the state says it is over. As cr_train. */
int cr_run_go(struct cr_run *r, struct cr_error *e);
/* What came of it; rc: of cr_run_go. */
void cr_run_result(const struct cr_run *r, int rc, struct cr_train_result *result);

#endif
