/* corering recipes: the built-in recipes, or the text of one. */
#include <stdio.h>
#include <string.h>

#include "apps/builtin.h"
#include "apps/commands.h"
#include "apps/recipe.h"

static const struct cr_option options[] = { { 0 } };

static int list(struct cr_error *e)
{
    for (const struct cr_builtin *b = cr_builtin_recipes; b->name; b++) {
        struct cr_recipe r;
        CR_TRY(cr_recipe_find(&r, b->name, e));
        const char *about = b->text + strspn(b->text, "# "); /* the first comment line */
        printf("%-14s %-12s %-8s %.*s\n", b->name, r.net.value, r.data.value, (int)strcspn(about, "\n"), about);
        cr_recipe_free(&r);
    }
    return 0;
}

static int print_text(const char *name, struct cr_error *e)
{
    struct cr_recipe r;
    CR_TRY(cr_recipe_find(&r, name, e));
    fputs(r.text, stdout);
    cr_recipe_free(&r);
    return 0;
}

static int recipes(void *args, const struct cr_arguments *words, struct cr_error *e)
{
    (void)args;
    return words->count == 1 ? print_text(words->word[0], e) : list(e);
}

static int run(const struct cr_command *self, int argc, char **argv, struct cr_error *e)
{
    return cr_options_run(self, argc, argv, NULL, recipes, e);
}

const struct cr_command cr_command_recipes = {
    .name = "recipes",
    .arguments = "[RECIPE]",
    .summary = "list the built-in recipes, or print one",
    .description = "Lists the built-in recipes: whole training runs by one name, with their network\n"
                   "and data set. With RECIPE prints the text of one, as a start for one of your own.",
    .examples = "  corering recipes\n"
                "  corering train --recipe mnist-99\n"
                "  corering recipes mnist-99 > my.recipe\n",
    .options = options,
    .least = 0,
    .most = 1,
    .run = run,
};
