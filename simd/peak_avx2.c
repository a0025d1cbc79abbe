/* The most the machine can do, AVX2 and FMA. */
#include "simd/vec_avx2.h"

#define PEAK_CHAINS 12
#include "simd/peak_tmpl.h"
