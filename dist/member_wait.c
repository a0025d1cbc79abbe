/* The computing thread of a member between two pieces of work: what it waits for, and in which view it goes on. */
#define _POSIX_C_SOURCE 200809L
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "dist/member_inside.h"

struct timespec cr_member_in_ms(int ms)
{
    const int64_t at = cr_clock() + (int64_t)ms * 1000000;
    return (struct timespec){ at / 1000000000, at % 1000000000 };
}

static void give_snapshot(struct cr_member *m)
{
    void *bytes;
    size_t size;
    struct cr_error e;
    const uint32_t view = m->prepared;
    const uint64_t committed = m->committed;
    m->snapshot = 0;
    pthread_mutex_unlock(&m->lock);
    const int rc = m->comm.snapshot(m->comm.run, &bytes, &size, &e);
    struct cr_blob *const blob = rc == 0 ? cr_blob_take(bytes, size) : NULL; /* takes its time: before the lock */
    pthread_mutex_lock(&m->lock);
    if (rc < 0) {
        cr_member_say(m, CR_WORD_ERROR, view, committed, e.code, e.text, strlen(e.text));
        return;
    }
    cr_member_say_blob(m, CR_WORD_STATE, view, committed, blob);
}

void cr_member_wait(struct cr_member *m)
{
    if (m->snapshot && m->settled) {
        give_snapshot(m);
        return;
    }
    m->parked = 1;
    pthread_cond_broadcast(&m->changed);
    pthread_cond_wait(&m->changed, &m->lock);
    m->parked = 0;
}

int cr_member_end_as_orphan(struct cr_member *m, struct cr_error *e)
{
    void *bytes;
    size_t size;
    m->parked = 1;
    pthread_cond_broadcast(&m->changed);
    const struct cr_error why = m->why;
    pthread_mutex_unlock(&m->lock);
    if (m->settled && m->comm.snapshot && m->comm.snapshot(m->comm.run, &bytes, &size, e) == 0) {
        m->options.orphan(m->options.user, bytes, size, &why, 0);
        free(bytes);
    }
    pthread_mutex_lock(&m->lock);
    if (e) *e = why;
    return why.code ? -(int)why.code : cr_fail(e, CR_E_PEER, "the launcher is gone");
}

int cr_member_check(struct cr_member *m, struct cr_error *e)
{
    if (m->gone) return cr_member_end_as_orphan(m, e);
    if (!m->leave) return 0;
    if (!m->failed) return cr_fail(e, CR_E_PEER, "the launcher ended the run before its time");
    if (e) *e = m->why;
    return -(int)m->why.code;
}

void cr_member_adopt(struct cr_member *m)
{
    int64_t weight[CR_MAX_RANKS];
    cr_member_disconnect(m);
    atomic_store(&m->adopted, m->started);
    m->comm.size = m->roster.size;
    for (int i = 0; i < m->roster.size; i++) {
        weight[i] = m->roster.entry[i].weight;
        if (m->roster.entry[i].rank == m->options.rank) m->comm.rank = i;
    }
    cr_deal_init(&m->deal, m->roster.size, weight);
    m->comm.share = m->deal.share;
}

int cr_member_is_current(const struct cr_member *m)
{
    const uint32_t view = atomic_load(&m->adopted);
    return m->prepared == view && m->started == view && m->broken != view;
}

void cr_member_turn_to(struct cr_member *m, enum cr_phase phase)
{
    if (m->phase == phase) return;
    m->phase = phase;
    cr_member_pulse(m);
}
