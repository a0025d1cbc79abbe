/* Making any picture of a digit look like those of MNIST: light on dark, of the size and in the place MNIST has them
 * (LeCun et al.: scaled into a 20x20 box with its proportions kept, placed in 28x28 by its centre of mass). All in
 * integers, so a picture and its negative give the same bytes. */
#include <string.h>

#include "core/data.h"

struct picture {
    const uint8_t *grey;
    int width, height;
    int inverted;
    int ground; /* brightness of the paper, after inversion */
    int x, y, w, h; /* the part that is drawn on */
};

static int brightness(const struct picture *p, int x, int y)
{
    const int v = p->grey[(size_t)y * (size_t)p->width + (size_t)x];
    return p->inverted ? 255 - v : v;
}

/* Compare the outermost pixels with all others: a digit touches the border little. */
static void find_ground(struct picture *p)
{
    uint64_t border = 0, inside = 0, border_count = 0, inside_count = 0;
    p->inverted = 0;
    for (int y = 0; y < p->height; y++)
        for (int x = 0; x < p->width; x++) {
            const uint64_t v = (uint64_t)brightness(p, x, y);
            if (x == 0 || y == 0 || x == p->width - 1 || y == p->height - 1) {
                border += v;
                border_count++;
            } else {
                inside += v;
                inside_count++;
            }
        }
    p->inverted = border * inside_count > inside * border_count;
    if (p->inverted) border = 255 * border_count - border;
    p->ground = (int)((border + border_count / 2) / border_count);
}

/* The smallest box around what is clearly ink: above a quarter of the way from the ground to the brightest pixel.
 * Returns 0 when there is none. */
static int find_ink(struct picture *p)
{
    int brightest = 0;
    for (int y = 0; y < p->height; y++)
        for (int x = 0; x < p->width; x++)
            if (brightness(p, x, y) > brightest) brightest = brightness(p, x, y);
    if (brightest <= p->ground) return 0;
    const int least = p->ground + (brightest - p->ground) / 4;
    int left = p->width, right = -1, top = p->height, bottom = -1;
    for (int y = 0; y < p->height; y++)
        for (int x = 0; x < p->width; x++) {
            if (brightness(p, x, y) <= least) continue;
            if (x < left) left = x;
            if (x > right) right = x;
            if (y < top) top = y;
            bottom = y;
        }
    p->x = left;
    p->y = top;
    p->w = right - left + 1;
    p->h = bottom - top + 1;
    return 1;
}

/* Mean of the ink in cell (x, y) of the box cut into columns x rows, in 1/256: pixels that are partly inside count in
 * part. Lengths in units of 1/columns and 1/rows of a pixel are whole numbers. */
static uint64_t cell_mean(const struct picture *p, int x, int y, int columns, int rows)
{
    const int64_t left = (int64_t)x * p->w, right = left + p->w, top = (int64_t)y * p->h, bottom = top + p->h;
    uint64_t sum = 0;
    for (int64_t sy = top / rows; sy * rows < bottom; sy++) {
        const int64_t y0 = sy * rows > top ? sy * rows : top, y1 = (sy + 1) * rows < bottom ? (sy + 1) * rows : bottom;
        for (int64_t sx = left / columns; sx * columns < right; sx++) {
            const int64_t x0 = sx * columns > left ? sx * columns : left;
            const int64_t x1 = (sx + 1) * columns < right ? (sx + 1) * columns : right;
            const int v = brightness(p, p->x + (int)sx, p->y + (int)sy) - p->ground;
            if (v > 0) sum += (uint64_t)v * (uint64_t)(x1 - x0) * (uint64_t)(y1 - y0);
        }
    }
    return 256 * sum / ((uint64_t)p->w * (uint64_t)p->h);
}

/* a * b / c, rounded, but at least 1. */
static int scaled(int a, int b, int c)
{
    const int64_t n = ((int64_t)a * b * 2 + c) / ((int64_t)c * 2);
    return n < 1 ? 1 : (int)n;
}

/* Where `length` cells must begin so that their centre of mass is in the middle of `space`, staying inside it.
 * moment = sum of mass * (2 * position + 1). */
static int centred(uint64_t mass, uint64_t moment, int length, int space)
{
    const int64_t twice = 2 * (int64_t)mass;
    const int64_t from = (int64_t)mass * (space + 1) - (int64_t)moment; /* (space/2 - centre + 1/2) * 2 * mass */
    const int64_t at = from < 0 ? 0 : from / twice;
    return at > space - length ? space - length : (int)at;
}

static void fit(const struct picture *p, uint8_t *out, int out_width, int out_height)
{
    const int box_w = scaled(out_width, 20, 28), box_h = scaled(out_height, 20, 28);
    const int wide = (int64_t)p->w * box_h > (int64_t)p->h * box_w; /* the width is what limits the scale */
    int columns = wide ? box_w : scaled(p->w, box_h, p->h), rows = wide ? scaled(p->h, box_w, p->w) : box_h;
    if (columns > box_w) columns = box_w;
    if (rows > box_h) rows = box_h;

    uint64_t mass = 0, moment_x = 0, moment_y = 0, greatest = 0;
    for (int y = 0; y < rows; y++)
        for (int x = 0; x < columns; x++) {
            const uint64_t v = cell_mean(p, x, y, columns, rows);
            mass += v;
            moment_x += v * (uint64_t)(2 * x + 1);
            moment_y += v * (uint64_t)(2 * y + 1);
            if (v > greatest) greatest = v;
        }
    if (greatest == 0) return;
    const int x0 = centred(mass, moment_x, columns, out_width), y0 = centred(mass, moment_y, rows, out_height);
    for (int y = 0; y < rows; y++)
        for (int x = 0; x < columns; x++)
            out[(size_t)(y0 + y) * (size_t)out_width + (size_t)(x0 + x)] =
                (uint8_t)((cell_mean(p, x, y, columns, rows) * 255 + greatest / 2) / greatest);
}

void cr_image_fit(const uint8_t *grey, int width, int height, uint8_t *out, int out_width, int out_height,
                  int *inverted, int *resized)
{
    struct picture p = {.grey = grey, .width = width, .height = height};
    find_ground(&p);
    const int resize = width != out_width || height != out_height;
    const size_t pixels = (size_t)out_width * (size_t)out_height;
    memset(out, 0, pixels);
    if (!resize)
        for (size_t i = 0; i < pixels; i++) out[i] = p.inverted ? (uint8_t)(255 - grey[i]) : grey[i];
    else if (find_ink(&p))
        fit(&p, out, out_width, out_height);
    if (inverted) *inverted = p.inverted;
    if (resized) *resized = resize;
}
