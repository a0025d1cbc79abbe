/* Where a training step first went wrong: a second, slow pass over a step whose maxima were not finite. */
#ifndef CR_CORE_DIAGNOSE_H
#define CR_CORE_DIAGNOSE_H

#include "core/stepper.h"

/* Repeat the step at s->state->step on one thread and fill *e with the first layer and sample whose values are NaN or
 * Inf. Returns -CR_E_DIVERGED. */
int cr_diagnose(struct cr_stepper *s, struct cr_error *e);

/* The first layer with a weight that is NaN or Inf, or NULL. */
const struct cr_layer *cr_bad_weight(const struct cr_net *net, const float *params);

#endif
