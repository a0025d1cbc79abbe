/* Files in the safetensors format (https://huggingface.co/docs/safetensors): 8 bytes header length (little-endian), a
 * JSON header that names every tensor and carries metadata as strings, then the tensors' bytes without gaps.
 *
 * Files come from strangers. Before anything is used these hold: the header has at most 16 MB and ends within the
 * file, is strict JSON (core/json.h), names nothing twice; every dtype is known; no product of dimensions overflows and
 * each agrees with the tensor's offsets; the tensors fill the rest of the file exactly. */
#ifndef CR_CORE_SAFETENSORS_H
#define CR_CORE_SAFETENSORS_H

#include <stddef.h>
#include <stdint.h>

#include "simd/error.h"

enum { CR_SAFETENSORS_HEADER = 16 << 20, CR_SAFETENSORS_DIMS = 8 };

struct cr_safetensors_meta {
    const char *key, *value;
};

struct cr_safetensors_tensor {
    const char *name;
    const char *dtype;                  /* "F32", ...; a static string. Written files are F32 throughout */
    uint64_t dims[CR_SAFETENSORS_DIMS]; /* slowest first */
    int ndim;                           /* 0 for a single number */
    uint64_t begin, end;                /* bytes within the payload; set by the reader */
    const float *data;                  /* for the writer */
};

/* An open file, understood. Its strings live until cr_safetensors_close. */
struct cr_safetensors {
    int fd;
    const uint8_t *memory;                 /* the file's bytes, where it is none on disk; not owned. Else NULL */
    char path[704];
    uint64_t size, payload_at;             /* bytes of the file; where the tensors begin */
    char *header;                          /* owned */
    struct cr_safetensors_tensor *tensor;  /* in the order of their bytes; owned */
    size_t tensors;
    struct cr_safetensors_meta *meta;      /* by key; owned */
    size_t metas;
};

/* Open and check the structure; the tensors themselves are not read. On failure nothing stays open.
 * -CR_E_INPUT (missing, or not a whole safetensors file; with the byte where it shows), -CR_E_IO, -CR_E_NOMEM. */
int cr_safetensors_open(struct cr_safetensors *s, const char *path, struct cr_error *e);
/* The same for a file in memory, which stays until it is closed. */
int cr_safetensors_open_memory(struct cr_safetensors *s, const void *bytes, size_t size, struct cr_error *e);
void cr_safetensors_close(struct cr_safetensors *s);

/* Value of a metadata key, or NULL. */
const char *cr_safetensors_value(const struct cr_safetensors *s, const char *key);
/* Compare the whole file with the checksum that cr_safetensors_write left in it. -CR_E_INPUT, -CR_E_IO. */
int cr_safetensors_verify(const struct cr_safetensors *s, struct cr_error *e);
/* Read an F32 tensor of s; out has room for its (end - begin) / 4 floats. -CR_E_INPUT, -CR_E_IO. */
int cr_safetensors_read(const struct cr_safetensors *s, const struct cr_safetensors_tensor *t, float *out,
                        struct cr_error *e);

/* Write F32 tensors atomically. To the metadata it adds "sha256": over all bytes of the file but these 64 digits.
 * -CR_E_IO, -CR_E_NOMEM; then a file that stood at `path` is untouched. */
int cr_safetensors_write(const char *path, const struct cr_safetensors_meta *meta, size_t metas,
                         const struct cr_safetensors_tensor *tensor, size_t tensors, struct cr_error *e);
/* The same file as bytes, malloc'd; the caller frees. -CR_E_NOMEM. */
int cr_safetensors_pack(void **bytes, size_t *size, const struct cr_safetensors_meta *meta, size_t metas,
                        const struct cr_safetensors_tensor *tensor, size_t tensors, struct cr_error *e);

#endif
