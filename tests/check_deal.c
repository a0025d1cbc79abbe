/* The deal of blocks to ranks: as good as it can be, alike on all ranks, and following speeds without restlessness. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "dist/deal.h"
#include "tests/suites.h"

/* ---- cr_comm_deal: no block would be done sooner elsewhere ---- */

static const struct {
    int size;
    int64_t share[5];
} shares[] = {
    { 1, { 7 } }, { 2, { 1, 1 } }, { 2, { 2, 1 } }, { 3, { 45, 45, 10 } }, { 5, { 3, 1, 0, 5, 2 } },
    { 4, { INT64_C(1) << 50, INT64_C(1) << 49, 3, INT64_C(1) << 50 } }, { 5, { 1, 1, 1, 1, 1000 } },
};

START_TEST(optimal)
{
    const int64_t *share = shares[_i].share;
    const int size = shares[_i].size;
    for (long blocks = 0; blocks < 300; blocks++) {
        long count[5], all = 0;
        cr_comm_deal(share, size, blocks, count);
        for (int i = 0; i < size; i++) all += count[i];
        ck_assert_int_eq(all, blocks);
        for (int i = 0; i < size; i++)
            for (int k = 0; k < size; k++)
                ck_assert_msg((double)count[i] * (double)share[k] <=
                                  (double)(count[k] + 1) * (double)share[i] * (1 + 1e-6),
                              "%ld blocks: rank %d has %ld, rank %d has %ld", blocks, i, count[i], k, count[k]);
    }
}
END_TEST

/* ---- cr_deal_update, of simulated ranks ---- */

enum { RANKS = 4 };

struct world {
    int size, threads;         /* threads of each rank: blocks are done in rounds of so many */
    long blocks;               /* of a step */
    double speed[RANKS];       /* blocks per ms and thread */
    double noise;              /* times lie within 1 +- noise */
    uint64_t random;
    struct cr_deal deal;
    double time;               /* ms so far, of the slowest rank in each step */
    int changes;
};

static struct world world_of(int size, long blocks, const double *speed)
{
    static const int64_t equal[RANKS] = { 1, 1, 1, 1 };
    struct world w = { .size = size, .threads = 1, .blocks = blocks, .random = 1 };
    memcpy(w.speed, speed, (size_t)size * sizeof *speed);
    cr_deal_init(&w.deal, size, equal);
    return w;
}

static double uniform(struct world *w)
{
    w->random = w->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (double)(w->random >> 11) * 0x1p-53;
}

static void step(struct world *w)
{
    long count[RANKS];
    int64_t took[CR_DEAL_WORDS * RANKS] = { 0 };
    double longest = 0;
    cr_comm_deal(w->deal.share, w->size, w->blocks, count);
    for (int i = 0; i < w->size; i++) {
        const long rounds = (count[i] + w->threads - 1) / w->threads;
        const double ms = (double)rounds / w->speed[i] * (1 + w->noise * (2 * uniform(w) - 1));
        took[CR_DEAL_WORDS * i] = (int64_t)(ms * 1e6) + 2000;
        took[CR_DEAL_WORDS * i + 1] = count[i];
        if (ms > longest) longest = ms;
    }
    w->time += longest;
    w->changes += cr_deal_update(&w->deal, took);
}

/* Mean ms of n steps. */
static double steps(struct world *w, int n)
{
    const double before = w->time;
    w->changes = 0;
    for (int i = 0; i < n; i++) step(w);
    return (w->time - before) / n;
}

static double share_of(const struct world *w, int rank)
{
    double all = 0;
    for (int i = 0; i < w->size; i++) all += (double)w->deal.share[i];
    return (double)w->deal.share[rank] / all;
}

START_TEST(converges)
{
    static const double speed[] = { 10, 5, 2.5, 20 };
    struct world w = world_of(4, 512, speed);
    w.noise = 0.05;
    steps(&w, 20); /* quickly */
    ck_assert_double_lt(steps(&w, 200), 512 / 37.5 * 1.08);
    for (int i = 0; i < 4; i++) ck_assert_double_eq_tol(share_of(&w, i) * 37.5 / speed[i], 1, 0.05);
    ck_assert_int_le(w.changes, 2);
}
END_TEST

START_TEST(equal_ones_stay)
{
    static const double speed[] = { 5, 5, 5, 5 };
    struct world w = world_of(4, 512, speed);
    w.noise = 0.05;
    steps(&w, 5000);
    ck_assert_int_eq(w.changes, 0);
}
END_TEST

