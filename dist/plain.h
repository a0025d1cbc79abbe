/* A comm of fixed ranks over any transport: no arbiter, no view change; the first failure ends the run. What tests
 * use. */
#ifndef CR_DIST_PLAIN_H
#define CR_DIST_PLAIN_H

#include "dist/allreduce.h"
#include "dist/comm.h"
#include "dist/keeper.h"

/* NULL when out of memory. The transport stays the caller's. keeper: what rank 0 does with checkpoints and events, or
 * NULL. */
struct cr_comm *cr_plain_new(struct cr_transport *t, const struct cr_link_model *model, const struct cr_keeper *keeper);
void cr_plain_free(struct cr_comm *c);

#endif
