/* The training loop: steps, on one pinned OpenMP team.
 *
 * Each step: threads take blocks and round their gradients into integers of their own; a barrier; every thread judges
 * the maxima and, for its slice of the parameters, sums the integers and updates the weights; a second barrier. No
 * allocation, lock or system call in between. Where there are at least twice as many threads as blocks, several go
 * through a block together (core/share.h).
 *
 * With other ranks (comm), the slices are summed into a message, which one thread trades for the sum over all ranks;
 * the step may have to be done again because a rank was lost or joined, which leaves no trace. */
#ifndef CR_CORE_STEPPER_H
#define CR_CORE_STEPPER_H

#include "core/checkpoint.h"
#include "core/meet.h"
#include "core/pace.h"
#include "core/plan.h"
#include "core/team.h"
#include "core/worker.h"
#include "dist/comm.h"

/* What the threads share during one step. There are two, taking turns, so that the next one can be prepared while
 * this one is still being read. */
struct cr_round {
    struct cr_step_plan step;
    float rate;                /* learning rate */
    int *shift;                /* (tensors) s of each tensor */
    uint32_t **busy;           /* (threads) sums of the workers that have done a block, in order of arrival */
    long first_block, end_block; /* this rank's blocks */
    int at_once;               /* so many are taken at once */
    int parts;                 /* so many threads share a block; then each thread's is known, and none is taken */
    unsigned number;           /* of this round among all */
    struct cr_message *message; /* with other ranks: what is summed over them; else NULL */
    _Alignas(64) atomic_long next_block;
    _Alignas(64) atomic_int busy_count;
};

/* What one thread has done of a step. */
struct cr_tally {
    _Alignas(64) int64_t samples;
    int64_t blocks, block_numbers; /* how many; the sum of their numbers */
};

/* What the stepper asks its caller, on thread 0. */
struct cr_stepper_hooks {
    /* Before a step is judged: what this process wants (CR_ASK_... bits), and its clock in seconds. */
    unsigned (*wish)(void *user, double *time);
    /* After each step, with stepper->asked and ->time as all ranks agreed on them: not 0 ends the span. */
    int (*pause)(void *user);
    void *user;
};

struct cr_stepper {
    const struct cr_train_options *options;
    const struct cr_net *net;
    const struct cr_split *train;
    const struct cr_kernels *kernels;
    const struct cr_plan *plan;
    struct cr_state *state;    /* step, redone, loss sums, E, params, momentum are written here, between barriers */
    struct cr_comm *comm;      /* the other ranks, or NULL */
    struct cr_profile *profile; /* to be filled, or NULL */
    int threads;
    struct cr_cpus cpus;
    struct cr_worker **worker; /* (threads) */
    struct cr_barrier barrier;
    struct cr_mark *mark;      /* (threads) for those who share a block */
    int parts[2];              /* so many threads may share a block: one way and the other, if pace has a choice */
    struct cr_pace pace;
    int way;                   /* which of them, now */
    unsigned rounds;           /* begun so far */
    struct cr_tally *tally;    /* (threads) */
    int guard;                 /* G of arithmetic.md, section 5 */
    int64_t loss_sum;          /* of the step over all blocks, units of 2^-24 */
    int status;                /* 0 or -CR_E_...: why all left */
    int again;                 /* the step is to be done again, with other ranks */
    int leave;                 /* all leave after this step */
    int paused;                /* and not only to go on the other way */
    unsigned asked;            /* CR_ASK_... bits that any rank brought to the last step */
    double time;               /* the greatest clock of any rank at the last step, seconds */
    double step_loss;          /* mean loss of the last step */
    float step_rate;           /* learning rate of the last step */
    struct cr_round round[2];
};

/* What ranks exchange in a step. */
struct cr_message_shape cr_stepper_shape(const struct cr_net *net);

/* Allocate workers for at most `threads` threads. The caller fills the const members, state, comm, profile before. */
int cr_stepper_init(struct cr_stepper *s, int threads, struct cr_error *e);
void cr_stepper_free(struct cr_stepper *s);

/* Point the worker at the images and labels of block b of a step, from a place on; returns how many samples it has. */
int cr_stepper_gather(const struct cr_stepper *s, struct cr_worker *w, const struct cr_step_plan *step,
                      const struct cr_permutation *order, long b, int place);

/* How many threads share one of so many blocks; 1: none do. */
int cr_stepper_parts(const struct cr_stepper *s, long blocks, int threads);

/* For struct cr_workload: compute the first so many blocks of the step to come and forget them. */
void cr_stepper_try(struct cr_stepper *s, long blocks);

/* Do steps until state->step == until, or until hooks->pause says so. hooks may be NULL.
 * With other ranks a step is committed after pause, which does to the state what belongs to the step.
 * 0; -CR_E_DIVERGED leaves the state as it was before the bad step; -CR_E_PEER, -CR_E_TIMEOUT from comm. */
int cr_stepper_run(struct cr_stepper *s, uint64_t until, const struct cr_stepper_hooks *hooks, struct cr_error *e);

#endif
