/* corering train NET DATA: one training run from the command line to its end. */
#define _POSIX_C_SOURCE 200809L
#include <errno.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "apps/commands.h"
#include "apps/env_run.h"
#include "apps/find.h"
#include "apps/hosts_run.h"
#include "apps/many.h"
#include "apps/mpi_run.h"
#include "apps/output.h"
#include "apps/print_net.h"
#include "apps/print_profile.h"
#include "apps/progress.h"
#include "apps/recipe.h"
#include "apps/signals.h"
#include "apps/text.h"
#include "core/eval.h"
#include "core/plan.h"
#include "core/stop.h"
#include "core/team.h"
#include "core/trainer.h"
#include "dist/mpi.h"
#include "simd/kernels.h"

enum { MAX_TRAIN_OPTIONS = 64 };

/* The command line. Training options are kept as text until net and checkpoint are known, for these give defaults. */
struct train_args {
    const char *value[MAX_TRAIN_OPTIONS]; /* by the order of cr_train_option_names(); NULL = not given */
    const char *recipe, *log, *trace;
    struct cr_remote remote;
    struct cr_many many;
    struct cr_rendezvous world; /* as another program has started us; size 0 = it has not */
    int json, quiet, verbose, dry_run, profile;
};

static int set_named(struct train_args *a, const char *name, const char *value, struct cr_error *e)
{
    struct cr_train_options scratch;
    cr_train_defaults(&scratch);
    CR_TRY(cr_train_option_set(&scratch, name, value, e));
    const char *const *const names = cr_train_option_names();
    for (int i = 0; names[i] && i < MAX_TRAIN_OPTIONS; i++)
        if (strcmp(names[i], name) == 0) a->value[i] = value;
    return 0;
}

static int set_value(void *target, const struct cr_option *o, const char *value, struct cr_error *e)
{
    if (!*value) return cr_fail(e, CR_E_USAGE, "option --%s needs a value that is not empty", o->name);
    return set_named(target, o->name, value, e);
}

static int set_switch(void *target, const struct cr_option *o, const char *value, struct cr_error *e)
{
    (void)value;
    return set_named(target, o->name, "1", e);
}

static int set_no_shuffle(void *target, const struct cr_option *o, const char *value, struct cr_error *e)
{
    (void)o, (void)value;
    return set_named(target, "shuffle", "0", e);
}

/* Chosen here and, by its name, on the other hosts. */
static int set_isa(void *target, const struct cr_option *o, const char *value, struct cr_error *e)
{
    ((struct train_args *)target)->many.isa = value;
    return cr_option_isa(target, o, value, e);
}

static int set_stop(void *target, const struct cr_option *o, const char *value, struct cr_error *e)
{
    struct cr_stop scratch;
    CR_TRY(cr_stop_parse(&scratch, value, e));
    return set_value(target, o, value, e);
}

/* Defaults in the help come from the library itself, so they cannot grow apart. */
static const char *library_default(const struct cr_option *o, char buffer[512])
{
    struct cr_train_options standard;
    cr_train_defaults(&standard);
    if (!o->argument || cr_train_option_get(&standard, o->name, buffer) < 0 || !*buffer) return NULL;
    return buffer;
}

