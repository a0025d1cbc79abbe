/* Reading and writing safetensors files. Little-endian on every machine. */
#define _POSIX_C_SOURCE 200809L

#include "core/safetensors.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/file.h"
#include "core/json.h"
#include "simd/sha256.h"

enum { DIGITS = 64, CHUNK = 1 << 16 };

static const char metadata_key[] = "__metadata__", checksum_key[] = "sha256";

static const struct dtype {
    char name[8];
    unsigned bytes;
} dtypes[] = {
    { "F32", 4 }, { "F64", 8 },  { "F16", 2 }, { "BF16", 2 }, { "F8_E4M3", 1 }, { "F8_E5M2", 1 }, { "I64", 8 },
    { "U64", 8 }, { "I32", 4 },  { "U32", 4 }, { "I16", 2 },  { "U16", 2 },     { "I8", 1 },      { "U8", 1 },
    { "BOOL", 1 },
};

/* ---- reading the header */

static const struct dtype *dtype_of(const char *name)
{
    for (size_t i = 0; i < sizeof dtypes / sizeof *dtypes; i++)
        if (strcmp(dtypes[i].name, name) == 0) return &dtypes[i];
    return NULL;
}

/* Room for one more element in an array of `count` that doubles whenever it is full. */
static void *grow(void *array, size_t count, size_t element)
{
    if (count & (count - 1)) return array; /* sizes are powers of two: room is left */
    return realloc(array, (count ? 2 * count : 1) * element);
}

static int read_metadata(struct cr_safetensors *s, struct cr_json *j)
{
    cr_json_enter_object(j);
    while (cr_json_next(j)) {
        const struct cr_safetensors_meta m = { .key = cr_json_key(j), .value = cr_json_string(j) };
        struct cr_safetensors_meta *more = grow(s->meta, s->metas, sizeof *more);
        if (!more) return cr_json_fail(j, cr_err_text(CR_E_NOMEM));
        s->meta = more;
        s->meta[s->metas++] = m;
    }
    return 0;
}

static void read_dims(struct cr_safetensors_tensor *t, struct cr_json *j)
{
    cr_json_enter_array(j);
    while (cr_json_next(j)) {
        if (t->ndim == CR_SAFETENSORS_DIMS)
            cr_json_fail(j, "a tensor has more than 8 dimensions");
        else
            cr_json_u64(j, &t->dims[t->ndim++]);
    }
}

static void read_offsets(struct cr_safetensors_tensor *t, struct cr_json *j)
{
    static const char two[] = "a tensor has two offsets";
    cr_json_enter_array(j);
    if (!cr_json_next(j)) cr_json_fail(j, two);
    cr_json_u64(j, &t->begin);
    if (!cr_json_next(j)) cr_json_fail(j, two);
    cr_json_u64(j, &t->end);
    if (cr_json_next(j)) cr_json_fail(j, two);
}

static int check_bytes(const struct cr_safetensors_tensor *t, struct cr_json *j)
{
    uint64_t bytes = dtype_of(t->dtype)->bytes;
    for (int i = 0; i < t->ndim; i++) {
        if (t->dims[i] && bytes > UINT64_MAX / t->dims[i]) return cr_json_fail(j, "a tensor's size overflows");
        bytes *= t->dims[i];
    }
    if (t->begin > t->end || t->end - t->begin != bytes)
        return cr_json_fail(j, "a tensor's offsets do not agree with its shape");
    return 0;
}

static int read_tensor(struct cr_safetensors_tensor *t, struct cr_json *j)
{
    enum { DTYPE = 1, SHAPE = 2, OFFSETS = 4 };
    unsigned seen = 0;
    cr_json_enter_object(j);
    while (cr_json_next(j)) {
        const char *key = cr_json_key(j);
        unsigned field = 0;
        if (strcmp(key, "dtype") == 0) {
            const struct dtype *known = dtype_of(cr_json_string(j));
            if (!known) return cr_json_fail(j, "unknown dtype");
            t->dtype = known->name;
            field = DTYPE;
        } else if (strcmp(key, "shape") == 0) {
            read_dims(t, j);
            field = SHAPE;
        } else if (strcmp(key, "data_offsets") == 0) {
            read_offsets(t, j);
            field = OFFSETS;
        }
        if (!field || (seen & field)) return cr_json_fail(j, "a tensor has dtype, shape and data_offsets, once each");
        seen |= field;
    }
    if (seen != (DTYPE | SHAPE | OFFSETS))
        return cr_json_fail(j, "a tensor has dtype, shape and data_offsets, once each");
    return check_bytes(t, j);
}

