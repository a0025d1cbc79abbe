/* corering bench allreduce: how fast ranks combine their messages, beside what their sockets can carry at most.
 *
 * The ranks are processes of this machine that talk over TCP as hosts do: this one is rank 0, the others are forked. Or
 * each is on a host of its own (--at, --rank), and this is one of them. */
#define _POSIX_C_SOURCE 200809L
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "apps/bench.h"
#include "apps/bench_meet.h"
#include "apps/commands.h"
#include "core/number.h"
#include "core/team.h"
#include "dist/allreduce.h"
#include "dist/comm.h"
#include "dist/dial.h"
#include "dist/pair.h"
#include "dist/tcp.h"

enum { MOST_RANKS = 64, LEAST_TIMES = CR_BENCH_REPETITIONS, MOST_TIMES = 1000, PIECE = 256 << 10 };
static const int64_t size_ns = 200000000, patience_ns = 60 * INT64_C(1000000000), spin_ns = 50000;

struct args {
    struct cr_bench_args common;
    long ranks, most, rank;
    const char *at;
};

static const struct cr_option options[] = {
    { .letter = 'n', .name = "ranks", .argument = "N", .help = "processes of this machine", .standard = "2",
      .set = cr_option_count, .offset = offsetof(struct args, ranks) },
    { .name = "max", .argument = "BYTES", .help = "the largest message", .standard = "268435456",
      .set = cr_option_count, .offset = offsetof(struct args, most) },
    { .name = "at", .argument = "A,B,...",
      .help = "measure between hosts instead, whose addresses these are; start this on each, with its --rank. There is"
              " no job key: for a network of your own",
      .set = cr_option_text, .offset = offsetof(struct args, at) },
    { .name = "rank", .argument = "N",
      .help = "with --at: which of them this host is, from 0 on; rank 0 shows the figures", .standard = "0",
      .set = cr_option_count, .offset = offsetof(struct args, rank) },
    CR_BENCH_JSON,
    { 0 },
};

/* ---- the ranks and their sockets ---- */

/* What one rank has. */
struct bench {
    struct cr_transport *t;
    int next, before;   /* sockets to the neighbours in the ring; the same one when there are two ranks */
    int spin, on_hosts;
    struct cr_link_model model;
    char *buffer, *piece; /* (most bytes), (PIECE) */
    struct cr_log *log;   /* of rank 0; else NULL */
};

/* Sockets of all ranks: fd[r * ranks + q] is r's to q, -1 = none. */
static int connect_all(int *fd, int ranks, struct cr_error *e)
{
    for (int i = 0; i < ranks * ranks; i++) fd[i] = -1;
    for (int r = 0; r < ranks; r++) {
        int peer[CR_MAX_RANKS], two[2];
        const int peers = cr_allreduce_peers(r, ranks, peer);
        for (int i = 0; i < peers; i++) {
            if (peer[i] < r) continue;
            CR_TRY(cr_pair(two, e));
            fd[r * ranks + peer[i]] = two[0];
            fd[peer[i] * ranks + r] = two[1];
        }
    }
    return 0;
}

/* Become rank `rank`, with these sockets to the others. */
static int become(struct bench *b, int rank, int ranks, const int *fd, struct cr_error *e)
{
    b->t = cr_tcp_new(rank, ranks, b->spin);
    if (!b->t) return cr_fail(e, CR_E_NOMEM, "out of memory for a rank");
    b->next = fd[(rank + 1) % ranks];
    b->before = fd[(rank + ranks - 1) % ranks];
    for (int i = 0; i < ranks; i++)
        if (fd[i] >= 0) cr_tcp_link(b->t, i, fd[i], NULL);
    return 0;
}

/* The same, of sockets of all ranks. */
static int become_one(struct bench *b, int rank, int ranks, const int *fd, struct cr_error *e)
{
    struct cr_cpus cpus;
    cr_cpus_allowed(&cpus);
    b->spin = ranks <= cpus.count;
    for (int i = 0; i < ranks * ranks; i++)
        if (fd[i] >= 0 && i / ranks != rank) close(fd[i]);
    return become(b, rank, ranks, fd + rank * ranks, e);
}