#define FIELD(member) offsetof(struct train_args, member)
static const struct cr_option options[] = {
    { .help = "The run" },
    { .name = "recipe",
      .argument = "NAME|FILE",
      .help = "take network, data and settings from a recipe ('corering recipes' lists the built-in ones); what the"
              " command line says comes before it",
      .set = cr_option_text,
      .offset = FIELD(recipe) },
    { .letter = 'b', .name = "batch-size", .argument = "N", .help = "samples per step", .set = set_value },
    { .letter = 'e', .name = "epochs", .argument = "N", .help = "times through the training set", .set = set_value },
    { .name = "steps",
      .argument = "N",
      .help = "end after N steps, instead of by epochs",
      .standard = "by epochs",
      .set = set_value },
    { .name = "stop",
      .argument = "EXPR",
      .help = "end early, when EXPR holds: \"top1 >= 0.99 or time > 60s\"; knows top1, top5, val_loss,"
              " train_loss, epoch, step, time, and, or, ( )",
      .set = set_stop },
    { .name = "seed", .argument = "N", .help = "seed of starting weights, order and split", .set = set_value },

    { .help = "Optimiser (SGD)" },
    { .letter = 'r',
      .name = "learning-rate",
      .alias = "lr",
      .argument = "X",
      .help = "learning rate",
      .set = set_value },
    { .name = "momentum", .argument = "X", .help = "momentum", .set = set_value },
    { .name = "nesterov", .help = "Nesterov's form of momentum", .set = set_switch },
    { .name = "weight-decay", .argument = "X", .help = "L2 penalty", .set = set_value },
    { .name = "schedule",
      .argument = "NAME",
      .help = "course of the learning rate: constant, step or cosine",
      .set = set_value },
    { .name = "step-epochs", .argument = "N", .help = "epochs between two steps of schedule step", .set = set_value },
    { .name = "step-gamma", .argument = "X", .help = "factor of each of these steps", .set = set_value },
    { .name = "warmup",
      .argument = "N",
      .help = "epochs in which the rate rises linearly to its full height",
      .set = set_value },
    { .name = "block",
      .argument = "N",
      .help = "samples per block, the unit of work; decides the bits",
      .standard = "by batch size",
      .set = set_value },

    { .help = "Data and validation" },
    { .name = "normalize",
      .argument = "HOW",
      .help = "std (mean 0, deviation 1 per channel), unit (0..1), none (0..255), or MEAN,STD",
      .set = set_value },
    { .name = "no-shuffle", .help = "take the samples in the order of the file", .set = set_no_shuffle },
    { .name = "val-split",
      .argument = "X",
      .help = "keep this share of the training set for validation",
      .standard = "0: the test set validates",
      .set = set_value },
    { .name = "validate-every",
      .argument = "N",
      .help = "epochs between two validations; 0 = never",
      .set = set_value },
    { .name = "init", .argument = "FILE|DIR", .help = "start from the weights of a checkpoint", .set = set_value },

    { .help = "Checkpoints" },
    { .name = "checkpoint",
      .argument = "DIR",
      .help = "folder of this run",
      .standard = "model/YYYYMMDD_HHMMSS",
      .set = set_value },
    { .name = "checkpoint-every", .argument = "N", .help = "N steps, Ne epochs or Ns seconds", .set = set_value },
    { .name = "keep", .argument = "N", .help = "older checkpoints kept beside the last", .set = set_value },
    { .name = "no-checkpoint", .help = "write none", .set = set_switch },
    { .name = "resume",
      .argument = "FILE|DIR",
      .help = "go on from a checkpoint, or from the newest of a run's folder; settings that"
              " decide the bits are the run's own, not to be said again",
      .set = set_value },
    { .name = "override", .help = "allow --resume with other settings than the run had", .set = set_switch },

    { .help = "Machine" },
    { .letter = 't',
      .name = "threads",
      .argument = "N",
      .help = "threads; any number gives the same weights",
      .standard = "one per core",
      .set = set_value },
    { .name = "threads-per-block",
      .argument = "N",
      .help = "how many threads may share one where there are fewer blocks than threads",
      .standard = "as many as make it faster",
      .set = set_value },
    { .name = "isa",
      .argument = "NAME",
      .help = "instruction set: ref, avx2, avx512 or neon, as the processor has it; any gives the same"
              " weights",
      .standard = "the best",
      .set = set_isa },
    CR_OPTION_LANES,

    { .help = "Many machines" },
    CR_OPTIONS_REMOTE(struct train_args),
    CR_OPTIONS_MANY(struct train_args),

    { .help = "Output" },
    { .name = "json",
      .help = "events as JSON lines on stdout, instead of text",
      .set = cr_option_switch,
      .offset = FIELD(json) },
    { .name = "log",
      .argument = "FILE",
      .help = "events as JSON lines to FILE (appended to when resuming)",
      .set = cr_option_text,
      .offset = FIELD(log) },
    { .name = "log-every",
      .argument = "N",
      .help = "also tell loss and rate each N steps",
      .standard = "never",
      .set = set_value },
    { .letter = 'q', .name = "quiet", .help = "only the result", .set = cr_option_switch, .offset = FIELD(quiet) },
    { .letter = 'v',
      .name = "verbose",
      .help = "also kernels and checkpoints",
      .set = cr_option_switch,
      .offset = FIELD(verbose) },
    { .name = "profile",
      .help = "at the end, tell where the time went, layer by layer",
      .set = cr_option_switch,
      .offset = FIELD(profile) },
    { .name = "trace",
      .argument = "FILE",
      .help = "what each thread does in the first 100 steps, to FILE, for chrome://tracing or ui.perfetto.dev",
      .set = cr_option_text,
      .offset = FIELD(trace) },
    { .name = "dry-run",
      .help = "check everything, show the plan, do nothing",
      .set = cr_option_switch,
      .offset = FIELD(dry_run) },
    { 0 },
};

