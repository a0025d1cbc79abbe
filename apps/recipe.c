#include "apps/recipe.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "apps/builtin.h"
#include "apps/find.h"
#include "apps/nearest.h"
#include "core/stop.h"
#include "core/text_file.h"

enum { MAX_TEXT = 64 * 1024, ROOM = MAX_TEXT + 2 };

static int fail_at_line(const struct cr_recipe *r, const struct cr_recipe_line *l, struct cr_error *e, const char *why)
{
    return cr_fail_at(e, CR_E_INPUT, r->file, l->number, 0, -1, "%s", why);
}

/* ---- lines ---- */

static int is_blank(char c) { return c == ' ' || c == '\t' || c == '\r'; }

/* Cut a line, which ends with a 0, into its first word and the rest, without comment and blanks. */
static struct cr_recipe_line cut(char *text, long number)
{
    text[strcspn(text, "#")] = 0;
    size_t length = strlen(text);
    while (length && is_blank(text[length - 1])) text[--length] = 0;
    while (is_blank(*text)) text++;
    char *value = text + strcspn(text, " \t");
    if (*value) *value++ = 0;
    while (is_blank(*value)) value++;
    return (struct cr_recipe_line){ *text ? text : NULL, value, number };
}

static int unknown_word(const struct cr_recipe *r, const struct cr_recipe_line *l, struct cr_error *e)
{
    const char *known[128] = { "net", "data" };
    size_t count = 2;
    for (const char *const *name = cr_train_option_names(); *name && count < sizeof known / sizeof *known; name++)
        known[count++] = *name;
    const char *const near = cr_nearest(l->word, known, count);
    char why[256];
    if (near)
        snprintf(why, sizeof why, "unknown option '%.60s'; did you mean %s?", l->word, near);
    else
        snprintf(why, sizeof why, "unknown option '%.60s'; 'corering train --help' lists all", l->word);
    return fail_at_line(r, l, e, why);
}

static int is_option(const char *word)
{
    for (const char *const *name = cr_train_option_names(); *name; name++)
        if (strcmp(*name, word) == 0) return 1;
    return 0;
}

/* Find what is wrong with a setting while its line is at hand. */
static int check_setting(const struct cr_recipe *r, const struct cr_recipe_line *l, struct cr_error *e)
{
    struct cr_train_options scratch;
    struct cr_stop stop;
    struct cr_error inner;
    cr_train_defaults(&scratch);
    if (!is_option(l->word)) return unknown_word(r, l, e);
    if (strcmp(l->word, "resume") == 0 || strcmp(l->word, "override") == 0)
        return fail_at_line(r, l, e, "which run to go on with is no matter of a recipe; say it on the command line");
    if (cr_train_option_set(&scratch, l->word, l->value, &inner) < 0) return fail_at_line(r, l, e, inner.text);
    if (cr_stop_parse(&stop, scratch.stop, &inner) < 0) return fail_at_line(r, l, e, inner.text);
    return 0;
}

static int add(struct cr_recipe *r, const struct cr_recipe_line *l, struct cr_error *e)
{
    struct cr_recipe_line *place = strcmp(l->word, "net") == 0    ? &r->net
                                   : strcmp(l->word, "data") == 0 ? &r->data
                                                                  : &r->setting[r->settings];
    for (int i = 0; i < r->settings; i++)
        if (strcmp(r->setting[i].word, l->word) == 0) place = &r->setting[i];
    if (!*l->value) return fail_at_line(r, l, e, "expected a word and its value, as in: epochs 15");
    if (place == &r->setting[CR_RECIPE_LINES]) return fail_at_line(r, l, e, "more lines than there are options");
    if (place->word) {
        char why[128];
        snprintf(why, sizeof why, "'%.60s' stands already on line %ld", l->word, place->number);
        return fail_at_line(r, l, e, why);
    }
    if (place != &r->net && place != &r->data) {
        CR_TRY(check_setting(r, l, e));
        r->settings++;
    }
    *place = *l;
    return 0;
}

