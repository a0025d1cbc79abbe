/* The state of a run to a file, or to memory. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/checkpoint_form.h"
#include "core/number.h"
#include "core/safetensors.h"

enum { NOTES = 128, LIST = 32 * CR_MAX_CHANNELS };

/* Metadata on the way to the file; a copy of each text is kept here. */
struct notes {
    struct cr_safetensors_meta meta[NOTES];
    char *owned[2 * NOTES];
    size_t count;
    int failed;
};

static const char *keep(struct notes *n, size_t place, const char *text)
{
    char *copy = malloc(strlen(text) + 1);
    if (!copy) n->failed = 1;
    n->owned[place] = copy;
    return copy ? strcpy(copy, text) : "";
}

static void note(struct notes *n, const char *key, const char *value)
{
    if (n->count == NOTES) {
        n->failed = 1;
        return;
    }
    const size_t i = n->count++;
    n->meta[i].key = keep(n, 2 * i, key);
    n->meta[i].value = keep(n, 2 * i + 1, value);
}

static void free_notes(struct notes *n)
{
    for (size_t i = 0; i < 2 * n->count; i++) free(n->owned[i]);
}

static void note_counters(struct notes *n, const struct cr_state *s)
{
    for (size_t i = 0; i < CR_COUNTERS; i++) {
        const char *place = (const char *)s + cr_counters[i].at;
        char text[32];
        uint64_t u;
        int64_t d;
        double x;
        switch (cr_counters[i].type) {
        case CR_COUNTER_U64:
            memcpy(&u, place, sizeof u);
            snprintf(text, sizeof text, "%" PRIu64, u);
            break;
        case CR_COUNTER_I64:
            memcpy(&d, place, sizeof d);
            snprintf(text, sizeof text, "%" PRId64, d);
            break;
        case CR_COUNTER_DOUBLE:
            memcpy(&x, place, sizeof x);
            cr_format_double(x, text);
            break;
        }
        note(n, cr_counters[i].key, text);
    }
}

static void note_options(struct notes *n, const struct cr_train_options *o)
{
    for (const char *const *name = cr_train_option_names(); *name; name++) {
        char key[64], value[512];
        if (!cr_option_is_kept(*name) || cr_train_option_get(o, *name, value) < 0) continue;
        cr_option_key(*name, key);
        note(n, key, value);
    }
}

/* Numbers with a blank between them. */
static void note_doubles(struct notes *n, const char *key, const double *x, int count)
{
    char list[LIST] = "", number[32];
    for (int i = 0, at = 0; i < count; i++) {
        cr_format_double(x[i], number);
        at += snprintf(list + at, sizeof list - (size_t)at, i ? " %s" : "%s", number);
    }
    note(n, key, list);
}

static void note_normalization(struct notes *n, const struct cr_normalization *z)
{
    double scale[CR_MAX_CHANNELS], shift[CR_MAX_CHANNELS];
    for (int i = 0; i < z->channels; i++) {
        scale[i] = (double)z->scale[i];
        shift[i] = (double)z->shift[i];
    }
    note(n, "normalization", cr_normalize_name[z->kind]);
    note_doubles(n, "normalization.mean", z->mean, z->channels);
    note_doubles(n, "normalization.std", z->std, z->channels);
    note_doubles(n, "normalization.scale", scale, z->channels);
    note_doubles(n, "normalization.shift", shift, z->channels);
}

static void note_scales(struct notes *n, const struct cr_net *net, const int32_t *scale)
{
    enum { WIDTH = 12 }; /* " -2147483648" */
    const size_t size = (size_t)net->tensors * WIDTH + 1;
    char *list = calloc(size, 1);
    if (!list) {
        n->failed = 1;
        return;
    }
    size_t at = 0;
    for (int i = 0; i < net->tensors; i++)
        at += (size_t)snprintf(list + at, size - at, i ? " %" PRId32 : "%" PRId32, scale[i]);
    note(n, "scales", list);
    free(list);
}

