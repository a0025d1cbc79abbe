/* How a run ends, by the arbiter's decisions: with too few hosts, with nobody left, and when all are done. */
#include <check.h>

#include "dist/view.h"
#include "tests/suites.h"
#include "tests/view_acts.h"

START_TEST(test_least)
{
    begin(3, 2);
    cr_views_lost(&v, 0);
    expect("prepare 1 2");
    all_ready(3);
    expect("start 1 2");
    cr_views_lost(&v, 1);
    expect("prepare 2");
    all_ready(4);
    expect("snapshot 2"); /* too few: the state is kept first */
    ck_assert_int_eq(v.stage, CR_VIEW_SNAPSHOT);
    cr_views_snapshot(&v, v.view, 2, 4);
    expect("save, fail");
    ck_assert_int_eq(v.stage, CR_VIEW_OVER);
    cr_views_done(&v, 2);
    cr_views_lost(&v, 2);
    expect("");
}
END_TEST

/* Somebody is back in time: the run goes on. Somebody who was to join is not: it ends. */
START_TEST(test_least_changes_in_snapshot)
{
    begin(2, 2);
    cr_views_lost(&v, 1);
    acts();
    all_ready(4);
    expect("snapshot 0");
    cr_views_arrived(&v, 1, 2);
    cr_views_snapshot(&v, 2, 0, 4);
    expect("enter 1, start 0 1");

    cr_views_lost(&v, 1);
    acts();
    cr_views_arrived(&v, 1, 3);
    all_ready(5);
    expect("snapshot 0");
    cr_views_lost(&v, 1);
    cr_views_snapshot(&v, 3, 0, 5);
    expect("save, fail");
}
END_TEST

START_TEST(test_least_at_first)
{
    begin(2, 2);
    cr_views_lost(&v, 0);
    expect("prepare 1");
    all_ready(0);
    expect("fail"); /* there is nothing to keep */
}
END_TEST

START_TEST(test_nobody_left)
{
    begin(2, 1);
    cr_views_lost(&v, 0);
    expect("prepare 1");
    cr_views_lost(&v, 1);
    expect("fail");
}
END_TEST

START_TEST(test_done)
{
    begin(3, 3);
    cr_views_done(&v, 1);
    cr_views_done(&v, 1);
    cr_views_done(&v, 0);
    expect("");
    ck_assert_int_eq(cr_views_slowest(&v), 2);
    cr_views_done(&v, 2);
    expect("leave 0 1 2");
    ck_assert_int_eq(v.stage, CR_VIEW_OVER);
    cr_views_lost(&v, 1); /* they go */
    expect("");
}
END_TEST

/* Once somebody is done, nobody new is taken in and few are enough, but nobody leaves before all have the end. */
START_TEST(test_done_and_lost)
{
    begin(4, 4);
    cr_views_done(&v, 0);
    cr_views_lost(&v, 1);
    expect("prepare 0 2 3");
    cr_views_ready(&v, 2, 0, 6);
    cr_views_ready(&v, 2, 2, 5);
    cr_views_ready(&v, 2, 3, 6);
    expect("fetch 0");
    cr_views_done(&v, 3);
    cr_views_fetched(&v, 2, 0, 6);
    expect("patch 2, start 0 2 3");
    cr_views_arrived(&v, 1, 2);
    cr_views_done(&v, 1); /* it cannot be */
    expect("");
    cr_views_done(&v, 2);
    expect("leave 0 1 2 3");
}
END_TEST

/* The one who was not done is lost, or the ones who were. */
START_TEST(test_lost_at_the_end)
{
    begin(3, 3);
    cr_views_done(&v, 0);
    cr_views_done(&v, 1);
    cr_views_lost(&v, 2);
    expect("leave 0 1");

    begin(2, 2);
    cr_views_done(&v, 0);
    cr_views_arrived(&v, 1, 2);
    expect("leave 0 1");

    begin(3, 1);
    cr_views_done(&v, 0);
    cr_views_lost(&v, 1);
    expect("prepare 0 2");
    cr_views_arrived(&v, 1, 2); /* too late to be of use */
    all_ready(5);
    expect("start 0 2");
    cr_views_done(&v, 2);
    expect("leave 0 1 2");

    begin(2, 1);
    cr_views_done(&v, 0);
    cr_views_arrived(&v, 0, 2);
    expect("prepare 1");
    all_ready(5);
    expect("snapshot 1");
    cr_views_snapshot(&v, 2, 1, 5);
    expect("enter 0, start 0 1");
    cr_views_done(&v, 1);
    expect("");
    cr_views_done(&v, 0);
    expect("leave 0 1");
}
END_TEST

Suite *ending_suite(void)
{
    Suite *s = suite_create("ending");
    TCase *t = tcase_create("ending");
    tcase_add_test(t, test_least);
    tcase_add_test(t, test_least_changes_in_snapshot);
    tcase_add_test(t, test_least_at_first);
    tcase_add_test(t, test_nobody_left);
    tcase_add_test(t, test_done);
    tcase_add_test(t, test_done_and_lost);
    tcase_add_test(t, test_lost_at_the_end);
    suite_add_tcase(s, t);
    return s;
}
