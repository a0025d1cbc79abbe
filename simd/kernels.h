/* The kernels: every loop that touches a weight or an activation, one entry per operation, one table per
 * instruction set. The scalar reference (the _ref.c files) defines the bits; every other table gives the same ones.
 *
 * Arrangement. A block of n samples is stored as groups of `lanes` samples side by side, lane fastest:
 *     x[group][channel][y][x][lane]      sample i is lane i % lanes of group i / lanes
 * lanes is 1 (the ordinary per-image layout), 8 or 16. Values of lanes beyond the last sample are finite and nobody's
 * result; gradients that enter a backward kernel are +0 there.
 *
 * Rules for all kernels: order of operations as in the project's arithmetic (CONTRIBUTING.md, "Six rules"); pointers
 * are 64-byte aligned unless said otherwise, but with lanes 1, and those to weights, biases and their gradients, as
 * floats are, since they may be of some channels of an array; they do not overlap; outputs are overwritten without
 * being read; no allocation; cannot fail; thread-safe. `scratch` is private to the caller, of the size told by the
 * functions below. */
#ifndef CR_SIMD_KERNELS_H
#define CR_SIMD_KERNELS_H

#include <stddef.h>
#include <stdint.h>

#include "simd/error.h"
#include "simd/gemm.h"

/* Names this arithmetic: any change of bits raises it. Stands in checkpoints, events and golden tables. */
enum { CR_NUMERICS = 1 };

/* How many samples a block holds and how they lie. each: 0, or they are several blocks side by side, each with so many
 * lanes (2, 4 or 8) and samples, the last with what is left of n <= lanes. Then a convolution's gradients by weight
 * and by bias come out for each, dw (blocks, ...), db (blocks, ...); a linear layer's are asked for one by one; all
 * else knows samples only. Where `side` of the table is not 0. */
struct cr_samples {
    int n, lanes, each;
};
static inline int cr_blocks(struct cr_samples s) { return s.each ? (s.n + s.each - 1) / s.each : 1; }
/* The h-th of these blocks: how many samples. */
static inline int cr_block_samples(struct cr_samples s, int h)
{
    return h + 1 < cr_blocks(s) ? s.each : s.n - h * s.each;
}
static inline int cr_groups(struct cr_samples s) { return (s.n + s.lanes - 1) / s.lanes; }

/* Convolution and pooling shapes. out = (in + 2 pad - k) / stride + 1, rounded down. Pooling: out_c = in_c, pad 0. */
struct cr_conv {
    int in_c, in_h, in_w;
    int out_c, out_h, out_w;
    int kh, kw, stride, pad;
};

/* With lanes 1: do vectors that run along a row take this shape? Where not, convolutions become matrix products, and
 * pooling is left to the scalar reference. */
static inline int cr_conv_along_rows(const struct cr_conv *c) { return c->stride == 1; }
static inline int cr_maxpool_along_rows(const struct cr_conv *c)
{
    return c->kh == 2 && c->kw == 2 && c->stride == 2;
}

/* Convolution: x (in_c, in_h, in_w), y (out_c, out_h, out_w) per sample; w (out_c, in_c, kh, kw), b (out_c).
 *   forward          y = b + sum over (in channel, ky, kx), a chain of fma
 *   backward_input   dx from +0 over (out channel, oy, ox); the weights of an output channel are `step` floats from
 *                    those of the next, so that some input channels of more can be asked for
 *   backward_weight  dw, db: per lane (sample mod 16) a chain over (sample, oy, ox), then the tree over 16 lanes */
typedef void cr_conv_forward_fn(const struct cr_conv *c, struct cr_samples s, const float *x, const float *w,
                                const float *b, float *y, float *scratch);
typedef void cr_conv_backward_input_fn(const struct cr_conv *c, struct cr_samples s, const float *dy, const float *w,
                                       size_t step, float *dx, float *scratch);
/* Where all are asked for. */
static inline size_t cr_conv_step(const struct cr_conv *c)
{
    return (size_t)c->in_c * (size_t)c->kh * (size_t)c->kw;
}
typedef void cr_conv_backward_weight_fn(const struct cr_conv *c, struct cr_samples s, const float *x, const float *dy,
                                        float *dw, float *db, float *scratch);
/* With lanes 1: is forward a matrix product here, or do vectors run along rows? The bits are the same. */
typedef int cr_conv_by_product_fn(const struct cr_conv *c);
/* Floats of scratch that any of the three may use, for any instruction set. */
size_t cr_conv_scratch(const struct cr_conv *c, struct cr_samples s);

/* Convolution and a max-pool of 2x2 windows two apart behind it, in one go: y is the pooled output, dy its gradient,
 * and the bits are those of one after the other. `won` is room for the convolution's own output, in which forward
 * leaves to backward what it wants to know, won() bytes a channel of a group; no one else can read it. dx may be NULL,
 * or both dw and db; step: as of backward_input. Only where fits() says so. */
