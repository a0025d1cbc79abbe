/* On the wire, little-endian:
 *
 *     0  kind, 4        8  collective, 8     24  size of the payload, 8     36  CRC32C of bytes 0..35, 4
 *     4  view, 4       16  number, 8         32  CRC32C of the payload, 4   40  payload
 *
 * The head has a checksum of its own, so that a damaged size is noticed before anybody waits for that many bytes. Under
 * --secure the head is one sealed record, and the payload follows in records of at most RECORD bytes each; how many
 * bytes a record has follows from the size, so nothing of the frame is in the clear. */
#define _POSIX_C_SOURCE 200809L
#include "dist/frame.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "dist/seal.h"
#include "simd/crc32c.h"

enum {
    AT_KIND = 0, AT_VIEW = 4, AT_COLLECTIVE = 8, AT_NUMBER = 16, AT_SIZE = 24, AT_PAYLOAD_CRC = 32, AT_CRC = 36,
    RECORD = 65536,
    FIRST_ROOM = 131072, /* for a payload, before any of it has come */
};

/* Bytes that wait: a frame, or the head of one and then its payload. */
struct block {
    struct block *next;
    const uint8_t *bytes;
    size_t size, at;      /* so many are sent, or sealed and sent */
    size_t head;          /* of them a record of its own, under seal */
    struct cr_blob *blob; /* whose bytes they are; NULL = they lie behind this */
};

struct cr_frames {
    struct cr_connection connection;
    uint64_t most;
    struct cr_error why; /* code is CR_OK while the connection is good */

    struct block *first, *last; /* waiting to be sent */
    size_t waiting;      /* bytes of them */
    uint8_t *sealed;     /* the record in sending, of RECORD + CR_SEAL_OVERHEAD bytes; NULL in the clear */
    size_t sealed_at, sealed_size, sealed_text; /* of it that is sent; its size; what of the first block it is */

    uint8_t head[CR_FRAME_HEAD + CR_SEAL_OVERHEAD];
    size_t head_bytes;   /* that have come */
    struct cr_frame coming;
    uint32_t crc;        /* its payload should have */
    uint8_t *payload;
    size_t got, payload_room;
    uint8_t *record;     /* sealed, of RECORD + CR_SEAL_OVERHEAD bytes; NULL in the clear */
    size_t record_bytes; /* of it that have come */
    int whole;           /* the frame that came has not been asked for yet */
    uint8_t *given;      /* payload of the last one that was */
};

struct cr_frames *cr_frames_new(const struct cr_connection *c, uint64_t most)
{
    struct cr_frames *const f = calloc(1, sizeof *f);
    if (!f) return NULL;
    f->most = most;
    if (c->seal) {
        f->record = malloc(RECORD + CR_SEAL_OVERHEAD);
        f->sealed = malloc(RECORD + CR_SEAL_OVERHEAD);
    }
    if (c->seal && (!f->record || !f->sealed)) {
        free(f->record);
        free(f->sealed);
        free(f);
        return NULL;
    }
    f->connection = *c;
    return f;
}

static void pop(struct cr_frames *f)
{
    struct block *const b = f->first;
    f->first = b->next;
    if (!f->first) f->last = NULL;
    cr_blob_drop(b->blob);
    free(b);
}

void cr_frames_free(struct cr_frames *f)
{
    if (!f) return;
    cr_connection_close(&f->connection);
    while (f->first) pop(f);
    free(f->sealed);
    free(f->payload);
    free(f->record);
    free(f->given);
    free(f);
}

int cr_frames_fd(const struct cr_frames *f)
{
    return f->connection.fd;
}

const struct cr_connection *cr_frames_connection(const struct cr_frames *f)
{
    return &f->connection;
}

/* ---- failing, once and for all: after a lost byte nothing that follows has a meaning */

static int broken(struct cr_frames *f, struct cr_error *e)
{
    if (e) *e = f->why;
    return -(int)f->why.code;
}

