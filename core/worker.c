#include "core/worker.h"

#include <stdlib.h>
#include <string.h>

#include "core/lanes.h"
#include "core/memory.h"
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

/* Floats of dw that a layer leaves. */
static size_t stored(const struct cr_layer *l, int blocks)
{
    return l->weights * (size_t)(l->type->weigh ? 1 : blocks);
}

int cr_worker_lanes(const struct cr_net *net, const struct cr_kernels *k, int block, enum cr_worker_use use)
{
    if (use == CR_WORKER_SHARES) return cr_lanes_shared(block);
    return cr_lanes_of(net, k, block);
}

int cr_worker_at_once(const struct cr_net *net, const struct cr_kernels *k, int block, enum cr_worker_use use)
{
    enum { ROOM = 16 * 1024 * 1024 }; /* floats, for their gradients */
    if (use == CR_WORKER_EVALUATES) return 1;
    int blocks = cr_blocks_at_once(k, block);
    for (int i = 0; i < net->layers; i++)
        while (blocks > 2 && stored(&net->layer[i], blocks) > ROOM) blocks /= 2;
    return blocks;
}

struct cr_samples cr_worker_samples(const struct cr_worker *w, int n, int blocks)
{
    if (blocks == 1) return (struct cr_samples){ n, w->lanes, 0 };
    return (struct cr_samples){ n, cr_lanes_of_blocks(w->kernels, blocks, w->block), w->block };
}

static void lay_out(struct cursor *c, struct cr_worker *w, enum cr_worker_use use)
{
    const struct cr_net *net = w->net;
    const struct cr_samples s = cr_worker_samples(w, w->at_once * w->block, w->at_once);
    const size_t side = (size_t)cr_groups(s) * (size_t)s.lanes;
    size_t widest = 0, scratch = 0, weights = 0, biases = 0;

    for (int i = 0; i < net->layers; i++) {
        const struct cr_layer *l = &net->layer[i];
        for (int one = 0; one < 2 && l->type->scratch; one++) {
            const struct cr_samples some = one ? cr_worker_samples(w, w->block, 1) : s;
            const size_t need = cr_may_pool(net, i) ? l->type->scratch_pool(l, some) : l->type->scratch(l, some);
            if (need > scratch) scratch = need;
        }
        if (cr_shape_size(l->in) > widest) widest = cr_shape_size(l->in);
        if (stored(l, w->at_once) > weights) weights = stored(l, w->at_once);
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
    if (use == CR_WORKER_EVALUATES) return;
    for (int i = 0; i < 2; i++) w->gradient[i] = take(c, side * widest, sizeof *w->gradient[i]);
    w->dw = take(c, weights, sizeof *w->dw);
    w->db = take(c, biases * (size_t)w->at_once, sizeof *w->db);
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
    if (use != CR_WORKER_SHARES) return;
    for (int i = 0; i < 2; i++) w->common[i] = take(c, side * widest, sizeof *w->common[i]);
    w->way = take(c, (size_t)net->layers, sizeof *w->way);
}

static struct cr_worker worker_for(const struct cr_net *net, const struct cr_kernels *k, int block,
                                   enum cr_worker_use use)
{
    return (struct cr_worker){
        .net = net, .kernels = k, .block = block, .lanes = cr_worker_lanes(net, k, block, use),
        .at_once = cr_worker_at_once(net, k, block, use), .share = { 0, 1 },
    };
}

size_t cr_worker_size(const struct cr_net *net, const struct cr_kernels *k, int block, enum cr_worker_use use)
{
    struct cursor c = { 0 };
    struct cr_worker w = worker_for(net, k, block, use);
    lay_out(&c, &w, use);
    return c.used;
}

/* For one sample, linear layers are no more than reading their weights and writing them: quickest where these are in a
 * cache already, as far as one core's will hold them with their momentum. */
static int is_solo(const struct cr_layer *l, int block)
{
    enum { HELD = 128 * 1024 }; /* weights */
    return block == 1 && l->type->backward_rounded && l->weights <= HELD;
}

/* Whole is what takes less than about two hundred nanoseconds. What is made of the channels of the layer before goes
 * its way. */
static enum cr_sharing way_of(const struct cr_net *net, int i, int block, const char *way)
{
    enum { LITTLE = 16 * 1024 }; /* operations of a forward pass */
    const struct cr_layer *const l = &net->layer[i];
    const enum cr_sharing before = i > 0 ? (enum cr_sharing)way[i - 1] : CR_SHARED;
    if (l->type->own_channels) return before;
    if (l->type->is_loss) return before == CR_SOLO ? CR_SOLO : CR_WHOLE;
    if (is_solo(l, block)) return CR_SOLO;
    return l->type->flop(l) * block < LITTLE ? CR_WHOLE : CR_SHARED;
}

struct cr_worker *cr_worker_new(const struct cr_net *net, const struct cr_kernels *k, int block,
                                enum cr_worker_use use)
{
    struct cr_worker *w = calloc(1, sizeof *w);
    struct cursor c = { 0 };

    const size_t size = cr_worker_size(net, k, block, use);
    void *const arena = cr_memory(size);
    if (!w || !arena) {
        free(arena);
        free(w);
        return NULL;
    }
    memset(arena, 0, size); /* first touch */
    *w = worker_for(net, k, block, use);
    w->arena = arena;
    c.base = arena;
    lay_out(&c, w, use);
    cr_worker_alone(w);
    for (int i = 0; w->way && i < net->layers; i++) w->way[i] = (char)way_of(net, i, block, w->way);
    return w;
}

void cr_worker_free(struct cr_worker *w)
{
    if (w) free(w->arena);
    free(w);
}

void cr_worker_alone(struct cr_worker *w)
{
    w->lead = w;
    w->share = (struct cr_share){ 0, 1 };
}

void cr_worker_join(struct cr_worker *w, struct cr_worker *lead, struct cr_share share, struct cr_meeting meeting)
{
    w->lead = lead;
    w->share = share;
    w->meeting = meeting;
}

static int no_more_than(int widest, double parts)
{
    return parts >= widest ? widest : parts > 1 ? (int)parts : 1;
}

int cr_worker_most_parts(const struct cr_net *net, int block, long asked, int *bold)
{
    /* Operations of a thread between two meetings. With less, handing over what others have made takes as long as
     * making it: on two cores of a Xeon. Two of a Zen 5 gain by half as much. */
    enum { WORTH = 128 * 1024 };
    int widest = 1, meetings = 2;
    double flop = 0;
    *bold = 1;
    if (cr_lanes_shared(block) < block) return 1;
    for (int i = 0; i < net->layers; i++) {
        const struct cr_layer *const l = &net->layer[i];
        if (!l->weights || is_solo(l, block)) continue;
        if (l->out.c > widest) widest = l->out.c;
        flop += 3 * cr_layer_flop_forward(l) * block; /* and by input, by weight */
        meetings += 2;
    }
    const double worth = flop / (meetings * (double)WORTH);
    *bold = asked ? no_more_than(widest, (double)asked) : no_more_than(widest, 2 * worth);
    return asked ? *bold : no_more_than(widest, worth);
}
