#include "core/window.h"

#include <stdio.h>

int cr_window_shape(struct cr_layer *l, const struct cr_layer_args *a, int out_c, int default_stride, char why[160])
{
    const int pad = a->pad < 0 ? 0 : a->pad;
    const int stride = a->stride > 0 ? a->stride : default_stride ? default_stride : a->kw;
    const int h = l->in.h + 2 * pad, w = l->in.w + 2 * pad;

    if (a->stride < 0 && default_stride == 0 && a->kh != a->kw) {
        snprintf(why, 160, "a %dx%d window needs stride=N", a->kh, a->kw);
        return -1;
    }
    if (a->kh > h || a->kw > w) {
        snprintf(why, 160, "a %dx%d window does not fit into %dx%d%s", a->kh, a->kw, l->in.h, l->in.w,
                 pad ? " with its padding" : "");
        return -1;
    }
    if (pad >= a->kh || pad >= a->kw) {
        snprintf(why, 160, "pad=%d must be smaller than the %dx%d window", pad, a->kh, a->kw);
        return -1;
    }
    if ((double)out_c * l->in.c * a->kh * a->kw > 0x1p28) { /* in double: the product may leave size_t */
        snprintf(why, 160, "a layer of more than 2^28 values (1 GB)");
        return -1;
    }
    l->out = (struct cr_shape){ out_c, (h - a->kh) / stride + 1, (w - a->kw) / stride + 1 };
    l->conv = (struct cr_conv){
        .in_c = l->in.c, .in_h = l->in.h, .in_w = l->in.w,
        .out_c = l->out.c, .out_h = l->out.h, .out_w = l->out.w,
        .kh = a->kh, .kw = a->kw, .stride = stride, .pad = pad,
    };
    return 0;
}
