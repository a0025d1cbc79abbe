/* The matrix product around its tile: cache blocks, packing where it pays, parts for threads.
 *
 *     for each nc columns, kc steps, mc rows:
 *         pack the rows of A into panels of up to mr rows
 *         for each panel of up to nr columns: pack it, if this is its first use
 *             for each panel of rows: tile
 *
 * A cut is even, so that no tile is much smaller than another: 20 rows are 10 and 10, not 14 and 6. Columns are cut
 * between vectors. */
#include "simd/gemm.h"

enum {
    LEAST_SHARE = 40000, /* multiply-adds that make a thread of its own worth waiting for */
};

static size_t least(size_t a, size_t b) { return a < b ? a : b; }
static size_t parts_of(size_t n, size_t most) { return n ? (n + most - 1) / most : 1; }
static size_t round_up(size_t n, size_t to) { return (n + to - 1) / to * to; }

/* Where part i begins of n things cut into even parts. */
static size_t cut(size_t n, size_t parts, size_t i) { return n / parts * i + least(i, n % parts); }

/* The same for columns, cut between vectors. */
static size_t cut_columns(size_t n, size_t vector, size_t parts, size_t i)
{
    return least(cut(parts_of(n, vector), parts, i) * vector, n);
}

/* A part of a product; j and p tell fill_b where it begins. */
struct part {
    struct cr_gemm g;
    size_t j, p;
};

static struct part rows(struct part x, size_t from, size_t to)
{
    x.g.m = to - from;
    x.g.a += from * x.g.a_row;
    if (x.g.start) x.g.start += from * x.g.start_row;
    x.g.c += from * x.g.c_row;
    return x;
}

static struct part columns(struct part x, size_t from, size_t to)
{
    x.g.n = to - from;
    if (x.g.b) x.g.b += from * x.g.b_col;
    if (x.g.start) x.g.start += from * x.g.start_col;
    x.g.c += from;
    x.j += from;
    return x;
}

/* Steps from .. to-1; the first ones begin at start, the others where the chain pauses in C. */
static struct part steps(struct part x, size_t from, size_t to)
{
    x.g.k = to - from;
    x.g.a += from * x.g.a_col;
    if (x.g.b) x.g.b += from * x.g.b_row;
    x.p += from;
    if (from > 0) {
        x.g.start = x.g.c;
        x.g.start_row = x.g.c_row;
        x.g.start_col = 1;
    }
    return x;
}

/* A step of a packed panel of A: whole vectors. */
static size_t panel_step(const struct cr_gemm_kernels *kernels)
{
    return round_up((size_t)kernels->mr, (size_t)kernels->vector);
}

/* Packed panels of A, then of B: all of B's when another block of rows will need them again, else the one in use. */
static size_t floats_of_a(const struct cr_gemm_kernels *kernels, size_t m, size_t k)
{
    const size_t panels = parts_of(least(m, kernels->mc), (size_t)kernels->mr);
    return round_up(panels * panel_step(kernels) * least(k, kernels->kc), 16);
}

static size_t floats_of_b(const struct cr_gemm_kernels *kernels, size_t m, size_t n, size_t k)
{
    const size_t panels = m > kernels->mc ? parts_of(least(n, kernels->nc), (size_t)kernels->nr) : 1;
    return panels * (size_t)kernels->nr * least(k, kernels->kc);
}

size_t cr_gemm_scratch(const struct cr_gemm_kernels *kernels, size_t m, size_t n, size_t k)
{
    return floats_of_a(kernels, m, k) + floats_of_b(kernels, m, n, k);
}

size_t cr_gemm_scratch_of_rows(size_t m, size_t k)
{
    enum { VECTOR = 16 }; /* floats at most; a panel of A wastes a third */
    return (least(m, CR_GEMM_MOST_MC) * 4 / 3 + VECTOR + CR_GEMM_MOST_NR) * round_up(least(k, CR_GEMM_MOST_KC), 16);
}

/* Packing pays where elements are used often enough, and where they lie so that they evict each other from the
 * cache. */
static int worth_packing_a(const struct cr_gemm *g)
{
    enum { COLUMNS = 512, COLUMNS_OF_CLASH = 64, CLASH = 1024 };
    const int clash = g->a_row % CLASH == 0 && g->m > 1;
    return g->n >= (clash ? COLUMNS_OF_CLASH : COLUMNS);
}

static int worth_packing_b(const struct cr_gemm *g)
{
    enum { ROWS = 64, FLOATS_AT_HAND = 1 << 17 };
    return g->m > ROWS && g->k * g->n > FLOATS_AT_HAND;
}

/* How the tile reads a panel of columns of B: as it lies, if it can; else from `packed`, filled here if fresh. */
static void find_b(const struct cr_gemm_kernels *kernels, const struct part *x, int lies, int fresh, float *packed,
                   struct cr_gemm_tile *t)
{
    const struct cr_gemm *g = &x->g;
    const size_t vector = (size_t)kernels->vector;
    if (lies && g->n % vector == 0) {
        t->b = g->b;
        t->b_step = g->b_row;
        return;
    }
    t->b = packed;
    t->b_step = round_up(g->n, vector);
    if (!fresh) return;
    if (g->b)
        kernels->pack(g->n, g->k, g->b, g->b_col, g->b_row, packed, t->b_step);
    else
        g->fill_b(g->what, x->p, g->k, x->j, g->n, packed, t->b_step);
}

