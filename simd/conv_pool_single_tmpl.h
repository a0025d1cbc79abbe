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

/* What a vector of cells says: their gradients, where the winners' windows begin, which are not zero, and which of
 * these winners are in the lower row. */
struct cell_spikes {
    vf g;
    vi at;
    unsigned bits, lower;
};

/* The first n. at: where the window of the first cell's first output begins. */
static inline struct cell_spikes cell_spikes(const float *dy, const struct winner *won, int n, int at)
{
    static const int32_t steps[8] = { 0, 2, 4, 6, 8, 10, 12, 14 };
    struct cell_spikes s = { .g = n == VL ? vf_load(dy) : vf_load_n(dy, n), .lower = won->lower };
    const vi left = vi_add(vi_set1(at), vi_load(steps));
    const vf right = vi_as_f(vi_add(left, vi_set1(1)));
    s.at = vf_as_i(vf_select(vm_from_bits(won->right), right, vi_as_f(left)));
    s.bits = not_zero(s.g);
    return s;
}

/* The spikes of one channel of one sample, (oy, ox) ascending: of a row of cells the winners in its upper row come
 * first. Returns how many. */
static size_t find_winners(const struct cr_conv *c, struct canvas v, const float *dy, const struct winner *won,
                           struct spikes spikes)
{
    const int columns = cell_columns(c), vectors = cell_vectors(c), width = (int)v.width;
    const vi below = vi_set1(width);
    size_t n = 0;
    for (int cy = 0; cy < cell_rows(c); cy++, dy += columns, won += vectors) {
#ifdef WIDE
        if (vectors == 2) {
            const struct cr_wide_winners both = { (uint16_t)(won[0].lower | won[1].lower << VL),
                                                  (uint16_t)(won[0].right | won[1].right << VL) };
            n += WIDE(spikes)(dy, columns, both, 2 * cy * width, width, spikes.g + n, spikes.at + n);
            continue;
        }
#endif
        if (vectors == 1) {
            const struct cell_spikes s = cell_spikes(dy, won, columns, 2 * cy * width);
            n += vf_keep(s.bits & ~s.lower, columns, s.g, s.at, spikes.g + n, spikes.at + n);
            n += vf_keep(s.bits & s.lower, columns, s.g, vi_add(s.at, below), spikes.g + n, spikes.at + n);
            continue;
        }
        for (int lower = 0; lower < 2; lower++)
            for (int i = 0; i < vectors; i++) {
                const int cx = i * VL, count = imin(VL, columns - cx);
                const struct cell_spikes s = cell_spikes(dy + cx, won + i, count, (2 * cy + lower) * width + 2 * cx);
                n += vf_keep(s.bits & (lower ? s.lower : ~s.lower), count, s.g, s.at, spikes.g + n, spikes.at + n);
            }
    }
    return n;
}

/* What one sample after the other adds to: by weight, by input, or both. */
struct pool_single {
    int weight, input;
    struct sparse_weight by_weight;
    struct sparse_input by_input;
    struct spikes spikes;
};

static struct pool_single pool_single_in(const struct cr_conv *c, struct cr_samples s, const float *w, size_t step,
                                         int weight, int input, size_t canvases, float *scratch)
{
    struct pool_single p = { .weight = weight, .input = input };
    if (weight) {
        p.by_weight = sparse_weight_in(c, s, canvases, scratch);
        scratch = p.by_weight.end;
    }
    if (input) {
        p.by_input = sparse_input_in(c, w, step, scratch);
        scratch = p.by_input.end;
    }
    p.spikes = spikes_in(scratch, (size_t)(cell_rows(c) * cell_columns(c)));
    return p;
}

/* Sample i, whose x is in that canvas. dx: NULL if not asked for. */
static void pool_single_sample(const struct cr_conv *c, const struct pool_single *p, int i, const float *canvas,
                               const float *dy, const struct winner *won, float *dx)
{
    const size_t cells = (size_t)(cell_rows(c) * cell_columns(c));
    const struct canvas v = canvas_of(c);
    if (p->input) sparse_input_sample(&p->by_input);
    for (int o = 0; o < c->out_c; o++, dy += cells, won += single_winners_of(c)) {
        const size_t count = find_winners(c, v, dy, won, p->spikes);
        if (p->weight) sparse_weight_add(c, &p->by_weight, i, o, canvas, p->spikes, count);
        if (p->input) sparse_input_add(c, &p->by_input, o, p->spikes, count);
    }
    if (p->input) sparse_input_out(c, &p->by_input, dx);
}

static void pool_single_backward(const struct cr_conv *c, struct cr_samples s, const float *x, const float *dy,
                                 const void *won, const float *w, size_t step, float *dw, float *db, float *dx,
                                 float *scratch)
{
    const size_t in = (size_t)(c->in_c * c->in_h * c->in_w);
    const size_t cells = (size_t)(c->out_c * cell_rows(c) * cell_columns(c));
    const struct pool_single p = pool_single_in(c, s, w, step, dw != NULL, dx != NULL, 1, scratch);
    const struct winner *winner = won;

    if (dw) sparse_weight_begin(&p.by_weight);
    for (int i = 0; i < s.n; i++, x += in, dy += cells, winner += c->out_c * single_winners_of(c)) {
        if (dw) sparse_weight_sample(c, &p.by_weight, x);
        pool_single_sample(c, &p, i, p.by_weight.canvas, dy, winner, dx ? dx + (size_t)i * in : NULL);
    }
    if (dw) sparse_weight_out(c, &p.by_weight, dw, db);
}

#endif
