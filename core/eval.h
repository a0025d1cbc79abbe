/* Forward passes over a split with all threads: validation, `corering test`, `corering predict`. */
#ifndef CR_CORE_EVAL_H
#define CR_CORE_EVAL_H

#include <stddef.h>
#include <stdint.h>

#include "core/data.h"
#include "core/net.h"
#include "simd/error.h"

/* Do the network's input and classes fit the data? -CR_E_INPUT says what does not. */
int cr_check_fit(const struct cr_net *net, const struct cr_data *data, struct cr_error *e);

enum { CR_EVAL_BLOCK = 16 }; /* samples of a block, if there are as many */

struct cr_eval {
    size_t count, top1, top5; /* samples, correct ones, target among the five best */
    int64_t loss_sum;         /* cross-entropy, each sample rounded to 2^-24, in these units */
    double loss;              /* its mean */
};

/* Evaluate the samples first..first+count-1 of a split on `threads` threads (0 = default).
 * index: (count) indices into the split, or NULL for first, first+1, ...
 * confusion: (classes, classes) counts [true][predicted], or NULL. probability: (count, classes) softmax, or NULL.
 * The numbers do not depend on threads. -CR_E_NOMEM only. */
int cr_evaluate(const struct cr_net *net, const float *params, const struct cr_normalization *z,
                const struct cr_split *split, size_t first, size_t count, const uint32_t *index, int threads,
                struct cr_eval *result, uint64_t *confusion, float *probability, struct cr_error *e);

#endif
