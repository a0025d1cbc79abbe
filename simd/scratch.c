/* How much scratch the convolution and linear kernels want: enough for every instruction set, so that an arena is
 * planned once and a kernel chosen later. */
#include "simd/kernels.h"
#include "simd/tables.h"

/* Planes of x are set apart by an odd number of lines; samples side by side are 4 vectors at most. */
enum { LINE = 16, APART = 2 * LINE, MOST_SLICES = 4 };

static size_t lines(size_t floats)
{
    return (floats + LINE - 1) / LINE * LINE;
}

static size_t larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Samples by themselves, sparse. Gradient by weight: chains in pieces of 4 or 8 taps, or taps of all channels,
 * whichever are fewer; images, an offset for each vector. By input: dx and w channels last. Both: a list of spikes. */
static size_t bordered_plane(const struct cr_conv *c)
{
    return (size_t)(c->in_h + 2 * c->pad) * (size_t)(c->in_w + 2 * c->pad);
}

/* Vectors of `length` that a channel's taps take. */
static size_t sparse_vectors(const struct cr_conv *c, size_t length)
{
    const size_t in_c = (size_t)c->in_c, kh = (size_t)c->kh, kw = (size_t)c->kw;
    return smaller(in_c * kh * ((kw + length - 1) / length), kh * kw * ((in_c + length - 1) / length));
}

static size_t sparse_chains(const struct cr_conv *c, struct cr_samples s)
{
    const size_t each = (size_t)(s.each ? s.each : s.n);
    return smaller(each, 16) * (size_t)c->out_c * (sparse_vectors(c, 8) + 1) * 8;
}

/* Floats of these chains at most, of each thread, for samples taken apart. */
enum { MOST_APART = 5 * 1024 * 1024 };

int cr_conv_apart_fits(const struct cr_conv *c, struct cr_samples s) { return sparse_chains(c, s) <= MOST_APART; }

static size_t sparse_by_weight(const struct cr_conv *c, size_t held, size_t canvases)
{
    const size_t canvas = lines(lines((size_t)c->in_c) * bordered_plane(c) + LINE) + LINE;
    const size_t words = sizeof(size_t) / sizeof(float);
    return held + canvases * canvas + words * lines(sparse_vectors(c, 4) + LINE);
}

static size_t sparse_by_input(const struct cr_conv *c)
{
    return (bordered_plane(c) + (size_t)c->out_c * (size_t)c->kh * (size_t)c->kw) * lines((size_t)c->in_c);
}

static size_t spikes(size_t positions)
{
    return 2 * lines(positions + LINE); /* as spikes_in() has it */
}

/* By weight: as many chains as may wait, or those of the smallest lot, all taps of a turn of outputs and of a tile's
 * channels; those of such a lot that are complete; those of the bias; and as many as a tree takes too many. */
static size_t chains(const struct cr_conv *c)
{
    enum { TURN = 28, PLANES = 6, TREE = 3 }; /* at most */
    const size_t area = (size_t)c->kh * (size_t)c->kw, all = (size_t)c->out_c;
    const size_t every = all * (size_t)c->in_c * area * LINE, smallest = TURN * PLANES * area * LINE;
    const size_t most = larger(CR_CONV_CHAINS, smallest);
    return smaller(every, most) + smaller(every, smallest) + (all + 2 * TREE) * LINE;
}

/* As products: a picture with its borders, and what its product wants. By input: weights turned, pixels of a phase, dy
 * as a picture. By weight: chains of up to 16 lanes, a panel turned. */
static size_t products(const struct cr_conv *c, struct cr_samples s)
{
    const size_t in_c = (size_t)c->in_c, out_c = (size_t)c->out_c, stride = (size_t)c->stride;
    const size_t kh = (size_t)c->kh, kw = (size_t)c->kw, in_h = (size_t)c->in_h, in_w = (size_t)c->in_w;
    const size_t out_h = (size_t)c->out_h, out_w = (size_t)c->out_w, lanes = s.n < 16 ? (size_t)s.n : 16;
    const size_t taps = in_c * kh * kw, weights = lines(out_c * taps + CR_CONV_BEHIND);
    const size_t picture = lines(in_c * ((out_h - 1) * stride + kh) * stride * (out_w + kw / stride) + LINE);
    const size_t picture_of_dy = lines(out_c * (in_h / stride + 1 + kh) * (in_w / stride + 1 + kw) + LINE);
    const size_t forward = picture + cr_gemm_scratch_of_rows(out_c, taps);
    const size_t input = weights + lines(in_c * in_h * in_w) + picture_of_dy +
                         cr_gemm_scratch_of_rows(in_c, out_c * kh * kw);
    const size_t weight = lanes * (weights + lines(out_c)) + picture + CR_CONV_PANEL +
                          cr_gemm_scratch_of_rows(out_c, out_h * out_w);
    return larger(forward, larger(input, weight));
}

