/* Convolution of one sample alone, where its vectors of 8 floats hand work on to vectors of 16: what lies side by side
 * in one picture is seldom 16 long, so a vector here is two runs of 8. Behind the tables of convolution, not in them:
 * conv_half_avx512.c calls these, as WIDE(name). Strides in floats. */
#ifndef CR_SIMD_CONV_WIDE_H
#define CR_SIMD_CONV_WIDE_H

#include <stddef.h>
#include <stdint.h>

enum { CR_WIDE_RUN = 8, CR_WIDE_OUTPUTS = 6 }; /* floats of a run; outputs at most */

/* Stride 1: y[output][row][pixel] = bias + sum over channel, ty, tx of x[channel][row + ty][pixel + tx] * w. */
struct cr_wide_rows {
    const float *x;             /* channel 0, row 0, at the first tap of pixel 0 */
    size_t x_channel, x_row;
    int channels, taps_y, taps_x;
    const float *w;             /* (channel, ty, tx, output) */
    size_t w_channel;           /* from a channel to the next; there may be more rows of taps than taps_y */
    const float *bias;          /* (outputs), or NULL for +0 */
    float *y;
    size_t y_channel, y_row;
    int outputs, rows, pixels;  /* pixels >= CR_WIDE_RUN */
};
void cr_wide_rows_avx512(const struct cr_wide_rows *p);

/* Of `count` = 9 to 16 windows of 2x2 side by side the greatest value (cell_winner_tmpl.h): y, and where it was, a bit
 * a window, window 0 lowest. row: where the first window begins; in_w: to the next row. */
struct cr_wide_winners {
    uint16_t lower, right;
};
struct cr_wide_winners cr_wide_windows_avx512(const float *row, int in_w, int count, float *y);
/* What of the pooled dy is not zero, those first whose winner is in the upper row: g, and where it belongs, from
 * `first` in the upper row on, `width` more in the lower. Returns how many; writes 16 at most behind these. */
size_t cr_wide_spikes_avx512(const float *dy, int count, struct cr_wide_winners won, int first, int width, float *g,
                             int32_t *at);

#endif