static int give_up(struct cr_frames *f, const char *what, struct cr_error *e)
{
    const struct cr_connection *const c = &f->connection;
    char who[CR_PEER_TEXT];
    cr_peer_text(c->theirs.rank, &c->peer, who);
    cr_fail(&f->why, CR_E_PEER, "%s %s", who, what);
    cr_address_text(&c->peer, f->why.host);
    f->why.rank = c->theirs.rank;
    return broken(f, e);
}

static int give_up_socket(struct cr_frames *f, struct cr_error *e)
{
    if (errno == ECONNRESET || errno == EPIPE)
        return give_up(f, "closed the connection: its process or host has ended", e);
    char what[128];
    snprintf(what, sizeof what, "cannot be reached any more: %s", strerror(errno));
    return give_up(f, what, e);
}

/* ---- little-endian numbers */

static void put_le(uint8_t *to, uint64_t x, int bytes)
{
    for (int i = 0; i < bytes; i++) to[i] = (uint8_t)(x >> 8 * i);
}

static uint64_t get_le(const uint8_t *from, int bytes)
{
    uint64_t x = 0;
    for (int i = 0; i < bytes; i++) x |= (uint64_t)from[i] << 8 * i;
    return x;
}

/* ---- sending */

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

static struct block *new_block(size_t room)
{
    struct block *const b = calloc(1, sizeof *b + room);
    if (b) b->bytes = (const uint8_t *)(b + 1);
    return b;
}

static void append(struct cr_frames *f, struct block *b)
{
    if (f->last) f->last->next = b;
    else f->first = b;
    f->last = b;
    f->waiting += b->size;
}

static void put_head(uint8_t *head, const struct cr_frame *frame, uint32_t crc)
{
    put_le(head + AT_KIND, frame->kind, 4);
    put_le(head + AT_VIEW, frame->view, 4);
    put_le(head + AT_COLLECTIVE, frame->collective, 8);
    put_le(head + AT_NUMBER, frame->number, 8);
    put_le(head + AT_SIZE, frame->size, 8);
    put_le(head + AT_PAYLOAD_CRC, crc, 4);
    put_le(head + AT_CRC, cr_crc32c(0, head, AT_CRC), 4);
}

static int no_memory(const struct cr_frame *frame, struct cr_error *e)
{
    return cr_fail(e, CR_E_NOMEM, "no memory for a message of %llu bytes", (unsigned long long)frame->size);
}

int cr_frames_put(struct cr_frames *f, const struct cr_frame *frame, struct cr_error *e)
{
    const size_t size = (size_t)frame->size;
    struct block *const b = frame->size > SIZE_MAX / 4 ? NULL : new_block(CR_FRAME_HEAD + size);
    if (!b) return no_memory(frame, e);
    uint8_t *const bytes = (uint8_t *)(b + 1);
    put_head(bytes, frame, cr_crc32c(0, frame->payload, size));
    if (size) memcpy(bytes + CR_FRAME_HEAD, frame->payload, size);
    b->size = CR_FRAME_HEAD + size;
    b->head = CR_FRAME_HEAD;
    append(f, b);
    return 0;
}

int cr_frames_put_blob(struct cr_frames *f, const struct cr_frame *frame, struct cr_blob *payload, struct cr_error *e)
{
    struct cr_frame whole = *frame;
    struct block *const head = new_block(CR_FRAME_HEAD), *const body = head ? new_block(0) : NULL;
    whole.size = payload->size;
    if (!body) {
        free(head);
        return no_memory(&whole, e);
    }
    put_head((uint8_t *)(head + 1), &whole, payload->crc);
    head->size = head->head = CR_FRAME_HEAD;
    body->size = payload->size;
    body->bytes = payload->bytes;
    body->blob = cr_blob_hold(payload);
    append(f, head);
    append(f, body);
    return 0;
}

size_t cr_frames_waiting(const struct cr_frames *f)
{
    return f->waiting;
}

