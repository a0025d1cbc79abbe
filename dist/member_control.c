/* The control thread of a member: hears the arbiter, keeps the heartbeats, opens the door to other members. It never
 * computes and never waits for the computing thread longer than a moment. */
#define _POSIX_C_SOURCE 200809L
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "dist/member_inside.h"

static const double patience_with_compute = 1; /* seconds, when the arbiter is lost */

void cr_member_wake(struct cr_member *m)
{
    const char byte = 0;
    const ssize_t n = write(m->wake[1], &byte, 1);
    (void)n; /* a full pipe wakes as well */
}

void cr_member_say(struct cr_member *m, enum cr_word word, uint32_t view, uint64_t collective, uint64_t number,
                   const void *payload, size_t size)
{
    const struct cr_frame f = { .kind = word, .view = view, .collective = collective, .number = number, .size = size,
                                .payload = payload };
    if (cr_frames_put(m->arbiter, &f, &m->why) < 0) m->gone = 1;
    cr_member_wake(m);
}

void cr_member_say_blob(struct cr_member *m, enum cr_word word, uint32_t view, uint64_t collective,
                        struct cr_blob *payload)
{
    const struct cr_frame f = { .kind = word, .view = view, .collective = collective };
    if (!payload)
        m->gone = cr_fail(&m->why, CR_E_NOMEM, "out of memory for the state of a run") < 0;
    else if (cr_frames_put_blob(m->arbiter, &f, payload, &m->why) < 0)
        m->gone = 1;
    cr_blob_drop(payload);
    cr_member_wake(m);
}

void cr_member_ready(struct cr_member *m)
{
    m->owes_ready = 0;
    cr_member_say(m, CR_WORD_READY, m->prepared, m->committed, 0, NULL, 0);
}

void cr_member_pulse(struct cr_member *m)
{
    cr_member_say(m, CR_WORD_PULSE, m->started, m->committed, m->step << 8 | (uint64_t)m->phase, NULL, 0);
}

void cr_member_complain(struct cr_member *m, int about, int64_t silence, const char *why)
{
    const uint64_t ms = (uint64_t)silence / 1000000;
    cr_member_say(m, CR_WORD_COMPLAINT, m->started, m->committed, ms << 32 | (uint64_t)about, why, strlen(why));
}

static void *copy(const struct cr_frame *f)
{
    void *bytes = malloc(f->size ? f->size : 1);
    if (bytes && f->size) memcpy(bytes, f->payload, f->size);
    return bytes;
}

/* ---- words of the arbiter; all with the lock */

static void take_state(struct cr_member *m, const struct cr_frame *f)
{
    free(m->state);
    m->state = cr_frames_take(m->arbiter);
    m->state_size = f->size;
    m->committed = f->collective;
    m->entered = 1;
}

/* A piece of a file; they come in order. Without memory for it there is a file of no bytes. */
static void take_file(struct cr_member *m, const struct cr_frame *f)
{
    struct cr_reader r = { .at = f->payload, .end = (const uint8_t *)f->payload + f->size };
    size_t piece;
    cr_get_text(&r, m->file.name, sizeof m->file.name);
    m->file.size = cr_get_u64(&r);
    const uint64_t at = cr_get_u64(&r);
    const void *const bytes = cr_get_bytes(&r, &piece);
    if (r.failed) return;
    if (at == 0) {
        free(m->file.bytes);
        m->file.bytes = malloc(m->file.size ? m->file.size : 1);
        m->file.got = 0;
    }
    if (at != m->file.got || piece > m->file.size - at) return;
    if (m->file.bytes && piece) memcpy(m->file.bytes + at, bytes, piece);
    m->file.got += piece;
    m->file.follow = f->number;
    m->file.there = m->file.got == m->file.size;
}

static void prepare(struct cr_member *m, uint32_t view)
{
    if (view <= m->prepared) return;
    m->prepared = view;
    atomic_store(&m->announced, view);
    if (m->transport) m->transport->cancel(m->transport);
    /* The answer may bring a patch: the computing thread has to have let go of the message before. */
    m->owes_ready = 1;
    if (!m->trading) cr_member_ready(m);
}

static void fetch(struct cr_member *m, const struct cr_frame *f)
{
    const struct cr_message *last = &m->message[m->committed & 1];
    if (f->view == m->prepared && f->collective == m->committed)
        cr_member_say(m, CR_WORD_MESSAGE, f->view, f->collective, 0, last->bytes, last->size);
}

static void patch(struct cr_member *m, const struct cr_frame *f)
{
    struct cr_message *const mine = &m->message[f->collective & 1];
    if (f->view != m->prepared || f->collective != m->committed + 1 || f->size != mine->size) return;
    if (f->size) memcpy(mine->bytes, f->payload, f->size);
    m->committed++;
    m->settled = 0;
    m->patched = 1;
}

