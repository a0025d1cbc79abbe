#include "apps/options.h"

#include <ctype.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "apps/nearest.h"
#include "core/lanes.h"
#include "core/number.h"
#include "simd/kernels.h"

/* Every subcommand knows it. */
static const struct cr_option help_option = { .letter = 'h', .name = "help", .help = "show this text" };

/* ---- setters ---- */

static void *field(void *target, const struct cr_option *o) { return (char *)target + o->offset; }

int cr_option_switch(void *target, const struct cr_option *o, const char *value, struct cr_error *e)
{
    (void)value, (void)e;
    *(int *)field(target, o) = 1;
    return 0;
}

int cr_option_text(void *target, const struct cr_option *o, const char *value, struct cr_error *e)
{
    if (!*value) return cr_fail(e, CR_E_USAGE, "option --%s needs a value that is not empty", o->name);
    *(const char **)field(target, o) = value;
    return 0;
}

int cr_option_count(void *target, const struct cr_option *o, const char *value, struct cr_error *e)
{
    long n;
    if (cr_parse_long(value, &n) < 0 || n < 0 || n > INT32_MAX)
        return cr_fail(e, CR_E_USAGE, "option --%s takes a whole number from 0 on, not '%s'", o->name, value);
    *(long *)field(target, o) = n;
    return 0;
}

int cr_option_seed(void *target, const struct cr_option *o, const char *value, struct cr_error *e)
{
    uint64_t n;
    if (cr_parse_u64(value, &n) < 0)
        return cr_fail(e, CR_E_USAGE, "option --%s takes a whole number from 0 to 2^64-1, not '%s'", o->name, value);
    *(uint64_t *)field(target, o) = n;
    return 0;
}

int cr_option_isa(void *target, const struct cr_option *o, const char *value, struct cr_error *e)
{
    (void)target, (void)o;
    return cr_isa_choose(value, e);
}

int cr_option_lanes(void *target, const struct cr_option *o, const char *value, struct cr_error *e)
{
    (void)target;
    long lanes;
    if (cr_parse_long(value, &lanes) < 0)
        return cr_fail(e, CR_E_USAGE, "option --%s takes 1, 8 or 16, not '%s'", o->name, value);
    return cr_lanes_choose(lanes, e);
}

/* ---- parsing ---- */

static int unknown(const struct cr_command *c, const char *typed, const char *name, struct cr_error *e)
{
    const char *names[128];
    size_t count = 0;
    names[count++] = help_option.name;
    for (const struct cr_option *o = c->options; o->help && count + 2 < sizeof names / sizeof *names; o++) {
        if (o->name) names[count++] = o->name;
        if (o->alias) names[count++] = o->alias;
    }
    const char *const near = name ? cr_nearest(name, names, count) : NULL;
    if (near) return cr_fail(e, CR_E_USAGE, "unknown option '%s' of %s; did you mean --%s?", typed, c->name, near);
    return cr_fail(e, CR_E_USAGE, "unknown option '%s' of %s; see 'corering %s --help'", typed, c->name, c->name);
}

static const struct cr_option *by_name(const struct cr_command *c, const char *name, size_t length)
{
    if (length == strlen(help_option.name) && strncmp(name, help_option.name, length) == 0) return &help_option;
    for (const struct cr_option *o = c->options; o->help; o++) {
        if (!o->name) continue;
        if (strlen(o->name) == length && strncmp(o->name, name, length) == 0) return o;
        if (o->alias && strlen(o->alias) == length && strncmp(o->alias, name, length) == 0) return o;
    }
    return NULL;
}

static const struct cr_option *by_letter(const struct cr_command *c, char letter)
{
    if (letter == help_option.letter) return &help_option;
    for (const struct cr_option *o = c->options; o->help; o++)
        if (o->name && o->letter == letter) return o;
    return NULL;
}

/* The words not looked at yet. */
struct words {
    char **argv;
    int at, argc;
};

/* The value of an option that takes one: what stands behind it (`rest`, maybe NULL), or the next word. */
static int take_value(struct words *w, const struct cr_option *o, const char *rest, const char **value,
                      struct cr_error *e)
{
    if (rest) {
        *value = rest;
        return 0;
    }
    /* A single dash may begin a negative number, two dashes surely begin the next option. */
    if (w->at == w->argc || strncmp(w->argv[w->at], "--", 2) == 0)
        return cr_fail(e, CR_E_USAGE, "option --%s needs a value: --%s %s", o->name, o->name, o->argument);
    *value = w->argv[w->at++];
    return 0;
}

static int apply(struct words *w, const struct cr_option *o, const char *rest, void *target, struct cr_arguments *a,
                 struct cr_error *e)
{
    if (o == &help_option) {
        a->help = 1;
        return 0;
    }
    const char *value = NULL;
    if (o->argument) CR_TRY(take_value(w, o, rest, &value, e));
    return o->set(target, o, value, e);
}

