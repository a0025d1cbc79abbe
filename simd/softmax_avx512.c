/* Softmax with cross-entropy, AVX-512. */
#include "simd/vec_avx512.h"

#include "simd/softmax_tmpl.h"
