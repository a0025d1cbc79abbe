/* Pooling, AArch64 NEON. */
#include "simd/vec_neon.h"

#include "simd/pool_tmpl.h"
