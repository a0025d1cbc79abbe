#define _POSIX_C_SOURCE 200809L
#include "core/worker.h"

#include <stdlib.h>
#include <string.h>

#include "core/lanes.h"
#include "core/scale.h"

/* A cursor over the arena. With base NULL it only measures: one description of the layout serves both. */
struct cursor {
    char *base;
    size_t used;
};

static void *take(struct cursor *c, size_t count, size_t size)
{
    void *p = c->base ? c->base + c->used : NULL;
    c->used += (count * size + 63) & ~(size_t)63;
    return p;
}

/* Layers whose backward pass nobody needs below: no parameters further down, so no gradient by input. */
static int wants_input_gradient(const struct cr_net *net, int layer)
{
    for (int i = 0; i < layer; i++)
        if (net->layer[i].weights) return 1;
    return 0;
}

/* The most samples this worker has in work at once. */
static struct cr_samples most_samples(const struct cr_worker *w)
{
    return w->two ? (struct cr_samples){ 2 * w->block, CR_TWO_LANES, 1 } : (struct cr_samples){ w->block, w->lanes, 0 };
}

static void lay_out(struct cursor *c, struct cr_worker *w, int training)
{
    const struct cr_net *net = w->net;
    const struct cr_samples s = most_samples(w);
    const size_t side = (size_t)cr_groups(s) * (size_t)s.lanes;
    size_t widest = 0, scratch = 0, weights = 0, biases = 0;

    for (int i = 0; i < net->layers; i++) {
        const struct cr_layer *l = &net->layer[i];
        const size_t need = l->type->scratch ? l->type->scratch(l, s) : 0;
        if (cr_shape_size(l->in) > widest) widest = cr_shape_size(l->in);
        if (need > scratch) scratch = need;
        if (l->weights > weights) weights = l->weights;
        if (l->biases > biases) biases = l->biases;
    }
    w->image = take(c, (size_t)s.n, sizeof *w->image);
    w->label = take(c, (size_t)s.n, sizeof *w->label);
    w->loss = take(c, (size_t)s.n, sizeof *w->loss);
    float **act = take(c, (size_t)net->layers + 1, sizeof *act);
    float *input = take(c, side * cr_shape_size(net->input), sizeof *input);
    if (act) act[0] = input;
    for (int i = 0; i < net->layers; i++) {
        float *out = take(c, side * cr_shape_size(net->layer[i].out), sizeof *out);
        if (act) act[i + 1] = out;
    }
    w->act = act;
    w->scratch = take(c, scratch, sizeof *w->scratch);
    if (!training) return;
    for (int i = 0; i < 2; i++) w->gradient[i] = take(c, side * widest, sizeof *w->gradient[i]);
    w->dw = take(c, weights * (size_t)(1 + s.two), sizeof *w->dw);
    w->db = take(c, biases * (size_t)(1 + s.two), sizeof *w->db);
    w->sum = take(c, net->params, sizeof *w->sum);
    w->max = take(c, (size_t)net->tensors, sizeof *w->max);
    if (w->block == 1) w->outer = take(c, (size_t)net->tensors, sizeof *w->outer);
    for (int i = 0; i < net->layers && w->block == 1; i++) {
        const struct cr_layer *l = &net->layer[i];
        if (!l->type->backward_rounded) continue;
        float *const dy = take(c, l->biases, sizeof *dy);
        if (w->outer) w->outer[l->tensor].dy = dy;
    }
    w->scale = take(c, (size_t)net->tensors, sizeof *w->scale);
}

static struct cr_worker worker_for(const struct cr_net *net, const struct cr_kernels *k, int block, int training)
{
    return (struct cr_worker){
        .net = net, .kernels = k, .block = block, .lanes = cr_lanes(block), .two = training && cr_two_blocks(k, block),
    };
}

size_t cr_worker_size(const struct cr_net *net, const struct cr_kernels *k, int block, int training)
{
    struct cursor c = { 0 };
    struct cr_worker w = worker_for(net, k, block, training);
    lay_out(&c, &w, training);
    return c.used;
}

struct cr_worker *cr_worker_new(const struct cr_net *net, const struct cr_kernels *k, int block, int training)
{
    struct cr_worker *w = calloc(1, sizeof *w);
    struct cursor c = { 0 };
    void *arena = NULL;

    const size_t size = cr_worker_size(net, k, block, training);
    if (!w || posix_memalign(&arena, 64, size)) {
        free(w);
        return NULL;
    }
    memset(arena, 0, size); /* first touch */
    *w = worker_for(net, k, block, training);
    w->arena = arena;
    c.base = arena;
    lay_out(&c, w, training);
    return w;
}

void cr_worker_free(struct cr_worker *w)
{
    if (w) free(w->arena);
    free(w);
}

/* x * 2^24 rounded to nearest even: added to 1.5 * 2^52, a double's last bit is worth 1, and the integer can be read
 * off its bits. A loss above 2^16, of a run that is lost, counts as 2^16: the sum of 2^22 losses stays in 64 bits. */
static int64_t fixed24(float x)
{
    const double magic = 0x1.8p52, shifted = (double)(x < 0x1p16f ? x : 0x1p16f) * 0x1p24 + magic;
    uint64_t bits, zero;
    memcpy(&bits, &shifted, sizeof bits);
    memcpy(&zero, &magic, sizeof zero);
    return (int64_t)(bits - zero);
}

