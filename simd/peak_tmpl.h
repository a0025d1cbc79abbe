/* What the machine can do at most, to hold every other kernel against: the template. Included after a vec_*.h, with
 * PEAK_CHAINS the number of sums that fit into its registers beside two constants. */
#include "simd/tables.h"
#include "simd/unroll.h"

/* Independent chains of multiply-adds, enough of them to keep every unit busy; nothing is read or written. */
static float fma_chains(size_t rounds, float scale, float shift)
{
    const vf a = vf_set1(scale), b = vf_set1(shift);
    vf sum[PEAK_CHAINS];
    float lane[VL];
    UNROLL for (int i = 0; i < PEAK_CHAINS; i++) sum[i] = vf_set1((float)i);
    for (size_t r = 0; r < rounds; r++) {
        UNROLL for (int i = 0; i < PEAK_CHAINS; i++) sum[i] = vf_fma(sum[i], a, b);
    }
    UNROLL for (int i = 1; i < PEAK_CHAINS; i++) sum[0] = vf_add(sum[0], sum[i]);
    vf_store(lane, sum[0]);
    return lane[0];
}

static void triad(size_t n, float scale, const float *x, const float *y, float *z)
{
    const vf a = vf_set1(scale);
    for (size_t i = 0; i + VL <= n; i += VL) vf_store(z + i, vf_fma(a, vf_load(x + i), vf_load(y + i)));
}

const struct cr_peak_kernels ISA(cr_peak) = { fma_chains, 2 * VL * PEAK_CHAINS, triad };
