/* One run, one result, for any number of ranks and of threads to a block: the training loop over the in-process world
 * of dist/loop.h. */
#define _POSIX_C_SOURCE 200809L
#include <check.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "core/rng.h"
#include "core/scale.h"
#include "core/stepper.h"
#include "dist/loop.h"
#include "dist/plain.h"
#include "tests/suites.h"

enum { SIDE = 12, IMAGES = 90, CLASSES = 5, STEPS = 12, MOST_RANKS = 8 };

static const char plain[] = "input 1x12x12\nconv 4 3x3\nrelu\nmaxpool 2x2\nlinear 9\ntanh\nlinear 5\nsoftmax\n";

/* Layers of all kinds, some of them too little to be shared, before, between and after others. */
static const char *const shared[] = {
    plain,
    "input 1x12x12\nconv 9 5x5 pad=2\ntanh\nmaxpool 2x2\nconv 11 3x3 pad=1\nrelu\nmaxpool 2x2\nlinear 70\ntanh\n"
    "linear 5\nsoftmax\n",
    "input 1x12x12\nconv 7 5x5 pad=2\navgpool 2x2 stride=1\nsigmoid\nconv 16 3x3 stride=2\nrelu\nconv 1 1x1\n"
    "conv 40 3x3 pad=1\nmaxpool 2x2 stride=1\nlinear 5\nsoftmax\n",
    "input 1x12x12\nlinear 920\ntanh\nlinear 150\nrelu\nlinear 5\nsoftmax\n",
    "input 1x12x12\navgpool 2x2 stride=1\nconv 36 1x1\nmaxpool 3x3 stride=2\ntanh\nconv 40 3x3\nsigmoid\nlinear 5\n"
    "softmax\n",
};
enum { NETS = sizeof shared / sizeof *shared };

static const struct cr_link_model link_model = { .latency = 1e-6, .byte = 1e-10, .add = 1e-10 };

struct setup {
    const char *text; /* of the network */
    long batch, block;
    int ranks, threads, sharing;
};

struct world {
    struct cr_net net;
    struct cr_split train;
    struct cr_train_options options;
    struct cr_plan plan;
    struct cr_loop *loop;
    int ranks, threads;
};

struct rank {
    const struct world *world;
    int number, status;
    uint64_t redone;
    char weights[65], state[65];
};

static void *run_rank(void *argument)
{
    struct rank *r = argument;
    const struct world *w = r->world;
    struct cr_error e;
    struct cr_state state;
    struct cr_stepper *s = aligned_alloc(64, (sizeof *s + 63) / 64 * 64);
    struct cr_transport *transport = w->ranks > 1 ? cr_loop_transport(w->loop, r->number) : NULL;
    struct cr_comm *comm = transport ? cr_plain_new(transport, &link_model, NULL) : NULL;

    r->status = cr_state_alloc(&state, &w->net, 1, &e);
    if (r->status < 0) return NULL;
    cr_net_init(&w->net, 3, state.params);
    for (int i = 0; i < w->net.tensors; i++) state.scale[i] = CR_SCALE_UNSET;
    state.normalization.scale[0] = 1.0f / 64;
    state.normalization.shift[0] = -2;
    *s = (struct cr_stepper){
        .options = &w->options, .net = &w->net, .train = &w->train, .kernels = cr_kernels(), .plan = &w->plan,
        .state = &state, .comm = comm,
    };
    r->status = cr_stepper_init(s, w->threads, &e);
    if (r->status == 0) r->status = cr_stepper_run(s, STEPS, NULL, &e);
    cr_net_hash(&w->net, state.params, r->weights);
    cr_state_hash(&state, &w->net, r->state);
    r->redone = state.redone;
    cr_stepper_free(s);
    cr_state_free(&state);
    free(s);
    if (comm) cr_plain_free(comm);
    if (transport) transport->free(transport);
    return NULL;
}

/* The hashes of a run; all its ranks must agree. */
static struct rank run_world(struct setup u)
{
    static uint8_t images[IMAGES * SIDE * SIDE], labels[IMAGES];
    struct world w = { .ranks = u.ranks, .threads = u.threads,
                       .train = { .images = images, .labels = labels, .count = IMAGES } };
    struct rank rank[MOST_RANKS];
    pthread_t thread[MOST_RANKS];
    struct cr_error e;

