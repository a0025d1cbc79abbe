/* Pooling, AVX-512. */
#include "simd/vec_avx512.h"

#include "simd/pool_tmpl.h"