/* ---- what is timed ---- */

static int combine(struct bench *b, enum cr_way way, struct cr_message *m, struct cr_error *e)
{
    b->t->collective++;
    return cr_allreduce(b->t, way, m, cr_clock() + patience_ns, e);
}

/* The greatest of one number of each rank. All ranks go on together from here. */
static int greatest(struct bench *b, uint32_t *number, struct cr_error *e)
{
    _Alignas(CR_MESSAGE_ALIGN) char word[CR_MESSAGE_ALIGN];
    struct cr_message m = cr_message_in(word, (struct cr_message_shape){ .maxima = 1 });
    m.max32[0] = *number;
    CR_TRY(combine(b, CR_WAY_DOUBLING, &m, e));
    *number = m.max32[0];
    return 0;
}

static int would_block(ssize_t n) { return n < 0 && (errno == EAGAIN || errno == EINTR); }

/* Nothing but system calls: so many bytes to the next rank, and as many from the one before, at once. */
static int raw(struct bench *b, size_t bytes, struct cr_error *e)
{
    size_t out = 0, in = 0;
    int64_t idle = 0;
    while (out < bytes || in < bytes) {
        int moved = 0;
        if (out < bytes) {
            const size_t n = bytes - out < PIECE ? bytes - out : PIECE;
            const ssize_t done = send(b->next, b->buffer, n, MSG_NOSIGNAL | MSG_DONTWAIT);
            if (done < 0 && !would_block(done)) return cr_fail(e, CR_E_PEER, "a rank is lost: %s", strerror(errno));
            if (done > 0) moved = 1, out += (size_t)done;
        }
        if (in < bytes) {
            const ssize_t done = recv(b->before, b->piece, bytes - in < PIECE ? bytes - in : PIECE, MSG_DONTWAIT);
            if (done == 0 || (done < 0 && !would_block(done))) return cr_fail(e, CR_E_PEER, "a rank is lost");
            if (done > 0) moved = 1, in += (size_t)done;
        }
        if (moved) {
            idle = 0;
            continue;
        }
        const int64_t now = cr_clock();
        if (idle == 0) idle = now;
        if (b->spin && now - idle < spin_ns) continue;
        struct pollfd p[2] = { { .fd = in < bytes ? b->before : -1, .events = POLLIN },
                               { .fd = out < bytes ? b->next : -1, .events = POLLOUT } };
        if (poll(p, 2, (int)(patience_ns / 1000000)) == 0) return cr_fail(e, CR_E_TIMEOUT, "a rank is silent");
    }
    return 0;
}

/* The ways to spend the time: those of enum cr_way, and raw. */
enum { RAW = 2, KINDS };

/* Bytes that the ring sends from each rank: the fewest that an all-reduce can do with. */
static size_t volume(int ranks, size_t bytes)
{
    const size_t n = 2 * (size_t)(ranks - 1) * bytes / (size_t)ranks;
    return n ? n : 1;
}

static int run_once(struct bench *b, int kind, size_t bytes, double *seconds, struct cr_error *e)
{
    struct cr_message m = cr_message_in(b->buffer, (struct cr_message_shape){ .sums32 = bytes / sizeof(uint32_t) });
    uint32_t together = 0;
    CR_TRY(greatest(b, &together, e));
    const int64_t start = cr_clock();
    CR_TRY(kind == RAW ? raw(b, volume(b->t->size, bytes), e) : combine(b, (enum cr_way)kind, &m, e));
    *seconds = 1e-9 * (double)(cr_clock() - start);
    return 0;
}

/* What the model of the link wants to know. */
enum { SHORT, LONG, ADD, PROBES };

