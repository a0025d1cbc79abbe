/* Connections between the members of a view: data links to the peers of the all-reduce, and a pulse link to each
 * neighbour. Of two members the one later in the list dials. */
#define _POSIX_C_SOURCE 200809L
#include <time.h>
#include <unistd.h>

#include "dist/member_inside.h"
#include "dist/tcp.h"

static int overtaken(void *member)
{
    struct cr_member *m = member;
    return atomic_load(&m->announced) != atomic_load(&m->adopted);
}

static int64_t patience(const struct cr_member *m)
{
    return (int64_t)(m->options.host_timeout * 1e9);
}

static int dial(struct cr_member *m, int place, enum cr_channel channel, struct cr_connection *c, struct cr_error *e)
{
    const struct cr_member_entry *to = &m->roster.entry[place];
    struct cr_hello hello = m->hello;
    hello.channel = channel;
    hello.to = to->rank;
    hello.view = atomic_load(&m->adopted);
    return cr_dial(c, to->address, to->count, &m->key, &hello, cr_clock() + patience(m), overtaken, m, e);
}

/* Wait for a connection that the member at `place` makes. */
static int await(struct cr_member *m, int place, enum cr_channel channel, struct cr_connection *c, struct cr_error *e)
{
    const int rank = m->roster.entry[place].rank;
    const int64_t deadline = cr_clock() + patience(m);
    const struct timespec until = { deadline / 1000000000, deadline % 1000000000 };
    int rc = 1;
    pthread_mutex_lock(&m->lock);
    while (rc > 0) {
        for (int i = 0; i < MEMBER_INCOMING && rc > 0; i++) {
            struct incoming *in = &m->incoming[i];
            const struct cr_hello *theirs = &in->connection.theirs;
            if (!in->used || theirs->rank != rank || theirs->channel != channel ||
                theirs->view != atomic_load(&m->adopted))
                continue;
            *c = in->connection;
            in->used = 0;
            rc = 0;
        }
        if (rc == 0) break;
        if (overtaken(m) || m->gone)
            rc = cr_fail(e, CR_E_INTERRUPTED, "another view is coming");
        else if (pthread_cond_timedwait(&m->changed, &m->lock, &until) != 0)
            rc = cr_fail(e, CR_E_TIMEOUT, "rank %d did not connect within %g s; does a firewall drop packets to port %u "
                         "of this host?", rank, m->options.host_timeout, (unsigned)cr_door_port(m->door));
    }
    pthread_mutex_unlock(&m->lock);
    return rc;
}

static int link_to(struct cr_member *m, int place, enum cr_channel channel, struct cr_connection *c, struct cr_error *e)
{
    return place < m->comm.rank ? dial(m, place, channel, c, e) : await(m, place, channel, c, e);
}

static int connect_pulse(struct cr_member *m, int slot, int place, struct cr_error *e)
{
    struct cr_connection c;
    CR_TRY(link_to(m, place, CR_CHANNEL_PULSE, &c, e));
    struct cr_frames *frames = cr_frames_new(&c, 0);
    if (!frames) return cr_fail(e, CR_E_NOMEM, "out of memory for a connection");
    pthread_mutex_lock(&m->lock);
    m->pulse[slot] = (struct pulse_link){ .frames = frames, .rank = m->roster.entry[place].rank, .heard = cr_clock() };
    pthread_mutex_unlock(&m->lock);
    member_wake(m);
    return 0;
}

/* All dial before they wait, pulses before data, so that nobody waits for one who waits. */
static int connect_all(struct cr_member *m, struct cr_transport *t, const int *peer, int peers, int dialling,
                       int *about, struct cr_error *e)
{
    const int place = m->comm.rank, size = m->comm.size;
    const int neighbour[2] = { (place + size - 1) % size, (place + 1) % size };
    for (int i = 0; i < (size == 2 ? 1 : 2); i++) {
        if ((neighbour[i] < place) != dialling) continue;
        *about = m->roster.entry[neighbour[i]].rank;
        CR_TRY(connect_pulse(m, i, neighbour[i], e));
    }
    for (int i = 0; i < peers; i++) {
        struct cr_connection c;
        if ((peer[i] < place) != dialling) continue;
        *about = m->roster.entry[peer[i]].rank;
        CR_TRY(link_to(m, peer[i], CR_CHANNEL_DATA, &c, e));
        cr_tcp_tune(c.fd);
        cr_tcp_link(t, peer[i], c.fd, c.seal);
    }
    return 0;
}

int member_connect(struct cr_member *m, int *about, struct cr_error *e)
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

void member_disconnect(struct cr_member *m)
{
    if (m->transport) m->transport->free(m->transport);
    m->transport = NULL;
    for (int i = 0; i < 2; i++) {
        cr_frames_free(m->pulse[i].frames);
        m->pulse[i] = (struct pulse_link){ .frames = NULL };
    }
    for (int i = 0; i < MEMBER_INCOMING; i++) {
        struct incoming *in = &m->incoming[i];
        if (!in->used || in->connection.theirs.view >= m->started) continue;
        cr_connection_close(&in->connection);
        in->used = 0;
    }
}
