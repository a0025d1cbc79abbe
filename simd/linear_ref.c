/* The linear layer, the scalar reference: the definition of the right bits. Each output is one chain of fmaf in the
 * order its function's comment states; the lanes of a group are independent chains that are walked side by side. */
#include <math.h>

#include "simd/ref.h"
#include "simd/tables.h"

/* y from the bias over the input features. */
static void forward(int in, int out, struct cr_samples s, const float *x, const float *w, const float *b, float *y)
{
    const struct view xv = { in, 1, 1, s.lanes }, yv = { out, 1, 1, s.lanes };

    for (int group = 0; group < cr_groups(s); group++)
        for (int o = 0; o < out; o++) {
            float sum[LANES];
            for (int l = 0; l < s.lanes; l++) sum[l] = b[o];
            for (int i = 0; i < in; i++) {
                const float wk = w[(ptrdiff_t)o * in + i];
                const float *xs = x + at(xv, group, i, 0, 0);
                for (int l = 0; l < s.lanes; l++) sum[l] = fmaf(wk, xs[l], sum[l]);
            }
            for (int l = 0; l < s.lanes; l++) y[at(yv, group, o, 0, 0) + l] = sum[l];
        }
}

/* dx from +0 over the output features. */
static void backward_input(int in, int out, struct cr_samples s, const float *dy, const float *w, size_t step,
                           float *dx)
{
    const struct view xv = { in, 1, 1, s.lanes }, yv = { out, 1, 1, s.lanes };

    for (int group = 0; group < cr_groups(s); group++)
        for (int i = 0; i < in; i++) {
            float sum[LANES] = { 0 };
            for (int o = 0; o < out; o++) {
                const float wk = w[(size_t)o * step + (size_t)i];
                const float *dys = dy + at(yv, group, o, 0, 0);
                for (int l = 0; l < s.lanes; l++) sum[l] = fmaf(wk, dys[l], sum[l]);
            }
            for (int l = 0; l < s.lanes; l++) dx[at(xv, group, i, 0, 0) + l] = sum[l];
        }
}

/* dw and db from +0 over the samples of the block, one chain each (no lanes, no tree). */
static void backward_weight(int in, int out, struct cr_samples s, const float *x, const float *dy, float *dw,
                            float *db, float *scratch)
{
    const struct view xv = { in, 1, 1, s.lanes }, yv = { out, 1, 1, s.lanes };
    (void)scratch;

    for (int o = 0; o < out; o++) {
        for (int i = 0; i < in; i++) {
            float sum = 0;
            for (int k = 0; k < s.n; k++) {
                const int group = k / s.lanes, lane = k % s.lanes;
                sum = fmaf(x[at(xv, group, i, 0, 0) + lane], dy[at(yv, group, o, 0, 0) + lane], sum);
            }
            dw[(ptrdiff_t)o * in + i] = sum;
        }
        float sum = 0;
        for (int k = 0; k < s.n; k++) sum += dy[at(yv, k / s.lanes, o, 0, 0) + k % s.lanes];
        db[o] = sum;
    }
}

const struct cr_linear_kernels REF(cr_linear) = { forward, backward_input, backward_weight };
