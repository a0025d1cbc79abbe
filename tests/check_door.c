/* A door over real sockets of this machine: who gets in, who does not and is told why, and where one can listen. */
#include <check.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "dist/dial.h"
#include "dist/door.h"
#include "dist/seal.h"
#include "tests/house.h"
#include "tests/suites.h"

static const struct cr_key other_key = { .bytes = { 1, 2, 4 } };

/* ---- who gets in */

static int has_ipv6(void)
{
    const int fd = socket(AF_INET6, SOCK_STREAM, 0);
    const struct sockaddr_in6 one = { .sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT };
    const int has = fd >= 0 && bind(fd, (const struct sockaddr *)&one, sizeof one) == 0;
    if (fd >= 0) close(fd);
    return has;
}

START_TEST(both_ends_know_each_other)
{
    static const char *const ip[] = { "127.0.0.1", "::1" };
    const struct cr_hello theirs = hello(CR_RANK_ARBITER, 0), ours = hello(3, CR_RANK_ARBITER);
    struct house h;
    struct cr_connection c;
    struct cr_error e;
    char text[CR_ADDRESS_TEXT];
    if (_i == 1 && !has_ipv6()) return;
    start_house(&h, &key, &theirs);
    const struct cr_address a = at(ip[_i], port_of(&h));
    ck_assert_msg(dial(&c, &a, 1, &key, &ours, &e) == 0, "%s", e.text);
    hear(c.fd, "welcome"); /* it may have come together with the last of the handshake */
    ck_assert(fcntl(c.fd, F_GETFL) & O_NONBLOCK);
    ck_assert(fcntl(c.fd, F_GETFD) & FD_CLOEXEC);
    await(&h, 1, 0);
    ck_assert(fcntl(h.guest.fd, F_GETFL) & O_NONBLOCK);
    ck_assert(fcntl(h.guest.fd, F_GETFD) & FD_CLOEXEC);
    ck_assert_int_eq(h.guest.theirs.rank, 3);
    ck_assert_uint_eq(h.guest.theirs.incarnation, 5);
    ck_assert_ptr_null(c.seal);
    ck_assert(cr_address_equal(&h.guest.peer, &c.own, 1));
    ck_assert(cr_address_equal(&h.guest.own, &c.peer, 1));
    cr_address_text(&c.peer, text);
    ck_assert(cr_address_equal(&a, &c.peer, 1));
    cr_connection_close(&c);
    close_house(&h);
    ck_assert_int_eq(h.refused, 0);
}
END_TEST

START_TEST(without_a_key_when_both_have_none)
{
    const struct cr_hello theirs = hello(CR_RANK_ARBITER, 0);
    struct house h;
    start_house(&h, &no_key, &theirs);
    const struct cr_address a = at("127.0.0.1", port_of(&h));
    dial_well(&h, &a, 1);
    close_house(&h);
}
END_TEST

/* --secure: what one side seals, the other opens. */
START_TEST(sealed_connections)
{
    struct cr_hello theirs = hello(CR_RANK_ARBITER, 0), ours = hello(3, CR_RANK_ARBITER);
    struct house h;
    struct cr_connection c;
    struct cr_error e;
    uint8_t sealed[5 + CR_SEAL_OVERHEAD], text[5];
    if (!cr_seal_possible()) return;
    theirs.common.secure = ours.common.secure = 1;
    start_house(&h, &key, &theirs);
    const struct cr_address a = at("127.0.0.1", port_of(&h));
    ck_assert_msg(dial(&c, &a, 1, &key, &ours, &e) == 0, "%s", e.text);
    await(&h, 1, 0);
    ck_assert_ptr_nonnull(c.seal);
    ck_assert_ptr_nonnull(h.guest.seal);
    cr_seal_lock(c.seal, sealed, "there", 5);
    ck_assert_int_eq(cr_seal_open(h.guest.seal, text, sealed, sizeof sealed, NULL), 0);
    ck_assert_mem_eq(text, "there", 5);
    cr_seal_lock(h.guest.seal, sealed, "again", 5);
    ck_assert_int_eq(cr_seal_open(c.seal, text, sealed, sizeof sealed, NULL), 0);
    ck_assert_mem_eq(text, "again", 5);
    cr_connection_close(&c);
    ck_assert_ptr_null(c.seal);
    close_house(&h);
}
END_TEST