static int read_header(struct cr_safetensors *s, struct cr_json *j)
{
    int metadata = 0;
    cr_json_enter_object(j);
    while (cr_json_next(j)) {
        const char *key = cr_json_key(j);
        if (strcmp(key, metadata_key) == 0) {
            if (metadata++) return cr_json_fail(j, "the metadata stands there twice");
            read_metadata(s, j);
            continue;
        }
        struct cr_safetensors_tensor t = { .name = key }, *more = grow(s->tensor, s->tensors, sizeof *more);
        if (!more) return cr_json_fail(j, cr_err_text(CR_E_NOMEM));
        s->tensor = more;
        read_tensor(&t, j);
        s->tensor[s->tensors++] = t;
    }
    return cr_json_close(j);
}

static int by_key(const void *a, const void *b)
{
    const struct cr_safetensors_meta *x = a, *y = b;
    return strcmp(x->key, y->key);
}

static int by_name(const void *a, const void *b)
{
    const struct cr_safetensors_tensor *x = a, *y = b;
    return strcmp(x->name, y->name);
}

static int by_place(const void *a, const void *b)
{
    const struct cr_safetensors_tensor *x = a, *y = b;
    if (x->begin != y->begin) return x->begin < y->begin ? -1 : 1;
    return x->end == y->end ? 0 : x->end < y->end ? -1 : 1;
}

/* What only shows when all tensors are known. Messages give places, not names: those may hold anything. */
static int check_whole(struct cr_safetensors *s, struct cr_error *e)
{
    if (s->metas) qsort(s->meta, s->metas, sizeof *s->meta, by_key);
    for (size_t i = 1; i < s->metas; i++)
        if (by_key(&s->meta[i - 1], &s->meta[i]) == 0)
            return cr_fail_at(e, CR_E_INPUT, s->path, 0, 0, 8 + (s->meta[i].key - s->header),
                              "this metadata stands there twice");
    if (s->tensors) qsort(s->tensor, s->tensors, sizeof *s->tensor, by_name);
    for (size_t i = 1; i < s->tensors; i++)
        if (by_name(&s->tensor[i - 1], &s->tensor[i]) == 0)
            return cr_fail_at(e, CR_E_INPUT, s->path, 0, 0, 8 + (s->tensor[i].name - s->header),
                              "this tensor stands there twice");

    if (s->tensors) qsort(s->tensor, s->tensors, sizeof *s->tensor, by_place);
    uint64_t at = 0;
    for (size_t i = 0; i < s->tensors; at = s->tensor[i++].end)
        if (s->tensor[i].begin != at)
            return cr_fail_at(e, CR_E_INPUT, s->path, 0, 0, 8 + (s->tensor[i].name - s->header),
                              "this tensor does not begin where the one before it ends");
    if (at != s->size - s->payload_at)
        return cr_fail_at(e, CR_E_INPUT, s->path, 0, 0, (long long)s->size,
                          "the file ends here, but its tensors have %llu bytes and %llu are there: it is cut short or "
                          "damaged; use another one",
                          (unsigned long long)at, (unsigned long long)(s->size - s->payload_at));
    return 0;
}

/* ---- the file */

/* Exactly these bytes of the file. */
static int read_at(const struct cr_safetensors *s, uint64_t at, void *to, size_t bytes, struct cr_error *e)
{
    if (s->memory) { /* all that is asked for was compared with the size before */
        memcpy(to, s->memory + at, bytes);
        return 0;
    }
    for (char *p = to; bytes;) {
        const ssize_t n = pread(s->fd, p, bytes, (off_t)at);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return cr_file_fail(e, CR_E_IO, s->path, "read this file", errno);
        if (n == 0) return cr_fail_at(e, CR_E_INPUT, s->path, 0, 0, (long long)at, "the file became shorter");
        p += n;
        at += (uint64_t)n;
        bytes -= (size_t)n;
    }
    return 0;
}

