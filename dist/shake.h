/* A handshake over a non-blocking socket: what dialling (dist/dial.c) and listening (dist/door.c) have in common. */
#ifndef CR_DIST_SHAKE_H
#define CR_DIST_SHAKE_H

#include "dist/dial.h"

struct cr_shake {
    int fd;
    struct cr_handshake *handshake;
    const struct cr_key *key;
    int listening, secure;
    int turn;              /* may this side do what ends the handshake for the other? A listener always */
    int done;
    const uint8_t *out;    /* what is left to be sent */
    size_t left;
};

/* Begin; fd is owned from here on, whatever the outcome, key by reference. 0 or -CR_E_NOMEM. */
int cr_shake_begin(struct cr_shake *s, int fd, const struct cr_key *key, const struct cr_hello *ours, int listening,
                   struct cr_error *e);
/* Close and free. */
void cr_shake_drop(struct cr_shake *s);

/* Go on as far as the socket allows. 1 = done, 0 = more is needed, -CR_E_PEER or -CR_E_REFUSED = refused,
 * by either side. */
int cr_shake_step(struct cr_shake *s, struct cr_error *e);
/* Without a turn: has everything been done that comes before it? */
int cr_shake_waits_for_turn(const struct cr_shake *s);
/* What to poll for: POLLIN, POLLOUT, or 0 while it waits for its turn. */
short cr_shake_events(const struct cr_shake *s);

/* Turn a finished handshake into a connection, to peer. *s is used up, whatever the outcome. 0, -CR_E_NOMEM,
 * -CR_E_USAGE (dist/seal.h). */
int cr_shake_finish(struct cr_shake *s, struct cr_connection *c, struct cr_error *e);

#endif
