/* The gradients of a convolution with a 2x2 max-pool behind it, for samples side by side, each sample by itself. Part
 * of conv_tmpl.h.
 *
 * Of the four outputs of a window one has a gradient, in each sample another one: side by side, nothing can be left
 * out. So samples are taken apart, VL at a time: x, the pooled dy and where the winners are; what a sample's winners
 * add (conv_pool_single_tmpl.h) is a quarter of the work, less what the activation stopped; and dx is put side by side
 * again. Vectors of 16 samples have it done by those of 8 (conv_apart.h): the latter are as long as a sample's rows of
 * taps. */
#ifndef CR_SIMD_CONV_APART_TMPL_H
#define CR_SIMD_CONV_APART_TMPL_H

#include "simd/conv_apart.h"
#include "simd/conv_pool_single_tmpl.h"

/* VL samples apart: [sample][...], as these lie one sample alone. */
struct apart {
    float *dy, *dx;
    struct winner *won;
    float *end; /* of the scratch they use */
};

static struct apart apart_in(const struct cr_conv *c, size_t in, size_t cells, float *scratch)
{
    struct apart a = { .dx = scratch, .dy = scratch + (VL * in + 15) / 16 * 16 };
    a.won = (struct winner *)(void *)(a.dy + (VL * cells + 15) / 16 * 16);
    a.end = (float *)(void *)a.won + ((size_t)(VL * c->out_c * single_winners_of(c)) + 15) / 16 * 16;
    return a;
}

/* x of VL samples, `lanes` floats a pixel, to their canvases. */
static void canvases_apart(const struct cr_conv *c, const struct sparse_weight *k, size_t lanes, const float *x)
{
    const size_t plane = (size_t)(c->in_h * c->in_w) * lanes, pad = (size_t)c->pad;
    for (int y = 0; y < c->in_h; y++, x += (size_t)c->in_w * lanes) {
        float *to = k->canvas + (((size_t)y + pad) * k->v.width + pad) * k->pixel;
        if (k->last)
            for (int at = 0; at < c->in_w; at++, to += k->pixel)
                turn(c->in_c, VL, x + (size_t)at * lanes, plane, to, k->image, ROOM_TO);
        else
            for (int i = 0; i < c->in_c; i++, to += k->v.plane)
                turn(c->in_w, VL, x + (size_t)i * plane, lanes, to, k->image, ROOM_NOWHERE);
    }
}

/* Bit i of byte k becomes bit k of byte i. (Warren, Hacker's Delight, 7-3) */
static inline uint64_t turn_bits(uint64_t a)
{
    uint64_t t = (a ^ a >> 7) & 0x00aa00aa00aa00aa;
    a ^= t ^ t << 7;
    t = (a ^ a >> 14) & 0x0000cccc0000cccc;
    a ^= t ^ t << 14;
    t = (a ^ a >> 28) & 0x00000000f0f0f0f0;
    return a ^ t ^ t << 28;
}

/* Winners of cells, a bit a sample, become those of samples, a bit a cell. from: of these samples, `bytes` before where
 * the bits of the right column are, `step` bytes before those of the next cell. */
static void winners_apart(const struct cr_conv *c, const uint8_t *from, int bytes, int step, struct winner *to)
{
    const int columns = cell_columns(c), of_sample = c->out_c * single_winners_of(c);
    for (int row = 0; row < c->out_c * cell_rows(c); row++)
        for (int cx = 0; cx < columns; cx += VL, to++) {
            uint64_t lower = 0, right = 0;
            for (int k = 0; k < imin(VL, columns - cx); k++, from += step) {
                lower |= (uint64_t)from[0] << 8 * k;
                right |= (uint64_t)from[bytes] << 8 * k;
            }
            lower = turn_bits(lower);
            right = turn_bits(right);
            for (int l = 0; l < VL; l++, lower >>= 8, right >>= 8)
                to[l * of_sample] = (struct winner){ (lane_bits)lower, (lane_bits)right };
        }
}

/* Counted in vector multiplications, as measured: to take a cell apart costs some, to find a spike some, and then its
 * vectors, by input with few registers a load and a store besides each, by weight at least the latency of one; each
 * chain by weight is begun, stored and added up once. `wide` vectors, and those that select (conv_select_tmpl.h), do as
 * many side by side in half the time. */
