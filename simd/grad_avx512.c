/* Gradient rounding, sums and update, AVX-512. */
#include "simd/vec_avx512.h"

#include "simd/grad_tmpl.h"
