/* Atomic files by temporary name, fsync and rename. EINTR and short writes go on. */
#define _POSIX_C_SOURCE 200809L

#include "core/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *advice(int cause)
{
    switch (cause) {
    case ENOSPC:
    case EDQUOT: return "; free some space there or choose another folder";
    case EACCES:
    case EPERM:
    case EROFS: return "; choose a place you may use, or change its permissions";
    case ENOENT: return "; check the spelling";
    default: return "";
    }
}

int cr_file_fail(struct cr_error *e, enum cr_err code, const char *path, const char *deed, int cause)
{
    char text[128];
    if (strerror_r(cause, text, sizeof text) != 0) snprintf(text, sizeof text, "error %d", cause);
    return cr_fail_at(e, code, path, 0, 0, -1, "cannot %s: %s%s", deed, text, advice(cause));
}

int cr_file_create(struct cr_file *f, const char *path, struct cr_error *e)
{
    f->fd = -1;
    const int n = snprintf(f->path, sizeof f->path, "%s", path);
    if (n < 0 || (size_t)n >= sizeof f->path) return cr_file_fail(e, CR_E_IO, path, "create this file", ENAMETOOLONG);
    snprintf(f->temporary, sizeof f->temporary, "%s" CR_FILE_TEMPORARY "%ld", path, (long)getpid());
    /* One of that name can only be a leftover of a process that is gone. */
    unlink(f->temporary);
    f->fd = open(f->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    return f->fd < 0 ? cr_file_fail(e, CR_E_IO, path, "create this file", errno) : 0;
}

int cr_file_write(struct cr_file *f, const void *data, size_t bytes, struct cr_error *e)
{
    const char *p = data;
    while (bytes) {
        const ssize_t n = write(f->fd, p, bytes);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return cr_file_fail(e, CR_E_IO, f->path, "write this file", errno);
        p += n;
        bytes -= (size_t)n;
    }
    return 0;
}

static int sync_fd(int fd)
{
    int rc;
    do rc = fsync(fd);
    while (rc < 0 && errno == EINTR);
    return rc;
}

void cr_file_folder(const char *path, char folder[704])
{
    const char *slash = strrchr(path, '/');
    if (!slash)
        snprintf(folder, 704, ".");
    else
        snprintf(folder, 704, "%.*s", slash == path ? 1 : (int)(slash - path), path);
}

/* A renamed file survives a crash of the machine only when its folder is on disk too. Some file systems cannot sync
 * a folder; they say EINVAL, and nothing more can be done there. */
static int sync_folder_of(const char *path)
{
    char folder[704];
    cr_file_folder(path, folder);
    const int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return -1;
    const int rc = sync_fd(fd), cause = errno;
    close(fd);
    errno = cause;
    return rc < 0 && cause != EINVAL ? -1 : 0;
}

int cr_file_commit(struct cr_file *f, struct cr_error *e)
{
    int rc = sync_fd(f->fd), cause = errno;
    /* Network file systems report a full disk no earlier than here. */
    if (close(f->fd) < 0 && rc == 0 && errno != EINTR) {
        rc = -1;
        cause = errno;
    }
    f->fd = -1;
    if (rc == 0 && rename(f->temporary, f->path) < 0) {
        rc = -1;
        cause = errno;
    }
    if (rc < 0) {
        unlink(f->temporary);
        return cr_file_fail(e, CR_E_IO, f->path, "write this file", cause);
    }
    if (sync_folder_of(f->path) < 0) return cr_file_fail(e, CR_E_IO, f->path, "bring its folder to disk", errno);
    return 0;
}

void cr_file_discard(struct cr_file *f)
{
    if (f->fd < 0) return;
    close(f->fd);
    f->fd = -1;
    unlink(f->temporary);
}

static int make_one(const char *folder, struct cr_error *e)
{
    struct stat st;
    if (mkdir(folder, 0777) == 0) {
        sync_folder_of(folder); /* at best: what is put into it is brought to disk where it matters */
        return 0;
    }
    const int cause = errno;
    if (stat(folder, &st) == 0 && S_ISDIR(st.st_mode)) return 0;
    return cr_file_fail(e, CR_E_IO, folder, "make this folder", cause);
}

int cr_file_mkdirs(const char *folder, struct cr_error *e)
{
    char part[704];
    const int n = snprintf(part, sizeof part, "%s", folder);
    if (n < 0 || (size_t)n >= sizeof part) return cr_file_fail(e, CR_E_IO, folder, "make this folder", ENAMETOOLONG);
    for (char *slash = strchr(part + (n > 0), '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = 0;
        CR_TRY(make_one(part, e));
        *slash = '/';
    }
    return make_one(part, e);
}
