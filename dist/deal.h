/* Which rank takes how many blocks: weights that follow measured speed.
 *
 * A pure function of committed messages, in integers, so all ranks always agree. Speed is blocks per nanosecond over a
 * window of steps, of which the slowest does not count. New weights are taken when, at these speeds, the blocks of a
 * step would be done sooner by more than a few per cent: counted in whole blocks, so where they are few and the gain
 * is none, nothing moves. A large gain is taken early in the window. */
#ifndef CR_DIST_DEAL_H
#define CR_DIST_DEAL_H

#include "dist/comm.h"

struct cr_deal {
    int size;
    int64_t share[CR_MAX_RANKS];    /* (size) weights, > 0 */
    long blocks;                    /* most of a step in this window */
    int steps;                      /* of this window */
    struct cr_deal_rank {
        int64_t speed;              /* as last known; 0 = not yet */
        int64_t time, blocks;       /* gathered in this window */
        int64_t slowest, slowest_blocks; /* the part of that which does not count */
    } rank[CR_MAX_RANKS];
};

/* Begin with weights (slots, or speeds known from before); all greater than 0. */
void cr_deal_init(struct cr_deal *d, int size, const int64_t *weight);
/* Words of a message's sum64 section that a deal needs for each rank: nanoseconds and blocks. */
enum { CR_DEAL_WORDS = 2 };
/* A committed step: took[2 * rank] nanoseconds for took[2 * rank + 1] blocks. 1 if the shares changed. */
int cr_deal_update(struct cr_deal *d, const int64_t *took);

#endif
