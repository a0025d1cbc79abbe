#include "core/diagnose.h"

#include <string.h>

static int is_finite(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return (bits & 0x7f800000) != 0x7f800000;
}

const struct cr_layer *cr_bad_weight(const struct cr_net *net, const float *params)
{
    for (int i = 0; i < net->tensors; i++)
        for (size_t k = 0; k < net->tensor[i].count; k++)
            if (!is_finite(params[net->tensor[i].at + k])) return net->tensor[i].layer;
    return NULL;
}

/* First sample of the worker's block with a bad value in `values` (per sample, in the block's arrangement); -1. */
static int bad_sample(const struct cr_worker *w, const float *values, size_t per_sample)
{
    const size_t lanes = (size_t)w->samples.lanes;
    for (int i = 0; i < w->samples.n; i++) {
        const float *x = values + (size_t)i / lanes * per_sample * lanes + (size_t)i % lanes;
        for (size_t k = 0; k < per_sample; k++)
            if (!is_finite(x[k * lanes])) return i;
    }
    return -1;
}

int cr_diagnose(struct cr_stepper *s, struct cr_error *e)
{
    const struct cr_step_plan step = cr_plan_step(s->plan, s->state->step);
    const unsigned long long number = (unsigned long long)step.step + 1;
    const char *const advice = "lower --learning-rate, or look at the data and --init";
    struct cr_permutation order = { 0 };
    struct cr_worker *w = s->worker[0];
    const unsigned long mode = cr_fp_enter();

    const struct cr_layer *layer = cr_bad_weight(s->net, s->state->params);
    size_t sample = 0;
    const char *what = layer ? "weight" : NULL;
    cr_plan_order(s->plan, step.epoch, &order);
    for (long b = 0; b < step.blocks && !what; b++) {
        const int n = cr_stepper_gather(s, w, &step, &order, b, 0);
        w->apart = 1;
        cr_worker_forward(w, s->state->params, &s->state->normalization, n, 1);
        for (int i = 0; i < s->net->layers && !what; i++) {
            const int bad = bad_sample(w, w->act[i + 1], cr_shape_size(s->net->layer[i].out));
            if (bad < 0) continue;
            layer = &s->net->layer[i];
            sample = cr_plan_sample(s->plan, &order, cr_plan_block(&step, b) + (size_t)bad);
            what = "output";
        }
    }
    cr_fp_leave(mode);
    if (!what)
        return cr_fail(e, CR_E_DIVERGED, "training diverged at step %llu: a gradient overflows while all outputs are "
                       "finite; %s", number, advice);
    if (what[0] == 'w')
        return cr_fail(e, CR_E_DIVERGED, "training diverged at step %llu: layer %s has a weight that is NaN or Inf; %s",
                       number, layer->name, advice);
    return cr_fail(e, CR_E_DIVERGED, "training diverged at step %llu: layer %s gives NaN or Inf for sample %zu; %s",
                   number, layer->name, sample, advice);
}
