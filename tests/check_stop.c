/* The --stop expression: what holds, what does not, and where a wrong one is wrong. */
#include <check.h>
#include <math.h>
#include <string.h>

#include "core/stop.h"
#include "tests/suites.h"

/* Half a run: two of four epochs, 97 % right, a minute and a half. */
static const struct cr_stop_values half = {
    .top1 = 0.97, .top5 = 0.999, .val_loss = 0.1, .train_loss = 0.08, .epoch = 2, .step = 1876, .time = 90
};

static const struct {
    const char *text;
    int holds;
} expression[] = {
    { "", 0 },
    { "  ", 0 },
    { "top1 >= 0.97", 1 },
    { "top1 > 0.97", 0 },
    { "top1>=97%", 1 },
    { "top5 <= 99.9%", 1 },
    { "top5 < 0.999", 0 },
    { "val_loss < 1e-1", 0 },
    { "val_loss <= 1e-1", 1 },
    { "train_loss < .1", 1 },
    { "epoch >= 2", 1 },
    { "step > 1e3", 1 },
    { "step>1876", 0 },
    { "time > 60s", 1 },
    { "time >= 1.5m", 1 },
    { "time > 1.5m", 0 },
    { "time > 1h", 0 },
    { "time > 89", 1 },
    { "top1 >= 0.99 or epoch >= 20 or time > 60s", 1 },
    { "top1 >= 0.99 or epoch >= 20", 0 },
    /* and binds closer than or; parentheses the other way round */
    { "epoch >= 2 or epoch >= 3 and epoch >= 4", 1 },
    { "(epoch >= 2 or epoch >= 3) and epoch >= 4", 0 },
    { "epoch >= 4 and epoch >= 3 or epoch >= 2", 1 },
    { "((top1 > 0.9))and(time>1)", 1 },
};

START_TEST(holds)
    {
        struct cr_stop s;
        struct cr_error e;
        ck_assert_msg(cr_stop_parse(&s, expression[_i].text, &e) == 0, "%s", e.text);
        ck_assert_msg(cr_stop_holds(&s, &half) == expression[_i].holds, "%s", expression[_i].text);
    }
END_TEST

static const struct {
    const char *text;
    long column;
} wrong[] = {
    { "tpo1 >= 0.99", 1 },    { "top1", 5 },
    { "top1 = 0.99", 6 },     { "top1 >= ", 9 },
    { "top1 >= high", 9 },    { "top1 >= 99", 9 },
    { "top1 >= 1.2.3", 9 },   { "time > 60x", 10 },
    { "time > 60%", 10 },     { "epoch > 5s", 10 },
    { "top1 >= 0.9 or", 15 }, { "top1 >= 0.9 xor time > 1", 13 },
    { "(top1 >= 0.9", 13 },   { "top1 >= 0.9)", 12 },
    { "or time > 1", 1 },     { "((((((((((((((((((((time > 1))))))))))))))))))))", 17 },
};

START_TEST(names_the_column)
    {
        struct cr_stop s;
        struct cr_error e;
        ck_assert_int_eq(cr_stop_parse(&s, wrong[_i].text, &e), -CR_E_USAGE);
        ck_assert_msg(e.column == wrong[_i].column, "%s", e.text);
    }
END_TEST

/* What is not known yet satisfies nothing, in either direction. */
START_TEST(unknown_values_never_hold)
    {
        const struct cr_stop_values start = { NAN, NAN, NAN, NAN, 0, 0, 0 };
        struct cr_stop s;
        ck_assert_int_eq(cr_stop_parse(&s, "top1 >= 0 or top1 < 1 or val_loss < 9 or train_loss >= 0", NULL), 0);
        ck_assert_int_eq(cr_stop_holds(&s, &start), 0);
    }
END_TEST

/* A long chain is either understood or refused, never half taken. */
START_TEST(too_long_is_refused)
    {
        char text[1024] = "step>1";
        for (int i = 0; i < 40; i++) strcat(text, " or step>1");
        struct cr_stop s;
        struct cr_error e;
        ck_assert_int_eq(cr_stop_parse(&s, text, &e), -CR_E_USAGE);
        ck_assert_ptr_nonnull(strstr(e.text, "too many"));
    }
END_TEST

Suite *stop_suite(void)
{
    Suite *const s = suite_create("stop");
    TCase *const t = tcase_create("stop");
    tcase_add_loop_test(t, holds, 0, sizeof expression / sizeof *expression);
    tcase_add_loop_test(t, names_the_column, 0, sizeof wrong / sizeof *wrong);
    tcase_add_test(t, unknown_values_never_hold);
    tcase_add_test(t, too_long_is_refused);
    suite_add_tcase(s, t);
    return s;
}
