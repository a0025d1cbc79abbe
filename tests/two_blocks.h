/* Gradients by weight and by bias of two blocks at once (struct cr_samples, `two`): a kernel does both in one go, the
 * reference, which knows no such thing, one block after the other. Both leave them in the same places. */
#ifndef CR_TESTS_TWO_BLOCKS_H
#define CR_TESTS_TWO_BLOCKS_H

#include "simd/kernels.h"

/* apart: one block after the other, if there are two. */
void by_weight_conv(const struct cr_conv_kernels *k, const struct cr_conv *c, struct cr_samples s, int apart,
                    const float *x, const float *dy, float *dw, float *db, float *scratch);
void by_weight_linear(const struct cr_linear_kernels *k, int in, int out, struct cr_samples s, int apart,
                      const float *x, const float *dy, float *dw, float *db, float *scratch);

#endif
