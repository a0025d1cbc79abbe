/* corering bench conv: convolution layers in their three passes, beside the machine's peak. */
#define _POSIX_C_SOURCE 200809L
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "apps/bench.h"
#include "apps/commands.h"
#include "core/lanes.h"
#include "core/memory.h"
#include "core/rng.h"

enum { MOST_BLOCK = 4096 };

/* The layers of small and of middle-sized networks; then 1x1, and stride 2. */
static const char *const standard_shapes[] = {
    "16x32x32-16", "32x28x28-64", "64x14x14-128", "128x7x7-256", "256x14x14-256", "64x28x28-128-1x1", "64x28x28-128-s2",
};

struct conv_args {
    struct cr_bench_args common;
    long block;
};

static const struct cr_option options[] = {
    { .name = "block",
      .argument = "N",
      .help = "samples",
      .standard = "16",
      .set = cr_option_count,
      .offset = offsetof(struct conv_args, block) },
    CR_OPTION_THREADS(struct cr_bench_args, "1"),
    CR_OPTION_ISA,
    CR_OPTION_LANES,
    CR_BENCH_JSON,
    { 0 },
};

/* ---- shapes ---- */

/* The parts behind CxHxW-N: KxK, sN, pN, in any order. */
static int parse_rest(const char *text, struct cr_conv *c)
{
    int pad = -1;
    while (*text) {
        int used = 0;
        if (sscanf(text, "-%dx%d%n", &c->kh, &c->kw, &used) < 2 && sscanf(text, "-s%d%n", &c->stride, &used) < 1 &&
            sscanf(text, "-p%d%n", &pad, &used) < 1)
            return -1;
        text += used;
    }
    c->pad = pad >= 0 ? pad : c->kh / 2;
    return 0;
}

static int within(int x, int least, int most) { return least <= x && x <= most; }

static int parse_shape(const char *text, struct cr_conv *c, struct cr_error *e)
{
    int used = 0;
    *c = (struct cr_conv){ .kh = 3, .kw = 3, .stride = 1 };
    if (sscanf(text, "%dx%dx%d-%d%n", &c->in_c, &c->in_h, &c->in_w, &c->out_c, &used) < 4 ||
        parse_rest(text + used, c) < 0)
        return cr_fail(e, CR_E_USAGE,
                       "'%s' is no shape; they look like 32x28x28-64 or 32x28x28-64-5x5-s2-p1 "
                       "(channels, height, width, output channels, window, stride, padding)",
                       text);
    if (!within(c->in_c, 1, 4096) || !within(c->out_c, 1, 4096) || !within(c->in_h, 1, 1024) ||
        !within(c->in_w, 1, 1024) || !within(c->kh, 1, c->in_h + 2 * c->pad) ||
        !within(c->kw, 1, c->in_w + 2 * c->pad) || !within(c->stride, 1, 64) || !within(c->pad, 0, c->kh - 1) ||
        c->pad >= c->kw)
        return cr_fail(e, CR_E_USAGE,
                       "shape '%s' is out of bounds: channels up to 4096, sides up to 1024, a window "
                       "that fits, padding smaller than the window",
                       text);
    c->out_h = (c->in_h + 2 * c->pad - c->kh) / c->stride + 1;
    c->out_w = (c->in_w + 2 * c->pad - c->kw) / c->stride + 1;
    return 0;
}

/* ---- one layer on one thread ---- */

struct work {
    const struct cr_kernels *kernels;
    struct cr_conv c;
    struct cr_samples s;
    float *memory; /* owns all below */
    float *x, *w, *b, *y, *dy, *dx, *dw, *db, *scratch;
};

static void run_forward(void *work)
{
    const struct work *const k = work;
    k->kernels->conv.forward(&k->c, k->s, k->x, k->w, k->b, k->y, k->scratch);
}

