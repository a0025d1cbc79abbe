/* The known-answer test of a kernel table. It runs at the start of every training run, in well under a millisecond for
 * vector kernels, so that a processor, compiler or flag that breaks the arithmetic is named before a weight is
 * touched. */
#ifndef CR_SIMD_ANSWER_H
#define CR_SIMD_ANSWER_H

#include <stdint.h>

#include "simd/kernels.h"

/* What every instruction set gives under CR_NUMERICS 1. */
#define CR_KERNELS_ANSWER 0x521dc9353baffb19u

/* A hash of what all kernels of *k give for small fixed inputs. -CR_E_NOMEM. */
int cr_kernels_answer(const struct cr_kernels *k, uint64_t *hash, struct cr_error *e);
/* 0; -CR_E_IO when the answer is not CR_KERNELS_ANSWER. Thread-safe. */
int cr_kernels_check(const struct cr_kernels *k, struct cr_error *e);

#endif
