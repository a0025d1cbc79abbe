/* The oracle: every layer in double precision, one sample, in the simplest form one can write. It shares no code with
 * the kernels and knows nothing of lanes or blocks; arrays are (channel, y, x), weights (out, in, ky, kx).
 * The sum of the magnitudes of a chain's terms, which bounds its rounding, is the same function of absolute values. */
#ifndef CR_TESTS_ORACLE_H
#define CR_TESTS_ORACLE_H

#include "simd/kernels.h" /* struct cr_conv: the shape, nothing else */

void oracle_conv(const struct cr_conv *c, const double *x, const double *w, const double *b, double *y);
void oracle_conv_dx(const struct cr_conv *c, const double *dy, const double *w, double *dx);
/* Adds to dw and db: call it for one sample after the other. */
void oracle_conv_dw(const struct cr_conv *c, const double *x, const double *dy, double *dw, double *db);

void oracle_linear(int in, int out, const double *x, const double *w, const double *b, double *y);
void oracle_linear_dx(int in, int out, const double *dy, const double *w, double *dx);
void oracle_linear_dw(int in, int out, const double *x, const double *dy, double *dw, double *db); /* adds */

void oracle_maxpool(const struct cr_conv *c, const double *x, double *y);
void oracle_maxpool_dx(const struct cr_conv *c, const double *x, const double *dy, double *dx);
void oracle_avgpool(const struct cr_conv *c, const double *x, double *y);
void oracle_avgpool_dx(const struct cr_conv *c, const double *dy, double *dx);

double oracle_sigmoid(double x);

/* Returns the loss; p and dx: (classes). */
double oracle_softmax(int classes, const double *x, int label, double *p, double *dx);

#endif