static void run_backward_input(void *work)
{
    const struct work *const k = work;
    k->kernels->conv.backward_input(&k->c, k->s, k->dy, k->w, cr_conv_step(&k->c), k->dx, k->scratch);
}

static void run_backward_weight(void *work)
{
    const struct work *const k = work;
    k->kernels->conv.backward_weight(&k->c, k->s, k->x, k->dy, k->dw, k->db, k->scratch);
}

static void work_free(struct work *k) { free(k->memory); }

/* Everything a pass reads is random in (-1, 1). */
static int work_make(struct work *k, const struct cr_conv *c, int block, struct cr_error *e)
{
    *k = (struct work){ .kernels = cr_kernels(), .c = *c, .s = { block, cr_lanes(cr_kernels(), block), 0 } };
    const size_t side = (size_t)cr_groups(k->s) * (size_t)k->s.lanes;
    const size_t x = side * (size_t)c->in_c * (size_t)c->in_h * (size_t)c->in_w;
    const size_t y = side * (size_t)c->out_c * (size_t)c->out_h * (size_t)c->out_w;
    const size_t w = (size_t)c->out_c * (size_t)c->in_c * (size_t)c->kh * (size_t)c->kw, b = (size_t)c->out_c;
    const struct {
        float **array;
        size_t count;
    } part[] = {
        { &k->x, x },  { &k->w, w },  { &k->b, b },
        { &k->dy, y }, { &k->y, y },  { &k->dx, x },
        { &k->dw, w }, { &k->db, b }, { &k->scratch, cr_conv_scratch(c, k->s) },
    };
    enum { PARTS = sizeof part / sizeof *part, LINE = 64 / sizeof(float) };
    size_t total = 0, at = 0;
    for (int i = 0; i < PARTS; i++) total += (part[i].count + LINE - 1) / LINE * LINE;
    k->memory = cr_memory(total * sizeof(float));
    if (!k->memory) return cr_fail(e, CR_E_NOMEM, "out of memory: a layer needs %zu MB", total * sizeof(float) >> 20);
    for (size_t i = 0; i < total; i += 4) {
        uint32_t word[4];
        cr_random(1, CR_RNG_INIT, 0, i, word);
        for (size_t j = 0; j < 4; j++) k->memory[i + j] = 2 * cr_unit(word[j]) - 1;
    }
    for (int i = 0; i < PARTS; i++) {
        *part[i].array = k->memory + at;
        at += (part[i].count + LINE - 1) / LINE * LINE;
    }
    return 0;
}

/* ---- the table ---- */

static const struct {
    const char *name;
    cr_bench_fn *run;
} passes[] = { { "forward", run_forward }, { "input", run_backward_input }, { "weight", run_backward_weight } };
enum { PASSES = sizeof passes / sizeof *passes };

struct table {
    struct cr_log log; /* out == NULL: text */
    int threads, block;
    double peak; /* GFLOP/s */
};

static void say(struct table *t, const char *shape, int pass, double flop, struct cr_rate r)
{
    const double gflops = 1e-9 * flop * r.median;
    if (!t->log.out) {
        printf("  %8.1f %4.0f %%", gflops, 100 * gflops / t->peak);
        return;
    }
    struct cr_json_writer *const w = &t->log.line;
    cr_bench_line(&t->log, "conv", cr_kernels()->isa, t->threads);
    cr_json_put_string(w, "shape", shape);
    cr_json_put_i64(w, "block", t->block);
    cr_json_put_string(w, "pass", passes[pass].name);
    cr_json_put_double(w, "gflops", gflops);
    cr_json_put_double(w, "least", 1e-9 * flop * r.least);
    cr_json_put_double(w, "most", 1e-9 * flop * r.most);
    cr_json_put_double(w, "wall", 1e-9 * flop * r.wall);
    cr_json_put_double(w, "peak", t->peak);
    cr_json_put_double(w, "share", gflops / t->peak);
    cr_log_finish(&t->log);
}

