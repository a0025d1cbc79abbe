#include "dist/comm.h"

/* Weights are cut to this many bits together, so that products with them stay within 64. */
enum { WEIGHT_BITS = 31 };

long cr_comm_first(const struct cr_comm *c, long blocks, int rank)
{
    int64_t before = 0, all = 0;
    for (int i = 0; i < c->size; i++) {
        if (i == rank) before = all;
        all += c->share[i];
    }
    if (rank >= c->size) before = all;
    while (all >> WEIGHT_BITS) {
        all >>= 1;
        before >>= 1;
    }
    /* blocks * before / all, rounded down, without the product of all of blocks. */
    return (long)(blocks / all * before + blocks % all * before / all);
}
