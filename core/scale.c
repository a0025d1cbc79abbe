#include "core/scale.h"

#include <string.h>

int cr_scale_guard(long blocks)
{
    int guard = 0;
    while (((long)1 << guard) < blocks) guard++;
    return guard;
}

/* Ceiling of log2 of a finite float given by its bits; far below every E for zero and subnormals' own exponents. */
static int32_t ceil_log2(uint32_t bits)
{
    const int32_t exponent = (int32_t)(bits >> 23) - 127;
    const uint32_t mantissa = bits & 0x7fffff;
    if (bits >> 23 == 0) return -126; /* zero or subnormal: an upper bound below every scale in use */
    return exponent + (mantissa != 0);
}

static int32_t ceil_div64(int32_t e)
{
    return e >= 0 ? (e + 63) / 64 : -(-e / 64);
}

int cr_scale_shift(int32_t e, int guard)
{
    const int s = 30 - guard - CR_SCALE_HEADROOM - ceil_div64(e);
    return s < -120 ? -120 : s > 120 ? 120 : s;
}

float cr_scale_power(int s)
{
    const uint32_t bits = (uint32_t)(s + 127) << 23;
    float power;
    memcpy(&power, &bits, sizeof power);
    return power;
}

int cr_scale_fits(uint32_t max_bits, int s, int guard)
{
    float x;
    memcpy(&x, &max_bits, sizeof x);
    return (double)x * (double)cr_scale_power(s) <= (double)((uint32_t)1 << (30 - guard));
}

int32_t cr_scale_raise(int32_t e, uint32_t max_bits)
{
    const int32_t seen = 64 * ceil_log2(max_bits);
    return seen > e ? seen : e;
}

int32_t cr_scale_next(int32_t e, uint32_t max_bits)
{
    return cr_scale_raise(e - 1 > CR_SCALE_UNSET ? e - 1 : CR_SCALE_UNSET, max_bits);
}
