/* Vectors of one float: the scalar form of the vector vocabulary. See vec_avx512.h for the words; every instruction
 * set spells the same ones, so a template written with them gives the same bits everywhere. */
#ifndef CR_SIMD_VEC_REF_H
#define CR_SIMD_VEC_REF_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#include "simd/ref.h"

#define VL 1
#define ISA(name) REF(name)
typedef float vf;
typedef int32_t vi;
typedef int vm;

static inline vi vf_as_i(vf a) { vi r; memcpy(&r, &a, sizeof r); return r; }
static inline vf vi_as_f(vi a) { vf r; memcpy(&r, &a, sizeof r); return r; }

static inline vf vf_zero(void) { return 0.0f; }
static inline vf vf_set1(float a) { return a; }
static inline vf vf_load(const float *p) { return *p; }
static inline void vf_store(float *p, vf a) { *p = a; }
static inline vf vf_load_n(const float *p, int n) { return n > 0 ? *p : 0.0f; }
static inline void vf_store_n(float *p, vf a, int n) { if (n > 0) *p = a; }
static inline vf vf_fma(vf a, vf b, vf c) { return fmaf(a, b, c); }
static inline vf vf_add(vf a, vf b) { return a + b; }
static inline vf vf_sub(vf a, vf b) { return a - b; }
static inline vf vf_mul(vf a, vf b) { return a * b; }
static inline vf vf_div(vf a, vf b) { return a / b; }
static inline vf vf_abs(vf a) { return vi_as_f(vf_as_i(a) & 0x7fffffff); }
static inline vm vf_gt(vf a, vf b) { return a > b; }
static inline vm vf_ge(vf a, vf b) { return a >= b; }
static inline vm vf_eq(vf a, vf b) { return a == b; }
static inline vm vm_or(vm a, vm b) { return a | b; }
static inline int vm_any(vm m) { return m; }
static inline vf vf_least(vf a, vf b) { return vf_abs(a) < vf_abs(b) ? vf_abs(a) : vf_abs(b); }
static inline vf vf_select(vm m, vf a, vf b) { return m ? a : b; }

static inline vi vi_set1(int32_t a) { return a; }
static inline vi vi_load(const void *p) { vi r; memcpy(&r, p, sizeof r); return r; }
static inline void vi_store(void *p, vi a) { memcpy(p, &a, sizeof a); }
static inline vi vi_load_n(const void *p, int n) { return n > 0 ? vi_load(p) : 0; }
static inline void vi_store_n(void *p, vi a, int n) { if (n > 0) vi_store(p, a); }
static inline vi vi_add(vi a, vi b) { return (vi)((uint32_t)a + (uint32_t)b); }
static inline vi vi_sub(vi a, vi b) { return (vi)((uint32_t)a - (uint32_t)b); }
static inline vi vi_and(vi a, vi b) { return a & b; }
static inline vi vi_max(vi a, vi b) { return a > b ? a : b; } /* signed */
#define vi_shl(a, k) ((vi)((uint32_t)(a) << (k)))
#define vi_shr(a, k) ((vi)((uint32_t)(a) >> (k))) /* logical */
static inline vf vi_to_f(vi a) { return (float)a; }
/* Round to nearest even by the double's own rounding; unspecified (but defined) outside int32. */
static inline vi vf_to_i(vf a)
{
    const double shifted = (double)a + 0x1.8p52;
    uint64_t bits;
    memcpy(&bits, &shifted, sizeof bits);
    return (vi)(uint32_t)bits;
}
static inline vf vf_from_u8(const uint8_t *p) { return (float)*p; }

#endif
