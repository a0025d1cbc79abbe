/* Convolution, AVX-512, 16 samples side by side; 8 go to vectors of half the width. */
#include "simd/vec_avx512.h"
#include "simd/tree_x86.h"

#define TILE_C 6
#define TILE_X 4
#define TILE_O 4
#define TILE_T 6
#define SELECT
#define SMALLER(name) name##_half_avx512
#define CONV(name) name##_avx512
#include "simd/conv_tmpl.h"
