/* The .net text: a layer a line, `#` comments, shapes inferred and checked, errors with line and column.
 *
 *     input   1x28x28                     first; (channels x height x width)
 *     init    he                          starting weights of the layers below [torch]
 *     default learning-rate=0.1           what this network recommends, by the command line's names
 *     conv    6 5x5 stride=1 pad=0        layers, core/layer_*.c
 *     softmax                             last
 */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/json.h"
#include "core/layer.h"
#include "core/net.h"
#include "core/text_file.h"

enum { MAX_TEXT = 64 * 1024, MAX_LAYERS = 256, MAX_WORDS = 16, MAX_DEFAULTS = 64, MAX_DIM = 65535 };
static const size_t max_values = (size_t)1 << 28;

struct word {
    const char *at;
    size_t length;
};

struct line {
    const char *file, *start;
    long number;
    struct word word[MAX_WORDS];
    int words;
    struct cr_error *e;
};

static long column_of(const struct line *l, const char *at)
{
    return (long)(at - l->start) + 1;
}

#define FAIL(l, at, ...) cr_fail_at((l)->e, CR_E_INPUT, (l)->file, (l)->number, column_of(l, at), -1, __VA_ARGS__)

static int is(struct word w, const char *text)
{
    return strlen(text) == w.length && memcmp(w.at, text, w.length) == 0;
}

/* Text after `key=` when w has that form. */
static int has_key(struct word w, const char *key, struct word *value)
{
    const size_t n = strlen(key);
    if (w.length <= n || memcmp(w.at, key, n) != 0 || w.at[n] != '=') return 0;
    *value = (struct word){ w.at + n + 1, w.length - n - 1 };
    return 1;
}

/* A number 0..MAX_DIM that is all of w. */
static int number(struct word w, int *out)
{
    long value = 0;
    if (w.length == 0) return -1;
    for (size_t i = 0; i < w.length; i++) {
        if (w.at[i] < '0' || w.at[i] > '9') return -1;
        value = value * 10 + (w.at[i] - '0');
        if (value > 100000000) return -1;
    }
    *out = (int)value;
    return 0;
}

/* "5x5" or "1x28x28": exactly n numbers. */
static int numbers(struct word w, int n, int *out)
{
    for (int i = 0; i < n; i++) {
        const char *x = i + 1 < n ? memchr(w.at, 'x', w.length) : w.at + w.length;
        if (!x) return -1;
        const struct word part = { w.at, (size_t)(x - w.at) };
        if (number(part, &out[i]) < 0) return -1;
        if (i + 1 < n) w = (struct word){ x + 1, w.length - part.length - 1 };
    }
    return 0;
}

static int init_of(struct word w, enum cr_init *out)
{
    static const char *const name[] = {
        [CR_INIT_TORCH] = "torch", [CR_INIT_XAVIER] = "xavier", [CR_INIT_HE] = "he", [CR_INIT_LECUN] = "lecun",
    };
    for (size_t i = 0; i < sizeof name / sizeof *name; i++)
        if (is(w, name[i])) {
            *out = (enum cr_init)i;
            return 0;
        }
    return -1;
}

static int split(struct line *l, const char *end)
{
    const char *p = l->start;
    l->words = 0;
    while (p < end && *p != '#') {
        if (*p == ' ' || *p == '\t' || *p == '\r') {
            p++;
            continue;
        }
        const char *from = p;
        while (p < end && *p != ' ' && *p != '\t' && *p != '\r' && *p != '#') p++;
        if (l->words == MAX_WORDS) return FAIL(l, from, "more than %d words on a line", MAX_WORDS);
        l->word[l->words++] = (struct word){ from, (size_t)(p - from) };
    }
    return 0;
}

static const struct cr_layer_type *type_of(struct word w)
{
    for (int i = 0; cr_layer_types[i]; i++)
        if (is(w, cr_layer_types[i]->name)) return cr_layer_types[i];
    return NULL;
}

