/* The arbiter's desk in this program: it begins the run, shows what ranks report, and keeps what they save. The
 * launcher has it (apps/hosts_run.c), or rank 0 where another program starts the ranks (apps/env_run.c). */
#ifndef CR_APPS_DESK_H
#define CR_APPS_DESK_H

#include "core/trainer.h"
#include "dist/arbiter.h"

struct cr_desk {
    const struct cr_train_options *options;
    const struct cr_net *net;
    const struct cr_data *data;
    const struct cr_train_events *events;
    const char *isa;   /* of --isa, for all ranks; or NULL */
    int ship;          /* the data set may be sent to ranks that lack it */
};

/* Run to the end. o: ranks, least, host_timeout, key, common and how ranks come; the rest is filled in here. opened, or
 * NULL, is called once the door is open. As cr_train, and -CR_E_PEER. */
int cr_desk_run(const struct cr_desk *d, struct cr_arbiter_options *o, void (*opened)(void *user, uint16_t port),
                void *user, struct cr_train_result *result, struct cr_error *e);

#endif
