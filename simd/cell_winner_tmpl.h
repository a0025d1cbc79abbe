/* A cell, which is the 2x2 outputs under a window of a max-pool: the greatest, and where it was, for cells as vectors.
 * Included after a vec_*.h. */
#ifndef CR_SIMD_CELL_WINNER_TMPL_H
#define CR_SIMD_CELL_WINNER_TMPL_H

/* One bit a lane. */
#if VL > 8
typedef uint16_t lane_bits;
#else
typedef uint8_t lane_bits;
#endif

/* Where in its cell the greatest value was, lane by lane. [group][channel][cell y][cell x][slice of lanes] */
struct winner {
    lane_bits lower, right;
};

/* The greatest of a cell's four values, in (y, x) order, and which it is: a later one only if greater. */
static inline __attribute__((always_inline)) vf cell_winner(const vf value[4], struct winner *won)
{
    const vm second = vf_gt(value[1], value[0]);
    vf max = vf_select(second, value[1], value[0]);
    const vm third = vf_gt(value[2], max);
    max = vf_select(third, value[2], max);
    const vm fourth = vf_gt(value[3], max);
    won->lower = (lane_bits)vm_bits(vm_or(third, fourth));
    won->right = (lane_bits)vm_bits(vm_or(vm_without(second, third), fourth));
    return vf_select(fourth, value[3], max);
}

#endif
