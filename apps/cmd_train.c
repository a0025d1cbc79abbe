/* corering train NET DATA: one training run from the command line to its end. */
#define _POSIX_C_SOURCE 200809L
#include <errno.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "apps/commands.h"
#include "apps/dry_run.h"
#include "apps/env_run.h"
#include "apps/find.h"
#include "apps/hosts_run.h"
#include "apps/mpi_run.h"
#include "apps/output.h"
#include "apps/print_profile.h"
#include "apps/progress.h"
#include "apps/signals.h"
#include "apps/train_args.h"
#include "core/trainer.h"
#include "dist/mpi.h"

static void append(char *text, size_t size, const char *more)
{
    const size_t used = strlen(text);
    snprintf(text + used, size - used, "%s", more);
}

/* Append a word, in quotes if the shell would see more in it. */
static void append_word(char *text, size_t size, const char *word)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./=,:+%@";
    append(text, size, *text ? " " : "");
    if (*word && strspn(word, plain) == strlen(word)) {
        append(text, size, word);
        return;
    }
    append(text, size, "'");
    for (; *word; word++) append(text, size, *word == '\'' ? "'\\''" : (char[]){ *word, 0 });
    append(text, size, "'");
}

/* The words of this run, with --resume in front where no -- can hide it. */
static void command_that_goes_on(char *text, size_t size, int argc, char **argv, const char *checkpoint)
{
    char folder[640];
    snprintf(folder, sizeof folder, "%s", checkpoint);
    *text = 0;
    append_word(text, size, cr_program);
    append_word(text, size, "train");
    append_word(text, size, "--resume");
    append_word(text, size, dirname(folder));
    for (int i = 0; i < argc; i++) {
        if (strcmp(argv[i], "--resume") == 0)
            i++;
        else if (strncmp(argv[i], "--resume=", 9) != 0)
            append_word(text, size, argv[i]);
    }
}

static void say_how_to_go_on(struct cr_error *e, int argc, char **argv, const struct cr_train_result *r)
{
    if (!*r->checkpoint) {
        cr_fail(e, CR_E_INTERRUPTED, "interrupted after %llu steps; nothing is saved", (unsigned long long)r->steps);
        return;
    }
    char command[640];
    command_that_goes_on(command, sizeof command, argc, argv, r->checkpoint);
    if (strlen(command) + 1 < sizeof command)
        cr_fail(e, CR_E_INTERRUPTED, "interrupted after %llu steps; to go on: %s", (unsigned long long)r->steps,
                command);
    else
        cr_fail(e, CR_E_INTERRUPTED, "interrupted after %llu steps; to go on, say the same with --resume and "
                "the folder of %s", (unsigned long long)r->steps, r->checkpoint);
}

/* Where events go: warnings and progress to stderr, and text or JSON to stdout, and JSON to --log. */
struct outputs {
    struct cr_text text;
    struct cr_log on_stdout, file; /* with out == NULL when not asked for */
    FILE *trace;                   /* NULL when not asked for */
    struct cr_profile profile;
};

