/* Saving and loading the state of a run. What is not a tensor is text in the file's metadata; the tables below say
 * under which key, for both directions. */
#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/checkpoint.h"
#include "core/number.h"
#include "core/safetensors.h"

static const char format[] = "corering";

static const char *const normalize_name[] = {
    [CR_NORMALIZE_STD] = "std",
    [CR_NORMALIZE_UNIT] = "unit",
    [CR_NORMALIZE_NONE] = "none",
    [CR_NORMALIZE_GIVEN] = "given",
};
enum { NORMALIZATIONS = sizeof normalize_name / sizeof *normalize_name };

static const struct counter {
    const char *key;
    enum { U64, I64, DOUBLE } type;
    size_t at;
} counters[] = {
    { "step", U64, offsetof(struct cr_state, step) },
    { "redone", U64, offsetof(struct cr_state, redone) },
    { "samples", U64, offsetof(struct cr_state, samples) },
    { "loss_sum", I64, offsetof(struct cr_state, loss_sum) },
    { "loss_count", U64, offsetof(struct cr_state, loss_count) },
    { "best_top1", DOUBLE, offsetof(struct cr_state, best_top1) },
    { "best_step", U64, offsetof(struct cr_state, best_step) },
    { "seconds", DOUBLE, offsetof(struct cr_state, seconds) },
    { "data_fingerprint", U64, offsetof(struct cr_state, data_fingerprint) },
    { "session.time", DOUBLE, offsetof(struct cr_state, session.time) },
    { "session.saved_time", DOUBLE, offsetof(struct cr_state, session.saved_time) },
    { "session.validated_step", U64, offsetof(struct cr_state, session.validated_step) },
    { "session.closed_step", U64, offsetof(struct cr_state, session.closed_step) },
    { "session.saved_step", U64, offsetof(struct cr_state, session.saved_step) },
    { "session.top1", DOUBLE, offsetof(struct cr_state, session.top1) },
    { "session.top5", DOUBLE, offsetof(struct cr_state, session.top5) },
    { "session.val_loss", DOUBLE, offsetof(struct cr_state, session.val_loss) },
    { "session.train_loss", DOUBLE, offsetof(struct cr_state, session.train_loss) },
    { "session.epoch", DOUBLE, offsetof(struct cr_state, session.epoch) },
    { "session.asked", U64, offsetof(struct cr_state, session.asked) },
    { "session.ending", U64, offsetof(struct cr_state, session.ending) },
};
enum { COUNTERS = sizeof counters / sizeof *counters };

/* The options of a session rather than of the run: paths, which are never taken from a file, and the permission to
 * resume with other settings. */
static int is_kept(const char *option)
{
    static const char *const of_session[] = { "checkpoint", "resume", "init", "override" };
    for (size_t i = 0; i < sizeof of_session / sizeof *of_session; i++)
        if (strcmp(option, of_session[i]) == 0) return 0;
    return 1;
}

static void option_key(const char *option, char key[64])
{
    snprintf(key, 64, "option.%s", option);
}

/* "model.conv1.weight", "optim.momentum.conv1.bias" */
static void tensor_name(const struct cr_tensor *t, int momentum, char name[128])
{
    snprintf(name, 128, "%s.%s.%s", momentum ? "optim.momentum" : "model", t->layer->name,
             t->is_bias ? "bias" : "weight");
}

/* ---- saving */

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
    for (size_t i = 0; i < COUNTERS; i++) {
        const char *place = (const char *)s + counters[i].at;
        char text[32];
        uint64_t u;
        int64_t d;
        double x;
        switch (counters[i].type) {
        case U64:
            memcpy(&u, place, sizeof u);
            snprintf(text, sizeof text, "%" PRIu64, u);
            break;
        case I64:
            memcpy(&d, place, sizeof d);
            snprintf(text, sizeof text, "%" PRId64, d);
            break;
        case DOUBLE:
            memcpy(&x, place, sizeof x);
            cr_format_double(x, text);
            break;
        }
        note(n, counters[i].key, text);
    }
}

