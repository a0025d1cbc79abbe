/* Addresses as text and as sockets know them, those of this host, and which of many hosts' are worth dialling. */
#define _GNU_SOURCE /* unshare */
#include <arpa/inet.h>
#include <check.h>
#include <netinet/in.h>
#include <sched.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "dist/address.h"
#include "tests/suites.h"

static struct cr_address address(const char *text)
{
    struct cr_address a;
    struct cr_error e;
    ck_assert_msg(cr_address_parse(&a, text, &e) == 0, "%s", e.text);
    return a;
}

static const struct {
    const char *in, *out; /* NULL: the same */
} form[] = {
    { "10.0.0.1:4711", NULL },
    { "10.0.0.1", NULL },
    { "255.255.255.255:65535", NULL },
    { "[fe80::1%3]:4711", NULL },
    { "fe80::1%3", NULL },
    { "[fe80::1%3]", "fe80::1%3" },
    { "[::1]:1", NULL },
    { "2001:db8:0:0:0:0:0:1", "2001:db8::1" },
    { "[::ffff:10.0.0.1]:80", "10.0.0.1:80" },
    { "[fe80:1111:2222:3333:4444:5555:6666:7777%4294967295]:65535", NULL },
};

START_TEST(text_and_back)
{
    char text[CR_ADDRESS_TEXT];
    const struct cr_address a = address(form[_i].in);
    cr_address_text(&a, text);
    ck_assert_str_eq(text, form[_i].out ? form[_i].out : form[_i].in);
}
END_TEST

static const char *const no_address[] = {
    "", "localhost", "node1:4711", "10.0.0", "10.0.0.1:", "10.0.0.1:0", "10.0.0.1:65536", "10.0.0.1:-1", "10.0.0.1: 1",
    "10.0.0.1%3", "10.0.0.256", "[::1", "[::1]4711", "[]:1", "::1]:1", "fe80::1%eth0", "fe80::1%0",
    "fe80::1%4294967296",
    "[fe80:1111:2222:3333:4444:5555:6666:7777%4294967295]:65535 ", "10.0.0.1:4711\n",
};

START_TEST(only_numbers_are_taken)
{
    struct cr_address a;
    struct cr_error e;
    ck_assert_msg(cr_address_parse(&a, no_address[_i], &e) == -CR_E_INPUT, "%s", no_address[_i]);
    ck_assert_ptr_nonnull(strstr(e.text, "expected numbers like"));
    ck_assert_uint_eq(a.family, 0);
}
END_TEST

START_TEST(sockets_know_the_same_address)
{
    static const char *const text[] = { "10.1.2.3:4711", "[2001:db8::7]:4711", "[fe80::7%3]:4711" };
    for (size_t i = 0; i < sizeof text / sizeof *text; i++) {
        const struct cr_address a = address(text[i]);
        struct cr_address back;
        struct sockaddr_storage s;
        ck_assert_uint_gt(cr_address_sockaddr(&a, &s), 0);
        ck_assert_int_eq(cr_address_from(&back, (const struct sockaddr *)&s), 0);
        ck_assert_mem_eq(&a, &back, sizeof a);
    }
}
END_TEST

/* IPv4 over a socket for both comes as ::ffff:a.b.c.d. */
START_TEST(mapped_addresses_are_ipv4)
{
    struct sockaddr_in6 s = { .sin6_family = AF_INET6, .sin6_port = htons(9) };
    struct cr_address a;
    ck_assert_int_eq(inet_pton(AF_INET6, "::ffff:10.0.0.1", &s.sin6_addr), 1);
    ck_assert_int_eq(cr_address_from(&a, (const struct sockaddr *)&s), 0);
    const struct cr_address b = address("10.0.0.1:9");
    ck_assert(cr_address_equal(&a, &b, 1));
    ck_assert_int_eq(cr_address_from(&a, &(struct sockaddr){ .sa_family = AF_UNIX }), -CR_E_INPUT);
}
END_TEST

START_TEST(equality_looks_at_ports_when_asked_and_never_at_scopes)
{
    const struct cr_address a = address("[fe80::1%3]:1"), b = address("[fe80::1%4]:1"), c = address("[fe80::1%3]:2"),
                            d = address("[fe80::2%3]:1"), e = address("1.2.3.4:1");
    ck_assert(cr_address_equal(&a, &b, 1));
    ck_assert(!cr_address_equal(&a, &c, 1));
    ck_assert(cr_address_equal(&a, &c, 0));
    ck_assert(!cr_address_equal(&a, &d, 0));
    ck_assert(!cr_address_equal(&a, &e, 0));
}
END_TEST

