/* Pooling on AVX-512 machines with vectors of 8 floats, for 8 samples side by side. */
#include "simd/vec_avx2.h"

#define POOL(name) name##_half_avx512
#define SMALLER(name) name##_ref_fma
#include "simd/pool_tmpl.h"
