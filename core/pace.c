#include "core/pace.h"

enum { GOING_ON = 2, FIRST = 64 }; /* steps, as long as nothing is known of them */
static const double try_seconds = 8e-3, going_on = 32; /* times as long as it was tried */

/* The first way is the one of least trouble: the other has to be clearly better. */
static int better(const struct cr_pace *p) { return p->step[1] < 0.95 * p->step[0]; }

int cr_pace_way(const struct cr_pace *p, uint64_t *steps)
{
    *steps = UINT64_MAX;
    if (!p->open) return 0;
    const int way = p->turn < GOING_ON ? p->turn : better(p);
    const double seconds = p->turn < GOING_ON ? try_seconds : going_on * (p->tried[0] + p->tried[1]);
    *steps = p->step[way] > 0 ? (uint64_t)(seconds / p->step[way]) + 1 : FIRST;
    return way;
}

void cr_pace_took(struct cr_pace *p, uint64_t steps, double seconds, int whole)
{
    if (!p->open || !whole || !steps) return;
    if (p->turn < GOING_ON) {
        p->step[p->turn] = seconds / (double)steps;
        p->tried[p->turn] = seconds;
    }
    p->turn = (p->turn + 1) % (GOING_ON + 1);
}