static int parse_input(struct cr_net *net, const struct line *l)
{
    int d[3];
    if (net->input.c) return FAIL(l, l->word[0].at, "a second input line");
    if (l->words != 2 || numbers(l->word[1], 3, d) < 0)
        return FAIL(l, l->word[0].at, "expected: input CHANNELSxHEIGHTxWIDTH, as in: input 1x28x28");
    for (int i = 0; i < 3; i++)
        if (d[i] < 1 || d[i] > MAX_DIM) return FAIL(l, l->word[1].at, "sizes must lie within 1..%d", (int)MAX_DIM);
    net->input = (struct cr_shape){ d[0], d[1], d[2] };
    if (cr_shape_size(net->input) > max_values) return FAIL(l, l->word[1].at, "an input of more than 2^28 values");
    return 0;
}

static int parse_default(struct cr_net *net, const struct line *l)
{
    if (l->words < 2) return FAIL(l, l->word[0].at, "expected: default OPTION=VALUE ...");
    for (int i = 1; i < l->words; i++) {
        const struct word w = l->word[i];
        const char *eq = memchr(w.at, '=', w.length);
        struct cr_default *d = &net->defaults[net->default_count];
        if (!eq || eq == w.at) return FAIL(l, w.at, "expected OPTION=VALUE, as in: learning-rate=0.1");
        const size_t name = (size_t)(eq - w.at), value = w.length - name - 1;
        if (name >= sizeof d->option || value >= sizeof d->value) return FAIL(l, w.at, "too long");
        if (net->default_count == MAX_DEFAULTS) return FAIL(l, w.at, "more than %d defaults", MAX_DEFAULTS);
        memcpy(d->option, w.at, name);
        memcpy(d->value, eq + 1, value);
        net->default_count++;
    }
    return 0;
}

static int parse_args(struct cr_layer *layer, const struct line *l, struct cr_layer_args *a)
{
    const struct cr_layer_type *type = layer->type;
    for (int i = 1; i < l->words; i++) {
        const struct word w = l->word[i];
        struct word v;
        int d[2], ok = 1;
        if (has_key(w, "name", &v)) {
            if (v.length == 0 || v.length >= sizeof layer->name) return FAIL(l, w.at, "a name has 1..63 letters");
            for (size_t k = 0; k < v.length; k++)
                if (v.at[k] == '.' || v.at[k] == '"' || v.at[k] == '\\' || v.at[k] < '!' || v.at[k] > '~')
                    return FAIL(l, v.at + k, "a name is made of letters without dot, quote or backslash");
            memcpy(layer->name, v.at, v.length);
            layer->name[v.length] = 0;
        } else if (has_key(w, "stride", &v) && type->takes & CR_ARG_STRIDE) {
            ok = number(v, &a->stride) == 0 && a->stride >= 1 && a->stride <= MAX_DIM;
        } else if (has_key(w, "pad", &v) && type->takes & CR_ARG_PAD) {
            ok = number(v, &a->pad) == 0 && a->pad <= MAX_DIM;
        } else if (has_key(w, "init", &v) && type->takes & CR_ARG_INIT) {
            if (init_of(v, &a->init) < 0) return FAIL(l, v.at, "init is one of torch, xavier, he, lecun");
        } else if (type->takes & CR_ARG_KERNEL && !a->kh && numbers(w, 2, d) == 0) {
            ok = d[0] >= 1 && d[1] >= 1 && d[0] <= MAX_DIM && d[1] <= MAX_DIM;
            a->kh = d[0];
            a->kw = d[1];
        } else if (type->takes & CR_ARG_COUNT && !a->count && number(w, &d[0]) == 0) {
            ok = d[0] >= 1;
            a->count = d[0];
        } else {
            return FAIL(l, w.at, "'%.*s' makes no sense here; usage: %s", (int)w.length, w.at, type->usage);
        }
        if (!ok) return FAIL(l, w.at, "'%.*s' is out of range; usage: %s", (int)w.length, w.at, type->usage);
    }
    if ((type->takes & CR_ARG_COUNT && !a->count) || (type->takes & CR_ARG_KERNEL && !a->kh))
        return FAIL(l, l->word[0].at, "something is missing; usage: %s", type->usage);
    return 0;
}