static int probe_once(struct bench *b, int what, size_t large, double *picoseconds, struct cr_error *e)
{
    const size_t part = large < PIECE ? large : PIECE;
    struct cr_message m = cr_message_in(b->buffer, (struct cr_message_shape){ .sums32 = part / sizeof(uint32_t) });
    uint32_t together = 0;
    CR_TRY(greatest(b, &together, e));
    const int64_t start = cr_clock();
    if (what == ADD)
        cr_message_combine(&m, 0, part, b->piece);
    else
        CR_TRY(raw(b, what == SHORT ? sizeof(uint32_t) : large, e));
    *picoseconds = 1e3 * (double)(cr_clock() - start) / (double)(what == SHORT ? 1 : what == LONG ? large : part);
    return 0;
}

/* The slowest rank's medians. */
static int probe(struct bench *b, size_t most, struct cr_error *e)
{
    enum { TIMES = 31 };
    const size_t large = most < 1 << 20 ? most : 1 << 20;
    uint32_t slowest[PROBES];
    for (int what = 0; what < PROBES; what++) {
        double picoseconds[TIMES];
        for (int i = 0; i < TIMES; i++) CR_TRY(probe_once(b, what, large, &picoseconds[i], e));
        const double median = cr_median(picoseconds, TIMES);
        slowest[what] = median < 4e9 ? (uint32_t)median : UINT32_MAX;
        CR_TRY(greatest(b, &slowest[what], e));
    }
    b->model = (struct cr_link_model){ 1e-12 * slowest[SHORT], 1e-12 * slowest[LONG], 1e-12 * slowest[ADD] };
    return 0;
}

/* ---- the table ---- */

static void say(struct bench *b, size_t bytes, double (*seconds)[MOST_TIMES], int times)
{
    const int ranks = b->t->size;
    double median[KINDS];
    for (int k = 0; k < KINDS; k++) median[k] = cr_median(seconds[k], times);
    const enum cr_way way = cr_allreduce_way(ranks, bytes, &b->model);
    const double gb = 1e-9 * (double)volume(ranks, bytes), p99 = seconds[way][(99 * times + 99) / 100 - 1];
    const double bus = gb / median[way], most = gb / median[RAW];
    if (!b->log->out) {
        const double other = median[way == CR_WAY_RING ? CR_WAY_DOUBLING : CR_WAY_RING];
        printf("%11zu  %-9s%11.1f%11.1f%9.3f%9.3f%7.0f %%%11.1f\n", bytes, cr_way_name(way), 1e6 * median[way],
               1e6 * p99, bus, most, 100 * bus / most, 1e6 * other);
        fflush(stdout);
        return;
    }
    struct cr_json_writer *const w = &b->log->line;
    cr_bench_line(b->log, "allreduce", cr_kernels()->isa, 1);
    cr_json_put_i64(w, "ranks", ranks);
    cr_json_put_u64(w, "bytes", bytes);
    cr_json_put_string(w, "way", cr_way_name(way));
    cr_json_put_double(w, "microseconds", 1e6 * median[way]);
    cr_json_put_double(w, "p99", 1e6 * p99);
    cr_json_put_double(w, "gbytes", bus);
    cr_json_put_double(w, "raw", most);
    cr_json_put_double(w, "share", bus / most);
    cr_json_put_double(w, "doubling", 1e6 * median[CR_WAY_DOUBLING]);
    cr_json_put_double(w, "ring", 1e6 * median[CR_WAY_RING]);
    cr_json_put_double(w, "predicted", 1e6 * cr_allreduce_seconds(way, ranks, bytes, &b->model));
    cr_log_finish(b->log);
}

/* The kinds take turns, so that what else the machine does meets them all alike. */
static int measure(struct bench *b, size_t bytes, struct cr_error *e)
{
    static double seconds[KINDS][MOST_TIMES];
    uint32_t times = 0;
    double once = 0;
    for (int k = 0; k < 2 * KINDS; k++) CR_TRY(run_once(b, k % KINDS, bytes, &once, e)); /* to warm up */
    const double fitting = 1e-9 * (double)size_ns / once;
    if (b->t->rank == 0)
        times = fitting < LEAST_TIMES ? LEAST_TIMES : fitting > MOST_TIMES ? MOST_TIMES : (uint32_t)fitting;
    CR_TRY(greatest(b, &times, e));
    for (uint32_t i = 0; i < times; i++)
        for (int k = 0; k < KINDS; k++) CR_TRY(run_once(b, k, bytes, &seconds[k][i], e));
    if (b->log) say(b, bytes, seconds, (int)times);
    return 0;
}

