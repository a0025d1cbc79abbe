/* Connecting to another process of the run: the candidates' addresses in turn, then the handshake. */
#ifndef CR_DIST_DIAL_H
#define CR_DIST_DIAL_H

#include "dist/address.h"
#include "dist/handshake.h"

struct cr_seal;

/* A connected, authenticated, non-blocking stream, and its seal when agreement->secure. */
struct cr_connection {
    int fd;
    struct cr_seal *seal;   /* or NULL; owned, like fd */
    struct cr_hello theirs;
    struct cr_address peer, own; /* of this connection's two ends */
};
/* Close and free; fd is -1 afterwards. */
void cr_connection_close(struct cr_connection *c);

/* "rank 3 at 10.0.0.3:4711", "the arbiter"; address may be NULL. */
enum { CR_PEER_TEXT = 96 };
void cr_peer_text(int rank, const struct cr_address *address, char text[CR_PEER_TEXT]);

/* Dial ours->to. Addresses are tried with a stagger of 250 ms side by side (as in Happy Eyeballs, RFC 8305), and the
 * first whose handshake ends well wins. Only one of them at a time is brought to its end, so that the listener welcomes
 * one connection, not several. A link-local IPv6 address is tried on each interface of this host, for its scope is
 * another host's number. Each address is tried once: who knows that the listener may not be up yet dials again.
 *   cancelled  asked at least every 100 ms, NULL = never; 1 ends the attempt (-CR_E_INTERRUPTED)
 *   deadline   CLOCK_MONOTONIC in ns
 * 0; -CR_E_PEER (all have failed), -CR_E_REFUSED (and one of them for a difference that lasts) or -CR_E_TIMEOUT says
 * what each address answered and what to do: refused, no route, filtered, wrong build, ... -CR_E_NOMEM. Any thread. */
int cr_dial(struct cr_connection *c, const struct cr_address *list, int count, const struct cr_key *key,
            const struct cr_hello *ours, int64_t deadline, int (*cancelled)(void *user), void *user,
            struct cr_error *e);

/* CLOCK_MONOTONIC in ns. */
int64_t cr_clock(void);
/* Milliseconds until a deadline, for poll(): rounded up, 0 when it has passed. */
int cr_clock_left(int64_t deadline);

#endif
