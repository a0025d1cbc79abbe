/* Gradients by weight and by bias of several blocks side by side (struct cr_samples, `each`), against those of blocks
 * that lie by themselves, one after the other. Both leave them in the same places. */
#ifndef CR_TESTS_BLOCKS_H
#define CR_TESTS_BLOCKS_H

#include "simd/kernels.h"

/* Does a table take samples that lie so? */
static inline int can_do(const struct cr_kernels *k, struct cr_samples s) { return !s.each || k->side; }

/* apart: by themselves, if there are several. */
void by_weight_conv(const struct cr_conv_kernels *k, const struct cr_conv *c, struct cr_samples s, int apart,
                    const float *x, const float *dy, float *dw, float *db, float *scratch);
void by_weight_linear(const struct cr_linear_kernels *k, int in, int out, struct cr_samples s, int apart,
                      const float *x, const float *dy, float *dw, float *db, float *scratch);

#endif