typedef int cr_conv_pool_fits_fn(const struct cr_conv *c, struct cr_samples s);
typedef size_t cr_conv_pool_won_fn(const struct cr_conv *c, struct cr_samples s);
typedef void cr_conv_pool_forward_fn(const struct cr_conv *c, struct cr_samples s, const float *x, const float *w,
                                     const float *b, float *y, void *won, float *scratch);
typedef void cr_conv_pool_backward_fn(const struct cr_conv *c, struct cr_samples s, const float *x, const float *dy,
                                      const void *won, const float *w, size_t step, float *dw, float *db, float *dx,
                                      float *scratch);
/* Floats of scratch that both may use, for any instruction set. */
size_t cr_conv_pool_scratch(const struct cr_conv *c, struct cr_samples s);

/* Linear: x (in), y (out) per sample; w (out, in), b (out). Forward from the bias over `in`; dx from +0 over `out`,
 * with the rows of w `step` >= in floats apart; dw and db from +0 over the block's samples. scratch: cr_linear_scratch
 * floats. */
typedef void cr_linear_forward_fn(int in, int out, struct cr_samples s, const float *x, const float *w, const float *b,
                                  float *y);
typedef void cr_linear_backward_input_fn(int in, int out, struct cr_samples s, const float *dy, const float *w,
                                         size_t step, float *dx);
typedef void cr_linear_backward_weight_fn(int in, int out, struct cr_samples s, const float *x, const float *dy,
                                          float *dw, float *db, float *scratch);
size_t cr_linear_scratch(int in, int out, struct cr_samples s);

/* Pooling. Max: windows in (y, x) order, a later value wins only if greater; backward gives dy to the winner, added
 * over (oy, ox) where windows overlap. Average: sum over (ky, kx) times 1/count; backward dx = fma(dy, 1/count, dx). */
typedef void cr_pool_forward_fn(const struct cr_conv *c, struct cr_samples s, const float *x, float *y);
typedef void cr_maxpool_backward_fn(const struct cr_conv *c, struct cr_samples s, const float *x, const float *dy,
                                    float *dx);
typedef void cr_avgpool_backward_fn(const struct cr_conv *c, struct cr_samples s, const float *dy, float *dx);

/* Activations over n values. y = f(x); backward dx = dy * f'(y), f' taken from y; dx may be dy:
 * tanh fma(-y, y, 1), sigmoid y * (1 - y), relu y > 0 ? dy : +0. */
typedef void cr_act_forward_fn(size_t n, const float *x, float *y);
typedef void cr_act_backward_fn(size_t n, const float *y, const float *dy, float *dx);

/* Softmax with cross-entropy. x (classes) per sample, in the block's arrangement. label: (n).
 *   p = exp(x - max) / sum    loss[i] = log(sum) - (x[label] - max)    dx = p - target, +0 in lanes without a sample
 * dx and p may be NULL; p is in the arrangement of x. loss: (n) floats, unaligned allowed. */
typedef void cr_softmax_fn(int classes, struct cr_samples s, const float *x, const uint8_t *label, float *p,
                           float *dx, float *loss);

/* Bytes to floats: x[c][pixel] = fma((float)byte, scale[c], shift[c]); lanes without a sample become +0.
 * image: (n) pointers to (channels, plane) bytes, unaligned. */
typedef void cr_load_fn(struct cr_samples s, const uint8_t *const *image, int channels, size_t plane,
                        const float *scale, const float *shift, float *x);
/* Add n bytes and their squares, unaligned, to *sum and *squares. */
typedef void cr_sum_bytes_fn(size_t n, const uint8_t *p, uint64_t *sum, uint64_t *squares);

/* Gradient to integers: q[i] (+)= round_to_nearest_even(g[i] * scale), modulo 2^32. add = 0 stores. Returns the
 * greatest bit pattern of |g[i]| (NaN and Inf are >= 0x7f800000). Out of range values give an unspecified q. */
typedef uint32_t cr_round_fn(size_t n, const float *g, float scale, uint32_t *q, int add);
/* The same for the gradient of a linear layer's weights by one sample, without storing it before:
 * q[o][i] (+)= round((x[i] * dy[o]) * scale). x: (in), dy: (out), lanes 1. Unaligned allowed. */
typedef uint32_t cr_round_outer_fn(int in, int out, const float *x, const float *dy, float scale, uint32_t *q, int add);
/* What cr_round_outer would return. */
typedef uint32_t cr_greatest_outer_fn(int in, int out, const float *x, const float *dy);
/* sum[i] = sum over the `parts` of part[p][i], modulo 2^32, for from <= i < to (a thread's slice); sum may be part[0].
 * Unaligned allowed. */
typedef void cr_sum_fn(size_t from, size_t to, int parts, uint32_t *const *part, uint32_t *sum);

/* SGD. Roundings, in order:
 *   g = (float)(int32)q * unscale       exact but for the conversion, unscale = 2^-s
 *   g = g * inv_n
 *   g = fma(weight_decay, w, g)         if weight_decay != 0
 *   v = fma(momentum, v, g)             if momentum != 0; else the step is g
 *   d = nesterov ? fma(momentum, v, g) : v
 *   w = fma(-lr, d, w)
 * then |v| < 2^-100 and |w| < 2^-100 become +0. v may be NULL iff momentum == 0. Unaligned allowed. */