/* ---- settings: built-in < network < recipe < checkpoint < command line ---- */

static int apply_checkpoint(struct cr_train_options *o, const char *path, struct cr_error *e)
{
    char file[640], note[512], value[512];
    const int found = cr_checkpoint_find(path, file, note, e);
    if (found <= 0) return found; /* an empty folder: the run starts anew */
    struct cr_net net;
    struct cr_state state;
    CR_TRY(cr_checkpoint_load(file, &net, &state, e));
    int rc = 0;
    for (const char *const *name = cr_train_option_names(); *name && rc == 0; name++)
        if (cr_train_option_decides(*name) && cr_train_option_get(&state.options, *name, value) == 0)
            rc = cr_train_option_set(o, *name, value, e);
    cr_state_free(&state);
    cr_net_free(&net);
    return rc;
}

static int apply_command_line(struct cr_train_options *o, const struct train_args *a, struct cr_error *e)
{
    const char *const *const names = cr_train_option_names();
    for (int i = 0; names[i] && i < MAX_TRAIN_OPTIONS; i++)
        if (a->value[i]) CR_TRY(cr_train_option_set(o, names[i], a->value[i], e));
    return 0;
}

static int settle(struct cr_train_options *o, const struct cr_net *net, const struct cr_recipe *recipe,
                  const struct train_args *a, struct cr_error *e)
{
    struct cr_train_options said;
    cr_train_defaults(&said);
    CR_TRY(apply_command_line(&said, a, e));

    cr_train_defaults(o);
    CR_TRY(cr_train_apply_defaults(o, net, e));
    CR_TRY(cr_recipe_apply(recipe, o, e));
    if (*said.resume) CR_TRY(apply_checkpoint(o, said.resume, e));
    return apply_command_line(o, a, e);
}

/* ---- the command that goes on with an interrupted run ---- */

/* Append a word, in quotes if the shell would see more in it. */
static void append_word(char *text, size_t size, const char *word)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./=,:+%@";
    const size_t used = strlen(text);
    const char *const quote = *word && strspn(word, plain) == strlen(word) ? "" : "'";
    snprintf(text + used, size - used, "%s%s%s%s", used ? " " : "", quote, word, quote);
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
    cr_fail(e, CR_E_INTERRUPTED, "interrupted after %llu steps; to go on: %s", (unsigned long long)r->steps, command);
}

/* ---- the run ---- */

static void say_warning(void *user, const char *sentence)
{
    (void)user;
    cr_progress_erase();
    fprintf(stderr, "corering: warning: %s\n", sentence);
}

