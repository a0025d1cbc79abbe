/* A comm whose ranks stay the same to the end: all of comm.h but combining, which plain.c and mpi.c bring along. The
 * first failure ends the run; blocks are dealt evenly; rank 0's keeper gets checkpoints and events. */
#ifndef CR_DIST_FIXED_H
#define CR_DIST_FIXED_H

#include "dist/comm.h"
#include "dist/keeper.h"

/* Combine *m over all ranks, in place: 0, -CR_E_PEER, -CR_E_TIMEOUT. */
typedef int cr_combine_fn(void *user, struct cr_message *m, struct cr_error *e);

/* keeper may be NULL; it and user stay the caller's. NULL when out of memory. */
struct cr_comm *cr_fixed_new(int rank, int size, cr_combine_fn *combine, void *user, const struct cr_keeper *keeper);
/* What cr_fixed_new was given. */
void *cr_fixed_user(const struct cr_comm *c);
void cr_fixed_free(struct cr_comm *c);

#endif
