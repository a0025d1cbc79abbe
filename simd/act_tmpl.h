/* Activations, element by element: the template. Included after a vec_*.h; act_ref.c is the same with vectors of 1. */
#include "simd/kernels.h"
#include "simd/math_tmpl.h"
#include "simd/tables.h"

static inline vf relu(vf x) { return vf_select(vf_gt(x, vf_zero()), x, vf_zero()); }

/* The derivatives, times dy, from the function's value y. */
static inline vf tanh_slope(vf y, vf dy) { return vf_mul(dy, vf_fma(vf_sub(vf_zero(), y), y, vf_set1(1.0f))); }
static inline vf relu_slope(vf y, vf dy) { return vf_select(vf_gt(y, vf_zero()), dy, vf_zero()); }
static inline vf sigmoid_slope(vf y, vf dy) { return vf_mul(dy, vf_mul(y, vf_sub(vf_set1(1.0f), y))); }

/* Both loops, with the last n % VL elements apart. */
#define DEFINE_ACTIVATION(name, f, slope)                                                                              \
    static void name##_forward(size_t n, const float *x, float *y)                                                     \
    {                                                                                                                  \
        const size_t whole = n / VL * VL;                                                                              \
        const int rest = (int)(n - whole);                                                                             \
        for (size_t i = 0; i < whole; i += VL) vf_store(y + i, f(vf_load(x + i)));                                     \
        if (rest) vf_store_n(y + whole, f(vf_load_n(x + whole, rest)), rest);                                          \
    }                                                                                                                  \
    static void name##_backward(size_t n, const float *y, const float *dy, float *dx)                                  \
    {                                                                                                                  \
        const size_t whole = n / VL * VL;                                                                              \
        const int rest = (int)(n - whole);                                                                             \
        for (size_t i = 0; i < whole; i += VL) vf_store(dx + i, slope(vf_load(y + i), vf_load(dy + i)));               \
        if (rest) vf_store_n(dx + whole, slope(vf_load_n(y + whole, rest), vf_load_n(dy + whole, rest)), rest);        \
    }                                                                                                                  \
    const struct cr_act_kernels ISA(cr_##name) = { name##_forward, name##_backward }

DEFINE_ACTIVATION(tanh, math_tanh, tanh_slope);
DEFINE_ACTIVATION(relu, relu, relu_slope);
DEFINE_ACTIVATION(sigmoid, math_sigmoid, sigmoid_slope);
