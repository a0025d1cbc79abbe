/* Softmax with cross-entropy, AArch64 NEON. */
#include "simd/vec_neon.h"

#include "simd/softmax_tmpl.h"
