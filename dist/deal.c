#include "dist/deal.h"

#include <string.h>

enum {
    WINDOW = 16,     /* steps whose times are looked at together */
    EARLY = 4,       /* after so many of them a large gain is taken already */
    LARGE = 4,       /* 1/4 of a step's time */
    SMALL = 32,      /* 1/32: less is noise */
    STEADY = 8,      /* speeds that differ by less than 1/8 are of one and the same rank: average them */
    HOPE = 32,       /* a rank without blocks may have become faster: by 1/32 in every window */
    SPEED_BITS = 26, /* of the greatest speed, and */
    BLOCK_BITS = 30, /* of the blocks of a step: their products stay within 64 bits */
};

static void gather(struct cr_deal *d, const int64_t *took)
{
    int64_t blocks = 0;
    for (int i = 0; i < d->size; i++, took += CR_DEAL_WORDS) {
        struct cr_deal_rank *const r = &d->rank[i];
        const int64_t time = took[0] > 0 ? took[0] : 1, n = took[1];
        if (n <= 0) continue;
        blocks += n;
        r->time += time;
        r->blocks += n;
        if (!r->slowest_blocks || time / n > r->slowest / r->slowest_blocks) {
            r->slowest = time;
            r->slowest_blocks = n;
        }
    }
    if (blocks >> BLOCK_BITS) blocks = INT64_C(1) << BLOCK_BITS;
    if (blocks > d->blocks) d->blocks = (long)blocks;
    d->steps++;
}

/* Blocks per 2^40 ns in this window; 0 = it had none. */
static int64_t measured(const struct cr_deal_rank *r)
{
    const int several = r->blocks > r->slowest_blocks; /* one step alone has to count */
    int64_t blocks = r->blocks - (several ? r->slowest_blocks : 0);
    int64_t time = r->time - (several ? r->slowest : 0);
    if (!blocks) return 0;
    for (; blocks >> 22; time >>= 1) blocks >>= 1;
    const int64_t speed = (blocks << 40) / (time > 0 ? time : 1);
    return speed > 0 ? speed : 1;
}

/* A rank's speed from what this window measured and what was known before. */
static int64_t update_speed(int64_t before, int64_t now)
{
    const int64_t change = now > before ? now - before : before - now;
    return change < before / STEADY ? before + (now - before) / 4 : now;
}

/* Speeds of all as far as is known now. 0 = nothing is. */
static int estimate(const struct cr_deal *d, int64_t *speed)
{
    int64_t greatest = 0;
    int reference = -1; /* a rank whose speed is known */
    for (int i = 0; i < d->size; i++) {
        const int64_t now = measured(&d->rank[i]);
        speed[i] = now ? update_speed(d->rank[i].speed, now) : 0;
        if (speed[i] > greatest) {
            greatest = speed[i];
            reference = i;
        }
    }
    if (reference < 0) return 0;
    for (int i = 0; i < d->size; i++) {
        const int64_t before = d->rank[i].speed;
        if (speed[i]) continue;
        /* Without blocks: a little more than it last did, or as the weights say; no more than the fastest. */
        speed[i] = before ? before + before / HOPE : greatest / d->share[reference] * d->share[i];
        if (speed[i] > greatest) speed[i] = greatest;
        if (speed[i] < 1) speed[i] = 1;
    }
    return 1;
}

/* Cut so that all lie within SPEED_BITS and none is 0. */
static void cut(const int64_t *speed, int size, int64_t *weight)
{
    int64_t greatest = 0;
    int bits = 0;
    for (int i = 0; i < size; i++)
        if (speed[i] > greatest) greatest = speed[i];
    while (greatest >> bits >> SPEED_BITS) bits++;
    for (int i = 0; i < size; i++) weight[i] = speed[i] >> bits > 0 ? speed[i] >> bits : 1;
}

void cr_deal_init(struct cr_deal *d, int size, const int64_t *weight)
{
    memset(d, 0, sizeof *d);
    d->size = size;
    cut(weight, size, d->share);
}

/* Whose blocks take longest, dealt by `share` and done at `weight` blocks per unit of time; *count: how many. */
static int slowest(const struct cr_deal *d, const int64_t *share, const int64_t *weight, long *count)
{
    long n[CR_MAX_RANKS];
    int last = 0;
    cr_comm_deal(share, d->size, d->blocks, n);
    for (int i = 1; i < d->size; i++)
        if (n[i] * weight[last] > n[last] * weight[i]) last = i;
    *count = n[last];
    return last;
}

/* Would a step at these speeds be shorter by 1/part of the new time, were the weights the speeds? */
static int gains(const struct cr_deal *d, const int64_t *weight, int part)
{
    long before, after;
    const int64_t speed_before = weight[slowest(d, d->share, weight, &before)];
    const int64_t speed_after = weight[slowest(d, weight, weight, &after)];
    return before * speed_after * part > after * speed_before * (part + 1);
}

int cr_deal_update(struct cr_deal *d, const int64_t *took)
{
    int64_t speed[CR_MAX_RANKS], weight[CR_MAX_RANKS];
    if (d->size < 2) return 0;
    gather(d, took);
    if (d->steps < EARLY || !estimate(d, speed)) return 0;
    cut(speed, d->size, weight);
    const int whole = d->steps == WINDOW;
    const int changed = gains(d, weight, whole ? SMALL : LARGE);
    if (!whole && !changed) return 0;
    if (changed) memcpy(d->share, weight, (size_t)d->size * sizeof *weight);
    for (int i = 0; i < d->size; i++) d->rank[i] = (struct cr_deal_rank){ .speed = speed[i] };
    d->blocks = 0;
    d->steps = 0;
    return changed;
}
