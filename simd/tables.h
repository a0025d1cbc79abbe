/* Every kernel by its full name: what the modules export and dispatch.c puts into the table. One line per
 * instruction set; a name exists in the program only if its file is built (config.h: CR_HAVE_...). */
#ifndef CR_SIMD_TABLES_H
#define CR_SIMD_TABLES_H

#include "simd/kernels.h"

/* Floats of scratch of the gradient by weight (conv_weight_tmpl.h): for chains that wait for their next rows, half a
 * second cache; and for those rows of dy that are copied and passed by at a time, an eighth of one, or of so many
 * channels one row. */
enum { CR_CONV_CHAINS = 128 * 1024, CR_CONV_ROWS = 32 * 1024, CR_CONV_LOT = 32 };

/* Of packed weights (conv_pack_tmpl.h): floats behind them that packing may overwrite. */
enum { CR_CONV_BEHIND = 7 };

/* Is there room for the chains by weight of samples taken apart (conv_apart_tmpl.h)? Each lane has its own of all
 * weights. */
int cr_conv_apart_fits(const struct cr_conv *c, struct cr_samples s);

/* Of the products of one sample (conv_product_tmpl.h): a panel of patches, each tap's outputs and a vector more. */
enum { CR_CONV_PANEL = CR_GEMM_MOST_NR * (CR_GEMM_MOST_KC + 16) };

#define CR_DECLARE_KERNELS(isa)                                                                                        \
    extern const struct cr_gemm_kernels cr_gemm_##isa;                                                                 \
    extern const struct cr_conv_kernels cr_conv_##isa;                                                                 \
    extern const struct cr_conv_pool_kernels cr_conv_pool_##isa;                                                       \
    extern const struct cr_linear_kernels cr_linear_##isa;                                                             \
    extern const struct cr_maxpool_kernels cr_maxpool_##isa;                                                           \
    extern const struct cr_avgpool_kernels cr_avgpool_##isa;                                                           \
    extern const struct cr_act_kernels cr_tanh_##isa, cr_relu_##isa, cr_sigmoid_##isa;                                 \
    extern const struct cr_peak_kernels cr_peak_##isa;                                                                 \
    cr_softmax_fn cr_softmax_##isa;                                                                                    \
    cr_load_fn cr_load_##isa;                                                                                          \
    cr_sum_bytes_fn cr_sum_bytes_##isa;                                                                                \
    cr_round_outer_fn cr_round_outer_##isa;                                                                            \
    cr_greatest_outer_fn cr_greatest_outer_##isa;                                                                      \
    cr_round_fn cr_round_##isa;                                                                                        \
    cr_sum_fn cr_sum_##isa;                                                                                            \
    cr_sgd_fn cr_sgd_##isa;                                                                                            \
    cr_sgd_outer_fn cr_sgd_outer_##isa

CR_DECLARE_KERNELS(ref);
CR_DECLARE_KERNELS(ref_fma);
CR_DECLARE_KERNELS(avx2);
CR_DECLARE_KERNELS(avx512);
CR_DECLARE_KERNELS(neon);

/* One sample alone, always as products. */
extern const struct cr_conv_kernels cr_conv_product_avx2, cr_conv_product_half_avx512, cr_conv_product_neon;

/* AVX-512 without CR_CPU_SELECTS. */
extern const struct cr_conv_pool_kernels cr_conv_pool_wide_avx512;

/* AVX-512 for 8 samples side by side: what the modules' _avx512 tables hand on. */
extern const struct cr_conv_kernels cr_conv_half_avx512;
extern const struct cr_conv_pool_kernels cr_conv_pool_half_avx512;
extern const struct cr_linear_kernels cr_linear_half_avx512;
extern const struct cr_maxpool_kernels cr_maxpool_half_avx512;
extern const struct cr_avgpool_kernels cr_avgpool_half_avx512;

#endif
