/* How a run begins: drawn weights, weights of another run (--init), or exactly where it stopped (--resume). */
#ifndef CR_CORE_RESUME_H
#define CR_CORE_RESUME_H

#include "core/checkpoint.h"

/* Fill *state for a run with these options. from: the checkpoint resumed, or "". note: a sentence worth telling, or "".
 * -CR_E_INPUT when the checkpoint belongs to another network or data; -CR_E_USAGE when an option that decides the
 * bits differs without --override; -CR_E_DIVERGED when a weight to start from is NaN or Inf. */
int cr_run_begin(struct cr_state *state, const struct cr_train_options *o, const struct cr_net *net,
                 const struct cr_data *data, char from[640], char note[512], struct cr_error *e);

/* The folder checkpoints go to: --checkpoint, else that of the run resumed, else a new one. Those of another run may
 * not be there: -CR_E_USAGE. */
int cr_run_folder(const struct cr_train_options *o, const char *from, char folder[512], struct cr_error *e);

#endif
