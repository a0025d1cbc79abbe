/* The gradient by weight for samples side by side: the register tile. Part of conv_tmpl.h.
 *
 * A register tile stays put while positions pass by: output channels x taps of one row of the window, in one or more
 * channels of x. Per lane, one chain over (sample, oy, ox). Lanes are then added in the fixed tree. Terms with zeros
 * beside the picture are left out, so that x is read where it lies. */
#ifndef CR_SIMD_CONV_WEIGHT_TILE_TMPL_H
#define CR_SIMD_CONV_WEIGHT_TILE_TMPL_H

#include "simd/conv_border_tmpl.h"

/* A tile has at most TILE_O x TILE_T chains: where registers are few, a row of four or five taps goes with fewer
 * outputs. */
enum { TILE_ROW_T = TILE_T < 5 ? 5 : TILE_T };

/* Where a vector is a whole line, windows of a single tap have their lines asked for. */
enum { FETCHES = VL >= 16 };

/* How chains of a tile wait for the next rows: in the order of the weights, as complete ones are put down, or side by
 * side. Where a vector has all lanes the time to find their places is felt; where it has not, chains whose other lanes
 * are made later wait where they are. */
enum { WAIT_IN_ORDER = VL < 16 };

/* Positions, a vector each: dy[o * y_plane + (oy * width + ox) * VL] meets, under tap t of channel k,
 * x[k * x_plane + oy * x_row + (column + ox * stride + t) * VL], if that column is one of 0..in_w-1; width is all three
 * parts of a row. Strides in floats. */
struct field {
    int rows, stride, column, in_w;
    int left, inside, right; /* positions of a row: all taps of those inside are within the picture */
    int lacks_one;           /* left and right are at most one position, which lacks the first tap, or the last */
    size_t x_row, x_plane, y_plane;
    size_t to_k;             /* from the chains of one channel of x to those of the next, where they go */
    const float *next_x, *next_chains; /* of a single tap: two planes and the chains that are wanted next; or NULL */
};

/* A position: what is under the first tap in each channel of x, and in each channel of dy. Pointers of their own, for
 * the compiler would make more of them from a few, and then have no registers. */
struct position {
    const float *x[TILE_T], *dy[TILE_O];
};

static inline __attribute__((always_inline)) void go_right(const int to, const int planes, struct position *at, int n,
                                                           int stride)
{
    UNROLL for (int k = 0; k < planes; k++)
    {
        at->x[k] += n * stride * VL;
        FORGET(at->x[k]);
    }
    UNROLL for (int o = 0; o < to; o++)
    {
        at->dy[o] += n * VL;
        FORGET(at->dy[o]);
    }
}

/* The position under the taps t0..t1-1 of each channel: acc[o][k * columns + t]. */
static inline __attribute__((always_inline)) void weight_taps(const int to, const int planes, const int columns,
                                                              const int t0, const int t1, const struct position *at,
                                                              vf (*acc)[TILE_ROW_T])
{
    vf g[TILE_O];
    UNROLL for (int o = 0; o < to; o++) g[o] = vf_load(at->dy[o]);
    UNROLL for (int t = t0; t < t1; t++)
        UNROLL for (int k = 0; k < planes; k++)
        {
            const vf in = vf_load(at->x[k] + t * VL);
            UNROLL for (int o = 0; o < to; o++) acc[o][k * columns + t] = vf_fma(in, g[o], acc[o][k * columns + t]);
        }
}

/* n positions at an end of a row, the first of them with `column` under tap 0: those taps that are within. */
static inline __attribute__((always_inline)) void weight_end(const int to, const int planes, const int columns, int n,
                                                             int column, const struct field *f, struct position *at,
                                                             vf (*acc)[TILE_ROW_T])
{
    for (; n > 0; n--, column += f->stride) {
        UNROLL for (int t = 0; t < columns; t++)
            if ((unsigned)(column + t) < (unsigned)f->in_w) weight_taps(to, planes, columns, t, t + 1, at, acc);
        go_right(to, planes, at, 1, f->stride);
    }
}

