/* Linear layers, AVX-512's 32 registers with vectors of 8 floats, for 8 samples side by side. */
#include "simd/vec_avx2.h"

#define TILE_F 8
#define TILE_O 4
#define TILE_I 3
#define FALLBACK cr_linear_ref_fma
#define LINEAR_NAME cr_linear_half_avx512
#include "simd/linear_tmpl.h"
