/* Softmax with cross-entropy, AVX2 and FMA. */
#include "simd/vec_avx2.h"

#include "simd/softmax_tmpl.h"
