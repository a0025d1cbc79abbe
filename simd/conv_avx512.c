/* Convolution, AVX-512, 16 samples side by side; 8 go to vectors of half the width. */
#include "simd/vec_avx512.h"
#include "simd/tree_x86.h"

#define TILE_C 6
#define TILE_X 4
#define TILE_O 4
#define TILE_T 5
#define FALLBACK cr_conv_half_avx512
#define CONV_NAME cr_conv_avx512
#include "simd/conv_tmpl.h"
