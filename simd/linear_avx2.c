/* Linear layers, AVX2. */
#include "simd/vec_avx2.h"

#define TILE_F 8
#define TILE_O 4
#define TILE_I 2
#define FALLBACK cr_linear_ref_fma
#define LINEAR_NAME cr_linear_avx2
#include "simd/linear_tmpl.h"
