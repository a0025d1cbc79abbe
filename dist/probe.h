/* What a connection between two hosts is good for: does it pass large packets, how long does a word take, how many
 * bytes fit through. One side asks, the other answers, over an authenticated connection (CR_CHANNEL_PROBE). */
#ifndef CR_DIST_PROBE_H
#define CR_DIST_PROBE_H

#include "dist/dial.h"

struct cr_probe {
    struct cr_frames *frames; /* owned */
};

/* Take over a connection; -CR_E_NOMEM closes it. Close with cr_probe_close. */
int cr_probe_open(struct cr_probe *p, struct cr_connection *c, struct cr_error *e);
void cr_probe_close(struct cr_probe *p);

/* ---- the side that asks; each waits at most a few seconds; 0, -CR_E_PEER, -CR_E_TIMEOUT ---- */

/* Median of 21 round trips of a few bytes, in seconds. */
int cr_probe_latency(struct cr_probe *p, double *seconds, struct cr_error *e);
/* Does a packet of full size arrive? 64 KB are sent, and acknowledged by a few bytes. -CR_E_TIMEOUT, when small ones
 * pass, means an MTU black hole: something on the way drops large packets and says nothing. The connection is of no
 * use afterwards. */
int cr_probe_large(struct cr_probe *p, struct cr_error *e);
/* Bytes per second to the other side, or from it: amounts double until one takes 100 ms, 64 MiB at most. */
int cr_probe_send_rate(struct cr_probe *p, double *rate, struct cr_error *e);
int cr_probe_receive_rate(struct cr_probe *p, double *rate, struct cr_error *e);

/* ---- the side that answers ---- */

/* Answer until the other side closes, 30 s pass without a request, or it breaks the protocol. */
void cr_probe_answer(struct cr_probe *p);

#endif
