/* Matrix product: C = S + A B in single precision, every element one chain.
 *
 *     c[i][j] = s[i][j], then for p = 0 .. k-1 in this order   c[i][j] = fma(a[i][p], b[p][j], c[i][j])
 *
 * so the bits depend neither on the instruction set nor on how the work is cut: no chain is ever split, it only pauses
 * in C, where storing a float is exact. Vectors run along rows of C.
 *
 * Rows of C are contiguous; A, B and S have any strides, so the forms NN, NT, TN and TT are one function. Nothing needs
 * alignment but scratch. m, n and k may be 0. C overlaps neither A nor B. Cannot fail; thread-safe. */
#ifndef CR_SIMD_GEMM_H
#define CR_SIMD_GEMM_H

#include <stddef.h>

/* Writes a part of a B that is not stored, such as the patches of an image:
 * to[p * step + j] = b[from_p + p][from_j + j] for 0 <= p < k, 0 <= j < n. Each element is asked for once, with
 * cr_gemm_share once by each thread whose part of C is in its column. */
typedef void cr_gemm_fill_fn(const void *what, size_t from_p, size_t k, size_t from_j, size_t n, float *to,
                             size_t step);

struct cr_gemm {
    size_t m, n, k;
    const float *a; /* (m, k): a[i * a_row + p * a_col] */
    size_t a_row, a_col;
    const float *b; /* (k, n): b[p * b_row + j * b_col]; NULL: fill_b writes it */
    size_t b_row, b_col;
    cr_gemm_fill_fn *fill_b; /* of `what` */
    const void *what;
    const float *start; /* S (m, n): start[i * start_row + j * start_col], start_col 0 or 1; may be C; NULL: +0 */
    size_t start_row, start_col;
    float *c; /* (m, n): c[i * c_row + j]; overwritten without being read, unless it is start */
    size_t c_row;
};

/* The innermost work: m x n elements of C held in registers over k steps. Needs 1 <= m <= mr, 1 <= n <= nr; or
 * m <= few, n <= few_nr.
 *   a[i * a_row + p * a_step]        any strides
 *   b[p * b_step + j]                readable up to n rounded up to whole vectors */
struct cr_gemm_tile {
    size_t k;
    const float *a;
    size_t a_row, a_step;
    const float *b;
    size_t b_step;
    const float *start; /* as above */
    size_t start_row, start_col;
    float *c;
    size_t c_row;
};
typedef void cr_gemm_tile_fn(int m, int n, const struct cr_gemm_tile *t);

/* Packing: to[p * step + l] = from[l * l_stride + p * p_stride] for 0 <= l < n, 0 <= p < k: rows of A or columns of B
 * side by side. step is a multiple of the vector length; what lies between n and the next whole vector is overwritten
 * with finite or other values that nobody uses. to: 64-byte aligned. */
typedef void cr_gemm_pack_fn(size_t n, size_t k, const float *from, size_t l_stride, size_t p_stride, float *to,
                             size_t step);

/* An instruction set's tile with all that belongs to its size. */
struct cr_gemm_kernels {
    cr_gemm_tile_fn *tile;
    cr_gemm_pack_fn *pack;
    int mr, nr, vector; /* largest tile, floats in a vector; nr is a multiple of vector */
    int few, few_nr;    /* a tile of at most so many rows may be this wide; 0: none may */
    size_t mc, kc, nc;  /* cache blocks: mc x kc of A in the second level, kc x nr of B in the first, kc x nc beyond */
};

/* Floats of 64-byte aligned scratch that a product of this size, or any part of it, may use. */
size_t cr_gemm_scratch(const struct cr_gemm_kernels *kernels, size_t m, size_t n, size_t k);

/* At most, in any instruction set; and scratch enough in any with vectors, for any n and at most its mc rows. */
enum { CR_GEMM_MOST_MC = 196, CR_GEMM_MOST_KC = 512, CR_GEMM_MOST_NR = 32 };
size_t cr_gemm_scratch_of_rows(size_t m, size_t k);

void cr_gemm(const struct cr_gemm_kernels *kernels, const struct cr_gemm *g, float *scratch);

/* Thread `thread` of `threads` computes its own part of C, with scratch of its own. The parts are disjoint and need no
 * barrier; together they are the whole. Small products leave some threads without a part. */
void cr_gemm_share(const struct cr_gemm_kernels *kernels, const struct cr_gemm *g, int thread, int threads,
                   float *scratch);

#endif
