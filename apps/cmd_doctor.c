/* corering doctor: examine the hosts of a hosts file and the network between them before a run does. */
#define _XOPEN_SOURCE 700 /* realpath */

#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "apps/brief.h"
#include "apps/commands.h"
#include "apps/doctor.h"
#include "apps/find.h"
#include "apps/remote.h"
#include "apps/signals.h"

struct doctor_args {
    struct cr_remote remote;
    const char *data;
    int json;
};

static const struct cr_option options[] = {
    CR_OPTIONS_REMOTE(struct doctor_args),
    { .name = "data",
      .argument = "DATA",
      .help = "data set that a run would use: a name or a folder",
      .set = cr_option_text,
      .offset = offsetof(struct doctor_args, data) },
    { .name = "json",
      .help = "print lines of JSON",
      .set = cr_option_switch,
      .offset = offsetof(struct doctor_args, json) },
    { 0 },
};

/* As a run would: hosts are told the whole path, and where one that was sent the data keeps it. */
static int look_at_data(struct cr_doctor *d, const char *word, char path[PATH_MAX], struct cr_error *e)
{
    struct cr_data data;
    if (!word) return 0;
    CR_TRY(cr_find_data(&data, word, e));
    d->data = cr_data_fingerprint(&data);
    snprintf(d->cached, sizeof d->cached, "data-%016" PRIx64 "-%016" PRIx64, d->data, cr_brief_test(&data));
    d->word = realpath(data.path, path);
    cr_data_close(&data);
    return d->word ? 0 : cr_fail(e, CR_E_IO, "%s has no path", word);
}

static int report(const struct cr_doctor *d, int json, struct cr_error *e)
{
    int faults = 0;
    if (json) CR_TRY(cr_doctor_print_json(d, e));
    else cr_doctor_print(d);
    for (int i = 0; i < d->faults; i++) faults += !d->fault[i].note;
    if (faults == 0) return 0;
    return cr_fail(e, CR_E_PEER, "%d fault%s among %d hosts", faults, faults > 1 ? "s" : "", d->count);
}

static int doctor(void *args, const struct cr_arguments *words, struct cr_error *e)
{
    const struct doctor_args *const a = args;
    struct cr_doctor d = { 0 };
    struct cr_launch_options o;
    struct cr_hosts hosts;
    char program[CR_TWIN_PATH], twin[CR_TWIN_PATH], data[PATH_MAX];
    (void)words;
    signal(SIGPIPE, SIG_IGN); /* a host that has gone is found by the end of its output */
    cr_signals_watch();
    int rc = cr_remote_hosts(&a->remote, &hosts, e);
    if (rc == 0) rc = cr_remote_launch(&a->remote, &o, program, twin, e);
    if (rc == 0) rc = look_at_data(&d, a->data, data, e);
    if (rc == 0) rc = cr_doctor_examine(&d, &hosts, &o, e);
    if (rc == 0) rc = cr_doctor_judge(&d, e);
    if (rc == 0) rc = report(&d, a->json, e);
    cr_doctor_free(&d);
    cr_hosts_free(&hosts);
    return rc;
}

static int run(const struct cr_command *self, int argc, char **argv, struct cr_error *e)
{
    struct doctor_args a = { 0 };
    return cr_options_run(self, argc, argv, &a, doctor, e);
}

const struct cr_command cr_command_doctor = {
    .name = "doctor",
    .arguments = "--hostfile FILE",
    .summary = "examine hosts and the network between them",
    .description = "Starts a process on every host as a run would, lets each pair connect, and tells\n"
                   "for every fault the host and what to do: name, ssh, key, port, architecture,\n"
                   "program, disk, memory, clock, data; between hosts address, interface, firewall,\n"
                   "MTU, round trip and rate. Exit status 0 when all is well, 3 when not.",
    .examples = "  corering doctor --hostfile hosts\n"
                "  corering doctor -H node1,node2 --data mnist --json\n",
    .options = options,
    .least = 0,
    .most = 0,
    .run = run,
};
