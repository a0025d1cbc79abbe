/* Convolution of one sample alone, stride 1, for vectors that are longer than its rows: a vector is two runs of pixels,
 * of one row or of two. Behind the tables of convolution, not in them: conv_rows_tmpl.h calls it. */
#ifndef CR_SIMD_CONV_PAIRS_H
#define CR_SIMD_CONV_PAIRS_H

#include <stddef.h>

enum { CR_PAIRS_RUN = 8, CR_PAIRS_OUTPUTS = 6 }; /* pixels of a run; outputs at most */

/* y[output][row][pixel] = bias + sum over channel, ty, tx of x[channel][row + ty][pixel + tx] * w. Strides in floats. */
struct cr_conv_pairs {
    const float *x;             /* channel 0, row 0, at the first tap of pixel 0 */
    size_t x_channel, x_row;
    int channels, taps_y, taps_x;
    const float *w;             /* (channel, ty, tx, output) */
    size_t w_channel;           /* from a channel to the next; there may be more rows of taps than taps_y */
    const float *bias;          /* (outputs), or NULL for +0 */
    float *y;
    size_t y_channel, y_row;
    int outputs, rows, pixels;  /* pixels >= CR_PAIRS_RUN */
};

void cr_conv_pairs_avx512(const struct cr_conv_pairs *p);

#endif
