#define _POSIX_C_SOURCE 200809L
#include "core/text_file.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static int cannot(const char *deed, const char *path, const char *what, int cause, struct cr_error *e)
{
    const int missing = cause == ENOENT || cause == ENOTDIR || cause == EISDIR;
    return cr_fail_at(e, missing ? CR_E_INPUT : CR_E_IO, path, 0, 0, -1, "cannot %s %s: %s", deed, what,
                      strerror(cause));
}

long cr_text_read(const char *path, const char *what, char *text, size_t most, struct cr_error *e)
{
    static const char mark[] = "\xef\xbb\xbf";
    FILE *const f = fopen(path, "rb");
    if (!f) return cannot("open", path, what, errno, e);
    size_t n = fread(text, 1, most + 1, f);
    const int bad = ferror(f), cause = errno;
    fclose(f);
    if (bad) return cannot("read", path, what, cause, e);
    text[n] = 0;
    if (n <= most && strlen(text) < n)
        return cr_fail_at(e, CR_E_INPUT, path, 0, 0, (long long)strlen(text), "%s is no text: a zero byte", what);
    const size_t skipped = strncmp(text, mark, strlen(mark)) == 0 ? strlen(mark) : 0;
    n -= skipped;
    memmove(text, text + skipped, n + 1);
    return (long)n;
}