static int take_long(const struct cr_command *c, struct words *w, const char *word, void *target,
                     struct cr_arguments *a, struct cr_error *e)
{
    const char *const name = word + 2;
    const size_t length = strcspn(name, "=");
    const struct cr_option *const o = by_name(c, name, length);
    if (!o) {
        char only_name[64], typed[66];
        snprintf(only_name, sizeof only_name, "%.*s", (int)(length < 63 ? length : 63), name);
        snprintf(typed, sizeof typed, "--%s", only_name);
        return unknown(c, typed, only_name, e);
    }
    if (name[length] == '=' && !o->argument)
        return cr_fail(e, CR_E_USAGE, "option --%s takes no value ('%s')", o->name, word);
    return apply(w, o, name[length] == '=' ? name + length + 1 : NULL, target, a, e);
}

/* -b64, -b 64; switches may stand together: -qv. */
static int take_letters(const struct cr_command *c, struct words *w, const char *word, void *target,
                        struct cr_arguments *a, struct cr_error *e)
{
    for (const char *l = word + 1; *l; l++) {
        const struct cr_option *const o = by_letter(c, *l);
        if (!o) return unknown(c, word, word[2] ? word + 1 : NULL, e);
        CR_TRY(apply(w, o, o->argument && l[1] ? l + 1 : NULL, target, a, e));
        if (o->argument) break;
    }
    return 0;
}

static int count_arguments(const struct cr_command *c, const struct cr_arguments *a, struct cr_error *e)
{
    if (a->count < c->least)
        return cr_fail(e, CR_E_USAGE, "'corering %s' needs %s (see 'corering %s --help')", c->name, c->arguments,
                       c->name);
    if (c->most >= 0 && a->count > c->most)
        return cr_fail(e, CR_E_USAGE, "'corering %s' does not know what to do with '%s' (see 'corering %s --help')",
                       c->name, a->word[c->most], c->name);
    return 0;
}

int cr_options_parse(const struct cr_command *c, int argc, char **argv, void *target, struct cr_arguments *a,
                     struct cr_error *e)
{
    *a = (struct cr_arguments){ 0 };
    a->word = calloc((size_t)argc + 1, sizeof *a->word);
    if (!a->word) return cr_fail(e, CR_E_NOMEM, "out of memory");
    struct words w = { argv, 0, argc };
    int first = 0, options_ended = 0;
    while (w.at < argc) {
        const char *const word = argv[w.at++];
        struct cr_error *const report = first ? NULL : e;
        int rc = 0;
        if (options_ended || word[0] != '-' || word[1] == 0)
            a->word[a->count++] = word;
        else if (strcmp(word, "--") == 0)
            options_ended = 1;
        else if (word[1] == '-')
            rc = take_long(c, &w, word, target, a, report);
        else
            rc = take_letters(c, &w, word, target, a, report);
        if (rc < 0 && !first) first = rc;
    }
    if (a->help) return 0;
    return first ? first : count_arguments(c, a, e);
}

/* ---- help ---- */

enum { WIDTH = 80, COLUMN = 28 }; /* of the page; where the explanations begin */

/* Words from column `at` on, broken before WIDTH, further lines indented to COLUMN. */
static void print_wrapped(FILE *out, const char *text, int at)
{
    while (*text) {
        const int length = (int)strcspn(text, " ");
        if (at > COLUMN && at + 1 + length > WIDTH) {
            fprintf(out, "\n%*s", COLUMN, "");
            at = COLUMN;
        } else if (at > COLUMN) {
            fputc(' ', out);
            at++;
        }
        fprintf(out, "%.*s", length, text);
        at += length;
        text += length;
        while (*text == ' ') text++;
    }
    fputc('\n', out);
}

static void print_option(const struct cr_command *c, const struct cr_option *o, FILE *out)
{
    char left[96], letter[8] = "    ", buffer[512], text[1024];
    if (o->letter) snprintf(letter, sizeof letter, "-%c, ", o->letter);
    snprintf(left, sizeof left, "  %s--%s%s%s%s%s", letter, o->name, o->alias ? ", --" : "", o->alias ? o->alias : "",
             o->argument ? " " : "", o->argument ? o->argument : "");
    const char *standard = o->standard;
    if (!standard && c->standard) standard = c->standard(o, buffer);
    snprintf(text, sizeof text, "%s%s%s%s", o->help, standard ? " [" : "", standard ? standard : "",
             standard ? "]" : "");
    if (strlen(left) + 2 > COLUMN)
        fprintf(out, "%s\n%*s", left, COLUMN, "");
    else
        fprintf(out, "%-*s", COLUMN, left);
    print_wrapped(out, text, COLUMN);
}

void cr_options_help(const struct cr_command *c, FILE *out)
{
    fprintf(out, "Usage: corering %s%s%s [options]\n\n%s\n\n", c->name, *c->arguments ? " " : "", c->arguments,
            c->description);
    if (c->options->name) fprintf(out, "Options:\n");
    for (const struct cr_option *o = c->options; o->help; o++) {
        if (o->name)
            print_option(c, o, out);
        else
            fprintf(out, "%s%s:\n", o == c->options ? "" : "\n", o->help);
    }
    print_option(c, &help_option, out);
    if (c->examples) fprintf(out, "\nExamples:\n%s", c->examples);
}

int cr_options_run(const struct cr_command *c, int argc, char **argv, void *args, cr_command_body *body,
                   struct cr_error *e)
{
    struct cr_arguments words;
    int rc = cr_options_parse(c, argc, argv, args, &words, e);
    if (words.help)
        cr_options_help(c, stdout);
    else if (rc == 0)
        rc = body(args, &words, e);
    free(words.word);
    return rc;
}
