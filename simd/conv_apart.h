/* What vectors of 16 samples have done by vectors of 8: the gradients of a pooled convolution, samples taken apart
 * (conv_apart_tmpl.h). */
#ifndef CR_SIMD_CONV_APART_H
#define CR_SIMD_CONV_APART_H

#include "simd/kernels.h"

/* Which gradients are shorter so. */
struct cr_apart {
    int weight, input;
};

/* wide: `won` is as vectors of 16 have made it, and what is not shorter is done by these; selects: with half of the
 * zeros left out. dw, db; dx: NULL if not asked for. */
struct cr_apart_kernels {
    struct cr_apart (*pays)(const struct cr_conv *c, struct cr_samples s, const float *dy, int wide,
                            int selects);
    void (*backward)(const struct cr_conv *c, struct cr_samples s, const float *x, const float *dy, const void *won,
                     int wide, const float *w, size_t step, float *dw, float *db, float *dx, float *scratch);
};
extern const struct cr_apart_kernels cr_apart_half_avx512;

#endif
