/* A library to preload: what a program with bad manners leaves behind before it calls ours. The locale is that of the
 * environment; subnormals count as zero, as in any process that loads an object linked with -Ofast; and with
 * HOSTILE_ROUNDING set, results are rounded towards zero. */
#include <locale.h>
#include <stdlib.h>
#include <xmmintrin.h>

enum { FLUSH_TO_ZERO = 0x8000, DENORMALS_ARE_ZERO = 0x0040, ROUND_TOWARDS_ZERO = 0x6000 };

__attribute__((constructor)) static void be_hostile(void)
{
    setlocale(LC_ALL, "");
    _mm_setcsr(_mm_getcsr() | FLUSH_TO_ZERO | DENORMALS_ARE_ZERO);
    if (getenv("HOSTILE_ROUNDING")) _mm_setcsr(_mm_getcsr() | ROUND_TOWARDS_ZERO);
}
