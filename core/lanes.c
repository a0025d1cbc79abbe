#include "core/lanes.h"

static int chosen; /* 0 = by the size of the block */

int cr_lanes(long n)
{
    if (chosen) return chosen;
    return n > 8 ? 16 : n > 2 ? 8 : 1;
}

int cr_two_blocks(const struct cr_kernels *k, long n)
{
    return k->two && n == CR_TWO_EACH && !chosen;
}

int cr_lanes_choose(long lanes, struct cr_error *e)
{
    if (lanes != 0 && lanes != 1 && lanes != 8 && lanes != 16)
        return cr_fail(e, CR_E_USAGE, "%ld samples side by side: kernels take 1, 8 or 16; 0 goes by block size", lanes);
    chosen = (int)lanes;
    return 0;
}
