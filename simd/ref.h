/* What the scalar reference files share: names, lanes, and the place of a value in the block's arrangement.
 *
 * On x86 every reference file is compiled twice: as it stands (NAME_ref.o, fmaf is the C library's, for any CPU) and
 * with -mfma -DCR_REF_FMA (NAME_ref_fma.o, fmaf is one instruction). fmaf is exact either way: the same bits. */
#ifndef CR_SIMD_REF_H
#define CR_SIMD_REF_H

#include <stddef.h>

#ifdef CR_REF_FMA
#define REF(name) name##_ref_fma
#else
#define REF(name) name##_ref
#endif

enum { LANES = 16 }; /* sample i of a block is on lane i % LANES, whatever the arrangement */

/* One tensor of a block, t[group][channel][y][x][lane]. A linear layer's is t[group][feature][1][1][lane]. */
struct view {
    int channels, height, width, lanes;
};

/* Where t[group][channel][y][x] begins: its `lanes` values lie side by side. */
static inline ptrdiff_t at(struct view t, int group, int channel, int y, int x)
{
    return ((((ptrdiff_t)group * t.channels + channel) * t.height + y) * t.width + x) * t.lanes;
}

/* One comparison for both ends: is 0 <= i < n? */
static inline int inside(int i, int n) { return (unsigned)i < (unsigned)n; }

/* The fixed tree over 16 lanes: (i, i+8), then (i, i+4), (i, i+2), (i, i+1). Uses up the lanes. */
static inline float tree(float lane[LANES])
{
    for (int half = LANES / 2; half > 0; half /= 2)
        for (int i = 0; i < half; i++) lane[i] += lane[i + half];
    return lane[0];
}

#endif