/* A position under all taps. Of x and dy, the fewer vectors stay in registers while the others pass by. */
static inline __attribute__((always_inline)) void weight_position(const int to, const int planes, const int columns,
                                                                  const struct position *at, vf (*acc)[TILE_ROW_T])
{
    const int tt = planes * columns;
    vf kept[TILE_O > TILE_ROW_T ? TILE_O : TILE_ROW_T];
    if (to <= tt) {
        UNROLL for (int o = 0; o < to; o++) kept[o] = vf_load(at->dy[o]);
        UNROLL for (int t = 0; t < tt; t++)
        {
            const vf in = vf_load(at->x[t / columns] + t % columns * VL);
            UNROLL for (int o = 0; o < to; o++) acc[o][t] = vf_fma(in, kept[o], acc[o][t]);
        }
    } else {
        UNROLL for (int t = 0; t < tt; t++) kept[t] = vf_load(at->x[t / columns] + t % columns * VL);
        UNROLL for (int o = 0; o < to; o++)
        {
            const vf g = vf_load(at->dy[o]);
            UNROLL for (int t = 0; t < tt; t++) acc[o][t] = vf_fma(kept[t], g, acc[o][t]);
        }
    }
}

/* columns - 1 positions side by side under all taps, a stride of 1. Of each row of x one vector a position is new; it
 * takes the place of the one that is done with. in: what the first one meets under all taps but the last. */
static inline __attribute__((always_inline)) void weight_positions(const int to, const int planes, const int columns,
                                                                   const struct position *at, vf (*in)[TILE_T],
                                                                   vf (*acc)[TILE_ROW_T])
{
    const int last = columns - 1;
    UNROLL for (int p = 0; p < last; p++)
    {
        vf g[TILE_O];
        UNROLL for (int o = 0; o < to; o++) g[o] = vf_load(at->dy[o] + p * VL);
        UNROLL for (int t = 0; t <= last; t++)
            UNROLL for (int k = 0; k < planes; k++)
            {
                vf *const slot = &in[k][(p + t) % last];
                if (t == last) *slot = vf_load(at->x[k] + (p + last) * VL);
                UNROLL for (int o = 0; o < to; o++)
                    acc[o][k * columns + t] = vf_fma(*slot, g[o], acc[o][k * columns + t]);
            }
    }
}

/* The same where registers are few, in one channel of x: there is room for all taps but the last, whose vector is read
 * where it lies, and then takes the place of the first; and for one vector of dy. */
static inline __attribute__((always_inline)) void weight_positions_few(const int to, const int columns,
                                                                       const struct position *at, vf *in,
                                                                       vf (*acc)[TILE_ROW_T])
{
    const int last = columns - 1;
    UNROLL for (int p = 0; p < last; p++)
    {
        UNROLL for (int o = 0; o < to; o++)
        {
            IN_TURN();
            const vf g = vf_load(at->dy[o] + p * VL);
            UNROLL for (int t = 0; t < last; t++) acc[o][t] = vf_fma_in(in[(p + t) % last], g, acc[o][t]);
            acc[o][last] = vf_fma_at(at->x[0] + (p + last) * VL, g, acc[o][last]);
        }
        IN_TURN();
        in[p] = vf_load(at->x[0] + (p + last) * VL);
    }
}

/* n positions of a single tap, for which little is done with each vector that comes from the second cache: at each one,
 * three lines of what is wanted next are asked for. */
static inline __attribute__((always_inline)) void weight_single(const int to, const int planes, int n,
                                                                const struct field *f, struct position *at,
                                                                vf (*acc)[TILE_ROW_T])
{
    const float *next_x = f->next_x, *chain = f->next_chains;
    const size_t x_plane = f->x_plane;
    for (; n > 0; n--, next_x += VL, chain += 16) {
        __builtin_prefetch(next_x, 0, 3);
        __builtin_prefetch(next_x + x_plane, 0, 3);
        __builtin_prefetch(chain, 1, 3);
        weight_position(to, planes, 1, at, acc);
        go_right(to, planes, at, 1, 1);
    }
}

