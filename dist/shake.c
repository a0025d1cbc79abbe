#define _POSIX_C_SOURCE 200809L
#include "dist/shake.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "dist/hmac.h"
#include "dist/seal.h"

int cr_shake_begin(struct cr_shake *s, int fd, const struct cr_key *key, const struct cr_hello *ours, int listening,
                   struct cr_error *e)
{
    *s = (struct cr_shake){
        .fd = fd, .key = key, .listening = listening, .secure = ours->common.secure, .turn = listening
    };
    s->handshake = cr_handshake_new(key, ours, listening);
    if (s->handshake) return 0;
    cr_shake_drop(s);
    return cr_fail(e, CR_E_NOMEM, "no memory or no random numbers for a handshake");
}

void cr_shake_drop(struct cr_shake *s)
{
    if (s->fd >= 0) close(s->fd);
    cr_handshake_free(s->handshake);
    s->fd = -1;
    s->handshake = NULL;
}

/* A listener is through when it has the dialer's proof, and without a key when it has the hello. Before that, a dialer
 * that reaches one listener by several addresses holds all but one of its connections back. */
int cr_shake_waits_for_turn(const struct cr_shake *s)
{
    return !s->turn && (s->key->none || cr_handshake_theirs(s->handshake));
}

short cr_shake_events(const struct cr_shake *s)
{
    if (cr_shake_waits_for_turn(s)) return 0;
    return s->left ? POLLOUT : POLLIN;
}

static int failed(struct cr_error *e)
{
    if (errno == ECONNRESET || errno == EPIPE)
        return cr_fail(e, CR_E_PEER, "the connection was reset during the handshake: the process there has ended, or "
                       "has too many callers");
    return cr_fail(e, CR_E_PEER, "the connection broke during the handshake: %s", strerror(errno));
}

/* 1 = nothing is left to be sent, 0 = the socket takes no more now. */
static int send_left(struct cr_shake *s, struct cr_error *e)
{
    for (;;) {
        if (!s->left) s->left = cr_handshake_output(s->handshake, (const void **)&s->out);
        if (!s->left) return 1;
        const ssize_t n = send(s->fd, s->out, s->left, MSG_NOSIGNAL);
        if (n >= 0) {
            s->out += n;
            s->left -= (size_t)n;
        } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
            return 0;
        } else if (errno != EINTR) {
            return failed(e);
        }
    }
}

/* Bytes are looked at first and then taken as far as the handshake goes: what follows is the channel's.
 * 1 = something came, 0 = nothing now. */
static int receive(struct cr_shake *s, struct cr_error *e)
{
    uint8_t bytes[CR_HELLO_BYTES + CR_MAC_BYTES];
    const ssize_t n = recv(s->fd, bytes, sizeof bytes, MSG_PEEK);
    if (n < 0) {
        if (errno == EINTR) return 1;
        return errno == EAGAIN || errno == EWOULDBLOCK ? 0 : failed(e);
    }
    if (n == 0) return cr_handshake_closed(s->handshake, e);

    size_t used;
    const int rc = cr_handshake_feed(s->handshake, bytes, (size_t)n, &used, e);
    for (size_t taken = 0; taken < used;) {
        const ssize_t m = recv(s->fd, bytes, used - taken, 0);
        if (m > 0)
            taken += (size_t)m;
        else if (m == 0 || errno != EINTR)
            return failed(e);
    }
    if (rc < 0) {
        send_left(s, NULL); /* our hello, by which the other side can name the difference too */
        return rc;
    }
    s->done = rc;
    return 1;
}

int cr_shake_step(struct cr_shake *s, struct cr_error *e)
{
    for (;;) {
        if (cr_shake_waits_for_turn(s)) return 0;
        int rc = send_left(s, e);
        if (rc <= 0) return rc;
        if (s->done) return 1;
        rc = receive(s, e);
        if (rc <= 0) return rc;
    }
}

static struct cr_address end_of(int fd, int (*ask)(int, struct sockaddr *, socklen_t *))
{
    struct cr_address a = { 0 };
    struct sockaddr_storage s = { 0 };
    socklen_t n = sizeof s;
    if (ask(fd, (struct sockaddr *)&s, &n) == 0) cr_address_from(&a, (const struct sockaddr *)&s);
    return a;
}

int cr_shake_finish(struct cr_shake *s, struct cr_connection *c, struct cr_error *e)
{
    *c = (struct cr_connection){
        .fd = s->fd, .theirs = *cr_handshake_theirs(s->handshake), .peer = end_of(s->fd, getpeername),
        .own = end_of(s->fd, getsockname),
    };
    if (s->secure) {
        uint8_t secret[32];
        cr_handshake_secret(s->handshake, secret);
        c->seal = cr_seal_new(secret, !s->listening, e);
        cr_wipe(secret, sizeof secret);
        if (!c->seal) {
            c->fd = -1;
            cr_shake_drop(s);
            return e ? -(int)e->code : -CR_E_NOMEM;
        }
    }
    s->fd = -1;
    cr_shake_drop(s);
    return 0;
}