struct cr_sgd {
    float unscale, inv_n, lr, momentum, weight_decay;
    int nesterov;
};
typedef void cr_sgd_fn(size_t n, const uint32_t *q, const struct cr_sgd *o, float *w, float *v);
/* The same for q as cr_round_outer makes it of one sample alone, which is in no memory. w, v: (out, in); scale: a power
 * of two <= 2^120. */
typedef void cr_sgd_outer_fn(int in, int out, const float *x, const float *dy, float scale, const struct cr_sgd *o,
                             float *w, float *v);

/* What the machine can do at most (`corering bench peak`). fma: `rounds` of flop operations each, in registers alone;
 * returns a sum that nobody needs. triad: z = scale * x + y, n a multiple of 16; for arrays beyond the caches. */
typedef float cr_peak_fma_fn(size_t rounds, float scale, float shift);
typedef void cr_peak_triad_fn(size_t n, float scale, const float *x, const float *y, float *z);

/* What travels together is assigned together: one value per module and instruction set (simd/tables.h). */
struct cr_conv_kernels {
    cr_conv_forward_fn *forward;
    cr_conv_backward_input_fn *backward_input;
    cr_conv_backward_weight_fn *backward_weight;
    cr_conv_by_product_fn *alone_by_product;
};
struct cr_conv_pool_kernels {
    cr_conv_pool_fits_fn *fits;
    cr_conv_pool_won_fn *won;
    cr_conv_pool_forward_fn *forward;
    cr_conv_pool_backward_fn *backward;
};
struct cr_linear_kernels {
    cr_linear_forward_fn *forward;
    cr_linear_backward_input_fn *backward_input;
    cr_linear_backward_weight_fn *backward_weight;
};
struct cr_maxpool_kernels {
    cr_pool_forward_fn *forward;
    cr_maxpool_backward_fn *backward;
};
struct cr_avgpool_kernels {
    cr_pool_forward_fn *forward;
    cr_avgpool_backward_fn *backward;
};
struct cr_act_kernels {
    cr_act_forward_fn *forward;
    cr_act_backward_fn *backward;
};

struct cr_peak_kernels {
    cr_peak_fma_fn *fma;
    size_t flop;
    cr_peak_triad_fn *triad;
};

struct cr_kernels {
    const char *isa;
    int side; /* lanes that are best, and that blocks of fewer samples share; 0 if there is nothing to gain */
    struct cr_gemm_kernels gemm; /* simd/gemm.h */
    struct cr_conv_kernels conv;
    struct cr_conv_kernels conv_product; /* lanes 1 alone, always as products: what `conv` takes where it pays */
    struct cr_conv_pool_kernels conv_pool;
    struct cr_linear_kernels linear;
    struct cr_maxpool_kernels maxpool;
    struct cr_avgpool_kernels avgpool;
    struct cr_act_kernels tanh, relu, sigmoid;
    cr_softmax_fn *softmax;
    cr_load_fn *load;
    cr_sum_bytes_fn *sum_bytes;
    cr_round_fn *round;
    cr_round_outer_fn *round_outer;
    cr_greatest_outer_fn *greatest_outer;
    cr_sum_fn *sum;
    cr_sgd_fn *sgd;
    cr_sgd_outer_fn *sgd_outer;
    struct cr_peak_kernels peak;
};

enum {
    CR_CPU_FMA = 1 << 0,
    CR_CPU_AVX2 = 1 << 1,
    CR_CPU_AVX512 = 1 << 2,
    CR_CPU_NEON = 1 << 3,
    CR_CPU_SELECTS = 1 << 4 /* AVX-512 selects by mask beside its multiplications, not instead of them */
};

/* What CPU and operating system support, of what this build has kernels for. */
unsigned cr_cpu_flags(void);
/* Fill a table for the given flags; every slot is always valid. Pure: tests call it. */
void cr_kernels_fill(struct cr_kernels *t, unsigned flags);
/* The process's table, filled once: the best level, or what cr_isa_choose said before the first call. */
const struct cr_kernels *cr_kernels(void);
/* Choose by name: "ref", "avx2", "avx512" or "neon"; "auto" or NULL is what the environment's CR_ISA names, else the
 * best. -CR_E_USAGE lists the usable ones. Not thread-safe; before the first cr_kernels(), which by itself means
 * "auto" (and takes the best when CR_ISA names nothing usable: call this first to learn of it). */
int cr_isa_choose(const char *name, struct cr_error *e);
/* Usable names on this machine, ascending, NULL-terminated. */
const char *const *cr_isa_names(void);
/* The flags that cr_kernels_fill takes for a name of that list; 0, the plain reference, for any other. */
unsigned cr_isa_flags(const char *name);

/* The floating-point mode of the arithmetic: round to nearest, subnormals kept, exceptions masked. Every thread that
 * enters the library's arithmetic calls enter and, on leaving, leave with what enter returned. */
unsigned long cr_fp_enter(void);
void cr_fp_leave(unsigned long saved);

#endif