/* What is to be sent next: bytes of the first block, or the record that some of them are sealed in. */
static const uint8_t *next_bytes(struct cr_frames *f, size_t *n)
{
    const struct block *const b = f->first;
    if (!f->sealed) {
        *n = smaller(b->size - b->at, CR_FRAMES_TURN);
        return b->bytes + b->at;
    }
    if (!f->sealed_size) {
        const size_t left = b->at < b->head ? b->head - b->at : b->size - b->at;
        f->sealed_text = smaller(RECORD, left);
        cr_seal_lock(f->connection.seal, f->sealed, b->bytes + b->at, f->sealed_text);
        f->sealed_size = f->sealed_text + CR_SEAL_OVERHEAD;
    }
    *n = f->sealed_size - f->sealed_at;
    return f->sealed + f->sealed_at;
}

/* n of them are sent. */
static void advance(struct cr_frames *f, size_t n)
{
    if (f->sealed) {
        f->sealed_at += n;
        if (f->sealed_at < f->sealed_size) return;
        n = f->sealed_text;
        f->sealed_at = f->sealed_size = 0;
    }
    f->first->at += n;
    f->waiting -= n;
}

int cr_frames_flush(struct cr_frames *f, struct cr_error *e)
{
    if (f->why.code) return broken(f, e);
    for (size_t sent = 0; f->first && sent < CR_FRAMES_TURN;) {
        if (f->first->at == f->first->size) {
            pop(f);
            continue;
        }
        size_t most;
        const uint8_t *const bytes = next_bytes(f, &most);
        const ssize_t n = send(f->connection.fd, bytes, most, MSG_NOSIGNAL);
        if (n >= 0) {
            sent += (size_t)n;
            advance(f, (size_t)n);
        } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
            return 0;
        } else if (errno != EINTR) {
            return give_up_socket(f, e);
        }
    }
    while (f->first && f->first->at == f->first->size) pop(f);
    return 0;
}

/* ---- receiving */

/* Receive up to n bytes, and *got as many. 1 = some came, 0 = nothing now. */
static int receive(struct cr_frames *f, uint8_t *to, size_t n, size_t *got, struct cr_error *e)
{
    for (;;) {
        const ssize_t m = recv(f->connection.fd, to, n, 0);
        if (m > 0) {
            *got += (size_t)m;
            return 1;
        }
        if (m == 0) return give_up(f, "closed the connection: its process has ended", e);
        if (errno == EAGAIN || errno == EWOULDBLOCK) return 0;
        if (errno != EINTR) return give_up_socket(f, e);
    }
}

static size_t head_size(const struct cr_frames *f)
{
    return CR_FRAME_HEAD + (f->connection.seal ? CR_SEAL_OVERHEAD : 0);
}

static int damaged(struct cr_frames *f, struct cr_error *e)
{
    return give_up(f, "sent a message that arrived damaged: something on the way changes packets (see `ethtool -S` for "
                      "bad checksums)", e);
}

static int open_record(struct cr_frames *f, void *out, const void *in, size_t n, struct cr_error *e)
{
    return cr_seal_open(f->connection.seal, out, in, n, NULL) < 0 ? damaged(f, e) : 0;
}

static int read_head(struct cr_frames *f, struct cr_error *e)
{
    uint8_t head[CR_FRAME_HEAD];
    if (f->connection.seal)
        CR_TRY(open_record(f, head, f->head, head_size(f), e));
    else
        memcpy(head, f->head, sizeof head);
    if (get_le(head + AT_CRC, 4) != cr_crc32c(0, head, AT_CRC)) return damaged(f, e);
    f->coming = (struct cr_frame){
        .kind = (uint32_t)get_le(head + AT_KIND, 4), .view = (uint32_t)get_le(head + AT_VIEW, 4),
        .collective = get_le(head + AT_COLLECTIVE, 8), .number = get_le(head + AT_NUMBER, 8),
        .size = get_le(head + AT_SIZE, 8),
    };
    f->crc = (uint32_t)get_le(head + AT_PAYLOAD_CRC, 4);
    if (f->coming.size > f->most || f->coming.size > SIZE_MAX / 4) {
        char what[128];
        snprintf(what, sizeof what, "sent a message of %llu bytes where at most %llu make sense",
                 (unsigned long long)f->coming.size, (unsigned long long)f->most);
        return give_up(f, what, e);
    }
    return 0;
}

