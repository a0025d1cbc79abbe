/* The passes over a block: forward, backward, gradients to integers.
 *
 * Where several share a block (core/share.h), before a layer reads what others have made, all meet. What all read is in
 * the lead's memory. */
#include <string.h>

#include "core/scale.h"
#include "core/worker.h"

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

/* Layers whose backward pass nobody needs below: no parameters further down, so no gradient by input. */
static int wants_input_gradient(const struct cr_net *net, int layer)
{
    for (int i = 0; i < layer; i++)
        if (net->layer[i].weights) return 1;
    return 0;
}

static int takes_pool(const struct cr_worker *w, int i)
{
    return !w->apart && cr_takes_pool(w->net, i, w->kernels, w->samples);
}

/* How this worker goes about layer i; -1 is the input. Alone it makes the whole of all. */
static enum cr_sharing way_of(const struct cr_worker *w, int i)
{
    return w->share.parts == 1 || i < 0 ? CR_WHOLE : (enum cr_sharing)w->way[i];
}

/* What layer i gives; of -1, the input. */
static float *output_of(const struct cr_worker *w, int i)
{
    return (way_of(w, i) == CR_WHOLE ? w : w->lead)->act[i + 1];
}

/* This worker's part of the channels that a layer makes. */
static struct cr_range part_of(const struct cr_worker *w, enum cr_sharing way, struct cr_share share, int channels)
{
    if (way == CR_SHARED) return cr_share_of(share, channels);
    return (struct cr_range){ 0, way == CR_SOLO && w->share.part > 0 ? 0 : channels };
}

static struct cr_pass pass_of(const struct cr_worker *w, const float *params, int i, int pool)
{
    const struct cr_layer *l = &w->net->layer[i];
    return (struct cr_pass){
        .kernels = w->kernels, .samples = w->samples, .x = output_of(w, i - 1), .y = output_of(w, i + pool),
        .won = output_of(w, i), .w = params + l->weight_at, .b = params + l->bias_at, .label = w->label,
        .loss = w->loss, .scratch = w->scratch,
    };
}

struct cr_range cr_worker_updates(const struct cr_worker *w, int i)
{
    const enum cr_sharing way = way_of(w, i);
    return part_of(w, way == CR_WHOLE ? CR_SHARED : way, w->share, w->net->layer[i].out.c);
}

static void meet(struct cr_worker *w)
{
    cr_meet(&w->meeting);
    cr_profile_mark(w->profile, CR_SPAN_WAIT);
}

static void forward(struct cr_worker *w, const float *params, const struct cr_normalization *z, int training)
{
    const struct cr_net *net = w->net;
    w->kernels->load(w->samples, w->image, net->input.c, (size_t)net->input.h * (size_t)net->input.w, z->scale,
                     z->shift, w->act[0]);
    cr_profile_loaded(w->profile, w->share.part == 0 ? w->samples.n - __builtin_popcount(w->absent) : 0);
    for (int i = 0; i < net->layers; i++) {
        const struct cr_layer *l = &net->layer[i];
        const int pool = takes_pool(w, i);
        const enum cr_sharing before = way_of(w, i - 1), way = way_of(w, i);
        struct cr_pass p = pass_of(w, params, i, pool);
        const int reads_own = before == way && (way == CR_SOLO || l->type->own_channels);
        if (before != CR_WHOLE && !reads_own) meet(w);
        p.out = part_of(w, way, w->share, l->out.c);
        if (training && l->type->is_loss) p.dx = w->gradient[0];
        if (p.out.count) (pool ? l->type->forward_pool : l->type->forward)(l, &p);
        cr_profile_mark(w->profile, cr_span_forward(i));
        i += pool;
    }
}

void cr_worker_forward(struct cr_worker *w, const float *params, const struct cr_normalization *z, int n, int training)
{
    w->samples = cr_worker_samples(w, n, 1);
    cr_worker_alone(w);
    forward(w, params, z, training);
}

/* before: blocks done in this step before the one whose maximum it is */
static void note_max(struct cr_worker *w, int tensor, uint32_t max, int before)
{
    if (before == 0 || max > w->max[tensor]) w->max[tensor] = max;
}

/* Round the gradient of some channels of one tensor and add it while it is in cache; before: as above. */
static void collect_tensor(struct cr_worker *w, int tensor, struct cr_range r, const float *gradient, const int *shift,
                           int before)
{
    const struct cr_tensor *t = &w->net->tensor[tensor];
    const float scale = cr_scale_power(shift[tensor]);
    const size_t channel = t->count / (size_t)t->layer->out.c, from = (size_t)r.first * channel;
    uint32_t *const sum = w->lead->sum + t->at + from;
    note_max(w, tensor, w->kernels->round((size_t)r.count * channel, gradient + from, scale, sum, before > 0), before);
}

/* Those of a layer, of the h-th of blocks side by side, at a place of dw and db. */
static void collect(struct cr_worker *w, const struct cr_layer *l, struct cr_range r, int place, int h,
                    const int *shift)
{
    collect_tensor(w, l->tensor, r, w->dw + (size_t)place * l->weights, shift, w->blocks + h);
    collect_tensor(w, l->tensor + 1, r, w->db + (size_t)place * l->biases, shift, w->blocks + h);
    cr_profile_mark(w->profile, CR_SPAN_ROUND);
}

