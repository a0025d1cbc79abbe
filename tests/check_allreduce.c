/* All-reduce over both transports: exact sums for any number of ranks and words, and a named error in time for every
 * peer that lies, leaves, dies or says nothing. */
#define _POSIX_C_SOURCE 200809L
#include <check.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "dist/allreduce.h"
#include "dist/comm.h"
#include "dist/dial.h"
#include "dist/loop.h"
#include "dist/pair.h"
#include "dist/plain.h"
#include "dist/seal.h"
#include "dist/tcp.h"
#include "tests/suites.h"

enum { MOST_RANKS = 8 };
static const int64_t second = 1000000000, patience = 20 * INT64_C(1000000000);

/* ---- worlds ---- */

enum kind { LOOP, TCP, SEALED, KINDS };
static const char *const kind_name[KINDS] = { "loop", "tcp", "sealed tcp" };

struct world {
    int ranks;
    struct cr_loop *loop;
    struct cr_transport *rank[MOST_RANKS];
};

static void connect_two(struct cr_transport *a, struct cr_transport *b, int sealed)
{
    static const uint8_t secret[32] = { 1, 2, 3 };
    struct cr_error e;
    int fd[2];
    ck_assert_msg(cr_pair(fd, &e) == 0, "%s", e.text);
    cr_tcp_link(a, b->rank, fd[0], sealed ? cr_seal_new(secret, 1, &e) : NULL);
    cr_tcp_link(b, a->rank, fd[1], sealed ? cr_seal_new(secret, 0, &e) : NULL);
}

/* Over TCP with the links that cr_allreduce_peers names, and no others. */
static struct world world_of(enum kind kind, int ranks)
{
    struct world w = { .ranks = ranks };
    if (kind == LOOP) w.loop = cr_loop_new(ranks);
    for (int r = 0; r < ranks; r++) w.rank[r] = w.loop ? cr_loop_transport(w.loop, r) : cr_tcp_new(r, ranks, 0);
    for (int r = 0; r < ranks && kind != LOOP; r++) {
        int peer[CR_MAX_RANKS];
        const int peers = cr_allreduce_peers(r, ranks, peer);
        for (int i = 0; i < peers; i++)
            if (peer[i] > r) connect_two(w.rank[r], w.rank[peer[i]], kind == SEALED);
    }
    return w;
}

static void world_free(struct world *w)
{
    for (int r = 0; r < w->ranks; r++)
        if (w->rank[r]) w->rank[r]->free(w->rank[r]);
    cr_loop_free(w->loop);
}

/* ---- sums ---- */

struct job {
    struct cr_transport *t;
    enum cr_way way;
    struct cr_message_shape shape;
    int rounds, status;
    size_t wrong;     /* words */
    int64_t patience; /* ns */
    struct cr_error e;
};

static uint32_t word_of(int rank, int round, size_t i)
{
    return (uint32_t)(rank + 1) * 2654435761u * (uint32_t)(i + 1) + (uint32_t)round;
}

static int64_t long_of(int rank, int round, size_t i)
{
    return (rank % 2 ? -1 : 1) * ((int64_t)word_of(rank, round, i) << 29);
}

static void fill(struct cr_message *m, int rank, int round)
{
    for (size_t i = 0; i < m->shape.sums64; i++) m->sum64[i] = long_of(rank, round, i);
    for (size_t i = 0; i < m->shape.maxima; i++) m->max32[i] = word_of(rank, round, i);
    for (size_t i = 0; i < m->shape.sums32; i++) m->sum32[i] = word_of(rank, round, i);
}

/* Against a plain loop over the ranks. */
static size_t wrong_words(const struct cr_message *m, int ranks, int round)
{
    size_t wrong = 0;
    for (size_t i = 0; i < m->shape.sums64; i++) {
        uint64_t sum = 0;
        for (int r = 0; r < ranks; r++) sum += (uint64_t)long_of(r, round, i);
        wrong += (uint64_t)m->sum64[i] != sum;
    }
    for (size_t i = 0; i < m->shape.maxima; i++) {
        uint32_t max = 0;
        for (int r = 0; r < ranks; r++) max = word_of(r, round, i) > max ? word_of(r, round, i) : max;
        wrong += m->max32[i] != max;
    }
    for (size_t i = 0; i < m->shape.sums32; i++) {
        uint32_t sum = 0;
        for (int r = 0; r < ranks; r++) sum += word_of(r, round, i);
        wrong += m->sum32[i] != sum;
    }
    return wrong;
}

