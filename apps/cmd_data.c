/* corering data get|synth: bring a data set to this machine, or draw one. */
#define _POSIX_C_SOURCE 200809L
#include <errno.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "apps/builtin.h"
#include "apps/commands.h"
#include "apps/find.h"
#include "apps/text.h"
#include "core/data.h"

extern char **environ;

/* ---- get: the work is done by datasets/get, a shell script whose text is part of this program ---- */

struct get_args {
    const char *from, *to;
};

static const struct cr_option get_options[] = {
    { .name = "from",
      .argument = "DIR",
      .help = "look here first",
      .set = cr_option_text,
      .offset = offsetof(struct get_args, from) },
    { .name = "to",
      .argument = "DIR",
      .help = "put the files here",
      .standard = "${XDG_CACHE_HOME:-~/.cache}/corering/NAME",
      .set = cr_option_text,
      .offset = offsetof(struct get_args, to) },
    { 0 },
};

/* sh reads the script as an argument, so nothing is written to disk and stdin stays the user's. */
static int run_script(const struct get_args *a, const char *name, struct cr_error *e)
{
    char folder[512];
    if (strcmp(name, "mnist") != 0 && strcmp(name, "fashion-mnist") != 0)
        return cr_fail(e, CR_E_USAGE, "no data set '%s' to get: there are mnist and fashion-mnist", name);
    cr_cache_folder(name, folder);
    /* posix_spawn takes char *const[] and promises not to change the strings. */
    union {
        const char *in[10];
        char *out[10];
    } args;
    int n = 0;
    args.in[n++] = "sh";
    args.in[n++] = "-c";
    args.in[n++] = cr_builtin_scripts[0].text;
    args.in[n++] = "corering data get";
    args.in[n++] = name;
    if (a->from) {
        args.in[n++] = "--from";
        args.in[n++] = a->from;
    }
    args.in[n++] = "--to";
    args.in[n++] = a->to ? a->to : folder;
    args.in[n] = NULL;

    pid_t child;
    const int cause = posix_spawn(&child, "/bin/sh", NULL, NULL, args.out, environ);
    if (cause != 0) return cr_fail(e, CR_E_IO, "cannot start /bin/sh: %s", strerror(cause));
    int status;
    while (waitpid(child, &status, 0) < 0)
        if (errno != EINTR) return cr_fail(e, CR_E_IO, "lost /bin/sh: %s", strerror(errno));
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return 0;
    const int network = WIFEXITED(status) && WEXITSTATUS(status) == 3;
    return cr_fail(e, network ? CR_E_PEER : CR_E_IO, "data set %s is not here; the lines above say why", name);
}

static int get(void *args, const struct cr_arguments *words, struct cr_error *e)
{
    return run_script(args, words->word[0], e);
}

static int run_get(const struct cr_command *self, int argc, char **argv, struct cr_error *e)
{
    struct get_args a = { 0 };
    return cr_options_run(self, argc, argv, &a, get, e);
}

const struct cr_command cr_command_data_get = {
    .name = "data get",
    .arguments = "NAME",
    .summary = "find or download a data set, verified",
    .description = "Brings the data set NAME (mnist or fashion-mnist) to this machine: looks into\n"
                   "--from, $CORERING_DATA and the system's folders, then asks public mirrors with\n"
                   "curl or wget. Every file is checked by its SHA-256 before it is put in place.",
    .examples = "  corering data get mnist\n"
                "  corering data get mnist --from /media/usb --to data/mnist\n",
    .options = get_options,
    .least = 1,
    .most = 1,
    .run = run_get,
};

/* ---- synth ---- */

struct synth_args {
    uint64_t seed;
    long train, test;
};

static const struct cr_option synth_options[] = {
    { .name = "seed",
      .argument = "N",
      .help = "another seed, other digits",
      .standard = "1",
      .set = cr_option_seed,
      .offset = offsetof(struct synth_args, seed) },
    { .name = "train",
      .argument = "N",
      .help = "images to train on",
      .standard = "60000",
      .set = cr_option_count,
      .offset = offsetof(struct synth_args, train) },
    { .name = "test",
      .argument = "N",
      .help = "images to test on",
      .standard = "10000",
      .set = cr_option_count,
      .offset = offsetof(struct synth_args, test) },
    { 0 },
};

static int synth(const struct synth_args *a, const char *folder, struct cr_error *e)
{
    char train[CR_NUMBER_TEXT], test[CR_NUMBER_TEXT], there[64];
    if (a->train == 0 || a->test == 0)
        return cr_fail(e, CR_E_USAGE, "a data set needs at least one image to %s",
                       a->train == 0 ? "train on" : "test on");
    if (cr_data_present(folder, there))
        return cr_fail(e, CR_E_USAGE, "%s holds a data set already (%s); choose another folder, or remove it", folder,
                       there);
    CR_TRY(cr_synth_write(folder, a->seed, (size_t)a->train, (size_t)a->test, e));
    printf("%s: %s digits to train on, %s to test\n", folder, cr_grouped((uint64_t)a->train, train),
           cr_grouped((uint64_t)a->test, test));
    return 0;
}

static int draw(void *args, const struct cr_arguments *words, struct cr_error *e)
{
    return synth(args, words->word[0], e);
}

static int run_synth(const struct cr_command *self, int argc, char **argv, struct cr_error *e)
{
    struct synth_args a = { .seed = 1, .train = 60000, .test = 10000 };
    return cr_options_run(self, argc, argv, &a, draw, e);
}

const struct cr_command cr_command_data_synth = {
    .name = "data synth",
    .arguments = "DIR",
    .summary = "draw synthetic digits",
    .description = "Draws digits of 28x28 (strokes with random slant, scale, thickness, distortion\n"
                   "and noise) and writes them to DIR as IDX files, in place of MNIST where there is\n"
                   "no network. The same seed gives the same bytes on every machine.",
    .examples = "  corering data synth digits && corering train lenet5 digits\n",
    .options = synth_options,
    .least = 1,
    .most = 1,
    .run = run_synth,
};
