/* Activations, one float at a time: the definition of the right bits. */
#include "simd/vec_ref.h"

#include "simd/act_tmpl.h"
