/* Vectors of 8 floats with AVX2 and FMA. The words are explained in vec_avx512.h. */
#ifndef CR_SIMD_VEC_AVX2_H
#define CR_SIMD_VEC_AVX2_H

#include <immintrin.h>
#include <stdint.h>
#include <string.h>

#include "simd/unroll.h"

#define VL 8
#define ISA(name) name##_avx2
typedef __m256 vf;
typedef __m256i vi;
#ifdef __AVX512VL__
typedef __mmask8 vm;
#else
typedef __m256 vm; /* all bits of a lane set or clear */
#endif

static inline __m256i vec_first(int n) /* lanes 0..n-1 */
{
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
static inline vi vf_as_i(vf a) { return _mm256_castps_si256(a); }
static inline vf vi_as_f(vi a) { return _mm256_castsi256_ps(a); }

static inline vf vf_zero(void) { return _mm256_setzero_ps(); }
static inline vf vf_set1(float a) { return _mm256_set1_ps(a); }
static inline vf vf_load(const float *p) { return _mm256_loadu_ps(p); }
static inline void vf_store(float *p, vf a) { _mm256_storeu_ps(p, a); }
/* The first n lanes. AVX2's masked stores are slow on some processors: there stores of 4, of 2 and of 1 take turns.
 * And compilers do not see when a constant n makes the mask full. */
#define ALL_LANES(n) (__builtin_constant_p(n) && (n) == VL)
static inline vf vf_load_n(const float *p, int n)
{
    if (ALL_LANES(n)) return vf_load(p);
#ifdef __AVX512VL__
    return _mm256_maskz_loadu_ps((__mmask8)((1u << n) - 1u), p);
#else
    return _mm256_maskload_ps(p, vec_first(n));
#endif
}
static inline void vf_store_n(float *p, vf a, int n)
{
    if (ALL_LANES(n)) {
        vf_store(p, a);
        return;
    }
#ifdef __AVX512VL__
    _mm256_mask_storeu_ps(p, (__mmask8)((1u << n) - 1u), a);
#else
    __m128 rest = _mm256_castps256_ps128(a);
    if (n & 8) {
        vf_store(p, a);
        return;
    }
    if (n & 4) {
        _mm_storeu_ps(p, rest);
        rest = _mm256_extractf128_ps(a, 1);
        p += 4;
    }
    if (n & 2) {
        _mm_storel_pi((__m64 *)(void *)p, rest);
        rest = _mm_movehl_ps(rest, rest);
        p += 2;
    }
    if (n & 1) _mm_store_ss(p, rest);
#endif
}
static inline vf vf_fma(vf a, vf b, vf c) { return _mm256_fmadd_ps(a, b, c); }
/* c + a * b for tiles that fill all registers: the sum stays in that of c. And the same with a where it lies: compilers
 * load what is wanted twice into a register; where none is left, to read it with each multiplication is better. */
#if defined __AVX512VL__ || defined __SANITIZE_ADDRESS__
static inline vf vf_fma_in(vf a, vf b, vf c) { return vf_fma(a, b, c); }
static inline vf vf_fma_at(const float *a, vf b, vf c) { return vf_fma(vf_load(a), b, c); }
#else
static inline vf vf_fma_in(vf a, vf b, vf c)
{
    __asm__ volatile("vfmadd231ps %2, %1, %0" : "+x"(c) : "x"(b), "x"(a));
    return c;
}
static inline vf vf_fma_at(const float *a, vf b, vf c)
{
    __asm__ volatile("vfmadd231ps %2, %1, %0" : "+x"(c) : "x"(b), "m"(*(const __m256_u *)(const void *)a));
    return c;
}
#endif
static inline vf vf_add(vf a, vf b) { return _mm256_add_ps(a, b); }
static inline vf vf_sub(vf a, vf b) { return _mm256_sub_ps(a, b); }
static inline vf vf_mul(vf a, vf b) { return _mm256_mul_ps(a, b); }
static inline vf vf_div(vf a, vf b) { return _mm256_div_ps(a, b); }
static inline vf vf_abs(vf a) { return _mm256_and_ps(a, vi_as_f(_mm256_set1_epi32(0x7fffffff))); }
static inline vf vf_least(vf a, vf b) { return _mm256_min_ps(vf_abs(a), vf_abs(b)); }
#ifdef __AVX512VL__
static inline vm vf_gt(vf a, vf b) { return _mm256_cmp_ps_mask(a, b, _CMP_GT_OQ); }
static inline vm vf_ge(vf a, vf b) { return _mm256_cmp_ps_mask(a, b, _CMP_GE_OQ); }
static inline vm vf_eq(vf a, vf b) { return _mm256_cmp_ps_mask(a, b, _CMP_EQ_OQ); }
static inline vm vm_or(vm a, vm b) { return (vm)(a | b); }
static inline vm vm_without(vm a, vm b) { return (vm)(a & ~b); }
static inline vf vf_select(vm m, vf a, vf b) { return _mm256_mask_blend_ps(m, b, a); }
static inline unsigned vm_bits(vm m) { return m; }
static inline int vm_any(vm m) { return m != 0; }
static inline vm vm_from_bits(unsigned bits) { return (vm)bits; }
#else
static inline vm vf_gt(vf a, vf b) { return _mm256_cmp_ps(a, b, _CMP_GT_OQ); }
static inline vm vf_ge(vf a, vf b) { return _mm256_cmp_ps(a, b, _CMP_GE_OQ); }
static inline vm vf_eq(vf a, vf b) { return _mm256_cmp_ps(a, b, _CMP_EQ_OQ); }
static inline vm vm_or(vm a, vm b) { return _mm256_or_ps(a, b); }
static inline vm vm_without(vm a, vm b) { return _mm256_andnot_ps(b, a); }
static inline vf vf_select(vm m, vf a, vf b) { return _mm256_blendv_ps(b, a, m); }
static inline unsigned vm_bits(vm m) { return (unsigned)_mm256_movemask_ps(m); }
static inline int vm_any(vm m) { return _mm256_movemask_ps(m) != 0; }
static inline vm vm_from_bits(unsigned bits)
{
    const __m256i lane = _mm256_setr_epi32(1, 2, 4, 8, 16, 32, 64, 128);
    return _mm256_castsi256_ps(_mm256_cmpeq_epi32(_mm256_and_si256(_mm256_set1_epi32((int)bits), lane), lane));
}
#endif

static inline vi vi_set1(int32_t a) { return _mm256_set1_epi32(a); }
static inline vi vi_load(const void *p) { return _mm256_loadu_si256((const __m256i *)p); }
static inline void vi_store(void *p, vi a) { _mm256_storeu_si256((__m256i *)p, a); }
static inline vi vi_load_n(const void *p, int n)
{
    return vf_as_i(vf_load_n((const float *)p, n));
}
static inline void vi_store_n(void *p, vi a, int n) { vf_store_n((float *)p, vi_as_f(a), n); }
static inline vi vi_add(vi a, vi b) { return _mm256_add_epi32(a, b); }
static inline vi vi_sub(vi a, vi b) { return _mm256_sub_epi32(a, b); }
static inline vi vi_and(vi a, vi b) { return _mm256_and_si256(a, b); }
static inline vi vi_max(vi a, vi b) { return _mm256_max_epi32(a, b); }
#define vi_shl(a, k) _mm256_slli_epi32(a, k)
#define vi_shr(a, k) _mm256_srli_epi32(a, k)
static inline vf vi_to_f(vi a) { return _mm256_cvtepi32_ps(a); }
static inline vi vf_to_i(vf a) { return _mm256_cvtps_epi32(a); }
static inline vf vf_from_u8(const uint8_t *p)
{
    return _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)(const void *)p)));
}

