/* corering bench peak: what the processor and its memory can do at most, against which the other benches are held. */
#define _POSIX_C_SOURCE 200809L
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "apps/bench.h"
#include "apps/commands.h"
#include "core/team.h"

/* ---- multiply-adds in registers ---- */

enum { ROUNDS = 4096 };

static void run_fma(void *work)
{
    const struct cr_kernels *const k = work;
    volatile float result = k->peak.fma(ROUNDS, 0.5f, 1.0f); /* each chain tends to 2 */
    (void)result;
}

static struct cr_rate fma_rate(const struct cr_kernels *k, int threads)
{
    struct cr_kernels table = *k;
    void **const work = calloc((size_t)threads, sizeof(void *));
    struct cr_rate rate = { 0 };
    if (!work) return rate;
    for (int t = 0; t < threads; t++) work[t] = &table;
    rate = cr_bench_rate(threads, run_fma, work);
    free(work);
    return rate;
}

static double gflops(const struct cr_kernels *k, double calls_per_s)
{
    return 1e-9 * ROUNDS * (double)k->peak.flop * calls_per_s;
}

double cr_bench_peak(const struct cr_kernels *k, int threads) { return gflops(k, fma_rate(k, threads).median); }

/* ---- memory ---- */

/* A thread's slice of three arrays that together are far larger than the caches. */
struct slice {
    const struct cr_kernels *kernels;
    float *x, *y, *z;
    size_t n;
};

static void run_triad(void *work)
{
    const struct slice *const s = work;
    s->kernels->peak.triad(s->n, 0.5f, s->x, s->y, s->z);
}

static void run_copy(void *work)
{
    const struct slice *const s = work;
    memcpy(s->z, s->x, s->n * sizeof *s->z);
}

/* Bytes of the largest cache; a guess where the system does not tell. */
static size_t last_cache(void)
{
    size_t most = 0;
    for (int index = 0; index < 8; index++) {
        char path[96], unit = 0;
        size_t size = 0;
        snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu0/cache/index%d/size", index);
        FILE *const f = fopen(path, "r");
        if (!f) break;
        if (fscanf(f, "%zu%c", &size, &unit) < 1) size = 0;
        fclose(f);
        size <<= unit == 'M' ? 20 : unit == 'K' ? 10 : 0;
        if (size > most) most = size;
    }
    return most ? most : (size_t)32 << 20;
}

static size_t array_bytes(void)
{
    const size_t wanted = 2 * last_cache(), least = (size_t)32 << 20, most = (size_t)256 << 20;
    return wanted < least ? least : wanted > most ? most : wanted;
}

/* Calls a second of `run` over all the arrays, cut into slices for `threads`. */
static struct cr_rate memory_rate(float *array, size_t floats, int threads, cr_bench_fn *run)
{
    struct slice *const slice = calloc((size_t)threads, sizeof *slice);
    void **const work = calloc((size_t)threads, sizeof(void *));
    struct cr_rate rate = { 0 };
    for (int t = 0; slice && work && t < threads; t++) {
        const size_t n = floats / (size_t)threads / 16 * 16, at = (size_t)t * n;
        slice[t] = (struct slice){ cr_kernels(), array + at, array + floats + at, array + 2 * floats + at, n };
        work[t] = &slice[t];
    }
    if (slice && work) rate = cr_bench_rate(threads, run, work);
    free(work);
    free(slice);
    rate.median /= threads; /* a call is a slice */
    rate.wall /= threads;
    return rate;
}

/* ---- the command ---- */

static const struct cr_option options[] = {
    CR_OPTION_THREADS(struct cr_bench_args, "one per core"),
    CR_BENCH_JSON,
    { 0 },
};

static void say(struct cr_log *log, const char *what, const char *isa, int threads, const char *unit, double value,
                double wall)
{
    if (!log->out) {
        printf("%10.1f", value);
        return;
    }
    cr_bench_line(log, what, isa, threads);
    cr_json_put_double(&log->line, unit, value);
    cr_json_put_double(&log->line, "wall", wall);
    cr_log_finish(log);
}

static void bench_fma(struct cr_log *log, const int team[2])
{
    for (const char *const *name = cr_isa_names(); *name; name++) {
        struct cr_kernels k;
        cr_kernels_fill(&k, cr_isa_flags(*name));
        if (!log->out) printf("  %-8s", *name);
        for (int i = 0; i < 2 && team[i]; i++) {
            const struct cr_rate r = fma_rate(&k, team[i]);
            say(log, "fma", *name, team[i], "gflops", gflops(&k, r.median), gflops(&k, r.wall));
        }
        if (!log->out) printf("\n");
    }
}

static int bench_memory(struct cr_log *log, const int team[2], struct cr_error *e)
{
    static const struct {
        const char *name;
        cr_bench_fn *run;
        double arrays;
    } kind[] = { { "triad", run_triad, 3 }, { "copy", run_copy, 2 } };
    const size_t bytes = array_bytes(), floats = bytes / sizeof(float);
    float *const array = calloc(3 * floats, sizeof *array);
    if (!array) return cr_fail(e, CR_E_NOMEM, "out of memory for three arrays of %zu MB", bytes >> 20);
    for (size_t i = 0; i < 3 * floats; i += 1024) array[i] = 1;
    if (!log->out) printf("\nmemory, GB/s (arrays of %zu MB)\n", bytes >> 20);
    for (size_t i = 0; i < sizeof kind / sizeof *kind; i++) {
        if (!log->out) printf("  %-8s", kind[i].name);
        for (int k = 0; k < 2 && team[k]; k++) {
            const struct cr_rate r = memory_rate(array, floats, team[k], kind[i].run);
            const double gb = 1e-9 * kind[i].arrays * (double)bytes;
            say(log, kind[i].name, cr_kernels()->isa, team[k], "gbytes", gb * r.wall, gb * r.wall);
        }
        if (!log->out) printf("\n");
    }
    free(array);
    return 0;
}

static int bench(const struct cr_bench_args *a, struct cr_error *e)
{
    const int all = cr_bench_threads(a, cr_threads_default(), e);
    CR_TRY(all);
    const int team[2] = { 1, all > 1 ? all : 0 };
    struct cr_log log = { .out = a->json ? stdout : NULL };
    if (!log.out) {
        printf("%-10s%10s", "threads", "1");
        if (team[1]) printf("%10d", team[1]);
        printf("\n\nmultiply-adds, GFLOP/s\n");
    }
    bench_fma(&log, team);
    const int rc = bench_memory(&log, team, e);
    cr_log_free(&log);
    return rc;
}

static int body(void *args, const struct cr_arguments *words, struct cr_error *e)
{
    (void)words;
    return bench(args, e);
}

static int run(const struct cr_command *self, int argc, char **argv, struct cr_error *e)
{
    struct cr_bench_args a = { 0 };
    return cr_options_run(self, argc, argv, &a, body, e);
}

const struct cr_command cr_command_bench_peak = {
    .name = "bench peak",
    .arguments = "",
    .summary = "the most that processor and memory can do",
    .description = "Measures multiply-adds a second, for each instruction set this machine has, with\n"
                   "nothing but registers; and how fast memory beyond the caches is read and written:\n"
                   "triad z = a x + y (12 bytes a value), copy (8 bytes a value). Medians of 9.",
    .options = options,
    .least = 0,
    .most = 0,
    .run = run,
};