static int parse(struct cr_recipe *r, char *at, struct cr_error *e)
{
    for (long number = 1; *at; number++) {
        char *const end = at + strcspn(at, "\n"), *const next = *end ? end + 1 : end;
        *end = 0;
        const struct cr_recipe_line line = cut(at, number);
        if (line.word) CR_TRY(add(r, &line, e));
        at = next;
    }
    return 0;
}

/* ---- texts ---- */

static int read_file(struct cr_recipe *r, struct cr_error *e)
{
    const long n = cr_text_read(r->file, "the recipe", r->text, MAX_TEXT, e);
    if (n < 0) return (int)n;
    if (n > MAX_TEXT) return cr_fail_at(e, CR_E_INPUT, r->file, 0, 0, -1, "more than 64 KiB: this is no recipe");
    return 0;
}

static int read_text(struct cr_recipe *r, const char *name, struct cr_error *e)
{
    const char *names[64];
    size_t count = 0;
    for (const struct cr_builtin *b = cr_builtin_recipes; b->name; b++) {
        if (strcmp(b->name, name) == 0) {
            snprintf(r->text, MAX_TEXT + 1, "%s", b->text);
            return 0;
        }
        if (count < sizeof names / sizeof *names) names[count++] = b->name;
    }
    if (cr_is_file(name, ".recipe")) return read_file(r, e);
    const char *const near = cr_nearest(name, names, count);
    if (near) return cr_fail(e, CR_E_INPUT, "no recipe '%s'; did you mean %s?", name, near);
    return cr_fail(e, CR_E_INPUT, "no recipe '%s': give a file, or a name that 'corering recipes' lists", name);
}

int cr_recipe_find(struct cr_recipe *r, const char *name, struct cr_error *e)
{
    *r = (struct cr_recipe){ .text = calloc(2, ROOM) };
    if (!r->text) return cr_fail(e, CR_E_NOMEM, "out of memory for a recipe");
    snprintf(r->file, sizeof r->file, "%s", name);
    int rc = read_text(r, name, e);
    if (rc == 0) rc = parse(r, strcpy(r->text + ROOM, r->text), e);
    if (rc < 0) cr_recipe_free(r);
    return rc;
}

void cr_recipe_free(struct cr_recipe *r)
{
    free(r->text);
    *r = (struct cr_recipe){ 0 };
}

/* ---- use ---- */

static int name_of(const struct cr_recipe *r, const struct cr_recipe_line *l, const char **word, struct cr_error *e)
{
    if (!*word) *word = l->word ? l->value : NULL;
    if (*word) return 0;
    if (!*r->file)
        return cr_fail(e, CR_E_USAGE, "'corering train' needs NET DATA (see 'corering train --help')");
    return cr_fail(e, CR_E_USAGE, "recipe %s has no %s line: give NET DATA on the command line", r->file,
                   l == &r->net ? "net" : "data");
}

/* An error of what the recipe names is told with the recipe's line. */
static int with_place(int rc, const struct cr_recipe *r, const struct cr_recipe_line *l, const char *word,
                      struct cr_error *e)
{
    if (rc == 0 || word != l->value) return rc;
    const struct cr_error inner = *e;
    return cr_fail_at(e, inner.code, r->file, l->number, 0, -1, "%s", inner.text);
}

int cr_recipe_find_net(const struct cr_recipe *r, const char *word, struct cr_net *net, struct cr_error *e)
{
    CR_TRY(name_of(r, &r->net, &word, e));
    return with_place(cr_find_net(net, word, e), r, &r->net, word, e);
}

int cr_recipe_find_data(const struct cr_recipe *r, const char *word, struct cr_data *data, struct cr_error *e)
{
    CR_TRY(name_of(r, &r->data, &word, e));
    return with_place(cr_find_data(data, word, e), r, &r->data, word, e);
}

int cr_recipe_apply(const struct cr_recipe *r, struct cr_train_options *o, struct cr_error *e)
{
    for (int i = 0; i < r->settings; i++) CR_TRY(cr_train_option_set(o, r->setting[i].word, r->setting[i].value, e));
    return 0;
}
