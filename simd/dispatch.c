/* The kernel table: the scalar reference first, then up the cascade as far as the flags allow; and the choice of an
 * instruction set by name. */
#include "config.h"
#include "simd/tables.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define TABLE(name, suffix)                                                                                            \
    (struct cr_kernels)                                                                                                \
    {                                                                                                                  \
        .isa = name, .gemm = cr_gemm_##suffix, .conv = cr_conv_##suffix,                                               \
        .conv_pool = cr_conv_pool_##suffix, .linear = cr_linear_##suffix,                                              \
        .maxpool = cr_maxpool_##suffix, .avgpool = cr_avgpool_##suffix, .tanh = cr_tanh_##suffix,                      \
        .relu = cr_relu_##suffix, .sigmoid = cr_sigmoid_##suffix, .softmax = cr_softmax_##suffix,                      \
        .load = cr_load_##suffix, .sum_bytes = cr_sum_bytes_##suffix, .round = cr_round_##suffix,                      \
        .round_outer = cr_round_outer_##suffix, .greatest_outer = cr_greatest_outer_##suffix,                          \
        .sum = cr_sum_##suffix, .sgd = cr_sgd_##suffix, .sgd_outer = cr_sgd_outer_##suffix, .peak = cr_peak_##suffix,  \
    }

void cr_kernels_fill(struct cr_kernels *t, unsigned flags)
{
    *t = TABLE("ref", ref);
    t->conv_product = cr_conv_ref;
#if CR_HAVE_FMA
    if (flags & CR_CPU_FMA) {
        *t = TABLE("ref", ref_fma);
        t->conv_product = cr_conv_ref_fma;
    }
#endif
#if CR_HAVE_AVX2
    if (flags & CR_CPU_AVX2) {
        *t = TABLE("avx2", avx2);
        t->conv_product = cr_conv_product_avx2;
        t->side = 8;
    }
#endif
#if CR_HAVE_AVX512
    if (flags & CR_CPU_AVX512) {
        *t = TABLE("avx512", avx512);
        t->conv_product = cr_conv_product_half_avx512;
        t->side = 16;
        if (!(flags & CR_CPU_SELECTS)) t->conv_pool = cr_conv_pool_wide_avx512;
    }
#endif
#if CR_HAVE_NEON
    if (flags & CR_CPU_NEON) {
        *t = TABLE("neon", neon);
        t->conv_product = cr_conv_product_neon;
        t->side = 8;
    }
#endif
}

/* The levels by name, ascending. A level's flags include those of the levels below it. */
static const struct level {
    const char *name;
    unsigned flags;
} levels[] = {
    { "ref", CR_CPU_FMA },
    { "avx2", CR_CPU_FMA | CR_CPU_AVX2 },
    { "avx512", CR_CPU_FMA | CR_CPU_AVX2 | CR_CPU_AVX512 },
    { "neon", CR_CPU_NEON },
};
enum { LEVELS = sizeof levels / sizeof *levels };

/* All that is found out once: the usable names (the last is the best) and the table. */
static pthread_once_t names_once = PTHREAD_ONCE_INIT, table_once = PTHREAD_ONCE_INIT;
static const char *names[LEVELS + 1];
static struct cr_kernels table;
static const char *chosen; /* one of names, or NULL: nobody chose */

static void find_names(void)
{
    const unsigned cpu = cr_cpu_flags();
    size_t count = 0;
    for (size_t i = 0; i < LEVELS; i++)
        if (i == 0 || (levels[i].flags & cpu) == levels[i].flags) names[count++] = levels[i].name;
}

const char *const *cr_isa_names(void)
{
    pthread_once(&names_once, find_names);
    return names;
}

unsigned cr_isa_flags(const char *name)
{
    for (size_t i = 0; i < LEVELS; i++)
        if (!strcmp(levels[i].name, name)) return (levels[i].flags | CR_CPU_SELECTS) & cr_cpu_flags();
    return 0;
}

/* The list's own copy of a name; NULL when it is not usable here. */
static const char *usable(const char *name)
{
    for (const char *const *n = cr_isa_names(); *n; n++)
        if (!strcmp(*n, name)) return *n;
    return NULL;
}

static const char *best(void)
{
    const char *const *n = cr_isa_names();
    while (n[1]) n++;
    return *n;
}

static int refuse(struct cr_error *e, const char *origin, const char *name)
{
    char list[64] = "";
    for (const char *const *n = cr_isa_names(); *n; n++) {
        strcat(list, " ");
        strcat(list, *n);
    }
    return cr_fail(e, CR_E_USAGE, "%s '%s' is not usable on this machine; choose one of:%s auto", origin, name, list);
}

int cr_isa_choose(const char *name, struct cr_error *e)
{
    const char *origin = "instruction set";
    if (!name || !strcmp(name, "auto")) {
        name = getenv("CR_ISA");
        origin = "instruction set of CR_ISA,";
    }
    if (!name || !*name || !strcmp(name, "auto")) name = best();

    const char *found = usable(name);
    if (!found) return refuse(e, origin, name);
    chosen = found;
    return 0;
}

static void fill_table(void)
{
    if (!chosen && cr_isa_choose(NULL, NULL) < 0) chosen = best();
    cr_kernels_fill(&table, cr_isa_flags(chosen));
}

const struct cr_kernels *cr_kernels(void)
{
    pthread_once(&table_once, fill_table);
    return &table;
}
