/* Sums of bytes, AVX2 and FMA. */
#include "simd/vec_avx2.h"

#include "simd/bytes_tmpl.h"
