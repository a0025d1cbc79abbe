/* Safetensors files: what is written is read again bit for bit, and no hostile or damaged file gets past the checks. */
#define _XOPEN_SOURCE 700

#include <check.h>
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/safetensors.h"
#include "simd/sha256.h"
#include "tests/suites.h"

/* A fuzz target is a file of its own, with the one name that fuzzers know. */
#define LLVMFuzzerTestOneInput fuzz_safetensors
#include "tests/fuzz/fuzz_safetensors.c"

static char folder[64], path[96];

static void setup(void)
{
    snprintf(folder, sizeof folder, "/tmp/corering-check-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/file", folder);
}

static void teardown(void)
{
    unlink(path);
    ck_assert_msg(rmdir(folder) == 0, "something is left behind in %s", folder);
}

/* A file made by hand: prefix, header, payload of so many bytes. */
static void write_raw(uint64_t length, const char *header, size_t payload)
{
    FILE *f = fopen(path, "wb");
    ck_assert_ptr_nonnull(f);
    for (int i = 0; i < 8; i++) fputc((int)(length >> 8 * i & 255), f);
    fputs(header, f);
    for (size_t i = 0; i < payload; i++) fputc((int)(i & 255), f);
    ck_assert_int_eq(fclose(f), 0);
}

static int open_code(struct cr_error *e)
{
    struct cr_safetensors s;
    const int rc = cr_safetensors_open(&s, path, e);
    if (rc == 0) cr_safetensors_close(&s);
    return rc;
}

static const float weight[6] = { 1.5f, -0.0f, 3e38f, 1e-45f, -7, 0 }, bias[2] = { 0.1f, -0.1f };
static const char odd_text[] = "line\nquote\" back\\slash \xc3\xa4 \"sha256\":\"\x01";

static int write_good(struct cr_error *e)
{
    static const struct cr_safetensors_meta meta[] = { { "format", "test" }, { "text", odd_text }, { "empty", "" } };
    static const struct cr_safetensors_tensor tensor[] = {
        { .name = "a.weight", .dims = { 2, 3 }, .ndim = 2, .data = weight },
        { .name = "none", .dims = { 3, 0 }, .ndim = 2, .data = bias },
        { .name = "a.bias", .dims = { 2 }, .ndim = 1, .data = bias },
        { .name = "single", .ndim = 0, .data = weight },
    };
    return cr_safetensors_write(path, meta, 3, tensor, 4, e);
}

START_TEST(there_and_back)
{
    struct cr_error e;
    struct cr_safetensors s;
    ck_assert_msg(write_good(&e) == 0, "%s", e.text);
    ck_assert_msg(cr_safetensors_open(&s, path, &e) == 0, "%s", e.text);
    ck_assert_msg(cr_safetensors_verify(&s, &e) == 0, "%s", e.text);
    ck_assert_uint_eq(s.payload_at % 8, 0);
    ck_assert_uint_eq(s.metas, 4);
    ck_assert_str_eq(cr_safetensors_value(&s, "text"), odd_text);
    ck_assert_str_eq(cr_safetensors_value(&s, "empty"), "");
    ck_assert_ptr_null(cr_safetensors_value(&s, "other"));
    ck_assert_uint_eq(s.tensors, 4);
    ck_assert_str_eq(s.tensor[0].name, "a.weight");
    ck_assert_str_eq(s.tensor[0].dtype, "F32");
    ck_assert_int_eq(s.tensor[0].ndim, 2);
    ck_assert_uint_eq(s.tensor[0].dims[1], 3);
    ck_assert_int_eq(s.tensor[3].ndim, 0);
    float x[6];
    ck_assert_int_eq(cr_safetensors_read(&s, &s.tensor[0], x, &e), 0);
    ck_assert(memcmp(x, weight, sizeof weight) == 0);
    ck_assert_int_eq(cr_safetensors_read(&s, &s.tensor[2], x, &e), 0);
    ck_assert(memcmp(x, bias, sizeof bias) == 0);
    cr_safetensors_close(&s);
}
END_TEST

/* A tensor larger than the buffer it passes through. */
START_TEST(large_tensor)
{
    enum { N = 100001 };
    static float x[N], y[N];
    for (size_t i = 0; i < N; i++) x[i] = (float)i * 0.37f;
    const struct cr_safetensors_tensor t = { .name = "x", .dims = { N }, .ndim = 1, .data = x };
    struct cr_error e;
    struct cr_safetensors s;
    ck_assert_int_eq(cr_safetensors_write(path, NULL, 0, &t, 1, &e), 0);
    ck_assert_int_eq(cr_safetensors_open(&s, path, &e), 0);
    ck_assert_int_eq(cr_safetensors_verify(&s, &e), 0);
    ck_assert_int_eq(cr_safetensors_read(&s, &s.tensor[0], y, &e), 0);
    ck_assert(memcmp(x, y, sizeof x) == 0);
    cr_safetensors_close(&s);
}
END_TEST

