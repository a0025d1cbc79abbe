/* PGM and PPM, the simplest picture files: a letter and a digit, width, height, greatest value, then the values, as
 * text (P2, P3) or as bytes (P5, P6; two bytes, high first, when the greatest value is above 255). */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/data.h"
#include "core/file.h"

enum { SIDE_MAX = 1 << 14, VALUE_MAX = 65535 };

struct reader {
    FILE *file;
    const char *path;
    long long at; /* byte of the file that comes next */
};

static int next(struct reader *r)
{
    const int c = getc(r->file);
    if (c != EOF) r->at++;
    return c;
}

static int is_blank(int c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static int cut_off(const struct reader *r, struct cr_error *e)
{
    if (ferror(r->file)) return cr_file_fail(e, CR_E_IO, r->path, "read this file", EIO);
    return cr_fail_at(e, CR_E_INPUT, r->path, 0, 0, r->at, "the picture ends here, before its last pixel");
}

/* A decimal number of at most `most`, after blanks and # comments; takes the one blank that ends it too. */
static int number(struct reader *r, const char *what, int most, int *out, struct cr_error *e)
{
    int c = next(r);
    while (is_blank(c) || c == '#') {
        if (c == '#')
            while (c != '\n' && c != EOF) c = next(r);
        c = next(r);
    }
    if (c == EOF) return cut_off(r, e);
    if (c < '0' || c > '9')
        return cr_fail_at(e, CR_E_INPUT, r->path, 0, 0, r->at - 1, "here should be a number, the %s", what);
    const long long from = r->at - 1;
    int value = 0;
    for (; c >= '0' && c <= '9'; c = next(r)) {
        value = value * 10 + (c - '0');
        if (value > most)
            return cr_fail_at(e, CR_E_INPUT, r->path, 0, 0, from, "the %s is above %d", what, most);
    }
    if (c != EOF && !is_blank(c))
        return cr_fail_at(e, CR_E_INPUT, r->path, 0, 0, r->at - 1, "a blank should follow the %s", what);
    *out = value;
    return 0;
}

struct format {
    int text, channels, most;
};

static int value(struct reader *r, const struct format *f, int *out, struct cr_error *e)
{
    if (f->text) return number(r, "brightness", f->most, out, e);
    const int high = f->most > 255 ? next(r) : 0, low = next(r);
    if (high == EOF || low == EOF) return cut_off(r, e);
    *out = high << 8 | low;
    if (*out > f->most)
        return cr_fail_at(e, CR_E_INPUT, r->path, 0, 0, r->at - (f->most > 255 ? 2 : 1),
                          "a brightness of %d, but the picture's own greatest is %d", *out, f->most);
    return 0;
}

static int pixels(struct reader *r, const struct format *f, uint8_t *grey, size_t count, struct cr_error *e)
{
    for (size_t i = 0; i < count; i++) {
        int v[3];
        for (int c = 0; c < f->channels; c++) CR_TRY(value(r, f, &v[c], e));
        const int brightness = f->channels == 1 ? v[0] : (299 * v[0] + 587 * v[1] + 114 * v[2] + 500) / 1000;
        grey[i] = (uint8_t)((brightness * 255 + f->most / 2) / f->most);
    }
    return 0;
}

static int read_picture(struct reader *r, uint8_t **grey, int *width, int *height, struct cr_error *e)
{
    const int p = next(r), kind = next(r);
    if (p != 'P' || (kind != '2' && kind != '3' && kind != '5' && kind != '6'))
        return cr_fail_at(e, CR_E_INPUT, r->path, 0, 0, 0,
                          "not a PGM or PPM picture (P2, P3, P5 or P6): convert it, for instance with "
                          "`convert FILE -colorspace gray out.pgm`");
    struct format f = {.text = kind <= '3', .channels = kind == '3' || kind == '6' ? 3 : 1};
    CR_TRY(number(r, "width", SIDE_MAX, width, e));
    CR_TRY(number(r, "height", SIDE_MAX, height, e));
    CR_TRY(number(r, "greatest brightness", VALUE_MAX, &f.most, e));
    if (*width == 0 || *height == 0 || f.most == 0)
        return cr_fail_at(e, CR_E_INPUT, r->path, 0, 0, r->at, "width, height or greatest brightness is 0");
    const size_t count = (size_t)*width * (size_t)*height;
    *grey = malloc(count);
    if (!*grey) return cr_fail_at(e, CR_E_NOMEM, r->path, 0, 0, -1, "no memory for %d x %d pixels", *width, *height);
    const int rc = pixels(r, &f, *grey, count, e);
    if (rc < 0) {
        free(*grey);
        *grey = NULL;
    }
    return rc;
}

int cr_pnm_read(const char *path, uint8_t **grey, int *width, int *height, struct cr_error *e)
{
    *grey = NULL;
    struct reader r = {.file = fopen(path, "rb"), .path = path};
    if (!r.file) return cr_file_fail(e, errno == ENOENT ? CR_E_INPUT : CR_E_IO, path, "open this file", errno);
    const int rc = read_picture(&r, grey, width, height, e);
    fclose(r.file);
    return rc;
}
