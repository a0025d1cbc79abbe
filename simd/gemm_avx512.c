/* The matrix product, AVX-512: tiles of up to 14 x 32, or 6 x 64. */
#include "simd/vec_avx512.h"

#define TILE_ROWS(X) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12) X(13) X(14)
#define TILE_VECTORS 2
#define FEW_ROWS 6
#define BLOCK_M 196
#define BLOCK_K 512
#define BLOCK_N 2048
#include "simd/gemm_tmpl.h"
