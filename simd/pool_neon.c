/* Pooling, AArch64 NEON. */
#include "simd/vec_neon.h"

#define POOL(name) name##_neon
#define SMALLER(name) name##_ref
#include "simd/pool_tmpl.h"
