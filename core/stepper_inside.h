/* What the parts of the stepper share: stepper.c (the team and the loop over steps), stepper_blocks.c (which blocks a
 * thread works on), stepper_exchange.c (what ranks tell each other) and stepper_update.c (is a step good, and what
 * comes of it). Internal to them. Every thread t calls all but cr_stepper_exchange and cr_stepper_keep_books, which are
 * thread 0's; between which barriers: stepper.c. */
#ifndef CR_CORE_STEPPER_INSIDE_H
#define CR_CORE_STEPPER_INSIDE_H

#include "core/stepper.h"

/* Thread t's part of the blocks of a round: alone, or with others. */
void cr_stepper_blocks(struct cr_stepper *s, int t, struct cr_round *r, const struct cr_permutation *order);

/* The greatest |bits| of a tensor over all blocks this process did. */
uint32_t cr_stepper_greatest_here(const struct cr_stepper *s, int tensor);
/* Trade this rank's message for the world's; took: ns that it took to make. 0 with s->again, or an error of comm. */
int cr_stepper_exchange(struct cr_stepper *s, const struct cr_round *r, unsigned wish, int64_t took,
                        struct cr_error *e);

/* The sums of this process's workers, for a thread's slice of the parameters; returns where they are. */
uint32_t *cr_stepper_sum_here(struct cr_stepper *s, struct cr_round *r, size_t from, size_t to);
/* Every thread comes to the same one, from the same maxima: does every block fit its scale? */
enum cr_verdict { FITS, REDO, DIVERGED };
enum cr_verdict cr_stepper_judge(const struct cr_stepper *s, const struct cr_round *r);
/* Update the parameters from..to, tensor by tensor, from their sums; */
void cr_stepper_update(struct cr_stepper *s, const struct cr_round *r, const uint32_t *sum, size_t from, size_t to);
/* or those of the channels whose gradients this thread made, which wait as factors (a step of one sample alone). */
void cr_stepper_update_own(struct cr_stepper *s, const struct cr_round *r, const struct cr_worker *w);
/* Scales, counts and losses of a step that was judged. */
void cr_stepper_keep_books(struct cr_stepper *s, const struct cr_round *r, enum cr_verdict v);

#endif