static int parse_layer(struct cr_net *net, const struct line *l, enum cr_init init)
{
    const struct cr_layer_type *type = type_of(l->word[0]);
    char why[160];
    if (!type) {
        char known[160] = "";
        for (int i = 0; cr_layer_types[i]; i++)
            snprintf(known + strlen(known), sizeof known - strlen(known), "%s%s", i ? ", " : "",
                     cr_layer_types[i]->name);
        return FAIL(l, l->word[0].at, "unknown layer '%.*s'; known are input, init, default, %s",
                    (int)l->word[0].length, l->word[0].at, known);
    }
    if (!net->input.c) return FAIL(l, l->word[0].at, "the first line must be: input CHANNELSxHEIGHTxWIDTH");
    if (net->layers == MAX_LAYERS) return FAIL(l, l->word[0].at, "more than %d layers", MAX_LAYERS);
    if (net->layers && net->layer[net->layers - 1].type->is_loss)
        return FAIL(l, l->word[0].at, "nothing may follow %s", net->layer[net->layers - 1].type->name);

    struct cr_layer *layer = &net->layer[net->layers];
    struct cr_layer_args a = { .stride = -1, .pad = -1, .init = init };
    layer->type = type;
    layer->line = l->number;
    layer->tensor = -1;
    layer->in = net->layers ? net->layer[net->layers - 1].out : net->input;
    if (parse_args(layer, l, &a) < 0) return -CR_E_INPUT;
    layer->init = a.init;
    if (type->shape(layer, &a, why) < 0) return FAIL(l, l->word[0].at, "%s", why);
    if (cr_shape_size(layer->out) > max_values || layer->weights > max_values)
        return FAIL(l, l->word[0].at, "a layer of more than 2^28 values (1 GB)");
    if (!layer->name[0]) {
        int same = 1;
        for (int i = 0; i < net->layers; i++) same += net->layer[i].type == type;
        snprintf(layer->name, sizeof layer->name, "%s%d", type->name, same);
    }
    for (int i = 0; i < net->layers; i++)
        if (strcmp(net->layer[i].name, layer->name) == 0)
            return FAIL(l, l->word[0].at, "the name '%s' is taken by line %ld", layer->name, net->layer[i].line);
    net->layers++;
    return 0;
}

/* A monotone activation followed by max-pooling is computed as pooling first: the same values up to ties, on fewer
 * elements. Done here, once, above all kernels (arithmetic.md, section 3). */
static void pool_before_activation(struct cr_net *net)
{
    for (int i = net->layers - 1; i > 0; i--)
        for (int k = i; k < net->layers && net->layer[k].type->is_maxpool && net->layer[k - 1].type->monotone; k++) {
            const struct cr_layer act = net->layer[k - 1];
            net->layer[k - 1] = net->layer[k];
            net->layer[k] = act;
            net->layer[k].in = net->layer[k].out = net->layer[k - 1].out;
        }
}

static int lay_out_params(struct cr_net *net, const char *file, struct cr_error *e)
{
    for (int i = 0; i < net->layers; i++) net->tensors += net->layer[i].weights ? 2 : 0;
    net->tensor = calloc((size_t)net->tensors + 1, sizeof *net->tensor);
    if (!net->tensor) return cr_fail(e, CR_E_NOMEM, "out of memory for a network");
    int t = 0;
    for (int i = 0; i < net->layers; i++) {
        struct cr_layer *l = &net->layer[i];
        if (!l->weights) continue;
        const int is_conv = l->conv.kh > 0;
        l->tensor = t;
        l->weight_at = net->params;
        l->bias_at = net->params + l->weights;
        net->params += l->weights + l->biases;
        net->tensor[t++] = (struct cr_tensor){
            .layer = l, .at = l->weight_at, .count = l->weights, .ndim = is_conv ? 4 : 2,
            .dims = { l->conv.out_c, l->conv.in_c, l->conv.kh, l->conv.kw },
        };
        net->tensor[t++] = (struct cr_tensor){
            .layer = l, .is_bias = 1, .at = l->bias_at, .count = l->biases, .ndim = 1, .dims = { l->conv.out_c },
        };
        if (net->params > max_values)
            return cr_fail_at(e, CR_E_INPUT, file, l->line, 1, -1, "more than 2^28 parameters (1 GB) in all");
    }
    return 0;
}

