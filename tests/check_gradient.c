/* Gradients of whole networks, drawn at random, against central differences of the oracle's loss in double precision.
 *
 * The network goes the program's way, from its text through cr_net_parse to the passes of a worker and the rounded
 * integers; the oracle goes its own, layer by layer in the order of the text. Every kind of layer must have taken part.
 * Where a ReLU or a max-pool is about to change its mind a difference says nothing, so such draws are thrown away. */
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/layer.h"
#include "core/scale.h"
#include "core/worker.h"
#include "tests/oracle.h"
#include "tests/suites.h"
#include "tests/values.h"

enum { NETS = 48, MAX_SAMPLES = 19, MAX_LAYERS = 12, MAX_VALUES = 2048, MAX_PARAMS = 4096, MAX_TENSORS = 16 };
static const double tolerance = 1e-3; /* relative error of a gradient */
static const double kink = 1e-4;      /* how near to one counts as at one */
static const double step = 1e-6;      /* of the central differences */

/* A network in the test's own words. */
enum kind { CONV, LINEAR, MAXPOOL, AVGPOOL, TANH, RELU, SIGMOID, SOFTMAX, KINDS };
static const char *const kind_name[KINDS] = { "conv", "linear", "maxpool", "avgpool", "tanh", "relu", "sigmoid",
                                              "softmax" };
struct layer {
    enum kind kind;
    struct cr_conv c;           /* windows; of the others in_c and out_c alone, the number of values */
    int at, weights, biases;    /* place of the weights among the parameters; the biases follow */
};
struct drawn {
    char text[1024];
    struct layer layer[MAX_LAYERS];
    int layers, params;
    int channels, height, width, classes;
    int c, h, w;                /* shape after the last layer, while drawing */
};

/* ---- drawing */

static struct layer *add(struct drawn *d, enum kind kind, const char *words)
{
    struct layer *l = &d->layer[d->layers++];
    const int n = d->c * d->h * d->w;
    *l = (struct layer){ .kind = kind, .c = { .in_c = n, .out_c = n }, .at = d->params };
    snprintf(d->text + strlen(d->text), sizeof d->text - strlen(d->text), "%s%s\n", kind_name[kind], words);
    return l;
}

static void add_window(struct drawn *d, enum kind kind, int out_c, int kh, int kw, int stride, int pad)
{
    char words[64];
    if (kind == CONV)
        snprintf(words, sizeof words, " %d %dx%d stride=%d pad=%d", out_c, kh, kw, stride, pad);
    else
        snprintf(words, sizeof words, " %dx%d stride=%d", kh, kw, stride);
    struct layer *l = add(d, kind, words);
    l->c = (struct cr_conv){ d->c, d->h, d->w, out_c, (d->h + 2 * pad - kh) / stride + 1,
                             (d->w + 2 * pad - kw) / stride + 1, kh, kw, stride, pad };
    if (kind == CONV) {
        l->weights = out_c * d->c * kh * kw;
        l->biases = out_c;
        d->params += l->weights + l->biases;
    }
    d->c = out_c;
    d->h = l->c.out_h;
    d->w = l->c.out_w;
}

static void add_linear(struct drawn *d, int out)
{
    char words[32];
    snprintf(words, sizeof words, " %d", out);
    struct layer *l = add(d, LINEAR, words);
    l->c.out_c = out;
    l->weights = l->c.in_c * out;
    l->biases = out;
    d->params += l->weights + l->biases;
    d->c = out;
    d->h = d->w = 1;
}

static void add_activation(struct drawn *d, struct values *v)
{
    const int which = next_int(v, 4);
    if (which < 3) add(d, (enum kind)(TANH + which), "");
}

static void add_stage(struct drawn *d, struct values *v)
{
    const int kh = 1 + next_int(v, d->h < 4 ? d->h : 4), kw = 1 + next_int(v, d->w < 4 ? d->w : 4);
    add_window(d, CONV, 1 + next_int(v, 5), kh, kw, 1 + next_int(v, 2), next_int(v, kh < kw ? kh : kw));
    add_activation(d, v);
    const int pool = next_int(v, 3);
    if (pool < 2 && d->h > 1 && d->w > 1)
        add_window(d, pool ? MAXPOOL : AVGPOOL, d->c, 2, 1 + next_int(v, 2), 1 + next_int(v, 2), 0);
    if (next_int(v, 4) == 0) add_activation(d, v);
}

static void draw(struct drawn *d, struct values *v)
{
    *d = (struct drawn){ .channels = 1 + next_int(v, 3), .height = 4 + next_int(v, 6), .width = 4 + next_int(v, 6) };
    d->c = d->channels;
    d->h = d->height;
    d->w = d->width;
    snprintf(d->text, sizeof d->text, "input %dx%dx%d\n", d->c, d->h, d->w);
    for (int stages = next_int(v, 3); stages > 0; stages--) add_stage(d, v);
    if (next_int(v, 2)) {
        add_linear(d, 1 + next_int(v, 12));
        add_activation(d, v);
    }
    d->classes = 2 + next_int(v, 9);
    add_linear(d, d->classes);
    add(d, SOFTMAX, "");
}

