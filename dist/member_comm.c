/* What a member is to the computation: a comm whose collectives are repeated until a view holds together. Which word
 * may come when is told in view.h. */
#define _POSIX_C_SOURCE 200809L
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "dist/measure.h"
#include "dist/member_inside.h"

static int reserve(struct cr_member *m, int turn, size_t size)
{
    if (size <= m->room[turn]) return 0;
    free(m->buffer[turn]);
    m->room[turn] = (size + CR_MESSAGE_ALIGN - 1) / CR_MESSAGE_ALIGN * CR_MESSAGE_ALIGN;
    m->buffer[turn] = aligned_alloc(CR_MESSAGE_ALIGN, m->room[turn]);
    if (!m->buffer[turn]) m->room[turn] = 0;
    return m->buffer[turn] ? 0 : -1;
}

int cr_member_reserve(struct cr_member *m, size_t size, struct cr_error *e)
{
    enum { ROUNDING = 4096 };
    size += sizeof(int64_t) * CR_DEAL_WORDS * CR_MAX_RANKS + ROUNDING;
    for (int turn = 0; turn < 2; turn++)
        if (!m->buffer[turn] && reserve(m, turn, size) < 0)
            return cr_fail(e, CR_E_NOMEM, "out of memory for what ranks exchange: twice %zu MB", size >> 20);
    return 0;
}

static struct cr_message *begin(struct cr_comm *c, struct cr_message_shape shape, enum cr_phase phase)
{
    struct cr_member *m = c->self;
    pthread_mutex_lock(&m->lock);
    const int turn = (m->committed + 1) & 1;
    cr_member_turn_to(m, phase);
    m->user_shape = shape;
    shape.sums64 += (size_t)(CR_DEAL_WORDS * c->size);
    const int rc = reserve(m, turn, cr_message_size(shape));
    if (rc == 0) m->message[turn] = cr_message_in(m->buffer[turn], shape);
    pthread_mutex_unlock(&m->lock);
    return rc < 0 ? NULL : &m->message[turn];
}

static void took(struct cr_comm *c, int64_t nanoseconds, long blocks)
{
    struct cr_member *m = c->self;
    int64_t *words = m->message[(m->committed + 1) & 1].sum64 + m->user_shape.sums64 + CR_DEAL_WORDS * c->rank;
    words[0] = nanoseconds;
    words[1] = blocks;
}

/* The collective is committed: nobody can call it back. With the lock. */
static void count(struct cr_member *m)
{
    m->committed++;
    m->settled = 0;
}

static void complain(struct cr_member *m, int about, const struct cr_error *why)
{
    const uint32_t view = atomic_load(&m->adopted);
    /* Who closed a connection may only be a little ahead of us in leaving this view. */
    const struct timespec until = cr_member_in_ms(why->code == CR_E_TIMEOUT ? 0 : 100);
    m->parked = 1;
    while (m->prepared == view && !m->gone && !m->leave)
        if (pthread_cond_timedwait(&m->changed, &m->lock, &until) != 0) break;
    m->parked = 0;
    m->broken = view;
    if (m->prepared != view) return;
    if (about >= 0)
        cr_member_complain(m, about, 0, why->text);
    else /* no other member's doing */
        cr_member_say(m, CR_WORD_ERROR, view, m->committed, why->code, why->text, strlen(why->text));
}

/* Trade the message within the adopted view. With the lock. 0 = combined, 1 = look again at how things stand. */
static int attempt(struct cr_member *m, struct cr_message *message)
{
    struct cr_error e = { .rank = -1 };
    int about = -1, rc = 0;
    m->trading = 1;
    pthread_mutex_unlock(&m->lock);
    if (m->comm.size > 1) {
        if (!m->transport) rc = cr_member_connect(m, &about, &e);
        if (rc == 0) {
            m->transport->collective = m->committed + 1;
            const enum cr_way way = cr_allreduce_way(m->comm.size, message->size, &m->roster.model);
            rc = m->workload ? cr_measure(m->transport, m->workload, message, &e)
                             : cr_allreduce(m->transport, way, message, INT64_MAX, &e);
            about = e.rank >= 0 && e.rank < m->comm.size ? m->roster.entry[e.rank].rank : -1;
        }
    } else if (m->workload) {
        rc = cr_measure(NULL, m->workload, message, &e);
    }
    pthread_mutex_lock(&m->lock);
    m->trading = 0;
    if (m->owes_ready) cr_member_ready(m);
    if (rc < 0) {
        complain(m, about, &e);
        return 1;
    }
    return cr_member_is_current(m) ? 0 : 1;
}

