/* Pooling, AVX2. */
#include "simd/vec_avx2.h"

#define POOL(name) name##_avx2
#define SMALLER(name) name##_ref_fma
#include "simd/pool_tmpl.h"
