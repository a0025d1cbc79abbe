/* Bytes of images to interleaved floats, the scalar reference: the definition of the right bits. */
#include <math.h>

#include "simd/ref.h"
#include "simd/tables.h"

void REF(cr_load)(struct cr_samples s, const uint8_t *const *image, int channels, size_t plane, const float *scale,
                  const float *shift, float *x)
{
    const size_t lanes = (size_t)s.lanes, size = (size_t)channels * plane;

    for (size_t i = 0; i < (size_t)cr_groups(s) * lanes; i++) {
        float *to = x + i / lanes * size * lanes + i % lanes;
        for (size_t k = 0; k < size; k++) {
            const size_t c = k / plane;
            to[k * lanes] = i < (size_t)s.n ? fmaf((float)image[i][k], scale[c], shift[c]) : 0.0f;
        }
    }
}
