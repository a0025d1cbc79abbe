/* corering bench gemm: matrix products of one thread or of a team together, beside the machine's peak. */
#define _POSIX_C_SOURCE 200809L
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "apps/bench.h"
#include "apps/commands.h"
#include "core/meet.h"
#include "core/memory.h"
#include "core/rng.h"
#include "core/team.h"

enum { MOST_SIDE = 65536 };
static const double repetition_seconds = 4e-3;

/* Square ones, then what the convolutions and linear layers of small and middle-sized networks come to. */
static const char *const standard_products[] = {
    "2048x2048x2048", "1024x1024x1024", "512x512x512", "256x256x256", "128x128x128", "64x64x64",    "6x576x25",
    "12x64x150",      "64x100x192",     "20x576x25",   "50x64x500",   "64x784x288",  "128x196x576", "64x500x800",
};

static const struct cr_option options[] = {
    CR_OPTION_THREADS(struct cr_bench_args, "1"),
    CR_OPTION_ISA,
    CR_BENCH_JSON,
    { 0 },
};

/* ---- one product ---- */

struct product {
    const char *kind;
    struct cr_gemm g;
    float *memory;   /* owns A, B and C */
    float **scratch; /* (threads) */
    int threads;
};

/* As it is multiplied (N) or turned (T), for A and for B. */
enum { KINDS = 3 };
static const char *const all_kinds[KINDS] = { "NN", "NT", "TN" };

/* [KIND:]MxNxK; all kinds where none is named. Returns how many kinds. */
static int parse(const char *text, const char *kinds[KINDS], size_t *m, size_t *n, size_t *k, struct cr_error *e)
{
    const char *const colon = strchr(text, ':');
    int count = 0, side[3], used = 0;
    for (int i = 0; i < KINDS; i++)
        if (!colon || (colon == text + 2 && !strncmp(text, all_kinds[i], 2))) kinds[count++] = all_kinds[i];
    const char *const sides = colon ? colon + 1 : text;
    if (count == 0 || sscanf(sides, "%dx%dx%d%n", side, side + 1, side + 2, &used) < 3 || sides[used])
        return cr_fail(e, CR_E_USAGE, "'%s' is no product; they look like 64x784x288 or NT:64x784x288", text);
    for (int i = 0; i < 3; i++)
        if (side[i] < 1 || side[i] > MOST_SIDE)
            return cr_fail(e, CR_E_USAGE, "product '%s' is out of bounds: sides of 1 to %d", text, MOST_SIDE);
    *m = (size_t)side[0];
    *n = (size_t)side[1];
    *k = (size_t)side[2];
    return count;
}

static size_t whole_lines(size_t floats) { return (floats + 15) / 16 * 16; }

static void product_free(struct product *p)
{
    free(p->memory);
    for (int t = 0; p->scratch && t < p->threads; t++) free(p->scratch[t]);
    free(p->scratch);
}

static int product_make(struct product *p, const char *kind, size_t m, size_t n, size_t k, int threads,
                        struct cr_error *e)
{
    *p = (struct product){ .kind = kind, .threads = threads };
    const size_t a = whole_lines(m * k), b = whole_lines(k * n), c = whole_lines(m * n);
    const size_t scratch = whole_lines(cr_gemm_scratch(&cr_kernels()->gemm, m, n, k));
    p->memory = cr_memory((a + b + c) * sizeof(float));
    p->scratch = calloc((size_t)threads, sizeof *p->scratch);
    int enough = p->memory && p->scratch;
    for (int t = 0; enough && t < threads; t++) {
        p->scratch[t] = cr_memory(scratch * sizeof(float));
        enough = p->scratch[t] != NULL;
    }
    if (!enough) return cr_fail(e, CR_E_NOMEM, "out of memory for a product of %zu x %zu x %zu", m, n, k);
    for (size_t i = 0; i < a + b + c; i += 4) {
        uint32_t word[4];
        cr_random(1, CR_RNG_INIT, 0, i, word);
        for (size_t j = 0; j < 4; j++) p->memory[i + j] = 2 * cr_unit(word[j]) - 1;
    }
    const int turn_a = kind[0] == 'T', turn_b = kind[1] == 'T';
    p->g = (struct cr_gemm){ .m = m, .n = n, .k = k, .a = p->memory, .b = p->memory + a, .c = p->memory + a + b };
    p->g.a_row = turn_a ? 1 : k;
    p->g.a_col = turn_a ? m : 1;
    p->g.b_row = turn_b ? 1 : n;
    p->g.b_col = turn_b ? k : 1;
    p->g.c_row = n;
    return 0;
}

