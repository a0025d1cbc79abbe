/* The fixed tree over 16 lanes, four sums at a time: (i, i+8), (i, i+4), (i, i+2), (i, i+1). */
#ifndef CR_SIMD_TREE_X86_H
#define CR_SIMD_TREE_X86_H

#include <immintrin.h>

/* Lanes (i, i+8) and then (i, i+4) of one element, of which `lanes` are there: 16, 8, 4 or 2. */
static inline __m128 tree_to_four(const float *lane, int lanes)
{
    if (lanes <= 4) {
        const __m128 zero = _mm_setzero_ps();
        const __m128 few = lanes == 4 ? _mm_loadu_ps(lane) : _mm_loadl_pi(zero, (const __m64 *)(const void *)lane);
        return _mm_add_ps(few, zero);
    }
    const int half = lanes == 8;
    const __m256 low = _mm256_loadu_ps(lane), eight = half ? low : _mm256_add_ps(low, _mm256_loadu_ps(lane + 8));
    return _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
}

/* (i, i+2) of two elements: their two remaining lanes side by side. */
static inline __m128 tree_to_two(__m128 a, __m128 b)
{
    return _mm_add_ps(_mm_movelh_ps(a, b), _mm_movehl_ps(b, a));
}

/* sum[e] = tree of lane[e][0..15] for 4 elements; but for the first `lanes` they are absent (+0) and not read. */
static inline void tree_four(const float (*lane)[16], int lanes, float sum[4])
{
    const __m128 ab = tree_to_two(tree_to_four(lane[0], lanes), tree_to_four(lane[1], lanes));
    const __m128 cd = tree_to_two(tree_to_four(lane[2], lanes), tree_to_four(lane[3], lanes));
    _mm_storeu_ps(sum, _mm_add_ps(_mm_shuffle_ps(ab, cd, 0x88), _mm_shuffle_ps(ab, cd, 0xdd)));
}

#ifdef __AVX512F__
/* Of a and b, halves, quarters, or pairs of floats and then floats in each quarter: two become one. */
static inline __m512 tree_halves(__m512 a, __m512 b)
{
    return _mm512_add_ps(_mm512_shuffle_f32x4(a, b, 0x44), _mm512_shuffle_f32x4(a, b, 0xee));
}

static inline __m512 tree_quarters(__m512 a, __m512 b)
{
    return _mm512_add_ps(_mm512_shuffle_f32x4(a, b, 0x88), _mm512_shuffle_f32x4(a, b, 0xdd));
}

static inline __m512 tree_pairs(__m512 a, __m512 b)
{
    return _mm512_add_ps(_mm512_shuffle_ps(a, b, 0x44), _mm512_shuffle_ps(a, b, 0xee));
}

static inline __m512 tree_floats(__m512 a, __m512 b)
{
    return _mm512_add_ps(_mm512_shuffle_ps(a, b, 0x88), _mm512_shuffle_ps(a, b, 0xdd));
}

/* The trees of 16 elements with all their lanes. */
#define tree_sixteen tree_sixteen
static inline void tree_sixteen(const float (*lane)[16], float sum[16])
{
    __m512 four[4]; /* [i]: what is left of the elements i, i + 4, i + 8 and i + 12, a quarter each */
    _Pragma("GCC unroll 4") for (int i = 0; i < 4; i++)
    {
        const __m512 ab = tree_halves(_mm512_loadu_ps(lane[i]), _mm512_loadu_ps(lane[i + 4]));
        const __m512 cd = tree_halves(_mm512_loadu_ps(lane[i + 8]), _mm512_loadu_ps(lane[i + 12]));
        four[i] = tree_quarters(ab, cd);
    }
    _mm512_storeu_ps(sum, tree_floats(tree_pairs(four[0], four[1]), tree_pairs(four[2], four[3])));
}
#endif

#endif
