/* A training run on the hosts that --hostfile or -H names: starts a rank on each. */
#ifndef CR_APPS_HOSTS_RUN_H
#define CR_APPS_HOSTS_RUN_H

#include "apps/many.h"
#include "apps/remote.h"
#include "core/trainer.h"

struct cr_hosts_run {
    struct cr_remote remote;
    struct cr_many shared;
};

/* As cr_train, with the hosts of r->remote. */
int cr_train_on_hosts(const struct cr_hosts_run *r, const struct cr_train_options *o, const struct cr_net *net,
                      const struct cr_data *data, const struct cr_train_events *events, struct cr_train_result *result,
                      struct cr_error *e);

#endif
