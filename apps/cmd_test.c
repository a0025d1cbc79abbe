/* corering test CHECKPOINT DATA: how good a trained network is, and where it errs. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "apps/commands.h"
#include "apps/find.h"
#include "apps/output.h"
#include "apps/print_kernels.h"
#include "apps/text.h"
#include "core/eval.h"

enum { WORST = 5, MATRIX = 20 }; /* worst classes listed; classes up to which the matrix is shown */

struct test_args {
    int json, verbose;
    long threads;
};

static const struct cr_option options[] = {
    { .name = "json",
      .help = "one JSON line instead of text",
      .set = cr_option_switch,
      .offset = offsetof(struct test_args, json) },
    CR_OPTION_THREADS(struct test_args, "one per core"),
    CR_OPTION_ISA,
    CR_OPTION_LANES,
    { .letter = 'v',
      .name = "verbose",
      .help = "also the kernels",
      .set = cr_option_switch,
      .offset = offsetof(struct test_args, verbose) },
    { 0 },
};

/* A test and all that is needed to tell of it. */
struct tested {
    const char *file; /* the checkpoint */
    const struct cr_net *net;
    const struct cr_state *state;
    const struct cr_data *data;
    struct cr_eval eval;
    uint64_t *confusion; /* (classes, classes): [true][predicted] */
};

static uint64_t count_of(const struct tested *t, int k)
{
    uint64_t n = 0;
    for (int p = 0; p < t->net->classes; p++) n += t->confusion[(size_t)k * (size_t)t->net->classes + (size_t)p];
    return n;
}

static uint64_t cell(const struct tested *t, int truth, int predicted)
{
    return t->confusion[(size_t)truth * (size_t)t->net->classes + (size_t)predicted];
}

static int widest_name(const struct tested *t)
{
    int width = 0;
    for (int k = 0; k < t->net->classes; k++) {
        const int n = (int)strlen(cr_class_name(t->state, k));
        if (n > width) width = n;
    }
    return width;
}

static void print_matrix(const struct tested *t)
{
    const int classes = t->net->classes, name = widest_name(t);
    char number[CR_NUMBER_TEXT];
    int width = name < 10 ? name : 10;
    for (int i = 0; i < classes * classes; i++) {
        const int n = snprintf(number, sizeof number, "%llu", (unsigned long long)t->confusion[i]);
        if (n > width) width = n;
    }
    printf("\nConfusion matrix (rows: true class, columns: predicted)\n\n  %*s ", name, "");
    for (int p = 0; p < classes; p++) printf(" %*.*s", width, width, cr_class_name(t->state, p));
    printf("   correct\n");
    for (int k = 0; k < classes; k++) {
        printf("  %-*s ", name, cr_class_name(t->state, k));
        for (int p = 0; p < classes; p++) {
            if (cell(t, k, p))
                printf(" %*llu", width, (unsigned long long)cell(t, k, p));
            else
                printf(" %*s", width, ".");
        }
        if (count_of(t, k)) printf("   %6.2f%%", 100 * (double)cell(t, k, k) / (double)count_of(t, k));
        printf("\n");
    }
}

static double recall(const struct tested *t, int k)
{
    const uint64_t n = count_of(t, k);
    return n ? (double)cell(t, k, k) / (double)n : 1;
}

/* The class that class k is most often mistaken for, or -1. */
static int mistaken_for(const struct tested *t, int k, int except)
{
    int most = -1;
    for (int p = 0; p < t->net->classes; p++)
        if (p != k && p != except && cell(t, k, p) > (most < 0 ? 0 : cell(t, k, most))) most = p;
    return most;
}

static void print_worst(const struct tested *t)
{
    const int name = widest_name(t);
    int told[WORST], count = 0;
    for (; count < WORST && count < t->net->classes; count++) {
        int worst = -1;
        for (int k = 0; k < t->net->classes; k++) {
            int again = 0;
            for (int i = 0; i < count; i++) again |= told[i] == k;
            if (!again && (worst < 0 || recall(t, k) < recall(t, worst))) worst = k;
        }
        if (recall(t, worst) >= 1) break;
        if (count == 0) printf("\nWorst classes\n\n");
        told[count] = worst;
        const int first = mistaken_for(t, worst, -1), second = mistaken_for(t, worst, first);
        printf("  %-*s  %6.2f%% correct, taken for %s (%llux)", name, cr_class_name(t->state, worst),
               100 * recall(t, worst), cr_class_name(t->state, first), (unsigned long long)cell(t, worst, first));
        if (second >= 0)
            printf(", %s (%llux)", cr_class_name(t->state, second), (unsigned long long)cell(t, worst, second));
        printf("\n");
    }
}