/* Backward of a layer that rounds its gradients itself. */
static void backward_rounded(struct cr_worker *w, const struct cr_layer *l, const struct cr_pass *p, const int *shift)
{
    struct cr_rounding r = { .add = w->blocks > 0, .outer = w->factors ? &w->outer[l->tensor] : NULL };
    for (int i = 0; i < 2; i++) {
        r.scale[i] = cr_scale_power(shift[l->tensor + i]);
        r.sum[i] = w->lead->sum + w->net->tensor[l->tensor + i].at;
    }
    l->type->backward_rounded(l, p, &r);
    for (int i = 0; i < 2; i++) note_max(w, l->tensor + i, r.max[i], w->blocks);
}

/* The gradient on its way down. */
struct descent {
    float *at;
    enum cr_sharing way;       /* of the layer that made it: where it is, and whose are which channels */
    int even;                  /* shared, and each has made those channels that cr_share_of gives it */
    int own_turn, common_turn; /* which of two buffers was used last */
};

/* Where layer l puts dx. What may still be read by others is not in the buffer taken: since it was, all have met. */
static struct descent dx_of(const struct cr_worker *w, const struct cr_layer *l, struct descent dy,
                            enum cr_sharing way, int roles)
{
    struct descent dx = dy;
    dx.way = way;
    dx.even = way == CR_SHARED && !roles;
    if (l->type->in_place && dy.way == way) return dx;
    if (way == CR_WHOLE)
        dx.at = w->gradient[dx.own_turn = !dy.own_turn];
    else
        dx.at = w->lead->common[dx.common_turn = !dy.common_turn];
    return dx;
}

/* Layer i, and the pool behind it if it takes that along. Returns where dx is. */
static struct descent backward(struct cr_worker *w, const float *params, const int *shift, int i, int pool,
                               struct descent dy)
{
    const struct cr_layer *l = &w->net->layer[i];
    const enum cr_sharing way = way_of(w, i);
    const int wanted = wants_input_gradient(w->net, i);
    const int rounded = w->samples.n == 1 && w->lanes == 1 && l->type->backward_rounded;
    const int roles = l->weights && wanted && way == CR_SHARED && !rounded; /* else dw, db are little, or all to do */
    const struct descent dx = wanted ? dx_of(w, l, dy, way, roles) : (struct descent){ 0 };
    const int reads_own = (dy.way == CR_SOLO && way == CR_SOLO) || (dy.even && (!wanted || dx.at == dy.at));
    struct cr_pass p = pass_of(w, params, i, pool);

    if (dy.way != CR_WHOLE && !reads_own) meet(w);
    p.dy = dy.at;
    p.dx = dx.at;
    p.dw = w->dw;
    p.db = w->db;
    p.out = part_of(w, way == CR_WHOLE ? CR_SHARED : way, roles ? cr_share_by_weight(w->share) : w->share, l->out.c);
    p.in = part_of(w, way, roles ? cr_share_by_input(w->share) : w->share, l->in.c);
    if (rounded) {
        backward_rounded(w, l, &p, shift);
        cr_profile_mark(w->profile, cr_span_backward(i));
        return dx;
    }
    const int blocks = l->weights ? cr_blocks(w->samples) : 0;
    for (int h = 0; h < blocks && l->type->weigh; h++) {
        l->type->weigh(l, &p, h);
        cr_profile_mark(w->profile, cr_span_backward(i));
        collect(w, l, p.out, 0, h, shift);
    }
    (pool ? l->type->backward_pool : l->type->backward)(l, &p);
    cr_profile_mark(w->profile, cr_span_backward(i));
    for (int h = 0; h < blocks && !l->type->weigh; h++) collect(w, l, p.out, h, h, shift);
    return dx;
}

/* What a place without a sample takes part in comes to nothing: it adds 0 to the sums over its block (and may change
 * the sign of a 0, which is not seen once that is rounded to an integer). */
static void leave_out_absent(struct cr_worker *w)
{
    const size_t values = cr_shape_size(w->net->layer[w->net->layers - 1].in), lanes = (size_t)w->samples.lanes;
    for (size_t i = 0; w->absent >> i; i++) {
        if (!(w->absent >> i & 1)) continue;
        w->loss[i] = 0;
        for (size_t k = 0; k < values; k++) w->gradient[0][k * lanes + i] = 0;
    }
    w->absent = 0;
}

void cr_worker_train(struct cr_worker *w, const float *params, const struct cr_normalization *z, int n, int blocks,
                     const int *shift)
{
    const struct cr_net *net = w->net;
    struct descent dy = { .at = w->gradient[0], .way = way_of(w, net->layers - 1) };

    w->samples = cr_worker_samples(w, n, blocks);
    forward(w, params, z, 1);
    if (w->absent) leave_out_absent(w);
    if (w->share.part == 0) w->loss_sum += cr_loss_sum(w->loss, n);
    for (int i = net->layers - 1; i >= 0; i--) {
        const int pool = i > 0 && takes_pool(w, i - 1);
        const struct cr_layer *l = &net->layer[i -= pool];
        if (!l->type->backward) continue;
        if (!l->weights && !wants_input_gradient(net, i)) break;
        dy = backward(w, params, shift, i, pool, dy);
    }
    w->blocks += blocks;
}
