/* Strangers at a door, over real sockets of this machine: in any number and manner they keep nobody else out. */
#define _DEFAULT_SOURCE /* usleep */
#include <check.h>
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "dist/door.h"
#include "dist/handshake.h"
#include "tests/house.h"
#include "tests/suites.h"

/* A bare connection to the door, blocking. */
static int knock(const struct house *h)
{
    const struct cr_address a = at("127.0.0.1", port_of(h));
    struct sockaddr_storage s;
    const socklen_t n = cr_address_sockaddr(&a, &s);
    const int fd = socket(AF_INET, SOCK_STREAM, 0);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(connect(fd, (const struct sockaddr *)&s, n), 0);
    return fd;
}

/* 1 = the other side has closed, whatever it sent before; waits for it. */
static int closed_by_them(int fd)
{
    char bytes[512];
    for (;;) {
        struct pollfd p = { .fd = fd, .events = POLLIN };
        if (poll(&p, 1, PATIENT * 1000) != 1) return 0;
        const ssize_t n = recv(fd, bytes, sizeof bytes, 0);
        if (n <= 0) return n == 0 || errno == ECONNRESET;
    }
}

START_TEST(garbage_disturbs_nobody)
{
    static const char *const opening[] = {
        "GET / HTTP/1.1\r\n\r\n", "SSH-2.0-OpenSSH_9.2\r\n", "corering", "coreringcorering", "\n", "",
    };
    enum { OPENINGS = sizeof opening / sizeof *opening, RANDOM = 50 };
    const struct cr_hello theirs = hello(CR_RANK_ARBITER, 0);
    struct house h;
    start_house(&h, &key, &theirs);
    unsigned state = 12345;
    for (int i = 0; i < OPENINGS + RANDOM; i++) {
        char bytes[1024];
        size_t n = i < OPENINGS ? strlen(opening[i]) : 1 + (size_t)i * 11;
        for (size_t b = 0; b < n; b++) {
            state = state * 1103515245 + 12345;
            bytes[b] = i < OPENINGS ? opening[i][b] : (char)(state >> 16);
        }
        const int fd = knock(&h);
        ck_assert_int_eq(send(fd, bytes, n, MSG_NOSIGNAL), (ssize_t)n);
        shutdown(fd, SHUT_WR);
        ck_assert(closed_by_them(fd));
        close(fd);
    }
    await(&h, 0, OPENINGS + RANDOM);
    const struct cr_address a = at("127.0.0.1", port_of(&h));
    dial_well(&h, &a, 1);
    close_house(&h);
    ck_assert_int_eq(h.refused, OPENINGS + RANDOM);
    ck_assert_msg(strstr(h.reason[0], "not a corering: it begins with 'GET / HT'") != NULL, "%s", h.reason[0]);
    ck_assert_msg(strstr(h.reason[2], "in the middle of its hello") != NULL, "%s", h.reason[2]);
    ck_assert_msg(strstr(h.reason[5], "without a word") != NULL, "%s", h.reason[5]);
}
END_TEST

enum { CROWD = 200 };

/* The newest 64 wait for their 5 s, the others have gone for them; the one with a key is through before. */
START_TEST(a_crowd_of_idle_connections)
{
    const struct cr_hello theirs = hello(CR_RANK_ARBITER, 0);
    struct house h;
    int fd[CROWD];
    start_house(&h, &key, &theirs);
    for (int i = 0; i < CROWD; i++) fd[i] = knock(&h);
    const struct cr_address a = at("127.0.0.1", port_of(&h));
    dial_well(&h, &a, 1);
    await(&h, 1, CROWD - CR_DOOR_PENDING);
    ck_assert(closed_by_them(fd[0])); /* the oldest */
    for (int i = 0; i < CROWD; i++) close(fd[i]);
    await(&h, 1, CROWD);
    close_house(&h);
    ck_assert_msg(strstr(h.reason[0], "too many callers at once") != NULL, "%s", h.reason[0]);
}
END_TEST

static void say(int fd, struct cr_handshake *s)
{
    const void *out;
    const size_t n = cr_handshake_output(s, &out);
    ck_assert_int_eq(send(fd, out, n, MSG_NOSIGNAL), (ssize_t)n);
}

static int listen_to(int fd, struct cr_handshake *s)
{
    uint8_t bytes[512];
    size_t used;
    const ssize_t n = recv(fd, bytes, sizeof bytes, 0);
    ck_assert_int_gt(n, 0);
    return cr_handshake_feed(s, bytes, (size_t)n, &used, NULL);
}

/* Who is in the middle of a good handshake is not pushed out by those who say nothing, though it is the oldest. */
START_TEST(a_crowd_does_not_push_out_who_has_said_hello)
{
    const struct cr_hello theirs = hello(CR_RANK_ARBITER, 0), ours = hello(3, CR_RANK_ARBITER);
    struct house h;
    int fd[CROWD];
    start_house(&h, &key, &theirs);
    struct cr_handshake *const s = cr_handshake_new(&key, &ours, 0);
    const int good = knock(&h);
    say(good, s);
    ck_assert_int_eq(listen_to(good, s), 0);
    for (int i = 0; i < CROWD; i++) fd[i] = knock(&h);
    await(&h, 0, CROWD - CR_DOOR_PENDING + 1);
    say(good, s);
    int rc;
    while ((rc = listen_to(good, s)) == 0) {
    }
    ck_assert_int_eq(rc, 1);
    await(&h, 1, 0);
    cr_handshake_free(s);
    close(good);
    for (int i = 0; i < CROWD; i++) close(fd[i]);
    close_house(&h);
}
END_TEST

