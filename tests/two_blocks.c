#include "tests/two_blocks.h"

#include <stdlib.h>
#include <string.h>

/* One of two blocks of samples that lie side by side, with lanes of its own. per: values a sample; the caller frees. */
static float *block_of(struct cr_samples s, const float *both, int per, int h)
{
    float *const own = aligned_alloc(64, (size_t)(per + 1) / 2 * 2 * 8 * sizeof *own); /* whole lines */
    for (int k = 0; k < per; k++) memcpy(own + k * 8, both + k * s.lanes + 8 * h, 8 * sizeof *own);
    return own;
}

void by_weight_conv(const struct cr_conv_kernels *k, const struct cr_conv *c, struct cr_samples s, int apart,
                    const float *x, const float *dy, float *dw, float *db, float *scratch)
{
    if (!s.two || !apart) {
        k->backward_weight(c, s, x, dy, dw, db, scratch);
        return;
    }
    for (int h = 0; h < 2; h++, dw += c->out_c * c->in_c * c->kh * c->kw, db += c->out_c) {
        float *const own_x = block_of(s, x, c->in_c * c->in_h * c->in_w, h);
        float *const own_dy = block_of(s, dy, c->out_c * c->out_h * c->out_w, h);
        k->backward_weight(c, (struct cr_samples){ cr_block_samples(s, h), 8, 0 }, own_x, own_dy, dw, db, scratch);
        free(own_x), free(own_dy);
    }
}

void by_weight_linear(const struct cr_linear_kernels *k, int in, int out, struct cr_samples s, int apart,
                      const float *x, const float *dy, float *dw, float *db, float *scratch)
{
    if (!s.two || !apart) {
        k->backward_weight(in, out, s, x, dy, dw, db, scratch);
        return;
    }
    for (int h = 0; h < 2; h++, dw += in * out, db += out) {
        const struct cr_samples own = { cr_block_samples(s, h), 8, 0 };
        float *const own_x = block_of(s, x, in, h), *const own_dy = block_of(s, dy, out, h);
        k->backward_weight(in, out, own, own_x, own_dy, dw, db, scratch);
        free(own_x), free(own_dy);
    }
}
