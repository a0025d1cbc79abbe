/* The matrix product, NEON: tiles of up to 7 x 12. gcc loads a whole column of A first: an eighth would not fit. */
#include "simd/vec_neon.h"

#define TILE_ROWS(X) X(1) X(2) X(3) X(4) X(5) X(6) X(7)
#define TILE_VECTORS 3
#define BLOCK_M 112
#define BLOCK_K 384
#define BLOCK_N 1536
#include "simd/gemm_tmpl.h"