static int open_file(struct cr_safetensors *s, const char *path, struct cr_error *e)
{
    struct stat st;
    snprintf(s->path, sizeof s->path, "%s", path);
    s->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a pipe of that name must not keep us waiting */
    if (s->fd < 0) {
        const int missing = errno == ENOENT || errno == ENOTDIR;
        return cr_file_fail(e, missing ? CR_E_INPUT : CR_E_IO, path, "open this file", errno);
    }
    if (fstat(s->fd, &st) < 0) return cr_file_fail(e, CR_E_IO, path, "read this file", errno);
    if (!S_ISREG(st.st_mode)) return cr_fail_at(e, CR_E_INPUT, path, 0, 0, -1, "this is not a file");
    s->size = (uint64_t)st.st_size;
    return 0;
}

/* The file is open: understand it. */
static int open_content(struct cr_safetensors *s, struct cr_error *e)
{
    const char *const path = s->path;
    uint8_t prefix[8];
    if (s->size < sizeof prefix)
        return cr_fail_at(e, CR_E_INPUT, path, 0, 0, 0, "this is not a safetensors file: it has only %d bytes",
                          (int)s->size);
    CR_TRY(read_at(s, 0, prefix, sizeof prefix, e));
    uint64_t length = 0;
    for (int i = 7; i >= 0; i--) length = length << 8 | prefix[i];
    if (length > CR_SAFETENSORS_HEADER || length > s->size - sizeof prefix)
        return cr_fail_at(e, CR_E_INPUT, path, 0, 0, 0,
                          "this is not a safetensors file, or it is damaged: its header should have %llu bytes",
                          (unsigned long long)length);
    s->payload_at = sizeof prefix + length;
    s->header = malloc((size_t)length + 1);
    if (!s->header) return cr_fail(e, CR_E_NOMEM, "%s: no memory for its header", path);
    CR_TRY(read_at(s, sizeof prefix, s->header, (size_t)length, e));

    struct cr_json j;
    cr_json_open(&j, s->header, (size_t)length);
    if (read_header(s, &j) < 0) {
        const int memory = j.problem == cr_err_text(CR_E_NOMEM);
        return cr_fail_at(e, memory ? CR_E_NOMEM : CR_E_INPUT, path, 0, 0, 8 + (long long)j.at,
                          "the header of a safetensors file is wrong here: %s", j.problem);
    }
    return check_whole(s, e);
}

int cr_safetensors_open(struct cr_safetensors *s, const char *path, struct cr_error *e)
{
    *s = (struct cr_safetensors){ .fd = -1 };
    int rc = open_file(s, path, e);
    if (rc == 0) rc = open_content(s, e);
    if (rc < 0) cr_safetensors_close(s);
    return rc;
}

int cr_safetensors_open_memory(struct cr_safetensors *s, const void *bytes, size_t size, struct cr_error *e)
{
    *s = (struct cr_safetensors){ .fd = -1, .memory = bytes, .size = size, .path = "(in memory)" };
    const int rc = open_content(s, e);
    if (rc < 0) cr_safetensors_close(s);
    return rc;
}

void cr_safetensors_close(struct cr_safetensors *s)
{
    if (s->fd >= 0) close(s->fd);
    free(s->header);
    free(s->tensor);
    free(s->meta);
    *s = (struct cr_safetensors){ .fd = -1 };
}

const char *cr_safetensors_value(const struct cr_safetensors *s, const char *key)
{
    const struct cr_safetensors_meta wanted = { .key = key };
    const struct cr_safetensors_meta *m =
        s->metas ? bsearch(&wanted, s->meta, s->metas, sizeof *s->meta, by_key) : NULL;
    return m ? m->value : NULL;
}

static int hash_range(const struct cr_safetensors *s, struct cr_sha256 *h, uint64_t from, uint64_t to,
                      struct cr_error *e)
{
    uint8_t bytes[CHUNK];
    while (from < to) {
        const size_t n = to - from < sizeof bytes ? (size_t)(to - from) : sizeof bytes;
        CR_TRY(read_at(s, from, bytes, n, e));
        cr_sha256_add(h, bytes, n);
        from += n;
    }
    return 0;
}

