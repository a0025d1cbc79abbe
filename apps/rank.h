/* One rank's part of a run with an arbiter: finds the data set or has it sent, takes part, leaves. */
#ifndef CR_APPS_RANK_H
#define CR_APPS_RANK_H

#include "dist/launch.h"

/* s: how to reach the arbiter, and who we are. lifeline: a descriptor whose end means that the launcher is gone; -1 =
 * none. patience: seconds that the arbiter may take to be there; arrived: called when it is, or NULL. Says on stderr
 * what the user has to know. */
int cr_rank_run(const struct cr_summons *s, int lifeline, double patience, void (*arrived)(void), struct cr_error *e);

#endif
