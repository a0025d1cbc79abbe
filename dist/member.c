/* A member's life, from the computing thread: joining and leaving. In between it is a comm (member_comm.c). */
#define _POSIX_C_SOURCE 200809L
#include "dist/member.h"

#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "dist/member_inside.h"

struct cr_comm *cr_member_comm(struct cr_member *m)
{
    return &m->comm;
}

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
    struct cr_error answer = { 0 }; /* who has refused us has said more than who does not listen any more */
    int rc, refused = 0;
    while ((rc = cr_dial(&c, m->options.arbiter, m->options.arbiters, &m->key, &m->hello, deadline, is_abandoned, m,
                         e)) < 0) {
        /* Without a launcher, the arbiter may start later than we do. Whoever refused us may have been at its end. */
        const int again = rc == -CR_E_PEER || (rc == -CR_E_REFUSED && !refused++);
        if (rc == -CR_E_REFUSED && e) answer = *e;
        if (!again || is_abandoned(m) || cr_clock() + 200000000 > deadline) {
            if (answer.code) *e = answer;
            return answer.code ? -(int)answer.code : rc;
        }
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
    CR_TRY(dial_arbiter(m, e));
    /* Without a key: on the way to the arbiter alone. */
    if (m->key.none) m->narrow = cr_address_of_socket(cr_frames_fd(m->arbiter), &m->route) == 0;
    m->door = cr_door_open(m->narrow ? &m->route : NULL, 0, e);
    if (!m->door) return -(int)CR_E_IO;
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
    cr_member_fill_comm(m);
    int rc = set_up(m, e);
    if (rc == 0) {
        pthread_mutex_lock(&m->lock);
        while (!m->brief && (rc = cr_member_check(m, e)) == 0) cr_member_wait(m);
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
    while (more && (rc = cr_member_check(m, e)) == 0) {
        if (!m->file.there) {
            cr_member_wait(m);
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
    if (m->narrow) {
        card.candidates.list[0] = m->route;
        card.candidates.list[0].port = cr_door_port(m->door);
        card.candidates.count = 1;
    }
    if (gethostname(card.host, sizeof card.host - 1) < 0) card.host[0] = 0;
    strncpy(card.isa, isa, sizeof card.isa - 1);
    cr_card_put(&w, &card);
    int rc = w.failed ? cr_fail(e, CR_E_NOMEM, "out of memory for what a rank says of itself") : 0;
    pthread_mutex_lock(&m->lock);
    m->host_timeout = host_timeout;
    if (rc == 0) cr_member_say(m, CR_WORD_ABLE, 0, 0, 0, w.bytes, w.size);
    free(w.bytes);
    while (rc == 0 && !(m->entered && m->started == m->prepared && m->started)) {
        rc = cr_member_check(m, e);
        if (rc == 0) cr_member_wait(m);
    }
    if (rc == 0) {
        cr_member_adopt(m);
        *state = m->state;
        *size = m->state_size;
    }
    pthread_mutex_unlock(&m->lock);
    return rc;
}

/* Having told the arbiter how it went here, stay to answer until it says that all may go. With the lock. */
static int wait_to_leave(struct cr_member *m, int failed, struct cr_error *e)
{
    const int64_t deadline = failed ? cr_clock() + 5000000000 : INT64_MAX;
    uint32_t said = 0;
    cr_member_turn_to(m, CR_PHASE_END);
    for (;;) {
        if (m->leave || m->gone) break;
        if (m->started == m->prepared && m->started != atomic_load(&m->adopted)) cr_member_adopt(m);
        if (!failed && cr_member_is_current(m) && said != m->started) {
            said = m->started;
            cr_member_say_done(m, said);
        }
        if (failed) {
            const struct timespec until = cr_member_in_ms(100);
            pthread_cond_timedwait(&m->changed, &m->lock, &until);
            if (cr_clock() > deadline) break;
        } else {
            cr_member_wait(m);
        }
    }
    if (failed) return 0;
    if (m->gone) return cr_member_end_as_orphan(m, e);
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
