/* exp, log, tanh and sigmoid against the C library's double precision, over every STRIDE-th float: worst error in units
 * of the last place (ulp) of the float result. What all floats gave is in simd/math_tmpl.h. */
#include <check.h>
#include <float.h>
#include <math.h>

#include "core/cmath.h"
#include "simd/vec_ref.h"

#include "simd/math_tmpl.h"
#include "tests/oracle.h"
#include "tests/suites.h"

enum { STRIDE = 997 };

static float exp_f(float x) { return math_exp(x); }
static float log_f(float x) { return math_log(x); }
static float tanh_f(float x) { return math_tanh(x); }
static float sigmoid_f(float x) { return math_sigmoid(x); }

static const struct {
    const char *name;
    float (*ours)(float);
    double (*oracle)(double);
    float from, to; /* where the error is measured */
    double ulp;     /* the bound promised in math_tmpl.h */
} function[] = {
    { "exp", exp_f, exp, -87.3f, 88.72283f, 0.7 },
    { "log", log_f, log, FLT_MIN, FLT_MAX, 0.9 },
    { "tanh", tanh_f, tanh, -FLT_MAX, FLT_MAX, 1.4 },
    { "sigmoid", sigmoid_f, oracle_sigmoid, -87.3f, FLT_MAX, 1.6 },
};
enum { FUNCTIONS = sizeof function / sizeof *function };

/* The distance of floats at y; of subnormals below FLT_MIN. */
static double ulp_at(double y)
{
    return fabs(y) < FLT_MIN ? 0x1p-149 : ldexp(1, ilogb(y) - 23);
}

START_TEST(error)
{
    double worst = 0;
    float where = 0;

    for (uint32_t bits = 0; bits < 0xff800000u; bits += STRIDE) {
        const float x = vi_as_f((int32_t)bits);
        if (!(x >= function[_i].from && x <= function[_i].to)) continue;
        const double right = function[_i].oracle(x);
        const double err = fabs((double)function[_i].ours(x) - right) / ulp_at(right);
        if (!(err <= worst)) worst = err, where = x;
    }
    ck_assert_msg(worst <= function[_i].ulp, "%s: %.3f ulp at %a, allowed %.3f", function[_i].name, worst,
                  (double)where, function[_i].ulp);
}
END_TEST

START_TEST(nan_stays_nan)
{
    ck_assert(isnan(function[_i].ours(NAN)));
}
END_TEST

START_TEST(edges)
{
    ck_assert(math_exp(0.0f) == 1.0f);
    ck_assert(math_exp(nextafterf(-87.3f, -INFINITY)) == 0.0f);
    ck_assert(math_exp(-87.3f) >= FLT_MIN);
    ck_assert(math_exp(-INFINITY) == 0.0f);
    ck_assert(math_exp(88.72283f) <= FLT_MAX);
    ck_assert(isinf(math_exp(89.0f)));
    ck_assert(isinf(math_exp(INFINITY)));
    ck_assert(math_log(1.0f) == 0.0f);
    ck_assert(isinf(math_log(INFINITY)));
    ck_assert(math_tanh(0.0f) == 0.0f);
    ck_assert(math_tanh(10.0f) == 1.0f);
    ck_assert(math_tanh(INFINITY) == 1.0f);
    ck_assert(math_tanh(-INFINITY) == -1.0f);
    ck_assert(math_tanh(1e-40f) == 1e-40f);
    ck_assert(math_sigmoid(0.0f) == 0.5f);
    ck_assert(math_sigmoid(INFINITY) == 1.0f);
    ck_assert(math_sigmoid(-INFINITY) == 0.0f);
    ck_assert(math_sigmoid(-88.0f) == 0.0f);
}
END_TEST

START_TEST(double_cos)
{
    for (int i = -20000; i <= 20000; i++) {
        const double x = i / 6367.0;
        ck_assert_msg(fabs(cr_cos(x) - cos(x)) <= 0x1p-52, "cos(%a)", x);
    }
    ck_assert(cr_cos(0) == 1);
    ck_assert(cr_cos(3.141592653589793) == -1);
}
END_TEST

START_TEST(double_power)
{
    ck_assert(cr_power(0.1, 0) == 1);
    ck_assert(cr_power(0.5, 10) == 0x1p-10);
    ck_assert(cr_power(3, 13) == 1594323);
    ck_assert(cr_power(1, UINT64_MAX) == 1);
}
END_TEST

Suite *math_suite(void)
{
    Suite *s = suite_create("math");
    TCase *t = tcase_create("float");
    tcase_add_loop_test(t, error, 0, FUNCTIONS);
    tcase_add_loop_test(t, nan_stays_nan, 0, FUNCTIONS);
    tcase_add_test(t, edges);
    suite_add_tcase(s, t);
    t = tcase_create("double");
    tcase_add_test(t, double_cos);
    tcase_add_test(t, double_power);
    suite_add_tcase(s, t);
    return s;
}
