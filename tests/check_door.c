/* Dialling and listening over real sockets of this machine: who gets in, who does not and is told why, and that
 * strangers in any number and manner keep nobody else out. */
#define _DEFAULT_SOURCE /* usleep */
#include <arpa/inet.h>
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "dist/dial.h"
#include "dist/door.h"
#include "dist/seal.h"
#include "tests/suites.h"

static const int64_t second = 1000000000;
enum { PATIENT = 60 }; /* seconds, for what ends long before on any machine */

static const struct cr_key key = { .bytes = { 1, 2, 3 } }, other_key = { .bytes = { 1, 2, 4 } }, no_key = { .none = 1 };

static struct cr_hello hello(int rank, int to)
{
    return (struct cr_hello){
        .common = { .numerics = 7, .job = "0123456789abcde", .build = "0.1.0+here" },
        .channel = CR_CHANNEL_CONTROL, .rank = rank, .to = to, .incarnation = 5, .view = 9,
    };
}

static struct cr_address at(const char *ip, uint16_t port)
{
    struct cr_address a;
    ck_assert_int_eq(cr_address_parse(&a, ip, NULL), 0);
    a.port = port;
    return a;
}

/* ---- a door served by a thread: the arbiter, whose word to each guest is "welcome" */

enum { REASONS = 8 };
struct house {
    struct cr_door *door;
    struct cr_key key;
    struct cr_hello hello;
    pthread_t thread;
    int stop[2];
    pthread_mutex_t lock; /* of what follows */
    int welcomed, refused, rounds;
    struct cr_connection guest; /* the last one */
    char reason[REASONS][768];  /* the first ones */
};

static void welcome(void *user, struct cr_connection *c)
{
    struct house *const h = user;
    pthread_mutex_lock(&h->lock);
    if (h->welcomed++) cr_connection_close(&h->guest);
    h->guest = *c;
    if (send(c->fd, "welcome", 7, MSG_NOSIGNAL) != 7) h->welcomed = -1000;
    pthread_mutex_unlock(&h->lock);
}

static void refused(void *user, const struct cr_address *from, const struct cr_error *why)
{
    struct house *const h = user;
    pthread_mutex_lock(&h->lock);
    if (h->refused < REASONS) strcpy(h->reason[h->refused], why->text);
    if (!cr_address_is_loopback(from)) strcpy(h->reason[0], "from nowhere");
    h->refused++;
    pthread_mutex_unlock(&h->lock);
}

static void serve(struct house *h, int64_t deadline)
{
    struct pollfd p[CR_DOOR_PENDING + 2];
    const int n = cr_door_poll(h->door, p, &deadline);
    p[n] = (struct pollfd){ .fd = h->stop[0], .events = POLLIN };
    poll(p, (nfds_t)n + 1, cr_clock_left(deadline));
    cr_door_serve(h->door, p, n, welcome, refused, h);
    h->rounds++;
}

static void *keep_house(void *house)
{
    struct house *const h = house;
    struct pollfd stop = { .fd = h->stop[0], .events = POLLIN };
    while (poll(&stop, 1, 0) == 0) serve(h, cr_clock() + PATIENT * second);
    return NULL;
}

static void open_house(struct house *h, const struct cr_key *k, const struct cr_hello *expected)
{
    struct cr_error e;
    memset(h, 0, sizeof *h);
    h->key = *k;
    h->hello = *expected;
    h->door = cr_door_open(NULL, 0, &e);
    ck_assert_msg(h->door != NULL, "%s", e.text);
    cr_door_expect(h->door, &h->key, &h->hello);
    ck_assert_int_eq(pipe(h->stop), 0);
    pthread_mutex_init(&h->lock, NULL);
}

static void start_house(struct house *h, const struct cr_key *k, const struct cr_hello *expected)
{
    open_house(h, k, expected);
    ck_assert_int_eq(pthread_create(&h->thread, NULL, keep_house, h), 0);
}

/* Wait until so many have been refused or welcomed. */
static void await(struct house *h, int welcomed, int turned_away)
{
    for (int there = 0; !there; usleep(1000)) {
        pthread_mutex_lock(&h->lock);
        there = h->welcomed >= welcomed && h->refused >= turned_away;
        pthread_mutex_unlock(&h->lock);
    }
}

static void close_house(struct house *h)
{
    ck_assert_int_eq(write(h->stop[1], "", 1), 1);
    ck_assert_int_eq(pthread_join(h->thread, NULL), 0);
    cr_door_close(h->door);
    if (h->welcomed > 0) cr_connection_close(&h->guest);
}

static uint16_t port_of(const struct house *h)
{
    return cr_door_port(h->door);
}

/* ---- callers */

static int dial(struct cr_connection *c, const struct cr_address *list, int count, const struct cr_key *k,
                const struct cr_hello *ours, struct cr_error *e)
{
    return cr_dial(c, list, count, k, ours, cr_clock() + PATIENT * second, NULL, NULL, e);
}

static void hear(int fd, const char *word)
{
    char got[32] = "";
    size_t n = 0;
    while (n < strlen(word)) {
        struct pollfd p = { .fd = fd, .events = POLLIN };
        ck_assert_int_eq(poll(&p, 1, PATIENT * 1000), 1);
        const ssize_t m = recv(fd, got + n, strlen(word) - n, 0);
        ck_assert_int_gt(m, 0);
        n += (size_t)m;
    }
    ck_assert_str_eq(got, word);
}

static void dial_well(const struct house *h, const struct cr_address *list, int count)
{
    const struct cr_hello ours = hello(3, CR_RANK_ARBITER);
    struct cr_connection c;
    struct cr_error e;
    ck_assert_msg(dial(&c, list, count, &h->key, &ours, &e) == 0, "%s", e.text);
    hear(c.fd, "welcome");
    ck_assert_int_eq(c.theirs.rank, CR_RANK_ARBITER);
    cr_connection_close(&c);
    ck_assert_int_eq(c.fd, -1);
}

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

/* ---- strangers */

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

Suite *door_suite(void)
{
    Suite *const s = suite_create("door");
    TCase *const t = tcase_create("door");
    tcase_set_timeout(t, 30);
    tcase_add_loop_test(t, both_ends_know_each_other, 0, 2);
    tcase_add_test(t, without_a_key_when_both_have_none);
    tcase_add_test(t, sealed_connections);
    tcase_add_loop_test(t, differences_are_named_on_both_sides, 0, sizeof mismatch / sizeof *mismatch);
    tcase_add_test(t, garbage_disturbs_nobody);
    tcase_add_test(t, a_crowd_of_idle_connections);
    tcase_add_test(t, a_crowd_does_not_push_out_who_has_said_hello);
    tcase_add_test(t, slow_ones_are_dropped_after_5_s);
    tcase_add_test(t, no_descriptors_left);
    tcase_add_test(t, strangers_give_their_descriptors_back);
    tcase_add_test(t, ports);
    tcase_add_test(t, nobody_is_let_in_before_somebody_is_expected);
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
