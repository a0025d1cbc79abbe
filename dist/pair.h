/* Both ends of a TCP connection over this machine's loopback: for benches and tests of what runs over sockets. */
#ifndef CR_DIST_PAIR_H
#define CR_DIST_PAIR_H

#include "simd/error.h"

/* The caller closes both. 0, or -CR_E_IO. */
int cr_pair(int fd[2], struct cr_error *e);

#endif
