/* A door served by a thread: the arbiter, whose word to each guest is "welcome". And who calls there, for the suites of
 * doors, of strangers at them and of dialling. */
#ifndef CR_TESTS_HOUSE_H
#define CR_TESTS_HOUSE_H

#include <pthread.h>
#include <stdint.h>

#include "dist/dial.h"
#include "dist/door.h"

static const int64_t second = 1000000000;
enum { PATIENT = 60 }; /* seconds, for what ends long before on any machine */

static const struct cr_key key = { .bytes = { 1, 2, 3 } }, no_key = { .none = 1 };

struct cr_hello hello(int rank, int to);
struct cr_address at(const char *ip, uint16_t port);

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

/* Without a thread: the test serves, and closes the door itself. */
void open_house(struct house *h, const struct cr_key *k, const struct cr_hello *expected);
void serve(struct house *h, int64_t deadline);

/* With one, until close_house. */
void start_house(struct house *h, const struct cr_key *k, const struct cr_hello *expected);
/* Wait until so many have been refused or welcomed. */
void await(struct house *h, int welcomed, int turned_away);
void close_house(struct house *h);

uint16_t port_of(const struct house *h);

/* ---- callers */

int dial(struct cr_connection *c, const struct cr_address *list, int count, const struct cr_key *k,
         const struct cr_hello *ours, struct cr_error *e);
/* The next that comes is this word. */
void hear(int fd, const char *word);
/* Is let in, by the house's own key, and welcomed. */
void dial_well(const struct house *h, const struct cr_address *list, int count);

#endif
