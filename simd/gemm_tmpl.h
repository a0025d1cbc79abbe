/* The matrix product's register tile and packing. The template; included after a vec_*.h and
 *
 *     TILE_ROWS(X)   X(1) X(2) .. X(mr): the heights of tiles
 *     TILE_VECTORS   nr in vectors, 2 or 3
 *     FEW_ROWS       if defined: tiles of at most so many rows can be twice as wide
 *     BLOCK_M, BLOCK_K, BLOCK_N   cache blocks
 *
 * There is one function for each height and width, so that a tile at an edge costs what it holds. The accumulators, a
 * row of B and one broadcast element of A are all the registers it needs. */
#include "simd/kernels.h"
#include "simd/tables.h"
#include "simd/unroll.h"

enum { HIGHEST = 16, WIDEST = 2 * TILE_VECTORS }; /* room for any instruction set's tile */

/* m rows of nv vectors each; `last` lanes of a row's last vector count. */
static inline __attribute__((always_inline)) void tile(const int m, const int nv, const struct cr_gemm_tile *t,
                                                       const int last)
{
    vf acc[HIGHEST][WIDEST];
    if (!t->start)
        UNROLL for (int i = 0; i < m; i++) UNROLL for (int v = 0; v < nv; v++) acc[i][v] = vf_zero();
    else if (t->start_col == 0)
        UNROLL for (int i = 0; i < m; i++) UNROLL for (int v = 0; v < nv; v++) acc[i][v] =
            vf_set1(t->start[(size_t)i * t->start_row]);
    else
        UNROLL for (int i = 0; i < m; i++)
        {
            const float *const from = t->start + (size_t)i * t->start_row, *const end = from + (nv - 1) * VL;
            UNROLL for (int v = 0; v < nv - 1; v++) acc[i][v] = vf_load(from + v * VL);
            acc[i][nv - 1] = last == VL ? vf_load(end) : vf_load_n(end, last);
        }

    /* Rows of A in threes: their addresses are a base and once or twice a stride, as processors add by themselves. */
    const size_t a_row = t->a_row, a_step = t->a_step, b_step = t->b_step;
    const float *a[(HIGHEST + 2) / 3], *b = t->b;
    UNROLL for (int i = 0; i < m; i += 3) a[i / 3] = t->a + (size_t)i * a_row;
    for (size_t k = t->k; k > 0; k--) {
        vf row[WIDEST];
        UNROLL for (int v = 0; v < nv; v++) row[v] = vf_load(b + v * VL);
        b += b_step;
        UNROLL for (int i = 0; i < m; i++)
        {
            const vf each = vf_set1(a[i / 3][(size_t)(i % 3) * a_row]);
            UNROLL for (int v = 0; v < nv; v++) acc[i][v] = vf_fma(each, row[v], acc[i][v]);
        }
        UNROLL for (int i = 0; i < m; i += 3) a[i / 3] += a_step;
    }

    UNROLL for (int i = 0; i < m; i++)
    {
        float *const to = t->c + (size_t)i * t->c_row, *const end = to + (nv - 1) * VL;
        UNROLL for (int v = 0; v < nv - 1; v++) vf_store(to + v * VL, acc[i][v]);
        if (last == VL)
            vf_store(end, acc[i][nv - 1]);
        else
            vf_store_n(end, acc[i][nv - 1], last);
    }
}

#define TILE(M, V)                                                                                                     \
    static void tile_##M##_##V(const struct cr_gemm_tile *t, int last) { tile(M, V, t, last); }
#if TILE_VECTORS == 3
#define WIDTHS(M) TILE(M, 1) TILE(M, 2) TILE(M, 3)
#define NAMES(M) { tile_##M##_1, tile_##M##_2, tile_##M##_3 },
#else
#define WIDTHS(M) TILE(M, 1) TILE(M, 2)
#define NAMES(M) { tile_##M##_1, tile_##M##_2 },
#endif
TILE_ROWS(WIDTHS)

typedef void sized_tile_fn(const struct cr_gemm_tile *t, int last);
static sized_tile_fn *const sized_tile[][TILE_VECTORS] = { TILE_ROWS(NAMES) };

