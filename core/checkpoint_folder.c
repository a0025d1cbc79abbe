/* The folder of a run: which checkpoints it holds, which is the one to go on from, which may go. */
#define _DEFAULT_SOURCE /* flock */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "core/checkpoint.h"
#include "core/file.h"
#include "core/number.h"
#include "core/safetensors.h"

static const char prefix[] = "step-", suffix[] = ".safetensors";

struct saved {
    uint64_t step;
    struct timespec written;
};

struct listing {
    struct saved *file; /* latest step first; owned */
    size_t count;
};

void cr_checkpoint_name(const char *folder, uint64_t step, char file[640])
{
    snprintf(file, 640, "%s/%s%08llu%s", folder, prefix, (unsigned long long)step, suffix);
}

/* Is it the name of a checkpoint, as cr_checkpoint_name makes them? Then its step. */
static int parse_name(const char *name, uint64_t *step)
{
    char digits[32], again[640];
    const size_t start = strlen(prefix), end = strlen(suffix), length = strlen(name);
    if (length <= start + end || length - start - end >= sizeof digits) return 0;
    memcpy(digits, name + start, length - start - end);
    digits[length - start - end] = 0;
    if (cr_parse_u64(digits, step) < 0) return 0;
    cr_checkpoint_name(".", *step, again);
    return strcmp(again + 2, name) == 0;
}

static int later_step_first(const void *a, const void *b)
{
    const struct saved *x = a, *y = b;
    return x->step == y->step ? 0 : x->step > y->step ? -1 : 1;
}

/* The caller frees list->file. */
static int list_folder(const char *folder, struct listing *list, struct cr_error *e)
{
    *list = (struct listing){ .count = 0 };
    DIR *dir = opendir(folder);
    if (!dir) return cr_file_fail(e, CR_E_IO, folder, "read this folder", errno);
    for (const struct dirent *entry; (entry = readdir(dir));) {
        uint64_t step;
        struct stat st;
        if (!parse_name(entry->d_name, &step) || fstatat(dirfd(dir), entry->d_name, &st, 0) < 0) continue;
        struct saved *more = realloc(list->file, (list->count + 1) * sizeof *more);
        if (!more) {
            closedir(dir);
            free(list->file);
            return cr_fail(e, CR_E_NOMEM, "%s: no memory to list this folder", folder);
        }
        list->file = more;
        list->file[list->count++] = (struct saved){ step, st.st_mtim };
    }
    closedir(dir);
    if (list->count) qsort(list->file, list->count, sizeof *list->file, later_step_first);
    return 0;
}

static int check_whole(const char *file, struct cr_error *e)
{
    struct cr_safetensors f;
    CR_TRY(cr_safetensors_open(&f, file, e));
    const int rc = cr_safetensors_verify(&f, e);
    cr_safetensors_close(&f);
    return rc;
}

/* The latest of the list that is whole; 1, or the error of the very latest when none is. */
static int find_whole(const char *folder, const struct listing *list, char file[640], char note[512],
                      struct cr_error *e)
{
    struct cr_error first;
    for (size_t i = 0; i < list->count; i++) {
        struct cr_error now;
        cr_checkpoint_name(folder, list->file[i].step, file);
        const int rc = check_whole(file, &now);
        if (rc == 0) {
            if (i > 0) snprintf(note, 512, "%.380s; going on from step %llu instead", first.text,
                                (unsigned long long)list->file[i].step);
            return 1;
        }
        if (i == 0) first = now;
        if (rc != -CR_E_INPUT || i + 1 == list->count) {
            if (e) *e = rc != -CR_E_INPUT ? now : first;
            return rc;
        }
    }
    return 0;
}

int cr_checkpoint_find(const char *path, char file[640], char note[512], struct cr_error *e)
{
    struct stat st;
    file[0] = note[0] = 0;
    if (stat(path, &st) < 0) {
        const int missing = errno == ENOENT || errno == ENOTDIR;
        return cr_file_fail(e, missing ? CR_E_INPUT : CR_E_IO, path, "open this checkpoint or run folder", errno);
    }
    if (!S_ISDIR(st.st_mode)) {
        snprintf(file, 640, "%s", path);
        return 1;
    }
    struct listing list;
    CR_TRY(list_folder(path, &list, e));
    const int rc = find_whole(path, &list, file, note, e);
    free(list.file);
    return rc;
}

/* A later step alone does not make a checkpoint obsolete: who resumes from an older file writes steps that are behind
 * files still in the folder, and those must not push the fresh ones out. A later time alone does not either: clocks
 * are set back. */
