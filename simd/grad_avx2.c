/* Gradient rounding, sums and update, AVX2 and FMA. */
#include "simd/vec_avx2.h"

#include "simd/grad_tmpl.h"
