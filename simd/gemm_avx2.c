/* The matrix product, AVX2: tiles of up to 6 x 16. */
#include "simd/vec_avx2.h"

#define TILE_ROWS(X) X(1) X(2) X(3) X(4) X(5) X(6)
#define TILE_VECTORS 2
#define BLOCK_M 96
#define BLOCK_K 384
#define BLOCK_N 2048
#include "simd/gemm_tmpl.h"
