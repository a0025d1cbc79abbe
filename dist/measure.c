#define _POSIX_C_SOURCE 200809L
#include "dist/measure.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dist/dial.h"

/* A rank's words: ns of a round of blocks, alone and with all; ns of its part of a step with all, and of that step;
 * threads; the first rank of its machine, and processors there; ns of a short and of a long all-reduce; 1e-15 s to add
 * a byte. */
enum { ALONE, ROUND, PART, STEP, THREADS, MACHINE, CORES, SHORT, LONG, ADD };
_Static_assert(ADD + 1 == CR_MEASURE_WORDS, "a word for each");

enum { SHORTS = 15, LONGS = 5, LONG_LEAST = 1 << 16, LONG_MOST = 1 << 20 };
enum { STEPS_LEAST = 4, STEPS_MOST = 32 };
static const int64_t alone_ns = 25000000, together_ns = 20000000;

static const struct cr_link_model count_latency = { .latency = 1 }, count_bytes = { .byte = 1 };

static int compare(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* The median time of n all-reduces; one more comes before. */
static int time_all(struct cr_transport *t, const struct cr_message *x, enum cr_way way, int n, int64_t *median,
                    struct cr_error *e)
{
    int64_t took[SHORTS];
    for (int i = -1; i < n; i++) {
        const int64_t start = cr_clock();
        struct cr_message m = *x;
        CR_TRY(cr_allreduce(t, way, &m, INT64_MAX, e));
        if (i >= 0) took[i] = cr_clock() - start;
    }
    qsort(took, (size_t)n, sizeof *took, compare);
    *median = took[n / 2];
    return 0;
}

/* All come together; *most: the greatest of what they bring. */
static int agree(struct cr_transport *t, uint32_t *most, struct cr_error *e)
{
    _Alignas(CR_MESSAGE_ALIGN) char word[CR_MESSAGE_ALIGN];
    struct cr_message m = cr_message_in(word, (struct cr_message_shape){ .maxima = 1 });
    m.max32[0] = *most;
    CR_TRY(cr_allreduce(t, CR_WAY_DOUBLING, &m, INT64_MAX, e));
    *most = m.max32[0];
    return 0;
}

/* Tells machines apart: a hash of the kernel's boot id; 0 = unknown. */
static int64_t machine(void)
{
    char id[64];
    const int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    const ssize_t n = fd < 0 ? 0 : read(fd, id, sizeof id);
    uint64_t hash = 0xcbf29ce484222325; /* FNV-1a */
    if (fd >= 0) close(fd);
    for (ssize_t i = 0; i < n; i++) hash = (hash ^ (uint8_t)id[i]) * 0x100000001b3;
    return n > 0 ? (int64_t)(hash >> 1) : 0;
}

/* The first rank that has the same cores as this one. */
static int find_first(struct cr_transport *t, int64_t *first, struct cr_error *e)
{
    _Alignas(CR_MESSAGE_ALIGN) char bytes[CR_MAX_RANKS * sizeof(int64_t)];
    struct cr_message m = cr_message_in(bytes, (struct cr_message_shape){ .sums64 = (size_t)t->size });
    const int64_t own = machine();
    m.sum64[t->rank] = own;
    CR_TRY(cr_allreduce(t, CR_WAY_DOUBLING, &m, INT64_MAX, e));
    *first = 0;
    while (*first < t->rank && (own == 0 || m.sum64[*first] != own)) ++*first;
    return 0;
}

static size_t long_size(size_t bytes)
{
    return bytes < LONG_LEAST ? LONG_LEAST : bytes > LONG_MOST ? LONG_MOST : bytes;
}

static struct cr_message_shape long_shape(size_t bytes)
{
    return (struct cr_message_shape){ .sums32 = long_size(bytes) / sizeof(uint32_t) };
}

/* Times of the short message and of *full, and of adding; agreed on, so that every rank fits the same model. */
static int time_network(struct cr_transport *t, const struct cr_message *full, int64_t *words, struct cr_error *e)
{
    static const int timed[] = { SHORT, LONG, ADD };
    _Alignas(CR_MESSAGE_ALIGN) char word[CR_MESSAGE_ALIGN];
    const struct cr_message brief = cr_message_in(word, (struct cr_message_shape){ .sums64 = 1 });
    CR_TRY(time_all(t, &brief, CR_WAY_DOUBLING, SHORTS, &words[SHORT], e));
    CR_TRY(time_all(t, full, CR_WAY_RING, LONGS, &words[LONG], e));
    words[ADD] = (int64_t)(cr_measure_add() * 1e15);
    for (size_t i = 0; i < sizeof timed / sizeof *timed; i++) {
        uint32_t most = words[timed[i]] < UINT32_MAX ? (uint32_t)words[timed[i]] : UINT32_MAX;
        CR_TRY(agree(t, &most, e));
        words[timed[i]] = most;
    }
    return 0;
}

/* The link that explains a short all-reduce by doubling and a long one by a ring. */
static struct cr_link_model fit(const int64_t *words, int size, size_t bytes)
{
    const double brief = 1e-9 * (double)words[SHORT], full = 1e-9 * (double)words[LONG];
    struct cr_link_model x = { .add = 1e-15 * (double)words[ADD] };
    if (size < 2) return x;
    const size_t n = cr_message_size(long_shape(bytes));
    x.latency = brief / cr_allreduce_seconds(CR_WAY_DOUBLING, size, 0, &count_latency);
    const double rest = full - x.latency * cr_allreduce_seconds(CR_WAY_RING, size, 0, &count_latency);
    const double bytes_alone = rest > full / 16 ? rest : full / 16;
    const double both = bytes_alone / cr_allreduce_seconds(CR_WAY_RING, size, n, &count_bytes);
    if (x.add > both / 2) x.add = both / 2;
    x.byte = both - x.add;
    return x;
}

/* ---- compute */

static long rounds_of(const struct cr_workload *w, long blocks) { return (blocks + w->threads - 1) / w->threads; }

static int64_t time_compute(const struct cr_workload *w, long blocks)
{
    const int64_t start = cr_clock();
    w->compute(w->user, blocks);
    return cr_clock() - start + 1;
}

/* The mean ns of a round. */
static int64_t time_alone(const struct cr_workload *w)
{
    int64_t sum = 0;
    long rounds = 0;
    time_compute(w, w->threads); /* memory is touched */
    const int64_t once = time_compute(w, w->threads);
    const int64_t fitting = alone_ns / 4 / once + 1;
    const long blocks = fitting < w->blocks / w->threads ? (long)fitting * w->threads : w->blocks;
    while (sum < alone_ns) {
        sum += time_compute(w, blocks);
        rounds += rounds_of(w, blocks);
    }
    return sum / rounds;
}

/* An equal share of a step on every rank, or as much of it as there is time for, and again until the time is over by
 * the slowest one's clock. round: what is known of its ns; 0 = nothing. */
static int time_together(struct cr_transport *t, const struct cr_workload *w, const struct cr_message *full,
                         int64_t round, int64_t *words, struct cr_error *e)
{
    const struct cr_link_model model = fit(words, t->size, w->bytes);
    const enum cr_way way = cr_allreduce_way(t->size, full->size, &model);
    uint32_t us = (uint32_t)(round / 1000);
    if (!round) w->compute(w->user, w->threads);
    CR_TRY(agree(t, &us, e));
    const int64_t slowest = (int64_t)us * 1000 + 1;
    const int64_t fitting = together_ns / STEPS_LEAST / slowest + 1;
    const long share = (w->blocks + t->size - 1) / t->size;
    const long rounds = rounds_of(w, share) < fitting ? rounds_of(w, share) : (long)fitting;
    const long blocks = rounds * w->threads < share ? rounds * w->threads : share;
    int64_t steps = together_ns / (rounds * slowest), own = 0;
    if (steps < STEPS_LEAST) steps = STEPS_LEAST;
    if (steps > STEPS_MOST) steps = STEPS_MOST;
    const int64_t start = cr_clock();
    for (int i = 0; i < steps; i++) {
        struct cr_message m = *full;
        own += time_compute(w, blocks);
        CR_TRY(cr_allreduce(t, way, &m, INT64_MAX, e));
    }
    words[ROUND] = own / steps / rounds + 1;
    words[PART] = own / steps;
    words[STEP] = (cr_clock() - start) / steps;
    return 0;
}

static int measure_with(struct cr_transport *t, const struct cr_workload *w, int64_t *words, struct cr_error *e)
{
    void *const buffer = aligned_alloc(CR_MESSAGE_ALIGN, LONG_MOST);
    if (!buffer) return cr_fail(e, CR_E_NOMEM, "out of memory for trying the network");
    memset(buffer, 0, LONG_MOST);
    const struct cr_message full = cr_message_in(buffer, long_shape(w->bytes));
    int rc = find_first(t, &words[MACHINE], e);
    if (rc == 0 && words[MACHINE] == t->rank) words[ALONE] = time_alone(w);
    if (rc == 0) rc = time_network(t, &full, words, e);
    if (rc == 0) rc = time_together(t, w, &full, words[ALONE], words, e);
    free(buffer);
    return rc;
}

int cr_measure(struct cr_transport *t, const struct cr_workload *w, struct cr_message *m, struct cr_error *e)
{
    int64_t *const own = m->sum64 + (t ? t->rank : 0) * CR_MEASURE_WORDS;
    own[THREADS] = w->threads;
    own[CORES] = w->cores;
    if (t) {
        CR_TRY(measure_with(t, w, own, e));
        return cr_allreduce(t, CR_WAY_DOUBLING, m, INT64_MAX, e);
    }
    own[ALONE] = own[ROUND] = time_alone(w);
    own[ADD] = (int64_t)(cr_measure_add() * 1e15);
    return 0;
}

/* ---- what follows */

/* Have the ranks of i's machine more threads than it has cores? */
static int is_crowded(const int64_t *words, int size, int i)
{
    const int64_t *const own = words + i * CR_MEASURE_WORDS;
    int64_t threads = 0;
    for (int j = 0; j < size; j++, words += CR_MEASURE_WORDS)
        if (words[MACHINE] == own[MACHINE]) threads += words[THREADS];
    return threads > own[CORES];
}

/* ROUND or PART of rank i. On a crowded machine the mean of its ranks: who of them was quick had a core, and the next
 * time it will be another. */
static double typical(const int64_t *words, int size, int i, int what)
{
    const int64_t *const own = words + i * CR_MEASURE_WORDS;
    if (!is_crowded(words, size, i)) return own[what] > 1 ? (double)own[what] : 1;
    double sum = 0;
    int n = 0;
    for (int j = 0; j < size; j++, words += CR_MEASURE_WORDS)
        if (words[MACHINE] == own[MACHINE]) {
            sum += (double)words[what];
            n++;
        }
    return sum > n ? sum / n : 1;
}

/* By how much a step without its all-reduce is longer than the longest part of a rank: now one is late, now another,
 * and messages are slower while others compute. */
static double straggling(const int64_t *words, int size, double network)
{
    double step = 0, part = 1;
    for (int i = 0; i < size; i++) {
        const double own = typical(words, size, i, PART), took = (double)words[i * CR_MEASURE_WORDS + STEP];
        if (own > part) part = own;
        if (took > step) step = took;
    }
    step -= 1e9 * network;
    return step > part ? step / part : 1;
}

void cr_measured_from(struct cr_measured *x, const struct cr_message *m, int size, const struct cr_workload *w,
                      int64_t *speed)
{
    struct cr_compute host[CR_MAX_RANKS], alone = { .threads = 1 };
    struct cr_prediction without;
    const struct cr_link_model model = fit(m->sum64, size, w->bytes);
    const size_t full = cr_message_size(long_shape(w->bytes));
    const double network = cr_allreduce_seconds(cr_allreduce_way(size, full, &model), size, full, &model);
    const double late = size > 1 ? straggling(m->sum64, size, network) : 1;
    for (int i = 0; i < size; i++) {
        const int64_t *const words = m->sum64 + i * CR_MEASURE_WORDS;
        const int threads = words[THREADS] > 0 && words[THREADS] <= INT32_MAX ? (int)words[THREADS] : 1;
        const double round = 1e-9 * late * typical(m->sum64, size, i, ROUND);
        host[i] = (struct cr_compute){ .round = round, .threads = threads };
        speed[i] = 1 + (INT64_C(1) << 40) / (words[ROUND] > 0 ? words[ROUND] : 1) * threads;
        const struct cr_compute by_itself = { .round = 1e-9 * (double)words[ALONE], .threads = threads };
        if (words[ALONE] > 0 && (alone.round <= 0 || cr_predict_compute(&by_itself, w->blocks) <
                                                         cr_predict_compute(&alone, w->blocks)))
            alone = by_itself;
    }
    *x = (struct cr_measured){ .model = model, .hosts = size, .hindrance = -1 };
    x->prediction = cr_predict(&alone, host, size, w->blocks, w->bytes, &x->model);
    if (size < 2) return;
    x->hindrance = cr_predict_hindrance(&alone, host, size, w->blocks, w->bytes, &x->model, &without);
    x->without = without.speedup;
}

void cr_measured_put(struct cr_writer *w, const struct cr_measured *x)
{
    const double all[] = { x->model.latency, x->model.byte, x->model.add, x->prediction.alone, x->prediction.compute,
                           x->prediction.network, x->prediction.speedup, x->prediction.share, x->without };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) cr_put_double(w, all[i]);
    cr_put_u32(w, (uint32_t)x->prediction.way);
    cr_put_u32(w, (uint32_t)x->hosts);
    cr_put_u32(w, (uint32_t)(x->hindrance + 1));
}