static void *run_job(void *argument)
{
    struct job *const j = argument;
    const size_t room = (cr_message_size(j->shape) / CR_MESSAGE_ALIGN + 1) * CR_MESSAGE_ALIGN;
    void *const buffer = aligned_alloc(CR_MESSAGE_ALIGN, room);
    for (int round = 0; round < j->rounds && j->status == 0; round++) {
        struct cr_message m = cr_message_in(buffer, j->shape);
        fill(&m, j->t->rank, round);
        j->t->collective++;
        j->status = cr_allreduce(j->t, j->way, &m, cr_clock() + j->patience, &j->e);
        if (j->status == 0) j->wrong += wrong_words(&m, j->t->size, round);
    }
    free(buffer);
    return NULL;
}

/* All ranks as threads; those whose transport is NULL are absent. */
static void run_world(struct world *w, struct job *job, const struct job *like)
{
    pthread_t thread[MOST_RANKS];
    for (int r = 0; r < w->ranks; r++) {
        job[r] = *like;
        job[r].t = w->rank[r];
        if (w->rank[r]) ck_assert_int_eq(pthread_create(&thread[r], NULL, run_job, &job[r]), 0);
    }
    for (int r = 0; r < w->ranks; r++)
        if (w->rank[r]) pthread_join(thread[r], NULL);
}

static const int rank_counts[] = { 1, 2, 3, 5, 8 };
static const struct cr_message_shape shapes[] = {
    { 0, 0, 0 },   { 1, 0, 0 },     { 0, 0, 1 },      { 2, 3, 5 },
    { 0, 0, 97 }, { 3, 16, 1001 }, { 3, 10, 22278 }, { 3, 10, 1000000 },
};
enum { RANK_COUNTS = sizeof rank_counts / sizeof *rank_counts, SHAPES = sizeof shapes / sizeof *shapes };

START_TEST(exact_sums)
{
    const int ranks = rank_counts[_i / (2 * KINDS)];
    const enum kind kind = (enum kind)(_i / 2 % KINDS);
    const enum cr_way way = _i % 2 ? CR_WAY_RING : CR_WAY_DOUBLING;
    if (kind == SEALED && !cr_seal_possible()) return;
    struct world w = world_of(kind, ranks);
    for (int s = 0; s < SHAPES; s++) {
        struct job job[MOST_RANKS];
        const int rounds = s < SHAPES - 1 ? 3 : 1;
        const struct job like = { .way = way, .shape = shapes[s], .rounds = rounds, .patience = patience };
        run_world(&w, job, &like);
        for (int r = 0; r < ranks; r++) {
            ck_assert_msg(job[r].status == 0, "%s, rank %d of %d, %s: %s", kind_name[kind], r, ranks, cr_way_name(way),
                          job[r].e.text);
            ck_assert_msg(job[r].wrong == 0, "%s, rank %d of %d, %s, %zu words: %zu are wrong", kind_name[kind], r,
                          ranks, cr_way_name(way), shapes[s].sums32, job[r].wrong);
        }
    }
    world_free(&w);
}
END_TEST

