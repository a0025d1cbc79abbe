/* Sums of bytes, AArch64 NEON. */
#include "simd/vec_neon.h"

#include "simd/bytes_tmpl.h"
