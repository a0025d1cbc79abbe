/* A library to preload: what a program with bad manners leaves behind before it calls ours. The locale is that of the
 * environment, and the floating-point mode treats subnormals as zero, as in any process that loads an object linked
 * with -Ofast, and, with HOSTILE_ROUNDING set, rounds towards zero. */
#include <fenv.h>
#include <locale.h>
#include <stdlib.h>
#if defined __x86_64__
#include <immintrin.h>
#endif

__attribute__((constructor)) static void be_hostile(void)
{
    setlocale(LC_ALL, "");
    if (getenv("HOSTILE_ROUNDING")) fesetround(FE_TOWARDZERO);
#if defined __x86_64__
    enum { FLUSH_TO_ZERO = 0x8000, DENORMALS_ARE_ZERO = 0x0040 };
    _mm_setcsr(_mm_getcsr() | FLUSH_TO_ZERO | DENORMALS_ARE_ZERO);
#endif
}
