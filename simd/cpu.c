/* What CPU and operating system support, of what this build has kernels for. On x86 both must be asked: cpuid tells
 * what the CPU can do, xgetbv which registers the system saves when it switches threads. */
#include "config.h"
#include "simd/kernels.h"

#if defined __x86_64__ || defined __i386__
#include <cpuid.h>

/* Register states in XCR0. */
enum { XCR0_AVX = 0x06, XCR0_AVX512 = 0xe6 };

static unsigned saved_states(void)
{
    unsigned low, high;
    __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return low;
}

/* AVX-512 means F, DQ, BW and VL together; AVX2 means AVX2 and FMA. */
static unsigned detect(void)
{
    const unsigned avx512 = bit_AVX512F | bit_AVX512DQ | bit_AVX512BW | bit_AVX512VL;
    unsigned a, b, c, d, flags = 0;

    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_OSXSAVE)) return 0;
    const unsigned saved = saved_states();
    if ((saved & XCR0_AVX) != XCR0_AVX || !(c & bit_AVX) || !(c & bit_FMA)) return 0;
    flags |= CR_CPU_FMA;
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || !(b & bit_AVX2)) return flags;
    flags |= CR_CPU_AVX2;
    if ((saved & XCR0_AVX512) != XCR0_AVX512 || (b & avx512) != avx512) return flags;
    flags |= CR_CPU_AVX512;
    /* Intel's two units for 512 bits do either; AMD has two for multiplications and two for the rest. */
    if (__get_cpuid(0, &a, &b, &c, &d) && b == signature_AMD_ebx) flags |= CR_CPU_SELECTS;
    return flags;
}
#elif defined __aarch64__
static unsigned detect(void) { return CR_CPU_NEON; } /* part of the architecture */
#else
static unsigned detect(void) { return 0; }
#endif

unsigned cr_cpu_flags(void)
{
    unsigned built = 0;
#if CR_HAVE_FMA
    built |= CR_CPU_FMA;
#endif
#if CR_HAVE_AVX2
    built |= CR_CPU_AVX2;
#endif
#if CR_HAVE_AVX512
    built |= CR_CPU_AVX512 | CR_CPU_SELECTS;
#endif
#if CR_HAVE_NEON
    built |= CR_CPU_NEON;
#endif
    return detect() & built;
}
