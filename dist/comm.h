/* Collectives between the processes of a run, as core/ sees them.
 *
 * One training step needs one collective over a message of three sections; sums are of integers and maxima of bit
 * patterns, so the result does not depend on the order in which ranks are combined. */
#ifndef CR_DIST_COMM_H
#define CR_DIST_COMM_H

#include <stddef.h>
#include <stdint.h>

#include "simd/error.h"

struct cr_message {
    uint32_t *sum32; /* (sums32) gradients as integers, added modulo 2^32 */
    size_t sums32;
    int64_t *sum64;  /* (sums64) losses, counts */
    size_t sums64;
    uint32_t *max32; /* (maxima) bits of |x|, which order like the values */
    size_t maxima;
};

struct cr_comm {
    int rank, size;
    /* Combine *m over all ranks, in place; every rank gets the same message. Called by one thread of each rank.
     * 0, -CR_E_PEER or -CR_E_TIMEOUT (then *m is undefined and the step is not applied). */
    int (*reduce)(struct cr_comm *comm, struct cr_message *m, struct cr_error *e);
    void *self; /* the implementation's own */
};

/* The world of one process: reduce is the identity. A constant; nothing to free. */
struct cr_comm cr_comm_solo(void);

#endif