START_TEST(a_rank_gets_slower)
{
    static const double speed[] = { 5, 5 };
    struct world w = world_of(2, 512, speed);
    w.noise = 0.05;
    steps(&w, 1003);
    w.speed[1] = 2.5;
    steps(&w, 32);
    ck_assert_double_eq_tol(share_of(&w, 1), 1.0 / 3, 0.05 / 3);
    w.speed[1] = 5;
    steps(&w, 64);
    ck_assert_double_eq_tol(share_of(&w, 1), 0.5, 0.025);
}
END_TEST

/* One step that takes a hundred times as long is an accident. */
START_TEST(accidents)
{
    static const double speed[] = { 5, 5 };
    struct world w = world_of(2, 512, speed);
    for (int i = 0; i < 20; i++) {
        steps(&w, 30);
        ck_assert_int_eq(w.changes, 0);
        w.speed[i % 2] = 0.05;
        step(&w);
        w.speed[i % 2] = 5;
    }
}
END_TEST

/* Batch 64 is 8 blocks: what is best in whole blocks, and then no change any more. */
static const struct {
    int size, threads;
    double speed[RANKS];
    double best; /* ms of a step */
} few[] = {
    { 2, 1, { 5, 5 }, 0.8 }, { 2, 1, { 10, 5 }, 0.6 }, { 3, 1, { 5, 5, 0.5 }, 0.8 }, { 3, 2, { 5, 5, 5 }, 0.4 },
    { 2, 2, { 5, 5 }, 0.4 }, { 4, 1, { 5, 5, 5, 2.6 }, 0.6 }, { 2, 4, { 5, 2 }, 0.4 },
};

START_TEST(few_blocks)
{
    struct world w = world_of(few[_i].size, 8, few[_i].speed);
    w.threads = few[_i].threads;
    w.noise = 0.02;
    steps(&w, 64);
    const double mean = steps(&w, 3000);
    ck_assert_msg(mean < few[_i].best * 1.15, "%g ms instead of %g", mean, few[_i].best);
    ck_assert_msg(w.changes < 60, "%d changes", w.changes);
}
END_TEST

/* A rank that was too slow for a block gets one again when it is not. */
START_TEST(comes_back)
{
    static const double speed[] = { 5, 5, 0.2 };
    struct world w = world_of(3, 8, speed);
    long count[RANKS];
    steps(&w, 30);
    cr_comm_deal(w.deal.share, 3, 8, count);
    ck_assert_int_eq(count[2], 0);
    w.speed[2] = 5;
    steps(&w, 3000);
    ck_assert_double_lt(steps(&w, 1000), 0.66);
}
END_TEST

/* More ranks than blocks; nonsense in the times; nothing at all. */
START_TEST(extremes)
{
    static const double speed[] = { 5, 5, 5, 5 };
    struct world w = world_of(4, 2, speed);
    const double mean = steps(&w, 100000);
    ck_assert_double_lt(mean, 0.21);
    static const int64_t weight[] = { INT64_C(1) << 60, 1 };
    static const int64_t took[][4] = {
        { 0, 0, 0, 0 }, { -5, 1, 0, 1 }, { INT64_MAX / 32, INT64_C(1) << 40, 1, INT64_C(1) << 40 }, { 1, 1024, 1, 1 },
        { INT64_C(1) << 50, 1, 1, 1 },
    };
    for (size_t k = 0; k < sizeof took / sizeof *took; k++) {
        struct cr_deal d;
        cr_deal_init(&d, 2, weight);
        for (int i = 0; i < 16; i++) cr_deal_update(&d, took[k]);
        ck_assert_int_gt(d.share[0], 0);
        ck_assert_int_gt(d.share[1], 0);
    }
}
END_TEST

START_TEST(alike_on_all_ranks)
{
    static const double speed[] = { 3, 5, 11, 0.4 };
    struct world w = world_of(4, 64, speed), v = w;
    w.noise = v.noise = 0.4;
    for (int i = 0; i < 2000; i++) {
        step(&w);
        step(&v);
        ck_assert_mem_eq(w.deal.share, v.deal.share, sizeof w.deal.share);
    }
}
END_TEST

Suite *deal_suite(void)
{
    Suite *s = suite_create("deal");
    TCase *t = tcase_create("deal");
    tcase_add_loop_test(t, optimal, 0, sizeof shares / sizeof *shares);
    tcase_add_test(t, converges);
    tcase_add_test(t, equal_ones_stay);
    tcase_add_test(t, a_rank_gets_slower);
    tcase_add_test(t, accidents);
    tcase_add_loop_test(t, few_blocks, 0, sizeof few / sizeof *few);
    tcase_add_test(t, comes_back);
    tcase_add_test(t, extremes);
    tcase_add_test(t, alike_on_all_ranks);
    suite_add_tcase(s, t);
    return s;
}
