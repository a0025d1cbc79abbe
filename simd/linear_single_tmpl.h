/* Linear layers for samples that do not lie side by side (lanes 1). Part of linear_tmpl.h. A vector holds VL features
 * of the result; forward turns VL x VL weights in registers to get them. */

/* Vectors of results at once, as independent chains hide the latency of an fma; forward has its squares besides. */
enum { SIDE = 8, SQUARES = 4 };

/* acc[0..VL) of outputs o.. += over inputs i..i+n-1. Rows past the last output repeat it; nobody reads their sums. */
static inline __attribute__((always_inline)) vf single_square(vf acc, int in, int out, int o, int i, int n,
                                                              const float *x, const float *w)
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

/* Outputs o.. of nv vectors, the last of them of `last` values. */
static inline __attribute__((always_inline)) void single_chains(const int nv, int in, int out, int o, int last,
                                                                const float *x, const float *w, const float *b,
                                                                float *y)
{
    vf acc[SQUARES];
    UNROLL for (int v = 0; v < nv; v++) acc[v] = vf_load_n(b + o + v * VL, v < nv - 1 ? VL : last);
    int i = 0;
    for (; i + VL <= in; i += VL)
        UNROLL for (int v = 0; v < nv; v++)
        {
            if (v == nv - 1 && last < VL) {
                acc[v] = single_square(acc[v], in, out, o + v * VL, i, VL, x, w);
                continue;
            }
            vf r[VL];
            vf_load_turned(w + (size_t)(o + v * VL) * (size_t)in + i, (size_t)in, r);
            UNROLL for (int k = 0; k < VL; k++) acc[v] = vf_fma(vf_set1(x[i + k]), r[k], acc[v]);
        }
    if (i < in)
        UNROLL for (int v = 0; v < nv; v++) acc[v] = single_square(acc[v], in, out, o + v * VL, i, in - i, x, w);
    UNROLL for (int v = 0; v < nv; v++) vf_store_n(y + o + v * VL, acc[v], v < nv - 1 ? VL : last);
}

static void single_forward(int in, int out, int samples, const float *x, const float *w, const float *b, float *y)
{
    const int vectors = (out + VL - 1) / VL, tiles = (vectors + SQUARES - 1) / SQUARES;
    for (int s = 0; s < samples; s++, x += in, y += out)
        for (int tile = 0; tile < tiles; tile++) {
            const int v = vectors * tile / tiles, end = vectors * (tile + 1) / tiles, o = v * VL;
            const int last = out - (end - 1) * VL < VL ? out - (end - 1) * VL : VL;
            switch (end - v) {
            case 1: single_chains(1, in, out, o, last, x, w, b, y); break;
            case 2: single_chains(2, in, out, o, last, x, w, b, y); break;
            case 3: single_chains(3, in, out, o, last, x, w, b, y); break;
            default: single_chains(SQUARES, in, out, o, last, x, w, b, y);
            }
        }
}

/* dx[0 .. nv vectors), the last of `last` values. */
static inline __attribute__((always_inline)) void single_columns(const int nv, int out, const float *dy, const float *w,
                                                                 size_t step, float *dx, int last)
{
    vf acc[SIDE];
    UNROLL for (int v = 0; v < nv; v++) acc[v] = vf_zero();
    for (int o = 0; o < out; o++, w += step) {
        const vf g = vf_set1(dy[o]);
        UNROLL for (int v = 0; v < nv - 1; v++) acc[v] = vf_fma(vf_load(w + v * VL), g, acc[v]);
        const float *const end = w + (nv - 1) * VL;
        acc[nv - 1] = vf_fma(last == VL ? vf_load(end) : vf_load_n(end, last), g, acc[nv - 1]);
    }
    UNROLL for (int v = 0; v < nv - 1; v++) vf_store(dx + v * VL, acc[v]);
    vf_store_n(dx + (nv - 1) * VL, acc[nv - 1], last);
}

static void single_backward_input(int in, int out, int samples, const float *dy, const float *w, size_t step,
                                  float *dx)
{
    for (int s = 0; s < samples; s++, dy += out, dx += in) {
        int i = 0;
        for (; i + SIDE * VL <= in; i += SIDE * VL) single_columns(SIDE, out, dy, w + i, step, dx + i, VL);
        for (; i + VL <= in; i += VL) single_columns(1, out, dy, w + i, step, dx + i, VL);
        if (i < in) single_columns(1, out, dy, w + i, step, dx + i, in - i);
    }
}
