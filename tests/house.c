#define _DEFAULT_SOURCE /* usleep */
#include "tests/house.h"

#include <check.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct cr_hello hello(int rank, int to)
{
    return (struct cr_hello){
        .common = { .numerics = 7, .job = "0123456789abcde", .build = "0.1.0+here" },
        .channel = CR_CHANNEL_CONTROL, .rank = rank, .to = to, .incarnation = 5, .view = 9,
    };
}

struct cr_address at(const char *ip, uint16_t port)
{
    struct cr_address a;
    ck_assert_int_eq(cr_address_parse(&a, ip, NULL), 0);
    a.port = port;
    return a;
}

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

void serve(struct house *h, int64_t deadline)
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

void open_house(struct house *h, const struct cr_key *k, const struct cr_hello *expected)
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

void start_house(struct house *h, const struct cr_key *k, const struct cr_hello *expected)
{
    open_house(h, k, expected);
    ck_assert_int_eq(pthread_create(&h->thread, NULL, keep_house, h), 0);
}

void await(struct house *h, int welcomed, int turned_away)
{
    for (int there = 0; !there; usleep(1000)) {
        pthread_mutex_lock(&h->lock);
        there = h->welcomed >= welcomed && h->refused >= turned_away;
        pthread_mutex_unlock(&h->lock);
    }
}

void close_house(struct house *h)
{
    ck_assert_int_eq(write(h->stop[1], "", 1), 1);
    ck_assert_int_eq(pthread_join(h->thread, NULL), 0);
    cr_door_close(h->door);
    if (h->welcomed > 0) cr_connection_close(&h->guest);
}

uint16_t port_of(const struct house *h)
{
    return cr_door_port(h->door);
}

int dial(struct cr_connection *c, const struct cr_address *list, int count, const struct cr_key *k,
         const struct cr_hello *ours, struct cr_error *e)
{
    return cr_dial(c, list, count, k, ours, cr_clock() + PATIENT * second, NULL, NULL, e);
}

void hear(int fd, const char *word)
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

void dial_well(const struct house *h, const struct cr_address *list, int count)
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
