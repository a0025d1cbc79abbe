/* Measuring over the in-process world: every rank comes to the same figures, and they are those of what was slow. */
#define _POSIX_C_SOURCE 200809L
#include <check.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "dist/loop.h"
#include "dist/measure.h"
#include "tests/suites.h"

enum { RANKS = 3, BLOCKS = 30, SLOW_US = 8000 };

struct rank {
    struct cr_transport *t;
    struct cr_workload w;
    long us;                /* of a block */
    int cores;              /* of the machine */
    int status;
    struct cr_measured measured;
    int64_t speed[CR_MAX_RANKS];
};

static void sleep_blocks(void *user, long blocks)
{
    const struct rank *r = user;
    nanosleep(&(struct timespec){ .tv_nsec = blocks * r->us * 1000 }, NULL);
}

static void *run(void *rank)
{
    struct rank *r = rank;
    struct cr_error e;
    const struct cr_message_shape shape = { .sums64 = CR_MEASURE_WORDS * RANKS };
    void *const buffer = aligned_alloc(CR_MESSAGE_ALIGN, 1024);
    struct cr_message m = cr_message_in(buffer, shape);
    r->status = cr_measure(r->t, &r->w, &m, &e);
    if (r->status == 0) cr_measured_from(&r->measured, &m, r->t ? RANKS : 1, &r->w, r->speed);
    free(buffer);
    return NULL;
}

static struct cr_workload workload(struct rank *r)
{
    return (struct cr_workload){
        .blocks = BLOCKS, .bytes = 90000, .threads = 1, .cores = r->cores, .compute = sleep_blocks, .user = r,
    };
}

/* Ranks on a machine of so many cores, the second of them slow. */
static struct cr_loop *measure_all(struct rank *rank, int cores)
{
    pthread_t thread[RANKS];
    struct cr_loop *loop = cr_loop_new(RANKS);
    memset(rank, 0, RANKS * sizeof *rank);
    for (int i = 0; i < RANKS; i++) {
        rank[i].t = cr_loop_transport(loop, i);
        rank[i].us = i == 1 ? SLOW_US : 1000;
        rank[i].cores = cores;
        rank[i].w = workload(&rank[i]);
        pthread_create(&thread[i], NULL, run, &rank[i]);
    }
    for (int i = 0; i < RANKS; i++) pthread_join(thread[i], NULL);
    return loop;
}

static void end_all(struct rank *rank, struct cr_loop *loop)
{
    for (int i = 0; i < RANKS; i++) rank[i].t->free(rank[i].t);
    cr_loop_free(loop);
}

START_TEST(all_agree)
{
    static struct rank rank[RANKS];
    struct cr_loop *const loop = measure_all(rank, RANKS);
    for (int i = 0; i < RANKS; i++) {
        const struct cr_measured *const x = &rank[i].measured, *const y = &rank[0].measured;
        struct cr_writer a = { 0 }, b = { 0 };
        ck_assert_int_eq(rank[i].status, 0);
        cr_measured_put(&a, x);
        cr_measured_put(&b, y);
        ck_assert_uint_eq(a.size, b.size);
        ck_assert_mem_eq(a.bytes, b.bytes, a.size);
        ck_assert_mem_eq(rank[i].speed, rank[0].speed, RANKS * sizeof(int64_t));
        struct cr_measured back;
        struct cr_reader reader = { .at = a.bytes, .end = a.bytes + a.size };
        cr_measured_get(&reader, &back);
        ck_assert(!reader.failed && reader.at == reader.end);
        ck_assert_int_eq(back.hosts, RANKS);
        ck_assert(back.prediction.speedup == x->prediction.speedup);
        ck_assert_double_gt(x->prediction.alone, BLOCKS * 0.9e-3); /* sleep is never shorter */
        ck_assert_double_gt(x->prediction.speedup, 0);
        ck_assert_double_gt(x->model.latency, 0);
        ck_assert_double_gt(x->model.byte, 0);
        ck_assert_double_ge(x->model.add, 0);
        free(a.bytes);
        free(b.bytes);
    }
    ck_assert_int_gt(rank[0].speed[0], rank[0].speed[1]);
    ck_assert_int_gt(rank[0].speed[2], rank[0].speed[1]);
    end_all(rank, loop);
}
END_TEST

/* Who is slow on a core of its own gets less to do; who has to share one is slow by chance, and a step will take what
 * it took with equal shares. */
START_TEST(crowds_count_as_one)
{
    static struct rank rank[RANKS];
    struct cr_loop *const loop = measure_all(rank, 1);
    for (int i = 0; i < RANKS; i++) {
        const struct cr_prediction *const p = &rank[i].measured.prediction;
        ck_assert_int_eq(rank[i].status, 0);
        /* A busy machine makes one out of the other. */
        ck_assert_double_gt(p->compute + p->network, 0.9e-6 * SLOW_US * BLOCKS / RANKS);
    }
    end_all(rank, loop);
    struct cr_loop *const roomy = measure_all(rank, RANKS);
    ck_assert_double_lt(rank[0].measured.prediction.compute, 0.9e-6 * SLOW_US * BLOCKS / RANKS);
    end_all(rank, roomy);
}
END_TEST

START_TEST(one_alone)
{
    static struct rank r;
    memset(&r, 0, sizeof r);
    r.us = 1000;
    r.w = workload(&r);
    run(&r);
    ck_assert_int_eq(r.status, 0);
    ck_assert_double_eq_tol(r.measured.prediction.speedup, 1, 1e-9);
    ck_assert_double_eq_tol(r.measured.prediction.network, 0, 1e-12);
    ck_assert_int_eq(r.measured.hindrance, -1);
}
END_TEST

Suite *measure_suite(void)
{
    Suite *s = suite_create("measure");
    TCase *t = tcase_create("measure");
    tcase_add_test(t, all_agree);
    tcase_add_test(t, crowds_count_as_one);
    tcase_add_test(t, one_alone);
    suite_add_tcase(s, t);
    return s;
}
