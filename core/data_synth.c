/* The synthetic digits: a pen passes the points of a shape (core/data_synth_shapes.c) in a hand that jitters, slants,
 * stretches and bends, leaves ink of some width, and a scanner adds noise.
 *
 * Image i of a split is a function of (seed, split, i) alone: any number of threads draws the same bytes. Only
 * additions, multiplications, divisions and square roots of IEEE single precision are used, one at a time, so every
 * machine draws them too. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/data.h"
#include "core/data_synth_shapes.h"
#include "core/file.h"
#include "core/rng.h"

enum { SIDE = 28, PIXELS = SIDE * SIDE, STEPS = 6 /* straight pieces of a curve from point to point */ };
enum { GRID = 4, MAX_SEGMENTS = CR_SHAPE_POINTS * STEPS };

struct point {
    float x, y;
};

/* The hand that writes one image: a stream of random words of its own. */
struct hand {
    uint64_t seed, image, next;
    uint32_t word[4];
    unsigned left;
};

static uint32_t draw_word(struct hand *h)
{
    if (h->left == 0) {
        cr_random(h->seed, CR_RNG_SYNTH, h->image, h->next++, h->word);
        h->left = 4;
    }
    return h->word[--h->left];
}

static float between(struct hand *h, float low, float high)
{
    return low + (high - low) * cr_unit(draw_word(h));
}

/* Between -width and width, mostly in the middle: the sum of two. */
static float around(struct hand *h, float width)
{
    const float a = between(h, -0.5f, 0.5f), b = between(h, -0.5f, 0.5f);
    return (a + b) * width;
}

/* A smooth field of displacements: random at GRID x GRID knots over the image, in between interpolated. */
struct field {
    struct point knot[GRID][GRID];
};

static struct field draw_field(struct hand *h, float width)
{
    struct field f;
    for (int y = 0; y < GRID; y++)
        for (int x = 0; x < GRID; x++) {
            f.knot[y][x].x = around(h, width);
            f.knot[y][x].y = around(h, width);
        }
    return f;
}

/* Which knot is before the coordinate, and how far beyond it, eased (3t^2 - 2t^3) so that the field has no kinks. */
static int knot_before(float coordinate, float *eased)
{
    float at = coordinate * (float)(GRID - 1) / (float)SIDE;
    at = at < 0 ? 0 : at > (float)(GRID - 1) ? (float)(GRID - 1) : at;
    int knot = (int)at;
    if (knot > GRID - 2) knot = GRID - 2;
    const float t = at - (float)knot;
    *eased = t * t * (3 - 2 * t);
    return knot;
}

static float mix(float a, float b, float t)
{
    return a + (b - a) * t;
}

static struct point bend(const struct field *f, struct point p)
{
    float tx, ty;
    const int x = knot_before(p.x, &tx), y = knot_before(p.y, &ty);
    const struct point *const above = &f->knot[y][x], *const below = &f->knot[y + 1][x];
    p.x += mix(mix(above[0].x, above[1].x, tx), mix(below[0].x, below[1].x, tx), ty);
    p.y += mix(mix(above[0].y, above[1].y, tx), mix(below[0].y, below[1].y, tx), ty);
    return p;
}

/* From the box of the shapes to the image: stretch, slant, turn, move. */
struct placement {
    float xx, xy, yx, yy;
    struct point centre;
};

static struct placement draw_placement(struct hand *h)
{
    const float size = between(h, 0.155f, 0.205f); /* pixels per unit of a shape: 16 to 21 pixels high */
    const float stretch = between(h, 0.7f, 1.3f), slant = 0.12f + around(h, 0.55f), turn = around(h, 0.35f);
    const float length = sqrtf(1 + turn * turn), cosine = size / length, sine = cosine * turn;
    struct placement m;
    m.xx = cosine * stretch;
    m.xy = -cosine * slant - sine;
    m.yx = sine * stretch;
    m.yy = cosine - sine * slant;
    m.centre.x = 0.5f * (float)SIDE + around(h, 3);
    m.centre.y = 0.5f * (float)SIDE + around(h, 3);
    return m;
}