/* One name per line, no newline after the last. */
static void note_class_names(struct notes *n, const struct cr_state *s)
{
    size_t size = 0;
    for (int i = 0; i < s->classes; i++) size += strlen(s->class_names + size) + 1;
    char *lines = malloc(size + 1);
    if (!lines) {
        n->failed = 1;
        return;
    }
    for (size_t i = 0; i < size; i++) lines[i] = s->class_names[i] ? s->class_names[i] : '\n';
    lines[size ? size - 1 : 0] = 0;
    note(n, "class_names", lines);
    free(lines);
}

static void note_all(struct notes *n, const struct cr_net *net, const struct cr_state *s)
{
    char number[16], hex[65];
    snprintf(number, sizeof number, "%d", CR_NUMERICS);
    cr_net_hash(net, s->params, hex);
    note(n, "format", CR_CHECKPOINT_FORMAT);
    note(n, "numerics", number);
    note(n, "net_name", net->name);
    note(n, "net", net->text);
    note_class_names(n, s);
    note_normalization(n, &s->normalization);
    note_options(n, &s->options);
    note_counters(n, s);
    note_scales(n, net, s->scale);
    note(n, "weights_sha256", hex);
}

/* Describe the network's tensors over one array of parameters. */
static void list_tensors(const struct cr_net *net, int momentum, const float *data, char (*name)[128],
                         struct cr_safetensors_tensor *out)
{
    for (int i = 0; i < net->tensors; i++) {
        const struct cr_tensor *t = &net->tensor[i];
        cr_tensor_key(t, momentum, name[i]);
        out[i] = (struct cr_safetensors_tensor){ .name = name[i], .ndim = t->ndim, .data = data + t->at };
        for (int d = 0; d < t->ndim; d++) out[i].dims[d] = (uint64_t)t->dims[d];
    }
}

/* Hand tensors and metadata to one of the writers of core/safetensors.h. */
typedef int writer_fn(void *to, const struct notes *n, const struct cr_safetensors_tensor *tensor, size_t tensors,
                      struct cr_error *e);

static int write_with(writer_fn *writer, void *to, const struct cr_net *net, const struct cr_state *s,
                      struct cr_error *e)
{
    const size_t half = (size_t)net->tensors, tensors = s->momentum ? 2 * half : half;
    struct cr_safetensors_tensor *tensor = malloc(tensors * sizeof *tensor);
    char(*name)[128] = malloc(tensors * sizeof *name);
    struct notes n = { .count = 0 };
    note_all(&n, net, s);

    int rc;
    if (tensor && name && !n.failed) {
        list_tensors(net, 0, s->params, name, tensor);
        if (s->momentum) list_tensors(net, 1, s->momentum, name + half, tensor + half);
        rc = writer(to, &n, tensor, tensors, e);
    } else {
        rc = cr_fail(e, CR_E_NOMEM, "no memory to write a checkpoint");
    }
    free_notes(&n);
    free(name);
    free(tensor);
    return rc;
}

static int to_path(void *to, const struct notes *n, const struct cr_safetensors_tensor *tensor, size_t tensors,
                   struct cr_error *e)
{
    const char *path = to;
    cr_checkpoint_sweep(path);
    return cr_safetensors_write(path, n->meta, n->count, tensor, tensors, e);
}

int cr_checkpoint_save(const char *path, const struct cr_net *net, const struct cr_state *s, struct cr_error *e)
{
    char place[704];
    snprintf(place, sizeof place, "%s", path);
    return write_with(to_path, place, net, s, e);
}

struct memory {
    void **bytes;
    size_t *size;
};

static int to_memory(void *to, const struct notes *n, const struct cr_safetensors_tensor *tensor, size_t tensors,
                     struct cr_error *e)
{
    const struct memory *m = to;
    return cr_safetensors_pack(m->bytes, m->size, n->meta, n->count, tensor, tensors, e);
}

int cr_checkpoint_pack(const struct cr_net *net, const struct cr_state *s, void **bytes, size_t *size,
                       struct cr_error *e)
{
    return write_with(to_memory, &(struct memory){ bytes, size }, net, s, e);
}
