/* Recipes: a whole training run by one name, as text. Built in (apps/recipes/) or a file of one's own.
 *
 *     # what the recipe shows           the first comment is what `corering recipes` says of it
 *     net           lenet5              NET and DATA of `corering train`; both may be left out
 *     data          mnist
 *     epochs        15                  options of `corering train` by their long names, one a line: as
 *     learning-rate 0.05                `train --dry-run` lists them
 */
#ifndef CR_APPS_RECIPE_H
#define CR_APPS_RECIPE_H

#include "core/data.h"
#include "core/net.h"
#include "core/trainer.h"
#include "simd/error.h"

/* A line of a recipe: a word and the rest. Both belong to the recipe. */
struct cr_recipe_line {
    const char *word, *value; /* word NULL = the recipe has no such line */
    long number;              /* 1-based */
};

enum { CR_RECIPE_LINES = 64 };

/* All zeros is the recipe that says nothing. */
struct cr_recipe {
    char file[512]; /* what messages call it: the path, or a built-in's name */
    char *text;     /* as read; owned, with a copy behind it that is cut into the lines */
    struct cr_recipe_line net, data, setting[CR_RECIPE_LINES];
    int settings;
};

/* NAME: a built-in recipe, or a file (a word with a / or ending in .recipe always is one). Every option is checked.
 * -CR_E_INPUT with file and line, and the nearest known name. The caller frees. */
int cr_recipe_find(struct cr_recipe *r, const char *name, struct cr_error *e);
void cr_recipe_free(struct cr_recipe *r);

/* The network or data set of a run: that of the command line's `word`, or of the recipe where word is NULL.
 * -CR_E_USAGE when neither names one. The caller frees or closes. */
int cr_recipe_find_net(const struct cr_recipe *r, const char *word, struct cr_net *net, struct cr_error *e);
int cr_recipe_find_data(const struct cr_recipe *r, const char *word, struct cr_data *data, struct cr_error *e);

/* Set the options that the recipe names. */
int cr_recipe_apply(const struct cr_recipe *r, struct cr_train_options *o, struct cr_error *e);

#endif
