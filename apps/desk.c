#define _XOPEN_SOURCE 700 /* realpath */
#include "apps/desk.h"

#include <stdio.h>
#include <stdlib.h>

#include "apps/brief.h"
#include "apps/data_files.h"
#include "apps/progress.h"
#include "apps/signals.h"
#include "core/conduct.h"

struct work {
    struct cr_conduct *conduct;
    const struct cr_train_events *events;
    int measured;             /* so many hosts have measured */
    double alone;             /* seconds of a step on one host, as measured; 0 = not yet */
    struct cr_spent longest;  /* of the rank with most steps */
};

/* ---- what the arbiter asks and tells */

static const char *phase_name(enum cr_phase phase)
{
    static const char *const name[] = { "start", "step", "validation", "checkpoint", "end" };
    return (size_t)phase < sizeof name / sizeof *name ? name[phase] : "?";
}

static void pass_on(const struct work *w, const struct cr_rank_news *n, int lost)
{
    const struct cr_event_host event = {
        .lost = lost, .host = n->host, .rank = n->rank, .step = n->step, .phase = phase_name(n->phase),
        .reason = n->reason, .seconds = n->seconds, .noticed = n->noticed, .isa = n->isa, .threads = n->threads,
    };
    if (w->events->host) w->events->host(w->events->user, &event);
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
    const struct work *w = user;
    if (w->events->warning) w->events->warning(w->events->user, sentence);
}

/* ---- speeds */

static void measured(void *user, const struct cr_measured *x, const char *hinders)
{
    struct work *w = user;
    const struct cr_prediction *p = &x->prediction;
    const struct cr_event_speed event = { .hosts = x->hosts, .speedup = p->speedup, .step = p->compute + p->network,
                                          .network = p->network };
    char sentence[512];
    if (x->hosts < 2) return;
    w->alone = p->alone;
    w->measured = x->hosts;
    if (w->events->speed) w->events->speed(w->events->user, &event);
    if (!hinders || !w->events->warning) return;
    snprintf(sentence, sizeof sentence, "host %s slows the run down: without it %.1fx one host is expected instead of "
             "%.1fx", hinders, x->without, p->speedup);
    w->events->warning(w->events->user, sentence);
}

static void spent(void *user, int rank, const char *host, const struct cr_spent *s)
{
    struct work *w = user;
    const struct cr_event_spent event = {
        .host = host, .rank = rank, .steps = s->steps, .compute = 1e-9 * (double)s->compute,
        .wait = 1e-9 * (double)s->wait, .network = 1e-9 * (double)s->network,
    };
    if (s->steps > w->longest.steps) w->longest = *s;
    if (s->steps && w->events->spent) w->events->spent(w->events->user, &event);
}

static void tell_achieved(const struct work *w)
{
    const struct cr_spent *s = &w->longest;
    if (!s->steps || w->alone <= 0 || !w->events->speed) return;
    const double steps = 1e9 * (double)s->steps;
    struct cr_event_speed event = { .achieved = 1, .hosts = w->measured, .network = (double)s->network / steps };
    event.step = (double)(s->compute + s->wait + s->network) / steps;
    event.speedup = w->alone / event.step;
    w->events->speed(w->events->user, &event);
}

/* ---- the whole */

static int put_brief(struct cr_writer *w, const struct cr_desk *d, double host_timeout, struct cr_error *e)
{
    struct cr_brief brief = { .train = cr_data_fingerprint(d->data), .test = cr_brief_test(d->data), .ship = d->ship,
                              .host_timeout = host_timeout };
    char *const path = realpath(d->data->path, NULL);
    if (path) snprintf(brief.path, sizeof brief.path, "%s", path);
    free(path);
    if (d->isa) snprintf(brief.isa, sizeof brief.isa, "%s", d->isa);
    cr_brief_put(w, &brief);
    return w->failed ? cr_fail(e, CR_E_NOMEM, "out of memory for a run on hosts") : 0;
}

static int arbitrate(const struct cr_arbiter_options *o, void (*opened)(void *user, uint16_t port), void *user,
                     struct cr_error *e)
{
    struct cr_arbiter *a = cr_arbiter_open(o, e);
    if (!a) return -(int)e->code;
    if (opened) opened(user, cr_arbiter_port(a));
    const int rc = cr_arbiter_run(a, e);
    cr_arbiter_close(a);
    return rc;
}

int cr_desk_run(const struct cr_desk *d, struct cr_arbiter_options *o, void (*opened)(void *user, uint16_t port),
                void *user, struct cr_train_result *result, struct cr_error *e)
{
    struct cr_writer brief = { 0 };
    struct work work = { .events = d->events };
    work.conduct = cr_conduct_begin(d->options, d->net, d->data, d->events, o->ranks, e);
    if (!work.conduct) return -(int)e->code;
    struct cr_data_files *files = cr_data_files_new(d->data);
    int rc = files ? put_brief(&brief, d, o->host_timeout, e) : cr_fail(e, CR_E_NOMEM, "out of memory for files");
    if (rc == 0) {
        o->brief = brief.bytes;
        o->brief_size = brief.size;
        o->state = cr_conduct_state(work.conduct, &o->state_size);
        o->file = cr_data_files_get;
        o->file_user = files;
        o->files = CR_DATA_FILES;
        o->model = (struct cr_link_model){ .latency = 50e-6, .byte = 1e-9, .add = 1e-10 };
        o->keeper = (struct cr_keeper){ .user = work.conduct, .keep = cr_conduct_keep, .kept = cr_conduct_kept,
                                        .told = cr_conduct_told, .ask = cr_signals_ask };
        o->events = (struct cr_arbiter_events){ .user = &work, .joined = joined, .lost = lost, .says = says,
                                                .measured = measured, .spent = spent, .warning = warning };
        if (o->key.none)
            warning(&work, "--no-auth: whoever reaches the ports of this run may take part in it");
        rc = arbitrate(o, opened, user, e);
        tell_achieved(&work);
    }
    cr_data_files_free(files);
    free(brief.bytes);
    return cr_conduct_end(work.conduct, rc, result, e);
}
