/* The events of a run as values, and as bytes on their way from a rank to whoever shows them. */
#ifndef CR_CORE_EVENTS_H
#define CR_CORE_EVENTS_H

#include <stddef.h>
#include <stdint.h>

#include "core/trainer.h"

enum cr_event_kind {
    CR_EVENT_PROGRESS, /* may be lost, may come from any rank */
    CR_EVENT_STEP, CR_EVENT_EPOCH, CR_EVENT_CHECKPOINT,
    CR_EVENT_END,      /* the result of a rank's run */
    CR_EVENT_KINDS
};
struct cr_event {
    enum cr_event_kind kind;
    union {
        struct cr_event_progress progress;
        struct cr_event_step step;
        struct cr_event_epoch epoch;
        struct cr_event_checkpoint checkpoint; /* never leaves the process that wrote the file */
        struct cr_train_result end;
    };
};

enum { CR_EVENT_BYTES = 1024 };

/* Call the member of *events that is meant for it; events or the member may be NULL. */
void cr_event_dispatch(const struct cr_event *event, const struct cr_train_events *events);
/* Its place in the order of all events of a run, equal on all ranks; 0 for progress. */
uint64_t cr_event_key(const struct cr_event *event, uint64_t step);
/* Into bytes (CR_EVENT_BYTES); returns how many. */
size_t cr_event_pack(const struct cr_event *event, uint8_t *bytes);
/* And back. 0, or -1 for bytes that are no event. */
int cr_event_unpack(struct cr_event *event, const void *bytes, size_t size);

#endif
