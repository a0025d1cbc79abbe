/* Sums of bytes, AVX-512. */
#include "simd/vec_avx512.h"

#include "simd/bytes_tmpl.h"
