/* A listening socket that hands out only authenticated connections.
 *
 * Strangers cost nothing but a slot: at most 64 handshakes are pending (the oldest unfinished one goes when another
 * knocks), each has 5 s, and nothing they send disturbs the run. Meant for a poll loop. One thread. */
#ifndef CR_DIST_DOOR_H
#define CR_DIST_DOOR_H

#include <poll.h>

#include "dist/dial.h"

enum { CR_DOOR_PENDING = 64 };

struct cr_door;

/* Listen on a port, 0 = any free one, on all interfaces (IPv6 and IPv4), or on one address (`only`, else NULL).
 * NULL and *e says which port and why not. */
struct cr_door *cr_door_open(const struct cr_address *only, uint16_t port, struct cr_error *e);
void cr_door_close(struct cr_door *d);
uint16_t cr_door_port(const struct cr_door *d);
/* Whom to let in: key and the hello to answer with, kept by reference. */
void cr_door_expect(struct cr_door *d, const struct cr_key *key, const struct cr_hello *ours);

/* Put what to poll for into p (room for CR_DOOR_PENDING + 1); returns how many. *deadline is lowered to the time of
 * the next expiry (CLOCK_MONOTONIC ns). */
int cr_door_poll(const struct cr_door *d, struct pollfd *p, int64_t *deadline);
/* After poll, with the same array: do what is ready. Each connection that is through is handed to
 * welcome(user, connection), which owns it from then on; each that was refused is told to refused(user, why), which
 * may be NULL. */
void cr_door_serve(struct cr_door *d, const struct pollfd *p, int n,
                   void (*welcome)(void *user, struct cr_connection *c),
                   void (*refused)(void *user, const struct cr_address *from, const struct cr_error *why), void *user);

#endif