static int parse(struct cr_net *net, const char *file, const char *text, struct cr_error *e)
{
    struct line l = { .file = file, .e = e };
    enum cr_init init = CR_INIT_TORCH;
    for (const char *p = text; *p;) {
        const char *end = strchr(p, '\n');
        if (!end) end = p + strlen(p);
        l.start = p;
        l.number++;
        CR_TRY(split(&l, end));
        p = *end ? end + 1 : end;
        if (!l.words) continue;
        if (is(l.word[0], "input"))
            CR_TRY(parse_input(net, &l));
        else if (is(l.word[0], "default"))
            CR_TRY(parse_default(net, &l));
        else if (is(l.word[0], "init")) {
            if (l.words != 2 || init_of(l.word[1], &init) < 0)
                return FAIL(&l, l.word[0].at, "expected: init torch|xavier|he|lecun");
        } else
            CR_TRY(parse_layer(net, &l, init));
    }
    if (!net->layers || !net->layer[net->layers - 1].type->is_loss)
        return cr_fail_at(e, CR_E_INPUT, file, l.number, 1, -1, "a network must end with a softmax line");
    net->classes = net->layer[net->layers - 1].out.c;
    if (net->classes < 2 || net->classes > 65536)
        return cr_fail_at(e, CR_E_INPUT, file, l.number, 1, -1, "softmax over %d classes; it needs 2 to 65536",
                          net->classes);
    pool_before_activation(net);
    CR_TRY(lay_out_params(net, file, e));
    if (!net->params) return cr_fail_at(e, CR_E_INPUT, file, l.number, 1, -1, "a network without any weights");
    return 0;
}

/* The first byte that is a control character or breaks UTF-8; NULL when there is none. Checkpoints carry the text in
 * JSON, which could not give such a byte back. */
static const char *not_text(const char *text)
{
    const char *const end = text + strlen(text);
    for (const char *p = text; p < end;) {
        const size_t n = cr_utf8_length(p, (size_t)(end - p));
        const unsigned char c = (unsigned char)*p;
        if (n == 0 || (c < ' ' ? !strchr("\n\t\r", c) : c == 0x7f)) return p;
        p += n;
    }
    return NULL;
}

int cr_net_parse(struct cr_net *net, const char *name, const char *file, const char *text, struct cr_error *e)
{
    memset(net, 0, sizeof *net);
    const size_t length = strlen(text);
    const char *const odd = not_text(text);
    if (odd)
        return cr_fail_at(e, CR_E_INPUT, file, 0, 0, (long long)(odd - text), "a network text is plain ASCII or UTF-8; "
                          "this byte (0x%02x) is neither", (unsigned char)*odd);
    if (length > MAX_TEXT) return cr_fail_at(e, CR_E_INPUT, file, 0, 0, -1, "more than 64 KiB of network text");
    snprintf(net->name, sizeof net->name, "%s", name);
    net->text = malloc(length + 1);
    net->layer = calloc(MAX_LAYERS, sizeof *net->layer);
    net->defaults = calloc(MAX_DEFAULTS + 1, sizeof *net->defaults);
    if (!net->text || !net->layer || !net->defaults) {
        cr_net_free(net);
        return cr_fail(e, CR_E_NOMEM, "out of memory for a network");
    }
    memcpy(net->text, text, length + 1);
    const int rc = parse(net, file, text, e);
    if (rc < 0) cr_net_free(net);
    return rc;
}

int cr_net_read(struct cr_net *net, const char *path, struct cr_error *e)
{
    memset(net, 0, sizeof *net);
    char *const text = malloc(MAX_TEXT + 2);
    if (!text) return cr_fail(e, CR_E_NOMEM, "out of memory for a network");
    const long n = cr_text_read(path, "the network", text, MAX_TEXT, e);

    const char *const slash = strrchr(path, '/'), *const base = slash ? slash + 1 : path;
    char name[sizeof net->name];
    snprintf(name, sizeof name, "%.*s", (int)strcspn(base, "."), base);
    const int rc = n < 0 ? (int)n : cr_net_parse(net, name, path, text, e);
    free(text);
    return rc;
}
