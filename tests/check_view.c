/* The arbiter's decisions: each case by itself, and every way in which a small run can go (tests/explore_view.h). */
#include <check.h>
#include <stdio.h>
#include <string.h>

#include "dist/view.h"
#include "tests/explore_view.h"
#include "tests/suites.h"

static struct cr_views v;

/* What is to be done, as text: "prepare 0 1, drop 2". */
static const char *acts(void)
{
    static const char *const name[] = {
        [CR_ACT_DROP] = "drop", [CR_ACT_PREPARE] = "prepare", [CR_ACT_FETCH] = "fetch", [CR_ACT_PATCH] = "patch",
        [CR_ACT_SNAPSHOT] = "snapshot", [CR_ACT_ENTER] = "enter", [CR_ACT_START] = "start", [CR_ACT_LEAVE] = "leave",
        [CR_ACT_SAVE] = "save", [CR_ACT_FAIL] = "fail",
    };
    static char text[256];
    size_t n = 0;
    int last = -1;
    struct cr_act a;
    text[0] = '\0';
    while (cr_views_next(&v, &a)) {
        ck_assert_uint_eq(a.view, v.view);
        ck_assert_uint_eq(a.collective, v.collective);
        if ((int)a.kind != last)
            n += (size_t)snprintf(text + n, sizeof text - n, "%s%s", last < 0 ? "" : ", ", name[a.kind]);
        if (a.rank >= 0) n += (size_t)snprintf(text + n, sizeof text - n, " %d", a.rank);
        last = (int)a.kind;
    }
    return text;
}

#define expect(text) ck_assert_str_eq(acts(), text)

/* A run of `ranks`, of which all have come and begun: view 1, nothing committed. */
static void begin(int ranks, int least)
{
    cr_views_init(&v, ranks, least);
    for (int i = 0; i < ranks; i++) ck_assert_int_eq(cr_views_arrived(&v, i, 1), 1);
    expect("");
    cr_views_begin(&v);
    acts();
    ck_assert_int_eq(v.stage, CR_VIEW_RUNNING);
    ck_assert_uint_eq(v.view, 1);
}

/* All members of the view that is prepared answer that they have committed `collective`. */
static void all_ready(uint64_t collective)
{
    for (int i = 0; i < v.ranks; i++) cr_views_ready(&v, v.view, i, collective);
}

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

/* ---- every way a run can go ---- */

enum { ALL = FAULT_CRASH | FAULT_ISOLATE | FAULT_CUT | FAULT_SEEN };

static const struct {
    struct explore_config config;
    int fails; /* may the run fail? */
} explored[] = {
    { { .least = 1, .last = 3, .checkpoint = 2 }, 0 },
    { { .least = 1, .last = 2, .checkpoint = 1, .faults = 2, .kinds = ALL }, 0 },
    { { .least = 1, .last = 3, .checkpoint = 2, .faults = 1, .kinds = ALL, .restarts = 1 }, 0 },
    { { .least = 1, .last = 3, .checkpoint = 2, .faults = 2, .kinds = FAULT_CRASH, .restarts = 1 }, 0 },
    { { .least = 1, .last = 3, .checkpoint = 3, .faults = 2, .kinds = FAULT_CRASH | FAULT_ISOLATE }, 0 },
    { { .least = 1, .last = 3, .checkpoint = 2, .faults = 1, .kinds = ALL, .late = 1 }, 0 },
    { { .least = 1, .last = 3, .checkpoint = 2, .faults = 2, .kinds = FAULT_CRASH, .late = 1 }, 1 },
    { { .least = 2, .last = 3, .checkpoint = 2, .faults = 2, .kinds = FAULT_CRASH | FAULT_ISOLATE, .restarts = 1 }, 1 },
    { { .least = 3, .last = 3, .checkpoint = 2, .faults = 1, .kinds = ALL, .restarts = 1 }, 1 },
};

START_TEST(test_explore)
{
    struct explore_result r;
    explore_view(&explored[_i].config, &r);
    ck_assert_msg(!r.broken, "%s, after: %s", r.broken ? r.broken : "", r.how);
    ck_assert_msg(r.left > 0, "no run ends well");
    ck_assert_msg((r.failed > 0) == explored[_i].fails, "%d runs fail", r.failed);
}
END_TEST

/* Rules that are broken are noticed: the exploration can fail. */
static const struct {
    enum explore_breach breach;
    const char *broken;
} breach[] = {
    { BREACH_SAVED_EARLY, "a collective without somebody's part" },
    { BREACH_NO_STOP, "a patch that does not fit" },
    { BREACH_LEAVE_EARLY, "the end before all have the last collective" },
    { BREACH_NO_PATCH, "a view begins elsewhere than where a member is" },
    { BREACH_OLD_STATE, "a view begins elsewhere than where a member is" },
    { BREACH_NO_JUDGE, "nothing can happen any more" },
    { BREACH_DEAF, "nothing can happen any more" },
};

START_TEST(test_breach)
{
    struct explore_result r;
    struct explore_config c = explored[2].config;
    c.breach = breach[_i].breach;
    explore_view(&c, &r);
    ck_assert_pstr_eq(r.broken, breach[_i].broken);
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
    tcase_add_test(t, test_liars);
    tcase_add_test(t, test_complaints);
    tcase_add_test(t, test_who_is_cut_off);
    tcase_add_test(t, test_reconnect_after_progress);
    tcase_add_test(t, test_dispute_at_the_end);
    tcase_add_test(t, test_least);
    tcase_add_test(t, test_least_changes_in_snapshot);
    tcase_add_test(t, test_least_at_first);
    tcase_add_test(t, test_nobody_left);
    tcase_add_test(t, test_done);
    tcase_add_test(t, test_done_and_lost);
    tcase_add_test(t, test_lost_at_the_end);
    suite_add_tcase(s, t);
    t = tcase_create("explore");
    tcase_add_loop_test(t, test_explore, 0, (int)(sizeof explored / sizeof explored[0]));
    tcase_add_loop_test(t, test_breach, 0, (int)(sizeof breach / sizeof breach[0]));
    suite_add_tcase(s, t);
    return s;
}
