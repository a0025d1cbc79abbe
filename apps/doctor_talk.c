/* Asking: every host is started as a rank would be, and answers in lines (apps/probe.h). */
#define _POSIX_C_SOURCE 200809L

#include <errno.h>
#include <inttypes.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "apps/doctor.h"
#include "apps/doctor_ssh.h"
#include "apps/signals.h"
#include "dist/dial.h"
#include "dist/hmac.h"

static const int64_t second = 1000000000;

struct cr_way *cr_doctor_way(const struct cr_doctor *d, int from, int to)
{
    return &d->way[(size_t)from * (size_t)d->count + (size_t)to];
}

static int64_t real_time(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * second + t.tv_nsec;
}

/* ---- lines ---- */

static void take_address(struct cr_patient *p, const char *text)
{
    struct cr_interface *const i = &p->interface[p->interfaces];
    char address[CR_ADDRESS_TEXT];
    if (p->interfaces == CR_MAX_ADDRESSES || sscanf(text, "%15s %d %63s", i->name, &i->mtu, address) != 3 ||
        cr_address_parse(&i->address, address, NULL) < 0)
        return;
    p->where.list[p->where.count++] = i->address;
    p->interfaces++;
}

static void take_reach(struct cr_doctor *d, int from, const char *text)
{
    int to, used = 0;
    char state[8];
    if (sscanf(text, "%d %7s %n", &to, state, &used) < 2 || to < 0 || to >= d->count || !used) return;
    struct cr_way *const w = cr_doctor_way(d, from, to);
    d->patient[from].busy--;
    if (strcmp(state, "no") == 0) {
        w->state = CR_WAY_NONE;
        free(w->why);
        w->why = strdup(text + used);
    } else if (sscanf(text + used, "%63s %63s %lf", w->own, w->peer, &w->seconds) >= 2) {
        w->state = strcmp(state, "ok") == 0 ? CR_WAY_GOOD : CR_WAY_SMALL_ONLY;
    }
}

static void take_measure(struct cr_doctor *d, int from, const char *text)
{
    int to;
    double sent, received;
    d->patient[from].busy--;
    if (sscanf(text, "%d %lf %lf", &to, &sent, &received) != 3 || to < 0 || to >= d->count) return;
    cr_doctor_way(d, from, to)->rate = sent;
    cr_doctor_way(d, to, from)->rate = received;
}

static void take_time(struct cr_patient *p, const char *text)
{
    const int64_t trip = cr_clock() - p->asked;
    const double error = (double)trip / 2e9;
    p->busy--;
    if (p->skew_error != 0 && error > p->skew_error) return; /* the shortest trip tells best */
    p->skew = (double)(strtoll(text, NULL, 10) - p->asked_real - trip / 2) / 1e9;
    p->skew_error = error;
}

static void take_data(struct cr_patient *p, const char *text)
{
    p->busy--;
    if (strncmp(text, "none ", 5) == 0) snprintf(p->data_why, sizeof p->data_why, "%s", text + 5);
    else sscanf(text, "%" SCNx64, &p->data);
}