static struct point place(const struct placement *m, float x, float y)
{
    const float u = x - 30, v = y - 50; /* the middle of the box */
    return (struct point){m->centre.x + (m->xx * u + m->xy * v), m->centre.y + (m->yx * u + m->yy * v)};
}

/* The Catmull-Rom curve from b to c, with a before and d after them. */
static float spline(float a, float b, float c, float d, float t)
{
    const float slope_b = 0.5f * (c - a), slope_c = 0.5f * (d - b), rise = c - b;
    const float cubic = slope_b + slope_c - 2 * rise, square = 3 * rise - 2 * slope_b - slope_c;
    return b + t * (slope_b + t * (square + t * cubic));
}

/* Squared distances from every pixel to the nearest ink line; farther than REACH is not looked at. */
static const float REACH = 4;

static void draw_segment(float distance2[PIXELS], struct point a, struct point b)
{
    const float dx = b.x - a.x, dy = b.y - a.y, length2 = dx * dx + dy * dy;
    const float scale = length2 > 1e-6f ? 1 / length2 : 0;
    const float left = (a.x < b.x ? a.x : b.x) - REACH, right = (a.x > b.x ? a.x : b.x) + REACH;
    const float top = (a.y < b.y ? a.y : b.y) - REACH, bottom = (a.y > b.y ? a.y : b.y) + REACH;
    const int x0 = left > 0 ? (int)left : 0, x1 = right < (float)SIDE ? (int)right : SIDE - 1;
    const int y0 = top > 0 ? (int)top : 0, y1 = bottom < (float)SIDE ? (int)bottom : SIDE - 1;
    for (int y = y0; y <= y1; y++)
        for (int x = x0; x <= x1; x++) {
            const float px = (float)x + 0.5f - a.x, py = (float)y + 0.5f - a.y;
            float t = (px * dx + py * dy) * scale;
            t = t < 0 ? 0 : t > 1 ? 1 : t;
            const float ex = px - t * dx, ey = py - t * dy, d2 = ex * ex + ey * ey;
            float *const nearest = &distance2[y * SIDE + x];
            if (d2 < *nearest) *nearest = d2;
        }
}

static void draw_shape(float distance2[PIXELS], struct hand *h, const struct cr_shape_style *s)
{
    const struct placement m = draw_placement(h);
    const struct field f = draw_field(h, 2.7f);
    const float jitter = between(h, 3, 9);
    struct point p[CR_SHAPE_POINTS];
    for (int i = 0; i < s->points; i++) {
        const float x = (float)s->point[i].x + around(h, jitter), y = (float)s->point[i].y + around(h, jitter);
        p[i] = place(&m, x, y);
    }

    for (int i = 0; i + 1 < s->points; i++) {
        if (s->point[i].pen == CR_PEN_LIFT) continue;
        const int starts = i == 0 || s->point[i - 1].pen == CR_PEN_LIFT || s->point[i].pen == CR_PEN_CORNER;
        const int ends = s->point[i + 1].pen != CR_PEN_THROUGH;
        const struct point a = p[starts ? i : i - 1], b = p[i], c = p[i + 1], d = p[ends ? i + 1 : i + 2];
        struct point from = bend(&f, b);
        for (int k = 1; k <= STEPS; k++) {
            const float t = (float)k * (1.0f / STEPS);
            struct point to = {spline(a.x, b.x, c.x, d.x, t), spline(a.y, b.y, c.y, d.y, t)};
            to = bend(&f, to);
            draw_segment(distance2, from, to);
            from = to;
        }
    }
}