START_TEST(kinds)
{
    static const struct {
        const char *text;
        int loopback, link_local;
    } kind[] = {
        { "127.0.0.1", 1, 0 }, { "127.1.2.3", 1, 0 }, { "128.0.0.1", 0, 0 }, { "::1", 1, 0 }, { "::2", 0, 0 },
        { "169.254.1.1", 0, 1 }, { "fe80::1", 0, 1 }, { "febf::1", 0, 1 }, { "fec0::1", 0, 0 }, { "fd00::1", 0, 0 },
    };
    for (size_t i = 0; i < sizeof kind / sizeof *kind; i++) {
        const struct cr_address a = address(kind[i].text);
        ck_assert_msg(cr_address_is_loopback(&a) == kind[i].loopback, "%s", kind[i].text);
        ck_assert_msg(cr_address_is_link_local(&a) == kind[i].link_local, "%s", kind[i].text);
    }
}
END_TEST

START_TEST(own_addresses_best_first)
{
    struct cr_address list[CR_MAX_ADDRESSES];
    const int count = cr_address_own(list, 4711);
    int before = 0, loopback = 0;
    ck_assert_int_ge(count, 0);
    ck_assert_int_le(count, CR_MAX_ADDRESSES);
    for (int i = 0; i < count; i++) {
        const int kind = cr_address_is_loopback(&list[i]) ? 2 : cr_address_is_link_local(&list[i]);
        ck_assert_int_ge(2 * kind + (list[i].family == 6), before);
        before = 2 * kind + (list[i].family == 6);
        loopback += kind == 2;
        ck_assert_uint_eq(list[i].port, 4711);
    }
    ck_assert_int_gt(loopback, 0); /* these tests dial 127.0.0.1 */
}
END_TEST

/* Two processes of one machine know that they are; another network namespace is another machine. */
START_TEST(machine_is_kernel_and_network)
{
    struct cr_candidates own, theirs;
    cr_candidates_own(&own, 1);
    ck_assert_uint_gt(strlen(own.machine), 30);
    ck_assert_int_eq(own.seen.family, 0);
    for (int apart = 0; apart < 2; apart++) {
        int pipes[2], status;
        ck_assert_int_eq(pipe(pipes), 0);
        const pid_t child = fork();
        if (child == 0) {
            if (apart && unshare(CLONE_NEWNET) < 0) _exit(77); /* only root may */
            cr_candidates_own(&theirs, 1);
            _exit(write(pipes[1], &theirs, sizeof theirs) != (ssize_t)sizeof theirs);
        }
        ck_assert_int_eq(waitpid(child, &status, 0), child);
        if (WEXITSTATUS(status) != 77) {
            ck_assert_int_eq(read(pipes[0], &theirs, sizeof theirs), (ssize_t)sizeof theirs);
            ck_assert_int_eq(strcmp(own.machine, theirs.machine) == 0, !apart);
        }
        close(pipes[0]);
        close(pipes[1]);
    }
}
END_TEST

/* ---- pruning: a line per host, "MACHINE [seen ADDRESS] ADDRESS..." before and after */

enum { HOSTS = 4 };
struct candidates_case {
    const char *name;
    const char *host[HOSTS], *left[HOSTS];
};

static const struct candidates_case prune[] = {
    { "docker0 is everywhere, and nobody's",
      { "a 10.0.0.1 172.17.0.1", "b 10.0.0.2 172.17.0.1", "c 172.17.0.1 10.0.0.3" },
      { "10.0.0.1:7", "10.0.0.2:7", "10.0.0.3:7" } },
    { "two ranks of one machine may share all they have",
      { "a 10.0.0.1 172.17.0.1", "a 10.0.0.1 172.17.0.1", "b 10.0.0.2" },
      { "10.0.0.1:7 172.17.0.1:7", "10.0.0.1:7 172.17.0.1:7", "10.0.0.2:7" } },
    { "loopback for one machine",
      { "a 10.0.0.1 127.0.0.1 ::1", "a 10.0.0.1 127.0.0.1 ::1" },
      { "10.0.0.1:7 127.0.0.1:7 [::1]:7", "10.0.0.1:7 127.0.0.1:7 [::1]:7" } },
    { "no loopback for two",
      { "a 127.0.0.1 10.0.0.1", "b ::1 10.0.0.2" },
      { "10.0.0.1:7", "10.0.0.2:7" } },
    { "nor where the machine is not known",
      { "? 10.0.0.1 127.0.0.1", "? 10.0.0.2 127.0.0.1" },
      { "10.0.0.1:7", "10.0.0.2:7" } },
    { "a host alone",
      { "? 10.0.0.1 127.0.0.1" },
      { "10.0.0.1:7 127.0.0.1:7" } },
    { "what was seen comes first",
      { "a seen 10.0.1.1 10.0.0.1 10.0.1.1 10.0.2.1", "b 10.0.0.2 10.0.1.2" },
      { "10.0.1.1:7 10.0.0.1:7 10.0.2.1:7", "10.0.0.2:7 10.0.1.2:7" } },
    { "even when it is seen only",
      { "a seen 192.168.1.1 10.0.0.1", "b 10.0.0.2" },
      { "192.168.1.1:7 10.0.0.1:7", "10.0.0.2:7" } },
    { "but not two hosts behind one address",
      { "a seen 192.168.1.1 10.0.0.1", "b seen 192.168.1.1 10.0.0.2" },
      { "10.0.0.1:7", "10.0.0.2:7" } },
    { "and the owner keeps what a guest is seen with",
      { "a seen 10.0.0.2 172.17.0.2", "b 10.0.0.2" },
      { "172.17.0.2:7", "10.0.0.2:7" } },
    { "a seen loopback is of use on one machine only",
      { "a seen 127.0.0.1 10.0.0.1 127.0.0.1", "b seen 10.0.0.2 10.0.0.2" },
      { "10.0.0.1:7", "10.0.0.2:7" } },
    { "three claims, the first dropped before the last is looked at",
      { "a 10.9.9.9 10.0.0.1", "b 10.9.9.9", "c 10.9.9.9 10.0.0.3", "d 10.0.0.4" },
      { "10.0.0.1:7", "", "10.0.0.3:7", "10.0.0.4:7" } },
    { "link-local addresses of different interfaces are the same",
      { "a fe80::1%3 fd00::1", "b fe80::1%2 fd00::2" },
      { "[fd00::1]:7", "[fd00::2]:7" } },
};

