/* Linear layers, AVX-512, 16 samples side by side; 8 go to vectors of half the width. */
#include "simd/vec_avx512.h"

#define TILE_F 8
#define TILE_O 4
#define TILE_I 3
#define FALLBACK cr_linear_half_avx512
#define LINEAR_NAME cr_linear_avx512
#include "simd/linear_tmpl.h"
