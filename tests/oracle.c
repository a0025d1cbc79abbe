#include "tests/oracle.h"

#include <math.h>

/* Every (output, input) pair of a convolution or pooling window, where it is not padding: X, Y, W index them. */
#define FOR_WINDOW(c, oc, ic)                                                                                          \
    for (int oy = 0; oy < c->out_h; oy++)                                                                              \
        for (int ox = 0; ox < c->out_w; ox++)                                                                          \
            for (int iy = oy * c->stride - c->pad, ky = 0; ky < c->kh; ky++, iy++)                                     \
                for (int ix = ox * c->stride - c->pad, kx = 0; kx < c->kw; kx++, ix++)                                 \
                    if (iy >= 0 && iy < c->in_h && ix >= 0 && ix < c->in_w)

#define X ((ic * c->in_h + iy) * c->in_w + ix)
#define Y ((oc * c->out_h + oy) * c->out_w + ox)
#define W (((oc * c->in_c + ic) * c->kh + ky) * c->kw + kx)

static void fill(double *a, int n, double value)
{
    for (int i = 0; i < n; i++) a[i] = value;
}

void oracle_conv(const struct cr_conv *c, const double *x, const double *w, const double *b, double *y)
{
    for (int oc = 0; oc < c->out_c; oc++) fill(y + oc * c->out_h * c->out_w, c->out_h * c->out_w, b[oc]);
    for (int oc = 0; oc < c->out_c; oc++)
        for (int ic = 0; ic < c->in_c; ic++)
            FOR_WINDOW(c, oc, ic) y[Y] += w[W] * x[X];
}

void oracle_conv_dx(const struct cr_conv *c, const double *dy, const double *w, double *dx)
{
    fill(dx, c->in_c * c->in_h * c->in_w, 0);
    for (int oc = 0; oc < c->out_c; oc++)
        for (int ic = 0; ic < c->in_c; ic++)
            FOR_WINDOW(c, oc, ic) dx[X] += w[W] * dy[Y];
}

void oracle_conv_dw(const struct cr_conv *c, const double *x, const double *dy, double *dw, double *db)
{
    for (int oc = 0; oc < c->out_c; oc++) {
        for (int ic = 0; ic < c->in_c; ic++)
            FOR_WINDOW(c, oc, ic) dw[W] += dy[Y] * x[X];
        for (int i = 0; i < c->out_h * c->out_w; i++) db[oc] += dy[oc * c->out_h * c->out_w + i];
    }
}

void oracle_linear(int in, int out, const double *x, const double *w, const double *b, double *y)
{
    for (int o = 0; o < out; o++) {
        y[o] = b[o];
        for (int i = 0; i < in; i++) y[o] += w[o * in + i] * x[i];
    }
}

void oracle_linear_dx(int in, int out, const double *dy, const double *w, double *dx)
{
    fill(dx, in, 0);
    for (int o = 0; o < out; o++)
        for (int i = 0; i < in; i++) dx[i] += w[o * in + i] * dy[o];
}

void oracle_linear_dw(int in, int out, const double *x, const double *dy, double *dw, double *db)
{
    for (int o = 0; o < out; o++) {
        for (int i = 0; i < in; i++) dw[o * in + i] += dy[o] * x[i];
        db[o] += dy[o];
    }
}

void oracle_maxpool(const struct cr_conv *c, const double *x, double *y)
{
    fill(y, c->in_c * c->out_h * c->out_w, -INFINITY);
    for (int ic = 0; ic < c->in_c; ic++) {
        const int oc = ic;
        FOR_WINDOW(c, oc, ic) y[Y] = fmax(y[Y], x[X]);
    }
}

/* The gradient goes to the greatest input, to the first of several. */
void oracle_maxpool_dx(const struct cr_conv *c, const double *x, const double *dy, double *dx)
{
    fill(dx, c->in_c * c->in_h * c->in_w, 0);
    for (int ic = 0; ic < c->in_c; ic++)
        for (int oy = 0; oy < c->out_h; oy++)
            for (int ox = 0; ox < c->out_w; ox++) {
                const double *window = x + (ic * c->in_h + oy * c->stride) * c->in_w + ox * c->stride;
                int best_y = 0, best_x = 0;
                for (int ky = 0; ky < c->kh; ky++)
                    for (int kx = 0; kx < c->kw; kx++)
                        if (window[ky * c->in_w + kx] > window[best_y * c->in_w + best_x]) best_y = ky, best_x = kx;
                dx[(ic * c->in_h + oy * c->stride + best_y) * c->in_w + ox * c->stride + best_x] +=
                    dy[(ic * c->out_h + oy) * c->out_w + ox];
            }
}

void oracle_avgpool(const struct cr_conv *c, const double *x, double *y)
{
    fill(y, c->in_c * c->out_h * c->out_w, 0);
    for (int ic = 0; ic < c->in_c; ic++) {
        const int oc = ic;
        FOR_WINDOW(c, oc, ic) y[Y] += x[X] / (c->kh * c->kw);
    }
}

void oracle_avgpool_dx(const struct cr_conv *c, const double *dy, double *dx)
{
    fill(dx, c->in_c * c->in_h * c->in_w, 0);
    for (int ic = 0; ic < c->in_c; ic++) {
        const int oc = ic;
        FOR_WINDOW(c, oc, ic) dx[X] += dy[Y] / (c->kh * c->kw);
    }
}

double oracle_sigmoid(double x) { return 1 / (1 + exp(-x)); }

double oracle_softmax(int classes, const double *x, int label, double *p, double *dx)
{
    double sum = 0;
    for (int c = 0; c < classes; c++) sum += exp(x[c]);
    for (int c = 0; c < classes; c++) {
        p[c] = exp(x[c]) / sum;
        dx[c] = p[c] - (c == label);
    }
    return -log(p[label]);
}
