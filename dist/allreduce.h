/* All-reduce of a message over a transport: every rank ends with the combination of all.
 *
 * Two algorithms, both after Thakur, Rabenseifner, Gropp, "Optimization of collective communication operations in
 * MPICH" (2005): the ring (ring.c) moves the fewest bytes, recursive doubling (doubling.c) takes the fewest rounds.
 * Which is faster follows from a model of the slowest link, equal on all ranks. */
#ifndef CR_DIST_ALLREDUCE_H
#define CR_DIST_ALLREDUCE_H

#include "dist/message.h"
#include "dist/transport.h"

/* The slowest link between any two ranks, and adding. */
struct cr_link_model {
    double latency;     /* seconds from send to receipt of a short message */
    double byte;        /* seconds per byte sent, both directions busy */
    double add;         /* seconds to combine a byte, or to keep it */
};

enum cr_way { CR_WAY_DOUBLING, CR_WAY_RING };
const char *cr_way_name(enum cr_way way);

/* Predicted seconds of one all-reduce. */
double cr_allreduce_seconds(enum cr_way way, int size, size_t bytes, const struct cr_link_model *model);
/* The faster way. A pure function: equal arguments, equal choice on all ranks. */
enum cr_way cr_allreduce_way(int size, size_t bytes, const struct cr_link_model *model);

/* The ranks that `rank` exchanges bytes with by either way, into peer (CR_MAX_RANKS); returns how many. Symmetric. */
int cr_allreduce_peers(int rank, int size, int *peer);

/* Combine *m over all ranks of t, in place. 0, or what trade returned; then *m is undefined. */
int cr_allreduce(struct cr_transport *t, enum cr_way way, struct cr_message *m, int64_t deadline, struct cr_error *e);

#endif
