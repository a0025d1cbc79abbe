/* All-reduce by recursive doubling of a message of S bytes over P ranks (Thakur, Rabenseifner, Gropp, 2005).
 *
 *   P = 2^k    k rounds: in round i, rank r trades the whole message with rank r ^ 2^i and combines the two
 *   otherwise  with 2^k the greatest power below P and x = P - 2^k: of the first 2x ranks each even one first gives its
 *              message to the odd one after it, which takes part for both and gives it the result at the end. Those who
 *              take part are numbered anew: "places" 0..2^k-1
 *   cost       k (+ 2) rounds; each rank sends k S (+ S) bytes */
#include "dist/ways.h"

static int greatest_power(int size)
{
    int power = 1;
    while (2 * power <= size) power *= 2;
    return power;
}

/* Place of a rank when x ranks are beyond the power of two; -1 for those that another takes part for. */
static int place_of(int rank, int x)
{
    if (rank >= 2 * x) return rank - x;
    return rank % 2 ? rank / 2 : -1;
}

static int rank_of(int place, int x) { return place < x ? 2 * place + 1 : place + x; }

int cr_doubling_peers(int rank, int size, int *peer)
{
    const int power = greatest_power(size), x = size - power, place = place_of(rank, x);
    int count = 0;
    if (rank < 2 * x) peer[count++] = rank ^ 1;
    for (int bit = 1; place >= 0 && bit < power; bit *= 2) peer[count++] = rank_of(place ^ bit, x);
    return count;
}

static void combine(void *user, size_t begin, size_t end, const void *bytes)
{
    cr_message_combine(user, begin, end, bytes);
}

int cr_doubling(struct cr_transport *t, struct cr_message *m, int64_t deadline, struct cr_error *e)
{
    const int power = greatest_power(t->size), x = t->size - power, place = place_of(t->rank, x);
    const int double_up = t->rank < 2 * x, other = t->rank ^ 1;
    /* The message that goes out is the one that what comes in is combined with: it has to be gone by then. */
    const struct cr_arrival arrival = { .arrived = combine, .user = m, .after_sent = 1 };
    if (place < 0) {
        CR_TRY(t->trade(t, other, m->bytes, m->size, -1, NULL, 0, NULL, deadline, e));
        return t->trade(t, -1, NULL, 0, other, m->bytes, m->size, NULL, deadline, e);
    }
    if (double_up) CR_TRY(t->trade(t, -1, NULL, 0, other, NULL, m->size, &arrival, deadline, e));
    for (int bit = 1; bit < power; bit *= 2) {
        const int partner = rank_of(place ^ bit, x);
        CR_TRY(t->trade(t, partner, m->bytes, m->size, partner, NULL, m->size, &arrival, deadline, e));
    }
    if (double_up) return t->trade(t, other, m->bytes, m->size, -1, NULL, 0, NULL, deadline, e);
    return 0;
}