static void note_options(struct notes *n, const struct cr_train_options *o)
{
    for (const char *const *name = cr_train_option_names(); *name; name++) {
        char key[64], value[512];
        if (!is_kept(*name) || cr_train_option_get(o, *name, value) < 0) continue;
        option_key(*name, key);
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
    note(n, "normalization", normalize_name[z->kind]);
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
    note(n, "format", format);
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
        tensor_name(t, momentum, name[i]);
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

/* ---- loading */

/* A metadata value that must be there, or NULL and *e. */
static const char *value_of(const struct cr_safetensors *f, const char *key, struct cr_error *e)
{
    const char *value = cr_safetensors_value(f, key);
    if (!value) cr_fail_at(e, CR_E_INPUT, f->path, 0, 0, -1, "this checkpoint lacks its '%s'", key);
    return value;
}

static int wrong_value(const struct cr_safetensors *f, const char *key, struct cr_error *e)
{
    return cr_fail_at(e, CR_E_INPUT, f->path, 0, 0, 8 + (cr_safetensors_value(f, key) - f->header),
                      "the '%s' of this checkpoint makes no sense", key);
}

static int load_counters(const struct cr_safetensors *f, struct cr_state *s, struct cr_error *e)
{
    for (size_t i = 0; i < COUNTERS; i++) {
        const char *text = value_of(f, counters[i].key, e);
        if (!text) return -CR_E_INPUT;
        char *place = (char *)s + counters[i].at;
        uint64_t u;
        int64_t d;
        double x;
        int rc = -1;
        switch (counters[i].type) {
        case U64:
            if ((rc = cr_parse_u64(text, &u)) == 0) memcpy(place, &u, sizeof u);
            break;
        case I64:
            if ((rc = cr_parse_i64(text, &d)) == 0) memcpy(place, &d, sizeof d);
            break;
        case DOUBLE:
            if ((rc = cr_parse_double(text, &x)) == 0) memcpy(place, &x, sizeof x);
            break;
        }
        if (rc < 0) return wrong_value(f, counters[i].key, e);
    }
    return 0;
}

static int load_options(const struct cr_safetensors *f, struct cr_train_options *o, struct cr_error *e)
{
    cr_train_defaults(o);
    for (const char *const *name = cr_train_option_names(); *name; name++) {
        char key[64];
        option_key(*name, key);
        const char *value = is_kept(*name) ? cr_safetensors_value(f, key) : NULL;
        if (value && cr_train_option_set(o, *name, value, NULL) < 0) return wrong_value(f, key, e);
    }
    return 0;
}

/* The next number of a list, as text; *list moves behind it. -1 at the end or when it is too long for a number. */
static int next_item(const char **list, char text[32])
{
    const size_t n = strcspn(*list, " ");
    if (n == 0 || n >= 32) return -1;
    memcpy(text, *list, n);
    text[n] = 0;
    *list += n + ((*list)[n] == ' ');
    return 0;
}

static int load_doubles(const struct cr_safetensors *f, const char *key, double *x, int count, struct cr_error *e)
{
    const char *list = value_of(f, key, e);
    if (!list) return -CR_E_INPUT;
    char text[32];
    for (int i = 0; i < count; i++)
        if (next_item(&list, text) < 0 || cr_parse_double(text, &x[i]) < 0 || fabs(x[i]) > (double)FLT_MAX)
            return wrong_value(f, key, e);
    return *list ? wrong_value(f, key, e) : 0;
}

static int load_normalization(const struct cr_safetensors *f, const struct cr_net *net, struct cr_normalization *z,
                              struct cr_error *e)
{
    const char *kind = value_of(f, "normalization", e);
    if (!kind) return -CR_E_INPUT;
    int k = 0;
    while (k < NORMALIZATIONS && strcmp(kind, normalize_name[k]) != 0) k++;
    if (k == NORMALIZATIONS) return wrong_value(f, "normalization", e);
    if (net->input.c > CR_MAX_CHANNELS)
        return cr_fail_at(e, CR_E_INPUT, f->path, 0, 0, -1, "the network inside has more than %d input channels",
                          CR_MAX_CHANNELS);
    z->kind = (enum cr_normalize)k;
    z->channels = net->input.c;

    double scale[CR_MAX_CHANNELS], shift[CR_MAX_CHANNELS];
    CR_TRY(load_doubles(f, "normalization.mean", z->mean, z->channels, e));
    CR_TRY(load_doubles(f, "normalization.std", z->std, z->channels, e));
    CR_TRY(load_doubles(f, "normalization.scale", scale, z->channels, e));
    CR_TRY(load_doubles(f, "normalization.shift", shift, z->channels, e));
    for (int i = 0; i < z->channels; i++) {
        z->scale[i] = (float)scale[i];
        z->shift[i] = (float)shift[i];
    }
    return 0;
}

static int load_scales(const struct cr_safetensors *f, const struct cr_net *net, int32_t *scale, struct cr_error *e)
{
    const char *list = value_of(f, "scales", e);
    if (!list) return -CR_E_INPUT;
    char text[32];
    int64_t x;
    for (int i = 0; i < net->tensors; i++) {
        if (next_item(&list, text) < 0 || cr_parse_i64(text, &x) < 0 || x < INT32_MIN || x > INT32_MAX)
            return wrong_value(f, "scales", e);
        scale[i] = (int32_t)x;
    }
    return *list ? wrong_value(f, "scales", e) : 0;
}

static int load_class_names(const struct cr_safetensors *f, struct cr_state *s, struct cr_error *e)
{
    const char *lines = value_of(f, "class_names", e);
    if (!lines) return -CR_E_INPUT;
    const size_t length = strlen(lines);
    s->class_names = malloc(length + 1);
    if (!s->class_names) return cr_fail(e, CR_E_NOMEM, "%s: no memory for its class names", f->path);
    s->classes = 1;
    for (size_t i = 0; i <= length; i++) {
        s->class_names[i] = lines[i] == '\n' ? 0 : lines[i];
        if (lines[i] == '\n' && ++s->classes > CR_MAX_CLASSES) return wrong_value(f, "class_names", e);
    }
    return 0;
}

/* Half of the file's tensors: the parameters, or their momentum. */
static int check_tensors(const struct cr_safetensors *f, const struct cr_net *net, int momentum, struct cr_error *e)
{
    for (int i = 0; i < net->tensors; i++) {
        const struct cr_tensor *want = &net->tensor[i];
        const struct cr_safetensors_tensor *have = &f->tensor[i + momentum * net->tensors];
        char name[128];
        tensor_name(want, momentum, name);
        int same = strcmp(have->name, name) == 0 && strcmp(have->dtype, "F32") == 0 && have->ndim == want->ndim;
        for (int d = 0; same && d < want->ndim; d++) same = have->dims[d] == (uint64_t)want->dims[d];
        if (!same)
            return cr_fail_at(e, CR_E_INPUT, f->path, 0, 0, 8 + (have->name - f->header),
                              "the network inside needs the tensor '%s' here, with another name or shape", name);
    }
    return 0;
}

static int load_tensors(const struct cr_safetensors *f, const struct cr_net *net, int momentum, float *data,
                        struct cr_error *e)
{
    for (int i = 0; i < net->tensors; i++)
        CR_TRY(cr_safetensors_read(f, &f->tensor[i + momentum * net->tensors], data + net->tensor[i].at, e));
    return 0;
}

static int load_net(const struct cr_safetensors *f, struct cr_net *net, struct cr_error *e)
{
    const char *name = value_of(f, "net_name", e), *text = name ? value_of(f, "net", e) : NULL;
    if (!text) return -CR_E_INPUT;
    struct cr_error inner;
    const int rc = cr_net_parse(net, name, "network", text, &inner);
    return rc < 0 ? cr_fail_at(e, inner.code, f->path, 0, 0, -1, "the network inside: %s", inner.text) : 0;
}

/* Is the file ours, whole, and of this arithmetic? */
static int check_kind(const struct cr_safetensors *f, struct cr_error *e)
{
    const char *kind = cr_safetensors_value(f, "format");
    if (!kind || strcmp(kind, format) != 0)
        return cr_fail_at(e, CR_E_INPUT, f->path, 0, 0, -1,
                          "this safetensors file is not a corering checkpoint: its metadata has no format 'corering'");
    CR_TRY(cr_safetensors_verify(f, e));
    int64_t numerics;
    const char *text = value_of(f, "numerics", e);
    if (!text) return -CR_E_INPUT;
    if (cr_parse_i64(text, &numerics) < 0) return wrong_value(f, "numerics", e);
    if (numerics != CR_NUMERICS)
        return cr_fail_at(e, CR_E_INPUT, f->path, 0, 0, -1,
                          "this checkpoint was computed by arithmetic %" PRId64 ", and this program has arithmetic %d; "
                          "use the version of corering that wrote it",
                          numerics, CR_NUMERICS);
    return 0;
}

/* *net is empty or whole afterwards, so the caller can free it. */
static int load(const struct cr_safetensors *f, struct cr_net *net, struct cr_state *s, struct cr_error *e)
{
    CR_TRY(check_kind(f, e));
    CR_TRY(load_net(f, net, e));
    const size_t half = (size_t)net->tensors;
    if (f->tensors != half && f->tensors != 2 * half)
        return cr_fail_at(e, CR_E_INPUT, f->path, 0, 0, -1,
                          "this checkpoint has %zu tensors, and the network inside %zu parameter tensors", f->tensors,
                          half);
    const int with_momentum = f->tensors == 2 * half;
    CR_TRY(check_tensors(f, net, 0, e));
    if (with_momentum) CR_TRY(check_tensors(f, net, 1, e));

    CR_TRY(cr_state_alloc(s, net, with_momentum, e));
    CR_TRY(load_tensors(f, net, 0, s->params, e));
    if (with_momentum) CR_TRY(load_tensors(f, net, 1, s->momentum, e));
    CR_TRY(load_class_names(f, s, e));
    CR_TRY(load_normalization(f, net, &s->normalization, e));
    CR_TRY(load_options(f, &s->options, e));
    CR_TRY(load_counters(f, s, e));
    return load_scales(f, net, s->scale, e);
}

static int load_and_close(struct cr_safetensors *f, struct cr_net *net, struct cr_state *s, struct cr_error *e)
{
    const int rc = load(f, net, s, e);
    cr_safetensors_close(f);
    if (rc < 0) {
        cr_net_free(net);
        cr_state_free(s);
        memset(net, 0, sizeof *net);
    }
    return rc;
}

int cr_checkpoint_load(const char *path, struct cr_net *net, struct cr_state *s, struct cr_error *e)
{
    struct cr_safetensors f;
    memset(net, 0, sizeof *net);
    memset(s, 0, sizeof *s);
    CR_TRY(cr_safetensors_open(&f, path, e));
    return load_and_close(&f, net, s, e);
}

int cr_checkpoint_unpack(const void *bytes, size_t size, struct cr_net *net, struct cr_state *s, struct cr_error *e)
{
    struct cr_safetensors f;
    CR_TRY(cr_safetensors_open_memory(&f, bytes, size, e));
    return load_and_close(&f, net, s, e);
}