/* The checksum is what it is said to be: over the file without its 64 digits. */
START_TEST(checksum_by_hand)
{
    static char bytes[4096];
    struct cr_error e;
    ck_assert_int_eq(write_good(&e), 0);
    FILE *f = fopen(path, "rb");
    const size_t n = fread(bytes, 1, sizeof bytes, f);
    fclose(f);
    static const char key[] = ",\"sha256\":\""; /* inside a text the quotes have backslashes */
    size_t at = 0;
    while (at + sizeof key < n && memcmp(bytes + at, key, strlen(key)) != 0) at++;
    at += strlen(key);
    struct cr_sha256 h;
    uint8_t digest[32];
    char hex[65];
    cr_sha256_init(&h);
    cr_sha256_add(&h, bytes, at);
    cr_sha256_add(&h, bytes + at + 64, n - at - 64);
    cr_sha256_end(&h, digest);
    cr_sha256_hex(digest, hex);
    ck_assert(memcmp(bytes + at, hex, 64) == 0);
}
END_TEST

#define T(dtype, shape, offsets) "{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":" offsets "}"

/* Files of other programs: another order, other types, no metadata, blanks at the end. */
static const struct {
    const char *header;
    size_t payload;
} foreign[] = {
    { "{}", 0 },
    { "{\"__metadata__\":{}}", 0 },
    { "{\"a\":" T("F32", "[2,2]", "[0,16]") "}", 16 },
    { "{\"b\":" T("BF16", "[4]", "[8,16]") ",\"a\":" T("I64", "[]", "[0,8]") "}      ", 16 },
    { "{\"a\":{\"data_offsets\":[0,3],\"shape\":[1,1,3],\"dtype\":\"U8\"}}", 3 },
    { "{\"a\":" T("F64", "[0,5]", "[0,0]") ",\"b\":" T("F16", "[1]", "[0,2]") "}", 2 },
};

static const struct {
    const char *header;
    size_t payload;
} hostile[] = {
    { "", 0 },
    { "[]", 0 },
    { "{", 0 },
    { "{}x", 0 },
    { "{}", 1 },
    { "{\"a\":" T("F32", "[2,2]", "[0,16]") "}", 15 },
    { "{\"a\":" T("F32", "[2,2]", "[0,16]") "}", 17 },
    { "{\"a\":" T("F32", "[2,2]", "[0,12]") "}", 12 },
    { "{\"a\":" T("F32", "[1]", "[4,8]") "}", 8 },
    { "{\"a\":" T("F32", "[1]", "[4,0]") "}", 4 },
    { "{\"a\":" T("F32", "[1]", "[0,4]") ",\"b\":" T("F32", "[1]", "[8,12]") "}", 12 },
    { "{\"a\":" T("F32", "[2]", "[0,8]") ",\"b\":" T("F32", "[2]", "[4,12]") "}", 12 },
    { "{\"a\":" T("F32", "[1]", "[0,4]") ",\"b\":" T("F32", "[1]", "[0,4]") "}", 4 },
    { "{\"a\":" T("F32", "[1]", "[0,4]") ",\"a\":" T("F32", "[1]", "[4,8]") "}", 8 },
    { "{\"a\":" T("F33", "[1]", "[0,4]") "}", 4 },
    { "{\"a\":" T("f32", "[1]", "[0,4]") "}", 4 },
    { "{\"a\":" T("F32", "[-1]", "[0,4]") "}", 4 },
    { "{\"a\":" T("F32", "[1.0]", "[0,4]") "}", 4 },
    { "{\"a\":" T("F32", "1", "[0,4]") "}", 4 },
    { "{\"a\":" T("F32", "[1]", "[0]") "}", 4 },
    { "{\"a\":" T("F32", "[1]", "[0,4,8]") "}", 4 },
    { "{\"a\":" T("F32", "[1]", "[]") "}", 4 },
    { "{\"a\":" T("F32", "[1,1,1,1,1,1,1,1,1]", "[0,4]") "}", 4 },
    /* products that wrap to the right number of bytes */
    { "{\"a\":" T("F32", "[4611686018427387905]", "[0,4]") "}", 4 },
    { "{\"a\":" T("F32", "[4294967296,4294967296]", "[0,0]") "}", 0 },
    { "{\"a\":" T("F32", "[18446744073709551616]", "[0,4]") "}", 4 },
    { "{\"a\":" T("U8", "[18446744073709551615]", "[0,18446744073709551615]") "}", 4 },
    { "{\"a\":" T("F32", "[1]", "[0,4]") ",\"b\":" T("U8", "[18446744073709551612]", "[4,0]") "}", 0 },
    { "{\"a\":{\"dtype\":\"F32\",\"shape\":[1]}}", 4 },
    { "{\"a\":{\"dtype\":\"F32\",\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", 4 },
    { "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4],\"more\":1}}", 4 },
    { "{\"a\":null}", 0 },
    { "{\"a\":[]}", 0 },
    { "{\"__metadata__\":[]}", 0 },
    { "{\"__metadata__\":{\"a\":1}}", 0 },
    { "{\"__metadata__\":{\"a\":{\"b\":\"c\"}}}", 0 },
    { "{\"__metadata__\":{\"a\":\"1\",\"b\":\"2\",\"a\":\"1\"}}", 0 },
    { "{\"__metadata__\":{},\"__metadata__\":{}}", 0 },
    { "{\"a\":[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[", 0 },
};
enum { FOREIGN = sizeof foreign / sizeof *foreign, HOSTILE = sizeof hostile / sizeof *hostile };