/* What comes in is there long before what goes out is gone: doubling must not add to words still to be sent. */
START_TEST(narrow_way_out)
{
    struct world w = { .ranks = 2, .rank = { cr_tcp_new(0, 2, 0), cr_tcp_new(1, 2, 0) } };
    struct job job[MOST_RANKS];
    const struct job like = { .shape = { .sums32 = 300000 }, .rounds = 3, .patience = patience };
    const int narrow = 4096, wide = 4 << 20;
    struct cr_error e;
    int fd[2];
    ck_assert_msg(cr_pair(fd, &e) == 0, "%s", e.text);
    for (int r = 0; r < 2; r++) cr_tcp_link(w.rank[r], !r, fd[r], NULL);
    setsockopt(fd[0], SOL_SOCKET, SO_SNDBUF, &narrow, sizeof narrow);
    setsockopt(fd[1], SOL_SOCKET, SO_SNDBUF, &wide, sizeof wide);
    run_world(&w, job, &like);
    for (int r = 0; r < 2; r++) ck_assert_msg(job[r].status == 0 && job[r].wrong == 0, "%s", job[r].e.text);
    world_free(&w);
}
END_TEST

START_TEST(peers_are_mutual)
{
    for (int size = 1; size <= 70; size++)
        for (int r = 0; r < size; r++) {
            int peer[CR_MAX_RANKS], back[CR_MAX_RANKS];
            const int peers = cr_allreduce_peers(r, size, peer);
            for (int i = 0; i < peers; i++) {
                int known = 0, twice = 0;
                ck_assert(peer[i] >= 0 && peer[i] < size && peer[i] != r);
                for (int k = 0; k < i; k++) twice |= peer[k] == peer[i];
                const int backs = cr_allreduce_peers(peer[i], size, back);
                for (int k = 0; k < backs; k++) known |= back[k] == r;
                ck_assert_msg(known && !twice, "rank %d of %d and rank %d", r, size, peer[i]);
            }
        }
}
END_TEST

/* A gigabit link: few bytes take the few rounds of doubling, many the ring; it turns once. */
START_TEST(model)
{
    const struct cr_link_model gigabit = { .latency = 50e-6, .byte = 8e-9, .add = 5e-11 };
    for (int size = 2; size <= 64; size++) {
        int ring = 0;
        for (size_t bytes = 8; bytes < (size_t)1 << 30; bytes *= 2) {
            const int now = cr_allreduce_way(size, bytes, &gigabit) == CR_WAY_RING;
            ck_assert_msg(now >= ring, "%d ranks go back to doubling at %zu bytes", size, bytes);
            ring = now;
        }
        /* Two ranks send the same bytes either way, and doubling sends them in one round instead of two. */
        ck_assert_int_eq(ring, size > 2);
        ck_assert(cr_allreduce_way(size, 8, &gigabit) == CR_WAY_DOUBLING);
    }
    ck_assert_double_eq_tol(cr_allreduce_seconds(CR_WAY_RING, 4, 4000000, &gigabit), 6 * (50e-6 + 1e6 * 8.05e-9), 1e-9);
    ck_assert_double_eq_tol(cr_allreduce_seconds(CR_WAY_DOUBLING, 4, 1000, &gigabit), 2 * (50e-6 + 8.05e-6), 1e-12);
    ck_assert_double_eq_tol(cr_allreduce_seconds(CR_WAY_DOUBLING, 5, 1000, &gigabit), 4 * (50e-6 + 8.05e-6), 1e-12);
    ck_assert_double_eq(cr_allreduce_seconds(CR_WAY_RING, 1, 1000, &gigabit), 0);
}
END_TEST

/* ---- faults ---- */

static const struct cr_message_shape some = { 3, 10, 100000 };

/* Must have failed, because of rank `named`, soon. */
static void check_failed(const struct job *j, int code, int named, const char *saying, int64_t began)
{
    ck_assert_msg(j->status == code && j->e.rank == named && strstr(j->e.text, saying), "status %d, rank %d: %s",
                  j->status, j->e.rank, j->e.text);
    ck_assert_msg(cr_clock() - began < 10 * second, "noticed after %lld s", (long long)((cr_clock() - began) / second));
}

static void *run_and_leave(void *argument)
{
    struct job *const j = argument;
    run_job(j);
    j->t->free(j->t);
    return NULL;
}