/* Memory grows with what has come, not with what a head says will come. */
static int grow_payload(struct cr_frames *f, struct cr_error *e)
{
    const size_t size = (size_t)f->coming.size;
    if (f->payload_room == size || f->payload_room > f->got + RECORD) return 0;
    const size_t room = smaller(size, f->payload_room ? 4 * f->payload_room : FIRST_ROOM);
    uint8_t *const payload = realloc(f->payload, room);
    if (!payload) return give_up(f, "sent a message for which there is no memory here", e);
    f->payload = payload;
    f->payload_room = room;
    return 0;
}

static int take_payload(struct cr_frames *f, struct cr_error *e)
{
    const size_t size = (size_t)f->coming.size;
    CR_TRY(grow_payload(f, e));
    if (!f->connection.seal) return receive(f, f->payload + f->got, f->payload_room - f->got, &f->got, e);

    const size_t text = smaller(RECORD, size - f->got), sealed = text + CR_SEAL_OVERHEAD;
    const int rc = receive(f, f->record + f->record_bytes, sealed - f->record_bytes, &f->record_bytes, e);
    if (rc <= 0 || f->record_bytes < sealed) return rc;
    CR_TRY(open_record(f, f->payload + f->got, f->record, sealed, e));
    f->got += text;
    f->record_bytes = 0;
    return 1;
}

int cr_frames_fill(struct cr_frames *f, struct cr_error *e)
{
    if (f->why.code) return broken(f, e);
    int moved = 0;
    const size_t most = f->got + CR_FRAMES_TURN;
    while (!f->whole && f->got < most) {
        if (f->head_bytes < head_size(f)) {
            const int rc = receive(f, f->head + f->head_bytes, head_size(f) - f->head_bytes, &f->head_bytes, e);
            if (rc <= 0) return rc < 0 ? rc : moved;
            moved = 1;
            if (f->head_bytes == head_size(f)) CR_TRY(read_head(f, e));
        } else {
            const int rc = take_payload(f, e);
            if (rc <= 0) return rc < 0 ? rc : moved;
            moved = 1;
        }
        f->whole = f->head_bytes == head_size(f) && f->got == f->coming.size;
    }
    return moved;
}

int cr_frames_next(struct cr_frames *f, struct cr_frame *frame, struct cr_error *e)
{
    free(f->given);
    f->given = NULL;
    if (!f->whole) return f->why.code ? broken(f, e) : 0;
    if (f->crc != cr_crc32c(0, f->payload, f->got)) return damaged(f, e);
    *frame = f->coming;
    frame->payload = f->given = f->payload;
    f->payload = NULL;
    f->payload_room = f->got = f->head_bytes = 0;
    f->whole = 0;
    return 1;
}

void *cr_frames_take(struct cr_frames *f)
{
    void *const bytes = f->given;
    f->given = NULL;
    return bytes;
}

/* ---- for ends that have nothing else to do */

/* Wait until the socket can take or give something. */
static int pause_until(struct cr_frames *f, int64_t deadline, struct cr_error *e)
{
    if (cr_clock() >= deadline) {
        char who[CR_PEER_TEXT];
        cr_peer_text(f->connection.theirs.rank, &f->connection.peer, who);
        cr_fail(e, CR_E_TIMEOUT, "%s did not %s in time", who, cr_frames_waiting(f) ? "take a message" : "answer");
        if (e) e->rank = f->connection.theirs.rank;
        return -CR_E_TIMEOUT;
    }
    struct pollfd p = { .fd = f->connection.fd };
    p.events = (short)((f->whole ? 0 : POLLIN) | (cr_frames_waiting(f) ? POLLOUT : 0));
    poll(&p, 1, cr_clock_left(deadline));
    return 0;
}

