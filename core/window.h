/* Shapes of layers that slide a window over a picture: convolution and pooling. */
#ifndef CR_CORE_WINDOW_H
#define CR_CORE_WINDOW_H

#include "core/layer.h"

/* Fill l->conv and l->out for `out_c` channels. stride: default_stride, or the window's own width when that is 0.
 * 0, or -1 with why the window does not fit. */
int cr_window_shape(struct cr_layer *l, const struct cr_layer_args *a, int out_c, int default_stride, char why[160]);

#endif
