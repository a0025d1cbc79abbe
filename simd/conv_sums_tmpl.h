/* Gradients for samples side by side, a chain per lane: the fixed tree over lanes, and the gradient by bias. Part of
 * conv_tmpl.h. */
#ifndef CR_SIMD_CONV_SUMS_TMPL_H
#define CR_SIMD_CONV_SUMS_TMPL_H

#include "simd/conv_border_tmpl.h"

/* sum[e] = the fixed tree over lane[e], for n elements; of the lanes only the first few are there, the others +0 and
 * not read. There is room for a whole last four. */
static void trees(float (*lane)[16], int n, int lanes, float *sum)
{
    float four[4];
    int e = 0;
#ifdef tree_sixteen
    for (; lanes == 16 && e + 16 <= n; e += 16) tree_sixteen((const float(*)[16])(lane + e), sum + e);
#endif
    for (; e + 4 <= n; e += 4) tree_four((const float(*)[16])(lane + e), lanes, sum + e);
    if (e == n) return;
    tree_four((const float(*)[16])(lane + e), lanes, four);
    for (int i = 0; e + i < n; i++) sum[e + i] = four[i];
}

/* The same for the h-th of blocks side by side, else for the only one. */
static void block_trees(float (*lane)[16], int n, struct cr_samples s, int h, float *sum)
{
    trees((float(*)[16])(void *)&lane[0][h * s.each], n, s.each ? s.each : s.n <= 8 ? 8 : 16, sum);
}

/* The gradient by bias of at most n channels: carry chains on over `positions`. lane: (channel, 16). As many
 * independent chains as hide an addition's latency. */
static inline __attribute__((always_inline)) void bias_chains(const int n, int channels, size_t positions,
                                                              const float *dy, size_t y_plane, float *lane, int go_on)
{
    vf acc[8];
    const float *from[8];
    UNROLL for (int i = 0; i < n; i++)
    {
        const int k = imin(i, channels - 1);
        from[i] = dy + (size_t)k * y_plane;
        acc[i] = go_on ? vf_load(lane + k * 16) : vf_zero();
    }
    for (size_t p = 0; p < positions * VL; p += VL)
        UNROLL for (int i = 0; i < n; i++) acc[i] = vf_add(acc[i], vf_load(from[i] + p));
    UNROLL for (int i = 0; i < n; i++) vf_store(lane + imin(i, channels - 1) * 16, acc[i]);
}

/* Of any number of channels. */
static void bias_rows(int channels, size_t positions, const float *dy, size_t y_plane, float *lane, int go_on)
{
    for (; channels > 4; channels -= 8, dy += 8 * y_plane, lane += 8 * 16)
        bias_chains(8, channels, positions, dy, y_plane, lane, go_on);
    if (channels > 0) bias_chains(4, channels, positions, dy, y_plane, lane, go_on);
}

#endif
