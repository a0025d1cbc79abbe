/* The state of a run from a file, or from memory. */
#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/checkpoint_form.h"
#include "core/number.h"
#include "core/safetensors.h"
#include "core/scale.h"

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
    for (size_t i = 0; i < CR_COUNTERS; i++) {
        const char *text = value_of(f, cr_counters[i].key, e);
        if (!text) return -CR_E_INPUT;
        char *place = (char *)s + cr_counters[i].at;
        uint64_t u;
        int64_t d;
        double x;
        int rc = -1;
        switch (cr_counters[i].type) {
        case CR_COUNTER_U64:
            if ((rc = cr_parse_u64(text, &u)) == 0) memcpy(place, &u, sizeof u);
            break;
        case CR_COUNTER_I64:
            if ((rc = cr_parse_i64(text, &d)) == 0) memcpy(place, &d, sizeof d);
            break;
        case CR_COUNTER_DOUBLE:
            if ((rc = cr_parse_double(text, &x)) == 0) memcpy(place, &x, sizeof x);
            break;
        }
        if (rc < 0) return wrong_value(f, cr_counters[i].key, e);
    }
    return 0;
}

static int load_options(const struct cr_safetensors *f, struct cr_train_options *o, struct cr_error *e)
{
    cr_train_defaults(o);
    for (const char *const *name = cr_train_option_names(); *name; name++) {
        char key[64];
        cr_option_key(*name, key);
        const char *value = cr_option_is_kept(*name) ? cr_safetensors_value(f, key) : NULL;
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
    while (k < CR_NORMALIZATIONS && strcmp(kind, cr_normalize_name[k]) != 0) k++;
    if (k == CR_NORMALIZATIONS) return wrong_value(f, "normalization", e);
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
        if (next_item(&list, text) < 0 || cr_parse_i64(text, &x) < 0 || x < CR_SCALE_UNSET ||
            x > CR_SCALE_MOST)
            return wrong_value(f, "scales", e);
        scale[i] = (int32_t)x;
    }
    return *list ? wrong_value(f, "scales", e) : 0;
}

/* Without control characters, for it goes to terminals. */
static int is_plain(const char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text < ' ' || *text == 0x7f) return 0;
    return 1;
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
        const char c[] = { lines[i] == '\n' ? 0 : lines[i], 0 };
        if (!is_plain(c)) return wrong_value(f, "class_names", e);
        s->class_names[i] = *c;
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
        cr_tensor_key(want, momentum, name);
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
    if (!is_plain(name)) return wrong_value(f, "net_name", e);
    struct cr_error inner;
    const int rc = cr_net_parse(net, name, "network", text, &inner);
    return rc < 0 ? cr_fail_at(e, inner.code, f->path, 0, 0, -1, "the network inside: %s", inner.text) : 0;
}

/* Is the file ours, whole, and of this arithmetic? */
static int check_kind(const struct cr_safetensors *f, struct cr_error *e)
{
    const char *kind = cr_safetensors_value(f, "format");
    if (!kind || strcmp(kind, CR_CHECKPOINT_FORMAT) != 0)
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
