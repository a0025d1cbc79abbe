/* Bytes between the ranks of one view: what the all-reduce algorithms are written over.
 *
 * An implementation is a table: tcp.c (sockets), loop.c (threads of one process, for tests). */
#ifndef CR_DIST_TRANSPORT_H
#define CR_DIST_TRANSPORT_H

#include <stddef.h>
#include <stdint.h>

#include "simd/error.h"

/* Told as bytes come in, in order, on the thread that called trade: those of places [begin, end) are at `bytes`, whole
 * and checked, until arrived returns. begin is a multiple of CR_MESSAGE_ALIGN, end too or the whole; bytes is aligned
 * for any word. Adding what has arrived overlaps with receiving what follows. */
struct cr_arrival {
    void (*arrived)(void *user, size_t begin, size_t end, const void *bytes);
    void *user;
    int after_sent; /* tell of [begin, end) only when the same places of out are sent and may be overwritten */
};

struct cr_transport {
    int rank, size;
    /* Send out_bytes to rank `to` and receive exactly in_bytes from rank `from`, both at once; either may be -1 for
     * none, and they may be the same rank. What arrives is kept in `in` and told to arrival; one of them may be
     * NULL. out and in do not overlap. Returns when all is received and out may be written again.
     *   deadline  CLOCK_MONOTONIC in ns, absolute
     * 0; -CR_E_PEER names the rank that closed, sent something else (view, collective, length, checksum) or was cut
     * off by cancel; -CR_E_TIMEOUT. After a failure the transport is only good for freeing. One thread at a time. */
    int (*trade)(struct cr_transport *t, int to, const void *out, size_t out_bytes, int from, void *in, size_t in_bytes,
                 const struct cr_arrival *arrival, int64_t deadline, struct cr_error *e);
    /* Let a trade under way, and all later ones, fail at once. From any thread. */
    void (*cancel)(struct cr_transport *t);
    void (*free)(struct cr_transport *t);
    uint64_t view, collective; /* written into every frame and expected in every one received; the caller's to set */
    void *self;
};

#endif
