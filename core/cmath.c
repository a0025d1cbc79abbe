#include "core/cmath.h"

/* Taylor series for |r| <= pi/4; the first term left out is below 2^-60. */
static double sin_near(double r)
{
    const double z = r * r;
    double p = -1.0 / 1307674368000;
    p = p * z + 1.0 / 6227020800;
    p = p * z - 1.0 / 39916800;
    p = p * z + 1.0 / 362880;
    p = p * z - 1.0 / 5040;
    p = p * z + 1.0 / 120;
    p = p * z - 1.0 / 6;
    return r + r * z * p;
}

static double cos_near(double r)
{
    const double z = r * r;
    double p = 1.0 / 20922789888000;
    p = p * z - 1.0 / 87178291200;
    p = p * z + 1.0 / 479001600;
    p = p * z - 1.0 / 3628800;
    p = p * z + 1.0 / 40320;
    p = p * z - 1.0 / 720;
    p = p * z + 1.0 / 24;
    p = p * z - 0.5;
    return 1 + z * p;
}

double cr_cos(double x)
{
    const double turn = 0x1.45f306dc9c883p-1;    /* 2 / pi */
    const double high = 1.57079632673412561417;  /* pi / 2 in two parts: n times the first is exact */
    const double low = 6.07710050650619224932e-11;
    const double n = (x * turn + 0x1.8p52) - 0x1.8p52; /* to the nearest integer */
    const double r = (x - n * high) - n * low;

    switch ((int)n & 3) {
    case 0: return cos_near(r);
    case 1: return -sin_near(r);
    case 2: return -cos_near(r);
    default: return sin_near(r);
    }
}

double cr_power(double base, uint64_t n)
{
    double result = 1;
    for (; n > 0; n /= 2) {
        if (n % 2) result *= base;
        base *= base;
    }
    return result;
}
