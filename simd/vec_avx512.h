/* The vector vocabulary, here for 16 floats with AVX-512 (F, DQ, BW, VL). Templates (the _tmpl.h files) are written in
 * these words alone and compiled once per instruction set:
 *   vf, vi, vm     VL floats, VL int32, one truth value per lane
 *   ISA(name)      name with the instruction set's suffix, for what a file exports
 *   vf_load_n, vf_store_n, vi_load_n, vi_store_n   the first n lanes only (n <= VL); loads fill the rest with 0 and
 *                  neither touches memory beyond
 *   vf_fma(a, b, c)  a*b + c, rounded once          vf_select(m, a, b)  m ? a : b
 *   vf_fma_in, vf_fma_at   the same in this place of the program, b and c being registers; of a read where it lies
 *   vf_keep(bits, n, value, index, to, to_index)   of the first n lanes those that `bits` names, side by side; returns
 *                  how many (vectors of 4 and 8 alone have it)
 *   vm_without(a, b) a and not b                    vm_bits(m), vm_from_bits(bits)  lane 0 is the lowest bit
 *   vm_any(m)        is it true of any lane         vf_least(a, b)  the smaller magnitude, of numbers
 *   vf_to_i          round to nearest even (range is the caller's duty)
 *   vf_from_u8(p)    VL bytes as floats
 *   vf_transpose(r)  VL vectors as a square, rows become columns (not in vec_ref.h)
 *   vec_pick(from, span, index, n, to)   floats side by side, in another order (of whole lines alone; a macro too)
 *   vf_columns(r, to, step) eight vectors, turned: lane k of each at to + k * step (not in vec_ref.h)
 *   vb               16 bytes; vb_zip_low, vb_zip_high  a0 b0 a1 b1 .. a7 b7, and a8 b8 .. (not in vec_ref.h)
 * Loads and stores need no alignment. */
#ifndef CR_SIMD_VEC_AVX512_H
#define CR_SIMD_VEC_AVX512_H

#include <immintrin.h>
#include <stdint.h>
#include <string.h>

#include "simd/unroll.h"

#define VL 16
#define ISA(name) name##_avx512
typedef __m512 vf;
typedef __m512i vi;
typedef __mmask16 vm;

static inline vm vec_first(int n) { return (vm)((1u << n) - 1u); } /* lanes 0..n-1 */
static inline vi vf_as_i(vf a) { return _mm512_castps_si512(a); }
static inline vf vi_as_f(vi a) { return _mm512_castsi512_ps(a); }

static inline vf vf_zero(void) { return _mm512_setzero_ps(); }
static inline vf vf_set1(float a) { return _mm512_set1_ps(a); }
static inline vf vf_load(const float *p) { return _mm512_loadu_ps(p); }
static inline void vf_store(float *p, vf a) { _mm512_storeu_ps(p, a); }
static inline vf vf_load_n(const float *p, int n) { return _mm512_maskz_loadu_ps(vec_first(n), p); }
static inline void vf_store_n(float *p, vf a, int n) { _mm512_mask_storeu_ps(p, vec_first(n), a); }
static inline vf vf_fma(vf a, vf b, vf c) { return _mm512_fmadd_ps(a, b, c); }
static inline vf vf_fma_in(vf a, vf b, vf c) { return vf_fma(a, b, c); }
static inline vf vf_fma_at(const float *a, vf b, vf c) { return vf_fma(vf_load(a), b, c); }
static inline vf vf_add(vf a, vf b) { return _mm512_add_ps(a, b); }
static inline vf vf_sub(vf a, vf b) { return _mm512_sub_ps(a, b); }
static inline vf vf_mul(vf a, vf b) { return _mm512_mul_ps(a, b); }
static inline vf vf_div(vf a, vf b) { return _mm512_div_ps(a, b); }
static inline vf vf_abs(vf a) { return _mm512_abs_ps(a); }
static inline vm vf_gt(vf a, vf b) { return _mm512_cmp_ps_mask(a, b, _CMP_GT_OQ); }
static inline vm vf_ge(vf a, vf b) { return _mm512_cmp_ps_mask(a, b, _CMP_GE_OQ); }
static inline vm vf_eq(vf a, vf b) { return _mm512_cmp_ps_mask(a, b, _CMP_EQ_OQ); }
static inline vm vm_or(vm a, vm b) { return (vm)(a | b); }
static inline vm vm_without(vm a, vm b) { return (vm)(a & ~b); }
static inline unsigned vm_bits(vm m) { return m; }
static inline int vm_any(vm m) { return m != 0; }
static inline vf vf_least(vf a, vf b) { return _mm512_range_ps(a, b, 8 + 2); } /* sign cleared, least magnitude */
static inline vm vm_from_bits(unsigned bits) { return (vm)bits; }
static inline vf vf_select(vm m, vf a, vf b) { return _mm512_mask_blend_ps(m, b, a); }

