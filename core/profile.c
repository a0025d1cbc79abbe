#define _POSIX_C_SOURCE 200809L
#include "core/profile.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/layer.h"

enum { TRACE_ROOM = 1 << 15, LINE = 64 }; /* events a thread keeps; bytes of a cache line */

static uint64_t clock_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static size_t lines(size_t bytes) { return (bytes + LINE - 1) / LINE * LINE; }

/* One allocation a thread, on cache lines of its own, touched now so that no page has to come while steps run. */
static struct cr_profile_thread *thread_new(int spans, long trace_steps, uint64_t origin)
{
    const size_t own = lines(sizeof(struct cr_profile_thread)), times = lines((size_t)spans * sizeof(uint64_t));
    const size_t room = trace_steps > 0 ? TRACE_ROOM : 0;
    const size_t size = own + times + lines(room * sizeof(struct cr_profile_event));
    char *const base = aligned_alloc(LINE, size);
    if (!base) return NULL;
    memset(base, 0, size);
    struct cr_profile_thread *const p = (struct cr_profile_thread *)(void *)base;
    *p = (struct cr_profile_thread){
        .last = origin, .origin = origin, .time = (uint64_t *)(void *)(base + own),
        .event = (struct cr_profile_event *)(void *)(base + own + times), .room = room,
        .traced_steps = (uint64_t)trace_steps,
    };
    return p;
}

int cr_profile_begin(struct cr_profile *p, const struct cr_net *net, int threads, struct cr_error *e)
{
    const uint64_t origin = clock_ns();
    p->net = net;
    p->threads = threads;
    p->spans = cr_span_forward(net->layers);
    p->thread = calloc((size_t)threads, sizeof(struct cr_profile_thread *));
    int failed = !p->thread;
    for (int t = 0; t < threads && !failed; t++) {
        p->thread[t] = thread_new(p->spans, p->trace_steps, origin);
        failed = !p->thread[t];
    }
    return failed ? cr_fail(e, CR_E_NOMEM, "out of memory for the profile of %d threads", threads) : 0;
}

void cr_profile_free(struct cr_profile *p)
{
    for (int t = 0; p->thread && t < p->threads; t++) free(p->thread[t]);
    free(p->thread);
    p->thread = NULL;
}

void cr_profile_add_start(struct cr_profile_thread *p) { p->last = clock_ns(); }

void cr_profile_add(struct cr_profile_thread *p, int span)
{
    const uint64_t now = clock_ns();
    p->time[span] += now - p->last;
    if (p->events < p->room && p->steps < p->traced_steps)
        p->event[p->events++] = (struct cr_profile_event){ p->last - p->origin, now - p->origin, span };
    if (span == CR_SPAN_UPDATE) p->steps++;
    p->last = now;
}

void cr_profile_add_samples(struct cr_profile_thread *p, int n)
{
    p->samples += (uint64_t)n;
    cr_profile_add(p, CR_SPAN_LOAD);
}

double cr_profile_seconds(const struct cr_profile *p, int span)
{
    uint64_t ns = 0;
    for (int t = 0; t < p->threads; t++) ns += p->thread[t]->time[span];
    return 1e-9 * (double)ns;
}

double cr_profile_total(const struct cr_profile *p)
{
    double seconds = 0;
    for (int span = 0; span < p->spans; span++) seconds += cr_profile_seconds(p, span);
    return seconds;
}

uint64_t cr_profile_samples(const struct cr_profile *p)
{
    uint64_t samples = 0;
    for (int t = 0; t < p->threads; t++) samples += p->thread[t]->samples;
    return samples;
}

/* Backward: once by weight, once by input unless nothing below learns. */
double cr_profile_flop(const struct cr_net *net, int span)
{
    if (span < CR_SPANS) return 0;
    const int i = (span - CR_SPANS) / 2;
    const struct cr_layer *const l = &net->layer[i];
    if (span == cr_span_forward(i)) return cr_layer_flop_forward(l);
    if (!l->type->backward) return 0;
    int learns_below = 0;
    for (int k = 0; k < i; k++) learns_below |= net->layer[k].weights > 0;
    return ((l->weights > 0) + learns_below) * cr_layer_flop_forward(l);
}
