/* Errors of the library: a number for the program, one sentence for the person.
 *
 * Functions that can fail return 0, or -CR_E_... and fill the caller's struct cr_error with what failed, where
 * (file, line, column, byte, host, rank) and what to do. The library never prints, exits or aborts. */
#ifndef CR_SIMD_ERROR_H
#define CR_SIMD_ERROR_H

enum cr_err {
    CR_OK,
    CR_E_NOMEM,       /* memory could not be had */
    CR_E_IO,          /* disk, permission, no space: the machine's fault */
    CR_E_USAGE,       /* an option or argument that makes no sense */
    CR_E_INPUT,       /* a network, data set or checkpoint that is not what it says */
    CR_E_DIVERGED,    /* NaN or Inf in the training */
    CR_E_PEER,        /* another host is lost or misbehaves */
    CR_E_REFUSED,     /* another process of the run will not have this one: key, build, --secure; waiting is no help */
    CR_E_TIMEOUT,     /* a deadline passed */
    CR_E_INTERRUPTED, /* a signal asked for the end */
    CR_E_COUNT
};

struct cr_error {
    enum cr_err code;
    char text[768]; /* one line without newline: what, where, what to do */
    char file[512]; /* "" when no file is involved; likewise host */
    long line;      /* 1-based; 0 = none */
    long column;    /* 1-based; 0 = none */
    long long byte; /* offset from 0; -1 = none */
    char host[256];
    int rank;       /* -1 = none */
};

/* "out of memory" etc.; a static string for every code. */
const char *cr_err_text(enum cr_err code);

/* Fill *e (which may be NULL) with code and a formatted sentence, no place. Returns -code. Thread-safe. */
int cr_fail(struct cr_error *e, enum cr_err code, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* The same with a place in a file: line and column 1-based (0 = none), byte from 0 (-1 = none). The place is put
 * in front of the sentence as FILE:LINE:COLUMN: or "FILE, byte N: ". Returns -code. */
int cr_fail_at(struct cr_error *e, enum cr_err code, const char *file, long line, long column, long long byte,
               const char *format, ...) __attribute__((format(printf, 7, 8)));

/* Forward a failure to the caller. */
#define CR_TRY(call)                                                                                                   \
    do {                                                                                                               \
        const int rc_ = (call);                                                                                        \
        if (rc_ < 0) return rc_;                                                                                       \
    } while (0)

#endif