static void print_text(const struct tested *t)
{
    char number[CR_NUMBER_TEXT], correct[CR_NUMBER_TEXT], top5[CR_NUMBER_TEXT];
    const double n = (double)t->eval.count, p1 = (double)t->eval.top1 / n, p5 = (double)t->eval.top5 / n;
    cr_grouped(t->eval.count, number);
    printf("%s (%s, step %llu)\non the test set of %s, %s images\n\n", t->file, t->net->name,
           (unsigned long long)t->state->step, t->data->path, number);
    printf("Top-1  %.4f +-%.4f  (%s of %s)\n", p1, cr_binomial(p1, n), cr_grouped(t->eval.top1, correct), number);
    printf("Top-5  %.4f +-%.4f  (%s of %s)\n", p5, cr_binomial(p5, n), cr_grouped(t->eval.top5, top5), number);
    printf("loss   %.4f\n", t->eval.loss);
    if (t->net->classes <= MATRIX) print_matrix(t);
    print_worst(t);
}

static void write_json(struct cr_log *log, const struct tested *t)
{
    struct cr_json_writer *const w = &log->line;
    const double n = (double)t->eval.count;
    cr_log_begin(log, "test");
    cr_json_put_string(w, "checkpoint", t->file);
    cr_json_put_string(w, "net", t->net->name);
    cr_json_put_string(w, "data", t->data->path);
    cr_json_put_double(w, "top1", (double)t->eval.top1 / n);
    cr_json_put_double(w, "top5", (double)t->eval.top5 / n);
    cr_json_put_double(w, "loss", t->eval.loss);
    cr_json_put_u64(w, "correct", t->eval.top1);
    cr_json_put_u64(w, "count", t->eval.count);
    cr_json_put_open(w, "classes", '[');
    for (int k = 0; k < t->net->classes; k++) cr_json_put_string(w, NULL, cr_class_name(t->state, k));
    cr_json_put_close(w, ']');
    cr_json_put_open(w, "confusion", '[');
    for (int k = 0; k < t->net->classes; k++) {
        cr_json_put_open(w, NULL, '[');
        for (int p = 0; p < t->net->classes; p++) cr_json_put_u64(w, NULL, cell(t, k, p));
        cr_json_put_close(w, ']');
    }
    cr_json_put_close(w, ']');
    cr_log_finish(log);
}

static int evaluate(struct tested *t, const struct test_args *a, struct cr_log *log, struct cr_error *e)
{
    CR_TRY(cr_check_fit(t->net, t->data, e));
    const size_t classes = (size_t)t->net->classes;
    if (a->verbose && !a->json) {
        printf("machine      %s", cr_kernels()->isa);
        cr_print_kernels(stdout, t->net, CR_EVAL_BLOCK, CR_WORKER_EVALUATES);
        printf("\n\n");
    }
    t->confusion = calloc(classes * classes, sizeof *t->confusion);
    if (!t->confusion) return cr_fail(e, CR_E_NOMEM, "out of memory");
    const int rc = cr_evaluate(t->net, t->state->params, &t->state->normalization, &t->data->test, 0,
                               t->data->test.count, NULL, (int)a->threads, &t->eval, t->confusion, NULL, e);
    if (rc == 0 && a->json)
        write_json(log, t);
    else if (rc == 0)
        print_text(t);
    free(t->confusion);
    return rc;
}

static int test(const struct test_args *a, const struct cr_arguments *words, struct cr_log *log, struct cr_error *e)
{
    struct cr_net net;
    struct cr_state state;
    struct cr_data data;
    char file[640], note[512];
    CR_TRY(cr_find_checkpoint(words->word[0], &net, &state, file, note, e));
    if (*note) fprintf(stderr, "corering: warning: %s\n", note);
    int rc = cr_find_data(&data, words->word[1], e);
    if (rc == 0) {
        struct tested t = { .file = file, .net = &net, .state = &state, .data = &data };
        rc = evaluate(&t, a, log, e);
        cr_data_close(&data);
    }
    cr_state_free(&state);
    cr_net_free(&net);
    return rc;
}

static int run(const struct cr_command *self, int argc, char **argv, struct cr_error *e)
{
    struct test_args a = { 0 };
    struct cr_arguments words;
    int rc = cr_options_parse(self, argc, argv, &a, &words, e);
    struct cr_log log = { .out = a.json ? stdout : NULL };
    if (words.help)
        cr_options_help(self, stdout);
    else if (rc == 0)
        rc = test(&a, &words, &log, e);
    if (rc < 0) cr_log_error(&log, e);
    cr_log_free(&log);
    free(words.word);
    return rc;
}

const struct cr_command cr_command_test = {
    .name = "test",
    .arguments = "CHECKPOINT DATA",
    .summary = "Top-1, Top-5, loss, confusion matrix",
    .description = "Tests a trained network on the test set of DATA.\n\n"
                   "CHECKPOINT   a .safetensors file of 'corering train', or the folder of a run,\n"
                   "             whose newest is taken\n"
                   "DATA         mnist, fashion-mnist, synth, or a folder with IDX files",
    .examples = "  corering test model/20260102_030405 mnist\n",
    .options = options,
    .least = 2,
    .most = 2,
    .run = run,
};
