/* Bytes to floats, AVX2 and FMA. */
#include "simd/vec_avx2.h"

#include "simd/load_tmpl.h"
