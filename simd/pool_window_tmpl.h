/* Neighbouring 2x2 windows of one picture as vectors: two vectors of a row give their left and their right values.
 * Included after a vec_*.h. */
#ifndef CR_SIMD_POOL_WINDOW_TMPL_H
#define CR_SIMD_POOL_WINDOW_TMPL_H

static inline int lesser(int a, int b) { return a < b ? a : b; }

/* The four values of n <= VL windows, in (y, x) order. row: where the first begins; in_w: to the next row. */
static inline void windows(const float *row, int in_w, int n, vf value[4])
{
    for (int y = 0; y < 2; y++, row += in_w) {
        const vf a = n == VL ? vf_load(row) : vf_load_n(row, lesser(2 * n, VL));
        const vf b = n == VL ? vf_load(row + VL) : 2 * n > VL ? vf_load_n(row + VL, 2 * n - VL) : vf_zero();
        value[2 * y] = vf_even(a, b);
        value[2 * y + 1] = vf_odd(a, b);
    }
}

#endif
