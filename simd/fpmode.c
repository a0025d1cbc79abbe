/* The floating-point mode of the arithmetic. A process that loads any object linked with -Ofast has subnormals off,
 * and a caller may have changed the rounding: so every thread sets the mode on entry and restores it on leaving. */
#include "simd/kernels.h"

#if defined __x86_64__
#include <xmmintrin.h>

enum { MXCSR_DEFAULT = 0x1f80 }; /* to nearest, subnormals kept, all exceptions masked, none pending */

unsigned long cr_fp_enter(void)
{
    const unsigned saved = _mm_getcsr();
    _mm_setcsr(MXCSR_DEFAULT);
    return saved;
}

void cr_fp_leave(unsigned long saved) { _mm_setcsr((unsigned)saved); }

#elif defined __aarch64__

/* FPCR: 0 is to nearest, subnormals kept (FZ, FZ16), NaN as by IEEE (DN), traps off. */
unsigned long cr_fp_enter(void)
{
    unsigned long saved;
    __asm__ volatile("mrs %0, fpcr" : "=r"(saved));
    __asm__ volatile("msr fpcr, %0" : : "r"(0ul) : "memory");
    return saved;
}

void cr_fp_leave(unsigned long saved) { __asm__ volatile("msr fpcr, %0" : : "r"(saved) : "memory"); }

#else /* elsewhere the caller's mode is trusted */

unsigned long cr_fp_enter(void) { return 0; }
void cr_fp_leave(unsigned long saved) { (void)saved; }

#endif
