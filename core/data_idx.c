/* IDX, the format of MNIST: two zero bytes, a type, the number of dimensions, each dimension as 32 bits big-endian,
 * then the values, slowest dimension first. Here the type is always u8. */
#define _DEFAULT_SOURCE /* MAP_ANONYMOUS, which POSIX 2008 does not have yet */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/data.h"
#include "core/data_gzip.h"
#include "core/file.h"

enum { MAGIC_BYTES = 4, DIM_BYTES = 4, MAX_DIMS = 4, HEADER_MAX = MAGIC_BYTES + MAX_DIMS * DIM_BYTES };
enum { TYPE_U8 = 0x08, DEFLATE_RATIO = 1032 /* no deflate stream unpacks to more than 1,032 times its size */ };

/* What struct cr_idx.map points to: pages to give back. */
struct mapping {
    void *base;
    size_t length;
};

static int bad(struct cr_error *e, const char *path, long long byte, const char *text)
{
    return cr_fail_at(e, CR_E_INPUT, path, 0, 0, byte, "%s", text);
}

static const char *type_name(unsigned type)
{
    switch (type) {
    case 0x09: return "signed bytes";
    case 0x0b: return "16-bit integers";
    case 0x0c: return "32-bit integers";
    case 0x0d: return "32-bit floats";
    case 0x0e: return "64-bit floats";
    default: return NULL;
    }
}

static int check_magic(struct cr_idx *x, const uint8_t *head, size_t got, const char *path, struct cr_error *e)
{
    if (got < MAGIC_BYTES) return bad(e, path, (long long)got, "the file ends before its IDX header does");
    if (head[0] || head[1])
        return cr_fail_at(e, CR_E_INPUT, path, 0, 0, 0,
                          "not an IDX file: it begins with %02x %02x %02x %02x instead of 00 00 08 and the number of "
                          "dimensions", (unsigned)head[0], (unsigned)head[1], (unsigned)head[2], (unsigned)head[3]);
    if (head[2] != TYPE_U8) {
        const char *name = type_name(head[2]);
        if (name)
            return cr_fail_at(e, CR_E_INPUT, path, 0, 0, 2, "the values are %s, only unsigned bytes are read", name);
        return cr_fail_at(e, CR_E_INPUT, path, 0, 0, 2, "not an IDX file: 0x%02x is no type of IDX", (unsigned)head[2]);
    }
    if (head[3] < 1 || head[3] > MAX_DIMS)
        return cr_fail_at(e, CR_E_INPUT, path, 0, 0, 3, "%u dimensions, but 1 to 4 are read", (unsigned)head[3]);
    x->ndim = head[3];
    return 0;
}

/* The dimensions, and in *values their product. */
static int check_dims(struct cr_idx *x, const uint8_t *dims, size_t got, size_t *values, const char *path,
                      struct cr_error *e)
{
    if (got < (size_t)x->ndim * DIM_BYTES)
        return bad(e, path, (long long)(MAGIC_BYTES + got), "the file ends before its IDX header does");
    *values = 1;
    for (int i = 0; i < x->ndim; i++) {
        const uint8_t *p = dims + i * DIM_BYTES;
        const size_t n = (size_t)p[0] << 24 | (size_t)p[1] << 16 | (size_t)p[2] << 8 | p[3];
        const long long byte = MAGIC_BYTES + i * DIM_BYTES;
        if (n == 0) return bad(e, path, byte, "a dimension of 0: the file holds nothing");
        if (*values > (SIZE_MAX >> 1) / n)
            return bad(e, path, byte, "the dimensions multiply to more than memory can hold");
        *values *= n;
        x->dims[i] = n;
    }
    return 0;
}

static int too_short(struct cr_error *e, const char *path, unsigned long long at, unsigned long long wanted)
{
    return cr_fail_at(e, CR_E_INPUT, path, 0, 0, (long long)at,
                      "the file ends here, but its header promises %llu bytes in all: it was cut off, fetch it again",
                      wanted);
}

static int too_long(struct cr_error *e, const char *path, unsigned long long at)
{
    return bad(e, path, (long long)at, "the file goes on after the last value its header promises");
}

/* A plain file: mapped as it is. */
static int open_plain(struct cr_idx *x, struct mapping *m, int fd, size_t length, const char *path,
                      struct cr_error *e)
{
    uint8_t head[HEADER_MAX];
    const ssize_t got = pread(fd, head, sizeof head, 0);
    if (got < 0) return cr_file_fail(e, CR_E_IO, path, "read this file", errno);
    CR_TRY(check_magic(x, head, (size_t)got, path, e));
    size_t values;
    CR_TRY(check_dims(x, head + MAGIC_BYTES, (size_t)got - MAGIC_BYTES, &values, path, e));
    const size_t header = MAGIC_BYTES + (size_t)x->ndim * DIM_BYTES;
    if (length < header + values) return too_short(e, path, length, header + values);
    if (length > header + values) return too_long(e, path, header + values);

    void *base = mmap(NULL, length, PROT_READ, MAP_PRIVATE, fd, 0);
    if (base == MAP_FAILED) return cr_file_fail(e, CR_E_IO, path, "map this file into memory", errno);
    *m = (struct mapping){base, length};
    x->bytes = (const uint8_t *)base + header;
    return 0;
}

