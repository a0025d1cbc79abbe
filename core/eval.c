#define _POSIX_C_SOURCE 200809L
#include "core/eval.h"

#include <omp.h>
#include <string.h>

#include "core/team.h"
#include "core/worker.h"

int cr_check_fit(const struct cr_net *net, const struct cr_data *data, struct cr_error *e)
{
    if (net->input.c != data->channels || net->input.h != data->height || net->input.w != data->width)
        return cr_fail(e, CR_E_INPUT, "network %s wants images of %dx%dx%d, but those of %s are %dx%dx%d", net->name,
                       net->input.c, net->input.h, net->input.w, data->path, data->channels, data->height,
                       data->width);
    return cr_data_check_classes(data, net->classes, e);
}

struct job {
    const struct cr_net *net;
    const float *params;
    const struct cr_normalization *z;
    const struct cr_split *split;
    size_t first, count;
    const uint32_t *index;
    uint64_t *confusion;
    float *probability;
    size_t block; /* samples at a time; a single one takes the kernels for single samples */
};

struct sums {
    uint64_t top1, top5;
    int64_t loss;
};

/* Places above the target: classes with a greater score, or an equal one and a lower number. */
static void score(const struct job *j, const struct cr_worker *w, int i, size_t sample, struct sums *sums)
{
    const int classes = j->net->classes, target = w->label[i], lanes = w->lanes;
    const float *p = w->act[j->net->layers] + (size_t)(i / lanes) * (size_t)classes * (size_t)lanes + i % lanes;
    int rank = 0, best = 0;
    for (int k = 0; k < classes; k++) {
        const float pk = p[(size_t)k * (size_t)lanes], pt = target < classes ? p[(size_t)target * (size_t)lanes] : 2;
        rank += pk > pt || (pk == pt && k < target);
        if (pk > p[(size_t)best * (size_t)lanes]) best = k;
        if (j->probability) j->probability[sample * (size_t)classes + (size_t)k] = pk;
    }
    if (target >= classes) return;
    sums->top1 += rank < 1;
    sums->top5 += rank < 5;
    if (j->confusion) {
#pragma omp atomic
        j->confusion[(size_t)target * (size_t)classes + (size_t)best]++;
    }
}

static void evaluate_block(const struct job *j, struct cr_worker *w, size_t b, struct sums *sums)
{
    const size_t plane = cr_shape_size(j->net->input);
    const size_t from = b * j->block, to = from + j->block < j->count ? from + j->block : j->count;
    const int n = (int)(to - from);
    for (size_t i = from; i < to; i++) {
        const size_t at = j->index ? j->index[i] : j->first + i;
        w->image[i - from] = j->split->images + at * plane;
        w->label[i - from] = j->split->labels[at];
    }
    cr_worker_forward(w, j->params, j->z, n, 0);
    sums->loss += cr_loss_sum(w->loss, n);
    for (int i = 0; i < n; i++) score(j, w, i, from + (size_t)i, sums);
}

int cr_evaluate(const struct cr_net *net, const float *params, const struct cr_normalization *z,
                const struct cr_split *split, size_t first, size_t count, const uint32_t *index, int threads,
                struct cr_eval *result, uint64_t *confusion, float *probability, struct cr_error *e)
{
    const size_t block = count < CR_EVAL_BLOCK ? count + !count : CR_EVAL_BLOCK, blocks = (count + block - 1) / block;
    const struct job job = { net, params, z, split, first, count, index, confusion, probability, block };
    if (threads <= 0) threads = cr_threads_default();
    if ((size_t)threads > blocks) threads = blocks ? (int)blocks : 1;
    if (confusion) memset(confusion, 0, (size_t)net->classes * (size_t)net->classes * sizeof *confusion);

    struct cr_cpus cpus;
    cr_cpus_allowed(&cpus);
    uint64_t top1 = 0, top5 = 0;
    int64_t loss = 0;
    int failed = 0;
#pragma omp parallel num_threads(threads) reduction(+ : top1, top5, loss) reduction(| : failed)
    {
        const struct cr_pin pin = cr_pin(&cpus, omp_get_thread_num(), threads);
        const unsigned long mode = cr_fp_enter();
        struct cr_worker *w = cr_worker_new(net, cr_kernels(), (int)block, CR_WORKER_EVALUATES);
        struct sums sums = { 0 };
        failed |= !w;
#pragma omp for schedule(dynamic, 8)
        for (size_t b = 0; b < blocks; b++)
            if (w) evaluate_block(&job, w, b, &sums);
        top1 += sums.top1;
        top5 += sums.top5;
        loss += sums.loss;
        cr_worker_free(w);
        cr_fp_leave(mode);
        cr_unpin(&pin);
    }
    if (failed) return cr_fail(e, CR_E_NOMEM, "out of memory for %d evaluating threads; use fewer with -t", threads);
    *result = (struct cr_eval){
        .count = count, .top1 = top1, .top5 = top5, .loss_sum = loss,
        .loss = count ? (double)loss * 0x1p-24 / (double)count : 0,
    };
    return 0;
}
