/* The transport over sockets that are already connected and authenticated (dist/dial.h, dist/door.h). */
#ifndef CR_DIST_TCP_H
#define CR_DIST_TCP_H

#include "dist/transport.h"

struct cr_seal;

/* A transport for rank of size without any link yet; NULL when out of memory. spin: may wait up to 50 us by spinning
 * before it polls (not when threads exceed cores). */
struct cr_transport *cr_tcp_new(int rank, int size, int spin);
/* Take over a connected stream socket to a peer, and its seal (NULL = in the clear; dist/seal.h). Both are closed and
 * freed with the transport. */
void cr_tcp_link(struct cr_transport *t, int peer, int fd, struct cr_seal *seal);

/* Set what a stream socket between ranks wants: TCP_NODELAY, non-blocking, close-on-exec, keep-alive. Buffers are left
 * to the kernel, which fits them to the link; no fixed size was measured to be faster. */
void cr_tcp_tune(int fd);

#endif
