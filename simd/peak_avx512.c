/* The most the machine can do, AVX-512. */
#include "simd/vec_avx512.h"

#define PEAK_CHAINS 16
#include "simd/peak_tmpl.h"