static void say_host(void *user, const struct cr_event_host *h)
{
    (void)user;
    cr_progress_erase();
    if (h->lost)
        fprintf(stderr, "corering: lost host %s (rank %d) at step %llu, in its %s: %s; noticed after %.2f s\n", h->host,
                h->rank, (unsigned long long)h->step, h->phase, h->reason, h->noticed);
    else
        fprintf(stderr, "corering: host %s (rank %d) is in: %ld thread%s, %s\n", h->host, h->rank, h->threads,
                h->threads == 1 ? "" : "s", h->isa);
}

static void say_speed(void *user, const struct cr_event_speed *s)
{
    (void)user;
    cr_progress_erase();
    fprintf(stderr, "corering: %s: %d host%s %.1fx one host (network %.0f %%)\n",
            s->achieved ? "achieved" : "predicted", s->hosts, s->hosts == 1 ? "" : "s", s->speedup,
            100 * s->network / s->step);
    if (!s->achieved && s->speedup < 1)
        fprintf(stderr, "corering: warning: that is slower than one host alone; a larger batch needs less network, and "
                "'corering plan' tells which\n");
}

static void say_spent(void *user, const struct cr_event_spent *s)
{
    (void)user;
    const double all = (s->compute + s->wait + s->network) / 100;
    cr_progress_erase();
    fprintf(stderr,
            "corering: host %s (rank %d): compute %.0f %%, waiting for others %.0f %%, network %.0f %% of %.1f s\n",
            s->host, s->rank, s->compute / all, s->wait / all, s->network / all, 100 * all);
}

static void draw_progress(void *user, const struct cr_event_progress *p)
{
    (void)user;
    cr_progress_draw(p);
}

/* What cr_train would find wrong, and what it would do. */
static int dry_run(const struct cr_train_options *o, const struct cr_net *net, const struct cr_data *data,
                   struct cr_error *e)
{
    struct cr_plan plan;
    CR_TRY(cr_check_fit(net, data, e));
    CR_TRY(cr_plan_init(&plan, o, data->train.count, e));

    const double arrays = o->momentum > 0 ? 2 : 1; /* weights, momentum; each thread's own gradients, as integers */
    const int threads = o->threads ? (int)o->threads : cr_threads_default();
    char samples[CR_NUMBER_TEXT], held_out[CR_NUMBER_TEXT], steps[CR_NUMBER_TEXT], bytes[CR_NUMBER_TEXT], value[512];
    printf("%s on %s\n\n", net->name, data->path);
    cr_print_net(stdout, net);
    printf("weights%s %s, gradients %s a thread\n", arrays > 1 ? " and momentum" : "",
           cr_bytes(arrays * sizeof(float) * (double)net->params, bytes),
           cr_bytes(sizeof(float) * (double)net->params, samples));
    printf("\n%s images to train on, %s to validate, %s steps an epoch, ", cr_grouped(plan.samples, samples),
           cr_grouped(plan.held_out ? plan.held_out : data->test.count, held_out),
           cr_grouped(plan.steps_per_epoch, steps));
    printf("%s in all\n", cr_grouped(plan.total_steps, steps));
    struct cr_train_options settled = *o;
    settled.batch = plan.batch;
    settled.block = plan.block;
    settled.threads = threads;
    printf("batch %ld in blocks of %ld, %d thread%s, %s\n\n", plan.batch, plan.block, threads, threads == 1 ? "" : "s",
           cr_kernels()->isa);
    for (const char *const *name = cr_train_option_names(); *name; name++)
        if (cr_train_option_get(&settled, *name, value) == 0 && *value) printf("  %-18s %s\n", *name, value);
    return 0;
}

/* Where events go: warnings and progress to stderr, and text or JSON to stdout, and JSON to --log. */
struct outputs {
    struct cr_text text;
    struct cr_log on_stdout, file; /* with out == NULL when not asked for */
    FILE *trace;                   /* NULL when not asked for */
    struct cr_profile profile;
};

