/* `corering train --dry-run`. */
#ifndef CR_APPS_DRY_RUN_H
#define CR_APPS_DRY_RUN_H

#include "core/data.h"
#include "core/net.h"
#include "core/trainer.h"

/* Finds what cr_train would find wrong, and prints what it would do. */
int cr_dry_run(const struct cr_train_options *o, const struct cr_net *net, const struct cr_data *data,
               struct cr_error *e);

#endif