int cr_safetensors_verify(const struct cr_safetensors *s, struct cr_error *e)
{
    const char *digits = cr_safetensors_value(s, checksum_key);
    if (!digits || strlen(digits) != DIGITS)
        return cr_fail_at(e, CR_E_INPUT, s->path, 0, 0, -1, "the file carries no checksum");
    const uint64_t at = 8 + (uint64_t)(digits - s->header);
    struct cr_sha256 h;
    uint8_t digest[32];
    char hex[65];
    cr_sha256_init(&h);
    CR_TRY(hash_range(s, &h, 0, at, e));
    CR_TRY(hash_range(s, &h, at + DIGITS, s->size, e));
    cr_sha256_end(&h, digest);
    cr_sha256_hex(digest, hex);
    if (strcmp(hex, digits) != 0)
        return cr_fail_at(e, CR_E_INPUT, s->path, 0, 0, -1,
                          "the file is damaged: its contents do not agree with the checksum at byte %llu; use another "
                          "checkpoint of the run",
                          (unsigned long long)at);
    return 0;
}

int cr_safetensors_read(const struct cr_safetensors *s, const struct cr_safetensors_tensor *t, float *out,
                        struct cr_error *e)
{
    uint8_t bytes[CHUNK];
    for (uint64_t at = t->begin; at < t->end;) {
        const size_t n = t->end - at < sizeof bytes ? (size_t)(t->end - at) : sizeof bytes;
        CR_TRY(read_at(s, s->payload_at + at, bytes, n, e));
        for (size_t i = 0; i < n; i += 4) {
            const uint32_t bits = bytes[i] | (uint32_t)bytes[i + 1] << 8 | (uint32_t)bytes[i + 2] << 16 |
                                  (uint32_t)bytes[i + 3] << 24;
            memcpy(out++, &bits, sizeof bits);
        }
        at += n;
    }
    return 0;
}

/* ---- writing */

static uint64_t floats_of(const struct cr_safetensors_tensor *t)
{
    uint64_t n = 1;
    for (int i = 0; i < t->ndim; i++) n *= t->dims[i];
    return n;
}

/* The header with zeros for the checksum's digits; *digits tells where they are. */
static int make_header(struct cr_json_writer *w, const struct cr_safetensors_meta *meta, size_t metas,
                       const struct cr_safetensors_tensor *tensor, size_t tensors, size_t *digits)
{
    char zeros[DIGITS + 1];
    memset(zeros, '0', DIGITS);
    zeros[DIGITS] = 0;

    cr_json_put_open(w, NULL, '{');
    cr_json_put_open(w, metadata_key, '{');
    for (size_t i = 0; i < metas; i++) cr_json_put_string(w, meta[i].key, meta[i].value);
    cr_json_put_string(w, checksum_key, zeros);
    *digits = w->length - 1 - DIGITS;
    cr_json_put_close(w, '}');
    uint64_t at = 0;
    for (size_t i = 0; i < tensors; i++) {
        cr_json_put_open(w, tensor[i].name, '{');
        cr_json_put_string(w, "dtype", "F32");
        cr_json_put_open(w, "shape", '[');
        for (int d = 0; d < tensor[i].ndim; d++) cr_json_put_u64(w, NULL, tensor[i].dims[d]);
        cr_json_put_close(w, ']');
        cr_json_put_open(w, "data_offsets", '[');
        cr_json_put_u64(w, NULL, at);
        at += 4 * floats_of(&tensor[i]);
        cr_json_put_u64(w, NULL, at);
        cr_json_put_close(w, ']');
        cr_json_put_close(w, '}');
    }
    cr_json_put_close(w, '}');
    cr_json_put_blanks(w, 8); /* so that the tensors are aligned when the file is mapped */
    return w->failed ? -1 : 0;
}

typedef int sink_fn(void *to, const void *bytes, size_t n, struct cr_error *e);

static int to_hash(void *to, const void *bytes, size_t n, struct cr_error *e)
{
    (void)e;
    cr_sha256_add(to, bytes, n);
    return 0;
}

static int to_file(void *to, const void *bytes, size_t n, struct cr_error *e)
{
    return cr_file_write(to, bytes, n, e);
}