/* ---- timing: unlike cr_bench_rate's, the threads of a product wait for each other after each ---- */

static double clock_of(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* What the team shares. The first thread keeps time, its waiting included, and says when it is enough. */
struct timing {
    struct cr_barrier barrier;
    long calls;
    int done; /* repetitions; the first ones only find `calls` */
    double own[CR_BENCH_REPETITIONS], wall[CR_BENCH_REPETITIONS];
};

static void repeat_once(const struct product *p, struct timing *x, int t)
{
    const double wall = clock_of(CLOCK_MONOTONIC), own = clock_of(CLOCK_THREAD_CPUTIME_ID);
    for (long i = 0, calls = x->calls; i < calls; i++) {
        cr_gemm_share(&cr_kernels()->gemm, &p->g, t, p->threads, p->scratch[t]);
        cr_barrier_wait(&x->barrier);
    }
    if (t > 0) return;
    const double seconds = clock_of(CLOCK_THREAD_CPUTIME_ID) - own;
    if (x->done < 0 && seconds < 0.5 * repetition_seconds) {
        x->calls *= 2;
        return;
    }
    if (x->done >= 0) {
        x->own[x->done] = (double)x->calls / seconds;
        x->wall[x->done] = (double)x->calls / (clock_of(CLOCK_MONOTONIC) - wall);
    }
    x->done++;
}

static struct cr_rate rate_of(const struct product *p)
{
    struct timing x = { .calls = 1, .done = -1 };
    struct cr_cpus cpus;
    cr_cpus_allowed(&cpus);
    cr_barrier_init(&x.barrier, p->threads, cpus.count);
#pragma omp parallel num_threads(p->threads)
    {
        const int t = omp_get_thread_num();
        const struct cr_pin pin = cr_pin(&cpus, t, p->threads);
        const unsigned long mode = cr_fp_enter();
        int done;
        do {
            repeat_once(p, &x, t);
            cr_barrier_wait(&x.barrier);
            done = x.done;
        } while (done < CR_BENCH_REPETITIONS);
        cr_fp_leave(mode);
        cr_unpin(&pin);
    }
    struct cr_rate r = { .median = cr_median(x.own, CR_BENCH_REPETITIONS) };
    r.least = x.own[0];
    r.most = x.own[CR_BENCH_REPETITIONS - 1];
    r.wall = cr_median(x.wall, CR_BENCH_REPETITIONS);
    return r;
}

/* ---- the table ---- */

struct table {
    struct cr_log log; /* out == NULL: text */
    int threads;
    double peak; /* GFLOP/s */
};

static void say(struct table *t, const struct product *p, struct cr_rate r)
{
    const double flop = 2.0 * (double)p->g.m * (double)p->g.n * (double)p->g.k, gflops = 1e-9 * flop * r.median;
    if (!t->log.out) {
        printf("  %8.1f %4.0f %%", gflops, 100 * gflops / t->peak);
        return;
    }
    struct cr_json_writer *const w = &t->log.line;
    cr_bench_line(&t->log, "gemm", cr_kernels()->isa, t->threads);
    cr_json_put_string(w, "kind", p->kind);
    cr_json_put_i64(w, "m", (int64_t)p->g.m);
    cr_json_put_i64(w, "n", (int64_t)p->g.n);
    cr_json_put_i64(w, "k", (int64_t)p->g.k);
    cr_json_put_double(w, "gflops", gflops);
    cr_json_put_double(w, "least", 1e-9 * flop * r.least);
    cr_json_put_double(w, "most", 1e-9 * flop * r.most);
    cr_json_put_double(w, "wall", 1e-9 * flop * r.wall);
    cr_json_put_double(w, "peak", t->peak);
    cr_json_put_double(w, "share", gflops / t->peak);
    cr_log_finish(&t->log);
}

static int bench_product(struct table *t, const char *text, struct cr_error *e)
{
    struct cr_rate rate;
    struct product p;
    const char *kind[KINDS];
    size_t m, n, k;
    const int kinds = parse(text, kind, &m, &n, &k, e);
    CR_TRY(kinds);
    if (!t->log.out) printf("%-18s", text);
    int rc = 0;
    for (int i = 0; i < kinds && rc == 0; i++) {
        rc = product_make(&p, kind[i], m, n, k, t->threads, e);
        if (rc == 0) {
            rate = rate_of(&p);
            say(t, &p, rate);
        }
        product_free(&p);
    }
    if (!t->log.out) printf("\n");
    return rc;
}

static int bench(const struct cr_bench_args *a, const struct cr_arguments *words, struct cr_error *e)
{
    struct table t = { .log = { .out = a->json ? stdout : NULL }, .threads = cr_bench_threads(a, 1, e) };
    CR_TRY(t.threads);
    const char *const *const product = words->count ? words->word : standard_products;
    const int products = words->count ? words->count : (int)(sizeof standard_products / sizeof *standard_products);
    const char *kind[KINDS];
    size_t m, n, k;
    for (int i = 0; i < products; i++) CR_TRY(parse(product[i], kind, &m, &n, &k, e));
    t.peak = cr_bench_peak(cr_kernels(), t.threads);
    if (!t.log.out) {
        const struct cr_gemm_kernels *const g = &cr_kernels()->gemm;
        printf("%s, tiles of %d x %d, %d thread%s; measured peak %.1f GFLOP/s\n\n%-18s", cr_kernels()->isa, g->mr,
               g->nr, t.threads, t.threads == 1 ? "" : "s", t.peak, "GFLOP/s, of peak");
        if (!words->count) printf("  %15s  %15s  %15s", all_kinds[0], all_kinds[1], all_kinds[2]);
        printf("\n");
    }
    int rc = 0;
    for (int i = 0; i < products && rc == 0; i++) rc = bench_product(&t, product[i], e);
    cr_log_free(&t.log);
    return rc;
}

static int body(void *args, const struct cr_arguments *words, struct cr_error *e)
{
    return bench(args, words, e);
}

static int run(const struct cr_command *self, int argc, char **argv, struct cr_error *e)
{
    struct cr_bench_args a = { 0 };
    return cr_options_run(self, argc, argv, &a, body, e);
}

const struct cr_command cr_command_bench_gemm = {
    .name = "bench gemm",
    .arguments = "[PRODUCT...]",
    .summary = "matrix products, beside the peak",
    .description = "Measures C = A B in single precision, beside the measured peak of as many\n"
                   "threads, which share each product and wait for each other after it. Medians of\n"
                   "9, by the first thread's own processor time.\n\n"
                   "PRODUCT   [KIND:]MxNxK: C is M x N, K the length of its sums; KIND is NN, NT (B is\n"
                   "          stored turned) or TN (A is) [all three]; a table of sizes that networks\n"
                   "          need when left out",
    .examples = "  corering bench gemm\n"
                "  corering bench gemm -t 2 1024x1024x1024 NT:64x784x288\n",
    .options = options,
    .least = 0,
    .most = -1,
    .run = run,
};
