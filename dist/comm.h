/* Collectives between the processes of a run, as core/ sees them.
 *
 * A run is a numbered sequence of collectives: steps, validations, checkpoints. In each, every rank contributes a
 * message, gets the combination of all, and applies it whole. Ranks may come and go between attempts at a collective
 * (dist/member.h): then reduce says CR_COMM_AGAIN, rank, size and shares are new, and the collective is done once
 * more from the state before it. Blocks do not know who computes them, so the bits stay the same.
 *
 * One thread of each rank calls these. A program alone has no comm at all: its pointer is NULL. */
#ifndef CR_DIST_COMM_H
#define CR_DIST_COMM_H

#include "dist/message.h"
#include "simd/error.h"

enum { CR_MAX_RANKS = 1024 };
enum { CR_COMM_AGAIN = 1 }; /* from reduce: redo the collective with the new rank, size and shares */

/* What a rank is at; for the messages about one that is lost. */
enum cr_phase { CR_PHASE_START, CR_PHASE_STEP, CR_PHASE_VALIDATE, CR_PHASE_CHECKPOINT, CR_PHASE_END };

/* Requests from outside, seen by all ranks at the same step once they went through a message. */
enum { CR_ASK_CHECKPOINT = 1, CR_ASK_END = 2 };

/* What a step will be, and a way to try how long it computes. */
struct cr_workload {
    long blocks;           /* of a step */
    size_t bytes;          /* of its message */
    int threads, cores;    /* of this rank; processors that it may use, shared with other ranks of its machine */
    /* Compute the first so many blocks of the step to come, and forget what comes out. */
    void (*compute)(void *user, long blocks);
    void *user;
};

struct cr_comm {
    int rank, size;        /* of the present view; change only inside reduce and save */
    const int64_t *share;  /* (size) weights by which work is dealt; see cr_comm_first */

    /* The message to fill for the next collective. Its sums32 are garbage. Two take turns: the one that reduce has
     * combined stays as it is until the begin after the next. NULL when out of memory. */
    struct cr_message *(*begin)(struct cr_comm *c, struct cr_message_shape shape, enum cr_phase phase);
    /* Combine the message of the last begin over all ranks, in place. 0, CR_COMM_AGAIN, -CR_E_PEER, -CR_E_TIMEOUT. */
    int (*reduce)(struct cr_comm *c, struct cr_error *e);
    /* The reduced message is applied; the run's state is whole and stands at `step`. */
    void (*commit)(struct cr_comm *c, uint64_t step);
    /* A collective without sums: the snapshot goes to whoever keeps checkpoints. Returns when it is safe there.
     * 0, -CR_E_PEER, -CR_E_IO. */
    int (*save)(struct cr_comm *c, struct cr_error *e);
    /* An event worth telling the user, in the caller's own encoding. Every rank tells the same ones; of those with
     * equal keys one is shown, in the order of keys. Key 0 is shown whoever tells it. */
    void (*tell)(struct cr_comm *c, uint64_t key, const void *event, size_t size);
    /* What was asked of this rank from outside: CR_ASK_... bits, cleared by the call. */
    unsigned (*asked)(struct cr_comm *c);
    /* This rank's blocks of the collective in work are of no use any more: stop computing, go to reduce. Any thread. */
    int (*stale)(const struct cr_comm *c);
    /* How long this rank's share of the collective took: nanoseconds and blocks; deals follow it. Before reduce. */
    void (*took)(struct cr_comm *c, int64_t nanoseconds, long blocks);
    /* Before anything else, or NULL: measure how fast all ranks compute and how fast messages are, for predictions and
     * for choices that all ranks make alike. A rank that joins later is told instead. Errors as reduce. */
    int (*measure)(struct cr_comm *c, const struct cr_workload *w, struct cr_error *e);
    void *self;            /* the implementation's own */

    /* Set by core before the run: the whole state as a checkpoint's bytes (malloc'd, the caller frees), for a rank
     * that joins or when the arbiter is lost. Called on the thread that calls reduce, or on another while that one
     * computes; never between reduce and commit. */
    int (*snapshot)(void *run, void **bytes, size_t *size, struct cr_error *e);
    void *run;
};

/* Who takes how many of `blocks` blocks, into count (size): so that all are done as soon as possible, were share the
 * ranks' speeds. That is list scheduling, which is optimal for blocks that take equally long. A pure function. share:
 * (size) >= 0, one at least > 0. O(size^2). */
void cr_comm_deal(const int64_t *share, int size, long blocks, long *count);
/* First block of a rank by that deal: 0 for rank 0, `blocks` for rank == size, never decreasing. */
long cr_comm_first(const struct cr_comm *c, long blocks, int rank);

#endif