static int open_file(FILE **file, const char *path, const char *mode, const char *what, struct cr_error *e)
{
    *file = fopen(path, mode);
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

static int open_outputs(struct outputs *out, const struct train_args *a, struct cr_error *e)
{
    *out = (struct outputs){ .text = { .out = stdout, .verbose = a->verbose } };
    if (a->json) out->on_stdout.out = stdout;
    if (a->trace) out->profile.trace_steps = CR_TRACE_STEPS;
    if (a->trace && !a->dry_run) CR_TRY(open_file(&out->trace, a->trace, "w", "trace", e));
    if (!a->log || a->dry_run) return 0;
    int resuming = 0;
    const char *const *const names = cr_train_option_names();
    for (int i = 0; names[i]; i++) resuming |= a->value[i] && strcmp(names[i], "resume") == 0;
    return open_file(&out->file.out, a->log, resuming ? "a" : "w", "log", e);
}

static int close_outputs(struct outputs *out, const struct train_args *a, int rc, struct cr_error *e)
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
static int over_mpi(const struct train_args *a)
{
    const int started = a->world.size > 1 && strstr(a->world.starter, "MPI");
    return started && cr_mpi_possible() && !a->many.key_file && !a->many.no_auth;
}

static int run_with(const struct train_args *a, const struct cr_train_options *o, const struct cr_net *net,
                    const struct cr_data *data, struct outputs *out, struct cr_train_result *result, struct cr_error *e)
{
    const int progress = !a->quiet && cr_progress_possible() && !(a->json && isatty(STDOUT_FILENO));
    const struct cr_train_events people = { .warning = say_warning, .host = say_host, .speed = say_speed,
                                            .spent = say_spent, .progress = progress ? draw_progress : NULL };
    struct cr_tee tee = { .count = 1, .to = { people } };
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

static void say_profile(const struct train_args *a, struct outputs *out)
{
    if (a->profile && !a->json) cr_print_profile(stdout, &out->profile);
    if (a->profile) cr_log_profile(&out->on_stdout, &out->profile);
    if (a->profile) cr_log_profile(&out->file, &out->profile);
    if (out->trace) cr_trace_write(out->trace, &out->profile);
}

/* With everything open: settle the options, then train or tell the plan. */
static int train(const struct train_args *a, const struct cr_recipe *recipe, const struct cr_net *net,
                 const struct cr_data *data, struct outputs *out, int argc, char **argv, struct cr_error *e)
{
    struct cr_train_options o;
    CR_TRY(settle(&o, net, recipe, a, e));
    if (a->dry_run) return dry_run(&o, net, data, e);

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
static int open_and_train(const struct train_args *a, const struct cr_recipe *recipe, const struct cr_arguments *words,
                          struct outputs *out, int argc, char **argv, struct cr_error *e)
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
static int follow(const struct train_args *a, const struct cr_arguments *words, struct cr_error *e)
{
    struct cr_train_options said;
    struct cr_data data;
    char folder[512] = "";
    cr_train_defaults(&said);
    CR_TRY(apply_command_line(&said, a, e));
    if (words->count && cr_find_data(&data, words->word[words->count - 1], NULL) == 0) { /* else it is sent */
        snprintf(folder, sizeof folder, "%s", data.path);
        cr_data_close(&data);
    }
    return cr_follow(&a->world, &a->many, said.threads, folder, e);
}

static int run(const struct cr_command *self, int argc, char **argv, struct cr_error *e)
{
    struct train_args a = { 0 };
    struct cr_arguments words;
    struct cr_recipe recipe = { 0 };
    struct outputs out = { 0 };
    int rc = cr_options_parse(self, argc, argv, &a, &words, e);
    if (words.help) {
        cr_options_help(self, stdout);
    } else {
        if (rc == 0 && !cr_remote_given(&a.remote)) rc = cr_rendezvous_read(&a.world, e) < 0 ? -(int)e->code : 0;
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
    .options = options,
    .least = 0,
    .most = 2,
    .standard = library_default,
    .run = run,
};