    for (uint64_t i = 0; i < IMAGES; i++) {
        labels[i] = (uint8_t)(i % CLASSES);
        for (uint64_t k = 0; k < SIDE * SIDE; k++) {
            uint32_t word[4];
            cr_random(5, CR_RNG_TEST, i, k, word);
            images[i * SIDE * SIDE + k] = (uint8_t)(word[0] % 128 + (k % CLASSES == i % CLASSES ? 100 : 0));
        }
    }
    ck_assert_msg(cr_net_parse(&w.net, "ranks", "ranks.net", u.text, &e) == 0, "%s", e.text);
    cr_train_defaults(&w.options);
    w.options.batch = u.batch;
    w.options.block = u.block;
    w.options.threads_per_block = u.sharing;
    w.options.steps = STEPS;
    ck_assert_msg(cr_plan_init(&w.plan, &w.options, IMAGES, &e) == 0, "%s", e.text);
    w.loop = cr_loop_new(u.ranks);
    for (int i = 0; i < u.ranks; i++) {
        rank[i] = (struct rank){ .world = &w, .number = i };
        ck_assert_int_eq(pthread_create(&thread[i], NULL, run_rank, &rank[i]), 0);
    }
    for (int i = 0; i < u.ranks; i++) pthread_join(thread[i], NULL);
    cr_loop_free(w.loop);
    cr_net_free(&w.net);
    for (int i = 0; i < u.ranks; i++) {
        ck_assert_int_eq(rank[i].status, 0);
        ck_assert_str_eq(rank[i].weights, rank[0].weights);
        ck_assert_str_eq(rank[i].state, rank[0].state);
    }
    return rank[0];
}

/* Batches of many blocks, of fewer blocks than ranks, and one that leaves a smaller last batch;
 * of blocks that some kernels take two, four or eight at once, with a rest, and of blocks that they cannot. */
static const long shape[][2] = {
    { 40, 4 }, { 7, 1 }, { 32, 16 }, { 1, 1 }, { 40, 8 }, { 37, 8 }, { 35, 2 }, { 30, 4 },
};

static void check_same_end(struct setup u, const struct rank *alone)
{
    const struct rank r = run_world(u);
    ck_assert_msg(!strcmp(r.weights, alone->weights) && !strcmp(r.state, alone->state) && r.redone == alone->redone,
                  "batch %ld in blocks of %ld: %d ranks of %d threads, %d to a block, end elsewhere; the network: %s",
                  u.batch, u.block, u.ranks, u.threads, u.sharing, u.text);
}

START_TEST(ranks)
{
    const long batch = shape[_i][0], block = shape[_i][1];
    const struct rank alone = run_world((struct setup){ plain, batch, block, 1, 1, 1 });
    for (int n = 1; n <= 5; n += n == 3 ? 2 : 1)
        for (int threads = 1; threads <= 2; threads++)
            check_same_end((struct setup){ plain, batch, block, n, threads, threads }, &alone);
}
END_TEST

/* One block of one sample, of half as many as there are lanes, of as many; several; with a smaller last step. */
static const long few[][2] = { { 1, 1 }, { 2, 1 }, { 8, 8 }, { 16, 16 }, { 27, 9 } };
enum { FEW = sizeof few / sizeof *few };

START_TEST(threads_to_a_block)
{
    static const int threads[] = { 2, 5 };
    struct setup u = { shared[_i / FEW], few[_i % FEW][0], few[_i % FEW][1], 1, 1, 1 };
    const struct rank alone = run_world(u);
    u.sharing = 7;
    for (size_t i = 0; i < sizeof threads / sizeof *threads; i++) {
        u.threads = threads[i];
        check_same_end(u, &alone);
    }
    u.ranks = 2;
    u.threads = 3;
    check_same_end(u, &alone);
}
END_TEST

START_TEST(another_block)
{
    const struct rank a = run_world((struct setup){ plain, 40, 4, 2, 1, 1 });
    const struct rank b = run_world((struct setup){ plain, 40, 5, 2, 1, 1 });
    ck_assert_str_ne(a.weights, b.weights);
}
END_TEST

Suite *ranks_suite(void)
{
    Suite *s = suite_create("ranks");
    TCase *t = tcase_create("ranks");
    tcase_set_timeout(t, 60);
    tcase_add_loop_test(t, ranks, 0, sizeof shape / sizeof *shape);
    tcase_add_loop_test(t, threads_to_a_block, 0, NETS * FEW);
    tcase_add_test(t, another_block);
    suite_add_tcase(s, t);
    return s;
}
