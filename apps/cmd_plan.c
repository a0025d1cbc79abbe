/* corering plan NET: how fast training would be on many hosts like this one, from the compute of a step measured here
 * and a network that is described. */
#define _POSIX_C_SOURCE 200809L
#include <stdio.h>
#include <string.h>

#include "apps/bench.h"
#include "apps/commands.h"
#include "apps/find.h"
#include "apps/text.h"
#include "core/number.h"
#include "core/stepper.h"
#include "dist/deal.h"
#include "dist/measure.h"
#include "dist/predict.h"

enum { REPETITIONS = 5, MOST_BLOCKS = 1024 };
static const double repetition_seconds = 0.1;
static const double pays = 0.5; /* of what as many hosts could do at best: less is a waste of hosts */

struct plan_args {
    struct cr_bench_args common;
    const char *batch, *gbit, *latency; /* NULL = not given */
    long hosts;
};

static const struct cr_option options[] = {
    { .name = "hosts",
      .argument = "N",
      .help = "most hosts, up to 1024",
      .standard = "64",
      .set = cr_option_count,
      .offset = offsetof(struct plan_args, hosts) },
    { .name = "gbit",
      .argument = "G",
      .help = "speed of every host's link, Gbit/s each way",
      .standard = "1",
      .set = cr_option_text,
      .offset = offsetof(struct plan_args, gbit) },
    { .name = "latency",
      .argument = "US",
      .help = "microseconds from one host to another, one way",
      .standard = "50",
      .set = cr_option_text,
      .offset = offsetof(struct plan_args, latency) },
    { .letter = 'b',
      .name = "batch-size",
      .argument = "N",
      .help = "samples per step",
      .standard = "the network's",
      .set = cr_option_text,
      .offset = offsetof(struct plan_args, batch) },
    CR_OPTION_THREADS(struct cr_bench_args, "one per core"),
    CR_OPTION_ISA,
    CR_BENCH_JSON,
    { 0 },
};

/* ---- measuring ---- */

struct trial {
    struct cr_train_options options;
    const struct cr_net *net;
    const struct cr_data *data;
    int threads, block; /* as the run has settled them */
};

static void take_start(void *user, const struct cr_event_start *s)
{
    struct trial *const t = user;
    t->threads = s->threads;
    t->block = (int)s->block;
}

static int run_steps(struct trial *t, long steps, double *seconds, struct cr_error *e)
{
    const struct cr_train_events events = { .user = t, .start = take_start };
    struct cr_train_result result;
    t->options.steps = steps;
    CR_TRY(cr_train(&t->options, t->net, t->data, &events, &result, e));
    *seconds = (double)t->options.batch / result.images_per_s;
    return 0;
}

/* Seconds of a step of `batch` samples in blocks of `block`: the least of some repetitions, for whatever else runs here
 * can only make it longer. */
static int time_step(struct trial *t, long batch, long block, double *seconds, struct cr_error *e)
{
    t->options.batch = batch;
    t->options.block = block;
    CR_TRY(run_steps(t, 3, seconds, e));
    for (int i = 0; i < REPETITIONS; i++) {
        const double steps = repetition_seconds / *seconds;
        double s;
        CR_TRY(run_steps(t, steps > 3 ? (long)steps : 3, &s, e));
        if (s < *seconds) *seconds = s;
    }
    return 0;
}

/* One host's compute, from steps of the whole batch and of a single round of blocks. */
static int time_compute(struct trial *t, struct cr_compute *c, long *blocks, struct cr_error *e)
{
    double whole, round;
    const long batch = t->options.batch;
    CR_TRY(time_step(t, batch, t->options.block, &whole, e));
    const long block = t->block;
    *blocks = (batch + block - 1) / block;
    c->threads = *blocks < t->threads ? (int)*blocks : t->threads;
    const long rounds = (*blocks + c->threads - 1) / c->threads;
    *c = (struct cr_compute){ .threads = c->threads, .round = whole / (double)rounds };
    if (rounds < 2) return 0;
    CR_TRY(time_step(t, block * c->threads, block, &round, e));
    c->round = (whole - round) / (double)(rounds - 1);
    if (c->round < round / 2) c->round = round / 2; /* noise */
    if (c->round > round) c->round = round;
    c->fixed = round - c->round;
    t->options.batch = batch;
    t->options.block = block;
    return 0;
}

/* ---- the model ---- */

