/* What is sent in one trade is cut into segments, each behind a head of its own:
 *
 *     head       32 bytes: checksum, then what the receiver knows beforehand and compares
 *     segment    SEGMENT bytes, the last one fewer; an empty trade is one empty segment
 *
 * Sealed, head and segment are each CR_SEAL_OVERHEAD longer. Numbers are in the hosts' own order of bytes, as the words
 * of the message are: from a host of another order no view is the expected one. */
#define _POSIX_C_SOURCE 200809L
#include "dist/tcp.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "dist/dial.h"
#include "dist/message.h"
#include "dist/seal.h"
#include "simd/crc32c.h"

/* So large that a system call counts little, so small that checksum and addition find the bytes in the cache. */
enum { SEGMENT = 4096 * CR_MESSAGE_ALIGN };
static const int64_t spin_ns = 50000;

struct head {
    uint32_t crc;     /* of the rest of the head and of the segment */
    uint32_t length;  /* of the segment, in clear */
    uint64_t view, collective;
    uint32_t segment; /* its number in this trade */
    uint32_t more;    /* segments that follow */
};
enum { HEAD = sizeof(struct head), RECORD = HEAD + SEGMENT + 2 * CR_SEAL_OVERHEAD };
_Static_assert(HEAD == 32 && RECORD % CR_MESSAGE_ALIGN == 0, "no padding on the wire, nor in memory");

struct link {
    atomic_int fd; /* -1 = none */
    struct cr_seal *seal;
};

struct tcp {
    struct cr_transport t;
    int spin;
    atomic_int cancelled;
    uint8_t *passing;   /* a segment that comes in and is not kept; behind it the two: */
    uint8_t *sealed[2]; /* records out and in */
    struct link link[]; /* (size) */
};

/* One direction of a trade. */
struct stream {
    int rank, fd, over;
    struct cr_seal *seal;
    uint8_t *sealed;     /* the record in work, when there is a seal */
    uint8_t *data;       /* all bytes; NULL = not kept */
    uint8_t *passing;    /* where those of a segment are then */
    size_t bytes;        /* of data */
    size_t begin, end;   /* the segment in work */
    struct head plan;    /* its head without the checksum */
    struct head head;    /* its head, sent or received */
    size_t head_wire, wire; /* lengths of head and of the whole record as they are sent */
    size_t done;         /* bytes of the record that are through */
    int ready;           /* out: checksum and seal are made; in: the head is looked at */
};

/* ---- errors ---- */

static int fail(const struct cr_transport *t, int rank, enum cr_err code, struct cr_error *e, const char *what)
{
    cr_fail(e, code, "rank %d %s (told by rank %d, view %llu, collective %llu)", rank, what, t->rank,
            (unsigned long long)t->view, (unsigned long long)t->collective);
    if (e) e->rank = rank;
    return -(int)code;
}

/* A connection ended: with an errno, or with 0 when the other side closed it. */
static int lost(const struct cr_transport *t, int rank, int number, struct cr_error *e)
{
    const struct tcp *const x = t->self;
    char what[128];
    if (atomic_load(&x->cancelled)) return fail(t, rank, CR_E_PEER, e, "is waited for no longer: cancelled");
    if (number == 0) return fail(t, rank, CR_E_PEER, e, "closed its connection");
    snprintf(what, sizeof what, "is not reached any more: %s", strerror(number));
    return fail(t, rank, CR_E_PEER, e, what);
}

/* ---- one direction ---- */

static void next_segment(const struct cr_transport *t, struct stream *s)
{
    const size_t rest = s->bytes - s->end, length = rest < SEGMENT ? rest : SEGMENT;
    const size_t overhead = s->seal ? CR_SEAL_OVERHEAD : 0;
    s->begin = s->end;
    s->end += length;
    s->plan = (struct head){
        .length = (uint32_t)length, .view = t->view, .collective = t->collective,
        .segment = (uint32_t)(s->begin / SEGMENT), .more = (uint32_t)((rest - length + SEGMENT - 1) / SEGMENT),
    };
    s->head_wire = HEAD + overhead;
    s->wire = s->head_wire + length + overhead;
    s->done = 0;
    s->ready = 0;
}

static struct stream stream_of(const struct cr_transport *t, int rank, void *data, size_t bytes, int incoming)
{
    struct tcp *const x = t->self;
    if (rank < 0) return (struct stream){ .rank = rank, .over = 1 };
    struct stream s = {
        .rank = rank, .fd = atomic_load(&x->link[rank].fd), .seal = x->link[rank].seal, .sealed = x->sealed[incoming],
        .data = data, .passing = x->passing, .bytes = bytes,
    };
    next_segment(t, &s);
    return s;
}

static uint8_t *segment_of(const struct stream *s) { return s->data ? s->data + s->begin : s->passing; }

