/* Whom the arbiter believes: members that contradict themselves, and those that complain of each other. */
#include <check.h>

#include "dist/view.h"
#include "tests/suites.h"
#include "tests/view_acts.h"

/* Who is two apart, or fetches something else than it said, is not to be trusted. */
START_TEST(test_liars)
{
    begin(4, 1);
    cr_views_lost(&v, 0);
    acts();
    cr_views_ready(&v, 2, 1, 3);
    cr_views_ready(&v, 2, 2, 5);
    cr_views_ready(&v, 2, 3, 4);
    expect("drop 1, prepare 2 3");
    all_ready(5);
    expect("start 2 3");

    begin(3, 1);
    cr_views_lost(&v, 0);
    acts();
    cr_views_ready(&v, 2, 1, 4);
    cr_views_ready(&v, 2, 2, 5);
    expect("fetch 2");
    cr_views_fetched(&v, 2, 2, 4);
    expect("drop 2, prepare 1");
}
END_TEST

START_TEST(test_complaints)
{
    begin(4, 1);
    cr_views_complaint(&v, 1, 0, 3);
    expect("prepare 0 1 2 3"); /* the first time over new connections, the same members */
    cr_views_complaint(&v, 1, 3, 0);
    expect("");
    all_ready(0);
    expect("start 0 1 2 3");
    cr_views_complaint(&v, 2, 1, 2);
    expect("");
    ck_assert(v.disputed);
    cr_views_judge(&v); /* one word, against both: the higher goes */
    expect("drop 2, prepare 0 1 3");
    ck_assert(!v.disputed);
    all_ready(0);
    expect("start 0 1 3");
    cr_views_complaint(&v, 3, 3, 1); /* other members: again first a reconnect */
    expect("prepare 0 1 3");
}
END_TEST

/* Rank 0 is cut off from all: its own complaints, which come first, do not make others look guilty. */
START_TEST(test_who_is_cut_off)
{
    begin(4, 1);
    cr_views_complaint(&v, 1, 0, 1);
    acts();
    all_ready(0);
    acts();
    cr_views_complaint(&v, 2, 0, 3);
    cr_views_complaint(&v, 2, 0, 1);
    cr_views_complaint(&v, 2, 3, 0);
    expect("");
    cr_views_judge(&v);
    expect("drop 0, prepare 1 2 3");
}
END_TEST

START_TEST(test_reconnect_after_progress)
{
    begin(3, 1);
    cr_views_complaint(&v, 1, 0, 1);
    acts();
    all_ready(2);
    acts();
    cr_views_progress(&v, 2, 0, 3);
    cr_views_progress(&v, 2, 1, 3);
    ck_assert(v.reconnected); /* rank 2 may be the one who is stuck */
    cr_views_progress(&v, 2, 2, 3);
    ck_assert(!v.reconnected);
    cr_views_complaint(&v, 2, 0, 1);
    expect("prepare 0 1 2");
    all_ready(3);
    expect("start 0 1 2");
    cr_views_complaint(&v, 3, 0, 1);
    expect("");
    for (int i = 0; i < 3; i++) cr_views_progress(&v, 3, i, 4); /* it was told late */
    cr_views_judge(&v);
    expect("prepare 0 1 2");
}
END_TEST

/* The end settles a dispute: by itself, or with the one who goes. */
START_TEST(test_dispute_at_the_end)
{
    for (int judged = 0; judged < 2; judged++) {
        begin(3, 3);
        cr_views_complaint(&v, 1, 0, 1);
        acts();
        all_ready(2);
        acts();
        cr_views_complaint(&v, 2, 1, 2);
        cr_views_done(&v, 0);
        cr_views_done(&v, 1);
        expect("");
        if (judged) cr_views_judge(&v);
        else cr_views_done(&v, 2);
        expect(judged ? "drop 2, leave 0 1" : "leave 0 1 2");
        cr_views_judge(&v);
        expect("");
    }
}
END_TEST

Suite *disputes_suite(void)
{
    Suite *s = suite_create("disputes");
    TCase *t = tcase_create("disputes");
    tcase_add_test(t, test_liars);
    tcase_add_test(t, test_complaints);
    tcase_add_test(t, test_who_is_cut_off);
    tcase_add_test(t, test_reconnect_after_progress);
    tcase_add_test(t, test_dispute_at_the_end);
    suite_add_tcase(s, t);
    return s;
}
