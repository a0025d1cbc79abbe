/* Where threads wait for each other: the barrier of a team, and that of neighbours in it. */
#ifndef CR_CORE_MEET_H
#define CR_CORE_MEET_H

#include <stdatomic.h>

/* A barrier that spins briefly, then yields: steps are shorter than a wake-up by the kernel. Sense is a round number,
 * so it can be used any number of times. */
struct cr_barrier {
    _Alignas(64) atomic_int arrived;
    _Alignas(64) atomic_uint round;
    _Alignas(64) int threads;
    int spins; /* before yielding; 0 when threads exceed processors */
};
void cr_barrier_init(struct cr_barrier *b, int threads, int processors);
void cr_barrier_wait(struct cr_barrier *b);

/* A barrier for neighbours of a team, again and again in one step: no counter that all change, but a mark for each
 * thread, which it alone sets, and ceil(log2 n) rounds in which it waits for one other. (Dissemination barrier:
 * Hensgen, Finkel, Manber 1988.) */
struct cr_mark {
    _Alignas(64) atomic_uint reached;
};
struct cr_meeting {
    struct cr_mark *mark; /* of the first of those who meet */
    int me, count;
    int spins;            /* as of a cr_barrier */
    unsigned reached;     /* before the first time, the same number for all, no less than any of their marks */
};
void cr_meet(struct cr_meeting *m);
/* Numbers wrap, so marks may not fall behind: a thread sets its own to number * CR_MEETINGS when step `number` begins,
 * which has fewer meetings, each of at most 10 rounds. */
enum { CR_MEETINGS = 1 << 16 };

#endif
