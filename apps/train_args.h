/* The command line of `corering train`, and what it settles. */
#ifndef CR_APPS_TRAIN_ARGS_H
#define CR_APPS_TRAIN_ARGS_H

#include "apps/many.h"
#include "apps/options.h"
#include "apps/recipe.h"
#include "apps/remote.h"
#include "core/trainer.h"
#include "dist/rendezvous.h"

enum { CR_TRAIN_OPTIONS_MOST = 64 };

/* The command line. Training options are kept as text until net and checkpoint are known, for these give defaults. */
struct cr_train_args {
    const char *value[CR_TRAIN_OPTIONS_MOST]; /* by the order of cr_train_option_names(); NULL = not given */
    const char *recipe, *log, *trace;
    struct cr_remote remote;
    struct cr_many many;
    struct cr_rendezvous world; /* as another program has started us; size 0 = it has not */
    int json, quiet, verbose, dry_run, profile;
};

/* The table of options, for a struct cr_train_args, and what --help says of those without a default of their own. */
extern const struct cr_option cr_train_args_options[];
const char *cr_train_args_default(const struct cr_option *o, char buffer[512]);

/* Was this training option given? */
int cr_train_args_given(const struct cr_train_args *a, const char *name);

/* Those given on the command line, over what is in *o. */
int cr_train_args_apply(const struct cr_train_args *a, struct cr_train_options *o, struct cr_error *e);
/* All of them: built-in < network < recipe < checkpoint < command line. */
int cr_train_args_settle(const struct cr_train_args *a, const struct cr_recipe *recipe, const struct cr_net *net,
                         struct cr_train_options *o, struct cr_error *e);

#endif
