#include "apps/data_files.h"

#include <stdlib.h>
#include <string.h>

enum { IDX_HEAD = 4 + 4 * 4 };

/* A file is made piece by piece of the open data set. */
struct file {
    const char *name;
    uint8_t head[IDX_HEAD];
    size_t head_size, size; /* size: of the whole */
    const uint8_t *content; /* what follows the head */
};

struct cr_data_files {
    struct file file[CR_DATA_FILES];
    uint8_t *names; /* of the classes, a line each; owned */
    uint8_t *piece; /* made last; owned */
    size_t room;
};

static struct file idx_file(const char *name, const size_t *dims, int ndim, const uint8_t *content)
{
    struct file f = { .name = name, .head = { 0, 0, 8, (uint8_t)ndim }, .head_size = 4 + 4 * (size_t)ndim,
                      .content = content };
    f.size = 1;
    for (int d = 0; d < ndim; d++) {
        for (int b = 0; b < 4; b++) f.head[4 + 4 * d + b] = (uint8_t)(dims[d] >> (24 - 8 * b));
        f.size *= dims[d];
    }
    f.size += f.head_size;
    return f;
}

static struct file images_of(const char *name, const struct cr_data *d, const struct cr_split *s)
{
    const size_t grey[3] = { s->count, (size_t)d->height, (size_t)d->width };
    const size_t colour[4] = { s->count, (size_t)d->channels, (size_t)d->height, (size_t)d->width };
    return d->channels == 1 ? idx_file(name, grey, 3, s->images) : idx_file(name, colour, 4, s->images);
}

static struct file labels_of(const char *name, const struct cr_split *s)
{
    return idx_file(name, &s->count, 1, s->labels);
}

/* One name a line. */
static uint8_t *names_of(const struct cr_data *d, size_t *size)
{
    size_t n = 0;
    for (int k = 0; k < d->classes; k++) n += strlen(cr_data_class_name(d, k)) + 1;
    uint8_t *const names = malloc(n);
    for (size_t i = 0; names && i < n; i++) names[i] = (uint8_t)(d->class_names[i] ? d->class_names[i] : '\n');
    *size = n;
    return names;
}

struct cr_data_files *cr_data_files_new(const struct cr_data *d)
{
    struct cr_data_files *f = calloc(1, sizeof *f);
    size_t size;
    if (!f || !(f->names = names_of(d, &size))) {
        free(f);
        return NULL;
    }
    f->file[0] = images_of("train-images-idx3-ubyte", d, &d->train);
    f->file[1] = labels_of("train-labels-idx1-ubyte", &d->train);
    f->file[2] = images_of("t10k-images-idx3-ubyte", d, &d->test);
    f->file[3] = labels_of("t10k-labels-idx1-ubyte", &d->test);
    f->file[4] = (struct file){ .name = "classes.txt", .size = size, .content = f->names };
    return f;
}

void cr_data_files_free(struct cr_data_files *f)
{
    if (!f) return;
    free(f->names);
    free(f->piece);
    free(f);
}

static int make_room(struct cr_data_files *f, size_t room)
{
    if (room <= f->room) return 1;
    free(f->piece);
    f->piece = malloc(room);
    f->room = f->piece ? room : 0;
    return f->piece != NULL;
}

const void *cr_data_files_get(void *files, int i, size_t at, size_t most, const char **name, size_t *size)
{
    struct cr_data_files *const f = files;
    const struct file *const x = &f->file[i];
    *name = x->name;
    *size = x->size;
    const size_t end = x->size - at < most ? x->size : at + most;
    if (at >= x->head_size) return x->content + (at - x->head_size);
    if (!make_room(f, end - at)) return NULL;
    for (size_t k = at; k < end; k++)
        f->piece[k - at] = k < x->head_size ? x->head[k] : x->content[k - x->head_size];
    return f->piece;
}
