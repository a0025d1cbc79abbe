/* Requests and their answers, all of one kind of frame each:
 *
 *     ECHO              -> ECHO                      the smallest round trip
 *     TAKE, payload         swallowed
 *     TOOK              -> TOOK                      everything before it has arrived
 *     GIVE, number = n  -> n times TAKE, then TOOK */
#define _POSIX_C_SOURCE 200809L

#include "dist/probe.h"

#include <stdlib.h>

#include "dist/frame.h"

enum { ECHO = 1, TAKE, TOOK, GIVE };
enum { TRIPS = 21, LARGE = 65536, PIECE = 262144, MOST_PIECES = 256 };

static const int64_t second = 1000000000;
static const int64_t patience = 3 * 1000000000LL; /* for an answer that takes a round trip */
static const int64_t tenth = 100 * 1000000LL;

/* The bytes that travel; what they are does not matter. */
static uint8_t piece[PIECE];

int cr_probe_open(struct cr_probe *p, struct cr_connection *c, struct cr_error *e)
{
    p->frames = cr_frames_new(c, PIECE);
    if (p->frames) return 0;
    cr_connection_close(c);
    return cr_fail(e, CR_E_NOMEM, "no memory for a connection");
}

void cr_probe_close(struct cr_probe *p)
{
    cr_frames_free(p->frames);
    p->frames = NULL;
}

static int put(struct cr_probe *p, uint32_t kind, uint64_t number, size_t bytes, struct cr_error *e)
{
    const struct cr_frame f = { .kind = kind, .number = number, .size = bytes, .payload = piece };
    return cr_frames_put(p->frames, &f, e);
}

/* Send what is queued and wait for a frame of this kind; those before it are swallowed. */
static int await(struct cr_probe *p, uint32_t kind, int64_t deadline, struct cr_error *e)
{
    struct cr_frame f;
    do CR_TRY(cr_frames_wait(p->frames, &f, deadline, e));
    while (f.kind != kind);
    return 0;
}

static int by_size(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return x < y ? -1 : x > y;
}

int cr_probe_latency(struct cr_probe *p, double *seconds, struct cr_error *e)
{
    int64_t trip[TRIPS];
    for (int i = 0; i < TRIPS; i++) {
        const int64_t begun = cr_clock();
        CR_TRY(put(p, ECHO, 0, 0, e));
        CR_TRY(await(p, ECHO, begun + patience, e));
        trip[i] = cr_clock() - begun;
    }
    qsort(trip, TRIPS, sizeof *trip, by_size);
    *seconds = (double)trip[TRIPS / 2] / 1e9;
    return 0;
}

int cr_probe_large(struct cr_probe *p, struct cr_error *e)
{
    CR_TRY(put(p, TAKE, 0, LARGE, e));
    CR_TRY(put(p, TOOK, 0, 0, e));
    return await(p, TOOK, cr_clock() + patience, e);
}

/* n pieces one way; how long it took. A slow way may take a while for the first one. */
static int transfer(struct cr_probe *p, int sending, int n, int64_t *took, struct cr_error *e)
{
    const int64_t begun = cr_clock(), deadline = begun + 30 * second;
    if (!sending) CR_TRY(put(p, GIVE, (uint64_t)n, 0, e));
    for (int i = 0; sending && i < n; i++) {
        CR_TRY(put(p, TAKE, 0, PIECE, e));
        CR_TRY(cr_frames_drain(p->frames, deadline, e));
    }
    if (sending) CR_TRY(put(p, TOOK, 0, 0, e));
    CR_TRY(await(p, TOOK, deadline, e));
    *took = cr_clock() - begun;
    return 0;
}

static int rate_of(struct cr_probe *p, int sending, double *rate, struct cr_error *e)
{
    int64_t took = 0;
    for (int n = 1; n <= MOST_PIECES && took < tenth; n *= 2) {
        CR_TRY(transfer(p, sending, n, &took, e));
        *rate = (double)n * PIECE / ((double)took / 1e9);
    }
    return 0;
}

int cr_probe_send_rate(struct cr_probe *p, double *rate, struct cr_error *e) { return rate_of(p, 1, rate, e); }
int cr_probe_receive_rate(struct cr_probe *p, double *rate, struct cr_error *e) { return rate_of(p, 0, rate, e); }

static int answer_one(struct cr_probe *p)
{
    struct cr_frame f;
    CR_TRY(cr_frames_wait(p->frames, &f, cr_clock() + 30 * second, NULL));
    if (f.kind == TAKE) return 0;
    if (f.kind == ECHO || f.kind == TOOK) {
        CR_TRY(put(p, f.kind, 0, 0, NULL));
    } else if (f.kind == GIVE && f.number <= MOST_PIECES) {
        for (uint64_t i = 0; i < f.number; i++) {
            CR_TRY(put(p, TAKE, 0, PIECE, NULL));
            CR_TRY(cr_frames_drain(p->frames, cr_clock() + 30 * second, NULL));
        }
        CR_TRY(put(p, TOOK, 0, 0, NULL));
    } else {
        return -CR_E_PEER;
    }
    return cr_frames_drain(p->frames, cr_clock() + 30 * second, NULL);
}

void cr_probe_answer(struct cr_probe *p)
{
    while (answer_one(p) == 0) {}
}
