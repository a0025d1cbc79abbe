/* Gradients as integers: the power-of-two scale of each parameter tensor (arithmetic.md, section 5).
 *
 * E is kept in 1/64 bit and is part of the optimiser's state: it rises at once with the greatest magnitude seen in a
 * block and falls by at most 1/64 bit per step, so that a step hardly ever has to be redone. Integer sums under a
 * power-of-two scale: IntSGD (Mishchenko et al., ICLR 2022), SwitchML (Sapio et al., NSDI 2021). */
#ifndef CR_CORE_SCALE_H
#define CR_CORE_SCALE_H

#include <stdint.h>

/* E of a tensor that has seen nothing yet: the first step measures and is redone. The greatest there can be. */
enum { CR_SCALE_UNSET = -400 * 64, CR_SCALE_MOST = 128 * 64, CR_SCALE_HEADROOM = 4 };

/* G = ceil(log2(blocks)), blocks of a full batch. */
int cr_scale_guard(long blocks);
/* s: gradients are multiplied by 2^s before they are rounded. Within -120..120. */
int cr_scale_shift(int32_t e, int guard);
/* 2^s as a float, exact; s within -126..127. */
float cr_scale_power(int s);
/* Does a greatest magnitude (bits of a finite float) fit under shift s: |x| 2^s <= 2^(30 - guard)? */
int cr_scale_fits(uint32_t max_bits, int s, int guard);
/* E after a step that has to be redone: raised to the maximum. */
int32_t cr_scale_raise(int32_t e, uint32_t max_bits);
/* E after a step that was applied: max(ceil(log2 m), E - 1/64). */
int32_t cr_scale_next(int32_t e, uint32_t max_bits);

#endif
