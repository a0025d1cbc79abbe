#define _POSIX_C_SOURCE 200809L
#include "dist/measure.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dist/dial.h"

enum { ALONE, ROUND, THREADS, SHORT, LONG, ADD }; /* ns, ns, -, ns, ns, 1e-15 s a byte */
_Static_assert(ADD + 1 == CR_MEASURE_WORDS, "a word for each");

enum { SHORTS = 15, LONGS = 5, LONG_LEAST = 1 << 16, LONG_MOST = 1 << 20 };
static const double compute_seconds = 0.025;

static const struct cr_link_model count_latency = { .latency = 1 }, count_bytes = { .byte = 1 };

/* A message of its own for trials. */
struct trial {
    struct cr_transport *t;
    struct cr_message m;
};

static int compare(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* The median time of n all-reduces; one more comes before. */
static int time_all(const struct trial *x, enum cr_way way, int n, int64_t *median, struct cr_error *e)
{
    int64_t took[SHORTS];
    for (int i = -1; i < n; i++) {
        const int64_t start = cr_clock();
        struct cr_message m = x->m;
        CR_TRY(cr_allreduce(x->t, way, &m, INT64_MAX, e));
        if (i >= 0) took[i] = cr_clock() - start;
    }
    qsort(took, (size_t)n, sizeof *took, compare);
    *median = took[n / 2];
    return 0;
}

static int wait_for_all(struct cr_transport *t, struct cr_error *e)
{
    _Alignas(CR_MESSAGE_ALIGN) char word[CR_MESSAGE_ALIGN];
    struct cr_message m = cr_message_in(word, (struct cr_message_shape){ .sums64 = 1 });
    return cr_allreduce(t, CR_WAY_DOUBLING, &m, INT64_MAX, e);
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

/* Has no rank before this one the same cores? */
static int is_first(struct cr_transport *t, int *first, struct cr_error *e)
{
    _Alignas(CR_MESSAGE_ALIGN) char bytes[CR_MAX_RANKS * sizeof(int64_t)];
    struct cr_message m = cr_message_in(bytes, (struct cr_message_shape){ .sums64 = (size_t)t->size });
    const int64_t own = machine();
    m.sum64[t->rank] = own;
    CR_TRY(cr_allreduce(t, CR_WAY_DOUBLING, &m, INT64_MAX, e));
    *first = 1;
    for (int i = 0; i < t->rank; i++) *first &= m.sum64[i] != own || own == 0;
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

static int time_network(struct cr_transport *t, size_t bytes, int64_t *words, struct cr_error *e)
{
    _Alignas(CR_MESSAGE_ALIGN) char word[CR_MESSAGE_ALIGN];
    const struct trial brief = { t, cr_message_in(word, (struct cr_message_shape){ .sums64 = 1 }) };
    void *const buffer = aligned_alloc(CR_MESSAGE_ALIGN, LONG_MOST);
    if (!buffer) return cr_fail(e, CR_E_NOMEM, "out of memory for trying the network");
    memset(buffer, 0, LONG_MOST);
    const struct trial full = { t, cr_message_in(buffer, long_shape(bytes)) };
    int rc = time_all(&brief, CR_WAY_DOUBLING, SHORTS, &words[SHORT], e);
    if (rc == 0) rc = time_all(&full, CR_WAY_RING, LONGS, &words[LONG], e);
    free(buffer);
    return rc;
}

static int64_t in_ns(double seconds) { return (int64_t)(seconds * 1e9) + 1; }

int cr_measure(struct cr_transport *t, const struct cr_workload *w, struct cr_message *m, struct cr_error *e)
{
    int64_t *const own = m->sum64 + (t ? t->rank : 0) * CR_MEASURE_WORDS;
    int first = 1;
    if (t) CR_TRY(is_first(t, &first, e));
    if (first) own[ALONE] = in_ns(w->compute(w->user, compute_seconds));
    if (t) CR_TRY(wait_for_all(t, e));
    own[ROUND] = t ? in_ns(w->compute(w->user, compute_seconds)) : own[ALONE];
    own[THREADS] = w->threads;
    own[ADD] = (int64_t)(cr_measure_add() * 1e15);
    if (!t) return 0;
    CR_TRY(wait_for_all(t, e));
    CR_TRY(time_network(t, w->bytes, own, e));
    return cr_allreduce(t, CR_WAY_DOUBLING, m, INT64_MAX, e);
}

/* ---- what follows */

/* The link that explains a short all-reduce by doubling and a long one by a ring, as the slowest rank saw them. */
static struct cr_link_model fit(const int64_t *words, int size, size_t bytes)
{
    double brief = 0, full = 0, add = 0;
    struct cr_link_model x;
    if (size < 2) return (struct cr_link_model){ .add = (double)words[ADD] * 1e-15 };
    for (int i = 0; i < size; i++, words += CR_MEASURE_WORDS) {
        if ((double)words[SHORT] * 1e-9 > brief) brief = (double)words[SHORT] * 1e-9;
        if ((double)words[LONG] * 1e-9 > full) full = (double)words[LONG] * 1e-9;
        if ((double)words[ADD] * 1e-15 > add) add = (double)words[ADD] * 1e-15;
    }
    const size_t n = cr_message_size(long_shape(bytes));
    x.latency = brief / cr_allreduce_seconds(CR_WAY_DOUBLING, size, 0, &count_latency);
    const double rest = full - x.latency * cr_allreduce_seconds(CR_WAY_RING, size, 0, &count_latency);
    const double bytes_alone = rest > full / 16 ? rest : full / 16;
    const double both = bytes_alone / cr_allreduce_seconds(CR_WAY_RING, size, n, &count_bytes);
    x.add = add < both / 2 ? add : both / 2;
    x.byte = both - x.add;
    return x;
}

void cr_measured_from(struct cr_measured *x, const struct cr_message *m, int size, const struct cr_workload *w,
                      int64_t *speed)
{
    struct cr_compute host[CR_MAX_RANKS], alone = { .threads = 1 };
    struct cr_prediction without;
    for (int i = 0; i < size; i++) {
        const int64_t *const words = m->sum64 + i * CR_MEASURE_WORDS;
        const int threads = words[THREADS] > 0 && words[THREADS] <= INT32_MAX ? (int)words[THREADS] : 1;
        host[i] = (struct cr_compute){ .round = 1e-9 * (double)words[ROUND], .threads = threads };
        speed[i] = 1 + (INT64_C(1) << 40) / (words[ROUND] > 0 ? words[ROUND] : 1) * threads;
        const struct cr_compute by_itself = { .round = 1e-9 * (double)words[ALONE], .threads = threads };
        if (words[ALONE] > 0 && (alone.round <= 0 || cr_predict_compute(&by_itself, w->blocks) <
                                                         cr_predict_compute(&alone, w->blocks)))
            alone = by_itself;
    }
    *x = (struct cr_measured){ .model = fit(m->sum64, size, w->bytes), .hosts = size, .hindrance = -1 };
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
