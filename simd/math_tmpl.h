/* exp, log, tanh and sigmoid of vectors: one written order of evaluation from fma, add, multiply, divide, compare and
 * integer shifts, so that every instruction set gives the same bits. Included after a vec_*.h.
 *
 * Polynomials: exp, log and the small tanh are those of S. Moshier's Cephes library (expf.c, logf.c, tanhf.c).
 * NaN gives NaN everywhere: a diverged network must not be hidden by an activation.
 *
 * Worst error over all floats (tests/check_math.c measures every 997th), against double precision:
 *   exp      0.684 ulp   -87.3 <= x <= 88.72283
 *   log      0.827 ulp   positive normal x
 *   tanh     1.342 ulp   all x
 *   sigmoid  1.500 ulp   x >= -87.3 */
#ifndef CR_SIMD_MATH_TMPL_H
#define CR_SIMD_MATH_TMPL_H

/* 2^n of t = n + 1.5 * 2^23, to be added to the bits of a float: n stands in t's low bits, the rest shifts out. */
static inline vi exponent_of(vf t) { return vi_shl(vf_as_i(t), 23); }

/* exp for x within -87.3 .. 88.72; elsewhere some value, for NaN perhaps not NaN.
 * x = n ln 2 + r, |r| <= ln 2 / 2; exp(r) = 1 + r + r^2 p(r), and n is added to the exponent. */
static inline vf exp_inside(vf x)
{
    const vf round = vf_set1(0x1.8p23f); /* adding it rounds to an integer, kept in the low bits */
    const vf t = vf_fma(x, vf_set1(0x1.715476p+0f), round);
    const vf n = vf_sub(t, round);
    const vf low = vf_set1(-0x1.7f7d1cp-20f);             /* -ln 2 in two parts: n times the other, */
    const vf s = vf_fma(n, vf_set1(-0x1.62e4p-1f), x); /* which has 15 bits, is exact, and so is s */
    const vf r = vf_fma(n, low, s);
    const vf sum = vf_add(vf_set1(1.0f), s); /* 1 + r is sum + rest: what rounding takes is kept */
    const vf rest = vf_fma(n, low, vf_sub(s, vf_sub(sum, vf_set1(1.0f))));

    vf p = vf_set1(1.9875691500e-4f);
    p = vf_fma(p, r, vf_set1(1.3981999507e-3f));
    p = vf_fma(p, r, vf_set1(8.3334519073e-3f));
    p = vf_fma(p, r, vf_set1(4.1665795894e-2f));
    p = vf_fma(p, r, vf_set1(1.6666665459e-1f));
    p = vf_fma(p, r, vf_set1(5.0000001201e-1f));
    p = vf_add(sum, vf_fma(p, vf_mul(r, r), rest));
    return vi_as_f(vi_add(vf_as_i(p), exponent_of(t)));
}

/* exp(x): +0 below -87.3 (no subnormal results), +infinity where the result overflows. */
static inline vf math_exp(vf x)
{
    vf y = exp_inside(x);
    y = vf_select(vf_gt(vf_set1(-87.3f), x), vf_zero(), y);
    y = vf_select(vf_gt(x, vf_set1(0x1.62e42ep+6f)), vi_as_f(vi_set1(0x7f800000)), y);
    return vf_select(vf_eq(x, x), y, x);
}

/* log(x) for positive normal x and +infinity; other numbers give some value.
 * x = 2^n m, sqrt(1/2) <= m < sqrt(2); log(m) = f - f^2/2 + f^3 p(f), f = m - 1. */
static inline vf math_log(vf x)
{
    const vi shifted = vi_add(vf_as_i(x), vi_set1(0x3f800000 - 0x3f3504f3)); /* carries into n when m >= sqrt(2) */
    const vi n = vi_sub(vi_shr(shifted, 23), vi_set1(127));
    const vf f = vf_sub(vi_as_f(vi_sub(vf_as_i(x), vi_shl(n, 23))), vf_set1(1.0f));
    const vf e = vi_to_f(n);
    const vf ff = vf_mul(f, f);

    vf p = vf_set1(7.0376836292e-2f);
    p = vf_fma(p, f, vf_set1(-1.1514610310e-1f));
    p = vf_fma(p, f, vf_set1(1.1676998740e-1f));
    p = vf_fma(p, f, vf_set1(-1.2420140846e-1f));
    p = vf_fma(p, f, vf_set1(1.4249322787e-1f));
    p = vf_fma(p, f, vf_set1(-1.6668057665e-1f));
    p = vf_fma(p, f, vf_set1(2.0000714765e-1f));
    p = vf_fma(p, f, vf_set1(-2.4999993993e-1f));
    p = vf_fma(p, f, vf_set1(3.3333331174e-1f));
    p = vf_mul(vf_mul(p, f), ff);
    p = vf_fma(e, vf_set1(-2.12194440e-4f), p); /* ln 2 = 0.693359375 - 2.12194440e-4 */
    p = vf_fma(vf_set1(-0.5f), ff, p);
    p = vf_fma(e, vf_set1(0.693359375f), vf_add(f, p));
    return vf_select(vf_gt(vi_as_f(vi_set1(0x7f800000)), x), p, x);
}

/* tanh(x): an odd polynomial below 0.625, else 1 - 2 / (exp(2|x|) + 1), which is 1 from 9.02 on. */
static inline vf math_tanh(vf x)
{
    const vf one = vf_set1(1.0f), top = vf_set1(9.1f);
    const vf a = vf_abs(x);
    const vf xx = vf_mul(x, x);

    vf p = vf_set1(-5.70498872745e-3f);
    p = vf_fma(p, xx, vf_set1(2.06390887954e-2f));
    p = vf_fma(p, xx, vf_set1(-5.37397155531e-2f));
    p = vf_fma(p, xx, vf_set1(1.33314422036e-1f));
    p = vf_fma(p, xx, vf_set1(-3.33332819422e-1f));
    const vf small = vf_fma(vf_mul(p, xx), x, x);

    const vf capped = vf_select(vf_gt(a, top), top, a);
    const vf e = exp_inside(vf_add(capped, capped));
    const vf large = vf_sub(one, vf_div(vf_set1(2.0f), vf_add(e, one)));
    const vf signed_large = vf_select(vf_gt(x, vf_zero()), large, vf_sub(vf_zero(), large));
    return vf_select(vf_ge(a, vf_set1(0.625f)), signed_large, small); /* NaN takes the polynomial, and stays */
}

/* sigmoid(x) = 1 / (1 + e) for x > 0 and e / (1 + e) below, e = exp(-|x|): written b - b e / (1 + e), where the
 * rounding of 1 + e weighs less. +0 below -87.3. */
static inline vf math_sigmoid(vf x)
{
    const vf one = vf_set1(1.0f), zero = vf_zero();
    const vf e = math_exp(vf_sub(zero, vf_abs(x)));
    const vf b = vf_select(vf_gt(x, zero), one, e);
    return vf_fma(vf_sub(zero, b), vf_div(e, vf_add(one, e)), b);
}

#endif
