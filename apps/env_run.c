#define _POSIX_C_SOURCE 200809L
#include "apps/env_run.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "apps/desk.h"
#include "apps/rank.h"
#include "dist/launch.h"

/* Seconds for all ranks to come: a minute, more for those who expect slow hosts. */
static double patience(double host_timeout)
{
    return 30 * host_timeout;
}

static int check_key(const struct cr_many *many, const struct cr_rendezvous *r, struct cr_error *e)
{
    if (many->key_file || many->no_auth) return 0;
    return cr_fail(e, CR_E_USAGE, "%s has started %d ranks, and they need a job key in common: give --key-file FILE "
                   "(make one with: umask 077; od -An -tx1 -N32 /dev/urandom | tr -d ' \\n' >FILE), or --no-auth on a "
                   "network you trust", r->starter, r->size);
}

/* Names are tried again for a while: Kubernetes makes them late. */
static int find_master(const struct cr_rendezvous *r, double seconds, struct cr_address *list, int *count,
                       struct cr_error *e)
{
    const int64_t deadline = cr_clock() + (int64_t)(seconds * 1e9);
    while ((*count = cr_rendezvous_addresses(r, list, e)) < 0) {
        if (cr_clock() > deadline) return *count;
        sleep(1);
    }
    return 0;
}

static void summon(struct cr_summons *s, const struct cr_rendezvous *r, const struct cr_many *many, long threads)
{
    memset(s, 0, sizeof *s);
    s->rank = r->rank;
    s->incarnation = (uint32_t)time(NULL); /* started again by hand or by a scheduler, it is another */
    s->slots = (int)threads;
    s->secure = many->secure;
    memcpy(s->job, r->job, sizeof s->job);
}

/* They are sent to all ranks; rank 0 ends the run in order, and everybody with it. */
static void leave_signals_to_rank_0(void)
{
    signal(SIGINT, SIG_IGN);
    signal(SIGTERM, SIG_IGN);
}

int cr_follow(const struct cr_rendezvous *r, const struct cr_many *many, long threads, const char *data,
              struct cr_error *e)
{
    struct cr_arbiter_options shared = { .ranks = r->size };
    struct cr_summons s;
    CR_TRY(check_key(many, r, e));
    CR_TRY(cr_many_options(many, &shared, e));
    const double seconds = patience(shared.host_timeout);
    signal(SIGPIPE, SIG_IGN);
    summon(&s, r, many, threads);
    s.key = shared.key;
    CR_TRY(find_master(r, seconds, s.arbiter, &s.count, e));
    if (data) snprintf(s.data, sizeof s.data, "%s", data);
    const int rc = cr_rank_run(&s, -1, seconds, leave_signals_to_rank_0, e);
    if (rc != -CR_E_INTERRUPTED) return rc;
    /* Rank 0 tells of it, and leaves first: an mpirun that ends a run kills all others as soon as one has gone. */
    nanosleep(&(struct timespec){ .tv_nsec = 300000000 }, NULL);
    return 0;
}

/* ---- rank 0: the arbiter on a thread, the rank on this one */

struct lead {
    struct cr_desk desk;
    struct cr_arbiter_options options;
    struct cr_train_result *result;
    struct cr_error error;
    int rc;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int open, over;      /* the door is open; the arbiter has returned */
    uint16_t port;
};

static void opened(void *user, uint16_t port)
{
    struct lead *l = user;
    pthread_mutex_lock(&l->lock);
    l->open = 1;
    l->port = port;
    pthread_cond_signal(&l->changed);
    pthread_mutex_unlock(&l->lock);
}

static void *arbitrate(void *user)
{
    struct lead *l = user;
    l->rc = cr_desk_run(&l->desk, &l->options, opened, l, l->result, &l->error);
    pthread_mutex_lock(&l->lock);
    l->over = 1;
    pthread_cond_signal(&l->changed);
    pthread_mutex_unlock(&l->lock);
    return NULL;
}

static int take_part(struct lead *l, struct cr_summons *s, struct cr_error *e)
{
    pthread_mutex_lock(&l->lock);
    while (!l->open && !l->over) pthread_cond_wait(&l->changed, &l->lock);
    pthread_mutex_unlock(&l->lock);
    if (!l->open) return -(int)CR_E_IO; /* the arbiter says why */
    s->count = cr_address_own(s->arbiter, l->port);
    snprintf(s->data, sizeof s->data, "%s", l->desk.data->path);
    return cr_rank_run(s, -1, l->options.start_seconds, NULL, e);
}

int cr_lead(const struct cr_rendezvous *r, const struct cr_many *many, const struct cr_train_options *o,
            const struct cr_net *net, const struct cr_data *data, const struct cr_train_events *events,
            struct cr_train_result *result, struct cr_error *e)
{
    struct lead l = {
        .desk = { .options = o, .net = net, .data = data, .events = events, .isa = many->isa, .ship = !many->no_ship },
        .options = { .ranks = r->size, .port = r->port },
        .result = result, .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER,
    };
    struct cr_summons s;
    pthread_t thread;
    CR_TRY(check_key(many, r, e));
    CR_TRY(cr_many_options(many, &l.options, e));
    l.options.start_seconds = patience(l.options.host_timeout);
    memcpy(l.options.common.job, r->job, sizeof r->job);
    summon(&s, r, many, o->threads);
    s.key = l.options.key;
    signal(SIGPIPE, SIG_IGN);
    if (pthread_create(&thread, NULL, arbitrate, &l) != 0) return cr_fail(e, CR_E_NOMEM, "cannot start another thread");
    struct cr_error own;
    const int rc = take_part(&l, &s, &own);
    pthread_join(thread, NULL);
    if (l.rc < 0) *e = l.error;
    if (l.rc == 0 && rc < 0 && rc != -CR_E_INTERRUPTED) *e = own;
    return l.rc < 0 ? l.rc : rc == -CR_E_INTERRUPTED ? 0 : rc;
}
