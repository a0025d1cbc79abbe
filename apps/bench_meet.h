/* The ranks of a measurement, each on a host of its own, find each other without an arbiter: the user has said where
 * all of them are. */
#ifndef CR_APPS_BENCH_MEET_H
#define CR_APPS_BENCH_MEET_H

#include "dist/address.h"

/* Rank `rank` listens on the port of at[rank], and is connected to the peers that cr_allreduce_peers names.
 *   at    (ranks) where each is, with the port
 *   fd    (ranks) sockets, -1 where there is none; the caller's to close, on failure too
 * Without a job key: for a network that nobody else is on. Waits half a minute for the others. -CR_E_PEER,
 * -CR_E_TIMEOUT, -CR_E_IO, -CR_E_NOMEM. */
int cr_bench_meet(int rank, int ranks, const struct cr_address *at, int *fd, struct cr_error *e);

#endif
