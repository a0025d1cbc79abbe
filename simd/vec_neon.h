/* Vectors of 4 floats with AArch64 NEON. The words are explained in vec_avx512.h. */
#ifndef CR_SIMD_VEC_NEON_H
#define CR_SIMD_VEC_NEON_H

#include <arm_neon.h>
#include <stdint.h>
#include <string.h>

#include "simd/unroll.h"

#define VL 4
#define ISA(name) name##_neon
typedef float32x4_t vf;
typedef int32x4_t vi;
typedef uint32x4_t vm;

static inline vi vf_as_i(vf a) { return vreinterpretq_s32_f32(a); }
static inline vf vi_as_f(vi a) { return vreinterpretq_f32_s32(a); }

static inline vf vf_zero(void) { return vdupq_n_f32(0.0f); }
static inline vf vf_set1(float a) { return vdupq_n_f32(a); }
static inline vf vf_load(const float *p) { return vld1q_f32(p); }
static inline void vf_store(float *p, vf a) { vst1q_f32(p, a); }
static inline vf vf_load_n(const float *p, int n)
{
    float t[4] = { 0, 0, 0, 0 };
    memcpy(t, p, (size_t)n * sizeof *t);
    return vld1q_f32(t);
}
static inline void vf_store_n(float *p, vf a, int n)
{
    float t[4];
    vst1q_f32(t, a);
    memcpy(p, t, (size_t)n * sizeof *t);
}
static inline vf vf_fma(vf a, vf b, vf c) { return vfmaq_f32(c, a, b); }
static inline vf vf_fma_in(vf a, vf b, vf c) { return vf_fma(a, b, c); }
static inline vf vf_fma_at(const float *a, vf b, vf c) { return vf_fma(vf_load(a), b, c); }
static inline vf vf_add(vf a, vf b) { return vaddq_f32(a, b); }
static inline vf vf_sub(vf a, vf b) { return vsubq_f32(a, b); }
static inline vf vf_mul(vf a, vf b) { return vmulq_f32(a, b); }
static inline vf vf_div(vf a, vf b) { return vdivq_f32(a, b); }
static inline vf vf_abs(vf a) { return vabsq_f32(a); }
static inline vm vf_gt(vf a, vf b) { return vcgtq_f32(a, b); }
static inline vm vf_ge(vf a, vf b) { return vcgeq_f32(a, b); }
static inline vm vf_eq(vf a, vf b) { return vceqq_f32(a, b); }
static inline vm vm_or(vm a, vm b) { return vorrq_u32(a, b); }
static inline vm vm_without(vm a, vm b) { return vbicq_u32(a, b); }
static inline int vm_any(vm m) { return vmaxvq_u32(m) != 0; }
static inline vf vf_least(vf a, vf b) { return vminq_f32(vabsq_f32(a), vabsq_f32(b)); }
static inline unsigned vm_bits(vm m)
{
    static const uint32_t bit[4] = { 1, 2, 4, 8 };
    return vaddvq_u32(vandq_u32(m, vld1q_u32(bit)));
}
static inline vm vm_from_bits(unsigned bits)
{
    static const uint32_t bit[4] = { 1, 2, 4, 8 };
    return vtstq_u32(vdupq_n_u32(bits), vld1q_u32(bit));
}
static inline vf vf_select(vm m, vf a, vf b) { return vbslq_f32(m, a, b); }

