#define _POSIX_C_SOURCE 200809L
#include "core/data_gzip.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdint.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "config.h"
#include "core/file.h"
#if CR_HAVE_ZLIB
#include <zlib.h>
#endif

extern char **environ; /* POSIX leaves its declaration to the program */

static int damaged(const struct cr_gunzip *g, const char *reason, long long byte, struct cr_error *e)
{
    return cr_fail_at(e, CR_E_INPUT, g->path, 0, 0, byte,
                      "cannot be unpacked (%s): the file is damaged or cut off, fetch it again", reason);
}

#if CR_HAVE_ZLIB

enum { ZLIB_BUFFER = 1 << 17, ZLIB_READ = 1 << 30 /* gzread counts in unsigned int, returns int */ };

static int zlib_open(struct cr_gunzip *g, int fd, struct cr_error *e)
{
    gzFile f = gzdopen(fd, "rb");
    if (!f) {
        close(fd);
        return cr_fail_at(e, CR_E_NOMEM, g->path, 0, 0, -1, "no memory to unpack it");
    }
    gzbuffer(f, ZLIB_BUFFER);
    g->zlib = f;
    return 0;
}

static int zlib_read(struct cr_gunzip *g, uint8_t *to, size_t bytes, size_t *got, struct cr_error *e)
{
    const gzFile f = g->zlib;
    while (*got < bytes) {
        const size_t left = bytes - *got;
        const int n = gzread(f, to + *got, left < ZLIB_READ ? (unsigned)left : ZLIB_READ);
        if (n > 0) *got += (size_t)n;
        if (n < 0 || (unsigned)n < left) {
            int status;
            const char *reason = gzerror(f, &status);
            if (status == Z_ERRNO) return cr_file_fail(e, CR_E_IO, g->path, "read this file", errno);
            const char *const colon = strstr(reason, ": "); /* what stands before is the descriptor's number */
            if (status != Z_OK && status != Z_STREAM_END)
                return damaged(g, colon ? colon + 2 : reason, (long long)gzoffset(f), e);
            if (n == 0) break;
        }
    }
    return 0;
}

#endif

static int program_open(struct cr_gunzip *g, int fd, struct cr_error *e)
{
    int ends[2];
    if (pipe(ends)) {
        const int why = errno;
        close(fd);
        return cr_file_fail(e, CR_E_IO, g->path, "open a pipe to gzip for this file", why);
    }
    fcntl(ends[0], F_SETFD, FD_CLOEXEC);
    fcntl(ends[1], F_SETFD, FD_CLOEXEC);

    char gzip[] = "gzip", options[] = "-dc";
    char *const arguments[] = {gzip, options, NULL};
    posix_spawn_file_actions_t actions;
    int failed = posix_spawn_file_actions_init(&actions);
    if (!failed) {
        failed = posix_spawn_file_actions_adddup2(&actions, fd, STDIN_FILENO);
        if (!failed) failed = posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
        if (!failed) failed = posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
        if (!failed) failed = posix_spawnp(&g->child, gzip, &actions, NULL, arguments, environ);
        posix_spawn_file_actions_destroy(&actions);
    }
    close(fd);
    close(ends[1]);
    if (failed) {
        g->child = 0;
        close(ends[0]);
        return cr_file_fail(e, CR_E_IO, g->path, "unpack this file, because gzip (install it) did not start", failed);
    }
    g->pipe = ends[0];
    return 0;
}

/* gzip's exit status: 0 well, 1 error, 2 warning (such as bytes after the end). */
static int program_status(struct cr_gunzip *g)
{
    int status = 0;
    pid_t done;
    do done = waitpid(g->child, &status, 0);
    while (done < 0 && errno == EINTR);
    g->child = 0;
    return done > 0 && WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

static int program_read(struct cr_gunzip *g, uint8_t *to, size_t bytes, size_t *got, struct cr_error *e)
{
    while (*got < bytes) {
        const ssize_t n = read(g->pipe, to + *got, bytes - *got);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return cr_file_fail(e, CR_E_IO, g->path, "read what gzip unpacks", errno);
        if (n == 0) {
            if (g->child && program_status(g) == 1) return damaged(g, "gzip reports an error", -1, e);
            break;
        }
        *got += (size_t)n;
    }
    return 0;
}

int cr_gunzip_open(struct cr_gunzip *g, const char *path, int fd, enum cr_gunzip_by by, struct cr_error *e)
{
    *g = (struct cr_gunzip){.path = path, .pipe = -1};
#if CR_HAVE_ZLIB
    if (by == CR_GUNZIP_BEST) return zlib_open(g, fd, e);
#else
    (void)by;
#endif
    return program_open(g, fd, e);
}

int cr_gunzip_read(struct cr_gunzip *g, void *to, size_t bytes, size_t *got, struct cr_error *e)
{
    *got = 0;
#if CR_HAVE_ZLIB
    if (g->zlib) return zlib_read(g, to, bytes, got, e);
#endif
    return program_read(g, to, bytes, got, e);
}

void cr_gunzip_close(struct cr_gunzip *g)
{
#if CR_HAVE_ZLIB
    if (g->zlib) gzclose_r(g->zlib);
#endif
    if (g->pipe >= 0) close(g->pipe); /* gzip, if still writing, ends by SIGPIPE */
    if (g->child) program_status(g);
    *g = (struct cr_gunzip){.pipe = -1};
}