START_TEST(accepts_foreign)
{
    struct cr_error e;
    struct cr_safetensors s;
    write_raw(strlen(foreign[_i].header), foreign[_i].header, foreign[_i].payload);
    ck_assert_msg(cr_safetensors_open(&s, path, &e) == 0, "%s: %s", foreign[_i].header, e.text);
    /* but there is nothing to verify it by */
    ck_assert_int_eq(cr_safetensors_verify(&s, &e), -CR_E_INPUT);
    cr_safetensors_close(&s);
}
END_TEST

START_TEST(refuses_hostile)
{
    struct cr_error e;
    write_raw(strlen(hostile[_i].header), hostile[_i].header, hostile[_i].payload);
    ck_assert_msg(open_code(&e) == -CR_E_INPUT, "%s passes", hostile[_i].header);
    ck_assert(strstr(e.text, path) == e.text && e.byte >= 0 && !strchr(e.text, '\n'));
}
END_TEST

START_TEST(refuses_wrong_length)
{
    static const uint64_t length[] = { 3, 1, 0, 100, 16 << 20, 1ull << 32, 1ull << 63, UINT64_MAX, UINT64_MAX - 7 };
    for (size_t i = 0; i < sizeof length / sizeof *length; i++) {
        struct cr_error e;
        write_raw(length[i], "{}", 0);
        ck_assert_msg(open_code(&e) == -CR_E_INPUT, "header length %llu passes", (unsigned long long)length[i]);
    }
}
END_TEST

/* 16 MB of header are read, a byte more is not, although the file has it. */
START_TEST(limits_the_header)
{
    static char header[CR_SAFETENSORS_HEADER + 2];
    struct cr_error e;
    memset(header, ' ', sizeof header - 1);
    memcpy(header, "{}", 2);
    write_raw(CR_SAFETENSORS_HEADER + 1, header, 0);
    ck_assert_int_eq(open_code(&e), -CR_E_INPUT);
    header[CR_SAFETENSORS_HEADER] = 0;
    write_raw(CR_SAFETENSORS_HEADER, header, 0);
    ck_assert_int_eq(open_code(&e), 0);
}
END_TEST

START_TEST(refuses_what_is_no_file)
{
    struct cr_error e;
    ck_assert_int_eq(open_code(&e), -CR_E_INPUT); /* nothing there yet */
    ck_assert_msg(strstr(e.text, path), "%s", e.text);
    ck_assert_int_eq(mkdir(path, 0777), 0);
    ck_assert_int_eq(open_code(&e), -CR_E_INPUT);
    ck_assert_int_eq(rmdir(path), 0);
    ck_assert_int_eq(mkfifo(path, 0666), 0);
    ck_assert_int_eq(open_code(&e), -CR_E_INPUT);
    ck_assert_int_eq(unlink(path), 0);
    ck_assert_int_eq(close(open(path, O_WRONLY | O_CREAT, 0666)), 0);
    ck_assert_int_eq(open_code(&e), -CR_E_INPUT);
}
END_TEST