/* ---- the oracle's loss */

/* Is the greatest value of some window nearly equalled by another? Dead ReLUs, all exactly 0, stay what they are. */
static int pool_undecided(const struct cr_conv *c, const double *x, const double *y)
{
    for (int oc = 0; oc < c->out_c; oc++)
        for (int oy = 0; oy < c->out_h; oy++)
            for (int ox = 0; ox < c->out_w; ox++, y++) {
                int near = 0;
                for (int ky = 0; ky < c->kh; ky++)
                    for (int kx = 0; kx < c->kw; kx++)
                        near += x[(oc * c->in_h + oy * c->stride + ky) * c->in_w + ox * c->stride + kx] > *y - kink;
                if (near > 1 && *y != 0) return 1;
            }
    return 0;
}

static int relu_undecided(int n, const double *x)
{
    for (int i = 0; i < n; i++)
        if (fabs(x[i]) < kink) return 1;
    return 0;
}

/* Loss of one sample. *undecided is set when a kink is near; it may be NULL. */
static double oracle_loss(const struct drawn *d, const double *params, const double *image, int label, int *undecided)
{
    double values[2][MAX_VALUES], p[MAX_VALUES], dx[MAX_VALUES];
    const double *x = image;
    for (int i = 0; i < d->layers; i++) {
        const struct layer *l = &d->layer[i];
        const double *w = params + l->at, *b = w + l->weights;
        const int n = l->c.in_c;
        double *y = values[i % 2];
        switch (l->kind) {
        case CONV: oracle_conv(&l->c, x, w, b, y); break;
        case LINEAR: oracle_linear(n, l->c.out_c, x, w, b, y); break;
        case MAXPOOL:
            oracle_maxpool(&l->c, x, y);
            if (undecided && pool_undecided(&l->c, x, y)) *undecided = 1;
            break;
        case AVGPOOL: oracle_avgpool(&l->c, x, y); break;
        case TANH:
            for (int k = 0; k < n; k++) y[k] = tanh(x[k]);
            break;
        case RELU:
            if (undecided && relu_undecided(n, x)) *undecided = 1;
            for (int k = 0; k < n; k++) y[k] = x[k] > 0 ? x[k] : 0;
            break;
        case SIGMOID:
            for (int k = 0; k < n; k++) y[k] = oracle_sigmoid(x[k]);
            break;
        case SOFTMAX:
        case KINDS: return oracle_softmax(n, x, label, p, dx);
        }
        x = y;
    }
    return NAN;
}

/* ---- one network: its samples, its weights, both gradients */

struct trial {
    struct drawn net;
    int samples;
    uint8_t image[MAX_SAMPLES][MAX_VALUES], label[MAX_SAMPLES];
    double input[MAX_SAMPLES][MAX_VALUES]; /* the images, normalised */
    float params[MAX_PARAMS];
    double exact[MAX_PARAMS];              /* the same */
    struct cr_normalization z;
};

static double loss_of(const struct trial *t, const double *params)
{
    double loss = 0;
    for (int s = 0; s < t->samples; s++) loss += oracle_loss(&t->net, params, t->input[s], t->label[s], NULL);
    return loss;
}

static void draw_values(struct trial *t, struct values *v)
{
    const struct drawn *d = &t->net;
    const int plane = d->height * d->width;
    t->z.channels = d->channels;
    for (int c = 0; c < d->channels; c++) {
        t->z.scale[c] = (1 + cr_unit(next_word(v))) / 128;
        t->z.shift[c] = -cr_unit(next_word(v));
    }
    for (int s = 0; s < t->samples; s++) {
        t->label[s] = (uint8_t)next_int(v, d->classes);
        for (int i = 0; i < d->channels * plane; i++) {
            t->image[s][i] = (uint8_t)next_int(v, 256);
            t->input[s][i] = t->image[s][i] * (double)t->z.scale[i / plane] + (double)t->z.shift[i / plane];
        }
    }
    for (int i = 0; i < d->layers; i++) {
        const struct layer *l = &d->layer[i];
        if (!l->weights) continue;
        const float bound = 1.5f / sqrtf((float)(l->weights / l->biases));
        for (int k = 0; k < l->weights + l->biases; k++) t->params[l->at + k] = bound * next_float(v);
    }
    for (int i = 0; i < d->params; i++) t->exact[i] = (double)t->params[i];
}

static int near_a_kink(const struct trial *t)
{
    int undecided = 0;
    for (int s = 0; s < t->samples; s++) oracle_loss(&t->net, t->exact, t->input[s], t->label[s], &undecided);
    return undecided;
}

