/* The floating-point mode of the arithmetic. A process that loads any object linked with -Ofast has subnormals off,
 * and a caller may have changed the rounding: so every thread sets the mode on entry and restores it on leaving. */
#include "simd/kernels.h"

#if defined __x86_64__
#include <xmmintrin.h>

/* To nearest, all exceptions masked: SSE's register (subnormals kept, none pending), and x87's, which no kernel uses
 * but which the C library asks for the rounding of decimal numbers. */
enum { MXCSR_DEFAULT = 0x1f80, X87_DEFAULT = 0x37f };

static void set_x87(unsigned short word) { __asm__ volatile("fldcw %0" : : "m"(word)); }

unsigned long cr_fp_enter(void)
{
    const unsigned long sse = _mm_getcsr();
    unsigned short x87;
    __asm__ volatile("fnstcw %0" : "=m"(x87));
    _mm_setcsr(MXCSR_DEFAULT);
    set_x87(X87_DEFAULT);
    return sse | (unsigned long)x87 << 32;
}

void cr_fp_leave(unsigned long saved)
{
    _mm_setcsr((unsigned)saved);
    set_x87((unsigned short)(saved >> 32));
}

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