static void read_candidates(struct cr_candidates *c, const char *line)
{
    char copy[256];
    memset(c, 0, sizeof *c);
    ck_assert_uint_lt(strlen(line), sizeof copy);
    strcpy(copy, line);
    char *save, *word = strtok_r(copy, " ", &save);
    if (*word != '?') strcpy(c->machine, word);
    int seen = 0;
    while ((word = strtok_r(NULL, " ", &save))) {
        if (strcmp(word, "seen") == 0) {
            seen = 1;
            continue;
        }
        struct cr_address a = address(word);
        a.port = seen ? 33333 : 7;
        if (seen)
            c->seen = a;
        else
            c->list[c->count++] = a;
        seen = 0;
    }
}

START_TEST(addresses_worth_dialling)
{
    const struct candidates_case *const t = &prune[_i];
    struct cr_candidates all[HOSTS];
    int hosts = 0;
    while (hosts < HOSTS && t->host[hosts]) {
        read_candidates(&all[hosts], t->host[hosts]);
        hosts++;
    }
    cr_candidates_prune(all, hosts);
    for (int h = 0; h < hosts; h++) {
        char left[512] = "";
        for (int i = 0; i < all[h].count; i++) {
            char text[CR_ADDRESS_TEXT];
            cr_address_text(&all[h].list[i], text);
            if (i > 0) strcat(left, " ");
            strcat(left, text);
        }
        ck_assert_msg(strcmp(left, t->left[h]) == 0, "%s: host %d has '%s'", t->name, h, left);
    }
}
END_TEST

/* A full list makes room for the address seen, and never grows. */
START_TEST(seen_fits_into_a_full_list)
{
    struct cr_candidates all[2];
    read_candidates(&all[0], "a seen 192.168.0.1");
    read_candidates(&all[1], "b 10.0.1.1");
    for (uint8_t i = 0; i < CR_MAX_ADDRESSES; i++) {
        all[0].list[i] = address("10.0.0.1:7");
        all[0].list[i].ip[3] = i;
    }
    all[0].count = CR_MAX_ADDRESSES;
    cr_candidates_prune(all, 2);
    ck_assert_int_eq(all[0].count, CR_MAX_ADDRESSES);
    ck_assert(cr_address_equal(&all[0].list[0], &all[0].seen, 0));
    ck_assert_uint_eq(all[0].list[1].ip[3], 0);
    ck_assert_uint_eq(all[0].list[CR_MAX_ADDRESSES - 1].ip[3], CR_MAX_ADDRESSES - 2);
}
END_TEST

Suite *address_suite(void)
{
    Suite *const s = suite_create("address");
    TCase *const t = tcase_create("address");
    tcase_add_loop_test(t, text_and_back, 0, sizeof form / sizeof *form);
    tcase_add_loop_test(t, only_numbers_are_taken, 0, sizeof no_address / sizeof *no_address);
    tcase_add_test(t, sockets_know_the_same_address);
    tcase_add_test(t, mapped_addresses_are_ipv4);
    tcase_add_test(t, equality_looks_at_ports_when_asked_and_never_at_scopes);
    tcase_add_test(t, kinds);
    tcase_add_test(t, own_addresses_best_first);
    tcase_add_test(t, machine_is_kernel_and_network);
    tcase_add_loop_test(t, addresses_worth_dialling, 0, sizeof prune / sizeof *prune);
    tcase_add_test(t, seen_fits_into_a_full_list);
    suite_add_tcase(s, t);
    return s;
}
