/* Connections between the members of a view: to each peer of the all-reduce one for data and one for pulses. Of two
 * members the one later in the list dials, and it alone says when that fails: the other cannot know whether the first
 * has only not come so far, as its computing thread may be at something long. Pulses are taken by the control thread
 * for the same reason. */
#define _POSIX_C_SOURCE 200809L
#include <time.h>
#include <unistd.h>

#include "dist/member_inside.h"
#include "dist/tcp.h"

/* How often an address is dialled, a moment after one another and side by side: one lost packet does not cost the
 * second after which the system sends it again. */
enum { TRIES = 3 };

static int overtaken(void *member)
{
    struct cr_member *m = member;
    return atomic_load(&m->announced) != atomic_load(&m->adopted);
}

static int dial(struct cr_member *m, int place, enum cr_channel channel, struct cr_connection *c, struct cr_error *e)
{
    const struct cr_member_entry *to = &m->roster.entry[place];
    const int64_t deadline = cr_clock() + cr_part_of(m->host_timeout, CR_TIME_TO_CONNECT);
    struct cr_address list[TRIES * CR_MAX_ADDRESSES];
    struct cr_hello hello = m->hello;
    hello.channel = channel;
    hello.to = to->rank;
    hello.view = atomic_load(&m->adopted);
    for (int i = 0; i < TRIES * to->count; i++) list[i] = to->address[i % to->count];
    return cr_dial(c, list, TRIES * to->count, &m->key, &hello, deadline, overtaken, m, e);
}

/* Wait for the data link that the member at `place` makes, until it has come or this view is over. */
static int await(struct cr_member *m, int place, struct cr_connection *c, struct cr_error *e)
{
    const int rank = m->roster.entry[place].rank;
    int rc = 1;
    pthread_mutex_lock(&m->lock);
    while (rc > 0) {
        for (int i = 0; i < MEMBER_INCOMING && rc > 0; i++) {
            struct incoming *in = &m->incoming[i];
            const struct cr_hello *theirs = &in->connection.theirs;
            if (!in->used || theirs->rank != rank || theirs->view != atomic_load(&m->adopted)) continue;
            *c = in->connection;
            in->used = 0;
            rc = 0;
        }
        if (rc == 0) break;
        if (overtaken(m) || m->gone || m->leave)
            rc = cr_fail(e, CR_E_INTERRUPTED, "another view is coming");
        else
            pthread_cond_wait(&m->changed, &m->lock);
    }
    pthread_mutex_unlock(&m->lock);
    return rc;
}

void cr_member_add_pulse(struct cr_member *m, struct cr_connection *c, int rank, uint32_t view)
{
    int slot = 0;
    while (slot < MEMBER_PEERS && m->pulse[slot].frames) slot++;
    struct cr_frames *frames = slot < MEMBER_PEERS ? cr_frames_new(c, 0) : NULL;
    if (frames)
        m->pulse[slot] = (struct pulse_link){ .frames = frames, .rank = rank, .view = view, .heard = cr_clock() };
    else
        cr_connection_close(c);
    cr_member_wake(m);
}

static int dial_pulse(struct cr_member *m, int place, struct cr_error *e)
{
    struct cr_connection c;
    CR_TRY(dial(m, place, CR_CHANNEL_PULSE, &c, e));
    pthread_mutex_lock(&m->lock);
    cr_member_add_pulse(m, &c, m->roster.entry[place].rank, atomic_load(&m->adopted));
    pthread_mutex_unlock(&m->lock);
    return 0;
}

/* All dial before they wait, so that nobody waits for one who waits. */
static int connect_all(struct cr_member *m, struct cr_transport *t, const int *peer, int peers, int dialling,
                       int *about, struct cr_error *e)
{
    for (int i = 0; i < peers; i++) {
        struct cr_connection c;
        if ((peer[i] < m->comm.rank) != dialling) continue;
        *about = m->roster.entry[peer[i]].rank;
        if (dialling) CR_TRY(dial_pulse(m, peer[i], e));
        CR_TRY(dialling ? dial(m, peer[i], CR_CHANNEL_DATA, &c, e) : await(m, peer[i], &c, e));
        cr_tcp_tune(c.fd);
        cr_tcp_link(t, peer[i], c.fd, c.seal);
    }
    return 0;
}

int cr_member_connect(struct cr_member *m, int *about, struct cr_error *e)
{
    int peer[CR_MAX_RANKS];
    const int peers = cr_allreduce_peers(m->comm.rank, m->comm.size, peer);
    struct cr_transport *t = cr_tcp_new(m->comm.rank, m->comm.size, m->options.spin);
    *about = -1;
    if (!t) return cr_fail(e, CR_E_NOMEM, "out of memory for connections");
    t->view = atomic_load(&m->adopted);
    int rc = connect_all(m, t, peer, peers, 1, about, e);
    if (rc == 0) rc = connect_all(m, t, peer, peers, 0, about, e);
    if (rc < 0) {
        t->free(t);
        return rc;
    }
    pthread_mutex_lock(&m->lock);
    m->transport = t;
    if (overtaken(m)) t->cancel(t);
    pthread_mutex_unlock(&m->lock);
    return 0;
}

void cr_member_drop_pulses(struct cr_member *m)
{
    for (int i = 0; i < MEMBER_PEERS; i++) {
        if (m->pulse[i].view >= m->started) continue;
        cr_frames_free(m->pulse[i].frames);
        m->pulse[i] = (struct pulse_link){ .frames = NULL };
    }
}

void cr_member_disconnect(struct cr_member *m)
{
    if (m->transport) m->transport->free(m->transport);
    m->transport = NULL;
    cr_member_drop_pulses(m);
    for (int i = 0; i < MEMBER_INCOMING; i++) {
        struct incoming *in = &m->incoming[i];
        if (!in->used || in->connection.theirs.view >= m->started) continue;
        cr_connection_close(&in->connection);
        in->used = 0;
    }
}
