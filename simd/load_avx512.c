/* Bytes to floats, AVX-512. */
#include "simd/vec_avx512.h"

#include "simd/load_tmpl.h"
