/* The algorithms behind dist/allreduce.h, each over any transport. Arguments and results are those of cr_allreduce. */
#ifndef CR_DIST_WAYS_H
#define CR_DIST_WAYS_H

#include "dist/message.h"
#include "dist/transport.h"

int cr_ring(struct cr_transport *t, struct cr_message *m, int64_t deadline, struct cr_error *e);
int cr_doubling(struct cr_transport *t, struct cr_message *m, int64_t deadline, struct cr_error *e);

/* The ranks that doubling has `rank` trade with, into peer; returns how many. */
enum { CR_DOUBLING_PEERS = 12 }; /* a round for each bit of CR_MAX_RANKS, and one neighbour beyond */
int cr_doubling_peers(int rank, int size, int *peer);

#endif
