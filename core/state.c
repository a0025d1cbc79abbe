/* The state of a run: its memory and its fingerprint. */
#include <stdlib.h>
#include <string.h>

#include "core/checkpoint.h"
#include "core/memory.h"
#include "simd/sha256.h"

int cr_state_alloc(struct cr_state *s, const struct cr_net *net, int with_momentum, struct cr_error *e)
{
    const size_t bytes = net->params * sizeof(float);
    memset(s, 0, sizeof *s);
    s->best_top1 = -1;
    s->params = cr_memory(bytes);
    s->momentum = with_momentum ? cr_memory(bytes) : NULL;
    s->scale = calloc((size_t)net->tensors, sizeof *s->scale);
    if (!s->params || !s->scale || (with_momentum && !s->momentum)) {
        cr_state_free(s);
        return cr_fail(e, CR_E_NOMEM, "no memory for the %zu parameters of network %s", net->params, net->name);
    }
    memset(s->params, 0, bytes);
    if (s->momentum) memset(s->momentum, 0, bytes);
    return 0;
}

void cr_state_free(struct cr_state *s)
{
    free(s->params);
    free(s->momentum);
    free(s->scale);
    free(s->class_names);
    memset(s, 0, sizeof *s);
}

struct cr_session cr_session_begin(uint64_t step, int resumed)
{
    const uint64_t done = resumed ? step : CR_NO_STEP;
    return (struct cr_session){
        .validated_step = done, .closed_step = done, .saved_step = done,
        .top1 = -1, .top5 = -1, .val_loss = -1, .train_loss = -1, .epoch = -1,
    };
}

static void add_u64(struct cr_sha256 *h, uint64_t x)
{
    uint8_t bytes[8];
    for (int i = 0; i < 8; i++) bytes[i] = (uint8_t)(x >> 8 * i);
    cr_sha256_add(h, bytes, sizeof bytes);
}

void cr_state_hash(const struct cr_state *s, const struct cr_net *net, char hex[65])
{
    struct cr_sha256 h;
    uint8_t digest[32];
    cr_sha256_init(&h);
    cr_sha256_add_floats(&h, s->params, net->params);
    if (s->momentum) cr_sha256_add_floats(&h, s->momentum, net->params);
    for (int i = 0; i < net->tensors; i++) add_u64(&h, (uint64_t)(int64_t)s->scale[i]);
    add_u64(&h, s->step);
    add_u64(&h, s->samples);
    add_u64(&h, (uint64_t)s->loss_sum);
    add_u64(&h, s->loss_count);
    cr_sha256_end(&h, digest);
    cr_sha256_hex(digest, hex);
}