static inline vi vi_set1(int32_t a) { return vdupq_n_s32(a); }
static inline vi vi_load(const void *p) { return vld1q_s32((const int32_t *)p); }
static inline void vi_store(void *p, vi a) { vst1q_s32((int32_t *)p, a); }
static inline vi vi_load_n(const void *p, int n)
{
    int32_t t[4] = { 0, 0, 0, 0 };
    memcpy(t, p, (size_t)n * sizeof *t);
    return vld1q_s32(t);
}
static inline void vi_store_n(void *p, vi a, int n)
{
    int32_t t[4];
    vst1q_s32(t, a);
    memcpy(p, t, (size_t)n * sizeof *t);
}
static inline vi vi_add(vi a, vi b) { return vaddq_s32(a, b); }
static inline vi vi_sub(vi a, vi b) { return vsubq_s32(a, b); }
static inline vi vi_and(vi a, vi b) { return vandq_s32(a, b); }
static inline vi vi_max(vi a, vi b) { return vmaxq_s32(a, b); }
#define vi_shl(a, k) vshlq_n_s32(a, k)
#define vi_shr(a, k) vreinterpretq_s32_u32(vshrq_n_u32(vreinterpretq_u32_s32(a), k))
static inline vf vi_to_f(vi a) { return vcvtq_f32_s32(a); }
static inline vi vf_to_i(vf a) { return vcvtnq_s32_f32(a); }
static inline vf vf_from_u8(const uint8_t *p)
{
    uint32_t four;
    memcpy(&four, p, sizeof four);
    const uint16x8_t wide = vmovl_u8(vreinterpret_u8_u32(vdup_n_u32(four)));
    return vcvtq_f32_u32(vmovl_u16(vget_low_u16(wide)));
}

typedef uint8x16_t vb;
static inline vb vb_load(const void *p) { return vld1q_u8((const uint8_t *)p); }
static inline void vb_store(void *p, vb a) { vst1q_u8((uint8_t *)p, a); }
static inline vb vb_zip_low(vb a, vb b) { return vzip1q_u8(a, b); }
static inline vb vb_zip_high(vb a, vb b) { return vzip2q_u8(a, b); }
/* r[i][k] becomes r[k][i]. */
static inline __attribute__((always_inline)) void vf_transpose(vf r[VL])
{
    const float32x4x2_t a = vtrnq_f32(r[0], r[1]), b = vtrnq_f32(r[2], r[3]);
    r[0] = vcombine_f32(vget_low_f32(a.val[0]), vget_low_f32(b.val[0]));
    r[1] = vcombine_f32(vget_low_f32(a.val[1]), vget_low_f32(b.val[1]));
    r[2] = vcombine_f32(vget_high_f32(a.val[0]), vget_high_f32(b.val[0]));
    r[3] = vcombine_f32(vget_high_f32(a.val[1]), vget_high_f32(b.val[1]));
}

/* VL rows of VL floats, `step` floats apart, turned: r[k] is column k. */
static inline __attribute__((always_inline)) void vf_load_turned(const float *p, size_t step, vf r[VL])
{
    for (int i = 0; i < VL; i++) r[i] = vf_load(p + (size_t)i * step);
    vf_transpose(r);
}

/* Values 0, 2, 4 ... and 1, 3, 5 ... of a followed by b; and back: halves of a[0], b[0], a[1], b[1] ... */
static inline vf vf_even(vf a, vf b) { return vuzp1q_f32(a, b); }
static inline vf vf_odd(vf a, vf b) { return vuzp2q_f32(a, b); }
static inline vf vf_zip_low(vf a, vf b) { return vzip1q_f32(a, b); }
static inline vf vf_zip_high(vf a, vf b) { return vzip2q_f32(a, b); }

/* Append the lanes that `bits` names, all of them below n, in order: writes up to VL values and indices, returns how
 * many of them count. */
static inline size_t vf_keep(unsigned bits, int n, vf value, vi index, float *values, int32_t *indices)
{
    float v[VL];
    int32_t i[VL];
    size_t kept = 0;
    (void)n;
    vf_store(v, value);
    vi_store(i, index);
    for (int k = 0; k < VL; k++) {
        values[kept] = v[k];
        indices[kept] = i[k];
        kept += bits >> k & 1;
    }
    return kept;
}

/* Eight vectors: to[k * step ..+8) = lane k of each, ascending: if step < 8, the next one overwrites the rest. */
static inline __attribute__((always_inline)) void vf_columns(const vf r[8], float *to, size_t step)
{
    vf upper[VL], lower[VL];
    UNROLL for (int i = 0; i < VL; i++) upper[i] = r[i], lower[i] = r[VL + i];
    vf_transpose(upper);
    vf_transpose(lower);
    UNROLL for (int i = 0; i < VL; i++, to += step)
    {
        vf_store(to, upper[i]);
        vf_store(to + VL, lower[i]);
    }
}

#endif
