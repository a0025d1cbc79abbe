/* A rank's side of a run with an arbiter: joins, takes part in views, and leaves.
 *
 *     m = cr_member_open(&options, &brief, &size, e);      dial the arbiter; the heartbeat begins
 *     ... look for the data; cr_member_need_files when it is missing ...
 *     cr_member_enter(m, ..., &state, &size, e);           wait to be taken in
 *     rc = cr_part_run(state, ..., cr_member_comm(m), ...) core's business
 *     cr_member_close(m, rc, e);                           wait until all have the last collective
 *
 * A small control thread answers the arbiter and other members while the calling thread computes. */
#ifndef CR_DIST_MEMBER_H
#define CR_DIST_MEMBER_H

#include "dist/comm.h"
#include "dist/dial.h"

struct cr_member_options {
    int rank;
    uint32_t incarnation;
    struct cr_agreement common;
    struct cr_key key;                /* copied */
    const struct cr_address *arbiter; /* (arbiters) where it may be reached, best first */
    int arbiters;
    int lifeline;                     /* a descriptor whose end of file means that the launcher is gone; -1 = none */
    double dial_seconds;              /* how long the arbiter may take to be there [5] */
    int spin;                         /* may wait by spinning, briefly */
    /* The arbiter is lost: put the state somewhere safe on this host. Called at most once, on either thread; with
     * hurry != 0 the computing thread cannot be waited for and the process must end in the call; state may be NULL
     * then: there is none yet. */
    void (*orphan)(void *user, const void *state, size_t size, const struct cr_error *why, int hurry);
    void *user;
};

struct cr_member;

/* NULL and *e: -CR_E_PEER, -CR_E_TIMEOUT, -CR_E_NOMEM, -CR_E_IO. *brief (owned by the member) is what the arbiter's
 * program has to say first. */
struct cr_member *cr_member_open(const struct cr_member_options *o, const void **brief, size_t *size,
                                 struct cr_error *e);

/* Have the data set's files sent: take(user, name, bytes, size) for each. 0, what take returned, -CR_E_PEER. */
int cr_member_need_files(struct cr_member *m, int (*take)(void *user, const char *name, const void *bytes, size_t size,
                                                          struct cr_error *e), void *user, struct cr_error *e);

/* Say that this rank can work, and wait to be taken into a view. *state is the run's state (owned by the member, valid
 * until close). threads, isa: for the arbiter's table; host_timeout: --host-timeout, the same on all ranks. */
int cr_member_enter(struct cr_member *m, long threads, const char *isa, double host_timeout, const void **state,
                    size_t *size, struct cr_error *e);

/* The collectives; valid until close. */
struct cr_comm *cr_member_comm(struct cr_member *m);

/* The end, rc being how the run went here: waits until every member has the last collective (or tells the arbiter what
 * *e says), then frees. Returns rc, or why the end went wrong (then *e). */
int cr_member_close(struct cr_member *m, int rc, struct cr_error *e);

#endif
