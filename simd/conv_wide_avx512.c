#include "simd/conv_wide.h"

#include "simd/vec_avx512.h"

#include "simd/cell_winner_tmpl.h"
#include "simd/pool_window_tmpl.h"

enum { RUN = CR_WIDE_RUN, VECTORS = 4 }; /* of a tile: with 6 outputs, 24 sums in registers */

static inline vf load_pair(const float *a, const float *b)
{
    return _mm512_insertf32x8(_mm512_castps256_ps512(_mm256_loadu_ps(a)), _mm256_loadu_ps(b), 1);
}

static inline void store_pair(float *a, float *b, vf v)
{
    _mm256_storeu_ps(a, _mm512_castps512_ps256(v));
    _mm256_storeu_ps(b, _mm512_extractf32x8_ps(v, 1));
}

/* Where the runs of a tile are, in x and y: those of vector v are 2v and 2v + 1. */
struct runs {
    const float *x[2 * VECTORS];
    float *y[2 * VECTORS];
};

static inline __attribute__((always_inline)) void tap(const int no, const float *const *x, size_t at, const float *w,
                                                      vf (*sum)[VECTORS])
{
    vf in[VECTORS];
    UNROLL for (int v = 0; v < VECTORS; v++) in[v] = load_pair(x[2 * v] + at, x[2 * v + 1] + at);
    UNROLL for (int o = 0; o < no; o++)
    {
        const vf wo = vf_set1(w[o]);
        UNROLL for (int v = 0; v < VECTORS; v++) sum[o][v] = vf_fma(in[v], wo, sum[o][v]);
    }
}

/* fixed: taps of a row, if not 0. */
static inline __attribute__((always_inline)) void tile(const int no, const int fixed,
                                                       const struct cr_wide_rows *p, const struct runs *r)
{
    const int taps = fixed ? fixed : p->taps_x;
    const size_t x_row = p->x_row, x_channel = p->x_channel - (size_t)p->taps_y * x_row, w_row = (size_t)(taps * no);
    const size_t w_channel = p->w_channel - (size_t)p->taps_y * w_row;
    const float *w = p->w, *x[2 * VECTORS];
    vf sum[CR_WIDE_OUTPUTS][VECTORS];
    size_t at = 0;
    UNROLL for (int i = 0; i < 2 * VECTORS; i++) x[i] = r->x[i];
    UNROLL for (int o = 0; o < no; o++)
    {
        const vf start = p->bias ? vf_set1(p->bias[o]) : vf_zero();
        UNROLL for (int v = 0; v < VECTORS; v++) sum[o][v] = start;
    }
    for (int k = p->channels; k > 0; k--, at += x_channel, w += w_channel)
        for (int row = p->taps_y; row > 0; row--, at += x_row, w += w_row)
            if (fixed)
                UNROLL for (int tx = 0; tx < fixed; tx++) tap(no, x, at + (size_t)tx, w + tx * no, sum);
            else
                for (int tx = 0; tx < taps; tx++) tap(no, x, at + (size_t)tx, w + tx * no, sum);
    UNROLL for (int o = 0; o < no; o++)
        UNROLL for (int v = 0; v < VECTORS; v++)
        {
            const size_t to = (size_t)o * p->y_channel;
            store_pair(r->y[2 * v] + to, r->y[2 * v + 1] + to, sum[o][v]);
        }
}

typedef void tile_fn(const struct cr_wide_rows *p, const struct runs *r);
#define TILE(NO, FIXED)                                                                                                \
    static void tile_##NO##_##FIXED(const struct cr_wide_rows *p, const struct runs *r)                               \
    {                                                                                                                  \
        tile(NO, FIXED, p, r);                                                                                        \
    }
#define TILES(NO) TILE(NO, 0) TILE(NO, 3) TILE(NO, 5)
#define TILE_ROW(NO) { tile_##NO##_0, tile_##NO##_3, tile_##NO##_5 }
TILES(1) TILES(2) TILES(3) TILES(4) TILES(5) TILES(6)
static tile_fn *const tile_of[CR_WIDE_OUTPUTS][3] = {
    TILE_ROW(1), TILE_ROW(2), TILE_ROW(3), TILE_ROW(4), TILE_ROW(5), TILE_ROW(6),
};

/* Runs go row by row; the last of a row ends with it, and those of the last tile begin early enough to fill it. What is
 * done twice comes to the same bits. */
void cr_wide_rows_avx512(const struct cr_wide_rows *p)
{
    const int per_row = (p->pixels + RUN - 1) / RUN, all = per_row * p->rows;
    tile_fn *const run = tile_of[p->outputs - 1][p->taps_x == 5 ? 2 : p->taps_x == 3 ? 1 : 0];
    struct runs r;
    int row = 0, column = 0;
    for (int i = 0; i < all; i += 2 * VECTORS) {
        const int over = i + 2 * VECTORS - all;
        if (over > 0 && i > 0) { /* back by so many runs */
            const int first = all - 2 * VECTORS;
            row = first / per_row;
            column = first % per_row;
        }
        for (int v = 0; v < 2 * VECTORS; v++) {
            const int pixel = column * RUN + RUN > p->pixels ? p->pixels - RUN : column * RUN;
            r.x[v] = p->x + (size_t)row * p->x_row + pixel;
            r.y[v] = p->y + (size_t)row * p->y_row + pixel;
            if (row * per_row + column < all - 1 && ++column == per_row) column = 0, row++; /* the last is repeated */
        }
        run(p, &r);
    }
}

struct cr_wide_winners cr_wide_windows_avx512(const float *row, int in_w, int count, float *y)
{
    vf value[4];
    struct winner won;
    windows(row, in_w, count, value);
    vf_store_n(y, cell_winner(value, &won), count);
    return (struct cr_wide_winners){ won.lower, won.right };
}

size_t cr_wide_spikes_avx512(const float *dy, int count, struct cr_wide_winners won, int first, int width, float *g,
                             int32_t *at)
{
    const vf value = vf_load_n(dy, count);
    const vm spike = _mm512_cmp_ps_mask(value, vf_zero(), _CMP_NEQ_UQ), upper = vm_without(spike, won.lower);
    const vm lower = (vm)(spike & won.lower);
    const vi left = vi_add(vec_twice(), vi_set1(first));
    const vi place = _mm512_mask_add_epi32(left, won.right, left, vi_set1(1));
    const size_t n = (size_t)__builtin_popcount(upper);
    vf_store(g, _mm512_maskz_compress_ps(upper, value));
    vi_store(at, _mm512_maskz_compress_epi32(upper, place));
    vf_store(g + n, _mm512_maskz_compress_ps(lower, value));
    vi_store(at + n, _mm512_maskz_compress_epi32(lower, vi_add(place, vi_set1(width))));
    return n + (size_t)__builtin_popcount(lower);
}