/* Two ranks that differ in one thing. Both must fail; who sees the other's frame first says why. */
static void run_two(enum kind kind, void (*differ)(struct cr_transport *t, struct job *j), const char *saying)
{
    struct world w = world_of(kind, 2);
    struct job job[2];
    pthread_t thread[2];
    const int64_t began = cr_clock();
    for (int r = 0; r < 2; r++) {
        job[r] = (struct job){ .t = w.rank[r], .shape = some, .rounds = 1, .patience = patience };
        if (r == 1) differ(w.rank[1], &job[1]);
        pthread_create(&thread[r], NULL, run_and_leave, &job[r]);
    }
    for (int r = 0; r < 2; r++) {
        pthread_join(thread[r], NULL);
        w.rank[r] = NULL;
    }
    for (int r = 0; r < 2; r++) check_failed(&job[r], -CR_E_PEER, !r, "", began);
    ck_assert_msg(strstr(job[0].e.text, saying) || strstr(job[1].e.text, saying), "'%s' and '%s'", job[0].e.text,
                  job[1].e.text);
    world_free(&w);
}

static void other_view(struct cr_transport *t, struct job *j) { (void)j, t->view++; }
static void other_collective(struct cr_transport *t, struct job *j) { (void)j, t->collective += 2; }
static void longer(struct cr_transport *t, struct job *j) { (void)t, j->shape.sums32 += 16; }
static void shorter(struct cr_transport *t, struct job *j) { (void)t, j->shape.sums32 -= 16; }
static void much_longer(struct cr_transport *t, struct job *j) { (void)t, j->shape.sums32 *= 10; }

START_TEST(other_frames)
{
    const enum kind kind = (enum kind)_i;
    if (kind == SEALED && !cr_seal_possible()) return;
    run_two(kind, other_view, "another view");
    run_two(kind, other_collective, "another collective");
    run_two(kind, longer, "another length");
    run_two(kind, shorter, "another length");
    run_two(kind, much_longer, "another length");
}
END_TEST

/* A peer that gives back every byte it gets, in pieces of `piece`, with one bit of byte `flip` turned. What a rank
 * sends is what it expects, so this is an honest peer as long as no bit is turned. */
struct echo {
    int fd;
    size_t piece, flip; /* SIZE_MAX = none */
};

static void *run_echo(void *argument)
{
    const struct echo *const x = argument;
    uint8_t bytes[4096];
    size_t at = 0;
    for (;;) {
        const ssize_t n = recv(x->fd, bytes, x->piece, 0);
        if (n <= 0) return NULL;
        if (x->flip >= at && x->flip - at < (size_t)n) bytes[x->flip - at] ^= 4;
        if (send(x->fd, bytes, (size_t)n, MSG_NOSIGNAL) != n) return NULL;
        at += (size_t)n;
    }
}

/* Rank 0 of two whose peer is an echo: its words come back doubled. */
static int echoed(size_t words, size_t piece, size_t flip, struct cr_error *e)
{
    struct cr_transport *const t = cr_tcp_new(0, 2, 0);
    const size_t room = (4 * words / CR_MESSAGE_ALIGN + 1) * CR_MESSAGE_ALIGN;
    const struct cr_message_shape shape = { .sums32 = words };
    struct cr_message m = cr_message_in(aligned_alloc(CR_MESSAGE_ALIGN, room), shape);
    int fd[2];
    pthread_t thread;
    ck_assert_int_eq(cr_pair(fd, e), 0);
    cr_tcp_link(t, 1, fd[0], NULL);
    struct echo x = { fd[1], piece, flip };
    pthread_create(&thread, NULL, run_echo, &x);
    for (size_t i = 0; i < words; i++) m.sum32[i] = (uint32_t)i;
    const int rc = cr_allreduce(t, CR_WAY_DOUBLING, &m, cr_clock() + patience, e);
    for (size_t i = 0; i < words && rc == 0; i++) ck_assert_uint_eq(m.sum32[i], 2 * (uint32_t)i);
    free(m.bytes);
    t->free(t);
    pthread_join(thread, NULL);
    close(fd[1]);
    return rc;
}