typedef __m128i vb;
static inline vb vb_load(const void *p) { return _mm_loadu_si128((const __m128i *)p); }
static inline void vb_store(void *p, vb a) { _mm_storeu_si128((__m128i *)p, a); }
static inline vb vb_zip_low(vb a, vb b) { return _mm_unpacklo_epi8(a, b); }
static inline vb vb_zip_high(vb a, vb b) { return _mm_unpackhi_epi8(a, b); }
/* r[i][k] becomes r[k][i]. */
static inline __attribute__((always_inline)) void vf_transpose(vf r[VL])
{
    __m256 pair[8], four[8];
    UNROLL for (int i = 0; i < 8; i += 2)
    {
        pair[i] = _mm256_unpacklo_ps(r[i], r[i + 1]);
        pair[i + 1] = _mm256_unpackhi_ps(r[i], r[i + 1]);
    }
    UNROLL for (int i = 0; i < 8; i += 4)
    {
        four[i] = _mm256_shuffle_ps(pair[i], pair[i + 2], 0x44);
        four[i + 1] = _mm256_shuffle_ps(pair[i], pair[i + 2], 0xee);
        four[i + 2] = _mm256_shuffle_ps(pair[i + 1], pair[i + 3], 0x44);
        four[i + 3] = _mm256_shuffle_ps(pair[i + 1], pair[i + 3], 0xee);
    }
    UNROLL for (int i = 0; i < 4; i++)
    {
        r[i] = _mm256_permute2f128_ps(four[i], four[i + 4], 0x20);
        r[i + 4] = _mm256_permute2f128_ps(four[i], four[i + 4], 0x31);
    }
}

/* VL rows of VL floats, `step` floats apart, turned: r[k] is column k. Halves of rows are put side by side on loading,
 * which takes a third of the shuffles away. */