static int run_rank(struct bench *b, const size_t *bytes, int count, struct cr_error *e)
{
    size_t most = PIECE;
    for (int i = 0; i < count; i++) most = bytes[i] > most ? bytes[i] : most;
    b->buffer = aligned_alloc(CR_MESSAGE_ALIGN, (most + CR_MESSAGE_ALIGN - 1) / CR_MESSAGE_ALIGN * CR_MESSAGE_ALIGN);
    b->piece = aligned_alloc(CR_MESSAGE_ALIGN, PIECE);
    if (!b->buffer || !b->piece) return cr_fail(e, CR_E_NOMEM, "out of memory for messages of %zu bytes", most);
    memset(b->buffer, 0, most); /* pages are there before they are timed */
    memset(b->piece, 0, PIECE);
    CR_TRY(probe(b, most, e));
    if (b->log && !b->log->out)
        printf("%d ranks over TCP on %s; a link: %.1f us, %.2f GB/s both ways at once, adding %.1f GB/s\n\n"
               "%11s  %-9s%11s%11s%9s%9s%9s%11s\n", b->t->size,
               b->on_hosts ? "hosts of their own" : "this machine", 1e6 * b->model.latency, 1e-9 / b->model.byte,
               1e-9 / b->model.add, "bytes", "way", "us", "p99 us", "GB/s", "raw GB/s", "share", "other, us");
    for (int i = 0; i < count; i++) CR_TRY(measure(b, bytes[i], e));
    return 0;
}

/* ---- the command ---- */

/* Fork the other ranks, be rank 0, and see them end. */
static int run_all(int ranks, const int *fd, const size_t *bytes, int count, struct cr_log *log, struct cr_error *e)
{
    struct bench b = { .log = log };
    pid_t child[MOST_RANKS] = { 0 };
    int rc = 0, mine = 0;
    fflush(NULL); /* or the children would write it too */
    for (int r = 1; r < ranks && rc == 0 && !mine; r++) {
        child[r] = fork();
        if (child[r] < 0) rc = cr_fail(e, CR_E_IO, "rank %d cannot be started: %s", r, strerror(errno));
        if (child[r] == 0) mine = r;
    }
    if (mine) b.log = NULL;
    if (rc == 0) rc = become_one(&b, mine, ranks, fd, e);
    if (rc == 0) rc = run_rank(&b, bytes, count, e);
    if (mine) _exit(rc < 0);
    if (b.t) b.t->free(b.t);
    free(b.buffer);
    free(b.piece);
    for (int r = 1; r < ranks; r++) {
        if (child[r] <= 0) continue;
        if (rc < 0) kill(child[r], SIGKILL);
        while (waitpid(child[r], NULL, 0) < 0 && errno == EINTR) {}
    }
    return rc;
}

static int bench(const struct args *a, const size_t *bytes, int count, struct cr_error *e)
{
    const int ranks = (int)a->ranks;
    struct cr_log log = { .out = a->common.json ? stdout : NULL };
    int *const fd = calloc((size_t)ranks * (size_t)ranks, sizeof *fd);
    if (!fd) return cr_fail(e, CR_E_NOMEM, "out of memory for %d ranks", ranks);
    int rc = connect_all(fd, ranks, e);
    if (rc == 0) rc = run_all(ranks, fd, bytes, count, &log, e);
    free(fd);
    cr_log_free(&log);
    return rc;
}