static int whole(const struct stream *s) { return s->done == s->wire; }

/* After a whole record. */
static void advance(const struct cr_transport *t, struct stream *s)
{
    s->over = s->end == s->bytes;
    if (!s->over) next_segment(t, s);
}

/* What is left of the record in work, as recvmsg and sendmsg want it. */
static struct msghdr rest_of(struct stream *s, struct iovec v[2])
{
    struct msghdr m = { .msg_iov = v, .msg_iovlen = 1 };
    if (s->seal) {
        v[0] = (struct iovec){ s->sealed + s->done, s->wire - s->done };
    } else if (s->done >= HEAD) {
        v[0] = (struct iovec){ segment_of(s) + (s->done - HEAD), s->wire - s->done };
    } else {
        v[0] = (struct iovec){ (uint8_t *)&s->head + s->done, HEAD - s->done };
        v[1] = (struct iovec){ segment_of(s), s->end - s->begin };
        m.msg_iovlen = 2;
    }
    return m;
}

static uint32_t checksum(const struct stream *s)
{
    const uint32_t crc = cr_crc32c(0, (const uint8_t *)&s->head + sizeof s->head.crc, HEAD - sizeof s->head.crc);
    return cr_crc32c(crc, segment_of(s), s->end - s->begin);
}

/* ---- sending ---- */

static void make_record(struct stream *s)
{
    s->head = s->plan;
    s->head.crc = checksum(s);
    if (s->seal) {
        cr_seal_lock(s->seal, s->sealed, &s->head, HEAD);
        cr_seal_lock(s->seal, s->sealed + s->head_wire, segment_of(s), s->end - s->begin);
    }
    s->ready = 1;
}

/* How many of the bytes may be overwritten. */
static size_t sent(const struct stream *s)
{
    if (s->over) return SIZE_MAX;
    if (s->seal) return s->ready ? s->end : s->begin;
    return s->begin + (s->done > HEAD ? s->done - HEAD : 0);
}

/* Send what the socket takes of one record. 1 = something, 0 = nothing now, negative = failed; likewise pull. */
static int push(const struct cr_transport *t, struct stream *s, struct cr_error *e)
{
    struct iovec v[2];
    if (!s->ready) make_record(s);
    const struct msghdr m = rest_of(s, v);
    const ssize_t n = sendmsg(s->fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0) return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR ? 0 : lost(t, s->rank, errno, e);
    s->done += (size_t)n;
    if (whole(s)) advance(t, s);
    return 1;
}

/* ---- receiving ---- */

static int forged(const struct cr_transport *t, const struct stream *s, struct cr_error *e)
{
    return fail(t, s->rank, CR_E_PEER, e, "sent a frame that its seal does not fit: forged, or damaged on the way");
}

static int check_head(const struct cr_transport *t, struct stream *s, struct cr_error *e)
{
    if (s->seal && cr_seal_open(s->seal, &s->head, s->sealed, s->head_wire, NULL) < 0) return forged(t, s, e);
    const struct head *const h = &s->head, *const p = &s->plan;
    s->ready = 1;
    if (h->view != p->view) return fail(t, s->rank, CR_E_PEER, e, "sent a frame of another view");
    if (h->collective != p->collective) return fail(t, s->rank, CR_E_PEER, e, "sent a frame of another collective");
    if (h->segment != p->segment || h->more != p->more || h->length != p->length)
        return fail(t, s->rank, CR_E_PEER, e, "sent a message of another length");
    return 0;
}

static int check_segment(const struct cr_transport *t, struct stream *s, struct cr_error *e)
{
    if (s->seal && cr_seal_open(s->seal, segment_of(s), s->sealed + s->head_wire, s->wire - s->head_wire, NULL) < 0)
        return forged(t, s, e);
    if (checksum(s) != s->head.crc)
        return fail(t, s->rank, CR_E_PEER, e, "sent a frame that arrived damaged: its checksum is wrong");
    return 0;
}

static int pull(const struct cr_transport *t, struct stream *s, struct cr_error *e)
{
    struct iovec v[2];
    struct msghdr m = rest_of(s, v);
    const ssize_t n = recvmsg(s->fd, &m, MSG_DONTWAIT);
    if (n < 0) return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR ? 0 : lost(t, s->rank, errno, e);
    if (n == 0) return lost(t, s->rank, 0, e);
    s->done += (size_t)n;
    if (!s->ready && s->done >= s->head_wire) CR_TRY(check_head(t, s, e));
    if (whole(s)) CR_TRY(check_segment(t, s, e));
    return 1;
}

