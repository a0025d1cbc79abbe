/* The arbiter's decisions, each case by itself: who comes, who is lost in which stage of a change, and what it does not
 * listen to. Whom it believes is in check_disputes.c, how a run ends in check_ending.c, and every way in which a small
 * run can go in check_explore.c. */
#include <check.h>

#include "dist/view.h"
#include "tests/suites.h"
#include "tests/view_acts.h"

START_TEST(test_begin)
{
    cr_views_init(&v, 3, 1);
    cr_views_arrived(&v, 2, 1);
    cr_views_arrived(&v, 0, 1);
    expect("");
    ck_assert_int_eq(cr_views_slowest(&v), -1);
    cr_views_begin(&v);
    expect("enter 0 2, start 0 2");
    ck_assert_int_eq(v.stage, CR_VIEW_RUNNING);
    int rank[CR_MAX_RANKS];
    ck_assert_int_eq(cr_views_members(&v, rank), 2);
    ck_assert_int_eq(rank[0], 0);
    ck_assert_int_eq(rank[1], 2);
    cr_views_begin(&v); /* once */
    expect("");
}
END_TEST

START_TEST(test_begin_with_too_few)
{
    cr_views_init(&v, 3, 0); /* nobody is always too few */
    cr_views_begin(&v);
    expect("fail");

    cr_views_init(&v, 3, 2);
    cr_views_arrived(&v, 0, 1);
    cr_views_arrived(&v, 1, 1);
    cr_views_lost(&v, 1);
    expect("");
    cr_views_begin(&v);
    expect("fail");
    ck_assert_int_eq(v.stage, CR_VIEW_OVER);
    ck_assert_int_eq(cr_views_arrived(&v, 1, 2), 0);
    expect("");
}
END_TEST

START_TEST(test_lost)
{
    begin(3, 1);
    cr_views_progress(&v, 1, 0, 5);
    ck_assert_uint_eq(v.collective, 5);
    ck_assert_uint_eq(cr_views_common(&v), 0);
    cr_views_progress(&v, 1, 1, 4);
    cr_views_progress(&v, 1, 2, 5);
    ck_assert_uint_eq(cr_views_common(&v), 4);
    ck_assert_int_eq(cr_views_slowest(&v), 1);
    cr_views_lost(&v, 2);
    expect("prepare 0 1");
    ck_assert_uint_eq(v.view, 2);
    cr_views_lost(&v, 2); /* once */
    expect("");
    cr_views_ready(&v, 2, 0, 5);
    expect("");
    ck_assert_int_eq(cr_views_slowest(&v), 1);
    cr_views_ready(&v, 2, 1, 5);
    expect("start 0 1");
    ck_assert_uint_eq(v.base, 5);
    ck_assert_int_eq(v.stage, CR_VIEW_RUNNING);
}
END_TEST

START_TEST(test_patch)
{
    begin(4, 1);
    cr_views_lost(&v, 0);
    expect("prepare 1 2 3");
    cr_views_ready(&v, 2, 1, 7);
    cr_views_ready(&v, 2, 2, 8);
    cr_views_ready(&v, 2, 3, 7);
    expect("fetch 2");
    ck_assert_int_eq(cr_views_slowest(&v), 2);
    ck_assert_uint_eq(v.collective, 8);
    cr_views_fetched(&v, 2, 2, 8);
    expect("patch 1 3, start 1 2 3");
    ck_assert_uint_eq(cr_views_common(&v), 8);
}
END_TEST

/* What only a lost member had committed is committed once more. */
START_TEST(test_forget)
{
    begin(3, 1);
    cr_views_progress(&v, 1, 0, 8);
    cr_views_lost(&v, 0);
    acts();
    all_ready(7);
    expect("start 1 2");
    ck_assert_uint_eq(v.collective, 7);
}
END_TEST

