/* The synthetic digits: the same bytes always and everywhere, every digit as often, every image its own. */
#define _XOPEN_SOURCE 700
#include <check.h>
#include <ftw.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/data.h"
#include "simd/sha256.h"
#include "tests/suites.h"

static char folder[64];

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *at)
{
    (void)st, (void)type, (void)at;
    return remove(path);
}

static void setup(void)
{
    strcpy(folder, "/tmp/corering-synth-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
}

static void teardown(void)
{
    nftw(folder, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

static struct cr_data drawn(const char *name, uint64_t seed, size_t train, size_t test)
{
    char path[128];
    struct cr_data d;
    struct cr_error e;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    ck_assert_msg(cr_synth_write(path, seed, train, test, &e) == 0, "%s", e.text);
    ck_assert_msg(cr_data_open(&d, path, &e) == 0, "%s", e.text);
    ck_assert_uint_eq(d.train.count, train);
    ck_assert_uint_eq(d.test.count, test);
    ck_assert(d.channels == 1 && d.height == 28 && d.width == 28 && d.classes == 10);
    return d;
}

enum { PIXELS = 28 * 28 };

static const char golden[] = "373bc6294777c5d7b033e52d2260c6d038b5a1ac7a10400560f14a22873d8063";

START_TEST(bytes_never_change)
{
    static const int threads[] = {1, 2, 7};
    omp_set_num_threads(threads[_i]);
    struct cr_data d = drawn("set", 1, 200, 20);
    struct cr_sha256 h;
    uint8_t digest[32];
    char hex[65];
    cr_sha256_init(&h);
    cr_sha256_add(&h, d.train.images, d.train.count * PIXELS);
    cr_sha256_add(&h, d.train.labels, d.train.count);
    cr_sha256_add(&h, d.test.images, d.test.count * PIXELS);
    cr_sha256_add(&h, d.test.labels, d.test.count);
    cr_sha256_end(&h, digest);
    cr_sha256_hex(digest, hex);
    cr_data_close(&d);
    ck_assert_str_eq(hex, golden);
}
END_TEST

START_TEST(images_do_not_depend_on_how_many)
{
    struct cr_data a = drawn("few", 5, 20, 10), b = drawn("more", 5, 50, 30);
    ck_assert_mem_eq(a.train.images, b.train.images, 20 * PIXELS);
    ck_assert_mem_eq(a.train.labels, b.train.labels, 20);
    ck_assert_mem_eq(a.test.images, b.test.images, 10 * PIXELS);
    cr_data_close(&a);
    cr_data_close(&b);
}
END_TEST

START_TEST(seeds_and_splits_differ)
{
    struct cr_data a = drawn("one", 1, 20, 20), b = drawn("two", 2, 20, 20);
    ck_assert_mem_ne(a.train.images, b.train.images, 20 * PIXELS);
    ck_assert_mem_ne(a.train.labels, b.train.labels, 20);
    for (int i = 0; i < 20; i++)
        for (int k = 0; k < 20; k++)
            ck_assert_mem_ne(a.train.images + i * PIXELS, a.test.images + k * PIXELS, PIXELS);
    cr_data_close(&a);
    cr_data_close(&b);
}
END_TEST

START_TEST(digits_are_balanced_and_drawn)
{
    struct cr_data d = drawn("set", 3, 1000, 10);
    int count[10] = {0}, in_order = 0;
    for (size_t i = 0; i < 1000; i++) {
        count[d.train.labels[i]]++;
        in_order += d.train.labels[i] == i % 10;
        int ink = 0;
        for (int k = 0; k < PIXELS; k++) ink += d.train.images[i * PIXELS + (size_t)k] > 96;
        ck_assert_msg(ink > 10 && ink < PIXELS / 2, "image %zu has %d pixels of ink", i, ink);
    }
    for (int k = 0; k < 10; k++) ck_assert_int_eq(count[k], 100);
    ck_assert_int_lt(in_order, 160); /* one in ten by chance */
    cr_data_close(&d);
}
END_TEST

START_TEST(failures_leave_nothing)
{
    char path[128];
    struct cr_error e;
    snprintf(path, sizeof path, "%s/file", folder);
    FILE *f = fopen(path, "wb");
    ck_assert_ptr_nonnull(f);
    fclose(f);
    ck_assert_int_lt(cr_synth_write(path, 1, 10, 10, &e), 0);
    ck_assert_ptr_nonnull(strstr(e.text, path));
    ck_assert_int_eq(cr_synth_write(folder, 1, 0, 10, &e), -CR_E_USAGE);
    /* The last of the four cannot be put in place: a folder has its name. */
    snprintf(path, sizeof path, "%s/set/t10k-labels-idx1-ubyte/x", folder);
    ck_assert_int_eq(cr_synth_write(path, 1, 1, 1, &e), 0);
    snprintf(path, sizeof path, "%s/set", folder);
    ck_assert_int_eq(cr_synth_write(path, 1, 10, 10, &e), -CR_E_IO);
    char command[256];
    snprintf(command, sizeof command, "ls %s | grep -q tmp", path);
    ck_assert_int_ne(system(command), 0);
}
END_TEST

Suite *synth_suite(void)
{
    Suite *s = suite_create("synth");
    TCase *tc = tcase_create("synth");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_loop_test(tc, bytes_never_change, 0, 3);
    tcase_add_test(tc, images_do_not_depend_on_how_many);
    tcase_add_test(tc, seeds_and_splits_differ);
    tcase_add_test(tc, digits_are_balanced_and_drawn);
    tcase_add_test(tc, failures_leave_nothing);
    suite_add_tcase(s, tc);
    return s;
}