static void take_fact(struct cr_patient *p, const char *key, const char *value)
{
    const struct {
        const char *key;
        char *text;
        size_t room;
    } texts[] = {
        { "build", p->build, sizeof p->build }, { "arch", p->arch, sizeof p->arch },
        { "cpu", p->cpu, sizeof p->cpu },       { "isa", p->isa, sizeof p->isa },
        { "self", p->self, sizeof p->self },    { "machine", p->where.machine, sizeof p->where.machine },
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (strcmp(key, texts[i].key) == 0) snprintf(texts[i].text, texts[i].room, "%s", value);
    if (strcmp(key, "cores") == 0) p->cores = atoi(value);
    else if (strcmp(key, "load") == 0) p->load = strtod(value, NULL);
    else if (strcmp(key, "memory") == 0) p->memory = strtod(value, NULL);
    else if (strcmp(key, "disk") == 0) sscanf(value, "%lf %255[^\n]", &p->disk, p->folder);
    else if (strcmp(key, "address") == 0) take_address(p, value);
}

static void take_line(struct cr_doctor *d, int from, char *line)
{
    struct cr_patient *const p = &d->patient[from];
    if (strncmp(line, "probe ", 6) != 0) { /* of ssh or a login shell; the last of it may say what is wrong */
        const size_t used = strlen(p->said), more = strlen(line) + 1;
        if (more >= sizeof p->said) return;
        const size_t drop = used + more < sizeof p->said ? 0 : used;
        memmove(p->said, p->said + drop, used - drop + 1);
        strcat(strcat(p->said, line), "\n");
        return;
    }
    char *const key = line + 6, *value = key + strcspn(key, " ");
    if (*value) *value++ = 0;
    if (strcmp(key, "ready") == 0) {
        p->ready = 1;
        p->busy--;
    } else if (strcmp(key, "reach") == 0) {
        take_reach(d, from, value);
    } else if (strcmp(key, "measure") == 0) {
        take_measure(d, from, value);
    } else if (strcmp(key, "time") == 0) {
        take_time(p, value);
    } else if (strcmp(key, "data") == 0) {
        take_data(p, value);
    } else {
        take_fact(p, key, value);
    }
}

static void end_of_output(struct cr_patient *p)
{
    cr_launch_stop(&p->child, 2);
    cr_launch_reason(&p->child, &p->host, p->said, &p->why);
    p->busy = 0;
}

/* Take what a host has said. */
static void listen_to(struct cr_doctor *d, int from)
{
    struct cr_patient *const p = &d->patient[from];
    const ssize_t n = read(p->child.output, p->line + p->length, sizeof p->line - 1 - p->length);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (n <= 0) {
        end_of_output(p);
        return;
    }
    p->length += (size_t)n;
    p->line[p->length] = 0;
    char *at = p->line;
    for (char *end; (end = strpbrk(at, "\r\n")) != NULL; at = end + 1) {
        *end = 0;
        if (*at) take_line(d, from, at);
    }
    p->length -= (size_t)(at - p->line);
    memmove(p->line, at, p->length + 1);
    if (p->length == sizeof p->line - 1) p->length = 0; /* longer than any of ours */
}

/* ---- waiting ---- */

static int anybody_busy(const struct cr_doctor *d)
{
    for (int i = 0; i < d->count; i++)
        if (d->patient[i].busy > 0) return 1;
    return 0;
}

/* Listen until nobody owes an answer; who still does at the deadline is given up. `next` is called after each time a
 * host has said something, to ask it more. */
static int wait_for_all(struct cr_doctor *d, int64_t deadline, void (*next)(struct cr_doctor *d, int from),
                        struct cr_error *e)
{
    struct pollfd p[CR_DOCTOR_HOSTS];
    while (anybody_busy(d)) {
        const int64_t left = deadline - cr_clock();
        if (cr_signals_caught()) return cr_fail(e, CR_E_INTERRUPTED, "interrupted");
        if (left <= 0) break;
        for (int i = 0; i < d->count; i++)
            p[i] = (struct pollfd){ .fd = d->patient[i].child.output, .events = POLLIN };
        if (poll(p, (nfds_t)d->count, (int)(left / 1000000) + 1) <= 0) continue;
        for (int i = 0; i < d->count; i++) {
            if (!p[i].revents) continue;
            listen_to(d, i);
            if (next) next(d, i);
        }
    }
    for (int i = 0; i < d->count; i++) {
        struct cr_patient *const who = &d->patient[i];
        if (who->busy <= 0) continue;
        cr_launch_stop(&who->child, 0);
        cr_fail(&who->why, CR_E_TIMEOUT, "%s: it was started and does not answer: is it overloaded or swapping?",
                who->host.name);
        who->busy = 0;
    }
    return 0;
}

/* Ask a host something; one that is gone says so by the end of its output. */
static void ask(struct cr_patient *p, const char *text)
{
    if (p->child.input < 0 || write(p->child.input, text, strlen(text)) < 0) return;
    p->busy++;
}

static int can_be_asked(const struct cr_patient *p) { return p->ready && p->child.input >= 0; }

/* ---- one thing after another ---- */

/* Does the name mean this very machine, though the line asks for another? */
static int is_loopback_here(const struct cr_host *host)
{
    struct addrinfo *found = NULL;
    struct cr_address a;
    int loopback = 0;
    if (host->local || getaddrinfo(host->name, NULL, &(struct addrinfo){ .ai_socktype = SOCK_STREAM }, &found) != 0)
        return 0;
    for (const struct addrinfo *i = found; i; i = i->ai_next)
        if (cr_address_from(&a, i->ai_addr) == 0 && cr_address_is_loopback(&a)) loopback = 1;
    freeaddrinfo(found);
    return loopback;
}

static int start_all(struct cr_doctor *d, const struct cr_launch_options *o, struct cr_error *e)
{
    struct cr_summons s = { .incarnation = 1, .probe = 1, .count = 1 };
    CR_TRY(cr_key_new(&s.key, e));
    CR_TRY(cr_random_bytes(s.job, sizeof s.job, e));
    CR_TRY(cr_address_parse(&s.arbiter[0], "127.0.0.1:1", e)); /* a probe dials nobody unasked */
    for (int i = 0; i < d->count; i++) {
        struct cr_patient *const p = &d->patient[i];
        s.rank = i;
        s.slots = p->host.slots;
        snprintf(s.data, sizeof s.data, "%s", !d->word ? "" : *p->host.data ? p->host.data : d->word);
        p->name_is_loopback = is_loopback_here(&p->host);
        CR_TRY(cr_launch(&p->child, &p->host, o, &s, e));
        p->busy = 1;
    }
    return 0;
}

static int ask_times(struct cr_doctor *d, struct cr_error *e)
{
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < d->count; i++) {
            struct cr_patient *const p = &d->patient[i];
            if (!can_be_asked(p)) continue;
            p->asked = cr_clock();
            p->asked_real = real_time();
            ask(p, "time\n");
        }
        CR_TRY(wait_for_all(d, cr_clock() + 10 * second, NULL, e));
    }
    return 0;
}

