/* What every process of a run must have in common before they talk (dist/handshake.h): this build, its arithmetic, and
 * what its kernels compute. */
#ifndef CR_APPS_AGREEMENT_H
#define CR_APPS_AGREEMENT_H

#include "dist/handshake.h"

/* Fill in all but job and secure. -CR_E_NOMEM. */
int cr_agreement_fill(struct cr_agreement *a, struct cr_error *e);

#endif