static int inflate_all(struct cr_idx *x, struct mapping *m, struct cr_gunzip *g, size_t compressed, const char *path,
                       struct cr_error *e)
{
    uint8_t head[HEADER_MAX], beyond;
    size_t got, values;
    CR_TRY(cr_gunzip_read(g, head, MAGIC_BYTES, &got, e));
    CR_TRY(check_magic(x, head, got, path, e));
    CR_TRY(cr_gunzip_read(g, head, (size_t)x->ndim * DIM_BYTES, &got, e));
    CR_TRY(check_dims(x, head, got, &values, path, e));
    const size_t header = MAGIC_BYTES + (size_t)x->ndim * DIM_BYTES;
    if (values / DEFLATE_RATIO > compressed)
        return cr_fail_at(e, CR_E_INPUT, path, 0, 0, MAGIC_BYTES,
                          "its header (unpacked) promises %zu values, more than %zu bytes of gzip can hold", values,
                          compressed);

    void *base = mmap(NULL, values, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (base == MAP_FAILED)
        return cr_fail_at(e, CR_E_NOMEM, path, 0, 0, -1,
                          "no memory for its %zu bytes: unpack it with gunzip, then it is memory-mapped", values);
    *m = (struct mapping){base, values};
    CR_TRY(cr_gunzip_read(g, base, values, &got, e));
    if (got < values) return too_short(e, path, header + got, header + values);
    CR_TRY(cr_gunzip_read(g, &beyond, 1, &got, e)); /* reaching the end also checks gzip's own checksum */
    if (got > 0) return too_long(e, path, header + values);
    mprotect(base, values, PROT_READ);
    x->bytes = base;
    return 0;
}

static int open_gzip(struct cr_idx *x, struct mapping *m, int fd, size_t length, const char *path,
                     struct cr_error *e)
{
    struct cr_gunzip g;
    CR_TRY(cr_gunzip_open(&g, path, fd, CR_GUNZIP_BEST, e));
    const int rc = inflate_all(x, m, &g, length, path, e);
    cr_gunzip_close(&g);
    return rc;
}

/* Consumes fd. gzip is known by its first bytes, not by its name: browsers unpack without renaming. */
static int open_either(struct cr_idx *x, struct mapping *m, int fd, const char *path, struct cr_error *e)
{
    struct stat st;
    uint8_t first[2];
    int rc;
    if (fstat(fd, &st))
        rc = cr_file_fail(e, CR_E_IO, path, "read this file", errno);
    else if (!S_ISREG(st.st_mode))
        rc = bad(e, path, -1, "not a regular file");
    else if ((unsigned long long)st.st_size > SIZE_MAX >> 1)
        rc = bad(e, path, -1, "too large for this machine's address space");
    else if (pread(fd, first, sizeof first, 0) == sizeof first && first[0] == 0x1f && first[1] == 0x8b)
        return open_gzip(x, m, fd, (size_t)st.st_size, path, e);
    else
        rc = open_plain(x, m, fd, (size_t)st.st_size, path, e);
    close(fd);
    return rc;
}

int cr_idx_open(struct cr_idx *x, const char *path, struct cr_error *e)
{
    *x = (struct cr_idx){.ndim = 0};
    struct mapping *m = calloc(1, sizeof *m);
    if (!m) return cr_fail_at(e, CR_E_NOMEM, path, 0, 0, -1, "no memory to open it");
    x->map = m;
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    int rc;
    if (fd >= 0)
        rc = open_either(x, m, fd, path, e);
    else if (errno == ENOENT || errno == ENOTDIR)
        rc = bad(e, path, -1, "no such file");
    else
        rc = cr_file_fail(e, CR_E_IO, path, "open this file", errno);
    if (rc < 0) cr_idx_close(x);
    return rc;
}

void cr_idx_close(struct cr_idx *x)
{
    struct mapping *m = x->map;
    if (m && m->base) munmap(m->base, m->length);
    free(m);
    *x = (struct cr_idx){.ndim = 0};
}

int cr_idx_put(struct cr_file *f, const size_t *dims, int ndim, const uint8_t *bytes, struct cr_error *e)
{
    uint8_t head[HEADER_MAX] = {0, 0, TYPE_U8, (uint8_t)ndim};
    size_t values = 1;
    for (int i = 0; i < ndim; i++) {
        values *= dims[i];
        for (int k = 0; k < DIM_BYTES; k++)
            head[MAGIC_BYTES + i * DIM_BYTES + k] = (uint8_t)(dims[i] >> (24 - 8 * k));
    }
    CR_TRY(cr_file_write(f, head, MAGIC_BYTES + (size_t)ndim * DIM_BYTES, e));
    return cr_file_write(f, bytes, values, e);
}

int cr_idx_write(const char *path, const size_t *dims, int ndim, const uint8_t *bytes, struct cr_error *e)
{
    struct cr_file f;
    CR_TRY(cr_file_create(&f, path, e));
    const int rc = cr_idx_put(&f, dims, ndim, bytes, e);
    if (!rc) return cr_file_commit(&f, e);
    cr_file_discard(&f);
    return rc;
}
