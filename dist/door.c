#define _GNU_SOURCE /* accept4: no moment in which a child could inherit the socket */
#include "dist/door.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dist/shake.h"

enum {
    BACKLOG = 1024, /* all ranks may dial at once */
    AT_ONCE = 32,   /* accepted between two looks at those who are in already */
};
static const int64_t patience = 5 * 1000000000LL;
static const int64_t pause_without_fds = 100 * 1000000LL;

struct guest {
    struct cr_shake shake;
    struct cr_address from;
    int64_t until;
};

struct cr_door {
    int fd;
    uint16_t port;
    const struct cr_key *key;
    const struct cr_hello *ours;
    int64_t shut_until;      /* nobody is accepted before: there were no descriptors left */
    struct guest guest[CR_DOOR_PENDING]; /* oldest first */
    int guests;
};

struct callbacks {
    void (*welcome)(void *user, struct cr_connection *c);
    void (*refused)(void *user, const struct cr_address *from, const struct cr_error *why);
    void *user;
};

/* A socket bound to an address and listening, or -1 and errno. */
static int listen_at(const struct cr_address *a)
{
    struct sockaddr_storage s;
    const socklen_t n = cr_address_sockaddr(a, &s);
    const int fd = socket(s.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) return -1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){ 1 }, sizeof(int));
    if ((a->family == 4 || setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &(int){ 0 }, sizeof(int)) == 0) &&
        bind(fd, (const struct sockaddr *)&s, n) == 0 && listen(fd, BACKLOG) == 0)
        return fd;
    const int error = errno;
    close(fd);
    errno = error;
    return -1;
}

/* On all interfaces: one socket for IPv6 and IPv4, or IPv4's where the kernel has no IPv6. */
static int listen_everywhere(uint16_t port)
{
    const int fd = listen_at(&(struct cr_address){ .family = 6, .port = port });
    if (fd >= 0 || (errno != EAFNOSUPPORT && errno != EPROTONOSUPPORT && errno != EADDRNOTAVAIL)) return fd;
    return listen_at(&(struct cr_address){ .family = 4, .port = port });
}

static void explain(int error, const struct cr_address *only, uint16_t port, struct cr_error *e)
{
    char where[CR_ADDRESS_TEXT] = "all interfaces";
    if (only) cr_address_text(only, where);
    switch (error) {
    case EADDRINUSE:
        cr_fail(e, CR_E_IO, "TCP port %u on %s is taken by another program (see `ss -ltnp`): name another, as in "
                "MASTER_PORT", (unsigned)port, where);
        break;
    case EACCES:
        cr_fail(e, CR_E_IO, "TCP port %u on %s is not allowed to this user: name one above 1023, as in MASTER_PORT",
                (unsigned)port, where);
        break;
    case EADDRNOTAVAIL:
        cr_fail(e, CR_E_IO, "%s is no address of this host (see `ip address`): cannot listen there", where);
        break;
    default:
        cr_fail(e, CR_E_IO, "cannot listen on TCP port %u on %s: %s", (unsigned)port, where, strerror(error));
        break;
    }
}

struct cr_door *cr_door_open(const struct cr_address *only, uint16_t port, struct cr_error *e)
{
    struct cr_door *const d = calloc(1, sizeof *d);
    if (!d) {
        cr_fail(e, CR_E_NOMEM, "no memory for listening");
        return NULL;
    }
    struct cr_address at = only ? *only : (struct cr_address){ 0 };
    at.port = port;
    d->fd = only ? listen_at(&at) : listen_everywhere(port);
    struct sockaddr_storage s;
    socklen_t n = sizeof s;
    if (d->fd < 0 || getsockname(d->fd, (struct sockaddr *)&s, &n) < 0) {
        explain(errno, only ? &at : NULL, port, e);
        cr_door_close(d);
        return NULL;
    }
    cr_address_from(&at, (const struct sockaddr *)&s);
    d->port = at.port;
    return d;
}

void cr_door_close(struct cr_door *d)
{
    if (!d) return;
    for (int i = 0; i < d->guests; i++) cr_shake_drop(&d->guest[i].shake);
    if (d->fd >= 0) close(d->fd);
    free(d);
}

uint16_t cr_door_port(const struct cr_door *d)
{
    return d->port;
}

void cr_door_expect(struct cr_door *d, const struct cr_key *key, const struct cr_hello *ours)
{
    d->key = key;
    d->ours = ours;
}

