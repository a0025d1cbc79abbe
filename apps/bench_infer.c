/* corering bench infer NET: the forward pass alone, many images at once and one by one. */
#define _POSIX_C_SOURCE 200809L
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "apps/bench.h"
#include "apps/commands.h"
#include "apps/find.h"
#include "apps/text.h"
#include "core/eval.h"
#include "core/memory.h"
#include "core/team.h"
#include "core/worker.h"

enum { SEED = 1 };
static const double repetition_seconds = 0.1;

static const struct cr_option options[] = {
    CR_OPTION_THREADS(struct cr_bench_args, "one per core"),
    CR_OPTION_ISA,
    CR_BENCH_JSON,
    { 0 },
};

/* A network with weights drawn, and images for it. */
struct subject {
    const struct cr_net *net;
    const struct cr_data *data;
    struct cr_normalization z;
    float *params;
};

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* ---- many images, all threads: what `corering test` does ---- */

static int evaluate(const struct subject *s, size_t count, int threads, double *seconds, struct cr_error *e)
{
    struct cr_eval result;
    const double start = now();
    CR_TRY(cr_evaluate(s->net, s->params, &s->z, &s->data->train, 0, count, NULL, threads, &result, NULL, NULL, e));
    *seconds = now() - start;
    return 0;
}

/* Images a second; as many at a time as fill a repetition. */
static int throughput(const struct subject *s, int threads, double speed[CR_BENCH_REPETITIONS], struct cr_error *e)
{
    size_t count = s->data->train.count < 256 ? s->data->train.count : 256;
    double seconds;
    CR_TRY(evaluate(s, count, threads, &seconds, e));
    CR_TRY(evaluate(s, count, threads, &seconds, e));
    const double fitting = (double)count * repetition_seconds / seconds;
    if (fitting > (double)count)
        count = fitting < (double)s->data->train.count ? (size_t)fitting : s->data->train.count;
    for (int i = 0; i < CR_BENCH_REPETITIONS; i++) {
        CR_TRY(evaluate(s, count, threads, &seconds, e));
        speed[i] = (double)count / seconds;
    }
    return 0;
}

/* ---- one image, one thread: what `corering predict` waits for ---- */

struct single {
    const struct subject *subject;
    struct cr_worker *worker;
};

static void run_single(void *work)
{
    const struct single *const one = work;
    cr_worker_forward(one->worker, one->subject->params, &one->subject->z, 1, 0);
}

static int latency(const struct subject *s, struct cr_rate *rate, struct cr_error *e)
{
    struct single one = { s, cr_worker_new(s->net, cr_kernels(), 1, CR_WORKER_EVALUATES) };
    if (!one.worker) return cr_fail(e, CR_E_NOMEM, "out of memory for the activations of one image");
    one.worker->image[0] = s->data->train.images;
    one.worker->label[0] = 0;
    *rate = cr_bench_rate(1, run_single, (void *[]){ &one });
    cr_worker_free(one.worker);
    return 0;
}

/* ---- the command ---- */

static void say(struct cr_log *log, const struct subject *s, int threads, double *speed, const struct cr_rate *single)
{
    const double median = cr_median(speed, CR_BENCH_REPETITIONS), micros = 1e6 / single->median;
    char number[3][CR_NUMBER_TEXT];
    if (!log->out) {
        printf("%s, %s, %d thread%s\n", s->net->name, cr_kernels()->isa, threads, threads == 1 ? "" : "s");
        printf("  %s images/s (%s to %s, median of %d)\n", cr_grouped((uint64_t)median, number[0]),
               cr_grouped((uint64_t)speed[0], number[1]),
               cr_grouped((uint64_t)speed[CR_BENCH_REPETITIONS - 1], number[2]), CR_BENCH_REPETITIONS);
        printf("  %.1f us for an image alone, on one thread\n", micros);
        return;
    }
    cr_bench_line(log, "infer", cr_kernels()->isa, threads);
    cr_json_put_string(&log->line, "net", s->net->name);
    cr_json_put_double(&log->line, "images_per_s", median);
    cr_json_put_double(&log->line, "least", speed[0]);
    cr_json_put_double(&log->line, "most", speed[CR_BENCH_REPETITIONS - 1]);
    cr_json_put_double(&log->line, "microseconds", micros);
    cr_log_finish(log);
}

static int measure(struct subject *s, int threads, struct cr_log *log, struct cr_error *e)
{
    double speed[CR_BENCH_REPETITIONS];
    struct cr_rate single;
    s->params = cr_memory(s->net->params * sizeof(float));
    if (!s->params) return cr_fail(e, CR_E_NOMEM, "out of memory for the weights");
    cr_net_init(s->net, SEED, s->params);
    cr_normalization_of(&s->z, CR_NORMALIZE_STD, s->data, s->data->train.count, 0, 1);
    int rc = throughput(s, threads, speed, e);
    if (rc == 0) rc = latency(s, &single, e);
    if (rc == 0) say(log, s, threads, speed, &single);
    free(s->params);
    return rc;
}

static int bench(const struct cr_bench_args *a, const struct cr_net *net, struct cr_error *e)
{
    const int threads = cr_bench_threads(a, cr_threads_default(), e);
    CR_TRY(threads);
    struct cr_log log = { .out = a->json ? stdout : NULL };
    struct cr_data data;
    uint8_t *bytes;
    CR_TRY(cr_bench_data(&data, &bytes, net, e));
    struct subject s = { .net = net, .data = &data };
    const int rc = measure(&s, threads, &log, e);
    cr_log_free(&log);
    cr_bench_data_free(&data, bytes);
    return rc;
}

static int body(void *args, const struct cr_arguments *words, struct cr_error *e)
{
    struct cr_net net;
    CR_TRY(cr_find_net(&net, words->word[0], e));
    const int rc = bench(args, &net, e);
    cr_net_free(&net);
    return rc;
}

static int run(const struct cr_command *self, int argc, char **argv, struct cr_error *e)
{
    struct cr_bench_args a = { 0 };
    return cr_options_run(self, argc, argv, &a, body, e);
}

const struct cr_command cr_command_bench_infer = {
    .name = "bench infer",
    .arguments = "NET",
    .summary = "the forward pass alone, in images a second",
    .description = "Runs NET, its weights as they are drawn, over made-up images in memory as\n"
                   "'corering test' does, and tells images a second: median of 9. And how long one\n"
                   "image alone takes on one thread, as for 'corering predict'.",
    .examples = "  corering bench infer lenet5\n",
    .options = options,
    .least = 1,
    .most = 1,
    .run = run,
};
