#include "simd/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const char *const text[CR_E_COUNT] = {
    [CR_OK] = "ok",
    [CR_E_NOMEM] = "out of memory",
    [CR_E_IO] = "file error",
    [CR_E_USAGE] = "wrong usage",
    [CR_E_INPUT] = "bad input",
    [CR_E_DIVERGED] = "training diverged",
    [CR_E_PEER] = "peer lost",
    [CR_E_REFUSED] = "refused by a peer",
    [CR_E_TIMEOUT] = "deadline passed",
    [CR_E_INTERRUPTED] = "interrupted",
};

const char *cr_err_text(enum cr_err code)
{
    return (unsigned)code < CR_E_COUNT ? text[code] : "unknown error";
}

static void clear(struct cr_error *e, enum cr_err code)
{
    memset(e, 0, sizeof *e);
    e->code = code;
    e->byte = -1;
    e->rank = -1;
}

int cr_fail(struct cr_error *e, enum cr_err code, const char *format, ...)
{
    if (e) {
        clear(e, code);
        va_list args;
        va_start(args, format);
        vsnprintf(e->text, sizeof e->text, format, args);
        va_end(args);
    }
    return -(int)code;
}

int cr_fail_at(struct cr_error *e, enum cr_err code, const char *file, long line, long column, long long byte,
               const char *format, ...)
{
    if (e) {
        clear(e, code);
        snprintf(e->file, sizeof e->file, "%s", file);
        e->line = line;
        e->column = column;
        e->byte = byte;
        int n;
        if (line > 0 && column > 0)
            n = snprintf(e->text, sizeof e->text, "%s:%ld:%ld: ", e->file, line, column);
        else if (line > 0)
            n = snprintf(e->text, sizeof e->text, "%s:%ld: ", e->file, line);
        else if (byte >= 0)
            n = snprintf(e->text, sizeof e->text, "%s, byte %lld: ", e->file, byte);
        else
            n = snprintf(e->text, sizeof e->text, "%s: ", e->file);
        va_list args;
        va_start(args, format);
        if (n >= 0 && (size_t)n < sizeof e->text) vsnprintf(e->text + n, sizeof e->text - (size_t)n, format, args);
        va_end(args);
    }
    return -(int)code;
}
