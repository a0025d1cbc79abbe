#include "dist/allreduce.h"

#include "dist/comm.h"
#include "dist/ways.h"

const char *cr_way_name(enum cr_way way) { return way == CR_WAY_RING ? "ring" : "doubling"; }

double cr_allreduce_seconds(enum cr_way way, int size, size_t bytes, const struct cr_link_model *model)
{
    const double n = (double)bytes, p = size, latency = model->latency, byte = model->byte, add = model->add;
    if (size < 2) return 0;
    if (way == CR_WAY_RING) return 2 * (p - 1) * (latency + n / p * (byte + add));
    double rounds = 0;
    int power = 1;
    for (; 2 * power <= size; power *= 2) rounds++;
    /* Ranks beyond a power of two give their message to another before, and get the result after. */
    const double beyond = power < size ? 2 * (latency + n * (byte + add)) : 0;
    return rounds * (latency + n * (byte + add)) + beyond;
}

enum cr_way cr_allreduce_way(int size, size_t bytes, const struct cr_link_model *model)
{
    return cr_allreduce_seconds(CR_WAY_RING, size, bytes, model) <
                   cr_allreduce_seconds(CR_WAY_DOUBLING, size, bytes, model)
               ? CR_WAY_RING
               : CR_WAY_DOUBLING;
}

int cr_allreduce_peers(int rank, int size, int *peer)
{
    int candidate[CR_DOUBLING_PEERS + 2], candidates = cr_doubling_peers(rank, size, candidate), count = 0;
    if (size > 1) {
        candidate[candidates++] = (rank + 1) % size;
        candidate[candidates++] = (rank + size - 1) % size;
    }
    for (int i = 0; i < candidates; i++) {
        int known = 0;
        for (int k = 0; k < count; k++) known |= peer[k] == candidate[i];
        if (!known) peer[count++] = candidate[i];
    }
    return count;
}

int cr_allreduce(struct cr_transport *t, enum cr_way way, struct cr_message *m, int64_t deadline, struct cr_error *e)
{
    if (t->size < 2) return 0;
    return way == CR_WAY_RING ? cr_ring(t, m, deadline, e) : cr_doubling(t, m, deadline, e);
}
