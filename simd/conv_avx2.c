/* Convolution, AVX2: 16 registers, 12 of them accumulators. */
#include "simd/vec_avx2.h"
#include "simd/tree_x86.h"

#define TILE_C 6
#define TILE_X 2
#define TILE_O 4
#define TILE_T 3
#define GEMM cr_gemm_avx2
#define SMALLER(name) name##_ref_fma
#define CONV(name) name##_avx2
#include "simd/conv_tmpl.h"
