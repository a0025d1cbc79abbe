#include "core/data.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "core/file.h"
#include "core/text_file.h"

enum { PATH_BYTES = 1024, NAMES_BYTES = 1 << 16 };

static const char advice[] = "`corering data get mnist` fetches MNIST, `corering data synth DIR` draws digits";

/* The names a file may have, in order of preference; each also with .gz, after all the plain ones, which are faster. */
static const char *const image_names[] = {"-images-idx3-ubyte", "-images.idx3-ubyte", "-images-idx4-ubyte",
                                          "-images.idx4-ubyte", NULL};
static const char *const label_names[] = {"-labels-idx1-ubyte", "-labels.idx1-ubyte", NULL};

static int path_in(char path[PATH_BYTES], const char *folder, const char *name, struct cr_error *e)
{
    const int n = snprintf(path, PATH_BYTES, "%s/%s", folder, name);
    if (n >= 0 && n < PATH_BYTES) return 0;
    return cr_fail(e, CR_E_INPUT, "%.64s...: the folder's name is too long", folder);
}

/* Find and open one file of a split ("train" or "t10k"); name gets what it is called. */
static int open_file(struct cr_idx *x, const char *folder, const char *split, const char *what,
                     const char *const *names, char name[64], char path[PATH_BYTES], struct cr_error *e)
{
    static const char *const endings[] = {"", ".gz"};
    char tried[256] = "";
    for (int gz = 0; gz < 2; gz++)
        for (int i = 0; names[i]; i++) {
            snprintf(name, 64, "%s%s%s", split, names[i], endings[gz]);
            CR_TRY(path_in(path, folder, name, e));
            struct stat st;
            if (stat(path, &st) == 0) return cr_idx_open(x, path, e);
            if (errno != ENOENT) return cr_file_fail(e, CR_E_IO, path, "open this file", errno);
            if (gz) continue;
            const size_t used = strlen(tried);
            snprintf(tried + used, sizeof tried - used, "%s%s", used ? ", " : "", name);
        }
    return cr_fail_at(e, CR_E_INPUT, folder, 0, 0, -1, "holds no %s (tried %s, and each with .gz); %s", what, tried,
                      advice);
}

int cr_data_present(const char *folder, char name[64])
{
    static const char *const splits[] = {"train", "t10k"}, *const endings[] = {"", ".gz"};
    char path[PATH_BYTES];
    struct stat st;
    for (int k = 0; k < 8; k++)
        for (const char *const *middle = k & 4 ? image_names : label_names; *middle; middle++) {
            snprintf(name, 64, "%s%s%s", splits[k & 1], *middle, endings[k >> 1 & 1]);
            if (path_in(path, folder, name, NULL) == 0 && stat(path, &st) == 0) return 1;
        }
    return 0;
}

/* Images as (count, channels, height, width) whatever the file's number of dimensions. */
static int open_images(struct cr_split *s, int shape[3], const char *folder, const char *split, const char *what,
                       struct cr_error *e)
{
    struct cr_idx x;
    char name[64], path[PATH_BYTES];
    CR_TRY(open_file(&x, folder, split, what, image_names, name, path, e));
    s->images = x.bytes;
    s->image_map = x.map;
    s->count = x.dims[0];
    if (x.ndim < 3)
        return cr_fail_at(e, CR_E_INPUT, path, 0, 0, 3,
                          "%d dimensions, but images have 3 (count, height, width) or 4 (count, channels, height, "
                          "width)", x.ndim);
    const size_t channels = x.ndim == 4 ? x.dims[1] : 1, height = x.dims[x.ndim - 2], width = x.dims[x.ndim - 1];
    if (channels > CR_MAX_CHANNELS)
        return cr_fail_at(e, CR_E_INPUT, path, 0, 0, 8, "%zu channels, but at most %d are read", channels,
                          CR_MAX_CHANNELS);
    if (height > CR_MAX_SIDE || width > CR_MAX_SIDE)
        return cr_fail_at(e, CR_E_INPUT, path, 0, 0, 4 * x.ndim - 4, "images of %zux%zu, but at most %dx%d are read",
                          height, width, CR_MAX_SIDE, CR_MAX_SIDE);
    shape[0] = (int)channels;
    shape[1] = (int)height;
    shape[2] = (int)width;
    return 0;
}

static int open_labels(struct cr_split *s, const char *folder, const char *split, const char *what, struct cr_error *e)
{
    struct cr_idx x;
    char path[PATH_BYTES];
    CR_TRY(open_file(&x, folder, split, what, label_names, s->label_file, path, e));
    s->labels = x.bytes;
    s->label_map = x.map;
    if (x.ndim != 1)
        return cr_fail_at(e, CR_E_INPUT, path, 0, 0, 3, "%d dimensions, but labels have 1", x.ndim);
    if (x.dims[0] != s->count)
        return cr_fail_at(e, CR_E_INPUT, path, 0, 0, 4,
                          "%zu labels for %zu images: the two files do not belong together", x.dims[0], s->count);
    return 0;
}