/* One rank of those on hosts. */
static int bench_here(const struct args *a, const size_t *bytes, int count, struct cr_error *e)
{
    enum { PORT = 29500 };
    struct cr_address at[MOST_RANKS];
    struct cr_log log = { .out = a->common.json ? stdout : NULL };
    struct bench b = { .log = a->rank == 0 ? &log : NULL, .spin = 1, .on_hosts = 1 };
    char list[MOST_RANKS * CR_ADDRESS_TEXT], *rest;
    int fd[MOST_RANKS], ranks = 0;
    snprintf(list, sizeof list, "%s", a->at);
    for (const char *one = strtok_r(list, ",", &rest); one && ranks < MOST_RANKS; one = strtok_r(NULL, ",", &rest)) {
        if (cr_address_parse(&at[ranks], one, NULL) < 0)
            return cr_fail(e, CR_E_USAGE, "--at takes addresses in numbers, as in 10.0.0.1,10.0.0.2, not '%s'", one);
        if (!at[ranks].port) at[ranks].port = PORT;
        ranks++;
    }
    if (ranks < 2 || a->rank >= ranks)
        return cr_fail(e, CR_E_USAGE, "--at takes 2 to %d addresses, and --rank counts them from 0", MOST_RANKS);
    int rc = cr_bench_meet((int)a->rank, ranks, at, fd, e);
    if (rc == 0) rc = become(&b, (int)a->rank, ranks, fd, e);
    if (rc == 0) rc = run_rank(&b, bytes, count, e);
    if (b.t) b.t->free(b.t);
    free(b.buffer);
    free(b.piece);
    cr_log_free(&log);
    return rc;
}

static int body(void *args, const struct cr_arguments *words, struct cr_error *e)
{
    enum { MOST_SIZES = 64 };
    const struct args *const a = args;
    size_t bytes[MOST_SIZES];
    int count = 0;
    if (a->ranks < 2 || a->ranks > MOST_RANKS)
        return cr_fail(e, CR_E_USAGE, "--ranks takes 2 to %d, not %ld", MOST_RANKS, a->ranks);
    for (int i = 0; i < words->count && i < MOST_SIZES; i++) {
        long n;
        if (cr_parse_long(words->word[i], &n) < 0 || n < 4 || n % 4 || n > INT32_MAX)
            return cr_fail(e, CR_E_USAGE, "'%s' is no size; sizes are bytes, multiples of 4 from 4 on", words->word[i]);
        bytes[count++] = (size_t)n;
    }
    for (long n = 4; words->count == 0 && n <= a->most; n *= 4) bytes[count++] = (size_t)n;
    if (count == 0) return cr_fail(e, CR_E_USAGE, "--max takes 4 or more");
    return a->at ? bench_here(a, bytes, count, e) : bench(a, bytes, count, e);
}

static int run(const struct cr_command *self, int argc, char **argv, struct cr_error *e)
{
    struct args a = { .ranks = 2, .most = 256 << 20 };
    return cr_options_run(self, argc, argv, &a, body, e);
}

const struct cr_command cr_command_bench_allreduce = {
    .name = "bench allreduce",
    .arguments = "[BYTES...]",
    .summary = "ranks combining a message, beside raw sockets",
    .description = "Measures how long ranks take to combine messages (all-reduce) over TCP: median and\n"
                   "99th percentile of the way that the model of the link chooses, the median of the\n"
                   "other one, and the bus rate: bytes that each rank has to send at least, 2 (N-1)/N\n"
                   "of the message, per second. Beside it raw, the rate at which as many bytes go to one\n"
                   "neighbour and come from the other with nothing but system calls. The three take\n"
                   "turns.\n\n"
                   "BYTES   size of a message, a multiple of 4 [4, 16, 64, ... up to --max]",
    .examples = "  corering bench allreduce\n"
                "  corering bench allreduce -n 4 89112 40000000\n"
                "  corering bench allreduce --at 10.0.0.1,10.0.0.2 --rank 0    # on the first, 1 on the second\n",
    .options = options,
    .least = 0,
    .most = -1,
    .run = run,
};
