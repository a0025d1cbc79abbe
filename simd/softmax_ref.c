/* Softmax with cross-entropy, one float at a time: the definition of the right bits. */
#include "simd/vec_ref.h"

#include "simd/softmax_tmpl.h"
