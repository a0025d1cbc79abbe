/* Pooling, AVX-512, 16 samples side by side; 8 go to vectors of half the width. */
#include "simd/vec_avx512.h"

#define POOL(name) name##_avx512
#define SMALLER(name) name##_half_avx512
#include "simd/pool_tmpl.h"
