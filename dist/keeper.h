/* The side of a run that has a terminal and a disk: where events are shown and checkpoints are kept. It lives beside
 * the arbiter (dist/arbiter.h), or on rank 0 where there is none. */
#ifndef CR_DIST_KEEPER_H
#define CR_DIST_KEEPER_H

#include <stddef.h>

#include "simd/error.h"

struct cr_keeper {
    void *user;
    /* Put a checkpoint on disk; `bytes` is a whole checkpoint file. 0 or -CR_E_IO. */
    int (*keep)(void *user, const void *bytes, size_t size, struct cr_error *e);
    /* keep has returned 0: the checkpoint may be spoken of. Unlike keep, on the thread of told. */
    void (*kept)(void *user);
    /* An event told by the ranks (cr_comm.tell), once each, in order. */
    void (*told)(void *user, const void *event, size_t size);
    /* What the user wants of the run: CR_ASK_... bits, cleared by the call. Must not block. May be NULL. */
    unsigned (*ask)(void *user);
};

#endif
