#include "core/lanes.h"

#include "core/layer.h"

static int chosen; /* 0 = by the size of the block */

int cr_lanes_shared(long n)
{
    if (chosen) return chosen;
    return n > 8 ? 16 : n > 2 ? 8 : 1;
}

/* No more than the table likes: by weight, convolutions have to copy what lies wider than their vectors. */
int cr_lanes(const struct cr_kernels *k, long n)
{
    const int lanes = cr_lanes_shared(n);
    return !chosen && k->side && lanes > k->side ? k->side : lanes;
}

static int convolves(const struct cr_net *net)
{
    for (int i = 0; i < net->layers; i++)
        if (net->layer[i].type == &cr_layer_conv) return 1;
    return 0;
}

int cr_lanes_of(const struct cr_net *net, const struct cr_kernels *k, long n)
{
    enum { FEW = 6 };
    return !chosen && n <= FEW && convolves(net) ? 1 : cr_lanes(k, n);
}

int cr_lanes_of_blocks(const struct cr_kernels *k, int blocks, long n)
{
    const long samples = blocks * n;
    if (n <= 2 && samples <= 8) return 0;
    return samples > 8 ? k->side : 8;
}

int cr_blocks_at_once(const struct cr_kernels *k, long n)
{
    const int fits = n > 1 && (n & (n - 1)) == 0 && k->side / n > 1, blocks = fits ? (int)(k->side / n) : 1;
    return !chosen && fits && cr_lanes_of_blocks(k, blocks, n) ? blocks : 1;
}

int cr_lanes_choose(long lanes, struct cr_error *e)
{
    if (lanes != 0 && lanes != 1 && lanes != 8 && lanes != 16)
        return cr_fail(e, CR_E_USAGE, "%ld samples side by side: kernels take 1, 8 or 16; 0 leaves it to speed", lanes);
    chosen = (int)lanes;
    return 0;
}
