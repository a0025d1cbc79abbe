#include "apps/train_args.h"

#include <stddef.h>
#include <string.h>

#include "core/checkpoint.h"
#include "core/stop.h"

static int set_named(struct cr_train_args *a, const char *name, const char *value, struct cr_error *e)
{
    struct cr_train_options scratch;
    cr_train_defaults(&scratch);
    CR_TRY(cr_train_option_set(&scratch, name, value, e));
    const char *const *const names = cr_train_option_names();
    for (int i = 0; names[i] && i < CR_TRAIN_OPTIONS_MOST; i++)
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
    ((struct cr_train_args *)target)->many.isa = value;
    return cr_option_isa(target, o, value, e);
}

static int set_stop(void *target, const struct cr_option *o, const char *value, struct cr_error *e)
{
    struct cr_stop scratch;
    CR_TRY(cr_stop_parse(&scratch, value, e));
    return set_value(target, o, value, e);
}

/* Defaults in the help come from the library itself, so they cannot grow apart. */
const char *cr_train_args_default(const struct cr_option *o, char buffer[512])
{
    struct cr_train_options standard;
    cr_train_defaults(&standard);
    if (!o->argument || cr_train_option_get(&standard, o->name, buffer) < 0 || !*buffer) return NULL;
    return buffer;
}

#define FIELD(member) offsetof(struct cr_train_args, member)
const struct cr_option cr_train_args_options[] = {
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
      .help = "end after N steps, instead of by epochs; 0 = by epochs",
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
    CR_OPTIONS_REMOTE(struct cr_train_args),
    CR_OPTIONS_MANY(struct cr_train_args),

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

static int apply_checkpoint(struct cr_train_options *o, const char *path, struct cr_error *e)
{
    char file[640], note[512], value[512];
    const int found = cr_checkpoint_find(path, file, note, e);
    if (found <= 0) return found; /* an empty folder: the run starts anew */
    struct cr_net net;
    struct cr_state state;
    CR_TRY(cr_checkpoint_load(file, &net, &state, e));
    int rc = 0;
    if (state.session.ending == CR_ENDING_STOP) *state.options.stop = 0; /* it has been obeyed */
    for (const char *const *name = cr_train_option_names(); *name && rc == 0; name++)
        if (cr_train_option_lasts(*name) && cr_train_option_get(&state.options, *name, value) == 0)
            rc = cr_train_option_set(o, *name, value, e);
    cr_state_free(&state);
    cr_net_free(&net);
    return rc;
}

int cr_train_args_given(const struct cr_train_args *a, const char *name)
{
    const char *const *const names = cr_train_option_names();
    for (int i = 0; names[i] && i < CR_TRAIN_OPTIONS_MOST; i++)
        if (strcmp(names[i], name) == 0) return a->value[i] != NULL;
    return 0;
}

int cr_train_args_apply(const struct cr_train_args *a, struct cr_train_options *o, struct cr_error *e)
{
    const char *const *const names = cr_train_option_names();
    for (int i = 0; names[i] && i < CR_TRAIN_OPTIONS_MOST; i++)
        if (a->value[i]) CR_TRY(cr_train_option_set(o, names[i], a->value[i], e));
    return 0;
}

int cr_train_args_settle(const struct cr_train_args *a, const struct cr_recipe *recipe, const struct cr_net *net,
                         struct cr_train_options *o, struct cr_error *e)
{
    struct cr_train_options said;
    cr_train_defaults(&said);
    CR_TRY(cr_train_args_apply(a, &said, e));

    cr_train_defaults(o);
    CR_TRY(cr_train_apply_defaults(o, net, e));
    CR_TRY(cr_recipe_apply(recipe, o, e));
    if (*said.resume) CR_TRY(apply_checkpoint(o, said.resume, e));
    /* Whoever says --epochs means the end, whatever --steps of a recipe or of the run resumed said. */
    if (cr_train_args_given(a, "epochs")) CR_TRY(cr_train_option_set(o, "steps", "0", e));
    return cr_train_args_apply(a, o, e);
}
