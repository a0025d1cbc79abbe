/* The arbiter's decisions in every way in which a small run can go (tests/explore_view.h). */
#include <check.h>

#include "tests/explore_view.h"
#include "tests/suites.h"

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

Suite *explore_suite(void)
{
    Suite *s = suite_create("explore");
    TCase *t = tcase_create("explore");
    tcase_add_loop_test(t, test_explore, 0, (int)(sizeof explored / sizeof explored[0]));
    tcase_add_loop_test(t, test_breach, 0, (int)(sizeof breach / sizeof breach[0]));
    suite_add_tcase(s, t);
    return s;
}
