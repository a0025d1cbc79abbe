/* corering bench step NET: training as `corering train` does it, on made-up images in memory, without checkpoints. */
#define _POSIX_C_SOURCE 200809L
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "apps/bench.h"
#include "apps/commands.h"
#include "apps/find.h"
#include "apps/text.h"
#include "core/trainer.h"

static const double repetition_seconds = 0.25;

struct step_args {
    struct cr_bench_args common;
    const char *batch, *block, *sharing; /* NULL = not given */
};

static const struct cr_option options[] = {
    { .letter = 'b',
      .name = "batch-size",
      .argument = "N",
      .help = "samples per step",
      .standard = "64",
      .set = cr_option_text,
      .offset = offsetof(struct step_args, batch) },
    { .name = "block",
      .argument = "N",
      .help = "samples per block",
      .standard = "by batch size",
      .set = cr_option_text,
      .offset = offsetof(struct step_args, block) },
    CR_OPTION_THREADS(struct cr_bench_args, "one per core"),
    { .name = "threads-per-block",
      .argument = "N",
      .help = "how many threads may share one",
      .standard = "as many as make it faster",
      .set = cr_option_text,
      .offset = offsetof(struct step_args, sharing) },
    CR_OPTION_ISA,
    CR_OPTION_LANES,
    CR_BENCH_JSON,
    { 0 },
};

/* ---- measuring ---- */

struct run {
    struct cr_train_options options;
    const struct cr_net *net;
    const struct cr_data *data;
    int threads, block, sharing; /* as the run has settled them */
};

static void take_start(void *user, const struct cr_event_start *s)
{
    struct run *const r = user;
    r->threads = s->threads;
    r->block = (int)s->block;
    r->sharing = s->threads_per_block;
}

static double clock_of(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Images a second of `steps` steps from their start; *busy: processors' worth of time that the process had. */
static int measure(struct run *r, long steps, double *images_per_s, double *busy, struct cr_error *e)
{
    const struct cr_train_events events = { .user = r, .start = take_start };
    struct cr_train_result result;
    r->options.steps = steps;
    const double wall = clock_of(CLOCK_MONOTONIC), own = clock_of(CLOCK_PROCESS_CPUTIME_ID);
    CR_TRY(cr_train(&r->options, r->net, r->data, &events, &result, e));
    *busy = (clock_of(CLOCK_PROCESS_CPUTIME_ID) - own) / (clock_of(CLOCK_MONOTONIC) - wall);
    *images_per_s = result.images_per_s;
    return 0;
}

static void say(struct cr_log *log, const struct run *r, double *speed, double busy)
{
    char number[3][CR_NUMBER_TEXT];
    const double median = cr_median(speed, CR_BENCH_REPETITIONS);
    const double least = speed[0], most = speed[CR_BENCH_REPETITIONS - 1];
    const double gflops = 1e-9 * cr_net_flop_train(r->net) * median, peak = cr_bench_peak(cr_kernels(), r->threads);
    if (!log->out) {
        printf("%s, batch %ld in blocks of %d, %s, %d thread%s", r->net->name, r->options.batch, r->block,
               cr_kernels()->isa, r->threads, r->threads == 1 ? "" : "s");
        printf(r->sharing > 1 ? ", %d to a block\n" : "\n", r->sharing);
        printf("  %s images/s (%s to %s, median of %d)\n", cr_grouped((uint64_t)median, number[0]),
               cr_grouped((uint64_t)least, number[1]), cr_grouped((uint64_t)most, number[2]), CR_BENCH_REPETITIONS);
        printf("  %.1f GFLOP/s, %.0f %% of the measured peak of %.1f; %.2f processors busy\n", gflops,
               100 * gflops / peak, peak, busy);
        return;
    }
    struct cr_json_writer *const w = &log->line;
    cr_bench_line(log, "step", cr_kernels()->isa, r->threads);
    cr_json_put_string(w, "net", r->net->name);
    cr_json_put_i64(w, "batch", r->options.batch);
    cr_json_put_i64(w, "block", r->block);
    cr_json_put_i64(w, "threads_per_block", r->sharing);
    cr_json_put_double(w, "images_per_s", median);
    cr_json_put_double(w, "least", least);
    cr_json_put_double(w, "most", most);
    cr_json_put_double(w, "gflops", gflops);
    cr_json_put_double(w, "peak", peak);
    cr_json_put_double(w, "share", gflops / peak);
    cr_json_put_double(w, "busy", busy);
    cr_log_finish(log);
}

static int measure_all(struct run *r, struct cr_log *log, struct cr_error *e)
{
    double speed[CR_BENCH_REPETITIONS], busy[CR_BENCH_REPETITIONS], warm;
    CR_TRY(measure(r, 10, &warm, &busy[0], e));
    const double fitting = warm * repetition_seconds / (double)r->options.batch;
    const long steps = fitting < 10 ? 10 : (long)fitting;
    for (int i = 0; i < CR_BENCH_REPETITIONS; i++) CR_TRY(measure(r, steps, &speed[i], &busy[i], e));
    say(log, r, speed, cr_median(busy, CR_BENCH_REPETITIONS));
    return 0;
}

static int bench(const struct step_args *a, const struct cr_net *net, struct cr_error *e)
{
    const int threads = cr_bench_threads(&a->common, 0, e);
    CR_TRY(threads);
    struct cr_log log = { .out = a->common.json ? stdout : NULL };
    struct cr_data data;
    uint8_t *bytes;
    CR_TRY(cr_bench_data(&data, &bytes, net, e));
    struct run r = { .net = net, .data = &data };
    cr_train_defaults(&r.options);
    r.options.threads = threads;
    int rc = cr_train_apply_defaults(&r.options, net, e);
    if (rc == 0 && a->batch) rc = cr_train_option_set(&r.options, "batch-size", a->batch, e);
    if (rc == 0 && a->block) rc = cr_train_option_set(&r.options, "block", a->block, e);
    if (rc == 0 && a->sharing) rc = cr_train_option_set(&r.options, "threads-per-block", a->sharing, e);
    r.options.lr = 1e-3; /* noise cannot be learnt, but a network can diverge on it */
    r.options.schedule = CR_SCHEDULE_CONSTANT;
    r.options.validate_every = 0;
    r.options.no_checkpoint = 1;
    if (rc == 0) rc = measure_all(&r, &log, e);
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
    struct step_args a = { 0 };
    return cr_options_run(self, argc, argv, &a, body, e);
}

const struct cr_command cr_command_bench_step = {
    .name = "bench step",
    .arguments = "NET",
    .summary = "training steps, in images a second",
    .description = "Trains NET on made-up images in memory, as 'corering train' does but without\n"
                   "checkpoints and validation, and tells images a second: median of 9 runs of a\n"
                   "quarter of a second each. A network's recommended settings hold.",
    .examples = "  corering bench step lenet5\n"
                "  corering bench step lenet5 -b 1 -t 1 --isa avx2\n",
    .options = options,
    .least = 1,
    .most = 1,
    .run = run,
};
