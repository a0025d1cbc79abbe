/* Where dy of one sample is not zero: after max-pooling three of four values are zero, after ReLU half. Part of
 * conv_tmpl.h. */
#ifndef CR_SIMD_CONV_SPIKES_TMPL_H
#define CR_SIMD_CONV_SPIKES_TMPL_H

#include "simd/conv_border_tmpl.h"

/* Values of dy that are not zero, and where their windows begin in the bordered image. Room for 16 more than there
 * are. */
struct spikes {
    float *g;
    int32_t *at;
};

static struct spikes spikes_in(float *space, size_t most)
{
    return (struct spikes){ space, (int32_t *)(void *)(space + (most + 16 + 15) / 16 * 16) };
}

/* The image with its borders, as both gradients address it. */
struct canvas {
    size_t width, plane;
};

static struct canvas canvas_of(const struct cr_conv *c)
{
    const size_t width = (size_t)(c->in_w + 2 * c->pad);
    return (struct canvas){ width, width * (size_t)(c->in_h + 2 * c->pad) };
}

/* A bit a lane. What is no number is not zero. */
static inline unsigned not_zero(vf g) { return vm_bits(vf_eq(g, vf_zero())) ^ ((1u << VL) - 1); }

/* The spikes of one channel of dy, (oy, ox) ascending; returns how many. */
static size_t find_spikes(const struct cr_conv *c, struct canvas v, const float *dy, struct spikes spikes)
{
    int32_t steps[VL];
    size_t n = 0;
    for (int k = 0; k < VL; k++) steps[k] = k * c->stride;
    for (int oy = 0; oy < c->out_h; oy++, dy += c->out_w) {
        const int row = oy * c->stride * (int)v.width;
        for (int ox = 0; ox < c->out_w; ox += VL) {
            const int count = imin(VL, c->out_w - ox);
            const vf g = count == VL ? vf_load(dy + ox) : vf_load_n(dy + ox, count);
            const vi at = vi_add(vi_set1(row + ox * c->stride), vi_load(steps));
            n += vf_keep(not_zero(g), count, g, at, spikes.g + n, spikes.at + n);
        }
    }
    return n;
}

/* Values that are not zero: what a sparse pass costs. */
static size_t count_spikes(const float *dy, size_t n)
{
    size_t zeros = 0, i = 0;
    for (; i + VL <= n; i += VL) zeros += (size_t)__builtin_popcount(vm_bits(vf_eq(vf_load(dy + i), vf_zero())));
    for (; i < n; i++) zeros += dy[i] == 0;
    return n - zeros;
}

#endif
