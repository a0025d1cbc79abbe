/* Convolution, NEON: 32 registers of 4 floats. */
#include "simd/vec_neon.h"
#include "simd/tree_neon.h"

#define TILE_C 6
#define TILE_X 4
#define TILE_O 4
#define TILE_T 6
#define GEMM cr_gemm_neon
#define SMALLER(name) name##_ref
#define CONV(name) name##_neon
#include "simd/conv_tmpl.h"
