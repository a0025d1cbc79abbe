#define _DEFAULT_SOURCE /* if_nameindex's interfaces, SOCK_CLOEXEC */
#include "dist/dial.h"

#include <errno.h>
#include <limits.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "dist/seal.h"
#include "dist/shake.h"

enum { MAX_ATTEMPTS = 48, NAMED = 3 /* addresses in a message, of one kind */ };

static const int64_t millisecond = 1000000;
static const int64_t stagger = 250 * 1000000LL; /* RFC 8305, section 8: Connection Attempt Delay */
static const int64_t turn = 1000 * 1000000LL;   /* after which the next connection gets its turn as well */

int64_t cr_clock(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

int cr_clock_left(int64_t deadline)
{
    const int64_t now = cr_clock();
    if (deadline <= now) return 0;
    const int64_t left = (deadline - now - 1) / millisecond + 1;
    return left < INT_MAX ? (int)left : INT_MAX;
}

void cr_connection_close(struct cr_connection *c)
{
    if (c->fd >= 0) close(c->fd);
    cr_seal_free(c->seal);
    c->fd = -1;
    c->seal = NULL;
}

void cr_peer_text(int rank, const struct cr_address *address, char text[CR_PEER_TEXT])
{
    char who[24] = "the arbiter", where[CR_ADDRESS_TEXT] = "";
    if (rank != CR_RANK_ARBITER) snprintf(who, sizeof who, "rank %d", rank);
    if (address) cr_address_text(address, where);
    snprintf(text, CR_PEER_TEXT, "%s%s%s", who, address ? " at " : "", where);
}

/* How far an attempt is, and then what became of it; the most telling answers come first. */
enum state {
    WAITING, CONNECTING, SHAKING,
    /* ended */ SAID_NO, REFUSED, FORBIDDEN, NO_ROUTE, BROKEN, SILENT, FILTERED, NOT_TRIED,
    STATES
};

struct attempt {
    struct cr_address address;
    enum state state;
    struct cr_shake shake;
    int lasting;   /* of SAID_NO: for as long as both processes live */
    char why[256]; /* of SAID_NO and BROKEN */
};

struct dial {
    const struct cr_key *key;
    const struct cr_hello *ours;
    struct attempt attempt[MAX_ATTEMPTS];
    int count, started, given_turns;
    int64_t next;      /* when the next one starts */
    int64_t next_turn;
};

static void add(struct dial *d, const struct cr_address *a)
{
    if (d->count == MAX_ATTEMPTS) return;
    d->attempt[d->count].address = *a;
    d->attempt[d->count++].state = WAITING;
}

static void add_on_each_interface(struct dial *d, struct cr_address a)
{
    const uint32_t first = a.scope;
    if (first) add(d, &a);
    struct if_nameindex *const all = if_nameindex();
    for (const struct if_nameindex *i = all; i && i->if_index; i++) {
        a.scope = i->if_index;
        if (a.scope != first) add(d, &a);
    }
    if (all) if_freenameindex(all);
}

static int in_work(const struct attempt *a)
{
    return a->state == CONNECTING || a->state == SHAKING;
}

/* An attempt that has failed lets the next one start at once. */
static void give_up(struct dial *d, struct attempt *a, enum state state, const char *why)
{
    cr_shake_drop(&a->shake);
    a->state = state;
    snprintf(a->why, sizeof a->why, "%.255s", why);
    d->next = 0;
    if (a->shake.turn) d->next_turn = 0;
}

static void give_up_connecting(struct dial *d, struct attempt *a, int error)
{
    switch (error) {
    case ECONNREFUSED: give_up(d, a, REFUSED, ""); break;
    case EACCES:
    case EPERM: give_up(d, a, FORBIDDEN, ""); break;
    case ENETUNREACH:
    case EHOSTUNREACH:
    case ENETDOWN:
    case EHOSTDOWN:
    case EADDRNOTAVAIL:
    case EAFNOSUPPORT: give_up(d, a, NO_ROUTE, ""); break;
    case ETIMEDOUT: give_up(d, a, FILTERED, ""); break;
    default: give_up(d, a, BROKEN, strerror(error)); break;
    }
}

static int start(struct dial *d, struct attempt *a, struct cr_error *e)
{
    struct sockaddr_storage s;
    const socklen_t n = cr_address_sockaddr(&a->address, &s);
    a->shake = (struct cr_shake){ .fd = -1 };
    const int fd = socket(s.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        give_up_connecting(d, a, errno);
        return 0;
    }
    /* Small frames that alternate; dead peers are found by the pulses, sooner than keep-alive could. */
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){ 1 }, sizeof(int));
    CR_TRY(cr_shake_begin(&a->shake, fd, d->key, d->ours, 0, e));
    /* EINTR too leaves the connection coming up. */
    if (connect(fd, (const struct sockaddr *)&s, n) == 0 || errno == EINPROGRESS || errno == EINTR)
        a->state = CONNECTING;
    else
        give_up_connecting(d, a, errno);
    return 0;
}