static int ask_for_data(struct cr_doctor *d, struct cr_error *e)
{
    char text[128];
    snprintf(text, sizeof text, "data %s\n", d->cached);
    for (int i = 0; d->word && i < d->count; i++)
        if (can_be_asked(&d->patient[i])) ask(&d->patient[i], text);
    return wait_for_all(d, cr_clock() + 60 * second, NULL, e);
}

/* Addresses of one link only are tried where there are no others, and not told of when they fail. */
static void drop_link_local(struct cr_candidates *c)
{
    int kept = 0;
    for (int i = 0; i < c->count; i++)
        if (!cr_address_is_link_local(&c->list[i])) c->list[kept++] = c->list[i];
    if (kept > 0) c->count = kept;
}

/* WORD RANK ADDRESS,ADDRESS... */
static void ask_about(struct cr_doctor *d, const char *word, int from, int to)
{
    const struct cr_candidates *const c = &d->patient[to].where;
    char text[CR_MAX_ADDRESSES * CR_ADDRESS_TEXT + 64];
    int n = snprintf(text, sizeof text, "%s %d ", word, to);
    for (int i = 0; i < c->count; i++) {
        char address[CR_ADDRESS_TEXT];
        cr_address_text(&c->list[i], address);
        n += snprintf(text + n, sizeof text - (size_t)n, "%s%s", i ? "," : "", address);
    }
    if (c->count == 0) {
        struct cr_way *const w = cr_doctor_way(d, from, to);
        w->state = CR_WAY_NONE;
        free(w->why);
        w->why = strdup("it has no address of its own: each it has belongs to another host as well, or is loopback");
        return;
    }
    snprintf(text + n, sizeof text - (size_t)n, "\n");
    ask(&d->patient[from], text);
}

/* Let a host reach the next of the others. */
static void reach_next(struct cr_doctor *d, int from)
{
    struct cr_patient *const p = &d->patient[from];
    while (can_be_asked(p) && p->busy == 0 && p->next < d->count) {
        const int to = p->next++;
        if (to != from && d->patient[to].ready) ask_about(d, "reach", from, to);
    }
}

static int reach_all(struct cr_doctor *d, struct cr_error *e)
{
    /* The addresses that say something: as a run would choose them. */
    struct cr_candidates *const all = calloc((size_t)d->count, sizeof *all);
    if (!all) return cr_fail(e, CR_E_NOMEM, "no memory for the addresses of %d hosts", d->count);
    for (int i = 0; i < d->count; i++) all[i] = d->patient[i].where;
    cr_candidates_prune(all, d->count);
    for (int i = 0; i < d->count; i++) {
        drop_link_local(&all[i]);
        d->patient[i].where = all[i];
    }
    free(all);
    for (int i = 0; i < d->count; i++) reach_next(d, i);
    return wait_for_all(d, cr_clock() + (30 + 10 * (int64_t)d->count) * second, reach_next, e);
}

/* Every pair once, in rounds in which no host takes part twice, so that measurements do not disturb each other at the
 * hosts (the circle method of tournaments: host n - 1 stays, the others turn). */
