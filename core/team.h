/* The OpenMP team: how many threads, on which processors, and the barrier between them. */
#ifndef CR_CORE_TEAM_H
#define CR_CORE_TEAM_H

#include <stdatomic.h>

/* Threads to use when nobody says: OMP_NUM_THREADS, else physical cores within affinity and cgroup limits (v1 and v2),
 * divided by LOCAL_WORLD_SIZE or SLURM_NTASKS_PER_NODE. At least 1. */
int cr_threads_default(void);

/* Processors this process may use: one of each core first, then the cores' other threads. */
enum { CR_MAX_CPUS = 1024 };
struct cr_cpus {
    int count, cores;
    int list[CR_MAX_CPUS];
};
void cr_cpus_allowed(struct cr_cpus *c);

/* Bind the calling thread, number t of `threads`, to a processor of its own, when the team takes all cores or all
 * processors. A smaller team is left to the system, lest two runs on one machine choose the same processors. Returns
 * what cr_unpin needs to undo it, on the same thread. */
struct cr_pin {
    int pinned;
    unsigned long mask[CR_MAX_CPUS / (8 * sizeof(unsigned long))];
};
struct cr_pin cr_pin(const struct cr_cpus *c, int t, int threads);
void cr_unpin(const struct cr_pin *p);

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
