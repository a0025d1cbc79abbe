/* Bytes to floats, AArch64 NEON. */
#include "simd/vec_neon.h"

#include "simd/load_tmpl.h"
