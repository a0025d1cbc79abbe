/* corering predict CHECKPOINT FILE...: the class of images, one by one. */
#define _POSIX_C_SOURCE 200809L
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "apps/commands.h"
#include "apps/find.h"
#include "apps/output.h"
#include "core/eval.h"
#include "core/layer.h"
#include "core/number.h"

enum {
    TOP = 3,        /* classes told of each image */
    FIRST = 10,     /* entries of an IDX file shown when no range is given */
    AT_ONCE = 1024, /* images evaluated together, at most, */
    AT_ONCE_BYTES = 1 << 26,
};

struct predict_args {
    int json;
    long threads;
};

static const struct cr_option options[] = {
    { .name = "json",
      .help = "a JSON line per image instead of text",
      .set = cr_option_switch,
      .offset = offsetof(struct predict_args, json) },
    CR_OPTION_THREADS(struct predict_args, "one per core"),
    CR_OPTION_ISA,
    { 0 },
};

/* The trained network and where its answers go. */
struct oracle {
    const struct cr_net *net;
    const struct cr_state *state;
    const char *checkpoint;
    int threads;
    struct cr_log *log; /* with out == NULL: text */
};

/* One image's way here. */
struct origin {
    const char *file;
    long long index; /* in an IDX file; -1 = the file is the image */
    int inverted, resized;
};

/* ---- answers ---- */

/* The TOP most probable classes, best first; equal ones in their own order. Returns how many there are. */
static int best_classes(const float *p, int classes, int best[TOP])
{
    int count = 0;
    for (int k = 0; k < classes; k++) {
        int at = count < TOP ? count++ : TOP;
        while (at > 0 && p[k] > p[best[at - 1]]) {
            if (at < TOP) best[at] = best[at - 1];
            at--;
        }
        if (at < TOP) best[at] = k;
    }
    return count;
}

static void print_answer(const struct oracle *o, const struct origin *from, const float *p)
{
    int best[TOP];
    const int count = best_classes(p, o->net->classes, best);
    if (from->index >= 0)
        printf("%s:%lld", from->file, from->index);
    else
        printf("%s", from->file);
    printf("  %s  %.4f", cr_class_name(o->state, best[0]), (double)p[best[0]]);
    for (int i = 1; i < count; i++)
        printf("%s%s %.4f", i == 1 ? "  (" : ", ", cr_class_name(o->state, best[i]), (double)p[best[i]]);
    if (count > 1) printf(")");
    if (from->inverted) printf("  inverted: it was dark on light");
    if (from->resized)
        printf("%s to %dx%d", from->inverted ? ", resized" : "  resized", o->net->input.w, o->net->input.h);
    printf("\n");
}

static void write_answer(const struct oracle *o, const struct origin *from, const float *p)
{
    struct cr_json_writer *const w = &o->log->line;
    int best[TOP];
    const int count = best_classes(p, o->net->classes, best);
    cr_log_begin(o->log, "prediction");
    cr_json_put_string(w, "file", from->file);
    if (from->index >= 0) cr_json_put_i64(w, "index", from->index);
    cr_json_put_string(w, "class", cr_class_name(o->state, best[0]));
    cr_json_put_double(w, "probability", (double)p[best[0]]);
    cr_json_put_open(w, "top", '[');
    for (int i = 0; i < count; i++) {
        cr_json_put_open(w, NULL, '{');
        cr_json_put_string(w, "class", cr_class_name(o->state, best[i]));
        cr_json_put_double(w, "probability", (double)p[best[i]]);
        cr_json_put_close(w, '}');
    }
    cr_json_put_close(w, ']');
    cr_json_put_bool(w, "inverted", from->inverted);
    cr_json_put_bool(w, "resized", from->resized);
    cr_log_finish(o->log);
}

/* images: (count, c, h, w) bytes of the network's own shape; from: (count). */
static int answer(const struct oracle *o, const uint8_t *images, const struct origin *from, size_t count,
                  struct cr_error *e)
{
    const size_t classes = (size_t)o->net->classes;
    uint8_t *const labels = calloc(count, 1); /* not known, and not used for what is asked here */
    float *const p = malloc(count * classes * sizeof *p);
    struct cr_eval unused;
    const struct cr_split split = { .images = images, .labels = labels, .count = count };
    int rc;
    if (!labels || !p)
        rc = cr_fail(e, CR_E_NOMEM, "out of memory");
    else
        rc = cr_evaluate(o->net, o->state->params, &o->state->normalization, &split, 0, count, NULL, o->threads,
                         &unused, NULL, p, e);
    for (size_t i = 0; i < count && rc == 0; i++) {
        if (o->log->out)
            write_answer(o, &from[i], p + i * classes);
        else
            print_answer(o, &from[i], p + i * classes);
    }
    free(p);
    free(labels);
    return rc;
}

/* ---- images ---- */

static int needs_grey(const struct oracle *o, const char *path, struct cr_error *e)
{
    if (o->net->input.c == 1) return 0;
    return cr_fail_at(e, CR_E_INPUT, path, 0, 0, -1, "%s takes images of %d channels; give IDX entries of %dx%dx%d",
                      o->checkpoint, o->net->input.c, o->net->input.c, o->net->input.h, o->net->input.w);
}