START_TEST(every_byte_counts)
{
    struct cr_error e;
    const size_t words = 64, record = 32 + 4 * words;
    ck_assert_msg(echoed(words, 4096, SIZE_MAX, &e) == 0, "%s", e.text);
    for (size_t flip = 0; flip < record; flip += flip < 40 ? 1 : 9) {
        ck_assert_msg(echoed(words, 4096, flip, &e) == -CR_E_PEER, "byte %zu of the record turned, and taken", flip);
        ck_assert_int_eq(e.rank, 1);
        /* Of the head's fields view, collective and length are named; of the rest the checksum speaks. */
        ck_assert_msg((flip >= 4 && flip < 32) || strstr(e.text, "checksum"), "byte %zu: %s", flip, e.text);
    }
}
END_TEST

/* Under seal, whatever byte is turned on the way between two ranks. */
struct relay {
    int from, to;
    size_t flip;
};

static void *run_relay(void *argument)
{
    const struct relay *const x = argument;
    uint8_t bytes[4096];
    size_t at = 0;
    ssize_t n;
    while ((n = recv(x->from, bytes, sizeof bytes, 0)) > 0) {
        if (x->flip >= at && x->flip - at < (size_t)n) bytes[x->flip - at] ^= 4;
        if (send(x->to, bytes, (size_t)n, MSG_NOSIGNAL) != n) break;
        at += (size_t)n;
    }
    shutdown(x->to, SHUT_WR);
    return NULL;
}

START_TEST(every_sealed_byte_counts)
{
    static const uint8_t secret[32] = { 1 };
    const size_t record = 32 + 4 * 64 + 2 * CR_SEAL_OVERHEAD;
    if (!cr_seal_possible()) return;
    for (size_t flip = (size_t)_i; flip < record; flip += 10) {
        struct world w = { .ranks = 2, .rank = { cr_tcp_new(0, 2, 0), cr_tcp_new(1, 2, 0) } };
        struct job job[2];
        pthread_t thread[2], relay[2];
        struct cr_error e;
        int left[2], right[2];
        ck_assert(cr_pair(left, &e) == 0 && cr_pair(right, &e) == 0);
        cr_tcp_link(w.rank[0], 1, left[0], cr_seal_new(secret, 1, &e));
        cr_tcp_link(w.rank[1], 0, right[0], cr_seal_new(secret, 0, &e));
        struct relay way[2] = { { left[1], right[1], SIZE_MAX }, { right[1], left[1], flip } };
        for (int i = 0; i < 2; i++) {
            job[i] = (struct job){ .t = w.rank[i], .shape = { .sums32 = 64 }, .rounds = 1, .patience = patience };
            pthread_create(&relay[i], NULL, run_relay, &way[i]);
            pthread_create(&thread[i], NULL, run_and_leave, &job[i]);
        }
        for (int i = 0; i < 2; i++) pthread_join(thread[i], NULL);
        for (int i = 0; i < 2; i++) pthread_join(relay[i], NULL);
        ck_assert_msg(job[0].status == -CR_E_PEER && job[0].e.rank == 1 && strstr(job[0].e.text, "seal"),
                      "byte %zu: %s", flip, job[0].e.text);
        close(left[1]);
        close(right[1]);
    }
}
END_TEST

START_TEST(short_counts)
{
    struct cr_error e;
    for (size_t piece = 1; piece <= 64; piece += 9) ck_assert_msg(echoed(300, piece, SIZE_MAX, &e) == 0, "%s", e.text);
    ck_assert_msg(echoed(200000, 1009, SIZE_MAX, &e) == 0, "%s", e.text);
}
END_TEST

/* System calls that are interrupted all the time. */
static void on_alarm(int number) { (void)number; }

START_TEST(signals)
{
    const struct sigaction action = { .sa_handler = on_alarm };
    const struct itimerval often = { { 0, 300 }, { 0, 300 } }, never = { { 0, 0 }, { 0, 0 } };
    struct world w = world_of(TCP, 3);
    struct job job[MOST_RANKS];
    sigaction(SIGALRM, &action, NULL);
    setitimer(ITIMER_REAL, &often, NULL);
    const struct job like = { .way = CR_WAY_RING, .shape = some, .rounds = 20, .patience = patience };
    run_world(&w, job, &like);
    setitimer(ITIMER_REAL, &never, NULL);
    for (int r = 0; r < 3; r++) ck_assert_msg(job[r].status == 0 && job[r].wrong == 0, "%s", job[r].e.text);
    world_free(&w);
}
END_TEST