/* Neither silence nor a byte now and then keeps a place for more than 5 s. */
START_TEST(slow_ones_are_dropped_after_5_s)
{
    const struct cr_hello theirs = hello(CR_RANK_ARBITER, 0), ours = hello(3, CR_RANK_ARBITER);
    struct house h;
    start_house(&h, &key, &theirs);
    const int64_t begun = cr_clock();
    const int silent = knock(&h), dripping = knock(&h), half = knock(&h);
    struct cr_handshake *const slow = cr_handshake_new(&key, &ours, 0);
    struct cr_handshake *const halfway = cr_handshake_new(&key, &ours, 0);
    const void *out;
    ck_assert_uint_gt(cr_handshake_output(slow, &out), 150);
    say(half, halfway); /* a good hello, and then nothing */
    const uint8_t *const drip = out;
    for (size_t i = 0; i < 150; i++) {
        if (send(dripping, drip + i, 1, MSG_NOSIGNAL) != 1) break;
        usleep(100000);
    }
    ck_assert(closed_by_them(silent));
    ck_assert(closed_by_them(dripping));
    ck_assert(closed_by_them(half));
    ck_assert_int_ge(cr_clock() - begun, 5 * second);
    close(silent);
    close(dripping);
    close(half);
    close_house(&h);
    ck_assert_int_eq(h.refused, 3);
    for (int i = 0; i < 3; i++)
        ck_assert_msg(strstr(h.reason[i], "not finished within 5 s") != NULL, "%s", h.reason[i]);
    cr_handshake_free(slow);
    cr_handshake_free(halfway);
}
END_TEST

/* ---- a process without descriptors left */

static int child_dials(uint16_t port)
{
    const struct cr_hello ours = hello(3, CR_RANK_ARBITER);
    const struct cr_address a = at("127.0.0.1", port);
    struct cr_connection c;
    return dial(&c, &a, 1, &key, &ours, NULL) == 0 ? 0 : 1;
}

START_TEST(no_descriptors_left)
{
    enum { LIMIT = 64 };
    const struct cr_hello theirs = hello(CR_RANK_ARBITER, 0);
    struct house h;
    int taken[LIMIT], n = 0, status;
    open_house(&h, &key, &theirs);
    const pid_t child = fork();
    if (child == 0) _exit(child_dials(port_of(&h)));
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &(struct rlimit){ LIMIT, LIMIT }), 0);
    while ((taken[n] = dup(h.stop[0])) >= 0) n++;
    ck_assert_int_eq(errno, EMFILE);

    /* Neither in a hurry nor deaf: about 10 looks a second. */
    const int64_t until = cr_clock() + second / 2;
    while (cr_clock() < until) serve(&h, until);
    ck_assert_int_eq(h.welcomed, 0);
    ck_assert_int_lt(h.rounds, 50);

    while (n > 0) close(taken[--n]);
    while (h.welcomed == 0) serve(&h, cr_clock() + PATIENT * second);
    ck_assert_int_eq(h.refused, 0);
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(status, 0);
    cr_connection_close(&h.guest);
    cr_door_close(h.door);
}
END_TEST

/* Strangers that hold the last descriptors make room. */
START_TEST(strangers_give_their_descriptors_back)
{
    enum { LIMIT = 32 };
    const struct cr_hello theirs = hello(CR_RANK_ARBITER, 0);
    struct house h;
    int taken[LIMIT], n = 0, status;
    open_house(&h, &key, &theirs);
    int ready[2];
    ck_assert_int_eq(pipe(ready), 0);
    const pid_t child = fork();
    if (child == 0) {
        for (int i = 0; i < CROWD; i++) knock(&h);
        if (write(ready[1], "", 1) != 1) _exit(2);
        _exit(child_dials(port_of(&h)));
    }
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &(struct rlimit){ LIMIT, LIMIT }), 0);
    while ((taken[n] = dup(h.stop[0])) >= 0) n++;
    for (int i = 0; i < 5; i++) close(taken[--n]);
    while (h.welcomed == 0) serve(&h, cr_clock() + PATIENT * second);
    ck_assert_int_ge(h.refused, CROWD - 5);
    ck_assert_msg(strstr(h.reason[0], "too many callers") != NULL, "%s", h.reason[0]);
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(status, 0);
    cr_connection_close(&h.guest);
    cr_door_close(h.door);
}
END_TEST

Suite *strangers_suite(void)
{
    Suite *const s = suite_create("strangers");
    TCase *const t = tcase_create("strangers");
    tcase_set_timeout(t, 30);
    tcase_add_test(t, garbage_disturbs_nobody);
    tcase_add_test(t, a_crowd_of_idle_connections);
    tcase_add_test(t, a_crowd_does_not_push_out_who_has_said_hello);
    tcase_add_test(t, slow_ones_are_dropped_after_5_s);
    tcase_add_test(t, no_descriptors_left);
    tcase_add_test(t, strangers_give_their_descriptors_back);
    suite_add_tcase(s, t);
    return s;
}
