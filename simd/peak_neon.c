/* The most the machine can do, AArch64 NEON. */
#include "simd/vec_neon.h"

#define PEAK_CHAINS 16
#include "simd/peak_tmpl.h"
