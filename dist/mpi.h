/* Ranks that mpirun or srun started, over the MPI that the program was built with (./configure --with-mpi): the same
 * bits, for sums of integers do not depend on the order. A lost rank ends the run; the last checkpoint holds. */
#ifndef CR_DIST_MPI_H
#define CR_DIST_MPI_H

#include "dist/comm.h"
#include "dist/keeper.h"

/* Was this program built with MPI? */
int cr_mpi_possible(void);
/* Begin MPI, once per process, on the main thread, which is to call the comm: rank and size are MPI_COMM_WORLD's. argc
 * and argv: main's, or NULL. keeper: what rank 0 does with checkpoints and events, or NULL; stays the caller's.
 * NULL and *e: -CR_E_USAGE without MPI, -CR_E_PEER, -CR_E_NOMEM. */
struct cr_comm *cr_mpi_new(int *argc, char ***argv, const struct cr_keeper *keeper, struct cr_error *e);
/* Free. Every rank comes here; alone: only this one does, so all are ended (MPI_Abort), and the call does not return.
 * MPI itself ends with the process, after its last words: MPI_Finalize waits for ever when mpirun is ending the run. */
void cr_mpi_free(struct cr_comm *c, int alone);

#endif