int64_t cr_loss_sum(const float *loss, int n)
{
    int64_t sum = 0;
    for (int i = 0; i < n; i++) sum += fixed24(loss[i]);
    return sum;
}

int cr_takes_pool(const struct cr_net *net, int i, const struct cr_kernels *k, struct cr_samples s)
{
    const struct cr_layer *l = &net->layer[i];
    if (i + 1 >= net->layers || !l[1].type->is_maxpool || !l->type->pools) return 0;
    const struct cr_conv *pool = &l[1].conv;
    return pool->kh == 2 && pool->kw == 2 && pool->stride == 2 && l->type->pools(l, k, s);
}

static int takes_pool(const struct cr_worker *w, int i)
{
    return !w->apart && cr_takes_pool(w->net, i, w->kernels, w->samples);
}

static struct cr_pass pass_of(const struct cr_worker *w, const float *params, int i, int pool)
{
    const struct cr_layer *l = &w->net->layer[i];
    return (struct cr_pass){
        .kernels = w->kernels, .samples = w->samples,
        .x = w->act[i], .y = w->act[i + 1 + pool], .won = w->act[i + 1], .w = params + l->weight_at,
        .b = params + l->bias_at, .label = w->label, .loss = w->loss, .scratch = w->scratch,
    };
}

static void forward(struct cr_worker *w, const float *params, const struct cr_normalization *z, int training)
{
    const struct cr_net *net = w->net;
    w->kernels->load(w->samples, w->image, net->input.c, (size_t)net->input.h * (size_t)net->input.w, z->scale,
                     z->shift, w->act[0]);
    cr_profile_loaded(w->profile, w->samples.n);
    for (int i = 0; i < net->layers; i++) {
        const struct cr_layer *l = &net->layer[i];
        const int pool = takes_pool(w, i);
        struct cr_pass p = pass_of(w, params, i, pool);
        if (training && l->type->is_loss) p.dx = w->gradient[0];
        (pool ? l->type->forward_pool : l->type->forward)(l, &p);
        cr_profile_mark(w->profile, cr_span_forward(i));
        i += pool;
    }
}

void cr_worker_forward(struct cr_worker *w, const float *params, const struct cr_normalization *z, int n, int training)
{
    w->samples = (struct cr_samples){ n, w->lanes, 0 };
    forward(w, params, z, training);
}

/* before: blocks done in this step before the one whose maximum it is */
static void note_max(struct cr_worker *w, int tensor, uint32_t max, int before)
{
    if (before == 0 || max > w->max[tensor]) w->max[tensor] = max;
}

/* Round the gradient of one tensor, block by block, and add it while it is in cache. */
static void collect(struct cr_worker *w, int tensor, const float *gradient, const int *shift)
{
    const struct cr_tensor *t = &w->net->tensor[tensor];
    const float scale = cr_scale_power(shift[tensor]);
    for (int h = 0; h <= w->samples.two; h++, gradient += t->count) {
        const int before = w->blocks + h;
        note_max(w, tensor, w->kernels->round(t->count, gradient, scale, w->sum + t->at, before > 0), before);
    }
}

/* Backward of a layer that rounds its gradients itself. */
static void backward_rounded(struct cr_worker *w, const struct cr_layer *l, const struct cr_pass *p, const int *shift)
{
    struct cr_rounding r = { .add = w->blocks > 0, .outer = w->factors ? &w->outer[l->tensor] : NULL };
    for (int i = 0; i < 2; i++) {
        r.scale[i] = cr_scale_power(shift[l->tensor + i]);
        r.sum[i] = w->sum + w->net->tensor[l->tensor + i].at;
    }
    l->type->backward_rounded(l, p, &r);
    for (int i = 0; i < 2; i++) note_max(w, l->tensor + i, r.max[i], w->blocks);
}

void cr_worker_train(struct cr_worker *w, const float *params, const struct cr_normalization *z, int n, int two,
                     const int *shift)
{
    const struct cr_net *net = w->net;
    int from = 0; /* which gradient buffer holds dy */

    w->samples = two ? (struct cr_samples){ n, CR_TWO_LANES, 1 } : (struct cr_samples){ n, w->lanes, 0 };
    forward(w, params, z, 1);
    w->loss_sum += cr_loss_sum(w->loss, n);
    for (int i = net->layers - 1; i >= 0; i--) {
        const int pool = i > 0 && takes_pool(w, i - 1);
        const struct cr_layer *l = &net->layer[i -= pool];
        if (!l->type->backward) continue;
        if (!l->weights && !wants_input_gradient(net, i)) break;
        struct cr_pass p = pass_of(w, params, i, pool);
        p.dy = w->gradient[from];
        p.dx = wants_input_gradient(net, i) ? w->gradient[!from] : NULL;
        p.dw = w->dw;
        p.db = w->db;
        const int rounded = w->samples.n == 1 && w->lanes == 1 && l->type->backward_rounded;
        if (rounded)
            backward_rounded(w, l, &p, shift);
        else
            (pool ? l->type->backward_pool : l->type->backward)(l, &p);
        cr_profile_mark(w->profile, cr_span_backward(i));
        if (l->weights && !rounded) {
            collect(w, l->tensor, w->dw, shift);
            collect(w, l->tensor + 1, w->db, shift);
            cr_profile_mark(w->profile, CR_SPAN_ROUND);
        }
        from = !from;
    }
    w->blocks += 1 + two;
}