static int bench_layer(struct table *t, const char *shape, struct cr_error *e)
{
    struct cr_conv c;
    CR_TRY(parse_shape(shape, &c, e));
    const double flop = 2.0 * t->block * c.out_c * c.out_h * c.out_w * c.in_c * c.kh * c.kw;
    struct work *const k = calloc((size_t)t->threads, sizeof *k);
    void **const work = calloc((size_t)t->threads, sizeof(void *));
    int rc = k && work ? 0 : cr_fail(e, CR_E_NOMEM, "out of memory for %d threads", t->threads);
    for (int i = 0; i < t->threads && rc == 0; i++) {
        rc = work_make(&k[i], &c, t->block, e);
        work[i] = &k[i];
    }
    if (rc == 0 && !t->log.out) printf("%-18s", shape);
    for (int pass = 0; pass < PASSES && rc == 0; pass++)
        say(t, shape, pass, flop, cr_bench_rate(t->threads, passes[pass].run, work));
    if (rc == 0 && !t->log.out) printf("\n");
    for (int i = 0; k && i < t->threads; i++) work_free(&k[i]);
    free(work);
    free(k);
    return rc;
}

static int bench(const struct conv_args *a, const struct cr_arguments *words, struct cr_error *e)
{
    if (!within((int)a->block, 1, MOST_BLOCK)) return cr_fail(e, CR_E_USAGE, "--block takes 1 to %d", MOST_BLOCK);
    struct table t = { .log = { .out = a->common.json ? stdout : NULL },
                       .block = (int)a->block,
                       .threads = cr_bench_threads(&a->common, 1, e) };
    CR_TRY(t.threads);
    const char *const *const shape = words->count ? words->word : standard_shapes;
    const int shapes = words->count ? words->count : (int)(sizeof standard_shapes / sizeof *standard_shapes);
    struct cr_conv c;
    for (int i = 0; i < shapes; i++) CR_TRY(parse_shape(shape[i], &c, e));
    t.peak = cr_bench_peak(cr_kernels(), t.threads);
    if (!t.log.out)
        printf("%s, %d thread%s, %d samples, %d side by side; measured peak %.1f GFLOP/s\n\n%-18s  %15s  %15s  %15s\n",
               cr_kernels()->isa, t.threads, t.threads == 1 ? "" : "s", t.block, cr_lanes(cr_kernels(), t.block),
               t.peak, "GFLOP/s, of peak", "forward", "by input", "by weight");
    int rc = 0;
    for (int i = 0; i < shapes && rc == 0; i++) rc = bench_layer(&t, shape[i], e);
    cr_log_free(&t.log);
    return rc;
}

static int body(void *args, const struct cr_arguments *words, struct cr_error *e)
{
    return bench(args, words, e);
}

static int run(const struct cr_command *self, int argc, char **argv, struct cr_error *e)
{
    struct conv_args a = { .block = 16 };
    return cr_options_run(self, argc, argv, &a, body, e);
}

const struct cr_command cr_command_bench_conv = {
    .name = "bench conv",
    .arguments = "[SHAPE...]",
    .summary = "convolution layers, beside the peak",
    .description = "Measures convolution layers forward, backward by input and backward by weight,\n"
                   "beside the measured peak of as many threads; each thread has a block of its own.\n"
                   "Arithmetic is counted as the field does, with the zeros of the padding. Medians\n"
                   "of 9, by the threads' own processor time.\n\n"
                   "SHAPE   CxHxW-N[-KxK][-sS][-pP]: channels, height and width of the input, output\n"
                   "        channels, window [3x3], stride [1], padding [half the window]; a table of\n"
                   "        common layers when left out",
    .examples = "  corering bench conv\n"
                "  corering bench conv 32x28x28-64 64x28x28-128-3x3-s2 --block 8 -t 2\n",
    .options = options,
    .least = 0,
    .most = -1,
    .run = run,
};
