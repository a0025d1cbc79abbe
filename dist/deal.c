#include "dist/deal.h"

#include <string.h>

enum {
    STEPS = 16,         /* gathered before shares are looked at again */
    TOLERANCE = 20,     /* 1/20: smaller differences are noise */
    SCALE = 1 << 20,    /* shares are in this unit of the mean */
};

void cr_deal_init(struct cr_deal *d, int size, const int64_t *weight)
{
    memset(d, 0, sizeof *d);
    d->size = size;
    for (int i = 0; i < size; i++) d->share[i] = weight[i];
}

/* Blocks per second of each rank, from what was gathered; a rank that had none keeps its place beside the others. */
static int measure(const struct cr_deal *d, int64_t *speed)
{
    int64_t blocks = 0, share = 0, mean;
    for (int i = 0; i < d->size; i++) {
        if (d->blocks[i] <= 0 || d->time[i] <= 0) continue;
        speed[i] = (int64_t)((double)d->blocks[i] / (double)d->time[i] * 1e12);
        if (speed[i] < 1) speed[i] = 1;
        blocks += speed[i];
        share += d->share[i];
    }
    if (!share) return 0;
    mean = blocks / share > 0 ? blocks / share : 1;
    for (int i = 0; i < d->size; i++)
        if (d->blocks[i] <= 0 || d->time[i] <= 0) speed[i] = d->share[i] * mean;
    return 1;
}

int cr_deal_update(struct cr_deal *d, const int64_t *took)
{
    int64_t speed[CR_MAX_RANKS], speeds = 0, shares = 0;
    for (int i = 0; i < d->size; i++) {
        d->time[i] += took[CR_DEAL_WORDS * i];
        d->blocks[i] += took[CR_DEAL_WORDS * i + 1];
    }
    if (d->size < 2 || ++d->steps < STEPS) return 0;
    const int measured = measure(d, speed);
    memset(d->time, 0, sizeof d->time);
    memset(d->blocks, 0, sizeof d->blocks);
    d->steps = 0;
    if (!measured) return 0;
    for (int i = 0; i < d->size; i++) {
        speeds += speed[i];
        shares += d->share[i];
    }
    int differs = 0;
    int64_t wanted[CR_MAX_RANKS];
    for (int i = 0; i < d->size; i++) {
        const int64_t now = (int64_t)((double)d->share[i] / (double)shares * SCALE);
        wanted[i] = (now + (int64_t)((double)speed[i] / (double)speeds * SCALE)) / 2 + 1;
        differs |= wanted[i] - now > now / TOLERANCE || now - wanted[i] > now / TOLERANCE;
    }
    if (!differs) return 0;
    memcpy(d->share, wanted, (size_t)d->size * sizeof *wanted);
    return 1;
}
