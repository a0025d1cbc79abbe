#include "core/schedule.h"

#include "core/cmath.h"

float cr_schedule_rate(const struct cr_train_options *o, uint64_t step, uint64_t steps_per_epoch, uint64_t total_steps)
{
    const double per_epoch = (double)steps_per_epoch, done = (double)step;
    const double warm = o->warmup * per_epoch;

    if (done < warm) return (float)(o->lr * ((done + 1) / warm < 1 ? (done + 1) / warm : 1));
    switch (o->schedule) {
    case CR_SCHEDULE_COSINE: {
        const double share = (done - warm) / ((double)total_steps - warm);
        return (float)(o->lr * 0.5 * (1 + cr_cos(3.141592653589793 * share)));
    }
    case CR_SCHEDULE_STEP: {
        const uint64_t times = (uint64_t)(done / (o->step_epochs * per_epoch));
        return (float)(o->lr * cr_power(o->step_gamma, times));
    }
    case CR_SCHEDULE_CONSTANT: break;
    }
    return (float)o->lr;
}
