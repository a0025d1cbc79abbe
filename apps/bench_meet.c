#define _POSIX_C_SOURCE 200809L
#include "apps/bench_meet.h"

#include <time.h>

#include "apps/agreement.h"
#include "dist/allreduce.h"
#include "dist/comm.h"
#include "dist/door.h"

static const int64_t patience = 30 * INT64_C(1000000000);

struct meeting {
    const struct cr_address *at;
    struct cr_key key;
    struct cr_hello hello;
    int *fd;
    int ranks, missing;
    int64_t deadline;
};

static void take(struct meeting *m, struct cr_connection *c, int peer)
{
    m->fd[peer] = c->fd;
    m->missing--;
}

/* The other one may not be up yet. */
static int dial(struct meeting *m, int peer, struct cr_error *e)
{
    struct cr_connection c;
    int rc;
    m->hello.to = peer;
    while ((rc = cr_dial(&c, &m->at[peer], 1, &m->key, &m->hello, m->deadline, NULL, NULL, e)) < 0) {
        if (rc != -CR_E_PEER || cr_clock() > m->deadline) return rc;
        nanosleep(&(struct timespec){ .tv_nsec = 100000000 }, NULL);
    }
    take(m, &c, peer);
    return 0;
}

static void welcome(void *user, struct cr_connection *c)
{
    struct meeting *m = user;
    const int peer = c->theirs.rank;
    if (peer > m->hello.rank && peer < m->ranks && m->fd[peer] < 0)
        take(m, c, peer);
    else
        cr_connection_close(c);
}

static int wait_for_all(struct meeting *m, struct cr_door *door, struct cr_error *e)
{
    struct pollfd p[CR_DOOR_PENDING + 1];
    while (m->missing > 0) {
        int64_t deadline = m->deadline;
        if (cr_clock() > deadline)
            return cr_fail(e, CR_E_TIMEOUT, "%d other ranks have not come within half a minute; is the same command "
                           "running on the other hosts, with their --rank?", m->missing);
        const int n = cr_door_poll(door, p, &deadline);
        poll(p, (nfds_t)n, cr_clock_left(deadline));
        cr_door_serve(door, p, n, welcome, NULL, m);
    }
    return 0;
}

/* Lower ranks are dialled, higher ones awaited: who is dialled has already dialled, so nobody waits in a circle. */
int cr_bench_meet(int rank, int ranks, const struct cr_address *at, int *fd, struct cr_error *e)
{
    struct meeting m = { .at = at, .key = { .none = 1 }, .fd = fd, .ranks = ranks,
                         .hello = { .channel = CR_CHANNEL_DATA, .rank = rank, .incarnation = 1 },
                         .deadline = cr_clock() + patience };
    int peer[CR_MAX_RANKS];
    for (int i = 0; i < ranks; i++) fd[i] = -1;
    CR_TRY(cr_agreement_fill(&m.hello.common, e));
    m.missing = cr_allreduce_peers(rank, ranks, peer);
    const int peers = m.missing;
    struct cr_door *const door = cr_door_open(&at[rank], at[rank].port, e);
    if (!door) return -(int)CR_E_IO;
    cr_door_expect(door, &m.key, &m.hello);
    int rc = 0;
    for (int i = 0; i < peers && rc == 0; i++)
        if (peer[i] < rank) rc = dial(&m, peer[i], e);
    if (rc == 0) rc = wait_for_all(&m, door, e);
    cr_door_close(door);
    return rc;
}