struct plan {
    const struct cr_net *net;
    long batch, blocks;
    struct cr_compute compute;
    struct cr_link_model link;
    int most;
};

static struct cr_prediction predict(const struct plan *p, int hosts)
{
    struct cr_compute host[CR_MAX_RANKS];
    struct cr_message_shape shape = cr_stepper_shape(p->net);
    shape.sums64 += (size_t)(CR_DEAL_WORDS * hosts);
    for (int i = 0; i < hosts; i++) host[i] = p->compute;
    return cr_predict(&p->compute, host, hosts, p->blocks, cr_message_size(shape), &p->link);
}

/* The same with another batch: rounds grow with the blocks. */
static struct plan with_batch(const struct plan *p, long batch)
{
    struct plan q = *p;
    const long block = cr_block_size(batch), before = (p->batch + p->blocks - 1) / p->blocks;
    q.batch = batch;
    q.blocks = (batch + block - 1) / block;
    q.compute.round = p->compute.round * (double)block / (double)before;
    return q;
}

/* The smallest batch, in doublings, with which `hosts` hosts pay; 0 = none does. */
static long paying_batch(const struct plan *p, int hosts)
{
    for (long batch = p->batch; batch / cr_block_size(batch) <= MOST_BLOCKS && batch < 1L << 24; batch *= 2) {
        const struct plan q = batch == p->batch ? *p : with_batch(p, batch);
        if (predict(&q, hosts).speedup >= pays * hosts) return batch;
    }
    return 0;
}

/* ---- telling ---- */

static double step_of(const struct cr_prediction *r) { return r->compute + r->network; }

static void print_row(const struct plan *p, int hosts)
{
    const struct cr_prediction r = predict(p, hosts);
    char number[CR_NUMBER_TEXT];
    printf("%6d  %9.3f ms  %9.3f ms  %6.0f %%  %7.2fx  %12s\n", hosts, 1e3 * step_of(&r), 1e3 * r.compute,
           100 * r.share, r.speedup, cr_grouped((uint64_t)((double)p->batch / step_of(&r)), number));
}

/* 1, 2, 4 and so on, and the last; 0 after it. */
static int next_hosts(const struct plan *p, int hosts)
{
    if (hosts >= p->most) return 0;
    return 2 * hosts < p->most ? 2 * hosts : p->most;
}

static int last_that_pays(const struct plan *p)
{
    int last = 1;
    for (int n = 1; n; n = next_hosts(p, n))
        if (predict(p, n).speedup >= pays * n) last = n;
    return last;
}

static void print_text(const struct plan *p)
{
    printf("%s, batch %ld in %ld blocks, %d thread%s a host, %s; %g Gbit/s, %g us\n\n", p->net->name, p->batch,
           p->blocks, p->compute.threads, p->compute.threads == 1 ? "" : "s", cr_kernels()->isa, 8e-9 / p->link.byte,
           1e6 * p->link.latency);
    printf("%6s  %12s  %12s  %8s  %8s  %12s\n", "hosts", "step", "compute", "network", "speed-up", "images/s");
    for (int n = 1; n; n = next_hosts(p, n)) print_row(p, n);
    const int last = last_that_pays(p);
    const long batch = paying_batch(p, p->most);
    putchar('\n');
    if (last == p->most) {
        printf("All %d hosts pay: at least half of each is put to use.\n", p->most);
        return;
    }
    printf("Beyond %d host%s less than half of each is put to use.\n", last, last == 1 ? "" : "s");
    if (batch)
        printf("With a batch of %ld or more, %d hosts would pay (it changes what is learnt).\n", batch, p->most);
    else
        printf("No batch makes %d hosts pay over this network.\n", p->most);
}