/* Draw a network and values far from all kinks; a network that is too large or has too many of them is replaced. */
static void draw_trial(struct trial *t, struct values *v)
{
    for (;;) {
        draw(&t->net, v);
        t->samples = 1 + next_int(v, MAX_SAMPLES);
        for (int attempt = 0; attempt < 4 && t->net.params <= MAX_PARAMS; attempt++) {
            draw_values(t, v);
            if (!near_a_kink(t)) return;
        }
    }
}

/* The program's gradient, summed over the samples, in the order of the parameters. */
static void worker_gradient(const struct trial *t, const struct cr_net *net, const struct cr_kernels *kernels,
                            double *gradient)
{
    int shift[MAX_TENSORS] = { 0 };
    struct cr_worker *w = cr_worker_new(net, kernels, t->samples, CR_WORKER_TRAINS);
    ck_assert_ptr_nonnull(w);
    for (int pass = 0; pass < 2; pass++) { /* the first measures, as in training */
        for (int s = 0; s < t->samples; s++) {
            w->image[s] = t->image[s];
            w->label[s] = t->label[s];
        }
        w->blocks = 0;
        cr_worker_train(w, t->params, &t->z, t->samples, 1, shift);
        for (int i = 0; i < net->tensors && pass == 0; i++)
            shift[i] = cr_scale_shift(cr_scale_raise(CR_SCALE_UNSET, w->max[i]), 0);
    }
    for (int i = 0; i < net->tensors; i++)
        for (size_t k = net->tensor[i].at; k < net->tensor[i].at + net->tensor[i].count; k++)
            gradient[k] = ldexp((double)(int32_t)w->sum[k], -shift[i]);
    cr_worker_free(w);
}

static void difference_gradient(struct trial *t, double *gradient)
{
    for (int i = 0; i < t->net.params; i++) {
        const double at = t->exact[i];
        t->exact[i] = at + step;
        const double above = loss_of(t, t->exact);
        t->exact[i] = at - step;
        const double below = loss_of(t, t->exact);
        t->exact[i] = at;
        gradient[i] = (above - below) / (2 * step);
    }
}

/* Largest relative error. A value below a hundredth of its tensor's largest is measured against that hundredth: its
 * own rounding is of that size. */
static double compare(const struct trial *t, const struct cr_net *net, const char *isa, const double *got,
                      const double *right)
{
    double worst = 0;
    for (int i = 0; i < net->tensors; i++) {
        const struct cr_tensor *tensor = &net->tensor[i];
        double largest = 0;
        for (size_t k = tensor->at; k < tensor->at + tensor->count; k++) largest = fmax(largest, fabs(right[k]));
        for (size_t k = tensor->at; k < tensor->at + tensor->count; k++) {
            const double error = fabs(got[k] - right[k]) / (fmax(fabs(right[k]), largest / 100) + 1e-12);
            ck_assert_msg(error <= tolerance,
                          "%s: %s of %s, element %zu: %.9g, central difference %.9g, relative error %.2g (seed %llu)"
                          "\n%s", isa, tensor->is_bias ? "bias" : "weight", tensor->layer->name, k - tensor->at, got[k],
                          right[k], error, (unsigned long long)test_seed(), t->net.text);
            worst = fmax(worst, error);
        }
    }
    return worst;
}

START_TEST(random_networks)
{
    static struct trial t;
    static double got[MAX_PARAMS], right[MAX_PARAMS];
    struct values v = { 0 };
    int seen[KINDS] = { 0 }, elements = 0;
    double worst = 0;

    for (int n = 0; n < NETS; n++) {
        struct cr_net net;
        struct cr_error e;
        draw_trial(&t, &v);
        ck_assert_msg(cr_net_parse(&net, "drawn", "drawn", t.net.text, &e) == 0, "%s\n%s", e.text, t.net.text);
        ck_assert_uint_eq(net.params, (size_t)t.net.params);
        difference_gradient(&t, right);
        for (const char *const *isa = cr_isa_names(); *isa; isa++) {
            struct cr_kernels kernels;
            cr_kernels_fill(&kernels, cr_isa_flags(*isa));
            worker_gradient(&t, &net, &kernels, got);
            worst = fmax(worst, compare(&t, &net, *isa, got, right));
        }
        for (int i = 0; i < t.net.layers; i++) seen[t.net.layer[i].kind]++;
        elements += t.net.params;
        cr_net_free(&net);
    }

    int kinds = 0;
    while (cr_layer_types[kinds]) kinds++;
    ck_assert_int_eq(kinds, KINDS); /* a new kind of layer has to be taught to this test */
    for (int i = 0; i < KINDS; i++) ck_assert_msg(seen[i] > 0, "no %s among the networks drawn", kind_name[i]);
    if (getenv("CR_TEST_FIGURES"))
        printf("figure: gradient of %d networks, %d weights: worst relative error %.1e\n", NETS, elements, worst);
}
END_TEST

Suite *gradient_suite(void)
{
    Suite *s = suite_create("gradient");
    TCase *tc = tcase_create("central differences");
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, random_networks);
    suite_add_tcase(s, tc);
    return s;
}
