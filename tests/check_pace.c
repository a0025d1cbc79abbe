/* Two ways are tried in turn, and the better one goes on most of the time, also when it is another than it was. */
#include <check.h>

#include "core/pace.h"
#include "tests/suites.h"

/* Of `total` steps, which take cost[way] seconds each, so many were done the second way. */
static uint64_t second_way(struct cr_pace *p, uint64_t total, const double cost[2])
{
    uint64_t steps, second = 0;
    for (uint64_t done = 0; done < total; done += steps) {
        const int way = cr_pace_way(p, &steps);
        ck_assert_uint_gt(steps, 0);
        const int whole = steps <= total - done;
        if (!whole) steps = total - done;
        if (way) second += steps;
        cr_pace_took(p, steps, (double)steps * cost[way], whole);
    }
    return second;
}

START_TEST(the_better_way)
{
    struct cr_pace p = { .open = 1 };
    const double first[2] = { 1e-5, 2e-5 }, second[2] = { 1e-5, 7e-6 }, alike[2] = { 1e-5, 0.98e-5 };
    ck_assert_uint_lt(second_way(&p, 1000000, first), 50000);
    ck_assert_uint_gt(second_way(&p, 1000000, second), 900000);
    ck_assert_uint_lt(second_way(&p, 1000000, first), 100000);
    ck_assert_uint_lt(second_way(&p, 1000000, alike), 100000);
}
END_TEST

START_TEST(long_steps)
{
    struct cr_pace p = { .open = 1 };
    const double cost[2] = { 3, 2 }; /* seconds: longer than a try should take */
    ck_assert_uint_gt(second_way(&p, 10000, cost), 5000);
}
END_TEST

START_TEST(no_choice)
{
    struct cr_pace p = { 0 };
    const double cost[2] = { 1e-5, 1e-6 };
    uint64_t steps;
    ck_assert_int_eq(cr_pace_way(&p, &steps), 0);
    ck_assert(steps == UINT64_MAX);
    ck_assert_uint_eq(second_way(&p, 1000, cost), 0);
}
END_TEST

Suite *pace_suite(void)
{
    Suite *s = suite_create("pace");
    TCase *t = tcase_create("ways");
    tcase_add_test(t, the_better_way);
    tcase_add_test(t, long_steps);
    tcase_add_test(t, no_choice);
    suite_add_tcase(s, t);
    return s;
}
