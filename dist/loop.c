#define _POSIX_C_SOURCE 200809L
#include "dist/loop.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct cr_loop {
    int ranks, arrived;
    unsigned round;
    pthread_mutex_t lock;
    pthread_cond_t all_here;
    struct cr_message **message; /* (ranks) of this round */
};

struct cr_loop *cr_loop_new(int ranks)
{
    struct cr_loop *l = calloc(1, sizeof *l);
    if (!l) return NULL;
    l->message = calloc((size_t)ranks, sizeof(struct cr_message *));
    if (!l->message) {
        free(l);
        return NULL;
    }
    l->ranks = ranks;
    pthread_mutex_init(&l->lock, NULL);
    pthread_cond_init(&l->all_here, NULL);
    return l;
}

void cr_loop_free(struct cr_loop *l)
{
    pthread_cond_destroy(&l->all_here);
    pthread_mutex_destroy(&l->lock);
    free(l->message);
    free(l);
}

static void combine(struct cr_message *into, const struct cr_message *m)
{
    for (size_t i = 0; i < m->sums32; i++) into->sum32[i] += m->sum32[i];
    for (size_t i = 0; i < m->sums64; i++) into->sum64[i] += m->sum64[i];
    for (size_t i = 0; i < m->maxima; i++)
        if (m->max32[i] > into->max32[i]) into->max32[i] = m->max32[i];
}

static void copy(struct cr_message *to, const struct cr_message *m)
{
    memcpy(to->sum32, m->sum32, m->sums32 * sizeof *m->sum32);
    memcpy(to->sum64, m->sum64, m->sums64 * sizeof *m->sum64);
    memcpy(to->max32, m->max32, m->maxima * sizeof *m->max32);
}

/* The last to arrive does the work for all. */
static int reduce(struct cr_comm *comm, struct cr_message *m, struct cr_error *e)
{
    struct cr_loop *const l = comm->self;
    (void)e;
    pthread_mutex_lock(&l->lock);
    const unsigned round = l->round;
    l->message[comm->rank] = m;
    if (++l->arrived < l->ranks) {
        while (l->round == round) pthread_cond_wait(&l->all_here, &l->lock);
    } else {
        for (int r = 0; r < l->ranks; r++)
            if (r != comm->rank) combine(m, l->message[r]);
        for (int r = 0; r < l->ranks; r++)
            if (r != comm->rank) copy(l->message[r], m);
        l->arrived = 0;
        l->round++;
        pthread_cond_broadcast(&l->all_here);
    }
    pthread_mutex_unlock(&l->lock);
    return 0;
}

struct cr_comm cr_loop_comm(struct cr_loop *l, int rank)
{
    return (struct cr_comm){ .rank = rank, .size = l->ranks, .reduce = reduce, .self = l };
}