/* A rank that closed its transport, before the exchange or while the other is in it. */
START_TEST(closed_peer)
{
    const enum kind kind = (enum kind)(_i / 2);
    const int late = _i % 2;
    if (kind == SEALED && !cr_seal_possible()) return;
    struct world w = world_of(kind, 2);
    struct job j = { .t = w.rank[0], .shape = some, .rounds = 1, .patience = patience };
    pthread_t thread;
    const int64_t began = cr_clock();
    if (late) {
        pthread_create(&thread, NULL, run_job, &j);
        poll(NULL, 0, 30);
    }
    w.rank[1]->free(w.rank[1]);
    w.rank[1] = NULL;
    if (late)
        pthread_join(thread, NULL);
    else
        run_job(&j);
    /* A socket may also say reset, or broken pipe. */
    check_failed(&j, -CR_E_PEER, 1, kind == LOOP ? "closed" : "", began);
    world_free(&w);
}
END_TEST

/* SIGKILL in the middle of a long run: every other rank ends with an error that names a rank. */
START_TEST(killed_peer)
{
    const enum cr_way way = _i ? CR_WAY_RING : CR_WAY_DOUBLING;
    enum { RANKS = 3 };
    struct world w = world_of(TCP, RANKS);
    pid_t child[RANKS];
    for (int r = 0; r < RANKS; r++) {
        child[r] = fork();
        if (child[r]) continue;
        for (int i = 0; i < RANKS; i++)
            if (i != r) w.rank[i]->free(w.rank[i]);
        struct job j = { .t = w.rank[r], .way = way, .shape = some, .rounds = 1000000, .patience = patience };
        run_job(&j);
        _exit(j.status == -CR_E_PEER && j.e.rank >= 0 && j.wrong == 0 ? 42 : 1);
    }
    world_free(&w);
    poll(NULL, 0, 100);
    const int64_t began = cr_clock();
    kill(child[2], SIGKILL);
    for (int r = 0; r < RANKS; r++) {
        int status;
        ck_assert_int_eq(waitpid(child[r], &status, 0), child[r]);
        if (r == 2) continue;
        ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 42, "rank %d: status %x", r, (unsigned)status);
    }
    ck_assert(cr_clock() - began < 10 * second);
}
END_TEST

START_TEST(cancelled)
{
    const enum kind kind = (enum kind)_i;
    if (kind == SEALED && !cr_seal_possible()) return;
    struct world w = world_of(kind, 2);
    struct job j = { .t = w.rank[0], .shape = some, .rounds = 1, .patience = patience };
    pthread_t thread;
    pthread_create(&thread, NULL, run_job, &j);
    poll(NULL, 0, 30);
    const int64_t began = cr_clock();
    w.rank[0]->cancel(w.rank[0]);
    pthread_join(thread, NULL);
    check_failed(&j, -CR_E_PEER, 1, "cancel", began);
    j.status = 0;
    run_job(&j); /* a later one likewise */
    check_failed(&j, -CR_E_PEER, 1, "cancel", began);
    world_free(&w);
}
END_TEST

START_TEST(silent_peer)
{
    const enum kind kind = (enum kind)_i;
    if (kind == SEALED && !cr_seal_possible()) return;
    struct world w = world_of(kind, 2);
    struct job j = { .t = w.rank[0], .shape = some, .rounds = 1, .patience = second / 10 };
    const int64_t began = cr_clock();
    run_job(&j);
    ck_assert(cr_clock() - began >= second / 10);
    check_failed(&j, -CR_E_TIMEOUT, 1, "in time", began);
    world_free(&w);
}
END_TEST

START_TEST(no_link)
{
    struct cr_transport *const t = cr_tcp_new(0, 2, 0);
    struct job j = { .t = t, .shape = some, .rounds = 1, .patience = patience };
    run_job(&j);
    check_failed(&j, -CR_E_PEER, 1, "no connection", cr_clock());
    t->free(t);
}
END_TEST

