/* Ring all-reduce of a message of S bytes over P ranks (Patarasu, Yuan, "Bandwidth optimal all-reduce algorithms for
 * clusters of workstations", 2009). Chunk numbers are taken modulo P.
 *
 *   chunk c  bytes [S*c/P, S*(c+1)/P), cut at multiples of CR_MESSAGE_ALIGN; may be empty
 *   phase 1  reduce-scatter, steps s = 0..P-2: rank r sends chunk r-s, receives and combines chunk r-s-1
 *   phase 2  all-gather,     steps s = 0..P-2: rank r sends chunk r+1-s, receives and keeps chunk r-s
 *   cost     2(P-1) steps; each rank sends 2 S (P-1)/P bytes, the fewest that are possible */
#include "dist/ways.h"

struct chunk {
    size_t begin, end;
};

static struct chunk chunk_of(const struct cr_message *m, int size, int number)
{
    const size_t lines = (m->size + CR_MESSAGE_ALIGN - 1) / CR_MESSAGE_ALIGN;
    const size_t p = (size_t)size, c = (size_t)((number % size + size) % size);
    const size_t begin = lines * c / p * CR_MESSAGE_ALIGN, end = lines * (c + 1) / p * CR_MESSAGE_ALIGN;
    return (struct chunk){ begin, end < m->size ? end : m->size };
}

struct incoming {
    struct cr_message *m;
    size_t chunk; /* where the chunk begins in the message */
};

static void combine(void *user, size_t begin, size_t end, const void *bytes)
{
    const struct incoming *const in = user;
    cr_message_combine(in->m, in->chunk + begin, in->chunk + end, bytes);
}

int cr_ring(struct cr_transport *t, struct cr_message *m, int64_t deadline, struct cr_error *e)
{
    const int p = t->size, next = (t->rank + 1) % p, before = (t->rank + p - 1) % p;
    char *const bytes = m->bytes;
    for (int s = 0; s < p - 1; s++) {
        const struct chunk out = chunk_of(m, p, t->rank - s), in = chunk_of(m, p, t->rank - s - 1);
        struct incoming incoming = { m, in.begin };
        const struct cr_arrival arrival = { .arrived = combine, .user = &incoming };
        CR_TRY(t->trade(t, next, bytes + out.begin, out.end - out.begin, before, NULL, in.end - in.begin, &arrival,
                        deadline, e));
    }
    for (int s = 0; s < p - 1; s++) {
        const struct chunk out = chunk_of(m, p, t->rank + 1 - s), in = chunk_of(m, p, t->rank - s);
        CR_TRY(t->trade(t, next, bytes + out.begin, out.end - out.begin, before, bytes + in.begin, in.end - in.begin,
                        NULL, deadline, e));
    }
    return 0;
}
