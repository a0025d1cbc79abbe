/* Measuring before the first step: how fast every rank computes, alone and while all do, and how long messages take.
 * It takes about 100 ms where links are of 1 Gbit/s and more, and leaves no trace in the run's state.
 *
 * Ranks of one machine share its cores: alone computes only the first of each machine. Together all compute as in
 * steps, an equal share each and then an all-reduce, so that who waits for whom is measured too. Where ranks have more
 * threads than their machine has cores, they count as equally fast in the prediction: who was quick had a core. */
#ifndef CR_DIST_MEASURE_H
#define CR_DIST_MEASURE_H

#include "dist/frame.h"
#include "dist/predict.h"
#include "dist/transport.h"

/* Words of the message's sum64 section for each rank. */
enum { CR_MEASURE_WORDS = 10 };

/* Take part, with all ranks of t (NULL = this one is the only one), and combine what they measured into *m, a message
 * of CR_MEASURE_WORDS * size sums64 at least. 0, or what trade returned. */
int cr_measure(struct cr_transport *t, const struct cr_workload *w, struct cr_message *m, struct cr_error *e);

/* What follows from it. */
struct cr_measured {
    struct cr_link_model model;
    struct cr_prediction prediction;
    int hosts;               /* ranks */
    int hindrance;           /* place in the view of a rank that slows the run down, or -1 */
    double without;          /* the speed-up without it */
};
/* A pure function of the combined message and of what all ranks know: equal on all. speed: (size) for a deal. */
void cr_measured_from(struct cr_measured *x, const struct cr_message *m, int size, const struct cr_workload *w,
                      int64_t *speed);
void cr_measured_put(struct cr_writer *w, const struct cr_measured *x);
void cr_measured_get(struct cr_reader *r, struct cr_measured *x);

/* Seconds to add a byte of a message to another that is in memory. */
double cr_measure_add(void);

#endif