/* ---- the comm of fixed ranks ---- */

struct kept {
    int fails, times, spoken_of, events;
    char bytes[8];
};

static int keep(void *user, const void *bytes, size_t size, struct cr_error *e)
{
    struct kept *const k = user;
    if (k->fails) return cr_fail(e, CR_E_IO, "disk full");
    memcpy(k->bytes, bytes, size);
    k->times++;
    return 0;
}

static void kept(void *user)
{
    struct kept *const k = user;
    k->spoken_of++;
}

static void told(void *user, const void *event, size_t size)
{
    struct kept *const k = user;
    (void)event;
    k->events += (int)size;
}

static int snapshot(void *run, void **bytes, size_t *size, struct cr_error *e)
{
    (void)e;
    *size = strlen(run) + 1;
    *bytes = malloc(*size);
    memcpy(*bytes, run, *size);
    return 0;
}

struct saving {
    struct cr_transport *t;
    const struct cr_keeper *keeper;
    int status;
    char text[sizeof((struct cr_error *)0)->text];
};

static void *run_saving(void *argument)
{
    static const struct cr_link_model fast = { 1e-5, 1e-9, 1e-10 };
    static char state[] = "state";
    struct saving *const s = argument;
    struct cr_error e = { 0 };
    struct cr_comm *const c = cr_plain_new(s->t, &fast, s->keeper);
    c->snapshot = snapshot;
    c->run = state;
    c->tell(c, 1, "event", 5);
    s->status = c->save(c, &e);
    memcpy(s->text, e.text, sizeof s->text);
    cr_plain_free(c);
    return NULL;
}

/* Rank 0's keeper gets the state, once; when it fails, every rank knows. */
START_TEST(saving)
{
    struct kept k = { .fails = _i };
    const struct cr_keeper keeper = { .user = &k, .keep = keep, .kept = kept, .told = told };
    struct world w = world_of(TCP, 3);
    struct saving s[3];
    pthread_t thread[3];
    for (int r = 0; r < 3; r++) {
        s[r] = (struct saving){ .t = w.rank[r], .keeper = &keeper };
        pthread_create(&thread[r], NULL, run_saving, &s[r]);
    }
    for (int r = 0; r < 3; r++) {
        pthread_join(thread[r], NULL);
        ck_assert_int_eq(s[r].status, _i ? -CR_E_IO : 0);
    }
    if (_i) ck_assert_str_eq(s[0].text, "disk full");
    if (_i) ck_assert(strstr(s[1].text, "rank 0"));
    ck_assert_int_eq(k.times, !_i);
    ck_assert_int_eq(k.spoken_of, !_i);
    ck_assert_str_eq(k.bytes, _i ? "" : "state");
    ck_assert_int_eq(k.events, 5);
    world_free(&w);
}
END_TEST

Suite *allreduce_suite(void)
{
    Suite *s = suite_create("allreduce");
    TCase *t = tcase_create("allreduce");
    tcase_set_timeout(t, 60);
    tcase_add_loop_test(t, exact_sums, 0, RANK_COUNTS * KINDS * 2);
    tcase_add_test(t, narrow_way_out);
    tcase_add_test(t, peers_are_mutual);
    tcase_add_test(t, model);
    tcase_add_loop_test(t, other_frames, 0, KINDS);
    tcase_add_test(t, every_byte_counts);
    tcase_add_loop_test(t, every_sealed_byte_counts, 0, 2);
    tcase_add_test(t, short_counts);
    tcase_add_test(t, signals);
    tcase_add_loop_test(t, closed_peer, 0, 2 * KINDS);
    tcase_add_loop_test(t, killed_peer, 0, 2);
    tcase_add_loop_test(t, cancelled, 0, KINDS);
    tcase_add_loop_test(t, silent_peer, 0, KINDS);
    tcase_add_test(t, no_link);
    tcase_add_loop_test(t, saving, 0, 2);
    suite_add_tcase(s, t);
    return s;
}
