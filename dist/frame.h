/* Frames of the control channel between a rank and the arbiter, and of the pulse between neighbours: a kind, a few
 * numbers, a payload. Sealed under --secure. */
#ifndef CR_DIST_FRAME_H
#define CR_DIST_FRAME_H

#include <stddef.h>
#include <stdint.h>

#include "dist/blob.h"
#include "dist/dial.h"

enum { CR_FRAME_HEAD = 40 };

struct cr_frame {
    uint32_t kind;
    uint32_t view;
    uint64_t collective;
    uint64_t number;       /* of meaning by kind */
    uint64_t size;         /* of the payload */
    const void *payload;   /* when received: valid until the next cr_frames_next */
};

/* Both directions of one connection, non-blocking: frames wait in a queue until the socket takes them; what arrives is
 * collected until a frame is whole and its CRC32C right. One thread at a time. */
struct cr_frames;

/* Takes over the connection. Frames with more payload than `most` bytes are refused. NULL when out of memory. */
struct cr_frames *cr_frames_new(const struct cr_connection *c, uint64_t most);
void cr_frames_free(struct cr_frames *f);
int cr_frames_fd(const struct cr_frames *f);
const struct cr_connection *cr_frames_connection(const struct cr_frames *f);

/* Queue a frame; the payload is copied. 0 or -CR_E_NOMEM. */
int cr_frames_put(struct cr_frames *f, const struct cr_frame *frame, struct cr_error *e);
/* The same with a blob as its payload, which is held until it is sent. */
int cr_frames_put_blob(struct cr_frames *f, const struct cr_frame *frame, struct cr_blob *payload, struct cr_error *e);
/* How many bytes are waiting to be sent? If any, poll for POLLOUT. */
size_t cr_frames_waiting(const struct cr_frames *f);
/* Send what the socket takes now, but no more than CR_FRAMES_TURN bytes or so: there may be others to look after. 0 or
 * -CR_E_PEER. */
enum { CR_FRAMES_TURN = 1 << 22 };
int cr_frames_flush(struct cr_frames *f, struct cr_error *e);
/* Receive what is there, but no more than that at once. 1 = something came, 0 = nothing now, -CR_E_PEER = closed or
 * broken. */
int cr_frames_fill(struct cr_frames *f, struct cr_error *e);
/* The next whole frame: 1, or 0 when none is; -CR_E_PEER for damage. Its payload is 8-byte aligned. */
int cr_frames_next(struct cr_frames *f, struct cr_frame *frame, struct cr_error *e);
/* Its payload becomes the caller's, to be freed; NULL if it has none. */
void *cr_frames_take(struct cr_frames *f);
/* Send all that waits, and wait for a frame, until a deadline (CLOCK_MONOTONIC ns): for ends that have nothing else to
 * do. 0, -CR_E_PEER, -CR_E_TIMEOUT. */
int cr_frames_drain(struct cr_frames *f, int64_t deadline, struct cr_error *e);
int cr_frames_wait(struct cr_frames *f, struct cr_frame *frame, int64_t deadline, struct cr_error *e);

/* Payloads: little-endian numbers one after another. A writer that ran out of memory, and a reader past the end, stay
 * failed; ask at the end. */
struct cr_writer {
    uint8_t *bytes;        /* owned; free() it */
    size_t size, room;
    int failed;
};
void cr_put_u32(struct cr_writer *w, uint32_t x);
void cr_put_u64(struct cr_writer *w, uint64_t x);
void cr_put_double(struct cr_writer *w, double x);
void cr_put_text(struct cr_writer *w, const char *text);              /* length, bytes */
void cr_put_bytes(struct cr_writer *w, const void *bytes, size_t n);  /* length, bytes */
struct cr_reader {
    const uint8_t *at, *end;
    int failed;
};
uint32_t cr_get_u32(struct cr_reader *r);
uint64_t cr_get_u64(struct cr_reader *r);
double cr_get_double(struct cr_reader *r);
void cr_get_text(struct cr_reader *r, char *text, size_t room);       /* cut to room - 1, always ended by 0 */
const void *cr_get_bytes(struct cr_reader *r, size_t *n);             /* points into the payload */

#endif