/* Dialling a free port of this host's own can end in a connection with itself (simultaneous open). */
static int with_itself(int fd)
{
    struct sockaddr_storage own = { 0 }, peer = { 0 };
    socklen_t n = sizeof own, m = sizeof peer;
    return getsockname(fd, (struct sockaddr *)&own, &n) == 0 && getpeername(fd, (struct sockaddr *)&peer, &m) == 0 &&
           n == m && memcmp(&own, &peer, n) == 0;
}

/* 1 = this one has won. */
static int advance(struct dial *d, struct attempt *a)
{
    if (a->state == CONNECTING) {
        int error = 0;
        socklen_t n = sizeof error;
        if (getsockopt(a->shake.fd, SOL_SOCKET, SO_ERROR, &error, &n) < 0) error = errno;
        if (!error && with_itself(a->shake.fd)) error = ECONNREFUSED;
        if (error) {
            give_up_connecting(d, a, error);
            return 0;
        }
        a->state = SHAKING;
    }
    struct cr_error e;
    const int rc = cr_shake_step(&a->shake, &e);
    a->lasting = rc == -CR_E_REFUSED;
    if (rc < 0) give_up(d, a, SAID_NO, e.text);
    return rc == 1;
}

/* Let the first connection that is ready go on to the end, and after a while one more. The winner or NULL. */
static struct attempt *give_turn(struct dial *d, int64_t now)
{
    while (now >= d->next_turn) {
        struct attempt *next = NULL;
        for (int i = 0; i < d->started && !next; i++)
            if (d->attempt[i].state == SHAKING && cr_shake_waits_for_turn(&d->attempt[i].shake)) next = &d->attempt[i];
        if (!next) return NULL;
        d->next_turn = now + turn;
        next->shake.turn = 1;
        if (advance(d, next)) return next;
    }
    return NULL;
}

/* Wait until an attempt can go on, but not beyond `until`. The winner or NULL. */
static struct attempt *serve(struct dial *d, int64_t until)
{
    struct pollfd p[MAX_ATTEMPTS];
    for (int i = 0; i < d->started; i++) {
        const struct attempt *const a = &d->attempt[i];
        const short events = a->state == CONNECTING ? POLLOUT : in_work(a) ? cr_shake_events(&a->shake) : 0;
        p[i] = (struct pollfd){ .fd = events ? a->shake.fd : -1, .events = events };
    }
    const int ready = poll(p, (nfds_t)d->started, cr_clock_left(until));
    for (int i = 0; i < d->started && ready > 0; i++)
        if (p[i].revents && advance(d, &d->attempt[i])) return &d->attempt[i];
    return NULL;
}

/* ---- what to say when all have failed */

struct text {
    char *at;
    size_t room; /* with the final 0 */
};

static void __attribute__((format(printf, 2, 3))) append(struct text *t, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    const int n = vsnprintf(t->at, t->room, format, args);
    va_end(args);
    const size_t written = n < 0 ? 0 : (size_t)n < t->room ? (size_t)n : t->room - 1;
    t->at += written;
    t->room -= written;
}

/* "; 10.0.0.3:4711, 10.0.1.3:4711 and 2 more"; 0 when no attempt ended so. */
static int append_addresses(struct text *t, const struct dial *d, enum state state)
{
    int found = 0;
    for (int i = 0; i < d->count; i++) {
        char address[CR_ADDRESS_TEXT];
        if (d->attempt[i].state != state || found++ >= NAMED) continue;
        cr_address_text(&d->attempt[i].address, address);
        append(t, "%s%s", found == 1 ? "; " : ", ", address);
    }
    if (found > NAMED) append(t, " and %d more", found - NAMED);
    return found;
}