/* What comes meanwhile is taken in: the other side may not be able to listen before it has spoken. */
int cr_frames_drain(struct cr_frames *f, int64_t deadline, struct cr_error *e)
{
    for (;;) {
        CR_TRY(cr_frames_flush(f, e));
        if (!cr_frames_waiting(f)) return 0;
        if (!f->whole) CR_TRY(cr_frames_fill(f, e));
        CR_TRY(pause_until(f, deadline, e));
    }
}

/* Receives before it sends: a last word is heard even from who has closed. */
int cr_frames_wait(struct cr_frames *f, struct cr_frame *frame, int64_t deadline, struct cr_error *e)
{
    for (;;) {
        const int rc = cr_frames_next(f, frame, e);
        if (rc != 0) return rc < 0 ? rc : 0;
        CR_TRY(cr_frames_fill(f, e));
        if (f->whole) continue;
        CR_TRY(cr_frames_flush(f, e));
        CR_TRY(pause_until(f, deadline, e));
    }
}

/* ---- payloads */

static void *more(struct cr_writer *w, size_t n)
{
    if (w->failed || n > SIZE_MAX / 4 - w->size) {
        w->failed = 1;
        return NULL;
    }
    if (w->room - w->size < n) {
        const size_t room = w->size + n > 2 * w->room ? w->size + n + 256 : 2 * w->room;
        uint8_t *const bytes = realloc(w->bytes, room);
        if (!bytes) {
            w->failed = 1;
            return NULL;
        }
        w->bytes = bytes;
        w->room = room;
    }
    w->size += n;
    return w->bytes + w->size - n;
}

void cr_put_u32(struct cr_writer *w, uint32_t x)
{
    uint8_t *const to = more(w, 4);
    if (to) put_le(to, x, 4);
}

void cr_put_u64(struct cr_writer *w, uint64_t x)
{
    uint8_t *const to = more(w, 8);
    if (to) put_le(to, x, 8);
}

void cr_put_double(struct cr_writer *w, double x)
{
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    cr_put_u64(w, bits);
}

void cr_put_bytes(struct cr_writer *w, const void *bytes, size_t n)
{
    cr_put_u64(w, n);
    uint8_t *const to = more(w, n);
    if (to && n > 0) memcpy(to, bytes, n);
}

void cr_put_text(struct cr_writer *w, const char *text)
{
    cr_put_bytes(w, text, strlen(text));
}

static const uint8_t *take(struct cr_reader *r, uint64_t n)
{
    if (r->failed || n > (uint64_t)(r->end - r->at)) {
        r->failed = 1;
        return NULL;
    }
    r->at += n;
    return r->at - n;
}

uint32_t cr_get_u32(struct cr_reader *r)
{
    const uint8_t *const from = take(r, 4);
    return from ? (uint32_t)get_le(from, 4) : 0;
}

uint64_t cr_get_u64(struct cr_reader *r)
{
    const uint8_t *const from = take(r, 8);
    return from ? get_le(from, 8) : 0;
}

double cr_get_double(struct cr_reader *r)
{
    const uint64_t bits = cr_get_u64(r);
    double x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

const void *cr_get_bytes(struct cr_reader *r, size_t *n)
{
    const uint64_t size = cr_get_u64(r);
    const uint8_t *const from = take(r, size);
    *n = from ? (size_t)size : 0;
    return from;
}

void cr_get_text(struct cr_reader *r, char *text, size_t room)
{
    size_t n;
    const void *const from = cr_get_bytes(r, &n);
    n = smaller(n, room - 1);
    if (n > 0) memcpy(text, from, n);
    text[n] = 0;
}
