/* Ranks that are threads of one process: the collectives of comm.h without a network, for tests. */
#ifndef CR_DIST_LOOP_H
#define CR_DIST_LOOP_H

#include "dist/comm.h"

struct cr_loop;

/* A world of `ranks` ranks; NULL when out of memory. Freed after all ranks are done with it. */
struct cr_loop *cr_loop_new(int ranks);
void cr_loop_free(struct cr_loop *l);
/* The world as rank `rank` sees it. Each rank's reduce waits for all others. */
struct cr_comm cr_loop_comm(struct cr_loop *l, int rank);

#endif
