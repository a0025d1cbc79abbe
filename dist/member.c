/* The computing thread's side of a member: joining, the comm, leaving. Which word may come when is told in view.h. */
#define _POSIX_C_SOURCE 200809L
#include "dist/member.h"

#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "dist/measure.h"
#include "dist/member_inside.h"

/* ---- waiting, with the lock */

static struct timespec in_ms(int ms)
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
    pthread_mutex_lock(&m->lock);
    if (rc < 0) {
        cr_member_say(m, CR_WORD_ERROR, view, committed, e.code, e.text, strlen(e.text));
        return;
    }
    cr_member_say(m, CR_WORD_STATE, view, committed, 0, bytes, size);
    free(bytes);
}

/* Wait for news, doing what only this thread can: the state stands still while it is here. */
static void wait_for_news(struct cr_member *m)
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

/* The arbiter is lost, and this thread is where it can give the state away. */
static int end_as_orphan(struct cr_member *m, struct cr_error *e)
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

/* 0, or why there is nothing left to wait for. */
static int check_alive(struct cr_member *m, struct cr_error *e)
{
    if (m->gone) return end_as_orphan(m, e);
    if (!m->leave) return 0;
    if (!m->failed) return cr_fail(e, CR_E_PEER, "the launcher ended the run before its time");
    if (e) *e = m->why;
    return -(int)m->why.code;
}

/* Take over the view the arbiter has begun. */
static void adopt(struct cr_member *m)
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

static int is_current(const struct cr_member *m)
{
    const uint32_t view = atomic_load(&m->adopted);
    return m->prepared == view && m->started == view && m->broken != view;
}

/* ---- the comm */

static int reserve(struct cr_member *m, int turn, size_t size)
{
    if (size <= m->room[turn]) return 0;
    free(m->buffer[turn]);
    m->room[turn] = (size + CR_MESSAGE_ALIGN - 1) / CR_MESSAGE_ALIGN * CR_MESSAGE_ALIGN;
    m->buffer[turn] = aligned_alloc(CR_MESSAGE_ALIGN, m->room[turn]);
    if (!m->buffer[turn]) m->room[turn] = 0;
    return m->buffer[turn] ? 0 : -1;
}

/* What this rank is at. The arbiter hears of it at once, so that it can say where a lost rank was. With the lock. */
static void turn_to(struct cr_member *m, enum cr_phase phase)
{
    if (m->phase == phase) return;
    m->phase = phase;
    cr_member_pulse(m);
}

