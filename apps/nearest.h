/* The known word nearest to an unknown one, for "did you mean". */
#ifndef CR_APPS_NEAREST_H
#define CR_APPS_NEAREST_H

#include <stddef.h>

/* The nearest of names[0..count-1] by edit distance, or NULL when none is near enough to be worth proposing. */
const char *cr_nearest(const char *word, const char *const *names, size_t count);

#endif
