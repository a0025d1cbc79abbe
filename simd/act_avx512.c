/* Activations, AVX-512. */
#include "simd/vec_avx512.h"

#include "simd/act_tmpl.h"