START_TEST(test_join)
{
    begin(3, 1);
    cr_views_lost(&v, 1);
    expect("prepare 0 2");
    all_ready(4);
    expect("start 0 2");
    ck_assert_int_eq(cr_views_arrived(&v, 1, 1), 0); /* it is known to be gone */
    expect("");
    ck_assert_int_eq(cr_views_arrived(&v, 1, 2), 1);
    expect("prepare 0 2");
    cr_views_done(&v, 1); /* it is not even in */
    ck_assert(!v.rank[1].done);
    cr_views_ready(&v, 3, 0, 5);
    cr_views_ready(&v, 3, 2, 6);
    expect("fetch 2");
    cr_views_fetched(&v, 3, 2, 6);
    expect("patch 0, snapshot 0");
    cr_views_snapshot(&v, 3, 0, 6);
    expect("enter 1, start 0 1 2");
    ck_assert_uint_eq(v.rank[1].committed, 6);
}
END_TEST

/* While nothing is committed the first state is what a joiner needs. */
START_TEST(test_join_at_first)
{
    cr_views_init(&v, 2, 1);
    cr_views_arrived(&v, 0, 1);
    cr_views_begin(&v);
    expect("enter 0, start 0");
    cr_views_arrived(&v, 1, 1);
    expect("prepare 0");
    all_ready(0);
    expect("enter 1, start 0 1");
}
END_TEST

START_TEST(test_join_during_change)
{
    begin(4, 1);
    cr_views_lost(&v, 3);
    expect("prepare 0 1 2");
    cr_views_arrived(&v, 3, 2); /* during PREPARE */
    expect("");
    all_ready(3);
    expect("snapshot 0");
    cr_views_lost(&v, 1);
    expect("prepare 0 2");
    all_ready(3);
    expect("snapshot 0");
    cr_views_arrived(&v, 1, 2); /* during SNAPSHOT */
    expect("");
    cr_views_snapshot(&v, v.view, 0, 3);
    expect("enter 1 3, start 0 1 2 3");

    cr_views_lost(&v, 0);
    expect("prepare 1 2 3");
    cr_views_ready(&v, v.view, 1, 3);
    cr_views_ready(&v, v.view, 2, 4);
    cr_views_ready(&v, v.view, 3, 3);
    expect("fetch 2");
    cr_views_arrived(&v, 0, 2); /* during FETCH */
    expect("");
    cr_views_fetched(&v, v.view, 2, 4);
    expect("patch 1 3, snapshot 1");
    cr_views_lost(&v, 0); /* the joiner goes before it is in */
    expect("");
    cr_views_snapshot(&v, v.view, 1, 4);
    expect("start 1 2 3");
}
END_TEST

/* A new incarnation comes before the old one was missed. */
START_TEST(test_replaced)
{
    begin(2, 2);
    cr_views_progress(&v, 1, 1, 3);
    cr_views_arrived(&v, 1, 2);
    expect("prepare 0");
    all_ready(3);
    expect("snapshot 0");
    cr_views_snapshot(&v, 2, 0, 3);
    expect("enter 1, start 0 1");
    cr_views_lost(&v, 0);
    expect("prepare 1");
    cr_views_arrived(&v, 1, 3); /* now nobody has the state */
    expect("fail");
}
END_TEST

START_TEST(test_lost_in_each_stage)
{
    begin(4, 1);
    cr_views_lost(&v, 0);
    expect("prepare 1 2 3");
    cr_views_ready(&v, 2, 1, 2);
    cr_views_lost(&v, 2); /* during PREPARE */
    expect("prepare 1 3");
    cr_views_ready(&v, 2, 3, 3); /* the answer to the older number */
    expect("");
    cr_views_ready(&v, 3, 3, 3);
    cr_views_ready(&v, 3, 3, 3); /* twice */
    expect("");
    cr_views_ready(&v, 3, 1, 2);
    expect("fetch 3");
    cr_views_lost(&v, 3); /* the source, during FETCH */
    expect("prepare 1");
    cr_views_fetched(&v, 3, 3, 3);
    expect("");
    ck_assert_int_eq(cr_views_slowest(&v), 1);
    all_ready(2);
    expect("start 1");
    ck_assert_uint_eq(v.collective, 2);

    cr_views_arrived(&v, 0, 2);
    expect("prepare 1");
    all_ready(4);
    expect("snapshot 1");
    cr_views_lost(&v, 1); /* the source, during SNAPSHOT, and the last who had the state */
    expect("fail");
}
END_TEST