/* The tensors as little-endian bytes, whatever the machine's order. */
static int send_tensors(const struct cr_safetensors_tensor *tensor, size_t tensors, sink_fn *sink, void *to,
                        struct cr_error *e)
{
    uint8_t bytes[CHUNK];
    for (size_t i = 0; i < tensors; i++) {
        const float *x = tensor[i].data;
        for (uint64_t left = floats_of(&tensor[i]); left;) {
            const size_t n = left < CHUNK / 4 ? (size_t)left : CHUNK / 4;
            for (size_t k = 0; k < n; k++) {
                uint32_t bits;
                memcpy(&bits, x + k, sizeof bits);
                for (size_t b = 0; b < 4; b++) bytes[4 * k + b] = (uint8_t)(bits >> 8 * b);
            }
            CR_TRY(sink(to, bytes, 4 * n, e));
            x += n;
            left -= n;
        }
    }
    return 0;
}

/* A file in the making: all but its tensors. */
struct draft {
    uint8_t prefix[8];
    struct cr_json_writer header;
};

static void free_draft(struct draft *d)
{
    cr_json_writer_free(&d->header);
}

/* The header with the checksum in its place. 0, or -1 when out of memory. */
static int make_draft(struct draft *d, const struct cr_safetensors_meta *meta, size_t metas,
                      const struct cr_safetensors_tensor *tensor, size_t tensors)
{
    size_t digits;
    struct cr_json_writer *const w = &d->header;
    *d = (struct draft){ .prefix = { 0 } };
    if (make_header(w, meta, metas, tensor, tensors, &digits) < 0) return -1;
    for (int i = 0; i < 8; i++) d->prefix[i] = (uint8_t)((uint64_t)w->length >> 8 * i);

    struct cr_sha256 h;
    uint8_t digest[32];
    char hex[DIGITS + 1];
    cr_sha256_init(&h);
    cr_sha256_add(&h, d->prefix, sizeof d->prefix);
    cr_sha256_add(&h, w->text, digits);
    cr_sha256_add(&h, w->text + digits + DIGITS, w->length - digits - DIGITS);
    send_tensors(tensor, tensors, to_hash, &h, NULL);
    cr_sha256_end(&h, digest);
    cr_sha256_hex(digest, hex);
    memcpy(w->text + digits, hex, DIGITS);
    return 0;
}

static int send_draft(const struct draft *d, const struct cr_safetensors_tensor *tensor, size_t tensors, sink_fn *sink,
                      void *to, struct cr_error *e)
{
    CR_TRY(sink(to, d->prefix, sizeof d->prefix, e));
    CR_TRY(sink(to, d->header.text, d->header.length, e));
    return send_tensors(tensor, tensors, sink, to, e);
}

int cr_safetensors_write(const char *path, const struct cr_safetensors_meta *meta, size_t metas,
                         const struct cr_safetensors_tensor *tensor, size_t tensors, struct cr_error *e)
{
    struct draft d;
    if (make_draft(&d, meta, metas, tensor, tensors) < 0) {
        free_draft(&d);
        return cr_fail(e, CR_E_NOMEM, "%s: no memory for its header", path);
    }
    struct cr_file f;
    int rc = cr_file_create(&f, path, e);
    if (rc == 0) rc = send_draft(&d, tensor, tensors, to_file, &f, e);
    if (rc == 0)
        rc = cr_file_commit(&f, e);
    else
        cr_file_discard(&f);
    free_draft(&d);
    return rc;
}

static int to_memory(void *to, const void *bytes, size_t n, struct cr_error *e)
{
    uint8_t **at = to;
    (void)e;
    memcpy(*at, bytes, n);
    *at += n;
    return 0;
}

int cr_safetensors_pack(void **bytes, size_t *size, const struct cr_safetensors_meta *meta, size_t metas,
                        const struct cr_safetensors_tensor *tensor, size_t tensors, struct cr_error *e)
{
    struct draft d;
    int rc = make_draft(&d, meta, metas, tensor, tensors);
    *size = sizeof d.prefix + d.header.length;
    for (size_t i = 0; i < tensors; i++) *size += 4 * floats_of(&tensor[i]);
    *bytes = rc == 0 ? malloc(*size) : NULL;
    uint8_t *at = *bytes;
    if (at) send_draft(&d, tensor, tensors, to_memory, &at, NULL);
    free_draft(&d);
    return at ? 0 : cr_fail(e, CR_E_NOMEM, "no memory for a checkpoint of %zu bytes", *size);
}
