/* Linear layers for samples that do not lie side by side (lanes 1). Part of linear_tmpl.h. A vector holds VL features
 * of the result; forward turns VL x VL weights in registers to get them. */

enum { SIDE = 8 }; /* vectors of results at once: independent chains to hide the latency of an fma */

/* acc[0..VL) of outputs o.. += over inputs i..i+n-1. Rows past the last output repeat it; nobody reads their sums. */
static inline vf single_square(vf acc, int in, int out, int o, int i, int n, const float *x, const float *w)
{
    vf r[VL];
    UNROLL for (int k = 0; k < VL; k++)
    {
        const float *row = w + (size_t)(o + k < out ? o + k : out - 1) * (size_t)in + i;
        r[k] = n == VL ? vf_load(row) : vf_load_n(row, n);
    }
    vf_transpose(r);
    if (n == VL)
        UNROLL for (int k = 0; k < VL; k++) acc = vf_fma(vf_set1(x[i + k]), r[k], acc);
    else
        UNROLL for (int k = 0; k < VL; k++)
        {
            if (k < n) acc = vf_fma(vf_set1(x[i + k]), r[k], acc);
        }
    return acc;
}

static void single_forward(int in, int out, int samples, const float *x, const float *w, const float *b, float *y)
{
    for (int s = 0; s < samples; s++, x += in, y += out)
        for (int from = 0; from < out; from += SIDE * VL) {
            const int to = out - from < SIDE * VL ? out : from + SIDE * VL;
            vf acc[SIDE];
            for (int o = from; o < to; o += VL)
                acc[(o - from) / VL] = to - o < VL ? vf_load_n(b + o, to - o) : vf_load(b + o);
            for (int i = 0; i < in; i += VL)
                for (int o = from; o < to; o += VL)
                    acc[(o - from) / VL] =
                        single_square(acc[(o - from) / VL], in, out, o, i, in - i < VL ? in - i : VL, x, w);
            for (int o = from; o < to; o += VL)
                if (to - o < VL)
                    vf_store_n(y + o, acc[(o - from) / VL], to - o);
                else
                    vf_store(y + o, acc[(o - from) / VL]);
        }
}

/* dx[0 .. nv vectors), the last of `last` values. */
static inline __attribute__((always_inline)) void single_columns(const int nv, int in, int out, const float *dy,
                                                                 const float *w, float *dx, int last)
{
    vf acc[SIDE];
    UNROLL for (int v = 0; v < nv; v++) acc[v] = vf_zero();
    for (int o = 0; o < out; o++, w += in) {
        const vf g = vf_set1(dy[o]);
        UNROLL for (int v = 0; v < nv - 1; v++) acc[v] = vf_fma(vf_load(w + v * VL), g, acc[v]);
        const float *const end = w + (nv - 1) * VL;
        acc[nv - 1] = vf_fma(last == VL ? vf_load(end) : vf_load_n(end, last), g, acc[nv - 1]);
    }
    UNROLL for (int v = 0; v < nv - 1; v++) vf_store(dx + v * VL, acc[v]);
    vf_store_n(dx + (nv - 1) * VL, acc[nv - 1], last);
}

static void single_backward_input(int in, int out, int samples, const float *dy, const float *w, float *dx)
{
    for (int s = 0; s < samples; s++, dy += out, dx += in) {
        int i = 0;
        for (; i + SIDE * VL <= in; i += SIDE * VL) single_columns(SIDE, in, out, dy, w + i, dx + i, VL);
        for (; i + VL <= in; i += VL) single_columns(1, in, out, dy, w + i, dx + i, VL);
        if (i < in) single_columns(1, in, out, dy, w + i, dx + i, in - i);
    }
}