/* classes.txt, a name a line, into d->class_names and d->classes; without the file, nothing. */
static int read_class_names(struct cr_data *d, struct cr_error *e)
{
    char path[PATH_BYTES];
    CR_TRY(path_in(path, d->path, "classes.txt", e));
    struct stat st;
    if (stat(path, &st) < 0 && errno == ENOENT) return 0;

    char *names = malloc(NAMES_BYTES + 2);
    d->class_names = names;
    if (!names) return cr_fail_at(e, CR_E_NOMEM, path, 0, 0, -1, "no memory for the names");
    const long read = cr_text_read(path, "the names of classes", names, NAMES_BYTES, e);
    if (read < 0) return (int)read;
    const size_t length = (size_t)read;
    if (length > NAMES_BYTES) return cr_fail_at(e, CR_E_INPUT, path, 0, 0, NAMES_BYTES, "more than 64 KiB of names");
    names[length] = '\n';

    /* Turn the lines into strings, in place: what is kept is never longer than what was read. */
    char *to = names;
    long line = 0;
    for (size_t at = 0; at < length;) {
        const char *const text = names + at;
        size_t n = 0;
        while (text[n] != '\n') n++;
        at += n + 1;
        line++;
        while (n > 0 && (text[n - 1] == '\r' || text[n - 1] == ' ')) n--;
        if (n == 0) return cr_fail_at(e, CR_E_INPUT, path, line, 0, -1, "a class without a name");
        for (size_t i = 0; i < n; i++)
            if ((unsigned char)text[i] < ' ')
                return cr_fail_at(e, CR_E_INPUT, path, line, (long)i + 1, -1, "a control character in a class name");
        memmove(to, text, n);
        to[n] = 0;
        to += n + 1;
    }
    if (line < 2 || line > CR_MAX_CLASSES)
        return cr_fail_at(e, CR_E_INPUT, path, line, 0, -1, "%ld classes, but 2 to %d are possible", line,
                          CR_MAX_CLASSES);
    d->classes = (int)line;
    return 0;
}

/* The names "0", "1", ... for as many classes as the training labels show. */
static int number_classes(struct cr_data *d, struct cr_error *e)
{
    int greatest = 1;
    for (size_t i = 0; i < d->train.count; i++)
        if (d->train.labels[i] > greatest) greatest = d->train.labels[i];
    d->classes = greatest + 1;
    d->class_names = malloc((size_t)d->classes * sizeof "255");
    if (!d->class_names) return cr_fail(e, CR_E_NOMEM, "no memory for the names of %d classes", d->classes);
    char *to = d->class_names;
    for (int k = 0; k < d->classes; k++) to += sprintf(to, "%d", k) + 1;
    return 0;
}

static int open_all(struct cr_data *d, const char *folder, struct cr_error *e)
{
    struct stat st;
    if (stat(folder, &st)) {
        if (errno != ENOENT && errno != ENOTDIR) return cr_file_fail(e, CR_E_IO, folder, "open this folder", errno);
        return cr_fail_at(e, CR_E_INPUT, folder, 0, 0, -1, "no such folder; %s", advice);
    }
    if (!S_ISDIR(st.st_mode))
        return cr_fail_at(e, CR_E_INPUT, folder, 0, 0, -1,
                          "not a folder; a data set is a folder with train-images-idx3-ubyte and its companions");
    if (strlen(folder) >= sizeof d->path)
        return cr_fail(e, CR_E_INPUT, "%.64s...: the folder's name is too long", folder);
    strcpy(d->path, folder);

    int train[3], test[3];
    CR_TRY(open_images(&d->train, train, folder, "train", "training images", e));
    CR_TRY(open_images(&d->test, test, folder, "t10k", "test images", e));
    if (memcmp(train, test, sizeof train) != 0)
        return cr_fail_at(e, CR_E_INPUT, folder, 0, 0, -1,
                          "training images are %dx%dx%d, but test images %dx%dx%d: they do not belong together",
                          train[0], train[1], train[2], test[0], test[1], test[2]);
    CR_TRY(open_labels(&d->train, folder, "train", "training labels", e));
    CR_TRY(open_labels(&d->test, folder, "t10k", "test labels", e));
    d->channels = train[0];
    d->height = train[1];
    d->width = train[2];
    CR_TRY(read_class_names(d, e));
    if (!d->class_names) CR_TRY(number_classes(d, e));
    return cr_data_check_classes(d, d->classes, e);
}

int cr_data_open(struct cr_data *d, const char *folder, struct cr_error *e)
{
    *d = (struct cr_data){.classes = 0};
    const int rc = open_all(d, folder, e);
    if (rc < 0) cr_data_close(d);
    return rc;
}

static void close_split(struct cr_split *s)
{
    cr_idx_close(&(struct cr_idx){.map = s->image_map});
    cr_idx_close(&(struct cr_idx){.map = s->label_map});
}

void cr_data_close(struct cr_data *d)
{
    close_split(&d->train);
    close_split(&d->test);
    free(d->class_names);
    *d = (struct cr_data){.classes = 0};
}

const char *cr_data_class_name(const struct cr_data *d, int k)
{
    const char *name = d->class_names;
    while (k-- > 0) name += strlen(name) + 1;
    return name;
}

int cr_data_check_classes(const struct cr_data *d, int classes, struct cr_error *e)
{
    enum { LABELS_AT = 8 }; /* bytes of header before the first label */
    const struct cr_split *const splits[] = {&d->train, &d->test};
    for (int k = 0; k < 2; k++) {
        const struct cr_split *const s = splits[k];
        for (size_t i = 0; i < s->count; i++) {
            if (s->labels[i] < classes) continue;
            char path[PATH_BYTES];
            CR_TRY(path_in(path, d->path, s->label_file, e));
            return cr_fail_at(e, CR_E_INPUT, path, 0, 0, (long long)(LABELS_AT + i),
                              "label %d of image %zu is out of range: there are %d classes, 0 to %d", s->labels[i], i,
                              classes, classes - 1);
        }
    }
    return 0;
}
