/* How a run's state is put into a file: what is not a tensor is text in the metadata, and these say under which key, to
 * checkpoint_save.c and checkpoint_load.c. Internal to them. */
#ifndef CR_CORE_CHECKPOINT_FORM_H
#define CR_CORE_CHECKPOINT_FORM_H

#include <stddef.h>

#include "core/checkpoint.h"

#define CR_CHECKPOINT_FORMAT "corering"

/* Names of enum cr_normalize. */
enum { CR_NORMALIZATIONS = CR_NORMALIZE_GIVEN + 1 };
extern const char *const cr_normalize_name[CR_NORMALIZATIONS];

/* Numbers of struct cr_state, each a line of text. */
struct cr_counter {
    const char *key;
    enum { CR_COUNTER_U64, CR_COUNTER_I64, CR_COUNTER_DOUBLE } type;
    size_t at;
};
enum { CR_COUNTERS = 21 };
extern const struct cr_counter cr_counters[CR_COUNTERS];

/* Is this option of the run rather than of a session? Paths are not, and are never taken from a file; nor is the
 * permission to resume with other settings. */
int cr_option_is_kept(const char *option);
void cr_option_key(const char *option, char key[64]);

/* "model.conv1.weight", "optim.momentum.conv1.bias" */
void cr_tensor_key(const struct cr_tensor *t, int momentum, char name[128]);

#endif