/* n positions under all taps: whole tiles take several at a time. */
static inline __attribute__((always_inline)) void weight_run(const int to, const int planes, const int columns, int n,
                                                             const struct field *f, struct position *at,
                                                             vf (*acc)[TILE_ROW_T])
{
    const int last = columns - 1;
    if (FETCHES && columns == 1 && to == TILE_O && f->next_x) {
        weight_single(to, planes, n, f, at, acc);
        return;
    }
    if (TILE_T >= 6 && columns > 1 && to == TILE_O && f->stride == 1) {
        vf in[TILE_T][TILE_T];
        UNROLL for (int k = 0; k < planes; k++)
            UNROLL for (int t = 0; t < last; t++) in[k][t] = vf_load(at->x[k] + t * VL);
        for (; n >= last; n -= last, go_right(to, planes, at, last, 1))
            weight_positions(to, planes, columns, at, in, acc);
    }
    if (TILE_T < 6 && columns > 2 && to == imin(TILE_O, TILE_O * TILE_T / columns) && f->stride == 1) {
        vf in[TILE_ROW_T];
        UNROLL for (int t = 0; t < last; t++) in[t] = vf_load(at->x[0] + t * VL);
        for (; n >= last; n -= last, go_right(to, planes, at, last, 1)) weight_positions_few(to, columns, at, in, acc);
    }
    const int stride = f->stride;
    for (; n > 0; n--, go_right(to, planes, at, 1, stride)) weight_position(to, planes, columns, at, acc);
}

/* A row: x is where the first position's first tap is, or would be. */
static inline __attribute__((always_inline)) void weight_row(const int to, const int planes, const int columns,
                                                             const struct field *f, struct position *at,
                                                             vf (*acc)[TILE_ROW_T])
{
    if (f->left) {
        if (columns > 1 && f->lacks_one) {
            weight_taps(to, planes, columns, 1, columns, at, acc);
            go_right(to, planes, at, 1, f->stride);
        } else {
            weight_end(to, planes, columns, f->left, f->column, f, at, acc);
        }
    }
    if (f->inside) weight_run(to, planes, columns, f->inside, f, at, acc);
    if (f->right) {
        if (columns > 1 && f->lacks_one) {
            weight_taps(to, planes, columns, 0, columns - 1, at, acc);
            go_right(to, planes, at, 1, f->stride);
        } else {
            weight_end(to, planes, columns, f->right, f->column + (f->left + f->inside) * f->stride, f, at, acc);
        }
    }
}

/* to[(o * planes + k) * to_k + t * 16 ..+VL) = chains, which begin at +0, or, if from is not NULL, go on from there:
 * tiles WAIT_IN_ORDER as they are put down, or as small as can be, (o, k, t, 16). x: row 0, column 0. */
static inline __attribute__((always_inline)) void weight_body(const int outputs, const int planes, const int columns,
                                                              const struct field *f, const float *x,
                                                              const float *dy, const float *from, float *to)
{
    const size_t from_k = WAIT_IN_ORDER ? f->to_k : (size_t)columns * 16;
    vf acc[TILE_O][TILE_ROW_T];
    UNROLL for (int o = 0; o < outputs; o++)
        UNROLL for (int k = 0; k < planes; k++)
            UNROLL for (int t = 0; t < columns; t++)
                acc[o][k * columns + t] = from ? vf_load(from + (size_t)(o * planes + k) * from_k + t * 16) : vf_zero();
    struct position at;
    UNROLL for (int o = 0; o < outputs; o++, dy += f->y_plane)
    {
        at.dy[o] = dy;
        FORGET(dy);
    }
    x += f->column * VL;
    for (int oy = f->rows; oy > 0; oy--, x += f->x_row) {
        const float *plane = x;
        UNROLL for (int k = 0; k < planes; k++, plane += f->x_plane)
        {
            FORGET(plane);
            at.x[k] = plane;
        }
        weight_row(outputs, planes, columns, f, &at, acc);
    }
    UNROLL for (int o = 0; o < outputs; o++)
        UNROLL for (int k = 0; k < planes; k++, to += f->to_k)
            UNROLL for (int t = 0; t < columns; t++) vf_store(to + t * 16, acc[o][k * columns + t]);
}

