/* A training run whose ranks mpirun started and that talk over MPI (dist/mpi.h): rank 0 leads, a lost rank ends it. */
#ifndef CR_APPS_MPI_RUN_H
#define CR_APPS_MPI_RUN_H

#include "core/trainer.h"

/* On every rank: as cr_train. Events go to rank 0's. */
int cr_train_over_mpi(const struct cr_train_options *o, const struct cr_net *net, const struct cr_data *data,
                      const struct cr_train_events *events, struct cr_train_result *result, struct cr_error *e);

#endif
