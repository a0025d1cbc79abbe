/* corering info NET|CHECKPOINT|DATA: what something is. */
#define _POSIX_C_SOURCE 200809L
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "apps/commands.h"
#include "apps/find.h"
#include "apps/print_net.h"
#include "apps/text.h"
#include "core/checkpoint.h"

enum { CLASSES = 10 }; /* of a checkpoint, listed by name */

static const struct cr_option options[] = { { 0 } };

static int info_net(const char *word, struct cr_error *e)
{
    struct cr_net net;
    CR_TRY(cr_find_net(&net, word, e));
    printf("%s: a network\n\n", net.name);
    cr_print_net(stdout, &net);
    for (int i = 0; i < net.default_count; i++)
        printf("%s%s=%s%s", i == 0 ? "recommends " : " ", net.defaults[i].option, net.defaults[i].value,
               i == net.default_count - 1 ? "\n" : "");
    cr_net_free(&net);
    return 0;
}

/* ---- checkpoints ---- */

static void print_normalization(const struct cr_normalization *z)
{
    static const char *const kind[] = {
        [CR_NORMALIZE_STD] = "std",
        [CR_NORMALIZE_UNIT] = "unit",
        [CR_NORMALIZE_NONE] = "none",
        [CR_NORMALIZE_GIVEN] = "given",
    };
    printf("  normalisation      %s", kind[z->kind]);
    for (int c = 0; c < z->channels; c++) printf(", mean %.4f std %.4f", z->mean[c], z->std[c]);
    printf("\n");
}

static void print_run(const struct cr_net *net, const struct cr_state *s)
{
    char number[CR_NUMBER_TEXT], redone[CR_NUMBER_TEXT], time[CR_NUMBER_TEXT], value[512], hash[65];
    printf("The run\n");
    printf("  steps              %s (%s redone), %s\n", cr_grouped(s->step, number), cr_grouped(s->redone, redone),
           cr_duration(s->seconds, time));
    printf("  images trained     %s\n", cr_grouped(s->samples, number));
    if (s->best_top1 >= 0)
        printf("  best Top-1         %.4f at step %s\n", s->best_top1, cr_grouped(s->best_step, number));
    printf("  data fingerprint   %016llx\n", (unsigned long long)s->data_fingerprint);
    print_normalization(&s->normalization);
    printf("  classes            %d:", s->classes);
    for (int k = 0; k < s->classes && k < CLASSES; k++) printf("%s %s", k ? "," : "", cr_class_name(s, k));
    if (s->classes > CLASSES) printf(" and %d more", s->classes - CLASSES);
    cr_net_hash(net, s->params, hash);
    printf("\n  weights sha256     %s\n", hash);
    cr_state_hash(s, net, hash);
    printf("  state sha256       %s\n\nWhat decided its bits\n", hash);
    for (const char *const *option = cr_train_option_names(); *option; option++)
        if (cr_train_option_decides(*option) && cr_train_option_get(&s->options, *option, value) == 0)
            printf("  %-18s %s\n", *option, value);
}

static int info_checkpoint(const char *word, struct cr_error *e)
{
    struct cr_net net;
    struct cr_state state;
    char file[640], note[512];
    CR_TRY(cr_find_checkpoint(word, &net, &state, file, note, e));
    if (*note) fprintf(stderr, "corering: warning: %s\n", note);
    printf("%s: a checkpoint of %s\n\n", file, net.name);
    cr_print_net(stdout, &net);
    printf("\n");
    print_run(&net, &state);
    cr_state_free(&state);
    cr_net_free(&net);
    return 0;
}

/* ---- data sets ---- */

static void count_classes(const struct cr_split *s, uint64_t count[CR_MAX_CLASSES])
{
    memset(count, 0, CR_MAX_CLASSES * sizeof *count);
    for (size_t i = 0; i < s->count; i++) count[s->labels[i]]++;
}

static int info_data(const char *word, struct cr_error *e)
{
    struct cr_data d;
    struct cr_normalization z;
    uint64_t train[CR_MAX_CLASSES], test[CR_MAX_CLASSES];
    char number[CR_NUMBER_TEXT], other[CR_NUMBER_TEXT];
    CR_TRY(cr_find_data(&d, word, e));
    printf("%s: a data set\n\n", d.path);
    printf("  images             %dx%dx%d (channels, height, width), 8 bits\n", d.channels, d.height, d.width);
    printf("  to train, to test  %s, %s\n", cr_grouped(d.train.count, number), cr_grouped(d.test.count, other));
    cr_normalization_of(&z, CR_NORMALIZE_STD, &d, d.train.count, 0, 1);
    for (int c = 0; c < d.channels; c++)
        printf("  channel %d          mean %.4f, std %.4f (of bytes / 255, training images)\n", c, z.mean[c], z.std[c]);
    printf("  fingerprint        %016llx\n\n", (unsigned long long)cr_data_fingerprint(&d));
    count_classes(&d.train, train);
    count_classes(&d.test, test);
    printf("  %-16s %10s %10s\n", "class", "train", "test");
    for (int k = 0; k < d.classes; k++)
        printf("  %-16s %10s %10s\n", cr_data_class_name(&d, k), cr_grouped(train[k], number),
               cr_grouped(test[k], other));
    cr_data_close(&d);
    return 0;
}

/* ---- which of them ---- */

static int ends_with(const char *word, const char *ending)
{
    const size_t n = strlen(word), m = strlen(ending);
    return n > m && strcmp(word + n - m, ending) == 0;
}

/* A run's folder holds checkpoints, whole or not; a data set's does not. */
static int is_run_folder(const char *word)
{
    char file[640], note[512];
    return cr_checkpoint_find(word, file, note, NULL) != 0;
}

static int info(const char *word, struct cr_error *e)
{
    struct stat s;
    if (cr_is_builtin_net(word)) return info_net(word, e);
    if (cr_is_builtin_data(word)) return info_data(word, e);
    if (stat(word, &s) < 0)
        return cr_fail(e, CR_E_INPUT, "'%s' is no built-in network or data set, and there is no such file or folder",
                       word);
    if (S_ISDIR(s.st_mode)) return is_run_folder(word) ? info_checkpoint(word, e) : info_data(word, e);
    if (ends_with(word, ".safetensors")) return info_checkpoint(word, e);
    return info_net(word, e);
}

static int tell(void *args, const struct cr_arguments *words, struct cr_error *e)
{
    (void)args;
    return info(words->word[0], e);
}

static int run(const struct cr_command *self, int argc, char **argv, struct cr_error *e)
{
    return cr_options_run(self, argc, argv, NULL, tell, e);
}

const struct cr_command cr_command_info = {
    .name = "info",
    .arguments = "NET|CHECKPOINT|DATA",
    .summary = "layers, a run's history, what a data set holds",
    .description = "Tells of a network its layers, shapes, parameters, arithmetic and memory; of a\n"
                   "checkpoint also the run it is of; of a data set its images, classes, statistics.",
    .examples = "  corering info lenet5\n"
                "  corering info model/20260102_030405\n"
                "  corering info mnist\n",
    .options = options,
    .least = 1,
    .most = 1,
    .run = run,
};
