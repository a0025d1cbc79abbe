#include "core/checkpoint_form.h"

#include <stdio.h>
#include <string.h>

const char *const cr_normalize_name[] = {
    [CR_NORMALIZE_STD] = "std",
    [CR_NORMALIZE_UNIT] = "unit",
    [CR_NORMALIZE_NONE] = "none",
    [CR_NORMALIZE_GIVEN] = "given",
};

#define U64 CR_COUNTER_U64
#define I64 CR_COUNTER_I64
#define DOUBLE CR_COUNTER_DOUBLE
const struct cr_counter cr_counters[] = {
    { "step", U64, offsetof(struct cr_state, step) },
    { "redone", U64, offsetof(struct cr_state, redone) },
    { "samples", U64, offsetof(struct cr_state, samples) },
    { "loss_sum", I64, offsetof(struct cr_state, loss_sum) },
    { "loss_count", U64, offsetof(struct cr_state, loss_count) },
    { "best_top1", DOUBLE, offsetof(struct cr_state, best_top1) },
    { "best_step", U64, offsetof(struct cr_state, best_step) },
    { "seconds", DOUBLE, offsetof(struct cr_state, seconds) },
    { "data_fingerprint", U64, offsetof(struct cr_state, data_fingerprint) },
    { "session.time", DOUBLE, offsetof(struct cr_state, session.time) },
    { "session.saved_time", DOUBLE, offsetof(struct cr_state, session.saved_time) },
    { "session.validated_step", U64, offsetof(struct cr_state, session.validated_step) },
    { "session.closed_step", U64, offsetof(struct cr_state, session.closed_step) },
    { "session.saved_step", U64, offsetof(struct cr_state, session.saved_step) },
    { "session.top1", DOUBLE, offsetof(struct cr_state, session.top1) },
    { "session.top5", DOUBLE, offsetof(struct cr_state, session.top5) },
    { "session.val_loss", DOUBLE, offsetof(struct cr_state, session.val_loss) },
    { "session.train_loss", DOUBLE, offsetof(struct cr_state, session.train_loss) },
    { "session.epoch", DOUBLE, offsetof(struct cr_state, session.epoch) },
    { "session.asked", U64, offsetof(struct cr_state, session.asked) },
    { "session.ending", U64, offsetof(struct cr_state, session.ending) },
};

int cr_option_is_kept(const char *option)
{
    static const char *const of_session[] = { "checkpoint", "resume", "init", "override" };
    for (size_t i = 0; i < sizeof of_session / sizeof *of_session; i++)
        if (strcmp(option, of_session[i]) == 0) return 0;
    return 1;
}

void cr_option_key(const char *option, char key[64])
{
    snprintf(key, 64, "option.%s", option);
}

void cr_tensor_key(const struct cr_tensor *t, int momentum, char name[128])
{
    snprintf(name, 128, "%s.%s.%s", momentum ? "optim.momentum" : "model", t->layer->name,
             t->is_bias ? "bias" : "weight");
}
