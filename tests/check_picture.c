/* Pictures for `corering predict`: PGM and PPM as they come, broken ones, and the fit to the form of MNIST. */
#define _XOPEN_SOURCE 700
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/data.h"
#include "tests/suites.h"

static char path[64];

static void setup(void)
{
    strcpy(path, "/tmp/corering-picture-XXXXXX");
    const int fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    close(fd);
}

static void teardown(void)
{
    unlink(path);
}

static void put(const char *bytes, size_t n)
{
    FILE *f = fopen(path, "wb");
    ck_assert_ptr_nonnull(f);
    ck_assert_uint_eq(fwrite(bytes, 1, n, f), n);
    ck_assert_int_eq(fclose(f), 0);
}

#define BYTES(literal) literal, sizeof literal - 1

static const struct {
    const char *bytes;
    size_t n;
    int width, height;
    uint8_t grey[4];
} good[] = {
    {BYTES("P5 2 2 255\n\x00\x01\x80\xff"), 2, 2, {0, 1, 128, 255}},
    {BYTES("P5\n# made by hand\n2 # wide\n1\n255\n##"), 2, 1, {'#', '#'}}, /* pixels that look like comments */
    {BYTES("P5 1 1 255\n\n"), 1, 1, {10}},                                 /* or like blanks */
    {BYTES("P5 2 1 1\n\x00\x01"), 2, 1, {0, 255}},
    {BYTES("P5 2 1 65535\n\xff\xff\x80\x00"), 2, 1, {255, 128}},
    {BYTES("P2 2 2 15\n0 5\n10 15\n"), 2, 2, {0, 85, 170, 255}},
    {BYTES("P2\t2\r\n1 255 7 # seven\n8"), 2, 1, {7, 8}},
    {BYTES("P6 4 1 255\n\xff\x00\x00\x00\xff\x00\x00\x00\xff\xff\xff\xff"), 4, 1, {76, 150, 29, 255}},
    {BYTES("P3 1 1 100\n100 100 100\n"), 1, 1, {255}},
};

START_TEST(reads)
{
    uint8_t *grey;
    int width, height;
    struct cr_error e;
    put(good[_i].bytes, good[_i].n);
    ck_assert_msg(cr_pnm_read(path, &grey, &width, &height, &e) == 0, "%s", e.text);
    ck_assert_int_eq(width, good[_i].width);
    ck_assert_int_eq(height, good[_i].height);
    ck_assert_mem_eq(grey, good[_i].grey, (size_t)(width * height));
    free(grey);
}
END_TEST

static const struct {
    const char *bytes;
    size_t n;
    long long byte;
    const char *says;
} broken[] = {
    {BYTES(""), 0, "not a PGM"},
    {BYTES("P"), 0, "not a PGM"},
    {BYTES("P4 1 1 x"), 0, "not a PGM"},
    {BYTES("\x89PNG\r\n"), 0, "not a PGM"},
    {BYTES("P5"), 2, "ends here"},
    {BYTES("P5 x"), 3, "width"},
    {BYTES("P5 -5 5 255\n"), 3, "width"},
    {BYTES("P5 16385 1 255\n"), 3, "above 16384"},
    {BYTES("P5 99999999999999999999 1 255\n"), 3, "above 16384"},
    {BYTES("P5 1 1 65536\n\x00\x00"), 7, "above 65535"},
    {BYTES("P5 0 1 255\n"), 11, "is 0"},
    {BYTES("P5 1 1 0\n\x00"), 9, "is 0"},
    {BYTES("P5 2 2 255\n\x00\x01\x80"), 14, "ends here"},
    {BYTES("P5 1 1 256\n\x01"), 12, "ends here"},
    {BYTES("P5 1 1 100\n\x65"), 11, "brightness of 101"},
    {BYTES("P5 1 1 256\n\x01\x01"), 11, "brightness of 257"},
    {BYTES("P2 1 1 15\n16\n"), 10, "above 15"},
    {BYTES("P2 2 1 15\n1x 2\n"), 11, "blank"},
    {BYTES("P2 2 1 15\n1\n"), 12, "ends here"},
    {BYTES("P5 1 # no end"), 13, "ends here"},
};