/* Is it a file that began as ours do, and does it end with the end of a line? */
static int check_file(const char *path, const char *what, int *torn, struct cr_error *e)
{
    struct stat st;
    *torn = 0;
    if (stat(path, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size == 0) return 0;
    FILE *const file = fopen(path, "r");
    if (!file) return 0; /* we may write to it all the same */
    const int first = fgetc(file);
    *torn = fseek(file, -1, SEEK_END) == 0 && fgetc(file) != '\n';
    fclose(file);
    if (first == '{') return 0;
    return cr_fail_at(e, CR_E_USAGE, path, 0, 0, 0, "this file is no %s of a run; choose another name, or remove it",
                      what);
}

/* For more: what is in the file stays until there is something to put in its place. */
static int open_file(FILE **file, const char *path, const char *what, int *torn, struct cr_error *e)
{
    CR_TRY(check_file(path, what, torn, e));
    *file = fopen(path, "a");
    if (*file) return 0;
    return cr_fail_at(e, CR_E_IO, path, 0, 0, -1, "cannot write the %s: %s", what, strerror(errno));
}

/* -CR_E_IO if the file could not be written whole and nothing worse happened. */
static int close_file(FILE *file, const char *path, const char *what, int rc, struct cr_error *e)
{
    if (!file) return rc;
    const int bad = ferror(file);
    if ((fclose(file) != 0 || bad) && rc == 0)
        return cr_fail_at(e, CR_E_IO, path, 0, 0, -1, "the %s could not be written whole; is the disk full?", what);
    return rc;
}

static int open_outputs(struct outputs *out, const struct cr_train_args *a, struct cr_error *e)
{
    *out = (struct outputs){ .text = { .out = stdout, .verbose = a->verbose } };
    if (a->json) out->on_stdout.out = stdout;
    if (a->trace) out->profile.trace_steps = CR_TRACE_STEPS;
    int torn;
    if (a->trace && !a->dry_run) CR_TRY(open_file(&out->trace, a->trace, "trace", &torn, e));
    if (!a->log || a->dry_run) return 0;
    CR_TRY(open_file(&out->file.out, a->log, "log", &torn, e));
    if (torn) fputc('\n', out->file.out); /* the last run was cut off */
    out->file.anew = !cr_train_args_given(a, "resume");
    return 0;
}

static int close_outputs(struct outputs *out, const struct cr_train_args *a, int rc, struct cr_error *e)
{
    if (rc < 0) {
        cr_log_error(&out->on_stdout, e);
        cr_log_error(&out->file, e);
    }
    cr_log_free(&out->on_stdout);
    cr_log_free(&out->file);
    cr_profile_free(&out->profile);
    rc = close_file(out->trace, a->trace, "trace", rc, e);
    return close_file(out->file.out, a->log, "log", rc, e);
}

/* Ranks that an mpirun started talk over the MPI we were built with, unless a word of the command line is about TCP. */
static int over_mpi(const struct cr_train_args *a)
{
    const int started = a->world.size > 1 && strstr(a->world.starter, "MPI");
    return started && cr_mpi_possible() && !a->many.key_file && !a->many.no_auth;
}

static int run_with(const struct cr_train_args *a, const struct cr_train_options *o, const struct cr_net *net,
                    const struct cr_data *data, struct outputs *out, struct cr_train_result *result, struct cr_error *e)
{
    const int progress = !a->quiet && cr_progress_possible() && !(a->json && isatty(STDOUT_FILENO));
    struct cr_tee tee = { .count = 1, .to = { cr_people_events(progress) } };
    if (!a->json && !a->quiet) tee.to[tee.count++] = cr_text_events(&out->text);
    if (out->on_stdout.out) tee.to[tee.count++] = cr_log_events(&out->on_stdout);
    if (out->file.out) tee.to[tee.count++] = cr_log_events(&out->file);
    struct cr_train_events events = cr_tee_events(&tee);
    events.poll = cr_signals_poll;
    if (a->profile || a->trace) events.profile = &out->profile;

    cr_signals_watch();
    const struct cr_hosts_run hosts = { a->remote, a->many };
    int rc;
    if (cr_remote_given(&a->remote))
        rc = cr_train_on_hosts(&hosts, o, net, data, &events, result, e);
    else if (over_mpi(a))
        rc = cr_train_over_mpi(o, net, data, &events, result, e);
    else if (a->world.size > 1)
        rc = cr_lead(&a->world, &a->many, o, net, data, &events, result, e);
    else
        rc = cr_train(o, net, data, &events, result, e);
    cr_progress_erase();
    return rc;
}

static void say_profile(const struct cr_train_args *a, struct outputs *out)
{
    if (a->profile && !a->json) cr_print_profile(stdout, &out->profile);
    if (a->profile) cr_log_profile(&out->on_stdout, &out->profile);
    if (a->profile) cr_log_profile(&out->file, &out->profile);
    if (out->trace && ftruncate(fileno(out->trace), 0) == 0) cr_trace_write(out->trace, &out->profile);
}

/* With everything open: settle the options, then train or tell the plan. */
static int train(const struct cr_train_args *a, const struct cr_recipe *recipe, const struct cr_net *net,
                 const struct cr_data *data, struct outputs *out, int argc, char **argv, struct cr_error *e)
{
    struct cr_train_options o;
    CR_TRY(cr_train_args_settle(a, recipe, net, &o, e));
    if (a->dry_run && a->json)
        return cr_fail(e, CR_E_USAGE, "--dry-run tells its plan in words; leave --json away");
    if (a->dry_run) return cr_dry_run(&o, net, data, e);

    struct cr_train_result result = { 0 };
    const int rc = run_with(a, &o, net, data, out, &result, e);
    if (rc == -CR_E_INTERRUPTED) say_how_to_go_on(e, argc, argv, &result);
    say_profile(a, out);
    if (*result.reason && a->world.rank == 0) {
        const int status = rc < 0 ? cr_exit_status(e->code) : 0;
        if (!a->json && (rc == 0 || rc == -CR_E_INTERRUPTED)) cr_text_end(&out->text, &result);
        cr_log_end(&out->on_stdout, &result, status);
        cr_log_end(&out->file, &result, status);
    }
    return rc;
}

/* words: NET DATA; or, with a recipe, DATA alone or nothing. */
static int open_and_train(const struct cr_train_args *a, const struct cr_recipe *recipe,
                          const struct cr_arguments *words, struct outputs *out, int argc, char **argv,
                          struct cr_error *e)
{
    struct cr_net net;
    struct cr_data data;
    CR_TRY(cr_recipe_find_net(recipe, words->count == 2 ? words->word[0] : NULL, &net, e));
    int rc = cr_recipe_find_data(recipe, words->count ? words->word[words->count - 1] : NULL, &data, e);
    if (rc == 0) {
        cr_data_measure(&data);
        rc = train(a, recipe, &net, &data, out, argc, argv, e);
        cr_data_close(&data);
    }
    cr_net_free(&net);
    return rc;
}

/* One of the ranks that another program has started, but not the one that leads. */
static int follow(const struct cr_train_args *a, const struct cr_arguments *words, struct cr_error *e)
{
    struct cr_train_options said;
    struct cr_data data;
    char folder[512] = "";
    cr_train_defaults(&said);
    CR_TRY(cr_train_args_apply(a, &said, e));
    if (words->count && cr_find_data(&data, words->word[words->count - 1], NULL) == 0) { /* else it is sent */
        snprintf(folder, sizeof folder, "%s", data.path);
        cr_data_close(&data);
    }
    return cr_follow(&a->world, &a->many, said.threads, folder, e);
}

static void warn_of_idle(const struct cr_train_args *a)
{
    char sentence[128];
    const char *const idle = cr_many_given(&a->many);
    if (!idle) return;
    snprintf(sentence, sizeof sentence, "--%s is for many machines, and none is named (--hostfile FILE, -H a,b)", idle);
    cr_people_events(0).warning(NULL, sentence);
}

static int run(const struct cr_command *self, int argc, char **argv, struct cr_error *e)
{
    struct cr_train_args a = { 0 };
    struct cr_arguments words;
    struct cr_recipe recipe = { 0 };
    struct outputs out = { 0 };
    int rc = cr_options_parse(self, argc, argv, &a, &words, e);
    if (words.help) {
        cr_options_help(self, stdout);
    } else {
        if (rc == 0 && !cr_remote_given(&a.remote)) rc = cr_rendezvous_read(&a.world, e) < 0 ? -(int)e->code : 0;
        if (rc == 0 && !cr_remote_given(&a.remote) && a.world.size == 0) warn_of_idle(&a);
        if (rc == 0 && a.world.rank > 0 && !over_mpi(&a)) {
            rc = follow(&a, &words, e);
            free(words.word);
            return rc;
        }
        if (a.world.rank > 0) { /* rank 0 has the terminal and the files */
            a.log = a.trace = NULL;
            a.json = 0;
            a.quiet = 1;
        }
        if (rc == 0)
            rc = open_outputs(&out, &a, e);
        else if (a.json)
            out.on_stdout.out = stdout;
        if (rc == 0 && a.recipe) rc = cr_recipe_find(&recipe, a.recipe, e);
        if (rc == 0) rc = open_and_train(&a, &recipe, &words, &out, argc, argv, e);
        cr_recipe_free(&recipe);
        rc = close_outputs(&out, &a, rc, e);
    }
    free(words.word);
    return rc;
}

const struct cr_command cr_command_train = {
    .name = "train",
    .arguments = "NET DATA",
    .summary = "train a network on a data set",
    .description = "Trains NET on DATA with every core, validates after each epoch, writes\n"
                   "checkpoints. The weights a run ends with depend on network, data, seed and\n"
                   "hyper-parameters alone: threads, instruction set and interruptions change the\n"
                   "time, never a bit. Defaults stand in brackets; a network may recommend others\n"
                   "('corering info NET' tells).\n\n"
                   "NET    a built-in network ('corering nets' lists them) or a .net file\n"
                   "DATA   mnist, fashion-mnist, synth, or a folder with IDX files\n\n"
                   "With --recipe, both may be left out, or NET alone.",
    .examples = "  corering train lenet5 mnist\n"
                "  corering train lenet5 mnist -b 128 -r 0.1 --stop \"top1 >= 0.99 or time > 60s\"\n"
                "  corering train --recipe mnist-99\n"
                "  corering train my.net data/ --checkpoint run1 --log run1.jsonl\n"
                "  corering train my.net data/ --resume run1\n",
    .options = cr_train_args_options,
    .least = 0,
    .most = 2,
    .standard = cr_train_args_default,
    .run = run,
};
