/* Command lines by table: a subcommand says which options it knows, and gets parsing, error messages and --help.
 *
 * Options stand before or after the arguments, as --name=value, --name value, -n value or -nvalue; -- ends them. */
#ifndef CR_APPS_OPTIONS_H
#define CR_APPS_OPTIONS_H

#include <stddef.h>
#include <stdio.h>

#include "simd/error.h"

struct cr_option;

/* Take one option into the subcommand's own struct (`target`). value is NULL for a switch. -CR_E_USAGE. */
typedef int cr_option_set_fn(void *target, const struct cr_option *o, const char *value, struct cr_error *e);

struct cr_option {
    char letter;          /* 'b' for -b; 0 = none */
    const char *name;     /* batch-size for --batch-size; NULL = `help` is a heading of the list */
    const char *alias;    /* another long name, or NULL */
    const char *argument; /* what the help calls its value; NULL = a switch, which takes none */
    const char *help;     /* what it does; NULL = the end of the table */
    const char *standard; /* the default, shown in brackets; NULL = not shown */
    cr_option_set_fn *set;
    size_t offset; /* of the field in the target that `set` fills */
};

/* Setters for the common kinds of fields. */
cr_option_set_fn cr_option_switch; /* int, becomes 1 */
cr_option_set_fn cr_option_text;   /* const char *, points into argv */
cr_option_set_fn cr_option_count;  /* long >= 0 */
cr_option_set_fn cr_option_seed;   /* uint64_t */
cr_option_set_fn cr_option_isa;    /* no field: cr_isa_choose */
cr_option_set_fn cr_option_lanes;  /* no field: cr_lanes_choose */

struct cr_command {
    const char *name;        /* train; "data get" */
    const char *arguments;   /* NET DATA */
    const char *summary;     /* one line */
    const char *description; /* for --help: paragraphs */
    const char *examples;    /* for --help: lines, or NULL */
    const struct cr_option *options;
    int least, most; /* how many arguments; most -1 = any number */
    /* Default of an option whose `standard` is NULL, into buffer; NULL if there is none. The member may be NULL. */
    const char *(*standard)(const struct cr_option *o, char buffer[512]);
    /* argv[0] is the first word after the command's name. 0, or negative and *e tells. */
    int (*run)(const struct cr_command *self, int argc, char **argv, struct cr_error *e);
};

struct cr_arguments {
    const char **word; /* in order, pointing into argv; owned, free() it */
    int count;
    int help; /* --help was given: nothing else was checked */
};

/* Take argc words apart: options into target, the rest into *a. After the first error the remaining words are still
 * looked at, so that --json is known wherever it stands. 0, -CR_E_USAGE, -CR_E_NOMEM. */
int cr_options_parse(const struct cr_command *c, int argc, char **argv, void *target, struct cr_arguments *a,
                     struct cr_error *e);

/* What most commands are: words taken apart into args, then the help or body(args, words, e). */
typedef int cr_command_body(void *args, const struct cr_arguments *words, struct cr_error *e);
int cr_options_run(const struct cr_command *c, int argc, char **argv, void *args, cr_command_body *body,
                   struct cr_error *e);

/* Rows of option tables that several commands have. type: their arguments, with a member `long threads`. */
#define CR_OPTION_THREADS(type, usual)                                                                                 \
    {                                                                                                                  \
        .letter = 't', .name = "threads", .argument = "N", .help = "threads", .standard = (usual),                     \
        .set = cr_option_count, .offset = offsetof(type, threads)                                                      \
    }
#define CR_OPTION_ISA                                                                                                  \
    {                                                                                                                  \
        .name = "isa", .argument = "NAME", .help = "instruction set: ref, avx2, avx512 or neon",                       \
        .standard = "the best", .set = cr_option_isa                                                                   \
    }

#define CR_OPTION_LANES                                                                                                \
    {                                                                                                                  \
        .name = "lanes", .argument = "N",                                                                              \
        .help = "samples side by side in the kernels: 1, 8 or 16; any gives the same result",                          \
        .standard = "by network, block size and instruction set", .set = cr_option_lanes                               \
    }

/* The text of `corering COMMAND --help`. */
void cr_options_help(const struct cr_command *c, FILE *out);

#endif
