/* Dialling over real sockets of this machine: what it says when it fails, and how it fares with several addresses. */
#define _DEFAULT_SOURCE /* usleep */
#include <arpa/inet.h>
#include <check.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "dist/dial.h"
#include "dist/door.h"
#include "tests/house.h"
#include "tests/suites.h"

/* ---- what dialling says when it fails */

/* A listening socket of this machine that does what a test wants of it. */
static int listener(uint16_t *port, int backlog)
{
    struct sockaddr_in s = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t n = sizeof s;
    const int fd = socket(AF_INET, SOCK_STREAM, 0);
    ck_assert_int_eq(bind(fd, (const struct sockaddr *)&s, sizeof s), 0);
    ck_assert_int_eq(listen(fd, backlog), 0);
    ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&s, &n), 0);
    *port = ntohs(s.sin_port);
    return fd;
}

/* Dial rank 4 and see that it ends with an error that says all of these; NULL ends them. */
static void dial_in_vain(const struct cr_address *list, int count, double seconds, int code, const char *const *says)
{
    const struct cr_hello ours = hello(3, 4);
    struct cr_connection c;
    struct cr_error e;
    const int64_t deadline = cr_clock() + (int64_t)(seconds * (double)second);
    ck_assert_int_eq(cr_dial(&c, list, count, &key, &ours, deadline, NULL, NULL, &e), -code);
    for (; *says; says++) ck_assert_msg(strstr(e.text, *says) != NULL, "%s", e.text);
    ck_assert_msg(strstr(e.text, "rank 4") != NULL, "%s", e.text);
    ck_assert_int_eq(e.rank, 4);
    ck_assert_int_eq(c.fd, -1);
    if (code == CR_E_TIMEOUT) ck_assert_int_ge(cr_clock(), deadline);
}
#define SAYS(...) ((const char *const[]){ __VA_ARGS__, NULL })

START_TEST(refused_connections)
{
    uint16_t port;
    const int fd = listener(&port, 1);
    const struct cr_address a = at("127.0.0.1", port);
    close(fd);
    dial_in_vain(&a, 1, PATIENT, CR_E_PEER, SAYS("refused the connection (nothing listens there", "still running?"));
}
END_TEST

static const struct {
    const char *word, *says; /* NULL: closes without one */
} answer[] = {
    { NULL, "closed the connection without a word" },
    { "SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n", "not a corering: it begins with 'SSH-2.0-'" },
};

START_TEST(something_else_listens)
{
    uint16_t port;
    const int fd = listener(&port, 1);
    const struct cr_address a = at("127.0.0.1", port);
    const pid_t child = fork();
    if (child == 0) {
        const int guest = accept(fd, NULL, NULL);
        char hello_of_guest[CR_HELLO_BYTES];
        if (answer[_i].word && write(guest, answer[_i].word, strlen(answer[_i].word)) < 0) _exit(1);
        _exit(recv(guest, hello_of_guest, sizeof hello_of_guest, MSG_WAITALL) != sizeof hello_of_guest);
    }
    close(fd);
    dial_in_vain(&a, 1, PATIENT, CR_E_PEER, SAYS(answer[_i].says));
    ck_assert_int_eq(waitpid(child, NULL, 0), child);
}
END_TEST

START_TEST(taken_but_not_answered)
{
    uint16_t port;
    const int fd = listener(&port, 8);
    const struct cr_address a = at("127.0.0.1", port);
    dial_in_vain(&a, 1, 0.3, CR_E_TIMEOUT, SAYS("took the connection but did not answer"));
    close(fd);
}
END_TEST

/* A listener whose queue is full drops packets, as a firewall does. */
START_TEST(dropped_packets)
{
    uint16_t port;
    const int fd = listener(&port, 0);
    const struct cr_address a = at("127.0.0.1", port);
    struct sockaddr_storage s;
    const socklen_t n = cr_address_sockaddr(&a, &s);
    for (int i = 0; i < 4; i++) {
        const int filler = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        connect(filler, (const struct sockaddr *)&s, n);
    }
    usleep(50000);
    dial_in_vain(&a, 1, 0.3, CR_E_TIMEOUT, SAYS("did not answer at all (a firewall drops packets to TCP port"));
    close(fd);
}
END_TEST

