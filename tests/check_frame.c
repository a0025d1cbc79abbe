/* Frames: whole whatever the cuts, refused when damaged or too long, in the clear and sealed; and what is in them. */
#define _DEFAULT_SOURCE /* usleep */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <float.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "dist/frame.h"
#include "dist/seal.h"
#include "simd/crc32c.h"
#include "tests/suites.h"

static const int64_t second = 1000000000;
enum { PATIENT = 60, MOST = 1 << 22 };

/* ---- two ends; rank 1 has dialled rank 2 */

struct ends {
    struct cr_frames *a, *b;
};

static struct cr_connection end_of(int fd, int rank, int dialer, int sealed)
{
    struct cr_connection c = { .fd = fd, .theirs = { .rank = rank } };
    struct cr_error e;
    ck_assert_int_eq(cr_address_parse(&c.peer, "10.0.0.1:4711", NULL), 0);
    ck_assert_int_eq(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
    if (sealed) {
        c.seal = cr_seal_new((const uint8_t *)"a secret of 32 bytes that is one", dialer, &e);
        ck_assert_msg(c.seal != NULL, "%s", e.text);
    }
    return c;
}

static struct ends open_ends(int sealed)
{
    int fd[2];
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
    const struct cr_connection a = end_of(fd[0], 2, 1, sealed), b = end_of(fd[1], 1, 0, sealed);
    const struct ends x = { cr_frames_new(&a, MOST), cr_frames_new(&b, MOST) };
    ck_assert_ptr_nonnull(x.a);
    ck_assert_ptr_nonnull(x.b);
    return x;
}

static void close_ends(struct ends x)
{
    cr_frames_free(x.a);
    cr_frames_free(x.b);
}

static uint8_t *pattern(size_t n)
{
    uint8_t *const bytes = malloc(n ? n : 1);
    ck_assert_ptr_nonnull(bytes);
    for (size_t i = 0; i < n; i++) bytes[i] = (uint8_t)(i * 37 + i / 251);
    return bytes;
}

static struct cr_frame frame(uint32_t kind, const void *payload, size_t size)
{
    return (struct cr_frame){ kind, 0x89abcdef, 0x0123456789abcdef + kind, UINT64_MAX - kind, size, payload };
}

static void put(struct cr_frames *f, const struct cr_frame *x)
{
    struct cr_error e;
    ck_assert_msg(cr_frames_put(f, x, &e) == 0, "%s", e.text);
}

static void same(const struct cr_frame *got, const struct cr_frame *want)
{
    ck_assert_uint_eq(got->kind, want->kind);
    ck_assert_uint_eq(got->view, want->view);
    ck_assert_uint_eq(got->collective, want->collective);
    ck_assert_uint_eq(got->number, want->number);
    ck_assert_uint_eq(got->size, want->size);
    ck_assert_uint_eq((uintptr_t)got->payload % 8, 0);
    if (want->size > 0) ck_assert_int_eq(memcmp(got->payload, want->payload, want->size), 0);
}

/* A loop over both ways of sending; sealed ones where libsodium is. */
static int possible(int sealed)
{
    return !sealed || cr_seal_possible();
}

/* ---- good frames */

static const size_t sizes[] = { 0, 1, 7, 40, 65535, 65536, 65537, 131072, 1000003, MOST };
enum { SIZES = sizeof sizes / sizeof *sizes };

static void *send_all(void *frames)
{
    struct cr_error e;
    return cr_frames_drain(frames, cr_clock() + PATIENT * second, &e) == 0 ? frames : NULL;
}

START_TEST(all_sizes)
{
    if (!possible(_i)) return;
    const struct ends x = open_ends(_i);
    uint8_t *const payload = pattern(MOST);
    pthread_t sender;
    void *sent;
    for (uint32_t i = 0; i < SIZES; i++) {
        const struct cr_frame want = frame(i, payload, sizes[i]);
        put(x.a, &want);
    }
    ck_assert(cr_frames_waiting(x.a));
    ck_assert_int_eq(pthread_create(&sender, NULL, send_all, x.a), 0);
    for (uint32_t i = 0; i < SIZES; i++) {
        const struct cr_frame want = frame(i, payload, sizes[i]);
        struct cr_frame got;
        struct cr_error e;
        ck_assert_msg(cr_frames_wait(x.b, &got, cr_clock() + PATIENT * second, &e) == 0, "%s", e.text);
        same(&got, &want);
    }
    ck_assert_int_eq(pthread_join(sender, &sent), 0);
    ck_assert_ptr_nonnull(sent);
    ck_assert(!cr_frames_waiting(x.a));
    free(payload);
    close_ends(x);
}
END_TEST

static void nothing(int signal)
{
    (void)signal;
}

/* Signals without SA_RESTART: every wait and transfer may end early, and goes on. */
START_TEST(interrupted_all_the_time)
{
    const struct ends x = open_ends(0);
    uint8_t *const payload = pattern(MOST);
    const struct cr_frame want = frame(1, payload, MOST);
    const struct itimerval often = { { 0, 100 }, { 0, 100 } }, never = { { 0, 0 }, { 0, 0 } };
    const struct sigaction act = { .sa_handler = nothing };
    pthread_t sender;
    void *sent;
    ck_assert_int_eq(sigaction(SIGALRM, &act, NULL), 0);
    ck_assert_int_eq(setitimer(ITIMER_REAL, &often, NULL), 0);
    for (int i = 0; i < 8; i++) {
        struct cr_frame got;
        struct cr_error e;
        put(x.a, &want);
        ck_assert_int_eq(pthread_create(&sender, NULL, send_all, x.a), 0);
        ck_assert_msg(cr_frames_wait(x.b, &got, cr_clock() + PATIENT * second, &e) == 0, "%s", e.text);
        same(&got, &want);
        ck_assert_int_eq(pthread_join(sender, &sent), 0);
        ck_assert_ptr_nonnull(sent);
    }
    ck_assert_int_eq(setitimer(ITIMER_REAL, &never, NULL), 0);
    free(payload);
    close_ends(x);
}
END_TEST

/* Frames put while others are stuck come out whole and in order. */
START_TEST(a_queue_that_never_runs_dry)
{
    const struct ends x = open_ends(0);
    uint8_t *const payload = pattern(100000);
    struct cr_frame got;
    uint32_t put_so_far = 0, got_so_far = 0;
    while (got_so_far < 60) {
        for (int i = 0; i < 3 && put_so_far < 60; i++, put_so_far++) {
            const struct cr_frame want = frame(put_so_far, payload, 100000 - 1000 * put_so_far);
            put(x.a, &want);
        }
        ck_assert_int_eq(cr_frames_flush(x.a, NULL), 0);
        ck_assert_int_ge(cr_frames_fill(x.b, NULL), 0);
        while (cr_frames_next(x.b, &got, NULL) == 1) {
            const struct cr_frame want = frame(got_so_far, payload, 100000 - 1000 * got_so_far);
            same(&got, &want);
            got_so_far++;
        }
    }
    ck_assert(!cr_frames_waiting(x.a));
    free(payload);
    close_ends(x);
}
END_TEST

/* The payload stays until the next frame is asked for, though that one may have come. */
START_TEST(a_payload_outlives_what_comes_after_it)
{
    const struct ends x = open_ends(0);
    const struct cr_frame first = frame(1, "first", 6), then = frame(2, "then!", 6);
    struct cr_frame got, after;
    put(x.a, &first);
    put(x.a, &then);
    ck_assert_int_eq(cr_frames_flush(x.a, NULL), 0);
    ck_assert_int_eq(cr_frames_fill(x.b, NULL), 1);
    ck_assert_int_eq(cr_frames_next(x.b, &got, NULL), 1);
    ck_assert_int_eq(cr_frames_fill(x.b, NULL), 1);
    same(&got, &first);
    ck_assert_int_eq(cr_frames_next(x.b, &after, NULL), 1);
    same(&after, &then);
    ck_assert_int_eq(cr_frames_next(x.b, &after, NULL), 0);
    ck_assert_int_eq(cr_frames_fill(x.b, NULL), 0);
    close_ends(x);
}
END_TEST

/* ---- what is on the wire, by hand */

enum { WIRE = 1024 };

/* The bytes of two frames, the first without payload. */
static size_t record_wire(uint8_t wire[WIRE], int sealed)
{
    const struct ends x = open_ends(sealed);
    const struct cr_frame one = frame(1, NULL, 0), two = frame(2, "payload of two", 15);
    put(x.a, &one);
    put(x.a, &two);
    ck_assert_int_eq(cr_frames_flush(x.a, NULL), 0);
    const ssize_t n = recv(cr_frames_fd(x.b), wire, WIRE, 0);
    close_ends(x);
    ck_assert_int_eq(n, 2 * CR_FRAME_HEAD + 15 + (sealed ? 3 * CR_SEAL_OVERHEAD : 0));
    return (size_t)n;
}

static void send_wire(const struct ends *x, const uint8_t *wire, size_t n)
{
    ck_assert_int_eq(send(cr_frames_fd(x->a), wire, n, MSG_NOSIGNAL), (ssize_t)n);
}

/* Take all that is there: how many whole frames, each the next one of the two; or -1. */
static int take_all(struct cr_frames *f, int seen, struct cr_error *e)
{
    const struct cr_frame want[] = { frame(1, NULL, 0), frame(2, "payload of two", 15) };
    struct cr_frame got;
    for (int rc = 1; rc > 0;) {
        rc = cr_frames_fill(f, e);
        if (rc < 0) return -1;
        int next;
        while ((next = cr_frames_next(f, &got, e)) == 1) {
            ck_assert_int_lt(seen, 2);
            same(&got, &want[seen++]);
        }
        if (next < 0) return -1;
    }
    return seen;
}

START_TEST(cut_at_every_byte)
{
    if (!possible(_i)) return;
    uint8_t wire[WIRE];
    const size_t n = record_wire(wire, _i), first = CR_FRAME_HEAD + (_i ? CR_SEAL_OVERHEAD : 0);
    for (size_t cut = 0; cut <= n; cut++) {
        const struct ends x = open_ends(_i);
        struct cr_error e;
        send_wire(&x, wire, cut);
        int seen = take_all(x.b, 0, &e);
        ck_assert_int_eq(seen, (cut >= first) + (cut == n));
        send_wire(&x, wire + cut, n - cut);
        seen = take_all(x.b, seen, &e);
        ck_assert_int_eq(seen, 2);
        close_ends(x);
    }
    const struct ends x = open_ends(_i); /* and byte by byte */
    int seen = 0;
    for (size_t i = 0; i < n; i++) {
        send_wire(&x, wire + i, 1);
        seen = take_all(x.b, seen, NULL);
        ck_assert_int_ge(seen, 0);
    }
    ck_assert_int_eq(seen, 2);
    close_ends(x);
}
END_TEST

START_TEST(every_damaged_bit_is_noticed)
{
    if (!possible(_i)) return;
    uint8_t wire[WIRE];
    const size_t n = record_wire(wire, _i);
    for (size_t bit = 0; bit < 8 * n; bit++) {
        const struct ends x = open_ends(_i);
        struct cr_error e = { 0 };
        wire[bit / 8] ^= (uint8_t)(1 << bit % 8);
        send_wire(&x, wire, n);
        wire[bit / 8] ^= (uint8_t)(1 << bit % 8);
        ck_assert_msg(take_all(x.b, 0, &e) == -1, "bit %zu", bit);
        ck_assert_msg(e.code == CR_E_PEER && e.rank == 1 && strstr(e.text, "rank 1 at 10.0.0.1:4711 sent") &&
                      strstr(e.text, "damaged"), "bit %zu: %s", bit, e.text);
        ck_assert_str_eq(e.host, "10.0.0.1:4711");

        /* Nothing after it is believed. */
        struct cr_error again;
        ck_assert_int_eq(cr_frames_fill(x.b, &again), -CR_E_PEER);
        ck_assert_str_eq(again.text, e.text);
        ck_assert_int_eq(cr_frames_flush(x.b, &again), -CR_E_PEER);
        close_ends(x);
    }
}
END_TEST

static void put_le(uint8_t *to, uint64_t x, int bytes)
{
    for (int i = 0; i < bytes; i++) to[i] = (uint8_t)(x >> 8 * i);
}

/* Sizes that a head announces, however right its checksum is. */
START_TEST(hostile_sizes)
{
    static const uint64_t size[] = { MOST + 1, UINT32_MAX, 1ULL << 62, UINT64_MAX };
    for (size_t i = 0; i < sizeof size / sizeof *size; i++) {
        const struct ends x = open_ends(0);
        uint8_t wire[WIRE];
        struct cr_error e;
        record_wire(wire, 0);
        put_le(wire + 24, size[i], 8);
        put_le(wire + 36, cr_crc32c(0, wire, 36), 4);
        send_wire(&x, wire, CR_FRAME_HEAD);
        ck_assert_int_eq(cr_frames_fill(x.b, &e), -CR_E_PEER);
        ck_assert_msg(strstr(e.text, "at most 4194304 make sense") != NULL, "%s", e.text);
        close_ends(x);
    }
}
END_TEST

/* ---- ends */

/* What was whole before the end is still there, and then the end. */
START_TEST(closed_by_the_other_side)
{
    const struct ends x = open_ends(0);
    const struct cr_frame last = frame(1, "goodbye", 8), late = frame(2, NULL, 0);
    struct cr_frame got;
    struct cr_error e;
    put(x.a, &last);
    ck_assert_int_eq(cr_frames_drain(x.a, cr_clock() + PATIENT * second, &e), 0);
    cr_frames_free(x.a);
    put(x.b, &late);
    ck_assert_int_eq(cr_frames_wait(x.b, &got, cr_clock() + PATIENT * second, &e), 0);
    same(&got, &last);
    ck_assert_int_eq(cr_frames_wait(x.b, &got, cr_clock() + PATIENT * second, &e), -CR_E_PEER);
    ck_assert_msg(strstr(e.text, "rank 1 at 10.0.0.1:4711 closed the connection") != NULL, "%s", e.text);
    ck_assert_int_eq(cr_frames_flush(x.b, &e), -CR_E_PEER); /* and no SIGPIPE */
    cr_frames_free(x.b);
}
END_TEST

START_TEST(closed_in_the_middle_of_a_frame)
{
    const struct ends x = open_ends(0);
    uint8_t wire[WIRE];
    struct cr_error e;
    const size_t n = record_wire(wire, 0);
    send_wire(&x, wire, n - 1);
    cr_frames_free(x.a);
    struct cr_frame got;
    ck_assert_int_eq(cr_frames_wait(x.b, &got, cr_clock() + PATIENT * second, &e), 0);
    ck_assert_int_eq(cr_frames_wait(x.b, &got, cr_clock() + PATIENT * second, &e), -CR_E_PEER);
    cr_frames_free(x.b);
}
END_TEST

/* ---- deadlines */

/* A reader that takes nothing, and a frame that comes by drips, do not hold anybody up. */
START_TEST(nobody_reads)
{
    const struct ends x = open_ends(0);
    uint8_t *const payload = pattern(MOST);
    const struct cr_frame big = frame(1, payload, MOST);
    struct cr_error e;
    const int64_t deadline = cr_clock() + second / 10;
    put(x.a, &big);
    ck_assert_int_eq(cr_frames_drain(x.a, deadline, &e), -CR_E_TIMEOUT);
    ck_assert_int_ge(cr_clock(), deadline);
    ck_assert_msg(strstr(e.text, "rank 2 at 10.0.0.1:4711 did not take a message in time") != NULL, "%s", e.text);
    ck_assert_int_eq(e.rank, 2);
    free(payload);
    close_ends(x);
}
END_TEST

static void *drip(void *fd)
{
    while (send(*(int *)fd, "x", 1, MSG_NOSIGNAL) == 1) usleep(2000);
    return NULL;
}

START_TEST(a_frame_by_drips)
{
    const struct ends x = open_ends(0);
    uint8_t wire[WIRE];
    struct cr_error e;
    struct cr_frame got;
    pthread_t thread;
    int fd = cr_frames_fd(x.a);
    record_wire(wire, 0);
    put_le(wire + 24, MOST, 8);
    put_le(wire + 36, cr_crc32c(0, wire, 36), 4);
    send_wire(&x, wire, CR_FRAME_HEAD);
    ck_assert_int_eq(pthread_create(&thread, NULL, drip, &fd), 0);
    ck_assert_int_eq(cr_frames_wait(x.b, &got, cr_clock() + second / 10, &e), -CR_E_TIMEOUT);
    ck_assert_msg(strstr(e.text, "rank 1 at 10.0.0.1:4711 did not answer in time") != NULL, "%s", e.text);
    cr_frames_free(x.b);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    cr_frames_free(x.a);
}
END_TEST

/* ---- payloads */

static void write_all(struct cr_writer *w)
{
    cr_put_u32(w, 0x01020304);
    cr_put_u64(w, UINT64_MAX - 1);
    cr_put_double(w, -DBL_MIN);
    cr_put_text(w, "text");
    cr_put_text(w, "");
    cr_put_bytes(w, "by\0tes", 7);
    cr_put_bytes(w, NULL, 0);
}

/* Returns how much of it could be read; what could not is zero. */
static int read_all(struct cr_reader *r, char *text, size_t room)
{
    size_t n;
    const void *bytes;
    int good = 0;
    good += cr_get_u32(r) == 0x01020304;
    good += cr_get_u64(r) == UINT64_MAX - 1;
    good += cr_get_double(r) == -DBL_MIN;
    cr_get_text(r, text, room);
    good += !r->failed;
    char empty[4] = "???";
    cr_get_text(r, empty, sizeof empty);
    ck_assert_str_eq(empty, "");
    good += !r->failed;
    bytes = cr_get_bytes(r, &n);
    ck_assert((bytes && n == 7 && memcmp(bytes, "by\0tes", 7) == 0) || (!bytes && n == 0));
    good += bytes != NULL;
    cr_get_bytes(r, &n);
    ck_assert_uint_eq(n, 0);
    good += !r->failed;
    return good;
}

START_TEST(payloads)
{
    struct cr_writer w = { 0 };
    char text[16];
    write_all(&w);
    ck_assert(!w.failed);
    ck_assert_uint_eq(w.size, 4 + 8 + 8 + (8 + 4) + 8 + (8 + 7) + 8);
    ck_assert_mem_eq(w.bytes, "\4\3\2\1\xfe\xff", 6);
    struct cr_reader r = { w.bytes, w.bytes + w.size, 0 };
    ck_assert_int_eq(read_all(&r, text, sizeof text), 7);
    ck_assert_str_eq(text, "text");
    ck_assert(!r.failed);
    ck_assert_ptr_eq(r.at, r.end);

    /* Too long a text is cut, and what follows it stands where it should. */
    r = (struct cr_reader){ w.bytes, w.bytes + w.size, 0 };
    ck_assert_int_eq(read_all(&r, text, 3), 7);
    ck_assert_str_eq(text, "te");

    /* Cut off anywhere, in a block of its own for address checks. */
    for (size_t n = 0; n < w.size; n++) {
        uint8_t *const part = malloc(n ? n : 1);
        memcpy(part, w.bytes, n);
        r = (struct cr_reader){ part, part + n, 0 };
        ck_assert_int_lt(read_all(&r, text, sizeof text), 7);
        ck_assert(r.failed);
        ck_assert_uint_eq(cr_get_u32(&r), 0);
        free(part);
    }
    free(w.bytes);
}
END_TEST

/* A writer that lacked memory once writes nothing more, however small. */
START_TEST(a_writer_stays_failed)
{
    struct cr_writer w = { 0 };
    cr_put_bytes(&w, "", SIZE_MAX / 2);
    ck_assert(w.failed);
    const size_t size = w.size;
    cr_put_u32(&w, 1);
    ck_assert_uint_eq(w.size, size);
    ck_assert(w.failed);
    free(w.bytes);
}
END_TEST

START_TEST(hostile_lengths_inside)
{
    static const uint64_t length[] = { 1, 1ULL << 32, 1ULL << 63, UINT64_MAX - 7, UINT64_MAX };
    for (size_t i = 0; i < sizeof length / sizeof *length; i++) {
        struct cr_writer w = { 0 };
        cr_put_u64(&w, length[i]);
        struct cr_reader r = { w.bytes, w.bytes + w.size, 0 };
        size_t n;
        ck_assert_ptr_null(cr_get_bytes(&r, &n));
        ck_assert_uint_eq(n, 0);
        ck_assert(r.failed);
        free(w.bytes);
    }
}
END_TEST

Suite *frame_suite(void)
{
    Suite *const s = suite_create("frame");
    TCase *const t = tcase_create("frame");
    tcase_add_loop_test(t, all_sizes, 0, 2);
    tcase_add_test(t, interrupted_all_the_time);
    tcase_add_test(t, a_queue_that_never_runs_dry);
    tcase_add_test(t, a_payload_outlives_what_comes_after_it);
    tcase_add_loop_test(t, cut_at_every_byte, 0, 2);
    tcase_add_loop_test(t, every_damaged_bit_is_noticed, 0, 2);
    tcase_add_test(t, hostile_sizes);
    tcase_add_test(t, closed_by_the_other_side);
    tcase_add_test(t, closed_in_the_middle_of_a_frame);
    tcase_add_test(t, nobody_reads);
    tcase_add_test(t, a_frame_by_drips);
    tcase_add_test(t, payloads);
    tcase_add_test(t, a_writer_stays_failed);
    tcase_add_test(t, hostile_lengths_inside);
    suite_add_tcase(s, t);
    return s;
}
