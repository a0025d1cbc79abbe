/* SGEMM speed of a CBLAS library, JSON lines. For tests/peers/bench_peers.py; linked once with OpenBLAS, once with
 * BLIS.
 *
 *     bench_gemm KIND:MxNxK...            KIND is NN, NT or TN, as for `corering bench gemm`
 *     bench_gemm --kernels                the name of the kernels that the library has chosen
 *
 * C (m, n) = A B, all row-major; in NT the stored B is (n, k), in TN the stored A is (k, m). Medians of 9: gflops by
 * the process's own time, for one thread; wall by the clock, for several. */
#define _POSIX_C_SOURCE 200809L
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/memory.h"

enum { REPETITIONS = 9, ROW_MAJOR = 101, NO_TRANS = 111, TRANS = 112 };
static const double repetition_seconds = 4e-3;

/* As in every cblas.h, which are not the same file everywhere. */
extern void cblas_sgemm(int order, int trans_a, int trans_b, int m, int n, int k, float alpha, const float *a, int lda,
                        const float *b, int ldb, float beta, float *c, int ldc);

/* Each library has its own. */
extern char *openblas_get_corename(void) __attribute__((weak));
extern void bli_init(void) __attribute__((weak));
extern int bli_arch_query_id(void) __attribute__((weak));
extern const char *bli_arch_string(int id) __attribute__((weak));

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

static float *noise(size_t n)
{
    float *const x = cr_memory(n * sizeof *x);
    if (!x) exit(1);
    for (size_t i = 0; i < n; i++) x[i] = (float)rand() / (float)RAND_MAX - 0.5f;
    return x;
}

static void product(const char *text)
{
    char kind[3];
    int m, n, k;
    if (sscanf(text, "%2s:%dx%dx%d", kind, &m, &n, &k) < 4) exit(2);
    const int trans_a = kind[0] == 'T', trans_b = kind[1] == 'T';
    float *const a = noise((size_t)m * (size_t)k), *const b = noise((size_t)k * (size_t)n);
    float *const c = noise((size_t)m * (size_t)n);
    double own[REPETITIONS], wall[REPETITIONS];
    long calls = 1;
    for (int r = -1; r < REPETITIONS; r++) {
        const double wall_start = clock_of(CLOCK_MONOTONIC), own_start = clock_of(CLOCK_PROCESS_CPUTIME_ID);
        for (long i = 0; i < calls; i++)
            cblas_sgemm(ROW_MAJOR, trans_a ? TRANS : NO_TRANS, trans_b ? TRANS : NO_TRANS, m, n, k, 1, a,
                        trans_a ? m : k, b, trans_b ? k : n, 0, c, n);
        const double seconds = clock_of(CLOCK_MONOTONIC) - wall_start;
        if (r >= 0) {
            wall[r] = 2e-9 * m * n * k * (double)calls / seconds;
            own[r] = 2e-9 * m * n * k * (double)calls / (clock_of(CLOCK_PROCESS_CPUTIME_ID) - own_start);
        } else if (seconds < 0.5 * repetition_seconds) { /* warm-up: until a repetition is long enough */
            calls *= 2;
            r--;
        }
    }
    qsort(own, REPETITIONS, sizeof *own, ascending);
    qsort(wall, REPETITIONS, sizeof *wall, ascending);
    printf("{\"kind\":\"%s\",\"m\":%d,\"n\":%d,\"k\":%d,\"gflops\":%.3f,\"wall\":%.3f}\n", kind, m, n, k,
           own[REPETITIONS / 2], wall[REPETITIONS / 2]);
    free(a);
    free(b);
    free(c);
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "--kernels") == 0) {
        if (bli_init) bli_init();
        puts(openblas_get_corename ? openblas_get_corename() : bli_arch_string(bli_arch_query_id()));
        return 0;
    }
    for (int i = 1; i < argc; i++) product(argv[i]);
    return argc < 2 ? 2 : 0;
}
