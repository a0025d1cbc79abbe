#define _POSIX_C_SOURCE 200809L
#include "apps/hosts_run.h"

#include <signal.h>

#include "apps/agreement.h"
#include "apps/desk.h"

/* Without a key, listen on the one way to all hosts, if it is one. 1 and *own. */
static int common_route(const struct cr_hosts *hosts, struct cr_address *own)
{
    int found = 0;
    for (int i = 0; i < hosts->count; i++) {
        const struct cr_host *const h = &hosts->host[i];
        struct cr_address way;
        if (h->local) continue;
        if (cr_address_towards(h->name, &way) < 0 || (found && !cr_address_equal(&way, own, 0))) return 0;
        *own = way;
        found = 1;
    }
    return found || cr_address_parse(own, "127.0.0.1", NULL) == 0;
}

static int run(const struct cr_hosts_run *r, const struct cr_hosts *hosts, const struct cr_train_options *options,
               const struct cr_net *net, const struct cr_data *data, const struct cr_train_events *events,
               struct cr_train_result *result, struct cr_error *e)
{
    char program[CR_TWIN_PATH], twin[CR_TWIN_PATH];
    const struct cr_desk desk = { .options = options, .net = net, .data = data, .events = events,
                                  .isa = r->shared.isa, .ship = !r->shared.no_ship };
    struct cr_arbiter_options o = { .ranks = hosts->count, .start_seconds = 30, .hosts = hosts };
    struct cr_address route;
    CR_TRY(cr_many_options(&r->shared, &o, e));
    if (o.key.none && common_route(hosts, &route)) o.only = &route;
    if (!r->shared.key_file && !r->shared.no_auth) CR_TRY(cr_key_new(&o.key, e)); /* ranks get it with their summons */
    CR_TRY(cr_remote_launch(&r->remote, &o.launch, program, twin, e));
    return cr_desk_run(&desk, &o, NULL, NULL, result, e);
}

int cr_train_on_hosts(const struct cr_hosts_run *r, const struct cr_train_options *o, const struct cr_net *net,
                      const struct cr_data *data, const struct cr_train_events *events, struct cr_train_result *result,
                      struct cr_error *e)
{
    struct cr_hosts hosts;
    signal(SIGPIPE, SIG_IGN); /* a host that has gone is found by the end of its output */
    int rc = cr_remote_hosts(&r->remote, &hosts, e);
    if (rc == 0) rc = run(r, &hosts, o, net, data, events, result, e);
    cr_hosts_free(&hosts);
    return rc;
}
