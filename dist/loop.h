/* Ranks that are threads of one process: transport.h without a network, for tests. */
#ifndef CR_DIST_LOOP_H
#define CR_DIST_LOOP_H

#include "dist/transport.h"

struct cr_loop;

/* A world of `ranks` ranks; NULL when out of memory. Freed after all its transports. */
struct cr_loop *cr_loop_new(int ranks);
void cr_loop_free(struct cr_loop *l);
/* The world as rank `rank` sees it; NULL when out of memory. */
struct cr_transport *cr_loop_transport(struct cr_loop *l, int rank);

#endif