void cr_checkpoint_prune(const char *folder, int keep)
{
    struct listing list;
    if (list_folder(folder, &list, NULL) < 0) return;
    for (size_t i = 0; i < list.count; i++) {
        int newer = 0;
        for (size_t k = 0; k < i; k++) {
            const struct timespec *a = &list.file[k].written, *b = &list.file[i].written;
            newer += a->tv_sec > b->tv_sec || (a->tv_sec == b->tv_sec && a->tv_nsec >= b->tv_nsec);
        }
        char file[640];
        cr_checkpoint_name(folder, list.file[i].step, file);
        if (newer > keep) unlink(file);
    }
    free(list.file);
}

void cr_checkpoint_sweep(const char *path)
{
    const char *slash = strrchr(path, '/');
    uint64_t step;
    if (!parse_name(slash ? slash + 1 : path, &step)) return;

    char folder[704];
    cr_file_folder(path, folder);
    DIR *dir = opendir(folder);
    if (!dir) return;
    for (const struct dirent *entry; (entry = readdir(dir));) {
        char name[sizeof entry->d_name];
        snprintf(name, sizeof name, "%s", entry->d_name);
        char *temporary = strstr(name, CR_FILE_TEMPORARY);
        if (!temporary) continue;
        *temporary = 0;
        if (parse_name(name, &step)) unlinkat(dirfd(dir), entry->d_name, 0);
    }
    closedir(dir);
}

/* Write a little, so that a read-only folder or a full disk shows now and not after an hour of training. */
static int probe(const char *folder, struct cr_error *e)
{
    static const char bytes[4096];
    char path[640];
    struct cr_file f;
    snprintf(path, sizeof path, "%s/probe", folder);
    CR_TRY(cr_file_create(&f, path, e));
    const int rc = cr_file_write(&f, bytes, sizeof bytes, e);
    cr_file_discard(&f);
    return rc;
}

/* The clock of the wall names the folder; mkdir decides who gets the name. */
static int make_dated(char folder[512], struct cr_error *e)
{
    char stamp[32];
    struct tm tm;
    const time_t now = time(NULL);
    if (!localtime_r(&now, &tm) || !strftime(stamp, sizeof stamp, "%Y%m%d_%H%M%S", &tm))
        snprintf(stamp, sizeof stamp, "%lld", (long long)now);
    CR_TRY(cr_file_mkdirs("model", e));
    snprintf(folder, 512, "model/%s", stamp);
    for (int i = 2; mkdir(folder, 0777) < 0; i++) {
        if (errno != EEXIST) return cr_file_fail(e, CR_E_IO, folder, "make this folder", errno);
        snprintf(folder, 512, "model/%s_%d", stamp, i);
    }
    return 0;
}

static int same_folder(const char *a, const char *b)
{
    struct stat x, y;
    return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

static int make_wanted(const char *wanted, const char *own, char folder[512], int *made, struct cr_error *e)
{
    size_t length = strlen(wanted);
    while (length > 1 && wanted[length - 1] == '/') length--;
    if (length >= 512) return cr_file_fail(e, CR_E_IO, wanted, "make this folder", ENAMETOOLONG);
    memcpy(folder, wanted, length);
    folder[length] = 0;

    struct stat st;
    *made = stat(folder, &st) < 0;
    CR_TRY(cr_file_mkdirs(folder, e));
    struct listing list;
    CR_TRY(list_folder(folder, &list, e));
    free(list.file);
    if (list.count && !(*own && same_folder(folder, own)))
        return cr_fail(e, CR_E_USAGE,
                       "%s holds the checkpoints of another run; go on with it by --resume %s, or choose another "
                       "folder by --checkpoint",
                       folder, folder);
    return 0;
}

int cr_checkpoint_lock(const char *folder, struct cr_error *e)
{
    const int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return cr_file_fail(e, CR_E_IO, folder, "open this folder", errno);
    if (flock(fd, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK) return fd; /* not every file system has locks */
    close(fd);
    return cr_fail(e, CR_E_USAGE, "%s: another run is writing its checkpoints there; choose another folder by "
                   "--checkpoint", folder);
}

int cr_checkpoint_folder(const char *wanted, const char *own, char folder[512], struct cr_error *e)
{
    int made = 1;
    CR_TRY(*wanted ? make_wanted(wanted, own, folder, &made, e) : make_dated(folder, e));
    const int rc = probe(folder, e);
    if (rc < 0 && made) rmdir(folder);
    return rc;
}