static inline vi vi_set1(int32_t a) { return _mm512_set1_epi32(a); }
static inline vi vi_load(const void *p) { return _mm512_loadu_si512(p); }
static inline void vi_store(void *p, vi a) { _mm512_storeu_si512(p, a); }
static inline vi vi_load_n(const void *p, int n) { return _mm512_maskz_loadu_epi32(vec_first(n), p); }
static inline void vi_store_n(void *p, vi a, int n) { _mm512_mask_storeu_epi32(p, vec_first(n), a); }
static inline vi vi_add(vi a, vi b) { return _mm512_add_epi32(a, b); }
static inline vi vi_sub(vi a, vi b) { return _mm512_sub_epi32(a, b); }
static inline vi vi_and(vi a, vi b) { return _mm512_and_si512(a, b); }
static inline vi vi_max(vi a, vi b) { return _mm512_max_epi32(a, b); } /* signed */
#define vi_shl(a, k) _mm512_slli_epi32(a, k)
#define vi_shr(a, k) _mm512_srli_epi32(a, k) /* logical */
static inline vf vi_to_f(vi a) { return _mm512_cvtepi32_ps(a); }
static inline vi vf_to_i(vf a) { return _mm512_cvtps_epi32(a); }
static inline vf vf_from_u8(const uint8_t *p)
{
    return _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)(const void *)p)));
}

/* Values 0, 2, 4 ... and 1, 3, 5 ... of a followed by b. */
static inline vi vec_twice(void)
{
    return _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
}
static inline vf vf_even(vf a, vf b) { return _mm512_permutex2var_ps(a, vec_twice(), b); }
static inline vf vf_odd(vf a, vf b) { return _mm512_permutex2var_ps(a, vi_add(vec_twice(), vi_set1(1)), b); }

typedef __m128i vb;
static inline vb vb_load(const void *p) { return _mm_loadu_si128((const __m128i *)p); }
static inline void vb_store(void *p, vb a) { _mm_storeu_si128((__m128i *)p, a); }
static inline vb vb_zip_low(vb a, vb b) { return _mm_unpacklo_epi8(a, b); }
static inline vb vb_zip_high(vb a, vb b) { return _mm_unpackhi_epi8(a, b); }
/* r[i][k] becomes r[k][i]: first within quarters of a vector, then the quarters. */
static inline __attribute__((always_inline)) void vf_transpose(vf r[VL])
{
    __m512 pair[16], four[16], eight[16];
    UNROLL for (int i = 0; i < 16; i += 2)
    {
        pair[i] = _mm512_unpacklo_ps(r[i], r[i + 1]);
        pair[i + 1] = _mm512_unpackhi_ps(r[i], r[i + 1]);
    }
    UNROLL for (int i = 0; i < 16; i += 4)
    {
        four[i] = _mm512_shuffle_ps(pair[i], pair[i + 2], 0x44);
        four[i + 1] = _mm512_shuffle_ps(pair[i], pair[i + 2], 0xee);
        four[i + 2] = _mm512_shuffle_ps(pair[i + 1], pair[i + 3], 0x44);
        four[i + 3] = _mm512_shuffle_ps(pair[i + 1], pair[i + 3], 0xee);
    }
    UNROLL for (int i = 0; i < 4; i++)
    {
        eight[i] = _mm512_shuffle_f32x4(four[i], four[i + 4], 0x88);
        eight[i + 4] = _mm512_shuffle_f32x4(four[i], four[i + 4], 0xdd);
        eight[i + 8] = _mm512_shuffle_f32x4(four[i + 8], four[i + 12], 0x88);
        eight[i + 12] = _mm512_shuffle_f32x4(four[i + 8], four[i + 12], 0xdd);
    }
    UNROLL for (int i = 0; i < 8; i++)
    {
        r[i] = _mm512_shuffle_f32x4(eight[i], eight[i + 8], 0x88);
        r[i + 8] = _mm512_shuffle_f32x4(eight[i], eight[i + 8], 0xdd);
    }
}

