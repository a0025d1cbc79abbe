/* A training run whose ranks another program starts: torchrun, mpirun, srun, Kubernetes (dist/rendezvous.h). Rank 0's
 * process is the arbiter beside its own part of the work; all ranks dial it. */
#ifndef CR_APPS_ENV_RUN_H
#define CR_APPS_ENV_RUN_H

#include "apps/many.h"
#include "core/trainer.h"
#include "dist/rendezvous.h"

/* On ranks above 0: take part until the end. data: the word of the command line for the data set, or NULL. */
int cr_follow(const struct cr_rendezvous *r, const struct cr_many *many, long threads, const char *data,
              struct cr_error *e);

/* On rank 0: as cr_train. */
int cr_lead(const struct cr_rendezvous *r, const struct cr_many *many, const struct cr_train_options *o,
            const struct cr_net *net, const struct cr_data *data, const struct cr_train_events *events,
            struct cr_train_result *result, struct cr_error *e);

#endif
