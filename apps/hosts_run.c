#define _XOPEN_SOURCE 700 /* realpath */
#include "apps/hosts_run.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "apps/agreement.h"
#include "apps/brief.h"
#include "apps/commands.h"
#include "apps/data_files.h"
#include "apps/progress.h"
#include "apps/signals.h"
#include "core/conduct.h"
#include "core/number.h"
#include "dist/arbiter.h"

struct desk {
    struct cr_conduct *conduct;
    const struct cr_train_events *events;
};

/* ---- what the arbiter asks and tells */

static int keep(void *user, const void *bytes, size_t size, struct cr_error *e)
{
    const struct desk *d = user;
    return cr_conduct_keep(d->conduct, bytes, size, e);
}

static void told(void *user, const void *event, size_t size)
{
    const struct desk *d = user;
    cr_conduct_told(d->conduct, event, size);
}

static unsigned ask(void *user)
{
    (void)user;
    const int polled = cr_signals_poll(NULL);
    return polled == 1 ? CR_ASK_CHECKPOINT : polled == 2 ? CR_ASK_END : 0;
}

static const char *phase_name(enum cr_phase phase)
{
    static const char *const name[] = { "start", "step", "validation", "checkpoint", "end" };
    return (size_t)phase < sizeof name / sizeof *name ? name[phase] : "?";
}

static void pass_on(const struct desk *d, const struct cr_rank_news *n, int lost)
{
    const struct cr_event_host event = {
        .lost = lost, .host = n->host, .rank = n->rank, .step = n->step, .phase = phase_name(n->phase),
        .reason = n->reason, .seconds = n->seconds, .noticed = n->noticed, .isa = n->isa, .threads = n->threads,
    };
    if (d->events->host) d->events->host(d->events->user, &event);
}

static void joined(void *user, const struct cr_rank_news *n) { pass_on(user, n, 0); }

static void lost(void *user, const struct cr_rank_news *n) { pass_on(user, n, 1); }

static void says(void *user, int rank, const char *host, const char *line)
{
    (void)user;
    cr_progress_erase();
    fprintf(stderr, "[%d %s] %s\n", rank, host, line);
}

static void warning(void *user, const char *sentence)
{
    const struct desk *d = user;
    if (d->events->warning) d->events->warning(d->events->user, sentence);
}

/* ---- the whole */

static int choose_key(const struct cr_hosts_run *r, struct cr_key *key, struct cr_error *e)
{
    if (r->key_file) return cr_key_read(key, r->key_file, e);
    if (r->no_auth) {
        *key = (struct cr_key){ .none = 1 };
        return 0;
    }
    return cr_key_new(key, e); /* ranks get it by their standard input */
}

static int parse_seconds(const char *text, double *seconds, struct cr_error *e)
{
    *seconds = 2;
    if (!text) return 0;
    if (cr_parse_double(text, seconds) == 0 && *seconds >= 0.2 && *seconds <= 3600) return 0;
    return cr_fail(e, CR_E_USAGE, "--host-timeout takes seconds from 0.2 to 3600, not '%s'", text);
}

static int arbitrate(struct cr_arbiter_options *o, const struct cr_hosts_run *r, const struct cr_data *data,
                     struct desk *d, struct cr_error *e)
{
    struct cr_writer w = { 0 };
    struct cr_brief brief = { .train = cr_data_fingerprint(data), .test = cr_brief_test(data), .ship = !r->no_ship,
                              .host_timeout = o->host_timeout };
    char *const path = realpath(data->path, NULL);
    if (path) snprintf(brief.path, sizeof brief.path, "%s", path);
    free(path);
    if (r->isa) snprintf(brief.isa, sizeof brief.isa, "%s", r->isa);
    cr_brief_put(&w, &brief);
    struct cr_data_files *files = cr_data_files_new(data);
    int rc = w.failed || !files ? cr_fail(e, CR_E_NOMEM, "out of memory for a run on hosts") : 0;
    if (rc == 0) {
        o->brief = w.bytes;
        o->brief_size = w.size;
        o->state = cr_conduct_state(d->conduct, &o->state_size);
        o->file = cr_data_files_get;
        o->file_user = files;
        o->files = CR_DATA_FILES;
        struct cr_arbiter *a = cr_arbiter_open(o, e);
        rc = a ? cr_arbiter_run(a, e) : -(int)e->code;
        cr_arbiter_close(a);
    }
    cr_data_files_free(files);
    free(w.bytes);
    return rc;
}

static int run(const struct cr_hosts_run *r, const struct cr_hosts *hosts, const struct cr_train_options *options,
               const struct cr_net *net, const struct cr_data *data, const struct cr_train_events *events,
               struct cr_train_result *result, struct cr_error *e)
{
    char program[CR_TWIN_PATH], twin[CR_TWIN_PATH];
    struct desk desk = { .events = events };
    struct cr_arbiter_options o = {
        .ranks = hosts->count, .least = (int)(r->min_hosts ? r->min_hosts : 1), .start_seconds = 30,
        .model = { .latency = 50e-6, .byte = 1e-9, .add = 1e-10 },
        .keeper = { .user = &desk, .keep = keep, .told = told, .ask = ask },
        .events = { .user = &desk, .joined = joined, .lost = lost, .says = says, .warning = warning },
        .hosts = hosts,
    };
    CR_TRY(parse_seconds(r->host_timeout, &o.host_timeout, e));
    CR_TRY(choose_key(r, &o.key, e));
    CR_TRY(cr_remote_launch(&r->remote, &o.launch, program, twin, e));
    CR_TRY(cr_agreement_fill(&o.common, e));
    o.common.secure = r->secure;
    desk.conduct = cr_conduct_begin(options, net, data, events, hosts->count, e);
    if (!desk.conduct) return -(int)e->code;
    const int rc = arbitrate(&o, r, data, &desk, e);
    return cr_conduct_end(desk.conduct, rc, result, e);
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