START_TEST(refuses)
{
    uint8_t *grey;
    int width, height;
    struct cr_error e;
    put(broken[_i].bytes, broken[_i].n);
    ck_assert_int_eq(cr_pnm_read(path, &grey, &width, &height, &e), -CR_E_INPUT);
    ck_assert_ptr_null(grey);
    ck_assert_str_eq(e.file, path);
    ck_assert_msg(e.byte == broken[_i].byte && strstr(e.text, broken[_i].says), "byte %lld: %s", e.byte, e.text);
}
END_TEST

START_TEST(missing_file)
{
    uint8_t *grey;
    int width, height;
    struct cr_error e;
    ck_assert_int_eq(cr_pnm_read("/nowhere/x.pgm", &grey, &width, &height, &e), -CR_E_INPUT);
    ck_assert_ptr_nonnull(strstr(e.text, "/nowhere/x.pgm"));
}
END_TEST

enum { SIDE = 28, PIXELS = SIDE * SIDE, WIDE = 120, HIGH = 90 };

/* A thick L, light on dark, far from the middle of its paper. */
static void draw(uint8_t picture[WIDE * HIGH], int paper, int ink)
{
    memset(picture, paper, WIDE * HIGH);
    for (int y = 10; y < 70; y++)
        for (int x = 60; x < 90; x++)
            if (x < 70 || y >= 60) picture[y * WIDE + x] = (uint8_t)ink;
}

struct extent {
    int left, right, top, bottom, greatest;
    double x, y; /* centre of mass, in pixels from the edge */
};

static struct extent extent_of(const uint8_t image[PIXELS])
{
    struct extent b = {.left = SIDE, .right = -1, .top = SIDE, .bottom = -1};
    double mass = 0;
    for (int y = 0; y < SIDE; y++)
        for (int x = 0; x < SIDE; x++) {
            const int v = image[y * SIDE + x];
            if (!v) continue;
            if (x < b.left) b.left = x;
            if (x > b.right) b.right = x;
            if (y < b.top) b.top = y;
            if (y > b.bottom) b.bottom = y;
            if (v > b.greatest) b.greatest = v;
            mass += v;
            b.x += v * (x + 0.5);
            b.y += v * (y + 0.5);
        }
    b.x /= mass;
    b.y /= mass;
    return b;
}

START_TEST(fits_like_mnist)
{
    static uint8_t picture[WIDE * HIGH], image[PIXELS];
    int inverted, resized;
    draw(picture, 0, 255);
    cr_image_fit(picture, WIDE, HIGH, image, SIDE, SIDE, &inverted, &resized);
    ck_assert_int_eq(inverted, 0);
    ck_assert_int_eq(resized, 1);
    const struct extent b = extent_of(image);
    ck_assert_int_eq(b.bottom - b.top + 1, 20); /* 60 high and 30 wide: the height fills the box */
    ck_assert_int_eq(b.right - b.left + 1, 10);
    ck_assert_int_eq(b.greatest, 255);
    ck_assert_msg(b.x > 13.45 && b.x < 14.55 && b.y > 13.45 && b.y < 14.55, "centre of mass (%g, %g)", b.x, b.y);
    ck_assert_int_eq(image[b.top * SIDE + b.left], 255); /* the L stands upright */
    ck_assert_int_eq(image[b.top * SIDE + b.right], 0);
    ck_assert_int_eq(image[b.bottom * SIDE + b.right], 255);
}
END_TEST

START_TEST(negative_is_the_same)
{
    static uint8_t light[WIDE * HIGH], dark[WIDE * HIGH], a[PIXELS], b[PIXELS];
    int inverted;
    draw(light, 40, 200); /* grey ink on paper that is not quite black */
    for (int i = 0; i < WIDE * HIGH; i++) dark[i] = (uint8_t)(255 - light[i]);
    cr_image_fit(light, WIDE, HIGH, a, SIDE, SIDE, &inverted, NULL);
    ck_assert_int_eq(inverted, 0);
    cr_image_fit(dark, WIDE, HIGH, b, SIDE, SIDE, &inverted, NULL);
    ck_assert_int_eq(inverted, 1);
    ck_assert_mem_eq(a, b, PIXELS);
    draw(light, 0, 255);
    cr_image_fit(light, WIDE, HIGH, b, SIDE, SIDE, NULL, NULL);
    ck_assert_mem_eq(a, b, PIXELS); /* and the levels of paper and ink do not matter */
}
END_TEST

