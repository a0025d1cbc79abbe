/* The files that make up a data set, to be sent to hosts that lack them. */
#ifndef CR_APPS_DATA_FILES_H
#define CR_APPS_DATA_FILES_H

#include "core/data.h"

enum { CR_DATA_FILES = 5 };

struct cr_data_files;

/* NULL when out of memory. */
struct cr_data_files *cr_data_files_new(const struct cr_data *d);
void cr_data_files_free(struct cr_data_files *f);
/* As dist/arbiter.h wants it: a piece of file number i. Names are those of IDX files; what was gzip'd is sent inflated.
 * NULL when out of memory. */
const void *cr_data_files_get(void *files, int i, size_t at, size_t most, const char **name, size_t *size);

#endif
