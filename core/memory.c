#define _DEFAULT_SOURCE /* madvise */
#include "core/memory.h"

#include <stdlib.h>
#include <sys/mman.h>

void *cr_memory(size_t bytes)
{
    enum { LINE = 64, HUGE_PAGE = 2 << 20, MANY = 2 * HUGE_PAGE }; /* with less, half a huge page would be too much */
    void *memory = NULL;
    if (bytes < MANY) return posix_memalign(&memory, LINE, bytes) ? NULL : memory;
    const size_t size = (bytes + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE;
    if (posix_memalign(&memory, HUGE_PAGE, size)) return NULL;
#ifdef MADV_HUGEPAGE
    madvise(memory, size, MADV_HUGEPAGE); /* as well without */
#endif
    return memory;
}
