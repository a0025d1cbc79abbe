/* Where the time of a training run goes: what each thread spends on each kind of work, as sums and, for the first
 * steps, as a trace of events.
 *
 * A thread marks the end of each piece of its work; the time since its last mark belongs to that piece, so the pieces
 * add up to the whole. Nothing is allocated or shared while steps run. Without a profile a mark is a branch. */
#ifndef CR_CORE_PROFILE_H
#define CR_CORE_PROFILE_H

#include <stddef.h>
#include <stdint.h>

#include "core/net.h"
#include "simd/error.h"

/* The kinds of work; after these, two for each layer of the network. */
enum cr_span {
    CR_SPAN_LOAD,     /* which images a block has, and their bytes as floats */
    CR_SPAN_ROUND,    /* gradients to integers */
    CR_SPAN_SUM,      /* the threads' integers to one sum */
    CR_SPAN_EXCHANGE, /* with other processes */
    CR_SPAN_UPDATE,   /* new weights; on the first thread also what happens between steps */
    CR_SPAN_WAIT,     /* for the other threads */
    CR_SPANS
};
static inline int cr_span_forward(int layer) { return CR_SPANS + 2 * layer; }
static inline int cr_span_backward(int layer) { return CR_SPANS + 2 * layer + 1; }

struct cr_profile_event {
    uint64_t begin, end; /* ns since the profile began */
    int span;
};

struct cr_profile_thread {
    uint64_t last;                  /* ns of the clock at the last mark */
    uint64_t origin;                /* ns of the clock when the profile began */
    uint64_t samples, steps;        /* trained here; steps with those redone */
    uint64_t *time;                 /* (spans) ns */
    struct cr_profile_event *event; /* (events) of at most `room` */
    size_t events, room;
    uint64_t traced_steps;
};

struct cr_profile {
    long trace_steps; /* asked for by the caller: events of so many steps, as far as there is room; 0 = sums alone */
    const struct cr_net *net; /* the caller's; the rest is filled by cr_train */
    int threads, spans;
    struct cr_profile_thread **thread; /* (threads); owned */
};

/* Allocate for a team. Whatever the outcome, the caller frees with cr_profile_free. -CR_E_NOMEM. */
int cr_profile_begin(struct cr_profile *p, const struct cr_net *net, int threads, struct cr_error *e);
void cr_profile_free(struct cr_profile *p);

/* Sum over the threads of the time in a span, in seconds; and of all spans. */
double cr_profile_seconds(const struct cr_profile *p, int span);
double cr_profile_total(const struct cr_profile *p);
uint64_t cr_profile_samples(const struct cr_profile *p);
/* Multiply-adds x 2 of one sample in a span; 0 for spans that belong to no layer. */
double cr_profile_flop(const struct cr_net *net, int span);

/* What the threads call; p is NULL when nobody wants to know. */
void cr_profile_add_start(struct cr_profile_thread *p);
void cr_profile_add(struct cr_profile_thread *p, int span);
void cr_profile_add_samples(struct cr_profile_thread *p, int n);

/* Time that has passed so far belongs to nothing. */
static inline void cr_profile_start(struct cr_profile_thread *p)
{
    if (p) cr_profile_add_start(p);
}
/* Time since the last mark belongs to `span`. */
static inline void cr_profile_mark(struct cr_profile_thread *p, int span)
{
    if (p) cr_profile_add(p, span);
}
/* The same for CR_SPAN_LOAD, of a block of n samples. */
static inline void cr_profile_loaded(struct cr_profile_thread *p, int n)
{
    if (p) cr_profile_add_samples(p, n);
}

#endif