/* Ink: full inside the pen's radius, fading over about a pixel outside. The pen presses harder on one side. */
static void ink(uint8_t image[PIXELS], const float distance2[PIXELS], struct hand *h)
{
    const float radius = between(h, 0.45f, 1.7f), edge = between(h, 0.8f, 1.6f), strength = between(h, 170, 255);
    const float lean_x = around(h, 0.025f), lean_y = around(h, 0.025f); /* per pixel */
    const float noise = between(h, 0, 50);
    uint32_t bits = 0;
    for (int i = 0; i < PIXELS; i++) {
        const float x = (float)(i % SIDE - SIDE / 2), y = (float)(i / SIDE - SIDE / 2);
        const float pressure = radius * (1 + lean_x * x + lean_y * y);
        float level = (pressure - sqrtf(distance2[i])) / edge + 0.5f;
        level = level < 0 ? 0 : level > 1 ? 1 : level;

        if (i % 2 == 0) bits = draw_word(h);
        const float grain = (float)(bits & 0xff) + (float)(bits >> 8 & 0xff) - 255; /* -255..255, mostly near 0 */
        bits >>= 16;
        float value = level * strength + grain * (1 / 255.0f) * noise;
        value = value < 0 ? 0 : value > 255 ? 255 : value;
        image[i] = (uint8_t)value;
    }
}

/* Labels: every ten images hold each digit once, in random order. */
static uint8_t label_of(uint64_t seed, uint64_t image)
{
    struct cr_permutation p;
    cr_permutation_init(&p, 10, seed, CR_RNG_SYNTH, UINT64_MAX - image / 10); /* no image has that number */
    return (uint8_t)cr_permute(&p, image % 10);
}

static void draw_image(uint8_t image[PIXELS], uint8_t *label, uint64_t seed, uint64_t number)
{
    struct hand h = {.seed = seed, .image = number};
    *label = label_of(seed, number);
    float distance2[PIXELS];
    for (int i = 0; i < PIXELS; i++) distance2[i] = REACH * REACH;
    draw_shape(distance2, &h, &cr_digit_shapes[*label][draw_word(&h) % CR_SHAPE_STYLES]);
    ink(image, distance2, &h);
}

static int write_split(struct cr_file *images, struct cr_file *labels, uint64_t seed, uint64_t first, size_t count,
                       struct cr_error *e)
{
    uint8_t *pixels = malloc(count * PIXELS + count);
    if (!pixels) return cr_fail(e, CR_E_NOMEM, "no memory to draw %zu digits", count);
    uint8_t *const digit = pixels + count * PIXELS;
#pragma omp parallel for schedule(static)
    for (size_t i = 0; i < count; i++) draw_image(pixels + i * PIXELS, digit + i, seed, first + i);

    int rc = cr_idx_put(images, (const size_t[]){count, SIDE, SIDE}, 3, pixels, e);
    if (!rc) rc = cr_idx_put(labels, &count, 1, digit, e);
    free(pixels);
    return rc;
}

int cr_synth_write(const char *folder, uint64_t seed, size_t train, size_t test, struct cr_error *e)
{
    static const char *const names[4] = {"train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte",
                                         "t10k-labels-idx1-ubyte"};
    const uint64_t test_from = (uint64_t)1 << 32; /* test images have numbers of their own, however many train */
    if (train < 1 || test < 1 || train > UINT32_MAX || test > UINT32_MAX)
        return cr_fail(e, CR_E_USAGE, "%zu + %zu synthetic digits cannot be drawn: 1 to 4294967295 each", train, test);
    CR_TRY(cr_file_mkdirs(folder, e));

    struct cr_file file[4];
    int open = 0, rc = 0;
    for (; open < 4 && !rc; open += !rc) {
        char path[sizeof file->path];
        if (snprintf(path, sizeof path, "%s/%s", folder, names[open]) >= (int)sizeof path)
            rc = cr_fail(e, CR_E_INPUT, "%.64s...: the folder's name is too long", folder);
        else
            rc = cr_file_create(&file[open], path, e);
    }
    if (!rc) rc = write_split(&file[0], &file[1], seed, 0, train, e);
    if (!rc) rc = write_split(&file[2], &file[3], seed, test_from, test, e);
    /* All four are complete before the first is put in place. */
    int placed = 0;
    while (!rc && placed < open) rc = cr_file_commit(&file[placed++], e);
    while (placed < open) cr_file_discard(&file[placed++]);
    return rc;
}