size_t cr_conv_scratch(const struct cr_conv *c, struct cr_samples s)
{
    const size_t lanes = (size_t)s.lanes, area = (size_t)c->kh * (size_t)c->kw;
    const size_t in_c = (size_t)c->in_c, out_c = (size_t)c->out_c;
    const size_t pad = (size_t)c->pad, in_h = (size_t)c->in_h, in_w = (size_t)c->in_w;
    const size_t packed = lines(in_c * out_c * area + CR_CONV_BEHIND);
    /* One group of x with borders beside the rows; one of dy with room for the taps; all of x in slices of lanes, or,
     * with a max-pool behind, with borders all round. */
    const size_t forward = in_c * (in_h * (in_w + 2 * pad) * lanes + APART);
    const size_t input = out_c * ((size_t)c->out_h * ((size_t)c->out_w + 2 * (size_t)c->kw) * lanes + APART);
    const size_t x_plane = (in_h + 2 * pad) * (in_w + 2 * pad) * lanes + MOST_SLICES * APART;
    const size_t rows = larger(CR_CONV_ROWS, CR_CONV_LOT * (size_t)c->out_w * lanes) + CR_CONV_LOT * APART;
    const size_t weight = (size_t)cr_groups(s) * in_c * x_plane + rows + chains(c);
    if (s.lanes > 1) return packed + lines(larger(forward, larger(input, weight)));

    /* One sample at a time. Dense: chains of up to 16 lanes, dy channels last, an offset for each tap, an image. */
    const size_t channels = lines(out_c), lanes16 = s.n < 16 ? (size_t)s.n : 16;
    const size_t positions = (size_t)c->out_h * (size_t)c->out_w, plane = (in_h + 2 * pad) * (in_w + 2 * pad);
    const size_t words = sizeof(size_t) / sizeof(float);
    const size_t dense = lanes16 * (in_c * area + 1) * channels + lines(positions * channels) +
                         words * lines(in_c * area + LINE) + in_c * plane;
    const size_t sparse = larger(sparse_by_weight(c, sparse_chains(c, s), 1), sparse_by_input(c)) + spikes(positions);
    return lines(larger(larger(packed + larger(forward, input), products(c, s)), larger(dense, sparse)));
}

size_t cr_conv_pool_scratch(const struct cr_conv *c, struct cr_samples s)
{
    const size_t positions = (size_t)c->out_h * (size_t)c->out_w;
    const size_t places = (size_t)cr_groups(s) * (size_t)s.lanes;
    const size_t full = lines(places * (size_t)c->out_c * positions) + cr_conv_scratch(c, s);
    const size_t others = sparse_by_input(c) + 2 * spikes(positions);
    if (s.lanes == 1) return lines(larger(full, sparse_by_weight(c, sparse_chains(c, s), 1) + others));
    /* Samples taken apart, 8 at a time: dx, dy, winners; x as canvases. A part of the layer, or a smaller block, may
     * fit where the whole does not. */
    const size_t in = (size_t)c->in_c * (size_t)c->in_h * (size_t)c->in_w;
    const size_t cells = (size_t)c->out_c * positions / 4, winners = cells + (size_t)(c->out_c * c->out_h);
    const size_t held = smaller(sparse_chains(c, s), MOST_APART); /* by chains */
    const size_t apart = lines(8 * in) + lines(8 * cells) + lines(8 * winners);
    return lines(larger(full, apart + sparse_by_weight(c, held, 8) + others));
}

size_t cr_linear_scratch(int in, int out, struct cr_samples s)
{
    (void)out;
    return lines((size_t)in) * (size_t)s.n;
}
