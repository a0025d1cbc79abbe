/* Which of two ways is the faster just now, where no rule can tell: it depends on how long one core's caches take to
 * hand over to another's, and on what else the machine does. Each way is timed for a moment, then the better one goes
 * on for a while, and so on. What is computed must not depend on the way. */
#ifndef CR_CORE_PACE_H
#define CR_CORE_PACE_H

#include <stdint.h>

struct cr_pace {
    int open;            /* there is a choice; else way 0 for ever */
    int turn;            /* the ways are tried in turn, then comes the better one */
    double step[2];      /* seconds of a step, as tried last */
    double tried[2];     /* for so many seconds */
};

/* The way to go on with, and for how many steps. */
int cr_pace_way(const struct cr_pace *p, uint64_t *steps);
/* So many steps took so long; fewer than it was to be: what was tried tells nothing. */
void cr_pace_took(struct cr_pace *p, uint64_t steps, double seconds, int whole);

#endif
