#include "dist/comm.h"

/* Weights are cut to this many bits together, so that products with them stay within 64. */
enum { WEIGHT_BITS = 26 };

static void cut(const int64_t *share, int size, int64_t *weight, int64_t *all)
{
    int bits = 0;
    *all = 0;
    for (int i = 0; i < size; i++) *all += share[i];
    while (*all >> bits >> WEIGHT_BITS) bits++;
    *all = 0;
    for (int i = 0; i < size; i++) *all += weight[i] = share[i] >> bits;
}

void cr_comm_deal(const int64_t *share, int size, long blocks, long *count)
{
    int64_t weight[CR_MAX_RANKS], late[CR_MAX_RANKS], all;
    long left = blocks;
    cut(share, size, weight, &all);
    /* What each has finished at the time T = blocks / all, when all together have finished `blocks`: whole blocks of
     * blocks * weight / all, without the product of all of blocks. Its next one is finished at T + late / weight,
     * late being counted in 1 / all. */
    for (int i = 0; i < size; i++) {
        const int64_t rest = blocks % all * weight[i];
        count[i] = (long)(blocks / all * weight[i] + rest / all);
        late[i] = all - rest % all;
        left -= count[i];
    }
    /* The others go one by one to who finishes first; on a tie to the lowest. */
    for (; left > 0; left--) {
        int best = -1;
        for (int i = 0; i < size; i++)
            if (weight[i] && (best < 0 || late[i] * weight[best] < late[best] * weight[i])) best = i;
        count[best]++;
        late[best] += all;
    }
}

long cr_comm_first(const struct cr_comm *c, long blocks, int rank)
{
    long count[CR_MAX_RANKS], first = 0;
    cr_comm_deal(c->share, c->size, blocks, count);
    for (int i = 0; i < rank; i++) first += count[i];
    return first;
}