/* Those that fail at once are not waited for: 12 staggers would take 3 s. */
START_TEST(every_address_is_accounted_for)
{
    enum { LIST = CR_MAX_ADDRESSES };
    uint16_t closed, silent;
    const int fd = listener(&closed, 1), fd2 = listener(&silent, 8);
    close(fd);
    struct cr_address list[LIST];
    for (int i = 0; i < LIST; i++) {
        list[i] = at("127.0.0.1", i == 2 ? silent : closed);
        if (i != 2) list[i].ip[3] = (uint8_t)(i + 1);
    }
    dial_in_vain(list, LIST, 3, CR_E_TIMEOUT, SAYS("s: 127.0.0.1:", ", 127.0.0.4:", " and 12 more refused the",
                                                  "); 127.0.0.1:", " took the connection"));
    dial_in_vain(list, 0, PATIENT, CR_E_PEER, SAYS("no address of rank 4 can be used"));
    close(fd2);
}
END_TEST

static int enough(void *user)
{
    return ++*(int *)user > 2;
}

START_TEST(a_dial_is_cancelled)
{
    uint16_t port;
    const int fd = listener(&port, 8);
    const struct cr_address a = at("127.0.0.1", port);
    const struct cr_hello ours = hello(3, 4);
    struct cr_connection c;
    int asked = 0;
    const int64_t deadline = cr_clock() + PATIENT * second;
    ck_assert_int_eq(cr_dial(&c, &a, 1, &key, &ours, deadline, enough, &asked, NULL), -CR_E_INTERRUPTED);
    ck_assert_int_eq(asked, 3);
    close(fd);
}
END_TEST

/* ---- several addresses */

/* One refuses, one says nothing, the last is right. */
START_TEST(on_to_the_next_address)
{
    uint16_t closed, silent;
    const struct cr_hello theirs = hello(CR_RANK_ARBITER, 0);
    struct house h;
    const int fd = listener(&closed, 1), fd2 = listener(&silent, 8);
    close(fd);
    start_house(&h, _i ? &no_key : &key, &theirs);
    const struct cr_address list[] = { at("127.0.0.1", closed), at("127.0.0.1", silent), at("127.0.0.1", port_of(&h)) };
    dial_well(&h, list, 3);
    close_house(&h);
    close(fd2);
}
END_TEST

/* A host that is slow to answer at its first address gets several connections, and welcomes one. */
START_TEST(one_welcome_for_many_addresses)
{
    const struct cr_hello theirs = hello(CR_RANK_ARBITER, 0), ours = hello(3, CR_RANK_ARBITER);
    struct house h;
    struct cr_address list[8];
    open_house(&h, _i ? &no_key : &key, &theirs);
    for (uint8_t i = 0; i < 8; i++) {
        list[i] = at("127.0.0.1", port_of(&h));
        list[i].ip[3] = (uint8_t)(1 + i);
    }
    const pid_t child = fork();
    if (child == 0) {
        struct cr_connection c;
        if (dial(&c, list, 8, &h.key, &ours, NULL) < 0) _exit(1);
        _exit(close(c.fd)); /* the others have been closed, too, when this is */
    }
    usleep(800000); /* four of them stand at the door */
    int status = -1;
    while (waitpid(child, &status, WNOHANG) == 0) serve(&h, cr_clock() + second / 50);
    ck_assert_int_eq(status, 0);
    for (int i = 0; i < 10; i++) serve(&h, cr_clock() + second / 50);
    ck_assert_int_eq(h.welcomed, 1);
    ck_assert_int_ge(h.refused, 1);
    cr_connection_close(&h.guest);
    cr_door_close(h.door);
}
END_TEST

Suite *dial_suite(void)
{
    Suite *const s = suite_create("dial");
    TCase *const t = tcase_create("dial");
    tcase_set_timeout(t, 30);
    tcase_add_test(t, refused_connections);
    tcase_add_loop_test(t, something_else_listens, 0, sizeof answer / sizeof *answer);
    tcase_add_test(t, taken_but_not_answered);
    tcase_add_test(t, dropped_packets);
    tcase_add_test(t, every_address_is_accounted_for);
    tcase_add_test(t, a_dial_is_cancelled);
    tcase_add_loop_test(t, on_to_the_next_address, 0, 2);
    tcase_add_loop_test(t, one_welcome_for_many_addresses, 0, 2);
    suite_add_tcase(s, t);
    return s;
}
