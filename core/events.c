/* Each kind of event is a plain struct of numbers and short texts. Its wire form is the struct's own, for all hosts of
 * a run have little-endian 64-bit processors and one build, which the handshake made sure of. */
#include "core/events.h"

#include <string.h>

#define TELL(events, event, value)                                                                                     \
    do {                                                                                                               \
        if ((events)->event) (events)->event((events)->user, value);                                                   \
    } while (0)

void cr_event_dispatch(const struct cr_event *event, const struct cr_train_events *events)
{
    if (!events) return;
    switch (event->kind) {
    case CR_EVENT_PROGRESS: TELL(events, progress, &event->progress); break;
    case CR_EVENT_STEP: TELL(events, step, &event->step); break;
    case CR_EVENT_EPOCH: TELL(events, epoch, &event->epoch); break;
    case CR_EVENT_CHECKPOINT: TELL(events, checkpoint, &event->checkpoint); break;
    case CR_EVENT_END:
    case CR_EVENT_KINDS: break;
    }
}

uint64_t cr_event_key(const struct cr_event *event, uint64_t step)
{
    return event->kind == CR_EVENT_PROGRESS ? 0 : step * CR_EVENT_KINDS + (uint64_t)event->kind;
}

static size_t body_size(uint32_t kind)
{
    switch (kind) {
    case CR_EVENT_PROGRESS: return sizeof(struct cr_event_progress);
    case CR_EVENT_STEP: return sizeof(struct cr_event_step);
    case CR_EVENT_EPOCH: return sizeof(struct cr_event_epoch);
    case CR_EVENT_END: return sizeof(struct cr_train_result);
    default: return 0;
    }
}

_Static_assert(sizeof(struct cr_train_result) + 4 <= CR_EVENT_BYTES, "the longest event fits");

size_t cr_event_pack(const struct cr_event *event, uint8_t *bytes)
{
    const uint32_t kind = event->kind;
    const size_t size = body_size(kind);
    memcpy(bytes, &kind, sizeof kind);
    memcpy(bytes + sizeof kind, &event->progress, size);
    return sizeof kind + size;
}

int cr_event_unpack(struct cr_event *event, const void *bytes, size_t size)
{
    uint32_t kind;
    if (size < sizeof kind) return -1;
    memcpy(&kind, bytes, sizeof kind);
    const size_t body = body_size(kind);
    if (!body || size != sizeof kind + body) return -1;
    memset(event, 0, sizeof *event);
    event->kind = (enum cr_event_kind)kind;
    memcpy(&event->progress, (const char *)bytes + sizeof kind, body);
    if (event->kind == CR_EVENT_END) { /* texts end, whatever was sent */
        event->end.reason[sizeof event->end.reason - 1] = 0;
        event->end.weights_sha256[sizeof event->end.weights_sha256 - 1] = 0;
        event->end.state_sha256[sizeof event->end.state_sha256 - 1] = 0;
        event->end.checkpoint[sizeof event->end.checkpoint - 1] = 0;
    }
    return 0;
}
