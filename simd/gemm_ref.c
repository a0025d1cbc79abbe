/* The matrix product's tile, one float at a time: the definition of the right bits. */
#include <math.h>

#include "simd/ref.h"
#include "simd/tables.h"

static void tile(int m, int n, const struct cr_gemm_tile *t)
{
    for (size_t i = 0; i < (size_t)m; i++)
        for (size_t j = 0; j < (size_t)n; j++) {
            float sum = t->start ? t->start[i * t->start_row + j * t->start_col] : 0.0f;
            for (size_t p = 0; p < t->k; p++)
                sum = fmaf(t->a[i * t->a_row + p * t->a_step], t->b[p * t->b_step + j], sum);
            t->c[i * t->c_row + j] = sum;
        }
}

static void pack(size_t n, size_t k, const float *from, size_t l_stride, size_t p_stride, float *to, size_t step)
{
    for (size_t p = 0; p < k; p++)
        for (size_t l = 0; l < n; l++) to[p * step + l] = from[l * l_stride + p * p_stride];
}

const struct cr_gemm_kernels REF(cr_gemm) = {
    .tile = tile,
    .pack = pack,
    .mr = 4,
    .nr = 4,
    .vector = 1,
    .mc = 32,
    .kc = 64,
    .nc = 64,
};
