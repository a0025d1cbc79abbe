#include "apps/output.h"

#define HAND_OUT(member, ...)                                                                                          \
    do {                                                                                                               \
        const struct cr_tee *const tee = user;                                                                         \
        for (int i = 0; i < tee->count; i++)                                                                           \
            if (tee->to[i].member) tee->to[i].member(tee->to[i].user, __VA_ARGS__);                                    \
    } while (0)

static void start(void *user, const struct cr_event_start *s) { HAND_OUT(start, s); }

static void epoch(void *user, const struct cr_event_epoch *p) { HAND_OUT(epoch, p); }

static void step(void *user, const struct cr_event_step *s) { HAND_OUT(step, s); }

static void checkpoint(void *user, const struct cr_event_checkpoint *c) { HAND_OUT(checkpoint, c); }

static void host(void *user, const struct cr_event_host *h) { HAND_OUT(host, h); }

static void speed(void *user, const struct cr_event_speed *s) { HAND_OUT(speed, s); }

static void spent(void *user, const struct cr_event_spent *s) { HAND_OUT(spent, s); }

static void progress(void *user, const struct cr_event_progress *p) { HAND_OUT(progress, p); }

static void warning(void *user, const char *sentence) { HAND_OUT(warning, sentence); }

struct cr_train_events cr_tee_events(struct cr_tee *t)
{
    return (struct cr_train_events){ .user = t,
                                     .start = start,
                                     .epoch = epoch,
                                     .step = step,
                                     .checkpoint = checkpoint,
                                     .host = host,
                                     .speed = speed,
                                     .spent = spent,
                                     .progress = progress,
                                     .warning = warning };
}
