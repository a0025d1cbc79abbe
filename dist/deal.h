/* Which rank takes how many blocks: weights that follow measured speed.
 *
 * A pure function of committed messages, in integers, so all ranks always agree. Speed is blocks per nanosecond over
 * the last steps, smoothed; a change of less than a few per cent is left alone. */
#ifndef CR_DIST_DEAL_H
#define CR_DIST_DEAL_H

#include "dist/comm.h"

struct cr_deal {
    int size;
    int64_t share[CR_MAX_RANKS];    /* (size) weights, > 0 */
    int64_t time[CR_MAX_RANKS], blocks[CR_MAX_RANKS]; /* (size) gathered since the last change */
    int64_t steps;                  /* since then */
};

/* Begin with weights (slots, or speeds known from before); all greater than 0. */
void cr_deal_init(struct cr_deal *d, int size, const int64_t *weight);
/* Words of a message's sum64 section that a deal needs for `size` ranks: nanoseconds and blocks of each. */
enum { CR_DEAL_WORDS = 2 };
/* A committed step: took[2 * rank] nanoseconds for took[2 * rank + 1] blocks. 1 if the shares changed. */
int cr_deal_update(struct cr_deal *d, const int64_t *took);

#endif