void cr_measured_get(struct cr_reader *r, struct cr_measured *x)
{
    double *const all[] = { &x->model.latency, &x->model.byte, &x->model.add, &x->prediction.alone,
                            &x->prediction.compute, &x->prediction.network, &x->prediction.speedup,
                            &x->prediction.share, &x->without };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) *all[i] = cr_get_double(r);
    x->prediction.way = cr_get_u32(r) == CR_WAY_RING ? CR_WAY_RING : CR_WAY_DOUBLING;
    x->hosts = (int)cr_get_u32(r);
    x->hindrance = (int)cr_get_u32(r) - 1;
}

double cr_measure_add(void)
{
    enum { BYTES = 1 << 18, TIMES = 8 };
    struct cr_message m;
    char *const buffer = aligned_alloc(CR_MESSAGE_ALIGN, 2 * BYTES);
    if (!buffer) return 1e-10;
    memset(buffer, 0, 2 * BYTES);
    m = cr_message_in(buffer, (struct cr_message_shape){ .sums32 = BYTES / sizeof(uint32_t) });
    int64_t least = INT64_MAX;
    for (int i = 0; i < TIMES; i++) {
        const int64_t start = cr_clock();
        cr_message_combine(&m, 0, m.size, buffer + BYTES);
        const int64_t took = cr_clock() - start;
        if (took < least) least = took;
    }
    free(buffer);
    return 1e-9 * (double)(least > 0 ? least : 1) / BYTES;
}
