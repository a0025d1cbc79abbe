/* Writing a file so that it is there whole or not at all: a temporary file in the same folder, fsync, rename over the
 * name, fsync of the folder.
 *
 *     struct cr_file f;
 *     CR_TRY(cr_file_create(&f, path, e));
 *     rc = cr_file_write(&f, bytes, n, e);         any number of times
 *     if (!rc) rc = cr_file_commit(&f, e);         else cr_file_discard(&f)
 *
 * Every failure is -CR_E_IO with the file, the cause and what to do; a file that stood at `path` is then untouched. */
#ifndef CR_CORE_FILE_H
#define CR_CORE_FILE_H

#include <stddef.h>

#include "simd/error.h"

/* Stands between the name and the process id in the name of a temporary file: NAME.tmp-4711. */
#define CR_FILE_TEMPORARY ".tmp-"

struct cr_file {
    int fd;
    char path[704], temporary[768];
};

/* Create the temporary file. */
int cr_file_create(struct cr_file *f, const char *path, struct cr_error *e);
/* Append. After a failure the caller still calls cr_file_discard. */
int cr_file_write(struct cr_file *f, const void *data, size_t bytes, struct cr_error *e);
/* Put the file in place. Nothing is left to discard, whatever the outcome. */
int cr_file_commit(struct cr_file *f, struct cr_error *e);
/* Close and remove the temporary file. */
void cr_file_discard(struct cr_file *f);

/* The folder a path names a file of: "a" for a/b, "." for b, "/" for /b. */
void cr_file_folder(const char *path, char folder[704]);
/* Make a folder and those above it; existing ones are fine. */
int cr_file_mkdirs(const char *folder, struct cr_error *e);

/* Fill *e for errno value `cause`: "PATH: cannot DEED: No space left on device; free some space ...". Returns -code.
 * For readers and writers alike. */
int cr_file_fail(struct cr_error *e, enum cr_err code, const char *path, const char *deed, int cause);

#endif
