/* The matrix product: every instruction set against the chain written out, bit for bit; edges of tiles and of cache
 * blocks, all strides, unaligned operands that end where their memory ends, NaN in a C that must not be read, canaries
 * around it and behind scratch. And the chain against sums in double precision. */
#define _DEFAULT_SOURCE /* MAP_ANONYMOUS */
#include <check.h>
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "simd/kernels.h"
#include "tests/suites.h"
#include "tests/values.h"

enum { MARGIN = 24 };
static const float canary = 12345.678f;

/* Operands end where their memory ends: reading beyond them is a fault. */
enum operand { A, B, BIAS, OPERANDS };
enum { PAGE = 1 << 16, ROOM = 1 << 22 }; /* bytes; the page is as large as any processor's */

/* n random values, as the place of `which` until its next call. */
static const float *operand(enum operand which, size_t n, struct values *v)
{
    static char *memory[OPERANDS];
    if (!memory[which]) {
        memory[which] = mmap(NULL, ROOM + PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        ck_assert_ptr_ne(memory[which], MAP_FAILED);
        ck_assert_int_eq(mprotect(memory[which] + ROOM, PAGE, PROT_NONE), 0);
    }
    ck_assert_uint_le(n * sizeof(float), ROOM);
    float *const at = (float *)(void *)(memory[which] + ROOM) - n;
    for (size_t i = 0; i < n; i++) at[i] = next_float(v);
    return at;
}

/* Scratch with canaries behind it. */
static float *scratch_new(size_t n)
{
    float *scratch = aligned_alloc(64, ((n + MARGIN) * sizeof(float) + 63) / 64 * 64);
    ck_assert_ptr_nonnull(scratch);
    for (size_t i = 0; i < n + MARGIN; i++) scratch[i] = i < n ? NAN : canary;
    return scratch;
}

static int scratch_whole(const float *scratch, size_t n)
{
    for (size_t i = n; i < n + MARGIN; i++)
        if (scratch[i] != canary) return 0;
    return 1;
}

/* ---- one product in all its variants */

enum form { NN, NT, TN, TT, STRIDED, FILLED, FORMS };
enum start { FROM_ZERO, FROM_C, FROM_ROW, FROM_COLUMN, STARTS };
static const char *const form_name[] = { "NN", "NT", "TN", "TT", "strided", "filled" };
static const char *const start_name[] = { "from 0", "from C", "from a row's bias", "from a column's bias" };

static void fill(const void *what, size_t from_p, size_t k, size_t from_j, size_t n, float *to, size_t step)
{
    const struct cr_gemm *g = what;
    for (size_t p = 0; p < k; p++)
        for (size_t j = 0; j < n; j++) to[p * step + j] = g->b[(from_p + p) * g->b_row + (from_j + j) * g->b_col];
}

static void chain(const struct cr_gemm *g, float *c)
{
    for (size_t i = 0; i < g->m; i++)
        for (size_t j = 0; j < g->n; j++) {
            float sum = g->start ? g->start[i * g->start_row + j * g->start_col] : 0.0f;
            for (size_t p = 0; p < g->k; p++)
                sum = fmaf(g->a[i * g->a_row + p * g->a_col], g->b[p * g->b_row + j * g->b_col], sum);
            c[i * g->c_row + j] = sum;
        }
}

/* How far the last element of rows x columns lies from the first, plus one. */
static size_t extent(size_t rows, size_t columns, size_t row, size_t column)
{
    return rows && columns ? (rows - 1) * row + (columns - 1) * column + 1 : 0;
}

/* Contiguous rows, or columns, or neither; the other distance odd and a little more than needed. */
static void strides(int transposed, int apart, size_t rows, size_t columns, size_t *row, size_t *column)
{
    const size_t unit = apart ? 3 : 1;
    *row = transposed ? unit : (unit * columns + 2) | 1;
    *column = transposed ? (unit * rows + 2) | 1 : unit;
}

/* threads = 0: cr_gemm; else all shares of so many threads. */
static void product_case(const char *isa, const struct cr_gemm_kernels *kernels, size_t m, size_t n, size_t k,
                         enum form form, enum start start, int threads)
{
    struct values v = { 0 };
    struct cr_gemm g = { .m = m, .n = n, .k = k, .c_row = (n + 4) | 1 };
    strides(form == TN || form == TT, form == STRIDED, m, k, &g.a_row, &g.a_col);
    strides(form == NT || form == TT, form == STRIDED, k, n, &g.b_row, &g.b_col);
    g.a = operand(A, extent(m, k, g.a_row, g.a_col), &v);
    g.b = operand(B, extent(k, n, g.b_row, g.b_col), &v);
    const float *const bias = operand(BIAS, start == FROM_ROW ? m : n, &v);
    const size_t length = m * g.c_row + 2 * MARGIN, scratch_size = cr_gemm_scratch(kernels, m, n, k);
    float *const got = malloc(length * sizeof *got), *const want = malloc(length * sizeof *want);
    float *const scratch = scratch_new(scratch_size);
    ck_assert_ptr_nonnull(got);
    ck_assert_ptr_nonnull(want);
    for (size_t i = 0; i < length; i++) got[i] = want[i] = start == FROM_C ? next_float(&v) : NAN;

    g.c = want + MARGIN;
    if (start == FROM_C) g.start = g.c, g.start_row = g.c_row, g.start_col = 1;
    if (start == FROM_ROW) g.start = bias, g.start_row = 1;
    if (start == FROM_COLUMN) g.start = bias, g.start_col = 1;
    chain(&g, g.c);

    const struct cr_gemm stored = g;
    g.c = got + MARGIN;
    if (start == FROM_C) g.start = g.c;
    if (form == FILLED) {
        g.b = NULL;
        g.fill_b = fill;
        g.what = &stored;
    }
    if (threads == 0) cr_gemm(kernels, &g, scratch);
    for (int t = 0; t < threads; t++) cr_gemm_share(kernels, &g, t, threads, scratch);

    size_t at = 0; /* bit by bit, canaries and what lies between rows of C as well */
    while (at < length && memcmp(got + at, want + at, sizeof *got) == 0) at++;
    ck_assert_msg(at == length,
                  "%s: %zu x %zu x %zu, %s, %s, threads %d: offset %td of C (rows %zu apart): %a, chain %a (seed %llu)",
                  isa, m, n, k, form_name[form], start_name[start], threads, (ptrdiff_t)at - MARGIN, g.c_row,
                  (double)got[at % length], (double)want[at % length], (unsigned long long)test_seed());
    ck_assert_msg(scratch_whole(scratch, scratch_size), "%s: %zu x %zu x %zu: wrote behind scratch", isa, m, n, k);
    free(got), free(want), free(scratch);
}

/* ---- tests; the body for each usable instruction set, name isa, kernels g */

#define FOR_EACH_ISA(isa, g)                                                                                           \
    struct cr_kernels table;                                                                                           \
    const struct cr_gemm_kernels *const g = &table.gemm;                                                               \
    for (const char *const *isa = cr_isa_names(); *isa && (cr_kernels_fill(&table, cr_isa_flags(*isa)), 1); isa++)

/* Every height and width of tile, one more, and none. */
START_TEST(edges)
{
    const size_t k = (size_t[]){ 0, 1, 2, 19 }[_i];
    FOR_EACH_ISA(isa, g)
    for (size_t m = 0; m <= (size_t)g->mr + 1; m++)
        for (size_t n = 0; n <= (size_t)g->nr + 1; n++)
            for (int form = 0; form < FORMS; form++)
                product_case(*isa, g, m, n, k, (enum form)form, (enum start)((m + n + (size_t)form) % STARTS), 0);
}
END_TEST

/* Cache blocks so small that every loop around the tile goes round, and panels are kept and used again. */
START_TEST(blocks)
{
    FOR_EACH_ISA(isa, whole)
    {
        struct cr_gemm_kernels g = *whole;
        g.mc = 2 * (size_t)g.mr - 1;
        g.kc = 5;
        g.nc = (size_t)(g.nr + g.vector);
        for (size_t m = g.mc - 1; m <= 3 * g.mc + 1; m += g.mc / 2)
            for (size_t n = g.nc - 1; n <= 2 * g.nc + 1; n += (size_t)g.vector / 2 + 1)
                for (size_t k = 4; k <= 11; k += 1 + k % 2)
                    product_case(*isa, &g, m, n, k, (enum form)((m + n) % FORMS), (enum start)(_i), 0);
    }
}
END_TEST

/* The real blocks, just below, at and beyond their limits; wide and high enough for all that is packed. */
START_TEST(limits)
{
    FOR_EACH_ISA(isa, g)
    for (size_t over = 0; over < 3; over++) {
        const enum start start = (enum start)((over + (size_t)_i) % STARTS);
        product_case(*isa, g, (size_t)g->mr + 1, (size_t)g->nr + 1, g->kc + over - 1, (enum form)_i, start, 0);
        product_case(*isa, g, g->mc + over - 1, 301, 3, (enum form)_i, start, 0);
        product_case(*isa, g, 2, g->nc + over - 1, 2, (enum form)_i, start, 0);
        product_case(*isa, g, 70, 257, 2 * g->kc + over, (enum form)_i, start, 0);
        product_case(*isa, g, 3 * (size_t)g->mr - over, 515, 4, (enum form)_i, start, 0);
        product_case(*isa, g, 5 + over, 176, 21, (enum form)_i, start, 0); /* few rows, whole vectors */
        product_case(*isa, g, 1 + over, 160 + over, g->kc + 3, (enum form)_i, start, 0);
    }
}
END_TEST

/* All shares together are the whole: no element twice (chains from C would go on), none forgotten. */
START_TEST(shares)
{
    static const size_t shape[][3] = {
        { 1, 1, 1 }, { 3, 1100, 70 }, { 1100, 3, 70 }, { 61, 67, 71 }, { 130, 300, 9 }
    };
    FOR_EACH_ISA(isa, g)
    for (size_t s = 0; s < sizeof shape / sizeof *shape; s++)
        for (int threads = 2; threads <= 6; threads += 1 + threads / 3)
            product_case(*isa, g, shape[s][0], shape[s][1], shape[s][2], (enum form)_i, FROM_C, threads);
}
END_TEST

/* Large products are worth all threads, small ones not. */
START_TEST(parts)
{
    FOR_EACH_ISA(isa, g)
    for (int large = 0; large < 2; large++) {
        enum { THREADS = 4, SIDE = 128 };
        static float c[SIDE * SIDE];
        const size_t k = large ? SIDE : 0;
        struct values v = { 0 };
        const float *const a = operand(A, SIDE * SIDE, &v), *const b = operand(B, SIDE * SIDE, &v);
        float *const scratch = scratch_new(cr_gemm_scratch(g, SIDE, SIDE, k));
        const struct cr_gemm product = {
            .m = SIDE, .n = SIDE, .k = k, .a = a, .a_row = SIDE, .a_col = 1, .b = b, .b_row = SIDE, .b_col = 1,
            .c = c, .c_row = SIDE,
        };
        for (int t = 0; t < THREADS; t++) {
            size_t written = 0;
            for (size_t i = 0; i < SIDE * SIDE; i++) c[i] = NAN;
            cr_gemm_share(g, &product, t, THREADS, scratch);
            for (size_t i = 0; i < SIDE * SIDE; i++) written += isnan(c[i]) ? 0 : 1;
            const size_t due = large ? SIDE * SIDE / THREADS : t == 0 ? SIDE * SIDE : 0;
            ck_assert_msg(written == due, "%s: thread %d of %d wrote %zu elements, not %zu", *isa, t, THREADS,
                          written, due);
        }
        free(scratch);
    }
}
END_TEST

/* What is said of all instruction sets holds for each. */
START_TEST(most)
{
    FOR_EACH_ISA(isa, g)
    {
        ck_assert_uint_le(g->mc, CR_GEMM_MOST_MC);
        ck_assert_uint_le(g->kc, CR_GEMM_MOST_KC);
        ck_assert_int_le(g->nr, CR_GEMM_MOST_NR);
        for (size_t m = 1; m <= g->mc && g->vector > 1; m++)
            for (size_t k = 1; k <= 2000; k += 37)
                ck_assert_uint_le(cr_gemm_scratch(g, m, 100000, k), cr_gemm_scratch_of_rows(m, k));
    }
}
END_TEST

/* Packing: what is asked for, and nothing beyond the last whole vector of each step. */
START_TEST(packing)
{
    enum { K = 37, STEP = 48 };
    FOR_EACH_ISA(isa, g)
    for (size_t n = 1; n <= (size_t)(2 * g->vector + 1); n++)
        for (int form = 0; form < 3; form++) {
            const size_t l = (size_t[]){ 1, K + 2, 3 }[form], p = (size_t[]){ STEP + 3, 1, 101 }[form];
            const size_t width = (n + (size_t)g->vector - 1) / (size_t)g->vector * (size_t)g->vector;
            struct values v = { 0 };
            const float *const from = operand(A, extent(n, K, l, p), &v);
            static _Alignas(64) float to[K * STEP];
            for (size_t i = 0; i < K * STEP; i++) to[i] = canary;
            g->pack(n, K, from, l, p, to, STEP);
            size_t i = 0;
            for (; i < K * STEP; i++) {
                const size_t lane = i % STEP;
                if (lane < n ? to[i] != from[lane * l + i / STEP * p] : lane >= width && to[i] != canary) break;
            }
            ck_assert_msg(i == K * STEP, "%s: %zu lanes, strides %zu and %zu: step %zu, lane %zu", *isa, n, l, p,
                          i / STEP, i % STEP);
        }
}
END_TEST

/* The chain itself may be off by what its k roundings allow. */
START_TEST(oracle)
{
    const size_t k = (size_t[]){ 1, 2, 10, 100, 1000, 5000 }[_i];
    enum { M = 9, N = 11 };
    struct values v = { 0 };
    struct cr_kernels table;
    cr_kernels_fill(&table, 0);
    const float *const a = operand(A, M * k, &v), *const b = operand(B, k * N, &v);
    float c[M * N], *const scratch = scratch_new(cr_gemm_scratch(&table.gemm, M, N, k));
    const struct cr_gemm product = {
        .m = M, .n = N, .k = k, .a = a, .a_row = k, .a_col = 1, .b = b, .b_row = N, .b_col = 1, .c = c, .c_row = N,
    };
    cr_gemm(&table.gemm, &product, scratch);
    double worst = 0;
    size_t where = 0;
    for (size_t i = 0; i < M * N; i++) {
        double sum = 0, size = 0;
        for (size_t p = 0; p < k; p++) {
            const double term = (double)a[i / N * k + p] * (double)b[p * N + i % N];
            sum += term;
            size += fabs(term);
        }
        const double bound = 2 * (double)k * (double)FLT_EPSILON * size;
        const double share = fabs((double)c[i] - sum) / (bound > 0 ? bound : DBL_MIN);
        if (!(share <= worst)) worst = share, where = i;
    }
    ck_assert_msg(worst <= 1, "k %zu: element %zu is off by %g times the bound (seed %llu)", k, where, worst,
                  (unsigned long long)test_seed());
    free(scratch);
}
END_TEST

Suite *gemm_suite(void)
{
    Suite *s = suite_create("gemm");
    TCase *tc = tcase_create("gemm");
    tcase_set_timeout(tc, 120);
    tcase_add_loop_test(tc, edges, 0, 4);
    tcase_add_loop_test(tc, blocks, 0, STARTS);
    tcase_add_loop_test(tc, limits, 0, FORMS);
    tcase_add_loop_test(tc, shares, 0, FORMS);
    tcase_add_test(tc, parts);
    tcase_add_test(tc, most);
    tcase_add_test(tc, packing);
    tcase_add_loop_test(tc, oracle, 0, 6);
    suite_add_tcase(s, tc);
    return s;
}