#ifdef FEW_ROWS
#define WIDER(M) TILE(M, 3) TILE(M, 4)
WIDER(1) WIDER(2) WIDER(3) WIDER(4) WIDER(5) WIDER(6)
static sized_tile_fn *const wider_tile[FEW_ROWS][2] = {
    { tile_1_3, tile_1_4 }, { tile_2_3, tile_2_4 }, { tile_3_3, tile_3_4 },
    { tile_4_3, tile_4_4 }, { tile_5_3, tile_5_4 }, { tile_6_3, tile_6_4 },
};
#endif

static void any_tile(int m, int n, const struct cr_gemm_tile *t)
{
    const int vectors = (n + VL - 1) / VL;
#ifdef FEW_ROWS
    if (vectors > TILE_VECTORS) {
        wider_tile[m - 1][vectors - TILE_VECTORS - 1](t, n - (vectors - 1) * VL);
        return;
    }
#endif
    sized_tile[m - 1][vectors - 1](t, n - (vectors - 1) * VL);
}

/* Up to VL lanes, contiguous in memory at each step. */
static void pack_rows(int n, size_t k, const float *from, size_t p_stride, float *to, size_t step)
{
    if (n == VL)
        for (size_t p = 0; p < k; p++) vf_store(to + p * step, vf_load(from + p * p_stride));
    else
        for (size_t p = 0; p < k; p++) vf_store(to + p * step, vf_load_n(from + p * p_stride, n));
}

/* `steps` of n lanes, steps contiguous: VL x VL elements turned in registers. Absent lanes repeat the last. */
static inline __attribute__((always_inline)) void pack_square(const int n, const int steps, const float *from,
                                                              size_t l_stride, float *to, size_t step)
{
    vf r[VL];
    UNROLL for (int l = 0; l < VL; l++)
    {
        r[l] = steps == VL ? vf_load(from) : vf_load_n(from, steps);
        from += l < n - 1 ? l_stride : 0;
    }
    vf_transpose(r);
    UNROLL for (int l = 0; l < VL; l++)
    {
        if (l < steps) vf_store(to, r[l]);
        to += step;
    }
}

static void pack_columns(int n, size_t k, const float *from, size_t l_stride, float *to, size_t step)
{
    size_t p = 0;
    if (n == VL)
        for (; p + VL <= k; p += VL) pack_square(VL, VL, from + p, l_stride, to + p * step, step);
    else
        for (; p + VL <= k; p += VL) pack_square(n, VL, from + p, l_stride, to + p * step, step);
    if (p < k) pack_square(n, (int)(k - p), from + p, l_stride, to + p * step, step);
}

static void pack_any(int n, size_t k, const float *from, size_t l_stride, size_t p_stride, float *to, size_t step)
{
    for (size_t p = 0; p < k; p++)
        for (size_t l = 0; l < (size_t)n; l++) to[p * step + l] = from[l * l_stride + p * p_stride];
}

static void pack(size_t n, size_t k, const float *from, size_t l_stride, size_t p_stride, float *to, size_t step)
{
    for (size_t l = 0; l < n; l += VL) {
        const int lanes = n - l < VL ? (int)(n - l) : VL;
        if (l_stride == 1)
            pack_rows(lanes, k, from + l, p_stride, to + l, step);
        else if (p_stride == 1)
            pack_columns(lanes, k, from + l * l_stride, l_stride, to + l, step);
        else
            pack_any(lanes, k, from + l * l_stride, l_stride, p_stride, to + l, step);
    }
}

const struct cr_gemm_kernels ISA(cr_gemm) = {
    .tile = any_tile,
    .pack = pack,
    .mr = sizeof sized_tile / sizeof *sized_tile,
    .nr = TILE_VECTORS * VL,
#ifdef FEW_ROWS
    .few = FEW_ROWS,
    .few_nr = WIDEST * VL,
#endif
    .vector = VL,
    .mc = BLOCK_M,
    .kc = BLOCK_K,
    .nc = BLOCK_N,
};
