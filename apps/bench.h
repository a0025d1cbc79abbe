/* What the commands under `corering bench` share: work timed on a pinned team, the machine's peak, and their options.
 *
 * Each bench is a file apps/bench_NAME.c with its command, a line in apps/commands.h and one in apps/main.c. */
#ifndef CR_APPS_BENCH_H
#define CR_APPS_BENCH_H

#include <stddef.h>

#include "apps/options.h"
#include "apps/output.h"
#include "core/data.h"
#include "core/net.h"
#include "simd/kernels.h"

enum { CR_BENCH_REPETITIONS = 9 };

struct cr_bench_args {
    int json;
    long threads; /* 0 = one per core */
};

/* Options for the tables of benches whose arguments begin with a struct cr_bench_args. */
#define CR_BENCH_JSON                                                                                                  \
    {                                                                                                                  \
        .name = "json", .help = "JSON lines on stdout, instead of text", .set = cr_option_switch,                      \
        .offset = offsetof(struct cr_bench_args, json)                                                                 \
    }

/* The number of threads asked for, or `usual`. -CR_E_USAGE when no machine has as many. */
int cr_bench_threads(const struct cr_bench_args *a, int usual, struct cr_error *e);

/* One call of the work to be timed; `work` is the thread's own. */
typedef void cr_bench_fn(void *work);

/* Calls a second, all threads together: over repetitions of some milliseconds each, after a warm-up. */
struct cr_rate {
    double median, least, most; /* by the threads' own processor time, which other processes cannot take */
    double wall;                /* median by the clock on the wall */
};
struct cr_rate cr_bench_rate(int threads, cr_bench_fn *run, void *const *work);

/* Sorts values[0..n-1] and returns the one in the middle. */
double cr_median(double *values, int n);

/* The multiply-adds that the vector units can do at most, in GFLOP/s, all threads together: measured. */
double cr_bench_peak(const struct cr_kernels *k, int threads);

/* A data set of the network's shape, made up in memory. *bytes owns the images. -CR_E_NOMEM. */
int cr_bench_data(struct cr_data *d, uint8_t **bytes, const struct cr_net *net, struct cr_error *e);
void cr_bench_data_free(struct cr_data *d, uint8_t *bytes);

/* Begin a line for --json: event `bench` and what it measures. The caller adds the rest and calls cr_log_finish. */
void cr_bench_line(struct cr_log *l, const char *what, const char *isa, int threads);

#endif