static void start(struct cr_member *m, const struct cr_frame *f)
{
    struct cr_roster roster;
    if (f->view < m->prepared) return;
    if (cr_roster_get(&roster, f, &m->why) < 0) {
        cr_roster_free(&roster);
        m->gone = 1;
        return;
    }
    cr_roster_free(&m->roster);
    m->roster = roster;
    m->prepared = m->started = f->view;
    atomic_store(&m->announced, f->view);
    cr_member_drop_pulses(m);
}

static void fail(struct cr_member *m, const struct cr_frame *f)
{
    char text[768];
    const size_t n = f->size < sizeof text ? f->size : sizeof text - 1;
    if (n) memcpy(text, f->payload, n);
    text[n] = 0;
    const enum cr_err code = f->number > 0 && f->number < CR_E_COUNT ? (enum cr_err)f->number : CR_E_PEER;
    cr_fail(&m->why, code, "%s", text);
    m->failed = m->leave = 1;
}

static void hear(struct cr_member *m, const struct cr_frame *f)
{
    switch ((enum cr_word)f->kind) {
    case CR_WORD_BRIEF:
        free(m->brief);
        m->brief = copy(f);
        m->brief_size = f->size;
        break;
    case CR_WORD_FILE: take_file(m, f); break;
    case CR_WORD_ENTER: take_state(m, f); break;
    case CR_WORD_PREPARE: prepare(m, f->view); break;
    case CR_WORD_FETCH: fetch(m, f); break;
    case CR_WORD_PATCH: patch(m, f); break;
    case CR_WORD_SNAPSHOT: m->snapshot = f->view == m->prepared; break;
    case CR_WORD_START: start(m, f); break;
    case CR_WORD_SAVED:
        m->saved = f->collective;
        m->saved_view = f->view;
        break;
    case CR_WORD_ASK: atomic_fetch_or(&m->asked, (unsigned)f->number); break;
    case CR_WORD_LEAVE: m->leave = 1; break;
    case CR_WORD_FAIL: fail(m, f); break;
    default: break; /* a ping, or a word of a later version */
    }
}

static int hear_all(struct cr_member *m)
{
    enum { FRAMES = 8 }; /* then pulses have their turn, and so they have after a part of something large */
    struct cr_frame f;
    int rc = 1, filled = 0, frames = 0;
    while (rc > 0 && !m->file.there && !m->leave) { /* files are large: one at a time; after the last word, none */
        rc = cr_frames_next(m->arbiter, &f, &m->why);
        if (rc > 0) hear(m, &f);
        if (rc > 0) filled = 0;
        if (rc > 0 && ++frames == FRAMES) break;
        if (rc != 0) continue;
        if (filled) break;
        rc = cr_frames_fill(m->arbiter, &m->why);
        if (rc > 0) m->heard = cr_clock();
        filled = 1;
    }
    pthread_cond_broadcast(&m->changed);
    return rc < 0 ? rc : 0;
}

/* ---- other members */

static void welcome(void *member, struct cr_connection *c)
{
    struct cr_member *m = member;
    const struct cr_hello *h = &c->theirs;
    int slot = 0;
    pthread_mutex_lock(&m->lock);
    /* who is told of a view first dials first */
    const int expected = h->to == m->options.rank && h->view >= m->started;
    while (slot < MEMBER_INCOMING && m->incoming[slot].used) slot++;
    if (expected && h->channel == CR_CHANNEL_PULSE) {
        cr_member_add_pulse(m, c, h->rank, h->view);
    } else if (expected && h->channel == CR_CHANNEL_DATA && slot < MEMBER_INCOMING) {
        m->incoming[slot] = (struct incoming){ .used = 1, .connection = *c };
        pthread_cond_broadcast(&m->changed);
    } else {
        cr_connection_close(c);
    }
    pthread_mutex_unlock(&m->lock);
}

static void hear_pulse(struct pulse_link *p)
{
    struct cr_frame f;
    int rc = cr_frames_fill(p->frames, NULL);
    if (rc > 0) p->heard = cr_clock();
    while (cr_frames_next(p->frames, &f, NULL) > 0) continue;
    if (rc >= 0) return;
    /* Closed: that member left this view or is gone. If it lives and is cut off, the data links say so. */
    cr_frames_free(p->frames);
    p->frames = NULL;
}

/* late: by how much the pulse is. Who did not run itself cannot tell how long others were silent. */
static void send_pulses(struct cr_member *m, int64_t now, int64_t late)
{
    const int64_t most = cr_part_of(m->host_timeout, CR_SILENCE_OF_LINK);
    cr_member_pulse(m);
    for (int i = 0; i < MEMBER_PEERS; i++) {
        struct pulse_link *p = &m->pulse[i];
        if (!p->frames) continue;
        const struct cr_frame f = { .kind = CR_WORD_PULSE, .collective = m->committed, .number = m->phase };
        cr_frames_put(p->frames, &f, NULL);
        cr_frames_flush(p->frames, NULL);
        p->heard += late;
        const int64_t silence = now - p->heard;
        if (silence < most || p->complained || p->view != m->started || m->started != m->prepared) continue;
        p->complained = 1;
        cr_member_complain(m, p->rank, silence, "no sign of life");
    }
}

