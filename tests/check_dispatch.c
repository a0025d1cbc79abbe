/* The table of kernels as a whole: which one is chosen, what its known-answer test notices, and the floating-point mode
 * it is used in. */
#define _POSIX_C_SOURCE 200809L /* setenv */
#include <check.h>
#include <fenv.h>
#include <float.h>
#include <stdlib.h>
#include <string.h>
#ifdef __x86_64__
#include <xmmintrin.h>
#endif

#include "simd/answer.h"
#include "simd/kernels.h"
#include "tests/bitwise.h"
#include "tests/suites.h"

/* ---- choosing */

START_TEST(choosing)
{
    struct cr_error e;
    ck_assert_str_eq(cr_isa_names()[0], "ref");
    ck_assert_int_eq(cr_isa_choose("sse9", &e), -CR_E_USAGE);
    ck_assert_msg(strstr(e.text, "sse9") && strstr(e.text, "ref"), "%s", e.text);
    setenv("CR_ISA", "avx1024", 1);
    ck_assert_int_eq(cr_isa_choose("auto", &e), -CR_E_USAGE);
    ck_assert_msg(strstr(e.text, "avx1024") && strstr(e.text, "CR_ISA"), "%s", e.text);
    setenv("CR_ISA", "ref", 1);
    ck_assert_int_eq(cr_isa_choose("auto", &e), 0);
    ck_assert_str_eq(cr_kernels()->isa, "ref");
}
END_TEST

START_TEST(choosing_best)
{
    const char *const *best = cr_isa_names();
    while (best[1]) best++;
    unsetenv("CR_ISA");
    ck_assert_str_eq(cr_kernels()->isa, *best);
}
END_TEST

START_TEST(choosing_by_name)
{
    const char *name = cr_isa_names()[1];
    setenv("CR_ISA", "ref", 1);
    if (!name) return;
    ck_assert_int_eq(cr_isa_choose(name, NULL), 0); /* goes before CR_ISA */
    ck_assert_str_eq(cr_kernels()->isa, name);
}
END_TEST

START_TEST(answer)
{
    FOR_EACH_ISA(isa, k, ref)
    {
        struct cr_error e;
        ck_assert_msg(cr_kernels_check(&k, &e) == 0, "%s: %s", *isa, e.text);
        k.relu.forward = ref.tanh.forward; /* one wrong kernel is enough */
        ck_assert_msg(cr_kernels_check(&k, &e) == -CR_E_IO, "%s with a wrong kernel passes", *isa);
    }
}
END_TEST

/* ---- the floating-point mode */

static float product(float a, float b)
{
    volatile float x = a, y = b; /* multiplied when the program runs */
    return x * y;
}

START_TEST(rounding_mode)
{
    const float a = 1 + FLT_EPSILON, nearest = product(a, a);
    ck_assert_int_eq(fesetround(FE_UPWARD), 0);
    ck_assert(product(a, a) > nearest);
    const unsigned long saved = cr_fp_enter();
    ck_assert(product(a, a) == nearest);
    cr_fp_leave(saved);
    ck_assert(product(a, a) > nearest);
}
END_TEST

#ifdef __x86_64__
START_TEST(subnormals_kept)
{
    const unsigned before = _mm_getcsr();
    _mm_setcsr(before | 0x8040); /* flush results, take subnormals as zero */
    ck_assert(product(FLT_MIN, 0.5f) == 0);
    const unsigned long saved = cr_fp_enter();
    ck_assert(product(FLT_MIN, 0.5f) > 0);
    cr_fp_leave(saved);
    ck_assert(product(FLT_MIN, 0.5f) == 0);
    _mm_setcsr(before);
}
END_TEST
#endif

Suite *dispatch_suite(void)
{
    Suite *s = suite_create("dispatch");
    TCase *t = tcase_create("dispatch");
    tcase_add_test(t, choosing);
    tcase_add_test(t, choosing_best);
    tcase_add_test(t, choosing_by_name);
    tcase_add_test(t, answer);
    tcase_add_test(t, rounding_mode);
#ifdef __x86_64__
    tcase_add_test(t, subnormals_kept);
#endif
    suite_add_tcase(s, t);
    return s;
}
