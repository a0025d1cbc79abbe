/* Learning rates over a run. */
#ifndef CR_CORE_SCHEDULE_H
#define CR_CORE_SCHEDULE_H

#include <stdint.h>

#include "core/trainer.h"

/* The rate of step (0-based) of total_steps: computed in double in one written order, rounded once to float.
 *   warm-up    the first `warmup` epochs, linear: lr * (step + 1) / warm-up steps
 *   cosine     lr/2 * (1 + cos(pi * t)), t the share of the steps after the warm-up (Loshchilov, Hutter 2017)
 *   step       lr * gamma^(whole multiples of step_epochs done) */
float cr_schedule_rate(const struct cr_train_options *o, uint64_t step, uint64_t steps_per_epoch,
                       uint64_t total_steps);

#endif