static inline __attribute__((always_inline)) void vf_load_turned(const float *p, size_t step, vf r[VL])
{
    UNROLL for (int half = 0; half < 8; half += 4)
    {
        __m256 row[4], pair[4];
        UNROLL for (int i = 0; i < 4; i++)
            row[i] = _mm256_insertf128_ps(_mm256_castps128_ps256(_mm_loadu_ps(p + (size_t)i * step + half)),
                                          _mm_loadu_ps(p + (size_t)(i + 4) * step + half), 1);
        UNROLL for (int i = 0; i < 4; i += 2)
        {
            pair[i] = _mm256_unpacklo_ps(row[i], row[i + 1]);
            pair[i + 1] = _mm256_unpackhi_ps(row[i], row[i + 1]);
        }
        r[half] = _mm256_shuffle_ps(pair[0], pair[2], 0x44);
        r[half + 1] = _mm256_shuffle_ps(pair[0], pair[2], 0xee);
        r[half + 2] = _mm256_shuffle_ps(pair[1], pair[3], 0x44);
        r[half + 3] = _mm256_shuffle_ps(pair[1], pair[3], 0xee);
    }
}

/* Values 0, 2, 4 ... and 1, 3, 5 ... of a followed by b; and back: halves of a[0], b[0], a[1], b[1] ... */
static inline vf vec_quarters(vf a) { return _mm256_castpd_ps(_mm256_permute4x64_pd(_mm256_castps_pd(a), 0xd8)); }
static inline vf vf_even(vf a, vf b) { return vec_quarters(_mm256_shuffle_ps(a, b, 0x88)); }
static inline vf vf_odd(vf a, vf b) { return vec_quarters(_mm256_shuffle_ps(a, b, 0xdd)); }
static inline vf vf_zip_low(vf a, vf b)
{
    return _mm256_permute2f128_ps(_mm256_unpacklo_ps(a, b), _mm256_unpackhi_ps(a, b), 0x20);
}
static inline vf vf_zip_high(vf a, vf b)
{
    return _mm256_permute2f128_ps(_mm256_unpacklo_ps(a, b), _mm256_unpackhi_ps(a, b), 0x31);
}

#ifndef __AVX512VL__
/* The same for half a vector: of four lanes, those that `bits` names. */
static inline size_t vec_keep_four(unsigned bits, __m128 value, __m128i index, float *values, int32_t *indices)
{
    static const int32_t first[16][4] = {
        { 0, 0, 0, 0 }, { 0, 0, 0, 0 }, { 1, 0, 0, 0 }, { 0, 1, 0, 0 }, { 2, 0, 0, 0 }, { 0, 2, 0, 0 },
        { 1, 2, 0, 0 }, { 0, 1, 2, 0 }, { 3, 0, 0, 0 }, { 0, 3, 0, 0 }, { 1, 3, 0, 0 }, { 0, 1, 3, 0 },
        { 2, 3, 0, 0 }, { 0, 2, 3, 0 }, { 1, 2, 3, 0 }, { 0, 1, 2, 3 },
    };
    const __m128i lanes = _mm_loadu_si128((const __m128i *)(const void *)first[bits]);
    _mm_storeu_ps(values, _mm_permutevar_ps(value, lanes));
    _mm_storeu_si128((__m128i *)(void *)indices,
                     _mm_castps_si128(_mm_permutevar_ps(_mm_castsi128_ps(index), lanes)));
    return (size_t)__builtin_popcount(bits);
}
#endif

/* Append the lanes that `bits` names, all of them below n, in order: writes up to VL values and indices, returns how
 * many of them count. */
static inline size_t vf_keep(unsigned bits, int n, vf value, vi index, float *values, int32_t *indices)
{
#ifdef __AVX512VL__
    (void)n;
    vf_store(values, _mm256_maskz_compress_ps((__mmask8)bits, value));
    vi_store(indices, _mm256_maskz_compress_epi32((__mmask8)bits, index));
    return (size_t)__builtin_popcount(bits);
#else
    const __m128 low = _mm256_castps256_ps128(value), high = _mm256_extractf128_ps(value, 1);
    const __m128i at = _mm256_castsi256_si128(index), beyond = _mm256_extracti128_si256(index, 1);
    const size_t kept = vec_keep_four(bits & 15, low, at, values, indices);
    return n <= 4 ? kept : kept + vec_keep_four(bits >> 4, high, beyond, values + kept, indices + kept);
#endif
}

/* Eight vectors: to[k * step ..+8) = lane k of each, ascending: if step < 8, the next one overwrites the rest. */
static inline __attribute__((always_inline)) void vf_columns(const vf r[8], float *to, size_t step)
{
    vf square[VL];
    UNROLL for (int i = 0; i < VL; i++) square[i] = r[i];
    vf_transpose(square);
    UNROLL for (int i = 0; i < VL; i++, to += step) vf_store(to, square[i]);
}

#endif