static void print_json(const struct plan *p)
{
    struct cr_log log = { .out = stdout };
    struct cr_json_writer *const w = &log.line;
    cr_log_begin(&log, "plan");
    cr_json_put_string(w, "net", p->net->name);
    cr_json_put_string(w, "isa", cr_kernels()->isa);
    cr_json_put_i64(w, "batch", p->batch);
    cr_json_put_i64(w, "blocks", p->blocks);
    cr_json_put_i64(w, "threads", p->compute.threads);
    cr_json_put_double(w, "gbit", 8e-9 / p->link.byte);
    cr_json_put_double(w, "latency_us", 1e6 * p->link.latency);
    cr_json_put_open(w, "rows", '[');
    for (int n = 1; n; n = next_hosts(p, n)) {
        const struct cr_prediction r = predict(p, n);
        cr_json_put_open(w, NULL, '{');
        cr_json_put_i64(w, "hosts", n);
        cr_json_put_double(w, "step_s", step_of(&r));
        cr_json_put_double(w, "compute_s", r.compute);
        cr_json_put_double(w, "network_s", r.network);
        cr_json_put_double(w, "speedup", r.speedup);
        cr_json_put_double(w, "images_per_s", (double)p->batch / step_of(&r));
        cr_json_put_string(w, "way", n > 1 ? cr_way_name(r.way) : "none");
        cr_json_put_close(w, '}');
    }
    cr_json_put_close(w, ']');
    cr_json_put_i64(w, "pays_up_to", last_that_pays(p));
    cr_json_put_i64(w, "paying_batch", paying_batch(p, p->most));
    cr_log_finish(&log);
    cr_log_free(&log);
}

/* ---- the whole ---- */

static int positive(const char *text, double standard, double *value, const char *option, struct cr_error *e)
{
    *value = standard;
    if (!text || (cr_parse_double(text, value) == 0 && *value > 0 && *value <= 1e6)) return 0;
    return cr_fail(e, CR_E_USAGE, "--%s takes a number above 0, not '%s'", option, text);
}

static int read_network(const struct plan_args *a, struct plan *p, struct cr_error *e)
{
    double gbit, us;
    CR_TRY(positive(a->gbit, 1, &gbit, "gbit", e));
    CR_TRY(positive(a->latency, 50, &us, "latency", e));
    p->most = (int)a->hosts;
    if (a->hosts < 1 || a->hosts > CR_MAX_RANKS)
        return cr_fail(e, CR_E_USAGE, "--hosts takes 1 to %d, not %ld", CR_MAX_RANKS, a->hosts);
    p->link = (struct cr_link_model){ .latency = 1e-6 * us, .byte = 8e-9 / gbit, .add = cr_measure_add() };
    return 0;
}

static int measure(const struct plan_args *a, struct plan *p, const struct cr_data *data, struct cr_error *e)
{
    struct trial t = { .net = p->net, .data = data };
    const int threads = cr_bench_threads(&a->common, 0, e);
    CR_TRY(threads);
    cr_train_defaults(&t.options);
    CR_TRY(cr_train_apply_defaults(&t.options, p->net, e));
    if (a->batch) CR_TRY(cr_train_option_set(&t.options, "batch-size", a->batch, e));
    t.options.threads = threads;
    t.options.lr = 1e-3; /* noise cannot be learnt, but a network can diverge on it */
    t.options.schedule = CR_SCHEDULE_CONSTANT;
    t.options.validate_every = 0;
    t.options.no_checkpoint = 1;
    CR_TRY(time_compute(&t, &p->compute, &p->blocks, e));
    p->batch = t.options.batch;
    return 0;
}

static int body(void *args, const struct cr_arguments *words, struct cr_error *e)
{
    const struct plan_args *const a = args;
    struct cr_net net;
    struct cr_data data;
    uint8_t *bytes;
    struct plan p = { .net = &net };
    CR_TRY(read_network(a, &p, e));
    CR_TRY(cr_find_net(&net, words->word[0], e));
    int rc = cr_bench_data(&data, &bytes, &net, e);
    if (rc == 0) {
        rc = measure(a, &p, &data, e);
        cr_bench_data_free(&data, bytes);
    }
    if (rc == 0 && a->common.json) print_json(&p);
    if (rc == 0 && !a->common.json) print_text(&p);
    cr_net_free(&net);
    return rc;
}

static int run(const struct cr_command *self, int argc, char **argv, struct cr_error *e)
{
    struct plan_args a = { .hosts = 64 };
    return cr_options_run(self, argc, argv, &a, body, e);
}

const struct cr_command cr_command_plan = {
    .name = "plan",
    .arguments = "NET",
    .summary = "predict the speed of training on many hosts",
    .description = "Measures a training step of NET here, for about a second, and tells how fast\n"
                   "1, 2, 4 ... hosts like this one would train it together, over a network that\n"
                   "the options describe; from which number on they do not pay, and which batch\n"
                   "would make them. Nothing is run on other hosts.",
    .examples = "  corering plan lenet5 --hosts 64 --gbit 1\n"
                "  corering plan my.net -b 1024 --hosts 16 --gbit 10 --latency 20\n",
    .options = options,
    .least = 1,
    .most = 1,
    .run = run,
};
