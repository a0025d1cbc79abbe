#define _POSIX_C_SOURCE 200809L
#include "dist/loop.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "dist/message.h"

/* Bytes are told to have arrived in pieces of this size, as a network would. */
enum { PIECE = 64 * CR_MESSAGE_ALIGN };

/* What one rank offers to another; it waits until the other has taken it. */
struct box {
    int full;
    const void *bytes;
    size_t size;
    uint64_t view, collective;
};

struct seat {
    struct cr_transport t;
    struct cr_loop *world;
    int cancelled;
    void *scratch; /* what comes in and is not kept */
    size_t room;
};

struct cr_loop {
    int ranks;
    struct box *box; /* (ranks from, ranks to) */
    int *left;       /* (ranks) was there and is gone */
    pthread_mutex_t lock;
    pthread_cond_t changed;
};

struct cr_loop *cr_loop_new(int ranks)
{
    struct cr_loop *const l = calloc(1, sizeof *l);
    if (!l) return NULL;
    l->ranks = ranks;
    l->box = calloc((size_t)ranks * (size_t)ranks, sizeof *l->box);
    l->left = calloc((size_t)ranks, sizeof *l->left);
    if (!l->box || !l->left) {
        free(l->box);
        free(l->left);
        free(l);
        return NULL;
    }
    pthread_condattr_t clock;
    pthread_condattr_init(&clock);
    pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
    pthread_cond_init(&l->changed, &clock);
    pthread_condattr_destroy(&clock);
    pthread_mutex_init(&l->lock, NULL);
    return l;
}

void cr_loop_free(struct cr_loop *l)
{
    if (!l) return;
    pthread_cond_destroy(&l->changed);
    pthread_mutex_destroy(&l->lock);
    free(l->box);
    free(l->left);
    free(l);
}

static struct box *box_of(const struct cr_loop *l, int from, int to) { return &l->box[from * l->ranks + to]; }

static int fail(struct cr_error *e, enum cr_err code, int rank, const char *why)
{
    cr_fail(e, code, "rank %d %s", rank, why);
    if (e) e->rank = rank;
    return -(int)code;
}

/* One trade under way. */
struct trade {
    struct seat *seat;
    int to, from;
    struct box *out, *in; /* NULL = nothing to send, nothing (more) to receive */
    void *bytes; /* that come in */
    size_t size;
    int untold;  /* they are here, and arrival does not know */
};

/* Why waiting makes no sense any more: negative; else 0. */
static int hopeless(const struct trade *x, struct cr_error *e)
{
    const struct cr_loop *const l = x->seat->world;
    if (x->seat->cancelled) return fail(e, CR_E_PEER, x->in ? x->from : x->to, "is waited for no longer: cancelled");
    if (x->in && l->left[x->from]) return fail(e, CR_E_PEER, x->from, "closed the connection");
    if (x->out && x->out->full && l->left[x->to]) return fail(e, CR_E_PEER, x->to, "closed the connection");
    return 0;
}

/* Take what is in the box. */
static int take(const struct trade *x, struct cr_error *e)
{
    const struct cr_transport *const t = &x->seat->t;
    const struct box *const b = x->in;
    if (b->view != t->view) return fail(e, CR_E_PEER, x->from, "is in another view");
    if (b->collective != t->collective) return fail(e, CR_E_PEER, x->from, "is at another collective");
    if (b->size != x->size) return fail(e, CR_E_PEER, x->from, "sent a message of another length");
    if (x->size) memcpy(x->bytes, b->bytes, x->size);
    x->in->full = 0;
    return 0;
}

static void tell(const struct trade *x, const struct cr_arrival *arrival)
{
    const char *const bytes = x->bytes;
    for (size_t begin = 0; begin < x->size; begin += PIECE) {
        const size_t end = begin + PIECE < x->size ? begin + PIECE : x->size;
        arrival->arrived(arrival->user, begin, end, bytes + begin);
    }
}

/* With the lock held, which is let go while the caller is told of what has arrived. */
static int run(struct trade *x, const struct cr_arrival *arrival, const struct timespec *until, struct cr_error *e)
{
    struct cr_loop *const l = x->seat->world;
    for (;;) {
        if (x->in && x->in->full) {
            CR_TRY(take(x, e));
            x->in = NULL;
            x->untold = arrival != NULL;
            pthread_cond_broadcast(&l->changed);
        }
        const int sent = !x->out || !x->out->full;
        if (x->untold && (sent || !arrival->after_sent)) {
            x->untold = 0;
            pthread_mutex_unlock(&l->lock);
            tell(x, arrival);
            pthread_mutex_lock(&l->lock);
            continue;
        }
        if (!x->in && sent) return 0;
        CR_TRY(hopeless(x, e));
        if (pthread_cond_timedwait(&l->changed, &l->lock, until) != 0)
            return fail(e, CR_E_TIMEOUT, x->in ? x->from : x->to, "did not answer in time");
    }
}

static int reserve(struct seat *s, size_t bytes)
{
    if (bytes <= s->room) return 0;
    free(s->scratch);
    s->scratch = malloc(bytes);
    s->room = s->scratch ? bytes : 0;
    return s->scratch ? 0 : -CR_E_NOMEM;
}

static int trade(struct cr_transport *t, int to, const void *out, size_t out_bytes, int from, void *in, size_t in_bytes,
                 const struct cr_arrival *arrival, int64_t deadline, struct cr_error *e)
{
    struct seat *const seat = t->self;
    struct cr_loop *const l = seat->world;
    struct trade x = { .seat = seat, .to = to, .from = from, .bytes = in, .size = in_bytes };
    if (from >= 0 && !in) {
        if (reserve(seat, in_bytes) < 0) return cr_fail(e, CR_E_NOMEM, "out of memory for %zu bytes", in_bytes);
        x.bytes = seat->scratch;
    }
    const struct timespec until = { (time_t)(deadline / 1000000000), (long)(deadline % 1000000000) };
    pthread_mutex_lock(&l->lock);
    if (from >= 0) x.in = box_of(l, from, t->rank);
    if (to >= 0) {
        x.out = box_of(l, t->rank, to);
        *x.out = (struct box){ 1, out, out_bytes, t->view, t->collective };
        pthread_cond_broadcast(&l->changed);
    }
    const int rc = run(&x, arrival, &until, e);
    if (x.out) x.out->full = 0; /* the bytes are the caller's again */
    pthread_mutex_unlock(&l->lock);
    return rc;
}

static void cancel(struct cr_transport *t)
{
    struct seat *const seat = t->self;
    pthread_mutex_lock(&seat->world->lock);
    seat->cancelled = 1;
    pthread_cond_broadcast(&seat->world->changed);
    pthread_mutex_unlock(&seat->world->lock);
}

static void leave(struct cr_transport *t)
{
    struct seat *const seat = t->self;
    pthread_mutex_lock(&seat->world->lock);
    seat->world->left[t->rank] = 1;
    pthread_cond_broadcast(&seat->world->changed);
    pthread_mutex_unlock(&seat->world->lock);
    free(seat->scratch);
    free(seat);
}

struct cr_transport *cr_loop_transport(struct cr_loop *l, int rank)
{
    struct seat *const seat = calloc(1, sizeof *seat);
    if (!seat) return NULL;
    seat->world = l;
    seat->t = (struct cr_transport){
        .rank = rank, .size = l->ranks, .trade = trade, .cancel = cancel, .free = leave, .self = seat,
    };
    return &seat->t;
}
