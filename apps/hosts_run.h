/* A training run on several hosts, from the launcher's side: starts them, shows what they report, keeps what they save. */
#ifndef CR_APPS_HOSTS_RUN_H
#define CR_APPS_HOSTS_RUN_H

#include "apps/remote.h"
#include "core/trainer.h"

struct cr_hosts_run {
    struct cr_remote remote;
    long min_hosts;            /* [1] */
    const char *host_timeout;  /* seconds [2] */
    const char *key_file;
    const char *isa;           /* of --isa, or NULL */
    int secure, no_auth, no_ship;
};

/* As cr_train, with the hosts of r->remote; quiet: no lines about hosts that come. */
int cr_train_on_hosts(const struct cr_hosts_run *r, const struct cr_train_options *o, const struct cr_net *net,
                      const struct cr_data *data, const struct cr_train_events *events, struct cr_train_result *result,
                      struct cr_error *e);

#endif
