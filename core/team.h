/* The OpenMP team: how many threads, on which processors. */
#ifndef CR_CORE_TEAM_H
#define CR_CORE_TEAM_H

enum { CR_MAX_THREADS = 4096 };

/* Threads to use when nobody says: OMP_NUM_THREADS, else physical cores within affinity and cgroup limits (v1 and v2),
 * divided by LOCAL_WORLD_SIZE or SLURM_NTASKS_PER_NODE. 1 to CR_MAX_THREADS. */
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

#endif
