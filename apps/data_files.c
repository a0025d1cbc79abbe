#include "apps/data_files.h"

#include <stdlib.h>
#include <string.h>

enum { IDX_HEAD = 4 + 4 * 4 };

/* Every file is made anew from the open data set, one at a time. */
struct cr_data_files {
    const struct cr_data *data;
    uint8_t *bytes; /* of the file made last; owned */
};

struct cr_data_files *cr_data_files_new(const struct cr_data *d)
{
    struct cr_data_files *f = calloc(1, sizeof *f);
    if (f) f->data = d;
    return f;
}

void cr_data_files_free(struct cr_data_files *f)
{
    if (!f) return;
    free(f->bytes);
    free(f);
}

static size_t put_head(uint8_t *to, const size_t *dims, int ndim)
{
    const uint8_t magic[4] = { 0, 0, 8, (uint8_t)ndim };
    memcpy(to, magic, sizeof magic);
    for (int d = 0; d < ndim; d++)
        for (int b = 0; b < 4; b++) to[4 + 4 * d + b] = (uint8_t)(dims[d] >> (24 - 8 * b));
    return 4 + 4 * (size_t)ndim;
}

static int make(struct cr_data_files *f, const size_t *dims, int ndim, const uint8_t *content, const void **bytes,
                size_t *size)
{
    size_t n = 1;
    for (int d = 0; d < ndim; d++) n *= dims[d];
    free(f->bytes);
    f->bytes = malloc(IDX_HEAD + n);
    if (!f->bytes) return 0;
    const size_t head = put_head(f->bytes, dims, ndim);
    memcpy(f->bytes + head, content, n);
    *bytes = f->bytes;
    *size = head + n;
    return 1;
}

static int make_images(struct cr_data_files *f, const struct cr_split *s, const void **bytes, size_t *size)
{
    const struct cr_data *d = f->data;
    const size_t grey[3] = { s->count, (size_t)d->height, (size_t)d->width };
    const size_t colour[4] = { s->count, (size_t)d->channels, (size_t)d->height, (size_t)d->width };
    return d->channels == 1 ? make(f, grey, 3, s->images, bytes, size) : make(f, colour, 4, s->images, bytes, size);
}

static int make_labels(struct cr_data_files *f, const struct cr_split *s, const void **bytes, size_t *size)
{
    return make(f, &s->count, 1, s->labels, bytes, size);
}

/* One name a line. */
static int make_names(struct cr_data_files *f, const void **bytes, size_t *size)
{
    const struct cr_data *d = f->data;
    size_t n = 0;
    for (int k = 0; k < d->classes; k++) n += strlen(cr_data_class_name(d, k)) + 1;
    free(f->bytes);
    f->bytes = malloc(n);
    if (!f->bytes) return 0;
    for (size_t i = 0; i < n; i++) f->bytes[i] = (uint8_t)(d->class_names[i] ? d->class_names[i] : '\n');
    *bytes = f->bytes;
    *size = n;
    return 1;
}

int cr_data_files_get(void *files, int i, const char **name, const void **bytes, size_t *size)
{
    static const char *const names[CR_DATA_FILES] = { "train-images-idx3-ubyte", "train-labels-idx1-ubyte",
                                              "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte", "classes.txt" };
    struct cr_data_files *f = files;
    if (i < 0 || i >= CR_DATA_FILES) return 0;
    *name = names[i];
    switch (i) {
    case 0: return make_images(f, &f->data->train, bytes, size);
    case 1: return make_labels(f, &f->data->train, bytes, size);
    case 2: return make_images(f, &f->data->test, bytes, size);
    case 3: return make_labels(f, &f->data->test, bytes, size);
    default: return make_names(f, bytes, size);
    }
}
