#define _POSIX_C_SOURCE 200809L
#include "dist/crew.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dist/dial.h"

enum { LINE = 1024, LAST = 3 * LINE, LOOK_MS = 200 };
static const int64_t second = 1000000000;

struct hand {
    struct cr_child child;
    uint32_t incarnation;
    int running, told;         /* ended() has been called for this incarnation */
    int64_t started;           /* ns */
    int64_t start_at;          /* ns; 0 = nothing planned */
    int failures;              /* in a row: decides the back-off */
    char line[LINE];           /* the one in the making */
    size_t length;
    char last[LAST];           /* whole lines, the latest at the end */
};

struct cr_crew {
    struct cr_crew_options options;
    struct hand *hand;         /* (hosts) */
    int count;
};

struct cr_crew *cr_crew_new(const struct cr_crew_options *o)
{
    struct cr_crew *c = calloc(1, sizeof *c);
    if (!c) return NULL;
    c->options = *o;
    c->count = o->hosts->count;
    c->hand = calloc((size_t)c->count, sizeof *c->hand);
    if (!c->hand) {
        free(c);
        return NULL;
    }
    for (int i = 0; i < c->count; i++) c->hand[i].child = (struct cr_child){ .input = -1, .output = -1 };
    return c;
}

static void tell_end(struct cr_crew *c, int rank, const struct cr_error *why)
{
    struct hand *h = &c->hand[rank];
    h->running = 0;
    if (h->told) return;
    h->told = 1;
    if (c->options.ended) c->options.ended(c->options.user, rank, why);
}

static void start_now(struct cr_crew *c, int rank)
{
    struct hand *h = &c->hand[rank];
    const struct cr_host *host = &c->options.hosts->host[rank];
    struct cr_summons s = c->options.summons;
    struct cr_error e;
    if (h->running) cr_launch_stop(&h->child, 0);
    h->child = (struct cr_child){ .input = -1, .output = -1 };
    h->incarnation++;
    h->started = cr_clock();
    h->start_at = 0;
    h->told = 0;
    h->length = 0;
    h->last[0] = 0;
    s.rank = rank;
    s.incarnation = h->incarnation;
    s.slots = host->slots;
    if (host->data[0]) snprintf(s.data, sizeof s.data, "%s", host->data);
    h->running = 1;
    if (cr_launch(&h->child, host, &c->options.launch, &s, &e) < 0) tell_end(c, rank, &e);
}

void cr_crew_start(struct cr_crew *c, int rank)
{
    start_now(c, rank);
}

void cr_crew_restart(struct cr_crew *c, int rank)
{
    struct hand *h = &c->hand[rank];
    const int64_t now = cr_clock(), most = 60 * second;
    if (now - h->started > most) h->failures = 0;
    const int64_t wait = second << (h->failures < 6 ? h->failures : 6);
    h->failures++;
    h->start_at = now + (wait < most ? wait : most);
}

uint32_t cr_crew_incarnation(const struct cr_crew *c, int rank)
{
    return c->hand[rank].incarnation;
}

void cr_crew_kill(struct cr_crew *c, int rank)
{
    struct hand *h = &c->hand[rank];
    h->told = 1; /* whoever kills it knows */
    if (h->running) cr_launch_stop(&h->child, 0);
    h->running = 0;
}

int cr_crew_runs(const struct cr_crew *c, int rank)
{
    return c->hand[rank].running;
}

const char *cr_crew_last_lines(const struct cr_crew *c, int rank)
{
    return c->hand[rank].last;
}

void cr_crew_free(struct cr_crew *c)
{
    if (!c) return;
    const int64_t deadline = cr_clock() + 2 * second;
    for (int i = 0; i < c->count; i++) { /* all first, so that they end side by side */
        struct cr_child *child = &c->hand[i].child;
        if (child->input >= 0) close(child->input);
        child->input = -1;
    }
    for (int i = 0; i < c->count; i++) {
        const double left = (double)(deadline - cr_clock()) * 1e-9;
        if (c->hand[i].running) cr_launch_stop(&c->hand[i].child, left > 0 ? left : 0);
    }
    free(c->hand);
    free(c);
}

/* ---- what they say */

static void whole_line(struct cr_crew *c, int rank)
{
    struct hand *h = &c->hand[rank];
    h->line[h->length] = 0;
    h->length = 0;
    const size_t used = strlen(h->last), more = strlen(h->line) + 1;
    if (used + more + 1 > sizeof h->last) {
        const char *cut = strchr(h->last + (used + more + 1 - sizeof h->last), '\n');
        if (cut)
            memmove(h->last, cut + 1, strlen(cut + 1) + 1);
        else
            h->last[0] = 0;
    }
    const size_t at = strlen(h->last);
    snprintf(h->last + at, sizeof h->last - at, "%s%s", at ? "\n" : "", h->line);
    if (c->options.says) c->options.says(c->options.user, rank, h->line);
}

static void listen_to(struct cr_crew *c, int rank)
{
    struct hand *h = &c->hand[rank];
    char bytes[4096];
    ssize_t n;
    while ((n = read(h->child.output, bytes, sizeof bytes)) > 0 || (n < 0 && errno == EINTR))
        for (ssize_t i = 0; i < n; i++) {
            if (bytes[i] != '\n' && h->length < LINE - 1) h->line[h->length++] = bytes[i];
            if (bytes[i] == '\n') whole_line(c, rank);
        }
}

int cr_crew_poll(const struct cr_crew *c, struct pollfd *p, int64_t *deadline)
{
    /* that a process has ended is looked for now and then: there is nothing to poll for */
    const int64_t look = cr_clock() + LOOK_MS * (second / 1000);
    if (look < *deadline) *deadline = look;
    for (int i = 0; i < c->count; i++) {
        const struct hand *h = &c->hand[i];
        p[i] = (struct pollfd){ .fd = h->running ? h->child.output : -1, .events = POLLIN };
        if (h->start_at && h->start_at < *deadline) *deadline = h->start_at;
    }
    return c->count;
}

void cr_crew_serve(struct cr_crew *c, const struct pollfd *p, int n)
{
    for (int i = 0; i < n; i++) {
        struct hand *h = &c->hand[i];
        struct cr_error why;
        if (h->start_at && cr_clock() >= h->start_at) start_now(c, i);
        if (!h->running) continue;
        if (p[i].revents) listen_to(c, i);
        if (!cr_launch_ended(&h->child)) continue;
        listen_to(c, i);
        if (h->length) whole_line(c, i);
        cr_launch_reason(&h->child, &c->options.hosts->host[i], h->last, &why);
        cr_launch_stop(&h->child, 0);
        tell_end(c, i, &why);
    }
}