START_TEST(right_size_is_left_alone)
{
    static uint8_t light[PIXELS], dark[PIXELS], out[PIXELS];
    int inverted, resized;
    for (int y = 8; y < 20; y++)
        for (int x = 3; x < 9; x++) light[y * SIDE + x] = (uint8_t)(100 + x * y % 50);
    for (int i = 0; i < PIXELS; i++) dark[i] = (uint8_t)(255 - light[i]);
    cr_image_fit(light, SIDE, SIDE, out, SIDE, SIDE, &inverted, &resized);
    ck_assert(!inverted && !resized);
    ck_assert_mem_eq(out, light, PIXELS);
    cr_image_fit(dark, SIDE, SIDE, out, SIDE, SIDE, &inverted, &resized);
    ck_assert(inverted && !resized);
    ck_assert_mem_eq(out, light, PIXELS);
}
END_TEST

/* Area averaging: shrunk to half, each pixel is the mean of four. */
START_TEST(averages_areas)
{
    static uint8_t big[48 * 48], image[PIXELS];
    for (int y = 4; y < 44; y++)
        for (int x = 4; x < 44; x++) big[y * 48 + x] = (uint8_t)((x + y) % 2 || (x < 24 && y < 24) ? 255 : 65);
    cr_image_fit(big, 48, 48, image, SIDE, SIDE, NULL, NULL);
    const struct extent b = extent_of(image);
    ck_assert_int_eq(b.right - b.left, 19);
    ck_assert_int_eq(image[b.top * SIDE + b.left], 255);
    ck_assert_int_eq(image[b.bottom * SIDE + b.right], (255 + 255 + 65 + 65) / 4);
}
END_TEST

/* Pictures with nothing on them, of one pixel, of one line: something sensible, nothing out of bounds. */
START_TEST(odd_pictures)
{
    static uint8_t picture[300 * 300], image[PIXELS];
    static const uint8_t zero[PIXELS];
    static const int size[][2] = {{1, 1}, {2, 2}, {1, 300}, {300, 1}, {3, 300}, {300, 300}, {27, 28}};
    for (size_t k = 0; k < sizeof size / sizeof *size; k++)
        for (int v = 0; v < 256; v += 255) {
            memset(picture, v, sizeof picture);
            cr_image_fit(picture, size[k][0], size[k][1], image, SIDE, SIDE, NULL, NULL);
            ck_assert_mem_eq(image, zero, PIXELS);
        }
    memset(picture, 0, sizeof picture);
    picture[1 * 3 + 1] = 9; /* one faint dot, far smaller than the box */
    cr_image_fit(picture, 3, 300, image, SIDE, SIDE, NULL, NULL);
    const struct extent b = extent_of(image);
    ck_assert_int_eq(b.greatest, 255);
    ck_assert_int_eq(b.right - b.left, 19);
    ck_assert_int_eq(b.bottom - b.top, 19);
}
END_TEST

Suite *picture_suite(void)
{
    Suite *s = suite_create("picture");
    TCase *tc = tcase_create("pnm");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_loop_test(tc, reads, 0, (int)(sizeof good / sizeof *good));
    tcase_add_loop_test(tc, refuses, 0, (int)(sizeof broken / sizeof *broken));
    tcase_add_test(tc, missing_file);
    suite_add_tcase(s, tc);
    tc = tcase_create("fit");
    tcase_add_test(tc, fits_like_mnist);
    tcase_add_test(tc, negative_is_the_same);
    tcase_add_test(tc, right_size_is_left_alone);
    tcase_add_test(tc, averages_areas);
    tcase_add_test(tc, odd_pictures);
    suite_add_tcase(s, tc);
    return s;
}