START_TEST(test_source_lost_in_snapshot)
{
    begin(3, 1);
    cr_views_lost(&v, 2);
    acts();
    cr_views_arrived(&v, 2, 2);
    all_ready(9);
    expect("snapshot 0");
    cr_views_lost(&v, 0);
    expect("prepare 1");
    cr_views_snapshot(&v, 2, 0, 9);
    expect("");
    all_ready(9);
    expect("snapshot 1");
    cr_views_snapshot(&v, 2, 1, 9); /* of an older number */
    expect("");
    cr_views_snapshot(&v, 3, 2, 9); /* of another than was asked */
    cr_views_fetched(&v, 3, 1, 9);  /* to another question */
    expect("");
    cr_views_snapshot(&v, 3, 1, 9);
    expect("enter 2, start 1 2");
    cr_views_ready(&v, 3, 2, 9); /* of one who was not asked */
    expect("");
}
END_TEST

/* Losses of one moment are one change. */
START_TEST(test_lost_together)
{
    begin(4, 1);
    cr_views_lost(&v, 1);
    cr_views_lost(&v, 3);
    expect("prepare 0 2");
    all_ready(1);
    expect("start 0 2");
}
END_TEST

START_TEST(test_checkpoint)
{
    begin(3, 1);
    cr_views_came(&v, 1, 0, 4);
    cr_views_came(&v, 1, 1, 4);
    for (int i = 0; i < 3; i++) cr_views_progress(&v, 1, i, 3);
    ck_assert(!cr_views_all_came(&v, 4)); /* rank 2 has committed what comes before, but is not there yet */
    cr_views_lost(&v, 2);
    ck_assert(!cr_views_all_came(&v, 4)); /* there is no view */
    expect("prepare 0 1");
    all_ready(3);
    expect("start 0 1");
    cr_views_came(&v, 2, 0, 4);
    cr_views_came(&v, 1, 1, 4); /* in another view */
    cr_views_came(&v, 2, 2, 4); /* one who is gone */
    ck_assert(!cr_views_all_came(&v, 4));
    cr_views_came(&v, 2, 1, 4);
    ck_assert(cr_views_all_came(&v, 4));
    ck_assert(!cr_views_all_came(&v, 9));
    ck_assert_uint_eq(cr_views_common(&v), 3);
}
END_TEST

START_TEST(test_stale)
{
    begin(3, 1);
    cr_views_ready(&v, 1, 0, 1);
    cr_views_fetched(&v, 1, 0, 0);
    cr_views_snapshot(&v, 1, 0, 0);
    cr_views_complaint(&v, 0, 0, 1);
    cr_views_complaint(&v, 2, 0, 1);
    cr_views_complaint(&v, 1, 1, 1);
    cr_views_judge(&v);
    expect("");
    cr_views_lost(&v, 2);
    expect("prepare 0 1");
    cr_views_complaint(&v, 1, 0, 1);
    cr_views_complaint(&v, 2, 0, 1); /* links of a view that has not begun */
    cr_views_progress(&v, 1, 0, 99);
    expect("");
    all_ready(1);
    expect("start 0 1");
    cr_views_progress(&v, 1, 0, 99);
    cr_views_progress(&v, 2, 2, 99);
    cr_views_done(&v, 2);
    cr_views_complaint(&v, 2, 0, 2); /* of one who is gone */
    expect("");
    ck_assert_uint_eq(v.collective, 1);
}
END_TEST

Suite *view_suite(void)
{
    Suite *s = suite_create("view");
    TCase *t = tcase_create("cases");
    tcase_add_test(t, test_begin);
    tcase_add_test(t, test_begin_with_too_few);
    tcase_add_test(t, test_lost);
    tcase_add_test(t, test_patch);
    tcase_add_test(t, test_forget);
    tcase_add_test(t, test_join);
    tcase_add_test(t, test_join_at_first);
    tcase_add_test(t, test_join_during_change);
    tcase_add_test(t, test_replaced);
    tcase_add_test(t, test_lost_in_each_stage);
    tcase_add_test(t, test_source_lost_in_snapshot);
    tcase_add_test(t, test_lost_together);
    tcase_add_test(t, test_checkpoint);
    tcase_add_test(t, test_stale);
    suite_add_tcase(s, t);
    return s;
}
