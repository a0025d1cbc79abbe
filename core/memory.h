/* Memory for what the kernels work on. */
#ifndef CR_CORE_MEMORY_H
#define CR_CORE_MEMORY_H

#include <stddef.h>

/* `bytes` of memory at a multiple of 64, not written to yet: on a machine with several memories a page comes to lie in
 * that of the thread that writes to it first. free() gives it back; NULL when there is none. Thread-safe.
 *
 * Many megabytes come in huge pages where Linux gives them when asked (transparent_hugepage/enabled is madvise, as most
 * distributions have it). The channels of a picture lie on pages of their own, and a kernel reads hundreds of them in
 * turn: more than a processor keeps the addresses of. */
void *cr_memory(size_t bytes);

#endif
