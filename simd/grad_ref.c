/* Gradient rounding, sums and update, one float at a time: the definition of the right bits. */
#include "simd/vec_ref.h"

#include "simd/grad_tmpl.h"