/* The body with constant sizes: channels of dy, channels of x, taps in each. */
typedef void weight_fn(const struct field *f, const float *x, const float *dy, const float *from, float *to);
#define WEIGHT(TO, K, T)                                                                                               \
    static void weight_##TO##_##K##_##T(const struct field *f, const float *x, const float *dy, const float *from,     \
                                        float *to)                                                                     \
    {                                                                                                                  \
        weight_body(TO, K, T, f, x, dy, from, to);                                                                     \
    }
#if TILE_T >= 6
#define WEIGHTS(TO)                                                                                                    \
    WEIGHT(TO, 1, 1) WEIGHT(TO, 1, 2) WEIGHT(TO, 1, 3) WEIGHT(TO, 1, 4) WEIGHT(TO, 1, 5) WEIGHT(TO, 1, 6)              \
    WEIGHT(TO, 2, 1) WEIGHT(TO, 2, 2) WEIGHT(TO, 2, 3)                                                                 \
    WEIGHT(TO, 3, 1) WEIGHT(TO, 3, 2) WEIGHT(TO, 4, 1) WEIGHT(TO, 5, 1) WEIGHT(TO, 6, 1)
#define WEIGHT_KINDS(TO)                                                                                               \
    {                                                                                                                  \
        { weight_##TO##_1_1, weight_##TO##_1_2, weight_##TO##_1_3, weight_##TO##_1_4, weight_##TO##_1_5,               \
          weight_##TO##_1_6 },                                                                                         \
        { weight_##TO##_2_1, weight_##TO##_2_2, weight_##TO##_2_3 }, { weight_##TO##_3_1, weight_##TO##_3_2 },         \
        { weight_##TO##_4_1 }, { weight_##TO##_5_1 }, { weight_##TO##_6_1 },                                           \
    }
WEIGHTS(1) WEIGHTS(2) WEIGHTS(3) WEIGHTS(4)

static weight_fn *const weight_of[TILE_O][TILE_T][TILE_ROW_T] = { /* [channels of dy - 1][of x - 1][taps - 1] */
    WEIGHT_KINDS(1), WEIGHT_KINDS(2), WEIGHT_KINDS(3), WEIGHT_KINDS(4),
};
#else
#define WEIGHTS(TO)                                                                                                    \
    WEIGHT(TO, 1, 1) WEIGHT(TO, 1, 2) WEIGHT(TO, 1, 3) WEIGHT(TO, 2, 1) WEIGHT(TO, 3, 1)
WEIGHTS(1) WEIGHTS(2) WEIGHTS(3) WEIGHTS(4)
WEIGHT(1, 1, 4) WEIGHT(2, 1, 4) WEIGHT(3, 1, 4) WEIGHT(1, 1, 5) WEIGHT(2, 1, 5)
#define WEIGHT_KINDS(TO, ...)                                                                                          \
    {                                                                                                                  \
        { weight_##TO##_1_1, weight_##TO##_1_2, weight_##TO##_1_3, __VA_ARGS__ }, { weight_##TO##_2_1 },               \
        { weight_##TO##_3_1 },                                                                                         \
    }

static weight_fn *const weight_of[TILE_O][TILE_T][TILE_ROW_T] = { /* [channels of dy - 1][of x - 1][taps - 1] */
    WEIGHT_KINDS(1, weight_1_1_4, weight_1_1_5), WEIGHT_KINDS(2, weight_2_1_4, weight_2_1_5),
    WEIGHT_KINDS(3, weight_3_1_4), WEIGHT_KINDS(4, NULL),
};
#endif

#endif
