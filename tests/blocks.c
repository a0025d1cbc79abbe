#include "tests/blocks.h"

#include <stdlib.h>
#include <string.h>

/* The h-th of blocks that lie side by side, with eight lanes of its own. per: values a sample; the caller frees. */
static float *block_of(struct cr_samples s, const float *all, int per, int h)
{
    float *const own = aligned_alloc(64, (size_t)(per + 1) / 2 * 2 * 8 * sizeof *own); /* whole lines */
    memset(own, 0, (size_t)per * 8 * sizeof *own);
    for (int k = 0; k < per; k++)
        memcpy(own + k * 8, all + k * s.lanes + s.each * h, (size_t)cr_block_samples(s, h) * sizeof *own);
    return own;
}

static struct cr_samples samples_of(struct cr_samples s, int h)
{
    return (struct cr_samples){ cr_block_samples(s, h), 8, 0 };
}

void by_weight_conv(const struct cr_conv_kernels *k, const struct cr_conv *c, struct cr_samples s, int apart,
                    const float *x, const float *dy, float *dw, float *db, float *scratch)
{
    if (!s.each || !apart) {
        k->backward_weight(c, s, x, dy, dw, db, scratch);
        return;
    }
    for (int h = 0; h < cr_blocks(s); h++, dw += c->out_c * c->in_c * c->kh * c->kw, db += c->out_c) {
        float *const own_x = block_of(s, x, c->in_c * c->in_h * c->in_w, h);
        float *const own_dy = block_of(s, dy, c->out_c * c->out_h * c->out_w, h);
        k->backward_weight(c, samples_of(s, h), own_x, own_dy, dw, db, scratch);
        free(own_x), free(own_dy);
    }
}

void by_weight_linear(const struct cr_linear_kernels *k, int in, int out, struct cr_samples s, int apart,
                      const float *x, const float *dy, float *dw, float *db, float *scratch)
{
    for (int h = 0; h < cr_blocks(s); h++, dw += in * out, db += out) {
        if (!s.each || !apart) { /* a kernel sees a block from its first lane */
            const struct cr_samples own = { cr_block_samples(s, h), s.lanes, 0 };
            k->backward_weight(in, out, own, x + h * s.each, dy + h * s.each, dw, db, scratch);
            continue;
        }
        float *const own_x = block_of(s, x, in, h), *const own_dy = block_of(s, dy, out, h);
        k->backward_weight(in, out, samples_of(s, h), own_x, own_dy, dw, db, scratch);
        free(own_x), free(own_dy);
    }
}