/* A collective is reduced that was come to at `came`: what is not core's to learn from it. With the lock. */
static void learn(struct cr_member *m, const struct cr_message *message, int64_t came)
{
    cr_member_account(m, message, came);
    if (m->workload) cr_member_take_measured(m, message);
    if (message->shape.sums32) cr_deal_update(&m->deal, message->sum64 + m->user_shape.sums64);
}

static int reduce(struct cr_comm *c, struct cr_error *e)
{
    struct cr_member *m = c->self;
    const int64_t came = cr_clock();
    int rc = 0, again = 0;
    pthread_mutex_lock(&m->lock);
    struct cr_message *const message = &m->message[(m->committed + 1) & 1];
    m->patched = 0;
    for (;;) {
        if (m->patched) break; /* another member had it */
        if ((rc = cr_member_check(m, e)) < 0) break;
        if (m->started == m->prepared && m->started != atomic_load(&m->adopted)) {
            cr_member_adopt(m);
            again = 1;
            break;
        }
        if (!cr_member_is_current(m)) {
            cr_member_wait(m);
        } else if (attempt(m, message) == 0) {
            count(m);
            break;
        }
    }
    if (rc == 0 && !again) learn(m, message, came);
    pthread_mutex_unlock(&m->lock);
    return rc < 0 ? rc : again ? CR_COMM_AGAIN : 0;
}

static void commit(struct cr_comm *c, uint64_t step)
{
    struct cr_member *m = c->self;
    pthread_mutex_lock(&m->lock);
    m->settled = 1;
    m->step = step;
    if (m->gone) pthread_cond_broadcast(&m->changed);
    pthread_mutex_unlock(&m->lock);
}

/* Say that this member has come to the checkpoint; the first one brings the state. With the lock. */
static int say_save(struct cr_member *m, struct cr_error *e)
{
    void *bytes = NULL;
    size_t size = 0;
    if (m->comm.rank > 0) {
        cr_member_say(m, CR_WORD_SAVE, atomic_load(&m->adopted), m->committed + 1, 0, NULL, 0);
        return 0;
    }
    pthread_mutex_unlock(&m->lock);
    const int rc = m->comm.snapshot(m->comm.run, &bytes, &size, e);
    struct cr_blob *const blob = rc == 0 ? cr_blob_take(bytes, size) : NULL; /* takes its time: before the lock */
    pthread_mutex_lock(&m->lock);
    if (rc == 0) cr_member_say_blob(m, CR_WORD_SAVE, atomic_load(&m->adopted), m->committed + 1, blob);
    return rc;
}

static int save(struct cr_comm *c, struct cr_error *e)
{
    struct cr_member *m = c->self;
    int rc = 0;
    pthread_mutex_lock(&m->lock);
    struct cr_message *const message = &m->message[(m->committed + 1) & 1];
    uint32_t said = 0;
    cr_member_turn_to(m, CR_PHASE_CHECKPOINT);
    m->patched = 0;
    m->left = 0;
    message->size = 0;
    while (!m->patched && (rc = cr_member_check(m, e)) == 0) {
        const uint32_t view = atomic_load(&m->adopted);
        if (m->started == m->prepared && m->started != view) {
            cr_member_adopt(m);
        } else if (cr_member_is_current(m) && said != view) {
            if ((rc = say_save(m, e)) < 0) break;
            said = view;
        } else if (cr_member_is_current(m) && m->saved == m->committed + 1 && m->saved_view == view) {
            count(m);
            break;
        } else {
            cr_member_wait(m);
        }
    }
    pthread_mutex_unlock(&m->lock);
    return rc;
}

static void tell(struct cr_comm *c, uint64_t key, const void *event, size_t size)
{
    struct cr_member *m = c->self;
    pthread_mutex_lock(&m->lock);
    cr_member_say(m, CR_WORD_TELL, m->started, m->committed, key, event, size);
    pthread_mutex_unlock(&m->lock);
}

static unsigned asked(struct cr_comm *c)
{
    struct cr_member *m = c->self;
    return atomic_exchange(&m->asked, 0);
}

static int stale(const struct cr_comm *c)
{
    struct cr_member *m = c->self;
    return atomic_load_explicit(&m->announced, memory_order_relaxed) !=
           atomic_load_explicit(&m->adopted, memory_order_relaxed);
}

void cr_member_fill_comm(struct cr_member *m)
{
    m->comm = (struct cr_comm){
        .size = 1, .share = m->deal.share, .begin = begin, .reduce = reduce, .commit = commit, .save = save,
        .tell = tell, .asked = asked, .stale = stale, .took = took,
        .measure = cr_member_measure, .self = m,
    };
}