static struct cr_apart apart_pays(const struct cr_conv *c, struct cr_samples s, const float *dy, int wide, int selects)
{
    enum { CELL = SELECTS ? 12 : 16, SPIKE = 8, LATENCY = 7, CHAIN = 4, BY_INPUT = SELECTS ? 1 : 3 };
    const size_t cells = (size_t)(cr_groups(s) * s.lanes) * (size_t)(c->out_c * cell_rows(c) * cell_columns(c));
    const size_t window = (size_t)(c->kh * c->kw), faster = (wide ? 2u : 1u) * (selects ? 2u : 1u);
    const size_t dense = 4 * cells * window * (size_t)c->in_c / VL / faster;
    const size_t by_input = (size_t)vectors_in_taps(c), by_weight = (size_t)imin(vectors_in_rows(c), (int)by_input);
    if (c->stride != 1 || c->kw < 3 || CELL * cells > dense) return (struct cr_apart){ 0, 0 };
    const size_t spikes = count_spikes(dy, cells), each = SPIKE * spikes + CELL * cells;
    const size_t chains = CHAIN * (size_t)(s.n * c->out_c) * by_weight;
    const size_t weight = spikes * (by_weight > LATENCY ? by_weight : LATENCY) + each + chains;
    const size_t input = BY_INPUT * spikes * by_input + each;
    return (struct cr_apart){ weight < dense && cr_conv_apart_fits(c, s), input < dense };
}

static void apart_backward(const struct cr_conv *c, struct cr_samples s, const float *x, const float *dy,
                           const void *won, int wide, const float *w, size_t step, float *dw, float *db, float *dx,
                           float *scratch)
{
    const size_t in = (size_t)(c->in_c * c->in_h * c->in_w), lanes = (size_t)s.lanes;
    const size_t cells = (size_t)(c->out_c * cell_rows(c) * cell_columns(c)), taps = cr_conv_step(c);
    const int slices = s.lanes / VL, bytes = wide ? 2 : 1, each = s.each ? s.each : s.n;
    const struct cr_samples block = { .n = each, .lanes = 1 };
    const struct apart a = apart_in(c, in, cells, scratch);
    const struct pool_single p = pool_single_in(c, block, w, step, dw != NULL, dx != NULL, VL, a.end);

    const uint8_t *winner = won;
    for (int i = 0, g = 0; g < cr_groups(s);
         g++, x += in * lanes, dy += cells * lanes, winner += 2 * cells * (size_t)slices)
        for (int slice = 0; slice < slices; slice++) {
            if (dw) canvases_apart(c, &p.by_weight, lanes, x + slice * VL);
            turn((int)cells, VL, dy + slice * VL, lanes, a.dy, cells, ROOM_NOWHERE);
            winners_apart(c, winner + (wide ? slice : 2 * slice), bytes, 2 * slices, a.won);
            for (size_t l = 0; l < VL; l++, i++) {
                float *const dx_sample = dx ? a.dx + l * in : NULL;
                if (i >= s.n) {
                    if (dx) put_zeros(dx_sample, in);
                    continue;
                }
                if (dw && i % each == 0) sparse_weight_begin(&p.by_weight);
                const float *const canvas = dw ? p.by_weight.canvas + l * p.by_weight.image : NULL;
                pool_single_sample(c, &p, i % each, canvas, a.dy + l * cells,
                                   a.won + l * (size_t)(c->out_c * single_winners_of(c)), dx_sample);
                if (dw && ((i + 1) % each == 0 || i + 1 == s.n)) {
                    sparse_weight_out(c, &p.by_weight, dw, db);
                    dw += (size_t)c->out_c * taps;
                    db += c->out_c;
                }
            }
            if (dx) turn(VL, in, a.dx, in, dx + (size_t)g * in * lanes + slice * VL, lanes, ROOM_TO);
        }
}

#ifdef WIDE
const struct cr_apart_kernels CONV(cr_apart) = { apart_pays, apart_backward };
#endif

#endif