static void append_answers(struct text *t, const struct dial *d, enum state state)
{
    if (state == SAID_NO || state == BROKEN) {
        int found = 0;
        for (int i = 0; i < d->count; i++) {
            const struct attempt *const a = &d->attempt[i];
            char address[CR_ADDRESS_TEXT];
            if (a->state != state || found++ >= NAMED) continue;
            cr_address_text(&a->address, address);
            append(t, "; %s: %s", address, a->why);
        }
        return;
    }
    const int found = append_addresses(t, d, state);
    if (!found) return;
    const unsigned port = d->attempt[0].address.port;
    switch (state) {
    case REFUSED:
        append(t, " refused the connection (nothing listens there: is the process still running? or a firewall rejects "
               "it: open TCP port %u)", port);
        break;
    case FORBIDDEN: append(t, " forbidden by this host's own firewall (allow outgoing TCP to port %u)", port); break;
    case NO_ROUTE:
        append(t, " unreachable, no route (host down, no common network, or a firewall that rejects: see `ip route get "
               "ADDRESS`)");
        break;
    case SILENT:
        append(t, " took the connection but did not answer (the process hangs, or something else uses port %u)", port);
        break;
    case FILTERED:
        append(t, " did not answer at all (a firewall drops packets to TCP port %u: open it; or the host is down)",
               port);
        break;
    default: append(t, " not tried, for lack of time"); break;
    }
}

static int explain(struct dial *d, int64_t begun, enum cr_err code, struct cr_error *e)
{
    char text[sizeof e->text] = "", who[CR_PEER_TEXT];
    struct text t = { text, sizeof text };
    for (int i = 0; i < d->count; i++) {
        struct attempt *const a = &d->attempt[i];
        if (a->state == WAITING) a->state = NOT_TRIED;
        if (in_work(a)) give_up(d, a, a->state == CONNECTING ? FILTERED : SILENT, "");
        if (a->lasting) code = CR_E_REFUSED;
    }
    for (enum state s = SAID_NO; s < STATES; s++) append_answers(&t, d, s);
    cr_peer_text(d->ours->to, NULL, who);
    cr_fail(e, code, "no connection to %s after %.1f s: %s", who, (double)(cr_clock() - begun) / 1e9,
            text + strlen("; "));
    if (e) e->rank = d->ours->to;
    return -(int)code;
}

/* ---- */

static int any_in_work(const struct dial *d)
{
    for (int i = 0; i < d->started; i++)
        if (in_work(&d->attempt[i])) return 1;
    return 0;
}

static int run(struct dial *d, struct attempt **winner, int64_t deadline, int (*cancelled)(void *user), void *user,
               struct cr_error *e)
{
    const int64_t begun = cr_clock();
    for (int64_t now = begun;; now = cr_clock()) {
        char who[CR_PEER_TEXT];
        cr_peer_text(d->ours->to, NULL, who);
        if (cancelled && cancelled(user)) return cr_fail(e, CR_E_INTERRUPTED, "dialling %s was given up", who);
        if (now >= deadline) return explain(d, begun, CR_E_TIMEOUT, e);
        while (d->started < d->count && (now >= d->next || !any_in_work(d))) {
            d->next = now + stagger;
            CR_TRY(start(d, &d->attempt[d->started++], e));
        }
        if (!any_in_work(d)) return explain(d, begun, CR_E_PEER, e);

        int64_t until = deadline;
        if (d->started < d->count && d->next < until) until = d->next;
        if (cancelled && now + 100 * millisecond < until) until = now + 100 * millisecond;
        if (d->next_turn > now && d->next_turn < until) until = d->next_turn;
        if ((*winner = serve(d, until)) || (*winner = give_turn(d, cr_clock()))) return 0;
    }
}

int cr_dial(struct cr_connection *c, const struct cr_address *list, int count, const struct cr_key *key,
            const struct cr_hello *ours, int64_t deadline, int (*cancelled)(void *user), void *user,
            struct cr_error *e)
{
    char who[CR_PEER_TEXT];
    cr_peer_text(ours->to, NULL, who);
    struct dial *const d = calloc(1, sizeof *d);
    *c = (struct cr_connection){ .fd = -1 };
    if (!d) return cr_fail(e, CR_E_NOMEM, "no memory for dialling %s", who);
    d->key = key;
    d->ours = ours;
    for (int i = 0; i < count; i++) {
        if (list[i].family == 6 && cr_address_is_link_local(&list[i]))
            add_on_each_interface(d, list[i]);
        else
            add(d, &list[i]);
    }

    struct attempt *winner = NULL;
    int rc;
    if (d->count > 0) {
        rc = run(d, &winner, deadline, cancelled, user, e);
    } else {
        rc = cr_fail(e, CR_E_PEER, "no address of %s can be used: all it has are also those of another host, or "
                     "loopback; give its network interface an address of its own", who);
        if (e) e->rank = ours->to;
    }
    if (rc == 0) rc = cr_shake_finish(&winner->shake, c, e);
    for (int i = 0; i < d->started; i++)
        if (in_work(&d->attempt[i])) cr_shake_drop(&d->attempt[i].shake);
    free(d);
    return rc;
}