static int predict_picture(const struct oracle *o, const char *path, struct cr_error *e)
{
    uint8_t *grey;
    int width, height;
    CR_TRY(needs_grey(o, path, e));
    CR_TRY(cr_pnm_read(path, &grey, &width, &height, e));
    const struct cr_shape s = o->net->input;
    struct origin from = { .file = path, .index = -1 };
    uint8_t *const fitted = malloc(cr_shape_size(s));
    int rc;
    if (!fitted) {
        rc = cr_fail(e, CR_E_NOMEM, "out of memory");
    } else {
        cr_image_fit(grey, width, height, fitted, s.w, s.h, &from.inverted, &from.resized);
        rc = answer(o, fitted, &from, 1, e);
    }
    free(fitted);
    free(grey);
    return rc;
}

/* Entries first..last of an IDX file. Those of the network's shape are taken as they are, like a data set's; grey
 * ones of another shape are fitted like pictures. */
static int predict_entries(const struct oracle *o, const char *path, const struct cr_idx *x, size_t first, size_t last,
                           struct cr_error *e)
{
    const struct cr_shape s = o->net->input;
    const int channels = x->ndim == 4 ? (int)x->dims[1] : 1;
    const int height = (int)x->dims[x->ndim - 2], width = (int)x->dims[x->ndim - 1];
    if (height < 1 || width < 1 || height > CR_MAX_SIDE || width > CR_MAX_SIDE)
        return cr_fail_at(e, CR_E_INPUT, path, 0, 0, -1, "images of %zux%zu, but sides of 1 to %d are read",
                          x->dims[x->ndim - 2], x->dims[x->ndim - 1], CR_MAX_SIDE);
    const int same = channels == s.c && height == s.h && width == s.w;
    const size_t size = (size_t)channels * (size_t)height * (size_t)width, fit = cr_shape_size(s);
    if (!same && channels != 1)
        return cr_fail_at(e, CR_E_INPUT, path, 0, 0, -1, "images are %dx%dx%d, %s takes %dx%dx%d", channels, height,
                          width, o->checkpoint, s.c, s.h, s.w);
    if (!same) CR_TRY(needs_grey(o, path, e));

    const size_t many = AT_ONCE_BYTES / fit, some = many < 1 ? 1 : many < AT_ONCE ? many : AT_ONCE;
    const size_t at_once = last - first < some ? last - first + 1 : some;
    uint8_t *const fitted = malloc(at_once * fit);
    struct origin *const from = calloc(at_once, sizeof *from);
    int rc = fitted && from ? 0 : cr_fail(e, CR_E_NOMEM, "out of memory");
    for (size_t i = first; i <= last && rc == 0;) {
        size_t n = 0;
        for (; n < at_once && i <= last; n++, i++) {
            from[n] = (struct origin){ .file = path, .index = (long long)i };
            if (same)
                memcpy(fitted + n * fit, x->bytes + i * size, size);
            else
                cr_image_fit(x->bytes + i * size, width, height, fitted + n * fit, s.w, s.h, &from[n].inverted,
                             &from[n].resized);
        }
        rc = answer(o, fitted, from, n, e);
    }
    free(fitted);
    free(from);
    return rc;
}

/* ---- words: FILE, FILE:INDEX, FILE:FROM-TO ---- */

struct range {
    int given;
    uint64_t from, to; /* both inclusive */
};

static int parse_number(const char *text, size_t length, uint64_t *out)
{
    char digits[24];
    if (length == 0 || length >= sizeof digits) return -1;
    memcpy(digits, text, length);
    digits[length] = 0;
    return cr_parse_u64(digits, out);
}

/* A file of that very name wins over a range. */
static int split_word(const char *word, char path[1024], struct range *r, struct cr_error *e)
{
    struct stat s;
    const char *const colon = strrchr(word, ':');
    *r = (struct range){ 0 };
    if (strlen(word) >= 1024) return cr_fail(e, CR_E_INPUT, "a file name of more than 1023 characters");
    strcpy(path, word);
    if (!colon || colon == word || stat(word, &s) == 0) return 0;
    const char *const text = colon + 1;
    const size_t first = strcspn(text, "-");
    int bad = parse_number(text, first, &r->from);
    r->to = r->from;
    if (!bad && text[first] == '-') bad = parse_number(text + first + 1, strlen(text + first + 1), &r->to);
    if (bad || r->to < r->from)
        return cr_fail(e, CR_E_USAGE, "'%s': expected FILE:INDEX or FILE:FROM-TO, as in images:7 or images:0-9", word);
    path[colon - word] = 0;
    r->given = 1;
    return 0;
}

/* What a file is, by its first bytes. */
enum kind { PICTURE, IDX, FOREIGN };

