/* Data sets: good ones read right, plain and gzip'd; hostile ones refused with the file and the byte; normalisation
 * against a plain two-pass oracle. */
#define _XOPEN_SOURCE 700
#include <check.h>
#include <fcntl.h>
#include <ftw.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/data.h"
#include "core/data_gzip.h"
#include "tests/suites.h"
#include "tests/values.h"

/* ---- a folder of its own for every test */

static char folder[64];

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *at)
{
    (void)st, (void)type, (void)at;
    return remove(path);
}

static void setup(void)
{
    strcpy(folder, "/tmp/corering-data-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
}

static void teardown(void)
{
    nftw(folder, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

static const char *in_folder(const char *name)
{
    static char path[256];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static void put(const char *name, const void *bytes, size_t n)
{
    FILE *f = fopen(in_folder(name), "wb");
    ck_assert_ptr_nonnull(f);
    ck_assert_uint_eq(fwrite(bytes, 1, n, f), n);
    ck_assert_int_eq(fclose(f), 0);
}

/* ---- gzip (RFC 1952) of up to 65,535 bytes, stored, written out here so that no other program is needed */

static uint32_t crc32_of(const uint8_t *p, size_t n)
{
    uint32_t crc = 0xffffffff;
    for (size_t i = 0; i < n; i++) {
        crc ^= p[i];
        for (int bit = 0; bit < 8; bit++) crc = crc >> 1 ^ (crc & 1 ? 0xedb88320 : 0);
    }
    return ~crc;
}

enum { GZIP_EXTRA = 10 + 5 + 8 };

static size_t gzip_of(uint8_t *out, const uint8_t *bytes, size_t n)
{
    static const uint8_t head[10] = {0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3};
    const uint32_t crc = crc32_of(bytes, n);
    memcpy(out, head, 10);
    out[10] = 1; /* last block, stored */
    out[11] = (uint8_t)n;
    out[12] = (uint8_t)(n >> 8);
    out[13] = (uint8_t)~out[11];
    out[14] = (uint8_t)~out[12];
    memcpy(out + 15, bytes, n);
    for (int i = 0; i < 4; i++) {
        out[15 + n + (size_t)i] = (uint8_t)(crc >> 8 * i);
        out[19 + n + (size_t)i] = (uint8_t)(n >> 8 * i);
    }
    return n + GZIP_EXTRA;
}

static void put_gzip(const char *name, const uint8_t *bytes, size_t n)
{
    static uint8_t packed[65535 + GZIP_EXTRA];
    put(name, packed, gzip_of(packed, bytes, n));
}

/* ---- one IDX file */

#define BYTES(literal) (const uint8_t *)literal, sizeof literal - 1

static const struct {
    const uint8_t *bytes;
    size_t n;
    long long byte;
    const char *says;
} hostile[] = {
    {BYTES(""), 0, "ends before"},
    {BYTES("\0\0\x08"), 3, "ends before"},
    {BYTES("<htm"), 0, "not an IDX file"},
    {BYTES("\0\1\x08\1\0\0\0\1x"), 0, "not an IDX file"},
    {BYTES("\0\0\x0d\1\0\0\0\1xxxx"), 2, "32-bit floats"},
    {BYTES("\0\0\x77\1\0\0\0\1x"), 2, "not an IDX file"},
    {BYTES("\0\0\x08\0"), 3, "0 dimensions"},
    {BYTES("\0\0\x08\5\0\0\0\1\0\0\0\1\0\0\0\1\0\0\0\1\0\0\0\1x"), 3, "5 dimensions"},
    {BYTES("\0\0\x08\2\0\0\0\1\0\0"), 10, "ends before"},
    {BYTES("\0\0\x08\2\0\0\0\1\0\0\0\0"), 8, "holds nothing"},
    {BYTES("\0\0\x08\4\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"), 8, "memory"},
    {BYTES("\0\0\x08\1\0\0\0\3ab"), 10, "promises 11 bytes"},
    {BYTES("\0\0\x08\1\0\0\0\3abcd"), 11, "goes on"},
};

static void check_refused(const char *name, int i)
{
    struct cr_idx x;
    struct cr_error e;
    ck_assert_int_eq(cr_idx_open(&x, in_folder(name), &e), -CR_E_INPUT);
    ck_assert_ptr_null(x.map);
    ck_assert_str_eq(e.file, in_folder(name));
    ck_assert_msg(e.byte == hostile[i].byte && strstr(e.text, hostile[i].says), "%s (byte %lld)", e.text, e.byte);
}

START_TEST(hostile_idx)
{
    put("x", hostile[_i].bytes, hostile[_i].n);
    check_refused("x", _i);
}
END_TEST

START_TEST(hostile_idx_in_gzip)
{
    put_gzip("x.gz", hostile[_i].bytes, hostile[_i].n);
    check_refused("x.gz", _i);
}
END_TEST

START_TEST(idx_round_trip)
{
    static const size_t dims[4] = {2, 3, 5, 7};
    uint8_t bytes[210];
    for (int i = 0; i < 210; i++) bytes[i] = (uint8_t)(i * 37);
    size_t values = 1;
    for (int ndim = 1; ndim <= 4; ndim++) {
        struct cr_idx x;
        struct cr_error e;
        values *= dims[ndim - 1];
        ck_assert_int_eq(cr_idx_write(in_folder("x"), dims, ndim, bytes, &e), 0);
        ck_assert_msg(cr_idx_open(&x, in_folder("x"), &e) == 0, "%s", e.text);
        ck_assert_int_eq(x.ndim, ndim);
        ck_assert_mem_eq(x.dims, dims, (size_t)ndim * sizeof *dims);
        ck_assert_mem_eq(x.bytes, bytes, values);
        cr_idx_close(&x);
        ck_assert_ptr_null(x.map);
    }
}
END_TEST

START_TEST(idx_write_failure)
{
    struct cr_error e;
    ck_assert_int_eq(cr_idx_write(in_folder("no/x"), (size_t[]){1}, 1, (const uint8_t *)"a", &e), -CR_E_IO);
    ck_assert_ptr_nonnull(strstr(e.text, "no/x"));
}
END_TEST

START_TEST(not_a_regular_file)
{
    struct cr_idx x;
    struct cr_error e;
    ck_assert_int_eq(cr_idx_open(&x, folder, &e), -CR_E_INPUT);
    ck_assert_int_eq(cr_idx_open(&x, in_folder("absent"), &e), -CR_E_INPUT);
    ck_assert_ptr_nonnull(strstr(e.text, "no such file"));
}
END_TEST

/* ---- gzip, both ways */

static const enum cr_gunzip_by ways[] = {CR_GUNZIP_BEST, CR_GUNZIP_PROGRAM};

static void gunzip_open(struct cr_gunzip *g, const char *name, int way)
{
    struct cr_error e;
    const int fd = open(in_folder(name), O_RDONLY);
    ck_assert_int_ge(fd, 0);
    ck_assert_msg(cr_gunzip_open(g, in_folder(name), fd, ways[way], &e) == 0, "%s", e.text);
}

START_TEST(gunzip_reads)
{
    static uint8_t bytes[60000], back[60001];
    struct cr_gunzip g;
    struct cr_error e;
    size_t got;
    for (int i = 0; i < 60000; i++) bytes[i] = (uint8_t)((i >> 7) * i);
    put_gzip("x.gz", bytes, sizeof bytes);
    gunzip_open(&g, "x.gz", _i);
    ck_assert_int_eq(cr_gunzip_read(&g, back, 5, &got, &e), 0);
    ck_assert_uint_eq(got, 5);
    ck_assert_int_eq(cr_gunzip_read(&g, back + 5, sizeof back - 5, &got, &e), 0);
    ck_assert_uint_eq(got, sizeof bytes - 5);
    ck_assert_mem_eq(back, bytes, sizeof bytes);
    ck_assert_int_eq(cr_gunzip_read(&g, back, 1, &got, &e), 0);
    ck_assert_uint_eq(got, 0);
    cr_gunzip_close(&g);
    gunzip_open(&g, "x.gz", _i); /* closing before anything has been read must neither hang nor kill */
    cr_gunzip_close(&g);
}
END_TEST

START_TEST(gunzip_damage)
{
    uint8_t packed[100 + GZIP_EXTRA], bytes[100] = "some bytes to be damaged";
    const size_t n = gzip_of(packed, bytes, sizeof bytes);
    for (int damage = 0; damage < 3; damage++) {
        struct cr_gunzip g;
        struct cr_error e;
        size_t got;
        packed[30] ^= damage == 0;                               /* a byte, so that the checksum is wrong */
        put("x.gz", packed, damage == 1 ? n - 8 : damage == 2 ? 40 : n); /* or the end is missing */
        packed[30] ^= damage == 0;
        gunzip_open(&g, "x.gz", _i);
        int rc = cr_gunzip_read(&g, bytes, sizeof bytes, &got, &e);
        if (!rc) rc = cr_gunzip_read(&g, bytes, 1, &got, &e);
        cr_gunzip_close(&g);
        ck_assert_msg(rc == -CR_E_INPUT && strstr(e.text, "damaged"), "damage %d: %d", damage, rc);
    }
}
END_TEST

/* A header that promises a gigabyte in a few bytes of gzip is not believed. */
START_TEST(gzip_bomb)
{
    struct cr_idx x;
    struct cr_error e;
    put_gzip("x.gz", BYTES("\0\0\x08\1\x40\0\0\0"));
    ck_assert_int_eq(cr_idx_open(&x, in_folder("x.gz"), &e), -CR_E_INPUT);
    ck_assert_ptr_nonnull(strstr(e.text, "gzip can hold"));
}
END_TEST

/* ---- folders: five training and three test images of 2 rows and 3 columns, three classes */

static const uint8_t train_images[] = "\0\0\x08\3\0\0\0\5\0\0\0\2\0\0\0\3"
                                      "abcdefABCDEFghijklGHIJKL\0\1\2\3\4\xff";
static const uint8_t train_labels[] = "\0\0\x08\1\0\0\0\5\0\2\1\0\2";
static const uint8_t test_images[] = "\0\0\x08\3\0\0\0\3\0\0\0\2\0\0\0\3"
                                     "mnopqrMNOPQRstuvwx";
static const uint8_t test_labels[] = "\0\0\x08\1\0\0\0\3\1\1\0";

#define PUT(name, array) put(name, array, sizeof array - 1)

static void put_set(void)
{
    PUT("train-images-idx3-ubyte", train_images);
    PUT("train-labels-idx1-ubyte", train_labels);
    PUT("t10k-images-idx3-ubyte", test_images);
    PUT("t10k-labels-idx1-ubyte", test_labels);
}

static struct cr_data opened(void)
{
    struct cr_data d;
    struct cr_error e;
    ck_assert_msg(cr_data_open(&d, folder, &e) == 0, "%s", e.text);
    return d;
}

/* Opening fails with this code, and the sentence holds both phrases. */
static struct cr_error refused(const char *first, const char *second)
{
    struct cr_data d;
    struct cr_error e;
    ck_assert_int_eq(cr_data_open(&d, folder, &e), -CR_E_INPUT);
    ck_assert_ptr_null(d.train.images);
    ck_assert_msg(strstr(e.text, first) && strstr(e.text, second), "%s", e.text);
    return e;
}

static void check_contents(const struct cr_data *d)
{
    ck_assert_str_eq(d->path, folder);
    ck_assert(d->channels == 1 && d->height == 2 && d->width == 3);
    ck_assert_uint_eq(d->train.count, 5);
    ck_assert_uint_eq(d->test.count, 3);
    ck_assert_mem_eq(d->train.images, train_images + 16, 30);
    ck_assert_mem_eq(d->train.labels, train_labels + 8, 5);
    ck_assert_mem_eq(d->test.images, test_images + 16, 18);
    ck_assert_mem_eq(d->test.labels, test_labels + 8, 3);
}

START_TEST(opens_plain)
{
    put_set();
    struct cr_data d = opened();
    check_contents(&d);
    ck_assert_int_eq(d.classes, 3);
    ck_assert_str_eq(cr_data_class_name(&d, 0), "0");
    ck_assert_str_eq(cr_data_class_name(&d, 2), "2");
    cr_data_close(&d);
    ck_assert_ptr_null(d.class_names);
}
END_TEST

START_TEST(opens_other_names)
{
    put_gzip("train-images.idx3-ubyte.gz", train_images, sizeof train_images - 1);
    PUT("train-labels.idx1-ubyte", train_labels);
    PUT("t10k-images-idx3-ubyte.gz", test_images); /* plain bytes under the name of a gzip: told by content */
    PUT("t10k-labels-idx1-ubyte", test_labels);
    struct cr_data d = opened();
    check_contents(&d);
    cr_data_close(&d);
}
END_TEST

START_TEST(plain_goes_first)
{
    put_set();
    put("train-images-idx3-ubyte.gz", "rubbish", 7);
    struct cr_data d = opened();
    check_contents(&d);
    cr_data_close(&d);
}
END_TEST

START_TEST(opens_colour)
{
    put_set();
    put("train-images-idx3-ubyte", BYTES("\0\0\x08\4\0\0\0\5\0\0\0\3\0\0\0\1\0\0\0\2"
                                         "abcdefABCDEFghijklGHIJKLmnopqr"));
    put("t10k-images-idx3-ubyte", BYTES("\0\0\x08\4\0\0\0\3\0\0\0\3\0\0\0\1\0\0\0\2"
                                        "abcdefABCDEFghijkl"));
    struct cr_data d = opened();
    ck_assert(d.channels == 3 && d.height == 1 && d.width == 2 && d.train.count == 5 && d.test.count == 3);
    cr_data_close(&d);
}
END_TEST

START_TEST(missing_folder)
{
    struct cr_data d;
    struct cr_error e;
    ck_assert_int_eq(cr_data_open(&d, in_folder("nowhere"), &e), -CR_E_INPUT);
    ck_assert(strstr(e.text, "nowhere") && strstr(e.text, "no such folder") && strstr(e.text, "data get mnist"));
    PUT("file", train_labels);
    ck_assert_int_eq(cr_data_open(&d, in_folder("file"), &e), -CR_E_INPUT);
    ck_assert_ptr_nonnull(strstr(e.text, "not a folder"));
}
END_TEST

START_TEST(missing_file)
{
    static const char *const names[] = {"train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte",
                                        "t10k-labels-idx1-ubyte"};
    put_set();
    ck_assert_int_eq(unlink(in_folder(names[_i])), 0);
    refused(names[_i], "data get mnist");
}
END_TEST

START_TEST(files_that_do_not_belong_together)
{
    put_set();
    put("train-labels-idx1-ubyte", BYTES("\0\0\x08\1\0\0\0\4\0\2\1\0"));
    ck_assert_int_eq((int)refused("train-labels", "4 labels for 5 images").byte, 4);
    put_set();
    put("t10k-images-idx3-ubyte", BYTES("\0\0\x08\3\0\0\0\3\0\0\0\3\0\0\0\2"
                                        "mnopqrMNOPQRstuvwx"));
    refused("1x2x3", "1x3x2");
    put_set();
    PUT("train-labels-idx1-ubyte", train_images);
    ck_assert_int_eq((int)refused("train-labels", "3 dimensions").byte, 3);
    put_set();
    PUT("train-images-idx3-ubyte", train_labels);
    ck_assert_int_eq((int)refused("train-images", "1 dimensions").byte, 3);
}
END_TEST

START_TEST(labels_out_of_range)
{
    put_set();
    put("t10k-labels-idx1-ubyte", BYTES("\0\0\x08\1\0\0\0\3\1\3\0"));
    ck_assert_int_eq((int)refused("t10k-labels-idx1-ubyte", "label 3").byte, 9);
    put_set();
    struct cr_data d = opened();
    struct cr_error e;
    ck_assert_int_eq(cr_data_check_classes(&d, 3, &e), 0);
    ck_assert_int_eq(cr_data_check_classes(&d, 2, &e), -CR_E_INPUT); /* as for a network of two outputs */
    ck_assert_msg(e.byte == 9 && strstr(e.text, "train-labels-idx1-ubyte") && strstr(e.text, "label 2"), "%s", e.text);
    cr_data_close(&d);
}
END_TEST

START_TEST(class_names)
{
    put_set();
    put("classes.txt", BYTES("T-shirt/top\r\nankle boot \nbag\nsandal"));
    struct cr_data d = opened();
    ck_assert_int_eq(d.classes, 4);
    ck_assert_str_eq(cr_data_class_name(&d, 0), "T-shirt/top");
    ck_assert_str_eq(cr_data_class_name(&d, 1), "ankle boot");
    ck_assert_str_eq(cr_data_class_name(&d, 3), "sandal");
    cr_data_close(&d);
    put("classes.txt", BYTES("a\nb\n"));
    ck_assert_int_eq((int)refused("train-labels-idx1-ubyte", "label 2").byte, 9);
    put("classes.txt", BYTES("a\n\nb\n"));
    ck_assert_int_eq((int)refused("classes.txt", "without a name").line, 2);
    put("classes.txt", BYTES("a\nb\tc\n"));
    ck_assert_int_eq((int)refused("classes.txt", "control character").column, 2);
    put("classes.txt", BYTES("a\n"));
    refused("classes.txt", "1 classes");
    put("classes.txt", BYTES(""));
    refused("classes.txt", "0 classes");
    static char many[1 << 17];
    for (size_t i = 0; i < sizeof many; i += 2) memcpy(many + i, "x\n", 2);
    put("classes.txt", many, sizeof many);
    refused("classes.txt", "64 KiB");
    put("classes.txt", many, 2 * 257);
    refused("classes.txt", "257 classes");
}
END_TEST

/* ---- normalisation and fingerprint, on data made in memory */

enum { COUNT = 23, SIDE = 19, MOST = COUNT * 3 * SIDE * SIDE };

static struct cr_data random_data(uint8_t pixels[MOST], uint8_t labels[COUNT], int channels)
{
    struct values v = {0};
    for (int i = 0; i < MOST; i++) pixels[i] = (uint8_t)(next_int(&v, 256) & next_int(&v, 256));
    for (int i = 0; i < COUNT; i++) labels[i] = (uint8_t)next_int(&v, 10);
    return (struct cr_data){.channels = channels, .height = SIDE, .width = SIDE, .classes = 10,
                            .train = {.images = pixels, .labels = labels, .count = COUNT}};
}

/* Mean and deviation of one channel the way a textbook has them. */
static void oracle(const struct cr_data *d, int c, size_t count, long double *mean, long double *std)
{
    const size_t plane = SIDE * SIDE, image = (size_t)d->channels * plane;
    long double sum = 0, squares = 0;
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < plane; k++) sum += d->train.images[i * image + (size_t)c * plane + k] / 255.0L;
    *mean = sum / (long double)(count * plane);
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < plane; k++) {
            const long double x = d->train.images[i * image + (size_t)c * plane + k] / 255.0L - *mean;
            squares += x * x;
        }
    *std = sqrtl(squares / (long double)(count * plane));
}

/* Loop index: channels 1 and 3, whole and part of the split, measured before or not. */
START_TEST(normalises_by_mean_and_deviation)
{
    static uint8_t pixels[MOST], labels[COUNT];
    const size_t count = _i & 2 ? COUNT : COUNT / 2;
    struct cr_data d = random_data(pixels, labels, _i & 1 ? 3 : 1);
    if (_i & 4) cr_data_measure(&d);
    struct cr_normalization z;
    cr_normalization_of(&z, CR_NORMALIZE_STD, &d, count, 0, 0);
    ck_assert_int_eq(z.channels, d.channels);
    for (int c = 0; c < d.channels; c++) {
        long double mean, std;
        oracle(&d, c, count, &mean, &std);
        ck_assert_msg(fabsl(z.mean[c] - mean) < 1e-14L && fabsl(z.std[c] - std) < 1e-14L, "channel %d: %g %g", c,
                      z.mean[c], z.std[c]);
        ck_assert(z.scale[c] == (float)(1 / (255 * z.std[c])));
        ck_assert(z.shift[c] == (float)(-z.mean[c] / z.std[c]));
    }
}
END_TEST

START_TEST(normalises_in_other_ways)
{
    static uint8_t pixels[MOST], labels[COUNT];
    struct cr_data d = random_data(pixels, labels, 3);
    struct cr_normalization z;
    cr_normalization_of(&z, CR_NORMALIZE_NONE, &d, COUNT, 7, 7);
    ck_assert(z.kind == CR_NORMALIZE_NONE && z.scale[2] == 1 && z.shift[2] == 0);
    cr_normalization_of(&z, CR_NORMALIZE_UNIT, &d, COUNT, 7, 7);
    ck_assert(z.kind == CR_NORMALIZE_UNIT && z.scale[2] == (float)(1 / 255.0) && z.shift[2] == 0);
    ck_assert(z.mean[1] == 0 && z.std[1] == 1);
    cr_normalization_of(&z, CR_NORMALIZE_GIVEN, &d, COUNT, 0.1307, 0.3081);
    ck_assert(z.scale[0] == (float)(1 / (255 * 0.3081)) && z.shift[0] == (float)(-0.1307 / 0.3081));
    ck_assert(z.mean[2] == 0.1307 && z.std[2] == 0.3081);
    memset(pixels, 51, sizeof pixels); /* all alike: nothing to divide by */
    cr_normalization_of(&z, CR_NORMALIZE_STD, &d, COUNT, 0, 0);
    ck_assert(z.std[1] == 1 && fabs(z.mean[1] - 0.2) < 1e-15);
}
END_TEST

/* Bytes at their greatest: the block sums must not overflow. */
START_TEST(sums_are_exact)
{
    static uint8_t white[4 * 1000 * 1000];
    memset(white, 255, sizeof white);
    struct cr_data d = {.channels = 1, .height = 1000, .width = 1000, .train = {.images = white, .count = 4}};
    cr_data_measure(&d);
    ck_assert_uint_eq(d.sums.images, 4);
    ck_assert_uint_eq(d.sums.sum[0], 255u * 4000000u);
    ck_assert_uint_eq(d.sums.squares[0], (uint64_t)255 * 255 * 4000000);
}
END_TEST

START_TEST(fingerprint_sees_changes)
{
    static uint8_t pixels[MOST], labels[COUNT];
    struct cr_data d = random_data(pixels, labels, 3);
    const uint64_t whole = cr_data_fingerprint(&d);
    cr_data_measure(&d);
    ck_assert_uint_eq(cr_data_fingerprint(&d), whole);
    d.sums.images = 0;
    pixels[MOST - 1] ^= 1;
    ck_assert_uint_ne(cr_data_fingerprint(&d), whole);
    pixels[MOST - 1] ^= 1;
    labels[COUNT - 1] ^= 1;
    ck_assert_uint_ne(cr_data_fingerprint(&d), whole);
    labels[COUNT - 1] ^= 1;
    d.train.count--;
    ck_assert_uint_ne(cr_data_fingerprint(&d), whole);
    d.train.count++;
    ck_assert_uint_eq(cr_data_fingerprint(&d), whole);

    put_set(); /* and stays what it was: it stands in checkpoints */
    struct cr_data set = opened();
    ck_assert_uint_eq(cr_data_fingerprint(&set), 0x7541ed569c683cf1);
    cr_data_close(&set);
}
END_TEST

/* ---- the real thing, where it is */

START_TEST(real_mnist)
{
    const char *root = getenv("CORERING_DATA");
    char path[512];
    if (!root || snprintf(path, sizeof path, "%s/mnist", root) >= (int)sizeof path || access(path, R_OK)) return;
    struct cr_data d;
    struct cr_error e;
    ck_assert_msg(cr_data_open(&d, path, &e) == 0, "%s", e.text);
    ck_assert(d.train.count == 60000 && d.test.count == 10000 && d.classes == 10 && d.height == 28 && d.width == 28);
    ck_assert(d.train.labels[0] == 5 && d.test.labels[9999] == 6);
    struct cr_normalization z;
    cr_normalization_of(&z, CR_NORMALIZE_STD, &d, d.train.count, 0, 0);
    ck_assert_msg(fabs(z.mean[0] - 0.1306604762738) < 1e-12 && fabs(z.std[0] - 0.3081078038564) < 1e-12, "%.13f %.13f",
                  z.mean[0], z.std[0]);
    cr_data_close(&d);
}
END_TEST

Suite *data_suite(void)
{
    const int hostiles = (int)(sizeof hostile / sizeof *hostile);
    Suite *s = suite_create("data");
    TCase *tc = tcase_create("idx");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_loop_test(tc, hostile_idx, 0, hostiles);
    tcase_add_loop_test(tc, hostile_idx_in_gzip, 0, hostiles);
    tcase_add_test(tc, idx_round_trip);
    tcase_add_test(tc, idx_write_failure);
    tcase_add_test(tc, not_a_regular_file);
    tcase_add_loop_test(tc, gunzip_reads, 0, 2);
    tcase_add_loop_test(tc, gunzip_damage, 0, 2);
    tcase_add_test(tc, gzip_bomb);
    suite_add_tcase(s, tc);

    tc = tcase_create("folder");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, opens_plain);
    tcase_add_test(tc, opens_other_names);
    tcase_add_test(tc, plain_goes_first);
    tcase_add_test(tc, opens_colour);
    tcase_add_test(tc, missing_folder);
    tcase_add_loop_test(tc, missing_file, 0, 4);
    tcase_add_test(tc, files_that_do_not_belong_together);
    tcase_add_test(tc, labels_out_of_range);
    tcase_add_test(tc, class_names);
    tcase_add_test(tc, real_mnist);
    suite_add_tcase(s, tc);

    tc = tcase_create("pixels");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_loop_test(tc, normalises_by_mean_and_deviation, 0, 8);
    tcase_add_test(tc, normalises_in_other_ways);
    tcase_add_test(tc, sums_are_exact);
    tcase_add_test(tc, fingerprint_sees_changes);
    suite_add_tcase(s, tc);
    return s;
}
