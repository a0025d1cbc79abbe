/* How long a step takes on many hosts, by a model: the longest compute of any of them, then the all-reduce. Pure
 * functions; what goes in was measured (dist/measure.h) or is assumed (corering plan). */
#ifndef CR_DIST_PREDICT_H
#define CR_DIST_PREDICT_H

#include "dist/allreduce.h"
#include "dist/comm.h"

/* A host's compute in a step. */
struct cr_compute {
    double fixed;  /* seconds, however many blocks it has: sums over threads, update */
    double round;  /* seconds of a round of blocks, one on each thread; > 0 */
    int threads;
};

struct cr_prediction {
    double alone;             /* seconds of a step on one host */
    double compute, network;  /* seconds of a step on all: the longest compute; the all-reduce */
    double speedup;           /* alone / (compute + network) */
    double share;             /* network / (compute + network) */
    enum cr_way way;
};

/* Seconds of `blocks` blocks on one host. */
double cr_predict_compute(const struct cr_compute *c, long blocks);

/* A step of `blocks` blocks and a message of `bytes` on hosts that compute as host[0..hosts-1] says while all of them
 * compute, dealt by their speeds, against one that computes as *alone says. hosts: 1..CR_MAX_RANKS. */
struct cr_prediction cr_predict(const struct cr_compute *alone, const struct cr_compute *host, int hosts, long blocks,
                                size_t bytes, const struct cr_link_model *model);

/* The host without which a step would be shorter by more than a twentieth, and *without, the prediction then; or -1.
 * At least two hosts. */
int cr_predict_hindrance(const struct cr_compute *alone, const struct cr_compute *host, int hosts, long blocks,
                         size_t bytes, const struct cr_link_model *model, struct cr_prediction *without);

#endif
