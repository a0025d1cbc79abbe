/* oneDNN's speed on convolution layers, JSON lines. For tests/peers/bench_peers.py.
 *
 *     bench_onednn BATCH SHAPE...            SHAPE as for `corering bench conv`: 32x28x28-64-3x3-s1-p1
 *
 * Twice: "direct", the same arithmetic as corering's; and "auto", where oneDNN may take Winograd's algorithm, which
 * needs fewer multiplications and rounds differently. oneDNN chooses the memory layout itself; bringing data into that
 * layout is not counted. Median of 9. */
#define _POSIX_C_SOURCE 200809L
#include <dnnl.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "core/memory.h"

#if DNNL_VERSION_MAJOR != 2
#error "written for oneDNN 2 (Debian 12)"
#endif

enum { REPETITIONS = 9 };
static const double repetition_seconds = 4e-3;

static void must(dnnl_status_t status, const char *what)
{
    if (status == dnnl_success) return;
    fprintf(stderr, "oneDNN: %s failed with status %d\n", what, (int)status);
    exit(1);
}

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

static dnnl_engine_t engine;
static dnnl_stream_t stream;

/* Memory in the layout the primitive wants, filled with noise. */
static dnnl_memory_t memory_for(const_dnnl_primitive_desc_t p, int argument)
{
    const dnnl_memory_desc_t *const desc = dnnl_primitive_desc_query_md(p, dnnl_query_exec_arg_md, argument);
    const size_t size = dnnl_memory_desc_get_size(desc);
    float *const data = cr_memory(size);
    dnnl_memory_t m;
    if (!data) exit(1);
    must(dnnl_memory_create(&m, desc, engine, data), "memory");
    for (size_t i = 0; i < size / sizeof(float); i++)
        data[i] = (float)rand() / (float)RAND_MAX - 0.5f;
    return m;
}

static void measure(const char *shape, const char *pass, const char *algorithm, dnnl_primitive_desc_t desc,
                    int arguments, const int *argument, double flop)
{
    dnnl_primitive_t primitive;
    dnnl_exec_arg_t args[4];
    double own[REPETITIONS], wall[REPETITIONS], seconds = 0;
    long calls = 1;
    must(dnnl_primitive_create(&primitive, desc), "primitive");
    for (int i = 0; i < arguments; i++) args[i] = (dnnl_exec_arg_t){ argument[i], memory_for(desc, argument[i]) };
    for (int r = -1; r < REPETITIONS; r++) {
        const double wall_start = clock_of(CLOCK_MONOTONIC), own_start = clock_of(CLOCK_PROCESS_CPUTIME_ID);
        for (long i = 0; i < calls; i++) must(dnnl_primitive_execute(primitive, stream, arguments, args), pass);
        must(dnnl_stream_wait(stream), "stream");
        seconds = clock_of(CLOCK_PROCESS_CPUTIME_ID) - own_start;
        if (r < 0) { /* warm-up: until a repetition is long enough */
            if (seconds < 0.5 * repetition_seconds) {
                calls *= 2;
                r--;
            }
            continue;
        }
        own[r] = flop * (double)calls / seconds;
        wall[r] = flop * (double)calls / (clock_of(CLOCK_MONOTONIC) - wall_start);
    }
    qsort(own, REPETITIONS, sizeof *own, ascending);
    qsort(wall, REPETITIONS, sizeof *wall, ascending);
    printf("{\"shape\":\"%s\",\"pass\":\"%s\",\"algorithm\":\"%s\",\"gflops\":%.3f,\"wall\":%.3f}\n", shape, pass,
           algorithm, 1e-9 * own[REPETITIONS / 2], 1e-9 * wall[REPETITIONS / 2]);
    fflush(stdout);
    for (int i = 0; i < arguments; i++) {
        void *data;
        must(dnnl_memory_get_data_handle(args[i].memory, &data), "memory");
        dnnl_memory_destroy(args[i].memory);
        free(data);
    }
    dnnl_primitive_destroy(primitive);
}

