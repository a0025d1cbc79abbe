/* Which kernels a run takes, for --verbose. */
#ifndef CR_APPS_PRINT_KERNELS_H
#define CR_APPS_PRINT_KERNELS_H

#include <stdio.h>

#include "core/net.h"
#include "core/worker.h"

/* On a new line, which is not ended: how the kernels of this process go through blocks of `block` samples, layer by
 * layer where they differ, on a worker for that use. */
void cr_print_kernels(FILE *out, const struct cr_net *net, long block, enum cr_worker_use use);

#endif