/* ---- the end */

/* The arbiter is gone. The computing thread gives the state away when it comes by; if it takes too long, this thread
 * does, for the state does not change any more. */
static void save_orphan(struct cr_member *m)
{
    const int64_t deadline = cr_clock() + (int64_t)(patience_with_compute * 1e9);
    const struct timespec until = { deadline / 1000000000, deadline % 1000000000 };
    void *bytes;
    size_t size;
    struct cr_error e;
    if (m->transport) m->transport->cancel(m->transport);
    atomic_store(&m->announced, m->prepared + 1); /* blocks in work are of no use any more */
    pthread_cond_broadcast(&m->changed);
    while (!m->parked)
        if (pthread_cond_timedwait(&m->changed, &m->lock, &until) != 0) break;
    while (!m->settled && !m->parked && !m->leave) /* a message is being applied: no long work */
        pthread_cond_wait(&m->changed, &m->lock);
    if (m->parked || m->leave) return;
    if (!m->comm.snapshot || m->comm.snapshot(m->comm.run, &bytes, &size, &e) < 0) bytes = NULL, size = 0;
    m->options.orphan(m->options.user, bytes, size, &m->why, 1);
    free(bytes);
}

static void watch_lifeline(struct cr_member *m)
{
    char bytes[256];
    if (read(m->options.lifeline, bytes, sizeof bytes) > 0) return;
    cr_fail(&m->why, CR_E_PEER, "the launcher is gone");
    m->gone = 1;
}

/* One turn: wait, hear, say. With the lock, but for the wait and the door. */
static void turn(struct cr_member *m, int64_t *next_pulse)
{
    enum { ARBITER, WAKE, LIFELINE, PULSES, DOOR = PULSES + MEMBER_PEERS };
    struct pollfd p[DOOR + CR_DOOR_PENDING + 1];
    int64_t deadline = *next_pulse;
    const int hear = m->file.there ? 0 : POLLIN, flush = cr_frames_waiting(m->arbiter) ? POLLOUT : 0;
    p[ARBITER] = (struct pollfd){ .fd = cr_frames_fd(m->arbiter), .events = (short)(hear | flush) };
    p[WAKE] = (struct pollfd){ .fd = m->wake[0], .events = POLLIN };
    p[LIFELINE] = (struct pollfd){ .fd = m->options.lifeline, .events = POLLIN };
    struct cr_frames *pulse[MEMBER_PEERS];
    for (int i = 0; i < MEMBER_PEERS; i++) {
        pulse[i] = m->pulse[i].frames;
        p[PULSES + i] = (struct pollfd){ .fd = pulse[i] ? cr_frames_fd(pulse[i]) : -1, .events = POLLIN };
    }
    const int doors = cr_door_poll(m->door, p + DOOR, &deadline);
    pthread_mutex_unlock(&m->lock);
    poll(p, (nfds_t)(DOOR + doors), cr_clock_left(deadline));
    cr_door_serve(m->door, p + DOOR, doors, welcome, NULL, m);
    pthread_mutex_lock(&m->lock);

    if (p[WAKE].revents) {
        char bytes[256];
        while (read(m->wake[0], bytes, sizeof bytes) > 0) continue;
    }
    if (p[LIFELINE].revents) watch_lifeline(m);
    if (!m->gone && hear_all(m) < 0 && !m->leave) m->gone = 1;
    for (int i = 0; i < MEMBER_PEERS; i++)
        if (pulse[i] && m->pulse[i].frames == pulse[i]) hear_pulse(&m->pulse[i]);
    const int64_t now = cr_clock();
    if (now >= *next_pulse) {
        send_pulses(m, now, now - *next_pulse);
        *next_pulse = now + CR_PULSE_MS * 1000000;
    }
    if (!m->gone && cr_frames_flush(m->arbiter, &m->why) < 0 && !m->leave) m->gone = 1;
    if (m->file.there) m->heard = now; /* nothing is read meanwhile */
    if (!m->gone && now - m->heard > CR_SILENCE_OF_ARBITER * INT64_C(1000000000)) {
        cr_fail(&m->why, CR_E_TIMEOUT, "the launcher has been silent for %d s", CR_SILENCE_OF_ARBITER);
        m->gone = 1;
    }
}

void *cr_member_control(void *member)
{
    struct cr_member *m = member;
    int64_t next_pulse = cr_clock();
    pthread_mutex_lock(&m->lock);
    m->heard = next_pulse;
    while (!m->leave && !m->gone) turn(m, &next_pulse);
    if (m->gone) save_orphan(m);
    pthread_cond_broadcast(&m->changed);
    pthread_mutex_unlock(&m->lock);
    return NULL;
}
