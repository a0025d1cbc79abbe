/* Gradient rounding, sums and update, AArch64 NEON. */
#include "simd/vec_neon.h"

#include "simd/grad_tmpl.h"
