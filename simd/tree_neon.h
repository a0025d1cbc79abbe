/* The fixed tree over 16 lanes, four sums at a time: (i, i+8), (i, i+4), (i, i+2), (i, i+1). */
#ifndef CR_SIMD_TREE_NEON_H
#define CR_SIMD_TREE_NEON_H

#include <arm_neon.h>

/* Lanes (i, i+8) and then (i, i+4) of one element, of which `lanes` are there: 16, 8, 4 or 2. */
static inline float32x4_t tree_to_four(const float *lane, int lanes)
{
    const float32x4_t zero = vdupq_n_f32(0);
    if (lanes == 2) return vaddq_f32(vcombine_f32(vld1_f32(lane), vdup_n_f32(0)), zero);
    if (lanes == 4) return vaddq_f32(vld1q_f32(lane), zero);
    if (lanes == 8) return vaddq_f32(vld1q_f32(lane), vld1q_f32(lane + 4));
    return vaddq_f32(vaddq_f32(vld1q_f32(lane), vld1q_f32(lane + 8)),
                     vaddq_f32(vld1q_f32(lane + 4), vld1q_f32(lane + 12)));
}

/* (i, i+2) of two elements: their two remaining lanes side by side. */
static inline float32x4_t tree_to_two(float32x4_t a, float32x4_t b)
{
    return vaddq_f32(vcombine_f32(vget_low_f32(a), vget_low_f32(b)), vcombine_f32(vget_high_f32(a), vget_high_f32(b)));
}

/* sum[e] = tree of lane[e][0..15] for 4 elements; but for the first `lanes` they are absent (+0) and not read. */
static inline void tree_four(const float (*lane)[16], int lanes, float sum[4])
{
    vst1q_f32(sum, vpaddq_f32(tree_to_two(tree_to_four(lane[0], lanes), tree_to_four(lane[1], lanes)),
                              tree_to_two(tree_to_four(lane[2], lanes), tree_to_four(lane[3], lanes))));
}

#endif
