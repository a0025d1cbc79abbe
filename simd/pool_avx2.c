/* Pooling, AVX2 and FMA. */
#include "simd/vec_avx2.h"

#include "simd/pool_tmpl.h"