/* Every byte of a good file is guarded by the structure or by the checksum. */
START_TEST(refuses_any_changed_byte)
{
    struct cr_error e;
    struct stat st;
    ck_assert_int_eq(write_good(&e), 0);
    const int fd = open(path, O_RDWR);
    ck_assert(fd >= 0 && fstat(fd, &st) == 0);
    for (off_t at = 0; at < st.st_size; at++) {
        uint8_t good;
        ck_assert_int_eq(pread(fd, &good, 1, at), 1);
        static const uint8_t flips[] = { 0x01, 0x02, 0x20, 0x80, 0xff };
        for (size_t i = 0; i < sizeof flips; i++) {
            const uint8_t changed = good ^ flips[i];
            struct cr_safetensors s;
            ck_assert_int_eq(pwrite(fd, &changed, 1, at), 1);
            int rc = cr_safetensors_open(&s, path, &e);
            if (rc == 0) {
                rc = cr_safetensors_verify(&s, &e);
                cr_safetensors_close(&s);
            }
            ck_assert_msg(rc == -CR_E_INPUT, "byte %ld changed by %02x: %d", (long)at, flips[i], rc);
        }
        ck_assert_int_eq(pwrite(fd, &good, 1, at), 1);
    }
    close(fd);
    ck_assert_int_eq(open_code(&e), 0); /* it is whole again */
}
END_TEST

START_TEST(refuses_any_other_length)
{
    struct cr_error e;
    struct stat st;
    ck_assert_int_eq(write_good(&e), 0);
    ck_assert_int_eq(stat(path, &st), 0);
    ck_assert_int_eq(truncate(path, st.st_size + 1), 0);
    ck_assert_int_eq(open_code(&e), -CR_E_INPUT);
    for (off_t n = st.st_size - 1; n >= 0; n--) {
        ck_assert_int_eq(truncate(path, n), 0);
        ck_assert_msg(open_code(&e) == -CR_E_INPUT, "%ld bytes pass", (long)n);
    }
}
END_TEST

/* A disk that is full in the middle, played by a limit on the size of files. */
START_TEST(failed_write_leaves_the_old_file)
{
    enum { N = 1 << 16 };
    static float x[N];
    const struct cr_safetensors_tensor t = { .name = "x", .dims = { N }, .ndim = 1, .data = x };
    struct cr_error e;
    ck_assert_int_eq(write_good(&e), 0);
    signal(SIGXFSZ, SIG_IGN);
    const struct rlimit small = { 1 << 15, 1 << 15 };
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &small), 0);
    ck_assert_int_eq(cr_safetensors_write(path, NULL, 0, &t, 1, &e), -CR_E_IO);
    ck_assert_msg(strstr(e.text, path) == e.text, "%s", e.text);

    struct cr_safetensors s;
    ck_assert_int_eq(cr_safetensors_open(&s, path, &e), 0);
    ck_assert_int_eq(cr_safetensors_verify(&s, &e), 0);
    ck_assert_str_eq(cr_safetensors_value(&s, "format"), "test");
    cr_safetensors_close(&s);
}
END_TEST

START_TEST(no_folder_to_write_to)
{
    struct cr_error e;
    snprintf(path, sizeof path, "%s/missing/file", folder);
    ck_assert_int_eq(write_good(&e), -CR_E_IO);
    ck_assert_msg(strstr(e.text, path) == e.text, "%s", e.text);
}
END_TEST

/* What fuzzing starts from and what it once found. The source folder is told by tests/run. */
START_TEST(fuzz_corpus)
{
    const char *source = getenv("SRCDIR");
    if (!source) return;
    static uint8_t bytes[1 << 16];
    char corpus[512], name[1024];
    int files = 0;
    snprintf(corpus, sizeof corpus, "%s/tests/fuzz/safetensors", source);
    DIR *dir = opendir(corpus);
    ck_assert_msg(dir != NULL, "no folder %s", corpus);
    for (const struct dirent *entry; (entry = readdir(dir));) {
        if (entry->d_name[0] == '.') continue;
        snprintf(name, sizeof name, "%s/%s", corpus, entry->d_name);
        FILE *f = fopen(name, "rb");
        ck_assert_ptr_nonnull(f);
        const size_t n = fread(bytes, 1, sizeof bytes, f);
        fclose(f);
        fuzz_safetensors(bytes, n);
        files++;
    }
    closedir(dir);
    ck_assert_int_ge(files, 7);
}
END_TEST

Suite *safetensors_suite(void)
{
    Suite *s = suite_create("safetensors");
    TCase *tc = tcase_create("safetensors");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, there_and_back);
    tcase_add_test(tc, large_tensor);
    tcase_add_test(tc, checksum_by_hand);
    tcase_add_loop_test(tc, accepts_foreign, 0, FOREIGN);
    tcase_add_loop_test(tc, refuses_hostile, 0, HOSTILE);
    tcase_add_test(tc, refuses_wrong_length);
    tcase_add_test(tc, limits_the_header);
    tcase_add_test(tc, refuses_what_is_no_file);
    tcase_add_test(tc, refuses_any_changed_byte);
    tcase_add_test(tc, refuses_any_other_length);
    tcase_add_test(tc, failed_write_leaves_the_old_file);
    tcase_add_test(tc, no_folder_to_write_to);
    tcase_add_test(tc, fuzz_corpus);
    suite_add_tcase(s, tc);
    return s;
}