int cr_door_poll(const struct cr_door *d, struct pollfd *p, int64_t *deadline)
{
    const int shut = d->shut_until > cr_clock();
    p[0] = (struct pollfd){ .fd = d->ours && !shut ? d->fd : -1, .events = POLLIN };
    if (shut && d->shut_until < *deadline) *deadline = d->shut_until;
    for (int i = 0; i < d->guests; i++) {
        p[1 + i] = (struct pollfd){ .fd = d->guest[i].shake.fd, .events = cr_shake_events(&d->guest[i].shake) };
        if (d->guest[i].until < *deadline) *deadline = d->guest[i].until;
    }
    return 1 + d->guests;
}

static void send_away(struct guest *g, const struct callbacks *call, const struct cr_error *why)
{
    cr_shake_drop(&g->shake);
    if (call->refused) call->refused(call->user, &g->from, why);
}

/* Take guest i out of the row, whose shake is used up. */
static void leave(struct cr_door *d, int i)
{
    memmove(&d->guest[i], &d->guest[i + 1], (size_t)(--d->guests - i) * sizeof *d->guest);
}

/* Go on with guest i. 1 = it stays. */
static int attend(struct cr_door *d, int i, const struct callbacks *call)
{
    struct guest *const g = &d->guest[i];
    struct cr_connection c;
    struct cr_error e;
    int rc = cr_shake_step(&g->shake, &e);
    if (rc == 0) return 1;
    if (rc > 0) rc = cr_shake_finish(&g->shake, &c, &e);
    if (rc == 0)
        call->welcome(call->user, &c);
    else
        send_away(g, call, &e);
    leave(d, i);
    return 0;
}

/* Make room: the oldest goes who has not even said a hello of this run, else the oldest of all. */
static void evict(struct cr_door *d, const struct callbacks *call)
{
    int i = 0;
    while (i < d->guests && cr_handshake_theirs(d->guest[i].shake.handshake)) i++;
    if (i == d->guests) i = 0;
    struct cr_error e;
    cr_fail(&e, CR_E_PEER, "too many callers at once: the handshake was not finished when the next one knocked");
    send_away(&d->guest[i], call, &e);
    leave(d, i);
}

/* 1 = there may be more of them. */
static int accept_one(struct cr_door *d, const struct callbacks *call, int64_t now)
{
    struct sockaddr_storage s = { 0 };
    socklen_t n = sizeof s;
    const int fd = accept4(d->fd, (struct sockaddr *)&s, &n, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) {
        if (errno == EAGAIN || errno == EWOULDBLOCK) return 0;
        if (errno != EMFILE && errno != ENFILE && errno != ENOBUFS && errno != ENOMEM)
            return 1; /* EINTR, or an error of that one connection (accept(2)) */
        if (d->guests > 0) {
            evict(d, call);
            return 1;
        }
        d->shut_until = now + pause_without_fds; /* the caller waits in the kernel's queue meanwhile */
        return 0;
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){ 1 }, sizeof(int));
    if (d->guests == CR_DOOR_PENDING) evict(d, call);
    struct guest *const g = &d->guest[d->guests];
    struct cr_error e;
    *g = (struct guest){ .until = now + patience };
    cr_address_from(&g->from, (const struct sockaddr *)&s);
    if (cr_shake_begin(&g->shake, fd, d->key, d->ours, 1, &e) < 0) {
        send_away(g, call, &e);
        return 0;
    }
    d->guests++;
    attend(d, d->guests - 1, call); /* its hello has often come along */
    return 1;
}

void cr_door_serve(struct cr_door *d, const struct pollfd *p, int n,
                   void (*welcome)(void *user, struct cr_connection *c),
                   void (*refused)(void *user, const struct cr_address *from, const struct cr_error *why), void *user)
{
    const struct callbacks call = { welcome, refused, user };
    /* Those who are in first, so that a crowd outside does not push out who is about to finish. */
    for (int i = 0, at = 0; i < n - 1; i++)
        at += p[1 + i].revents ? attend(d, at, &call) : 1;

    const int64_t now = cr_clock();
    while (d->guests > 0 && d->guest[0].until <= now) {
        struct cr_error e;
        cr_fail(&e, CR_E_PEER, "the handshake was not finished within %d s: not a corering, or a connection that loses "
                "packets", (int)(patience / 1000000000));
        send_away(&d->guest[0], &call, &e);
        leave(d, 0);
    }
    for (int i = 0; i < AT_ONCE && n > 0 && p[0].revents && d->ours && accept_one(d, &call, now); i++) {
    }
}
