/* The side of a run with many ranks that has the terminal and the disk: begins the run like cr_train, gives its state
 * away as bytes, keeps the checkpoints that come back and shows the events that are told.
 *
 *     struct cr_conduct *c = cr_conduct_begin(&options, &net, &data, &events, e);
 *     ... hand cr_conduct_state and cr_conduct_keeper to the arbiter (dist/arbiter.h), run ...
 *     rc = cr_conduct_end(c, rc, &result, e);  */
#ifndef CR_CORE_CONDUCT_H
#define CR_CORE_CONDUCT_H

#include "core/trainer.h"

struct cr_conduct;

/* Check options, network and data as cr_train does, make the run folder, and announce the start. net, data and events
 * stay the caller's and must outlive the run. hosts: for the start event. NULL and *e on failure. */
struct cr_conduct *cr_conduct_begin(const struct cr_train_options *options, const struct cr_net *net,
                                    const struct cr_data *data, const struct cr_train_events *events, int hosts,
                                    struct cr_error *e);
/* The state every rank begins with, as a checkpoint's bytes; owned by c. */
const void *cr_conduct_state(const struct cr_conduct *c, size_t *size);

/* For dist/keeper.h: a checkpoint to put in the run folder; an event to show. user = c. Not on two threads at once. */
int cr_conduct_keep(void *c, const void *bytes, size_t size, struct cr_error *e);
void cr_conduct_kept(void *c);
void cr_conduct_told(void *c, const void *event, size_t size);

/* The run is over; rc is how. Fills *result, frees c. Returns rc, or what the ranks' own end says (interrupted,
 * diverged: then *e). */
int cr_conduct_end(struct cr_conduct *c, int rc, struct cr_train_result *result, struct cr_error *e);

#endif
