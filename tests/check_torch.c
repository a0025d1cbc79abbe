/* LeNet-5 against PyTorch: the same starting weights, samples and settings, and PyTorch's losses and weights as
 * tests/peers/train.py wrote them down in tests/data/torch_lenet5.txt. Needs MNIST, where `corering info mnist` finds
 * it. */
#define _XOPEN_SOURCE 700

#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "apps/find.h"
#include "core/checkpoint.h"
#include "tests/suites.h"

enum { MAX_STEPS = 64 };
static const double loss_tolerance = 1e-4, weight_tolerance = 1e-5, norm_tolerance = 1e-5;

/* One run of the file, while it is read and compared line by line. */
struct comparison {
    FILE *golden;
    struct cr_data data;
    struct cr_net net;
    struct cr_train_options options;
    double loss[MAX_STEPS + 1];     /* of corering's steps, from 1 */
    struct cr_state state;          /* corering's end; params NULL: not trained yet */
    double worst_loss, worst_weight;
    char name[80];
};

static void keep_loss(void *user, const struct cr_event_step *event)
{
    struct comparison *c = user;
    if (event->step <= MAX_STEPS) c->loss[event->step] = event->loss;
}

/* Train as the options say and load what the run left. */
static void train(struct comparison *c)
{
    char folder[] = "/tmp/corering-torch-XXXXXX";
    const struct cr_train_events events = { .user = c, .step = keep_loss };
    struct cr_train_result result;
    struct cr_net saved;
    struct cr_error e;

    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(c->options.checkpoint, sizeof c->options.checkpoint, "%s", folder);
    c->options.log_every = 1;
    c->options.validate_every = 0;
    ck_assert_msg(cr_train(&c->options, &c->net, &c->data, &events, &result, &e) == 0, "%s", e.text);
    ck_assert_msg(cr_checkpoint_load(result.checkpoint, &saved, &c->state, &e) == 0, "%s", e.text);
    cr_net_free(&saved);
    unlink(result.checkpoint);
    rmdir(folder);
}

static void begin(struct comparison *c, const char *name, const char *net)
{
    struct cr_error e;
    cr_state_free(&c->state);
    cr_net_free(&c->net);
    memset(&c->state, 0, sizeof c->state);
    cr_train_defaults(&c->options);
    c->worst_loss = c->worst_weight = 0;
    snprintf(c->name, sizeof c->name, "%s", name);
    ck_assert_msg(cr_find_net(&c->net, net, &e) == 0, "%s", e.text);
}

static void finish(const struct comparison *c)
{
    if (!c->state.params) return;
    if (getenv("CR_TEST_FIGURES"))
        printf("figure: %s, %ld steps: loss within %.1e, weights within %.1e of PyTorch's golden values\n", c->name,
               c->options.steps, c->worst_loss, c->worst_weight);
}

/* The starting weights are PyTorch's: those that its numbers were made from. */
static void check_init(struct comparison *c, const char *sha256)
{
    char hex[65];
    float *params = malloc(c->net.params * sizeof *params);
    cr_net_init(&c->net, c->options.seed, params);
    cr_net_hash(&c->net, params, hex);
    free(params);
    ck_assert_msg(strcmp(hex, sha256) == 0, "%s starts from other weights than PyTorch did: after a change of that, "
                  "write the file anew with tests/peers/train.py --write", c->name);
    train(c);
}

static const float *tensor_at(const struct comparison *c, int tensor, size_t index)
{
    ck_assert(tensor >= 0 && tensor < c->net.tensors && index < c->net.tensor[tensor].count);
    return c->state.params + c->net.tensor[tensor].at + index;
}

static void check_weight(struct comparison *c, int tensor, size_t index, double right)
{
    const double error = fabs((double)*tensor_at(c, tensor, index) - right);
    ck_assert_msg(error <= weight_tolerance, "%s: tensor %d, element %zu: %.9g, PyTorch %.9g", c->name, tensor, index,
                  (double)*tensor_at(c, tensor, index), right);
    c->worst_weight = fmax(c->worst_weight, error);
}

static void check_norm(const struct comparison *c, int tensor, double right)
{
    double squares = 0;
    for (size_t i = 0; i < c->net.tensor[tensor].count; i++)
        squares += pow((double)*tensor_at(c, tensor, i), 2);
    ck_assert_msg(fabs(sqrt(squares) - right) <= norm_tolerance * right, "%s: norm of tensor %d: %.9g, PyTorch %.9g",
                  c->name, tensor, sqrt(squares), right);
}

static void check_loss(struct comparison *c, int step, double right)
{
    ck_assert(step >= 1 && step <= MAX_STEPS);
    ck_assert_msg(fabs(c->loss[step] - right) <= loss_tolerance, "%s: loss of step %d: %.9g, PyTorch %.9g", c->name,
                  step, c->loss[step], right);
    c->worst_loss = fmax(c->worst_loss, fabs(c->loss[step] - right));
}

/* One line of the file. */
static void follow(struct comparison *c, const char *line)
{
    char a[80], b[80];
    struct cr_error e;
    double x;
    int i, n;
    if (sscanf(line, "run %79s %79s", a, b) == 2) {
        finish(c);
        begin(c, a, b);
    } else if (sscanf(line, "option %79s %79s", a, b) == 2) {
        ck_assert_msg(cr_train_option_set(&c->options, a, b, &e) == 0, "%s", e.text);
    } else if (sscanf(line, "init %79s", a) == 1) {
        check_init(c, a);
    } else if (sscanf(line, "loss %d %lf", &i, &x) == 2) {
        check_loss(c, i, x);
    } else if (sscanf(line, "norm %d %lf", &i, &x) == 2) {
        check_norm(c, i, x);
    } else if (sscanf(line, "weight %d %d %lf", &i, &n, &x) == 3) {
        check_weight(c, i, (size_t)n, x);
    } else {
        ck_assert_msg(line[0] == '#' || line[0] == '\n', "torch_lenet5.txt: %s", line);
    }
}

START_TEST(lenet5_like_pytorch)
{
    static struct comparison c;
    struct cr_error e;
    char path[512], line[256];
    const char *tests = getenv("TESTDATA");
    int lines = 0;

    if (cr_find_data(&c.data, "mnist", &e) < 0) return; /* nothing to compare on this machine */
    snprintf(path, sizeof path, "%s/torch_lenet5.txt", tests ? tests : "tests/data");
    c.golden = fopen(path, "r");
    ck_assert_msg(c.golden != NULL, "cannot open %s", path);
    for (; fgets(line, sizeof line, c.golden); lines++) follow(&c, line);
    finish(&c);
    ck_assert_int_gt(lines, 500);

    fclose(c.golden);
    cr_state_free(&c.state);
    cr_net_free(&c.net);
    cr_data_close(&c.data);
}
END_TEST

Suite *torch_suite(void)
{
    Suite *s = suite_create("torch");
    TCase *tc = tcase_create("golden");
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, lenet5_like_pytorch);
    suite_add_tcase(s, tc);
    return s;
}
