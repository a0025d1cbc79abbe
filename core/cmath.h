/* Double-precision mathematics for schedules: the same bits on every machine, unlike the C library's. Only IEEE
 * operations in one written order; round to nearest is assumed (cr_fp_enter). */
#ifndef CR_CORE_CMATH_H
#define CR_CORE_CMATH_H

#include <stdint.h>

/* cos(x), x in radians, |x| <= 1000; error below 2^-53 or so, absolute. */
double cr_cos(double x);

/* base to the power n >= 0, by repeated squaring; 1 for n = 0. */
double cr_power(double base, uint64_t n);

#endif
