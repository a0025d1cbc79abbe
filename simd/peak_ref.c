/* The most the machine can do, one float at a time. */
#include "simd/vec_ref.h"

#define PEAK_CHAINS 12
#include "simd/peak_tmpl.h"
