/* Where the time of a training run went, for people and for programs. */
#ifndef CR_APPS_PRINT_PROFILE_H
#define CR_APPS_PRINT_PROFILE_H

#include <stdio.h>

#include "apps/output.h"
#include "core/profile.h"

enum { CR_TRACE_STEPS = 100 }; /* of the run, from its start */

/* A table: a row for each layer, beside the measured peak, and one for each other kind of work. Nothing when the run
 * did no step. */
void cr_print_profile(FILE *out, const struct cr_profile *p);
/* The same as events `profile`, one a row. */
void cr_log_profile(struct cr_log *l, const struct cr_profile *p);
/* The events of the first steps in the Trace Event Format, which chrome://tracing and ui.perfetto.dev open. */
void cr_trace_write(FILE *out, const struct cr_profile *p);

#endif