/* Both sides name the difference. */
static const struct {
    const char *what, *dialer_says, *door_says;
    const struct cr_key *key;
    int job, build, to, lasts;
} mismatch[] = {
    { "build", "build 0.1.0+here there, 0.1.0+else here", "build 0.1.0+else there, 0.1.0+here here",
      &key, 0, 1, -1, 1 },
    { "job", "another run", "another run", &key, 1, 0, -1, 0 },
    { "key", "job keys differ", "job key is not ours", &other_key, 0, 0, -1, 1 },
    { "no key", "a job key there, but none here", "a job key here, but none there", &no_key, 0, 0, -1, 1 },
    { "another rank", "dialled rank 4, reached the arbiter", "somebody dialled rank 4 here, but this is the arbiter",
      &key, 0, 0, 4, 0 },
};

START_TEST(differences_are_named_on_both_sides)
{
    const struct cr_hello theirs = hello(CR_RANK_ARBITER, 0);
    struct cr_hello ours = hello(3, mismatch[_i].to);
    struct house h;
    struct cr_connection c;
    struct cr_error e;
    start_house(&h, &key, &theirs);
    const struct cr_address a = at("127.0.0.1", port_of(&h));
    if (mismatch[_i].job) ours.common.job[0] ^= 1;
    if (mismatch[_i].build) strcpy(ours.common.build, "0.1.0+else");
    ck_assert_int_eq(dial(&c, &a, 1, mismatch[_i].key, &ours, &e), mismatch[_i].lasts ? -CR_E_REFUSED : -CR_E_PEER);
    ck_assert_int_eq(c.fd, -1);
    ck_assert_msg(strstr(e.text, mismatch[_i].dialer_says) && strstr(e.text, "127.0.0.1:"), "%s", e.text);
    await(&h, 0, 1);
    close_house(&h);
    ck_assert_msg(strstr(h.reason[0], mismatch[_i].door_says) != NULL, "%s", h.reason[0]);
    ck_assert_int_eq(h.welcomed, 0);
}
END_TEST

/* ---- listening */

START_TEST(ports)
{
    struct cr_error e;
    const struct cr_address here = at("127.0.0.1", 1), nowhere = at("192.0.2.1", 1);
    struct cr_door *const d = cr_door_open(NULL, 0, &e), *const only = cr_door_open(&here, 0, &e);
    ck_assert_ptr_nonnull(d);
    ck_assert_ptr_nonnull(only);
    ck_assert_uint_gt(cr_door_port(d), 1023);

    ck_assert_ptr_null(cr_door_open(NULL, cr_door_port(d), &e));
    ck_assert_msg(strstr(e.text, "is taken by another program") != NULL, "%s", e.text);
    ck_assert_ptr_null(cr_door_open(&here, cr_door_port(only), &e));
    ck_assert_msg(strstr(e.text, "127.0.0.1:") != NULL, "%s", e.text);
    ck_assert_ptr_null(cr_door_open(&nowhere, 0, &e));
    ck_assert_msg(strstr(e.text, "192.0.2.1 is no address of this host") != NULL, "%s", e.text);

    /* A port is free again as soon as the door is closed, whatever connections it had. */
    const uint16_t port = cr_door_port(d);
    cr_door_close(d);
    struct cr_door *const again = cr_door_open(NULL, port, &e);
    ck_assert_msg(again != NULL, "%s", e.text);
    cr_door_close(again);
    cr_door_close(only);
    cr_door_close(NULL);
}
END_TEST

/* Who knocks before anybody is expected waits outside. */
START_TEST(nobody_is_let_in_before_somebody_is_expected)
{
    struct cr_door *const d = cr_door_open(NULL, 0, NULL);
    struct pollfd p[CR_DOOR_PENDING + 1];
    int64_t deadline = cr_clock() + second;
    const int64_t before = deadline;
    ck_assert_int_eq(cr_door_poll(d, p, &deadline), 1);
    ck_assert_int_eq(p[0].fd, -1);
    ck_assert_int_eq(deadline, before);
    cr_door_close(d);
}
END_TEST

Suite *door_suite(void)
{
    Suite *const s = suite_create("door");
    TCase *const t = tcase_create("door");
    tcase_set_timeout(t, 30);
    tcase_add_loop_test(t, both_ends_know_each_other, 0, 2);
    tcase_add_test(t, without_a_key_when_both_have_none);
    tcase_add_test(t, sealed_connections);
    tcase_add_loop_test(t, differences_are_named_on_both_sides, 0, sizeof mismatch / sizeof *mismatch);
    tcase_add_test(t, ports);
    tcase_add_test(t, nobody_is_let_in_before_somebody_is_expected);
    suite_add_tcase(s, t);
    return s;
}
