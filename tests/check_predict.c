/* The model of a step on many hosts, against figures that can be worked out by hand. */
#include <check.h>

#include "dist/predict.h"
#include "tests/suites.h"

enum { HOSTS = 8 };
static const struct cr_compute fast = { .fixed = 0, .round = 1e-3, .threads = 2 },
                               slow = { .fixed = 0, .round = 2e-3, .threads = 2 };
static const struct cr_link_model free_of_charge = { 0, 0, 0 }, gigabit = { 50e-6, 8e-9, 1e-10 };

static struct cr_prediction equal_hosts(int hosts, long blocks, size_t bytes, const struct cr_link_model *model)
{
    struct cr_compute host[CR_MAX_RANKS];
    for (int i = 0; i < hosts; i++) host[i] = fast;
    return cr_predict(&fast, host, hosts, blocks, bytes, model);
}

START_TEST(compute)
{
    const struct cr_compute c = { .fixed = 1e-4, .round = 1e-3, .threads = 4 };
    static const long blocks[] = { 0, 1, 4, 5, 1024 };
    static const double seconds[] = { 1e-4, 1.1e-3, 1.1e-3, 2.1e-3, 0.2561 };
    for (int i = 0; i < 5; i++) ck_assert_double_eq_tol(cr_predict_compute(&c, blocks[i]), seconds[i], 1e-12);
}
END_TEST

/* Nothing but compute: as many times as fast as there are hosts, while there are blocks for all threads. */
START_TEST(without_network)
{
    for (int hosts = 1; hosts <= HOSTS; hosts *= 2) {
        const struct cr_prediction p = equal_hosts(hosts, 64, 100000, &free_of_charge);
        ck_assert_double_eq_tol(p.speedup, hosts, 1e-9);
        ck_assert_double_eq_tol(p.share, 0, 1e-12);
    }
    ck_assert_double_eq_tol(equal_hosts(1024, 64, 100000, &free_of_charge).speedup, 32, 1e-9);
    ck_assert_double_eq_tol(equal_hosts(3, 8, 100000, &free_of_charge).speedup, 2, 1e-9); /* 3 blocks are two rounds */
}
END_TEST

START_TEST(network)
{
    const struct cr_prediction p = equal_hosts(2, 64, 100000, &gigabit);
    const double trade = 50e-6 + 100000 * 8.1e-9;
    ck_assert_int_eq(p.way, CR_WAY_DOUBLING);
    ck_assert_double_eq_tol(p.alone, 32e-3, 1e-12);
    ck_assert_double_eq_tol(p.compute, 16e-3, 1e-12);
    ck_assert_double_eq_tol(p.network, trade, 1e-12);
    ck_assert_double_eq_tol(p.speedup, 32e-3 / (16e-3 + trade), 1e-9);
    ck_assert_double_eq_tol(p.share, trade / (16e-3 + trade), 1e-9);
    ck_assert_int_eq(equal_hosts(8, 64, 40000000, &gigabit).way, CR_WAY_RING);
    ck_assert_double_lt(equal_hosts(8, 64, 40000000, &gigabit).speedup, 1);
    ck_assert_double_eq_tol(equal_hosts(1, 64, 40000000, &gigabit).network, 0, 1e-12);
}
END_TEST

/* Blocks follow speed. */
START_TEST(unequal)
{
    const struct cr_compute host[] = { fast, slow, fast };
    const struct cr_prediction p = cr_predict(&fast, host, 3, 100, 1000, &free_of_charge);
    ck_assert_double_eq_tol(p.compute, 20e-3, 1e-12); /* 40, 20, 40 */
    ck_assert_double_eq_tol(p.speedup, 2.5, 1e-9);
}
END_TEST

START_TEST(hindrance)
{
    struct cr_prediction p;
    const struct cr_compute host[] = { fast, fast, { .round = 1, .threads = 1 } };
    ck_assert_int_eq(cr_predict_hindrance(&fast, host, 2, 64, 1000, &gigabit, &p), -1);
    /* The third can take no block, and three need more rounds than two. */
    ck_assert_int_eq(cr_predict_hindrance(&fast, host, 3, 8, 1000000, &gigabit, &p), 2);
    ck_assert_double_eq_tol(p.network, 50e-6 + 1000000 * 8.1e-9, 1e-12);
    ck_assert_int_eq(cr_predict_hindrance(&fast, host, 3, 64, 1000, &free_of_charge, &p), -1);
    const struct cr_compute first[] = { { .round = 1, .threads = 1 }, fast, fast };
    ck_assert_int_eq(cr_predict_hindrance(&fast, first, 3, 8, 1000000, &gigabit, &p), 0);
    ck_assert_double_eq_tol(p.compute, 2e-3, 1e-12);
}
END_TEST

Suite *predict_suite(void)
{
    Suite *s = suite_create("predict");
    TCase *t = tcase_create("predict");
    tcase_add_test(t, compute);
    tcase_add_test(t, without_network);
    tcase_add_test(t, network);
    tcase_add_test(t, unequal);
    tcase_add_test(t, hindrance);
    suite_add_tcase(s, t);
    return s;
}
