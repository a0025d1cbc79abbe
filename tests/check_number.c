/* Decimal numbers: what is one, the same bits there and back, and no word from the locale. */
#include <check.h>
#include <float.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/number.h"
#include "core/rng.h"
#include "tests/suites.h"

START_TEST(integers)
{
    long l = 7;
    int64_t i = 7;
    uint64_t u = 7;
    ck_assert_int_eq(cr_parse_long("-12", &l), 0);
    ck_assert_int_eq(l, -12);
    ck_assert_int_eq(cr_parse_i64("-9223372036854775808", &i), 0);
    ck_assert(i == INT64_MIN);
    ck_assert_int_eq(cr_parse_u64("18446744073709551615", &u), 0);
    ck_assert(u == UINT64_MAX);
}
END_TEST

START_TEST(not_integers)
{
    static const char *const text[] = { "",   " 1", "1 ",  "1x", "x1",  "-",   "+",  "--1", "1.0", "1e3", "0x10",
                                        "\t1", "1\n", "9223372036854775808", "99999999999999999999" };
    for (size_t k = 0; k < sizeof text / sizeof *text; k++) {
        long l = 7;
        int64_t i = 7;
        ck_assert_msg(cr_parse_long(text[k], &l) < 0, "'%s' passes as a long", text[k]);
        ck_assert_msg(cr_parse_i64(text[k], &i) < 0, "'%s' passes as 64 bits", text[k]);
        ck_assert(l == 7 && i == 7);
    }
    uint64_t u = 7;
    ck_assert_int_lt(cr_parse_u64("-1", &u), 0);
    ck_assert_int_lt(cr_parse_u64("18446744073709551616", &u), 0);
    ck_assert(u == 7);
}
END_TEST

START_TEST(not_doubles)
{
    static const char *const text[] = { "",    " 1",  "1 ", ".",   "-.",  "e5",   "1e",   "1e+",  "1..2", "1,5",
                                        "inf", "nan", "0x1p3", "1e999", "-1e999", "1f", "--1", "infinity" };
    for (size_t k = 0; k < sizeof text / sizeof *text; k++) {
        double x = 7;
        ck_assert_msg(cr_parse_double(text[k], &x) < 0, "'%s' passes", text[k]);
        ck_assert(x == 7);
    }
}
END_TEST

START_TEST(doubles)
{
    static const struct {
        const char *text;
        double value;
    } good[] = { { "5", 5 }, { "-0.25", -0.25 }, { ".5", .5 }, { "5.", 5 }, { "+1e-3", 1e-3 }, { "1E2", 100 } };
    for (size_t k = 0; k < sizeof good / sizeof *good; k++) {
        double x = 7;
        ck_assert_msg(cr_parse_double(good[k].text, &x) == 0 && x == good[k].value, "'%s' is %g", good[k].text, x);
    }
}
END_TEST

static void there_and_back(double x)
{
    char text[32];
    double y;
    cr_format_double(x, text);
    ck_assert_msg(cr_parse_double(text, &y) == 0 && memcmp(&x, &y, sizeof x) == 0, "%a becomes '%s'", x, text);
}

START_TEST(same_bits)
{
    static const double special[] = { 0.0, -0.0, 0.1, 1.0 / 3, DBL_MAX, -DBL_MAX, DBL_MIN, DBL_TRUE_MIN, DBL_EPSILON };
    for (size_t k = 0; k < sizeof special / sizeof *special; k++) there_and_back(special[k]);
    for (uint64_t k = 0; k < 20000; k++) {
        uint32_t word[4];
        double x;
        cr_random(1, CR_RNG_TEST, k, 0, word);
        memcpy(&x, word, sizeof x);
        if (isfinite(x)) there_and_back(x);
    }
}
END_TEST

START_TEST(short_text)
{
    char text[32];
    cr_format_double(0.05, text);
    ck_assert_str_eq(text, "0.05");
    cr_format_double(-1, text);
    ck_assert_str_eq(text, "-1");
}
END_TEST

/* Where no locale with a comma is installed this has nothing to show. */
START_TEST(comma_locale)
{
    static const char *const name[] = { "de_DE.UTF-8", "de_DE.utf8", "de_DE", "fr_FR.UTF-8", "fr_FR.utf8" };
    size_t k = 0;
    while (k < sizeof name / sizeof *name && !setlocale(LC_ALL, name[k])) k++;
    if (k == sizeof name / sizeof *name) return;
    char text[32];
    double x;
    snprintf(text, sizeof text, "%.1f", 0.5);
    ck_assert_str_eq(text, "0,5"); /* the locale is what it should be */
    cr_format_double(0.5, text);
    ck_assert_str_eq(text, "0.5");
    ck_assert(cr_parse_double("0.5", &x) == 0 && x == 0.5);
    ck_assert_int_lt(cr_parse_double("0,5", &x), 0);
    snprintf(text, sizeof text, "%.1f", 0.5);
    ck_assert_str_eq(text, "0,5"); /* and the caller keeps it */
}
END_TEST

Suite *number_suite(void)
{
    Suite *s = suite_create("number");
    TCase *tc = tcase_create("number");
    tcase_add_test(tc, integers);
    tcase_add_test(tc, not_integers);
    tcase_add_test(tc, doubles);
    tcase_add_test(tc, not_doubles);
    tcase_add_test(tc, same_bits);
    tcase_add_test(tc, short_text);
    tcase_add_test(tc, comma_locale);
    suite_add_tcase(s, tc);
    return s;
}
