/* Reading a .gz file from front to end: through zlib when the program was built with it, else through `gzip -dc`. */
#ifndef CR_CORE_DATA_GZIP_H
#define CR_CORE_DATA_GZIP_H

#include <stddef.h>
#include <sys/types.h>

#include "simd/error.h"

enum cr_gunzip_by { CR_GUNZIP_BEST, CR_GUNZIP_PROGRAM }; /* BEST: zlib if there; PROGRAM: always gzip -dc */

struct cr_gunzip {
    const char *path; /* for messages; must live as long */
    void *zlib;       /* zlib's gzFile, or NULL */
    int pipe;         /* else: what gzip writes */
    pid_t child;      /* and gzip itself; 0 once it has been waited for */
};

/* fd is open for reading at its beginning; it is consumed (closed by the functions here), also on failure. */
int cr_gunzip_open(struct cr_gunzip *g, const char *path, int fd, enum cr_gunzip_by by, struct cr_error *e);
/* Unpack the next `bytes` bytes. *got is less only at the end, which has then been checked: -CR_E_INPUT when the
 * compressed data are damaged or cut off. */
int cr_gunzip_read(struct cr_gunzip *g, void *to, size_t bytes, size_t *got, struct cr_error *e);
/* May be called before the end has been reached. */
void cr_gunzip_close(struct cr_gunzip *g);

#endif
