/* Timing for the benches: the same work on each thread of a pinned team, again and again. */
#define _POSIX_C_SOURCE 200809L
#include <math.h>
#include <omp.h>
#include <stdlib.h>
#include <time.h>

#include "apps/bench.h"
#include "core/meet.h"
#include "core/team.h"

static const double repetition_seconds = 4e-3;

static double clock_of(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double cr_median(double *values, int n)
{
    qsort(values, (size_t)n, sizeof *values, ascending);
    return n % 2 ? values[n / 2] : 0.5 * (values[n / 2 - 1] + values[n / 2]);
}

/* Calls that fill a repetition: after some to warm up, which bring pages, caches and the processor's clock along. */
static long calls_of_repetition(cr_bench_fn *run, void *work)
{
    double seconds = 0;
    long calls = 1;
    for (; calls < 1L << 30; calls *= 2) {
        const double start = clock_of(CLOCK_THREAD_CPUTIME_ID);
        for (long i = 0; i < calls; i++) run(work);
        seconds = clock_of(CLOCK_THREAD_CPUTIME_ID) - start;
        if (seconds >= 0.5 * repetition_seconds) break;
    }
    return (long)fmax(1, (double)calls * repetition_seconds / seconds);
}

/* What one thread counts in each repetition; the threads' rates add up. */
struct count {
    double own[CR_BENCH_REPETITIONS], wall[CR_BENCH_REPETITIONS];
};

static void repeat(cr_bench_fn *run, void *work, struct cr_barrier *barrier, struct count *c)
{
    const long calls = calls_of_repetition(run, work);
    for (int r = 0; r < CR_BENCH_REPETITIONS; r++) {
        cr_barrier_wait(barrier);
        const double wall = clock_of(CLOCK_MONOTONIC), own = clock_of(CLOCK_THREAD_CPUTIME_ID);
        for (long i = 0; i < calls; i++) run(work);
        c->own[r] = (double)calls / (clock_of(CLOCK_THREAD_CPUTIME_ID) - own);
        c->wall[r] = (double)calls / (clock_of(CLOCK_MONOTONIC) - wall);
    }
}

struct cr_rate cr_bench_rate(int threads, cr_bench_fn *run, void *const *work)
{
    double own[CR_BENCH_REPETITIONS] = { 0 }, wall[CR_BENCH_REPETITIONS] = { 0 };
    struct cr_barrier barrier;
    struct cr_cpus cpus;
    cr_cpus_allowed(&cpus);
#pragma omp parallel num_threads(threads)
    {
        const int t = omp_get_thread_num();
        const struct cr_pin pin = cr_pin(&cpus, t, threads);
        const unsigned long mode = cr_fp_enter();
        struct count c;
#pragma omp single
        cr_barrier_init(&barrier, omp_get_num_threads(), cpus.count);
        repeat(run, work[t], &barrier, &c);
#pragma omp critical
        for (int r = 0; r < CR_BENCH_REPETITIONS; r++) {
            own[r] += c.own[r];
            wall[r] += c.wall[r];
        }
        cr_fp_leave(mode);
        cr_unpin(&pin);
    }
    struct cr_rate rate = { .median = cr_median(own, CR_BENCH_REPETITIONS) };
    rate.least = own[0];
    rate.most = own[CR_BENCH_REPETITIONS - 1];
    rate.wall = cr_median(wall, CR_BENCH_REPETITIONS);
    return rate;
}

int cr_bench_threads(const struct cr_bench_args *a, int usual, struct cr_error *e)
{
    if (a->threads > CR_MAX_CPUS) return cr_fail(e, CR_E_USAGE, "--threads takes at most %d", CR_MAX_CPUS);
    return a->threads ? (int)a->threads : usual;
}

void cr_bench_line(struct cr_log *l, const char *what, const char *isa, int threads)
{
    cr_log_begin(l, "bench");
    cr_json_put_string(&l->line, "bench", what);
    cr_json_put_string(&l->line, "isa", isa);
    cr_json_put_i64(&l->line, "threads", threads);
}