/* to[k] = from[index[k]] for k < n, all of them among `span` <= 64 floats. */
#define vec_pick vec_pick
static inline __attribute__((always_inline)) void vec_pick(const float *from, int span, const int *index, int n,
                                                           float *to)
{
    __m512 r[4];
    UNROLL for (int i = 0; i < 4; i++)
    {
        const int there = span < 16 * i ? 0 : span < 16 * i + 16 ? span - 16 * i : 16;
        r[i] = vf_load_n(from + 16 * i, there);
    }
    for (int k = 0; k < n; k += 16) {
        const vi at = vi_load_n(index + k, n - k < 16 ? n - k : 16);
        const __m512 low = _mm512_permutex2var_ps(r[0], at, r[1]), high = _mm512_permutex2var_ps(r[2], at, r[3]);
        vf_store_n(to + k, _mm512_mask_blend_ps(_mm512_test_epi32_mask(at, vi_set1(32)), low, high),
                   n - k < 16 ? n - k : 16);
    }
}

/* Eight vectors: to[k * step ..+8) = lane k of each, ascending: if step < 8, the next one overwrites the rest. */
static inline __attribute__((always_inline)) void vf_columns(const vf r[8], float *to, size_t step)
{
    const __m512i low = _mm512_setr_epi64(0, 1, 8, 9, 2, 3, 10, 11);
    const __m512i high = _mm512_setr_epi64(4, 5, 12, 13, 6, 7, 14, 15);
    __m512 pair[8], four[8], two[8]; /* two[i], two[i + 4]: lanes i, i + 4, and i + 8, i + 12 */
    UNROLL for (int i = 0; i < 8; i += 2)
    {
        pair[i] = _mm512_unpacklo_ps(r[i], r[i + 1]);
        pair[i + 1] = _mm512_unpackhi_ps(r[i], r[i + 1]);
    }
    UNROLL for (int i = 0; i < 8; i += 4)
    {
        four[i] = _mm512_shuffle_ps(pair[i], pair[i + 2], 0x44);
        four[i + 1] = _mm512_shuffle_ps(pair[i], pair[i + 2], 0xee);
        four[i + 2] = _mm512_shuffle_ps(pair[i + 1], pair[i + 3], 0x44);
        four[i + 3] = _mm512_shuffle_ps(pair[i + 1], pair[i + 3], 0xee);
    }
    UNROLL for (int i = 0; i < 4; i++)
    {
        const __m512d upper = _mm512_castps_pd(four[i]), lower = _mm512_castps_pd(four[i + 4]);
        two[i] = _mm512_castpd_ps(_mm512_permutex2var_pd(upper, low, lower));
        two[i + 4] = _mm512_castpd_ps(_mm512_permutex2var_pd(upper, high, lower));
    }
    UNROLL for (int k = 0; k < 16; k++, to += step)
    {
        const __m512 v = two[k / 8 * 4 + k % 4];
        _mm256_storeu_ps(to, k / 4 % 2 ? _mm512_extractf32x8_ps(v, 1) : _mm512_castps512_ps256(v));
    }
}

#endif