static int kind_of(const char *path, enum kind *kind, struct cr_error *e)
{
    unsigned char head[4] = { 0 };
    FILE *const f = fopen(path, "rb");
    if (!f)
        return cr_fail_at(e, errno == ENOENT ? CR_E_INPUT : CR_E_IO, path, 0, 0, -1, "cannot open: %s",
                          strerror(errno));
    struct stat st;
    if (fstat(fileno(f), &st) == 0 && !S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode)) {
        fclose(f);
        return cr_fail_at(e, CR_E_INPUT, path, 0, 0, -1, "not a regular file; put what comes out of it into one first");
    }
    const size_t n = fread(head, 1, sizeof head, f);
    const int failed = ferror(f);
    fclose(f);
    if (failed) return cr_fail_at(e, CR_E_INPUT, path, 0, 0, -1, "cannot be read; is it a folder?");
    const int foreign = n == 4 && (memcmp(head, "\x89PNG", 4) == 0 || memcmp(head, "\xff\xd8\xff", 3) == 0 ||
                                   memcmp(head, "GIF8", 4) == 0 || memcmp(head, "BM", 2) == 0);
    *kind = foreign ? FOREIGN : head[0] == 'P' ? PICTURE : IDX;
    return 0;
}

static int predict_idx(const struct oracle *o, const char *path, struct range r, struct cr_error *e)
{
    struct cr_idx x;
    CR_TRY(cr_idx_open(&x, path, e));
    int rc = 0;
    if (x.ndim < 3)
        rc = cr_fail_at(e, CR_E_INPUT, path, 0, 0, -1, "holds no images: %d dimension%s, images have 3 or 4", x.ndim,
                        x.ndim == 1 ? "" : "s");
    else if (x.dims[0] == 0)
        rc = cr_fail_at(e, CR_E_INPUT, path, 0, 0, -1, "holds no images");
    else if (r.given && r.to >= x.dims[0])
        rc = cr_fail_at(e, CR_E_INPUT, path, 0, 0, -1, "no image %llu: it holds 0 to %zu", (unsigned long long)r.to,
                        x.dims[0] - 1);
    if (rc == 0) {
        const size_t most = x.dims[0] < FIRST ? x.dims[0] : FIRST;
        rc = predict_entries(o, path, &x, r.given ? (size_t)r.from : 0, r.given ? (size_t)r.to : most - 1, e);
    }
    cr_idx_close(&x);
    return rc;
}

static int predict_word(const struct oracle *o, const char *word, struct cr_error *e)
{
    char path[1024];
    struct range range;
    enum kind kind = IDX;
    CR_TRY(split_word(word, path, &range, e));
    CR_TRY(kind_of(path, &kind, e));
    if (kind == FOREIGN)
        return cr_fail_at(e, CR_E_INPUT, path, 0, 0, -1,
                          "not a PGM, PPM or IDX file; convert it first, as with"
                          " 'convert %s image.pgm'",
                          path);
    if (kind == IDX) return predict_idx(o, path, range, e);
    if (range.given) return cr_fail_at(e, CR_E_USAGE, path, 0, 0, -1, "one picture; only IDX files take ':INDEX'");
    return predict_picture(o, path, e);
}

static int predict(const struct predict_args *a, const struct cr_arguments *words, struct cr_log *log,
                   struct cr_error *e)
{
    struct cr_net net;
    struct cr_state state;
    char file[640], note[512];
    CR_TRY(cr_find_checkpoint(words->word[0], &net, &state, file, note, e));
    if (*note) fprintf(stderr, "corering: warning: %s\n", note);
    const struct oracle o = { &net, &state, file, (int)a->threads, log };
    int rc = 0;
    for (int i = 1; i < words->count && rc == 0; i++) rc = predict_word(&o, words->word[i], e);
    cr_state_free(&state);
    cr_net_free(&net);
    return rc;
}

static int run(const struct cr_command *self, int argc, char **argv, struct cr_error *e)
{
    struct predict_args a = { 0 };
    struct cr_arguments words;
    int rc = cr_options_parse(self, argc, argv, &a, &words, e);
    struct cr_log log = { .out = a.json ? stdout : NULL };
    if (words.help)
        cr_options_help(self, stdout);
    else if (rc == 0)
        rc = predict(&a, &words, &log, e);
    if (rc < 0) cr_log_error(&log, e);
    cr_log_free(&log);
    free(words.word);
    return rc;
}

const struct cr_command cr_command_predict = {
    .name = "predict",
    .arguments = "CHECKPOINT FILE...",
    .summary = "class and probability of images",
    .description = "Tells the most probable classes of each image.\n\n"
                   "CHECKPOINT   a .safetensors file of 'corering train', or the folder of a run,\n"
                   "             whose newest is taken\n"
                   "FILE         a PGM or PPM picture of any size. Dark on light is inverted; unless\n"
                   "             it has the network's size already it is cropped to what is drawn,\n"
                   "             scaled and centred like MNIST's digits. Whatever is done is said.\n"
                   "FILE:N       entry N of an IDX file, plain or .gz; FILE:M-N entries M to N;\n"
                   "             FILE alone its first 10",
    .examples = "  corering predict model/20260102_030405 digit.pgm\n"
                "  corering predict model/20260102_030405 t10k-images-idx3-ubyte.gz:0-99\n",
    .options = options,
    .least = 2,
    .most = -1,
    .run = run,
};