/* Tell of a whole segment, unless that has to wait for what goes out. */
static int deliver(const struct cr_transport *t, struct stream *s, const struct stream *out,
                   const struct cr_arrival *arrival)
{
    if (arrival && arrival->after_sent && sent(out) < s->end) return 0;
    if (arrival && s->end > s->begin) arrival->arrived(arrival->user, s->begin, s->end, segment_of(s));
    advance(t, s);
    return 1;
}

/* ---- both ---- */

/* Until one of the sockets is ready. */
static int wait_for(const struct cr_transport *t, const struct stream *out, const struct stream *in, int64_t deadline,
                    struct cr_error *e)
{
    struct pollfd p[2];
    nfds_t n = 0;
    const int left = cr_clock_left(deadline);
    if (left == 0) return fail(t, in->over ? out->rank : in->rank, CR_E_TIMEOUT, e, "did not answer in time");
    if (!in->over && !whole(in)) p[n++] = (struct pollfd){ .fd = in->fd, .events = POLLIN };
    if (!out->over && n == 1 && in->fd == out->fd)
        p[0].events |= POLLOUT;
    else if (!out->over)
        p[n++] = (struct pollfd){ .fd = out->fd, .events = POLLOUT };
    if (poll(p, n, left) < 0 && errno != EINTR) return cr_fail(e, CR_E_IO, "poll: %s", strerror(errno));
    return 0;
}

static int trade(struct cr_transport *t, int to, const void *out_data, size_t out_bytes, int from, void *in_data,
                 size_t in_bytes, const struct cr_arrival *arrival, int64_t deadline, struct cr_error *e)
{
    const struct tcp *const x = t->self;
    /* Sending only reads, through the same struct iovec. */
    struct stream out = stream_of(t, to, (void *)(uintptr_t)out_data, out_bytes, 0);
    struct stream in = stream_of(t, from, in_data, in_bytes, 1);
    int64_t idle = 0; /* since when, 0 = not */
    if (!out.over && out.fd < 0) return fail(t, to, CR_E_PEER, e, "has no connection");
    if (!in.over && in.fd < 0) return fail(t, from, CR_E_PEER, e, "has no connection");
    while (!out.over || !in.over) {
        int moved = 0, rc;
        if (!out.over) {
            CR_TRY(rc = push(t, &out, e));
            moved |= rc;
        }
        if (!in.over && !whole(&in)) {
            CR_TRY(rc = pull(t, &in, e));
            moved |= rc;
        }
        if (!in.over && whole(&in)) moved |= deliver(t, &in, &out, arrival);
        if (moved) {
            idle = 0;
            continue;
        }
        if (x->spin) {
            const int64_t now = cr_clock();
            if (idle == 0) idle = now;
            if (now - idle < spin_ns) continue;
        }
        CR_TRY(wait_for(t, &out, &in, deadline, e));
    }
    return 0;
}

static void cancel(struct cr_transport *t)
{
    struct tcp *const x = t->self;
    atomic_store(&x->cancelled, 1);
    for (int i = 0; i < t->size; i++) {
        const int fd = atomic_load(&x->link[i].fd);
        if (fd >= 0) shutdown(fd, SHUT_RDWR);
    }
}

static void leave(struct cr_transport *t)
{
    struct tcp *const x = t->self;
    for (int i = 0; i < t->size; i++) {
        const int fd = atomic_load(&x->link[i].fd);
        if (fd >= 0) close(fd);
        cr_seal_free(x->link[i].seal);
    }
    free(x->passing);
    free(x);
}

struct cr_transport *cr_tcp_new(int rank, int size, int spin)
{
    struct tcp *const x = calloc(1, sizeof *x + (size_t)size * sizeof x->link[0]);
    if (!x) return NULL;
    x->passing = aligned_alloc(CR_MESSAGE_ALIGN, SEGMENT + 2 * RECORD); /* costs nothing until it is written to */
    if (!x->passing) {
        free(x);
        return NULL;
    }
    x->sealed[0] = x->passing + SEGMENT;
    x->sealed[1] = x->sealed[0] + RECORD;
    x->spin = spin;
    x->t = (struct cr_transport){
        .rank = rank, .size = size, .trade = trade, .cancel = cancel, .free = leave, .self = x,
    };
    for (int i = 0; i < size; i++) atomic_init(&x->link[i].fd, -1);
    return &x->t;
}

void cr_tcp_link(struct cr_transport *t, int peer, int fd, struct cr_seal *seal)
{
    struct tcp *const x = t->self;
    cr_tcp_tune(fd);
    x->link[peer].seal = seal;
    atomic_store(&x->link[peer].fd, fd);
    if (atomic_load(&x->cancelled)) shutdown(fd, SHUT_RDWR); /* cancel may have looked before there was a link */
}

void cr_tcp_tune(int fd)
{
    const int on = 1;
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    fcntl(fd, F_SETFD, FD_CLOEXEC);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
}