static struct cr_message *begin(struct cr_comm *c, struct cr_message_shape shape, enum cr_phase phase)
{
    struct cr_member *m = c->self;
    pthread_mutex_lock(&m->lock);
    const int turn = (m->committed + 1) & 1;
    turn_to(m, phase);
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
    const struct timespec until = in_ms(why->code == CR_E_TIMEOUT ? 0 : 100);
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
    return is_current(m) ? 0 : 1;
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
        if ((rc = check_alive(m, e)) < 0) break;
        if (m->started == m->prepared && m->started != atomic_load(&m->adopted)) {
            adopt(m);
            again = 1;
            break;
        }
        if (!is_current(m)) {
            wait_for_news(m);
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
    if (m->comm.rank == 0) {
        pthread_mutex_unlock(&m->lock);
        const int rc = m->comm.snapshot(m->comm.run, &bytes, &size, e);
        pthread_mutex_lock(&m->lock);
        if (rc < 0) return rc;
    }
    cr_member_say(m, CR_WORD_SAVE, atomic_load(&m->adopted), m->committed + 1, 0, bytes, size);
    free(bytes);
    return 0;
}

static int save(struct cr_comm *c, struct cr_error *e)
{
    struct cr_member *m = c->self;
    int rc = 0;
    pthread_mutex_lock(&m->lock);
    struct cr_message *const message = &m->message[(m->committed + 1) & 1];
    uint32_t said = 0;
    turn_to(m, CR_PHASE_CHECKPOINT);
    m->patched = 0;
    m->left = 0;
    message->size = 0;
    while (!m->patched && (rc = check_alive(m, e)) == 0) {
        const uint32_t view = atomic_load(&m->adopted);
        if (m->started == m->prepared && m->started != view) {
            adopt(m);
        } else if (is_current(m) && said != view) {
            if ((rc = say_save(m, e)) < 0) break;
            said = view;
        } else if (is_current(m) && m->saved == m->committed + 1 && m->saved_view == view) {
            count(m);
            break;
        } else {
            wait_for_news(m);
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

struct cr_comm *cr_member_comm(struct cr_member *m)
{
    return &m->comm;
}

/* ---- joining */

/* Has the launcher gone while we look for it? */
static int is_abandoned(void *member)
{
    const struct cr_member *m = member;
    struct pollfd p = { .fd = m->options.lifeline, .events = POLLIN };
    return poll(&p, 1, 0) > 0; /* nobody writes to it: this is its end */
}

static int dial_arbiter(struct cr_member *m, struct cr_error *e)
{
    const int64_t deadline = cr_clock() + (int64_t)(m->options.dial_seconds * 1e9);
    struct cr_connection c;
    m->hello = (struct cr_hello){ .common = m->options.common, .channel = CR_CHANNEL_CONTROL, .rank = m->options.rank,
                                  .to = CR_RANK_ARBITER, .incarnation = m->options.incarnation };
    int rc, refused = 0;
    while ((rc = cr_dial(&c, m->options.arbiter, m->options.arbiters, &m->key, &m->hello, deadline, is_abandoned, m,
                         e)) < 0) {
        /* Without a launcher, the arbiter may start later than we do. Whoever refused us may have been at its end. */
        const int again = rc == -CR_E_PEER || (rc == -CR_E_REFUSED && !refused++);
        if (!again || is_abandoned(m) || cr_clock() + 200000000 > deadline) return rc;
        nanosleep(&(struct timespec){ .tv_nsec = 200000000 }, NULL);
    }
    m->arbiter = cr_frames_new(&c, CR_FRAME_MOST);
    return m->arbiter ? 0 : cr_fail(e, CR_E_NOMEM, "out of memory for a connection");
}

static int set_up(struct cr_member *m, struct cr_error *e)
{
    pthread_condattr_t monotonic;
    pthread_mutex_init(&m->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&m->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    if (pipe(m->wake) < 0) return cr_fail(e, CR_E_IO, "cannot make a pipe: too many files are open");
    for (int i = 0; i < 2; i++) {
        fcntl(m->wake[i], F_SETFD, FD_CLOEXEC);
        fcntl(m->wake[i], F_SETFL, O_NONBLOCK);
    }
    m->door = cr_door_open(m->options.only, 0, e);
    if (!m->door) return -(int)CR_E_IO;
    CR_TRY(dial_arbiter(m, e));
    cr_door_expect(m->door, &m->key, &m->hello);
    m->heard = cr_clock();
    if (pthread_create(&m->control, NULL, cr_member_control, m) != 0)
        return cr_fail(e, CR_E_NOMEM, "cannot start another thread");
    m->control_runs = 1;
    return 0;
}

static void tear_down(struct cr_member *m)
{
    if (m->control_runs) {
        pthread_mutex_lock(&m->lock);
        m->leave = 1;
        pthread_cond_broadcast(&m->changed);
        pthread_mutex_unlock(&m->lock);
        cr_member_wake(m);
        pthread_join(m->control, NULL);
    }
    m->started = UINT32_MAX; /* connections of all views go */
    cr_member_disconnect(m);
    cr_frames_free(m->arbiter);
    if (m->door) cr_door_close(m->door);
    for (int i = 0; i < 2; i++) {
        free(m->buffer[i]);
        if (m->wake[i] > 0) close(m->wake[i]);
    }
    cr_roster_free(&m->roster);
    free(m->brief);
    free(m->state);
    free(m->file.bytes);
    pthread_cond_destroy(&m->changed);
    pthread_mutex_destroy(&m->lock);
    free(m);
}

struct cr_member *cr_member_open(const struct cr_member_options *o, const void **brief, size_t *size,
                                 struct cr_error *e)
{
    struct cr_member *m = calloc(1, sizeof *m);
    if (!m) {
        cr_fail(e, CR_E_NOMEM, "out of memory for a rank");
        return NULL;
    }
    m->options = *o;
    m->key = o->key;
    m->settled = 1;
    m->comm = (struct cr_comm){
        .size = 1, .share = m->deal.share, .begin = begin, .reduce = reduce, .commit = commit, .save = save,
        .tell = tell, .asked = asked, .stale = stale, .took = took,
        .measure = cr_member_measure, .self = m,
    };
    int rc = set_up(m, e);
    if (rc == 0) {
        pthread_mutex_lock(&m->lock);
        while (!m->brief && (rc = check_alive(m, e)) == 0) wait_for_news(m);
        pthread_mutex_unlock(&m->lock);
    }
    if (rc < 0) {
        tear_down(m);
        return NULL;
    }
    *brief = m->brief;
    *size = m->brief_size;
    return m;
}

int cr_member_need_files(struct cr_member *m, int (*take)(void *user, const char *name, const void *bytes, size_t size,
                                                          struct cr_error *e), void *user, struct cr_error *e)
{
    int rc = 0, more = 1;
    pthread_mutex_lock(&m->lock);
    cr_member_say(m, CR_WORD_NEED, 0, 0, 0, NULL, 0);
    while (more && (rc = check_alive(m, e)) == 0) {
        if (!m->file.there) {
            wait_for_news(m);
            continue;
        }
        void *bytes = m->file.bytes;
        const size_t size = m->file.size;
        char name[sizeof m->file.name];
        memcpy(name, m->file.name, sizeof name);
        more = m->file.follow > 0;
        m->file.bytes = NULL;
        m->file.there = 0;
        cr_member_wake(m);
        pthread_mutex_unlock(&m->lock);
        rc = bytes ? take(user, name, bytes, size, e) : cr_fail(e, CR_E_NOMEM, "out of memory for the file %s", name);
        free(bytes);
        pthread_mutex_lock(&m->lock);
        if (rc < 0) break;
    }
    pthread_mutex_unlock(&m->lock);
    return rc;
}

int cr_member_enter(struct cr_member *m, long threads, const char *isa, double host_timeout, const void **state,
                    size_t *size, struct cr_error *e)
{
    struct cr_card card = { .threads = threads };
    struct cr_writer w = { 0 };
    cr_candidates_own(&card.candidates, cr_door_port(m->door));
    if (gethostname(card.host, sizeof card.host - 1) < 0) card.host[0] = 0;
    strncpy(card.isa, isa, sizeof card.isa - 1);
    cr_card_put(&w, &card);
    int rc = w.failed ? cr_fail(e, CR_E_NOMEM, "out of memory for what a rank says of itself") : 0;
    pthread_mutex_lock(&m->lock);
    m->host_timeout = host_timeout;
    if (rc == 0) cr_member_say(m, CR_WORD_ABLE, 0, 0, 0, w.bytes, w.size);
    free(w.bytes);
    while (rc == 0 && !(m->entered && m->started == m->prepared && m->started)) {
        rc = check_alive(m, e);
        if (rc == 0) wait_for_news(m);
    }
    if (rc == 0) {
        adopt(m);
        *state = m->state;
        *size = m->state_size;
    }
    pthread_mutex_unlock(&m->lock);
    return rc;
}

/* ---- leaving */

/* Having told the arbiter how it went here, stay to answer until it says that all may go. With the lock. */
static int wait_to_leave(struct cr_member *m, int failed, struct cr_error *e)
{
    const int64_t deadline = failed ? cr_clock() + 5000000000 : INT64_MAX;
    uint32_t said = 0;
    turn_to(m, CR_PHASE_END);
    for (;;) {
        if (m->leave || m->gone) break;
        if (m->started == m->prepared && m->started != atomic_load(&m->adopted)) adopt(m);
        if (!failed && is_current(m) && said != m->started) {
            said = m->started;
            cr_member_say_done(m, said);
        }
        if (failed) {
            const struct timespec until = in_ms(100);
            pthread_cond_timedwait(&m->changed, &m->lock, &until);
            if (cr_clock() > deadline) break;
        } else {
            wait_for_news(m);
        }
    }
    if (failed) return 0;
    if (m->gone) return end_as_orphan(m, e);
    if (!m->failed) return 0;
    if (e) *e = m->why;
    return -(int)m->why.code;
}

int cr_member_close(struct cr_member *m, int rc, struct cr_error *e)
{
    const int own = rc < 0 && rc != -CR_E_INTERRUPTED; /* an interrupted run has ended everywhere */
    pthread_mutex_lock(&m->lock);
    if (!m->gone && !m->leave) {
        if (own) cr_member_say(m, CR_WORD_ERROR, m->started, m->committed, e->code, e->text, strlen(e->text));
        const int end = wait_to_leave(m, own, e);
        if (rc == 0) rc = end;
    }
    pthread_mutex_unlock(&m->lock);
    tear_down(m);
    return rc;
}
