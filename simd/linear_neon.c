/* Linear layers, NEON. */
#include "simd/vec_neon.h"

#define TILE_F 8
#define TILE_O 4
#define TILE_I 3
#define FALLBACK cr_linear_ref
#define LINEAR_NAME cr_linear_neon
#include "simd/linear_tmpl.h"