static void layer(const char *shape, int n, dnnl_alg_kind_t algorithm, const char *name)
{
    int in_c, h, w, out_c, kh = 3, kw = 3, stride = 1, pad = -1, used = 0;
    if (sscanf(shape, "%dx%dx%d-%d%n", &in_c, &h, &w, &out_c, &used) < 4) exit(2);
    for (const char *rest = shape + used; *rest; rest += used)
        if (sscanf(rest, "-%dx%d%n", &kh, &kw, &used) < 2 && sscanf(rest, "-s%d%n", &stride, &used) < 1 &&
            sscanf(rest, "-p%d%n", &pad, &used) < 1)
            exit(2);
    if (pad < 0) pad = kh / 2;
    const int oh = (h + 2 * pad - kh) / stride + 1, ow = (w + 2 * pad - kw) / stride + 1;
    const double flop = 2.0 * n * out_c * oh * ow * in_c * kh * kw;

    const dnnl_dims_t x_dims = { n, in_c, h, w }, w_dims = { out_c, in_c, kh, kw }, b_dims = { out_c };
    const dnnl_dims_t y_dims = { n, out_c, oh, ow }, strides = { stride, stride }, low = { pad, pad };
    const dnnl_dims_t high = { (oh - 1) * stride + kh - h - pad, (ow - 1) * stride + kw - w - pad };
    dnnl_memory_desc_t x, weight, b, y;
    must(dnnl_memory_desc_init_by_tag(&x, 4, x_dims, dnnl_f32, dnnl_format_tag_any), "layout");
    must(dnnl_memory_desc_init_by_tag(&weight, 4, w_dims, dnnl_f32, dnnl_format_tag_any), "layout");
    must(dnnl_memory_desc_init_by_tag(&b, 1, b_dims, dnnl_f32, dnnl_format_tag_any), "layout");
    must(dnnl_memory_desc_init_by_tag(&y, 4, y_dims, dnnl_f32, dnnl_format_tag_any), "layout");

    dnnl_convolution_desc_t d;
    dnnl_primitive_desc_t forward, input, gradient;
    must(dnnl_convolution_forward_desc_init(&d, dnnl_forward_training, algorithm, &x, &weight, &b, &y, strides, low,
                                            high),
         "forward");
    must(dnnl_primitive_desc_create(&forward, &d, NULL, engine, NULL), "forward");
    measure(shape, "forward", name, forward, 4, (int[]){ DNNL_ARG_SRC, DNNL_ARG_WEIGHTS, DNNL_ARG_BIAS, DNNL_ARG_DST },
            flop);
    must(dnnl_convolution_backward_data_desc_init(&d, algorithm, &x, &weight, &y, strides, low, high), "input");
    must(dnnl_primitive_desc_create(&input, &d, NULL, engine, forward), "input");
    measure(shape, "input", name, input, 3, (int[]){ DNNL_ARG_DIFF_DST, DNNL_ARG_WEIGHTS, DNNL_ARG_DIFF_SRC }, flop);
    must(dnnl_convolution_backward_weights_desc_init(&d, algorithm, &x, &weight, &b, &y, strides, low, high), "weight");
    must(dnnl_primitive_desc_create(&gradient, &d, NULL, engine, forward), "weight");
    measure(shape, "weight", name, gradient, 4,
            (int[]){ DNNL_ARG_SRC, DNNL_ARG_DIFF_DST, DNNL_ARG_DIFF_WEIGHTS, DNNL_ARG_DIFF_BIAS }, flop);
    dnnl_primitive_desc_destroy(gradient);
    dnnl_primitive_desc_destroy(input);
    dnnl_primitive_desc_destroy(forward);
}

int main(int argc, char **argv)
{
    if (argc < 3) return 2;
    must(dnnl_engine_create(&engine, dnnl_cpu, 0), "engine");
    must(dnnl_stream_create(&stream, engine, dnnl_stream_default_flags), "stream");
    for (int i = 2; i < argc; i++) {
        layer(argv[i], atoi(argv[1]), dnnl_convolution_direct, "direct");
        layer(argv[i], atoi(argv[1]), dnnl_convolution_auto, "auto");
    }
    dnnl_stream_destroy(stream);
    dnnl_engine_destroy(engine);
    return 0;
}
