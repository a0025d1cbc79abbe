/* Activations, AVX2 and FMA. */
#include "simd/vec_avx2.h"

#include "simd/act_tmpl.h"