/* At most mc rows, kc steps, nc columns. keep_b: room for all panels of B; fresh: they are not packed yet. */
static void block(const struct cr_gemm_kernels *kernels, const struct part *x, int keep_b, int fresh, float *packed_a,
                  float *packed_b)
{
    const struct cr_gemm *g = &x->g;
    const size_t m = g->m, n = g->n, k = g->k, vector = (size_t)kernels->vector;
    const int b_lies = g->b && g->b_col == 1 && !keep_b && !worth_packing_b(g);
    const int few = b_lies && m <= (size_t)kernels->few && n % vector == 0; /* none is packed: that has room for nr */
    const size_t high = parts_of(m, (size_t)kernels->mr);
    const size_t wide = parts_of(n, (size_t)(few ? kernels->few_nr : kernels->nr));
    const size_t panel_a = k * panel_step(kernels), panel_b = keep_b ? k * (size_t)kernels->nr : 0;
    const int pack_a = worth_packing_a(g);
    struct cr_gemm_tile t = { .k = k,
                              .a_row = g->a_row,
                              .a_step = g->a_col,
                              .start_row = g->start_row,
                              .start_col = g->start_col,
                              .c_row = g->c_row };

    for (size_t i = 0; pack_a && i < high; i++) {
        const size_t from = cut(m, high, i), count = cut(m, high, i + 1) - from;
        t.a_row = 1;
        t.a_step = panel_step(kernels);
        kernels->pack(count, k, g->a + from * g->a_row, g->a_row, g->a_col, packed_a + i * panel_a, t.a_step);
    }
    for (size_t j = 0; j < wide; j++) {
        const struct part xj = columns(*x, cut_columns(n, vector, wide, j), cut_columns(n, vector, wide, j + 1));
        find_b(kernels, &xj, b_lies, fresh, packed_b + j * panel_b, &t);
        for (size_t i = 0, from = 0; i < high; i++) {
            const size_t count = m / high + (i < m % high);
            t.a = pack_a ? packed_a + i * panel_a : g->a + from * g->a_row;
            t.start = g->start ? xj.g.start + from * g->start_row : NULL;
            t.c = xj.g.c + from * g->c_row;
            kernels->tile((int)count, (int)xj.g.n, &t);
            from += count;
        }
    }
}

static void product(const struct cr_gemm_kernels *kernels, struct part x, float *scratch)
{
    const size_t m = x.g.m, n = x.g.n, k = x.g.k;
    if (m == 0 || n == 0) return;
    const size_t ms = parts_of(m, kernels->mc), ns = parts_of(n, kernels->nc), ks = parts_of(k, kernels->kc);
    float *const packed_b = scratch + floats_of_a(kernels, m, k);

    for (size_t j = 0; j < ns; j++) {
        const struct part xj = columns(x, cut_columns(n, (size_t)kernels->vector, ns, j),
                                       cut_columns(n, (size_t)kernels->vector, ns, j + 1));
        for (size_t p = 0; p < ks; p++) {
            const struct part xp = steps(xj, cut(k, ks, p), cut(k, ks, p + 1));
            for (size_t i = 0; i < ms; i++) {
                const struct part xi = rows(xp, cut(m, ms, i), cut(m, ms, i + 1));
                block(kernels, &xi, ms > 1, i == 0, scratch, packed_b);
            }
        }
    }
}

void cr_gemm(const struct cr_gemm_kernels *kernels, const struct cr_gemm *g, float *scratch)
{
    product(kernels, (struct part){ .g = *g }, scratch);
}

/* How many parts in height of so many threads: the division with the least to compute and to pack for each. */
static size_t best_height(const struct cr_gemm_kernels *kernels, const struct cr_gemm *g, size_t threads)
{
    enum { PACKING = 8 }; /* cost of a row or column in columns or rows */
    const size_t vectors = parts_of(g->n, (size_t)kernels->vector);
    size_t best = 1, best_cost = (size_t)-1;
    for (size_t high = 1; high <= threads; high++) {
        if (threads % high) continue;
        const size_t m = parts_of(g->m, high), n = parts_of(vectors, threads / high) * (size_t)kernels->vector;
        const size_t cost = m * n + PACKING * (m + n);
        if (cost < best_cost) {
            best = high;
            best_cost = cost;
        }
    }
    return best;
}

void cr_gemm_share(const struct cr_gemm_kernels *kernels, const struct cr_gemm *g, int thread, int threads,
                   float *scratch)
{
    const size_t worth = g->m * g->n * g->k / LEAST_SHARE, t = (size_t)thread;
    const size_t parts = worth ? least((size_t)threads, worth) : 1;
    if (t >= parts) return;
    const size_t high = best_height(kernels, g, parts), wide = parts / high, vector = (size_t)kernels->vector;
    const size_t i = t / wide, j = t % wide;
    struct part x = { .g = *g };
    x = rows(x, cut(g->m, high, i), cut(g->m, high, i + 1));
    x = columns(x, cut_columns(g->n, vector, wide, j), cut_columns(g->n, vector, wide, j + 1));
    product(kernels, x, scratch);
}
