/* Convolution, AVX-512's 32 registers with vectors of 8 floats, for 8 samples side by side. */
#include "simd/vec_avx2.h"
#include "simd/conv_wide.h"
#include "simd/tree_x86.h"

#define TILE_C 6
#define TILE_X 4
#define TILE_O 4
#define TILE_T 6
#define GEMM cr_gemm_avx512
#define WIDE(name) cr_wide_##name##_avx512
#define SELECT
#define SMALLER(name) name##_ref_fma
#define CONV(name) name##_half_avx512
#include "simd/conv_tmpl.h"
