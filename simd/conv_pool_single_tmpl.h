/* Convolution and the 2x2 max-pool behind it for samples that do not lie side by side (lanes 1). Part of conv_tmpl.h.
 *
 * Forward notes where each window's winner is, so that backward knows where dy of the convolution is not zero without
 * making it: one list of spikes a channel, for the gradients by weight and by input both. */
#ifndef CR_SIMD_CONV_POOL_SINGLE_TMPL_H
#define CR_SIMD_CONV_POOL_SINGLE_TMPL_H

#include "simd/conv_pool_tmpl.h"
#include "simd/conv_sparse_tmpl.h"
#include "simd/pool_window_tmpl.h"

/* Vectors of cells in a row of cells: one struct winner each, its bits being of neighbouring cells. */
static int cell_vectors(const struct cr_conv *c) { return (cell_columns(c) + VL - 1) / VL; }
/* Winners of a channel. */
static int single_winners_of(const struct cr_conv *c) { return cell_rows(c) * cell_vectors(c); }

static void pool_single_forward(const struct cr_conv *c, struct cr_samples s, const float *x, const float *w,
                                const float *b, float *y, void *won, float *scratch)
{
    const size_t row = (size_t)c->out_w, plane = (size_t)c->out_h * row;
    const int columns = cell_columns(c);
    const float *full = scratch;
    struct winner *winner = won;

    float *const room = scratch + ((size_t)(s.n * c->out_c) * plane + 15) / 16 * 16;
    if (product_pays(c, c->out_c, c->out_w))
        product_forward(c, s, x, w, b, scratch, room);
    else
        rows_forward(c, s, x, w, b, scratch, room);
    for (int i = 0; i < s.n * c->out_c; i++, full += plane)
        for (int cy = 0; cy < cell_rows(c); cy++, y += columns) {
#ifdef WIDE
            if (cell_vectors(c) == 2) {
                const struct cr_wide_winners found = WIDE(windows)(full + (size_t)(2 * cy) * row, c->out_w, columns, y);
                *winner++ = (struct winner){ (lane_bits)found.lower, (lane_bits)found.right };
                *winner++ = (struct winner){ (lane_bits)(found.lower >> VL), (lane_bits)(found.right >> VL) };
                continue;
            }
#endif
            for (int cx = 0; cx < columns; cx += VL, winner++) {
                const int n = imin(VL, columns - cx);
                vf value[4];
                windows(full + (size_t)(2 * cy) * row + 2 * cx, c->out_w, n, value);
                vf_store_n(y + cx, cell_winner(value, winner), n);
            }
        }
}

/* The spikes of one channel of one sample, (oy, ox) ascending: of a row of cells the winners in its upper row come
 * first. Returns how many. */
static size_t find_winners(const struct cr_conv *c, struct canvas v, const float *dy, const struct winner *won,
                           struct spikes spikes)
{
    const int columns = cell_columns(c), vectors = cell_vectors(c);
    int32_t steps[VL];
    size_t n = 0;
    for (int k = 0; k < VL; k++) steps[k] = 2 * k;
    for (int cy = 0; cy < cell_rows(c); cy++, dy += columns, won += vectors) {
#ifdef WIDE
        if (vectors == 2) {
            const struct cr_wide_winners both = { (uint16_t)(won[0].lower | won[1].lower << VL),
                                                  (uint16_t)(won[0].right | won[1].right << VL) };
            n += WIDE(spikes)(dy, columns, both, 2 * cy * (int)v.width, (int)v.width, spikes.g + n, spikes.at + n);
            continue;
        }
#endif
        for (int lower = 0; lower < 2; lower++)
            for (int i = 0; i < vectors; i++) {
                const int cx = i * VL, row = 2 * cy + lower;
                const vf g = columns - cx >= VL ? vf_load(dy + cx) : vf_load_n(dy + cx, columns - cx);
                const vm spike = vm_or(vf_gt(g, vf_zero()), vf_gt(vf_zero(), g));
                const vm here = vm_without(spike, vm_from_bits(lower ? ~won[i].lower : won[i].lower));
                const vi left = vi_add(vi_set1(row * (int)v.width + 2 * cx), vi_load(steps));
                const vi at = vf_as_i(vf_select(vm_from_bits(won[i].right), vi_as_f(vi_add(left, vi_set1(1))),
                                                vi_as_f(left)));
                n += vf_keep(here, g, at, spikes.g + n, spikes.at + n);
            }
    }
    return n;
}

static void pool_single_backward(const struct cr_conv *c, struct cr_samples s, const float *x, const float *dy,
                                 const void *won, const float *w, size_t step, float *dw, float *db, float *dx,
                                 float *scratch)
{
    const size_t cells = (size_t)(cell_rows(c) * cell_columns(c)), in = (size_t)(c->in_c * c->in_h * c->in_w);
    const struct canvas v = canvas_of(c);
    const struct sparse_weight by_weight = dw ? sparse_weight_in(c, s, scratch) : (struct sparse_weight){ 0 };
    float *end = dw ? by_weight.end : scratch;
    const struct sparse_input by_input = dx ? sparse_input_in(c, w, step, end) : (struct sparse_input){ 0 };
    if (dx) end = by_input.end;
    const struct spikes spikes = spikes_in(end, cells);
    const struct winner *winner = won;

    for (int i = 0; i < s.n; i++, x += in) {
        if (dw) sparse_weight_sample(c, &by_weight, x);
        if (dx) sparse_input_sample(&by_input);
        for (int o = 0; o < c->out_c; o++, dy += cells, winner += single_winners_of(c)) {
            const size_t count = find_winners(c, v, dy, winner, spikes);
            if (dw) sparse_weight_add(c, &by_weight, i, o, spikes, count);
            if (dx) sparse_input_add(c, &by_input, o, spikes, count);
        }
        if (dx) sparse_input_out(c, &by_input, dx + (size_t)i * in);
    }
    if (dw) sparse_weight_out(c, &by_weight, dw, db);
}

#endif
