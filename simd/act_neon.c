/* Activations, AArch64 NEON. */
#include "simd/vec_neon.h"

#include "simd/act_tmpl.h"
