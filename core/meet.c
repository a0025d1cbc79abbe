#include "core/meet.h"

#include <sched.h>

enum { SPINS = 2000 };

void cr_barrier_init(struct cr_barrier *b, int threads, int processors)
{
    atomic_init(&b->arrived, 0);
    atomic_init(&b->round, 0);
    b->threads = threads;
    b->spins = threads <= processors ? SPINS : 0;
}

static void pause_briefly(void)
{
#if defined __x86_64__ || defined __i386__
    __builtin_ia32_pause();
#elif defined __aarch64__
    __asm__ volatile("yield");
#endif
}

/* For a turn more of waiting. */
static void linger(int spin, int spins)
{
    if (spin < spins)
        pause_briefly();
    else
        sched_yield();
}

void cr_barrier_wait(struct cr_barrier *b)
{
    const unsigned round = atomic_load_explicit(&b->round, memory_order_relaxed);
    if (atomic_fetch_add_explicit(&b->arrived, 1, memory_order_acq_rel) + 1 == b->threads) {
        atomic_store_explicit(&b->arrived, 0, memory_order_relaxed);
        atomic_store_explicit(&b->round, round + 1, memory_order_release);
        return;
    }
    for (int spin = 0; atomic_load_explicit(&b->round, memory_order_acquire) == round; spin++) linger(spin, b->spins);
}

void cr_meet(struct cr_meeting *m)
{
    for (int step = 1; step < m->count; step *= 2) {
        const atomic_uint *const other = &m->mark[(m->me + m->count - step) % m->count].reached;
        atomic_store_explicit(&m->mark[m->me].reached, ++m->reached, memory_order_release);
        for (int spin = 0; (int)(atomic_load_explicit(other, memory_order_acquire) - m->reached) < 0; spin++)
            linger(spin, m->spins);
    }
}
