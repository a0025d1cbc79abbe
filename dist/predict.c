#include "dist/predict.h"

#include <string.h>

double cr_predict_compute(const struct cr_compute *c, long blocks)
{
    const long rounds = (blocks + c->threads - 1) / c->threads;
    return c->fixed + (double)rounds * c->round;
}

/* The longest compute when the blocks are dealt by speed. */
static double longest(const struct cr_compute *host, int hosts, long blocks)
{
    int64_t speed[CR_MAX_RANKS] = { 0 };
    long count[CR_MAX_RANKS];
    double fastest = 0, most = 0;
    for (int i = 0; i < hosts; i++)
        if (host[i].threads / host[i].round > fastest) fastest = host[i].threads / host[i].round;
    for (int i = 0; i < hosts; i++) speed[i] = 1 + (int64_t)(host[i].threads / host[i].round / fastest * 0x1p20);
    cr_comm_deal(speed, hosts, blocks, count);
    for (int i = 0; i < hosts; i++) {
        const double seconds = cr_predict_compute(&host[i], count[i]);
        if (seconds > most) most = seconds;
    }
    return most;
}

struct cr_prediction cr_predict(const struct cr_compute *alone, const struct cr_compute *host, int hosts, long blocks,
                                size_t bytes, const struct cr_link_model *model)
{
    struct cr_prediction p = { .alone = cr_predict_compute(alone, blocks),
                               .way = cr_allreduce_way(hosts, bytes, model) };
    p.compute = hosts > 1 ? longest(host, hosts, blocks) : p.alone;
    p.network = cr_allreduce_seconds(p.way, hosts, bytes, model);
    p.speedup = p.alone / (p.compute + p.network);
    p.share = p.network / (p.compute + p.network);
    return p;
}

int cr_predict_hindrance(const struct cr_compute *alone, const struct cr_compute *host, int hosts, long blocks,
                         size_t bytes, const struct cr_link_model *model, struct cr_prediction *without)
{
    struct cr_compute rest[CR_MAX_RANKS];
    const struct cr_prediction with = cr_predict(alone, host, hosts, blocks, bytes, model);
    int slowest = 0;
    for (int i = 1; i < hosts; i++)
        if (host[i].round / host[i].threads >= host[slowest].round / host[slowest].threads) slowest = i;
    memcpy(rest, host, (size_t)slowest * sizeof *rest);
    memcpy(rest + slowest, host + slowest + 1, (size_t)(hosts - 1 - slowest) * sizeof *rest);
    *without = cr_predict(alone, rest, hosts - 1, blocks, bytes, model);
    return without->speedup > with.speedup * 1.05 ? slowest : -1;
}