static int measure_all(struct cr_doctor *d, struct cr_error *e)
{
    const int n = d->count + d->count % 2; /* with an odd number one rests */
    for (int round = 0; round + 1 < n; round++) {
        for (int k = 0; k < n / 2; k++) {
            const int a = k == 0 ? n - 1 : (round + k) % (n - 1), b = (round + n - 1 - k) % (n - 1);
            if (a >= d->count || b >= d->count || a == b) continue;
            if (!can_be_asked(&d->patient[a]) || !can_be_asked(&d->patient[b])) continue;
            const int forth = cr_doctor_way(d, a, b)->state == CR_WAY_GOOD;
            if (forth && cr_doctor_way(d, b, a)->state != CR_WAY_SMALL_ONLY) ask_about(d, "measure", a, b);
            else if (!forth && cr_doctor_way(d, b, a)->state == CR_WAY_GOOD &&
                     cr_doctor_way(d, a, b)->state != CR_WAY_SMALL_ONLY)
                ask_about(d, "measure", b, a);
        }
        CR_TRY(wait_for_all(d, cr_clock() + 90 * second, NULL, e));
    }
    return 0;
}

/* ---- */

static int same_host(const struct cr_host *a, const struct cr_host *b)
{
    return (a->local && b->local) ||
           (strcmp(a->name, b->name) == 0 && strcmp(a->user, b->user) == 0 && a->port == b->port);
}

static int add_host(struct cr_doctor *d, const struct cr_host *host, struct cr_error *e)
{
    for (int i = 0; i < d->count; i++) {
        if (!same_host(&d->patient[i].host, host)) continue;
        d->patient[i].host.slots += host->slots;
        return 0;
    }
    if (d->count == CR_DOCTOR_HOSTS)
        return cr_fail(e, CR_E_USAGE, "doctor examines at most %d hosts at once", (int)CR_DOCTOR_HOSTS);
    d->patient[d->count] = (struct cr_patient){ .host = *host, .child = { .input = -1, .output = -1 } };
    d->count++;
    return 0;
}

static int add_all(struct cr_doctor *d, const struct cr_hosts *hosts, struct cr_error *e)
{
    int local = 0;
    d->patient = calloc((size_t)hosts->count + 1, sizeof *d->patient);
    if (!d->patient) return cr_fail(e, CR_E_NOMEM, "no memory for %d hosts", hosts->count);
    for (int i = 0; i < hosts->count; i++) {
        CR_TRY(add_host(d, &hosts->host[i], e));
        local |= hosts->host[i].local;
    }
    const struct cr_host here = { .name = "here", .local = 1 };
    if (!local) CR_TRY(add_host(d, &here, e));
    d->way = calloc((size_t)d->count * (size_t)d->count, sizeof *d->way);
    return d->way ? 0 : cr_fail(e, CR_E_NOMEM, "no memory for %d hosts", d->count);
}

static int examine(struct cr_doctor *d, const struct cr_launch_options *o, struct cr_error *e)
{
    CR_TRY(start_all(d, o, e));
    CR_TRY(wait_for_all(d, cr_clock() + 120 * second, NULL, e));
    for (int i = 0; i < d->count; i++)
        if (!d->patient[i].ready && !d->patient[i].host.local)
            d->patient[i].stalls = cr_ssh_port_stalls(&d->patient[i].host);
    CR_TRY(ask_times(d, e));
    CR_TRY(ask_for_data(d, e));
    CR_TRY(reach_all(d, e));
    return measure_all(d, e);
}

int cr_doctor_examine(struct cr_doctor *d, const struct cr_hosts *hosts, const struct cr_launch_options *o,
                      struct cr_error *e)
{
    int rc = add_all(d, hosts, e);
    if (rc == 0) rc = examine(d, o, e);
    for (int i = 0; i < d->count; i++) {
        struct cr_child *const c = &d->patient[i].child;
        if (c->input >= 0) close(c->input);
        c->input = -1;
    }
    for (int i = 0; i < d->count; i++)
        if (d->patient[i].child.output >= 0) cr_launch_stop(&d->patient[i].child, 2);
    return rc;
}

void cr_doctor_free(struct cr_doctor *d)
{
    for (int i = 0; d->way && i < d->count * d->count; i++) free(d->way[i].why);
    free(d->way);
    free(d->patient);
    free(d->fault);
    *d = (struct cr_doctor){ 0 };
}
