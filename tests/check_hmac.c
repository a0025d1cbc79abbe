/* HMAC-SHA256 against all test cases of RFC 4231, and the job key: its text, its file, and whose file may hold it. */
#define _XOPEN_SOURCE 700 /* mkdtemp, symlink, chown */

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "dist/hmac.h"
#include "dist/key.h"
#include "tests/suites.h"

/* ---- HMAC */

/* A key or message is `times` times the text; key 4 counts from 1. */
static const struct {
    const char *key;
    int key_times;
    const char *message;
    int message_times;
    const char *mac;
} rfc4231[] = {
    { "\x0b", 20, "Hi There", 1, "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7" },
    { "Jefe", 1, "what do ya want for nothing?", 1,
      "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843" },
    { "\xaa", 20, "\xdd", 50, "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe" },
    { "\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\x10\x11\x12\x13\x14\x15\x16\x17\x18\x19", 1,
      "\xcd", 50, "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b" },
    { "\x0c", 20, "Test With Truncation", 1, "a3b6167473100ee06e0c796c2955552b" }, /* 128 bits are given */
    { "\xaa", 131, "Test Using Larger Than Block-Size Key - Hash Key First", 1,
      "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54" },
    { "\xaa", 131,
      "This is a test using a larger than block-size key and a larger than block-size data. The key needs to be hashed "
      "before being used by the HMAC algorithm.", 1,
      "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2" },
};
enum { CASES = sizeof rfc4231 / sizeof *rfc4231 };

static size_t repeat(char *out, const char *text, int times)
{
    size_t n = 0;
    for (; times; times--, n += strlen(text)) memcpy(out + n, text, strlen(text));
    return n;
}

START_TEST(rfc_cases)
{
    char key[256], message[256], hex[65];
    uint8_t mac[32];
    struct cr_hmac h;
    const size_t keys = repeat(key, rfc4231[_i].key, rfc4231[_i].key_times);
    const size_t n = repeat(message, rfc4231[_i].message, rfc4231[_i].message_times);
    cr_hmac_init(&h, key, keys);
    for (size_t i = 0; i < n; i++) cr_hmac_add(&h, message + i, 1);
    cr_hmac_end(&h, mac);
    cr_sha256_hex(mac, hex);
    hex[strlen(rfc4231[_i].mac)] = 0;
    ck_assert_str_eq(hex, rfc4231[_i].mac);
}
END_TEST

/* A secret that has been used is gone from the struct. */
START_TEST(nothing_is_left)
{
    static const struct cr_hmac none;
    uint8_t mac[32];
    struct cr_hmac h;
    cr_hmac_init(&h, "Jefe", 4);
    ck_assert_mem_ne(&h, &none, sizeof h);
    cr_hmac_end(&h, mac);
    ck_assert_mem_eq(&h, &none, sizeof h);
}
END_TEST

START_TEST(equal_secrets)
{
    uint8_t a[32], b[32];
    ck_assert_int_eq(cr_random_bytes(a, sizeof a, NULL), 0);
    memcpy(b, a, sizeof a);
    ck_assert(cr_equal_secret(a, b, sizeof a));
    for (int bit = 0; bit < 256; bit++) {
        b[bit / 8] ^= (uint8_t)(1 << bit % 8);
        ck_assert_msg(!cr_equal_secret(a, b, sizeof a), "bit %d", bit);
        b[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    ck_assert(cr_equal_secret(a, b, 0));
}
END_TEST

/* Not a test of randomness, but of being filled, to the last byte, and anew each time. */
START_TEST(random_bytes)
{
    enum { N = 1000 };
    static uint8_t a[N], b[N];
    int differ = 0;
    ck_assert_int_eq(cr_random_bytes(a, N, NULL), 0);
    ck_assert_int_eq(cr_random_bytes(b, N, NULL), 0);
    for (int i = 0; i < N; i++) differ += a[i] != b[i];
    ck_assert_int_gt(differ, N * 9 / 10);
    ck_assert_mem_ne(a + N - 16, b + N - 16, 16);
}
END_TEST

/* ---- keys */

#define DIGITS "00112233445566778899aabbccddeeff00112233445566778899AABBCCDDEEFF"

static char folder[32];
static char path[64];

static void folder_setup(void)
{
    strcpy(folder, "/tmp/corering-key-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/key", folder);
}

static void folder_teardown(void)
{
    char other[64];
    snprintf(other, sizeof other, "%s/link", folder);
    unlink(other);
    unlink(path);
    rmdir(path);
    rmdir(folder);
}

static void write_file(const char *text, size_t n, mode_t mode)
{
    FILE *f = fopen(path, "wb");
    ck_assert_ptr_nonnull(f);
    ck_assert_uint_eq(fwrite(text, 1, n, f), n);
    ck_assert_int_eq(fclose(f), 0);
    ck_assert_int_eq(chmod(path, mode), 0);
}

/* The file is refused with `code` for a reason that has `word` in it, names the file, and leaves no key behind. */
static void refused(enum cr_err code, const char *word)
{
    static const struct cr_key none;
    struct cr_key k;
    struct cr_error e;
    memset(&k, 0xff, sizeof k);
    ck_assert_int_eq(cr_key_read(&k, path, &e), -(int)code);
    ck_assert_msg(strstr(e.text, word) && strstr(e.text, path), "'%s' has no '%s'", e.text, word);
    ck_assert_mem_eq(&k, &none, sizeof k);
}

static const char *const good_key[] = { DIGITS, DIGITS "\n" };

START_TEST(good_files)
{
    static const mode_t mode[] = { 0600, 0400 };
    struct cr_key k;
    struct cr_error e;
    char hex[65];
    for (int m = 0; m < 2; m++) {
        write_file(good_key[_i], strlen(good_key[_i]), mode[m]);
        ck_assert_msg(cr_key_read(&k, path, &e) == 0, "%s", e.text);
        ck_assert(!k.none);
        cr_key_hex(&k, hex);
        ck_assert_str_eq(hex, "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff");
        unlink(path);
    }
}
END_TEST

static const char *const bad_key[] = {
    "", "\n", "none", "none\n", "0011", DIGITS "0", DIGITS "\n\n", DIGITS " ", " " DIGITS, DIGITS "\r\n",
    "0x112233445566778899aabbccddeeff00112233445566778899AABBCCDDEEFF",
    "g0112233445566778899aabbccddeeff00112233445566778899aabbccddeeff",
    "00112233445566778899aabbccddeeff00112233445566778899aabbccddee\n",
    DIGITS "\n" DIGITS "\n",
};
enum { BAD_KEYS = sizeof bad_key / sizeof *bad_key };

START_TEST(bad_contents)
{
    write_file(bad_key[_i], strlen(bad_key[_i]), 0600);
    refused(CR_E_USAGE, "64 hexadecimal digits");
}
END_TEST

START_TEST(zero_byte_inside)
{
    char text[] = DIGITS;
    text[63] = 0;
    write_file(text, 64, 0600);
    refused(CR_E_USAGE, "64 hexadecimal digits");
}
END_TEST

/* Every mode but 0600, 0400, 0200 and 0: whatever lets others read, write or run, and special bits. */
START_TEST(modes)
{
    for (mode_t bit = 1; bit <= 04000; bit <<= 1) {
        if (bit == 0200 || bit == 0400) continue;
        char octal[16];
        write_file(DIGITS, 64, 0600);
        ck_assert_int_eq(chmod(path, 0600 | bit), 0);
        struct stat s;
        ck_assert_int_eq(stat(path, &s), 0);
        if (!(s.st_mode & bit)) continue; /* a kernel may clear setgid */
        snprintf(octal, sizeof octal, "mode %04o", (unsigned)(0600 | bit));
        refused(CR_E_USAGE, octal);
    }
}
END_TEST

START_TEST(owners)
{
    if (geteuid() != 0) return; /* nobody else can give files away */
    write_file(DIGITS, 64, 0600);
    ck_assert_int_eq(chown(path, 12345, (gid_t)-1), 0);
    refused(CR_E_USAGE, "user 12345");
}
END_TEST

START_TEST(no_regular_file)
{
    refused(CR_E_USAGE, "od -An"); /* there is none: how to make one */
    ck_assert_int_eq(mkdir(path, 0700), 0);
    refused(CR_E_USAGE, "regular file");
    rmdir(path);
    ck_assert_int_eq(mkfifo(path, 0600), 0); /* must not wait for a writer */
    refused(CR_E_USAGE, "regular file");
}
END_TEST

/* A link counts as what it leads to. */
START_TEST(links)
{
    char target[64];
    struct cr_key k;
    struct cr_error e;
    snprintf(target, sizeof target, "%s/link", folder);
    write_file(DIGITS, 64, 0600);
    ck_assert_int_eq(rename(path, target), 0);
    ck_assert_int_eq(symlink("link", path), 0);
    ck_assert_msg(cr_key_read(&k, path, &e) == 0, "%s", e.text);
    ck_assert_int_eq(chmod(target, 0644), 0);
    refused(CR_E_USAGE, "mode 0644");
}
END_TEST

/* The command that messages recommend makes a file that is taken. */
START_TEST(advice)
{
    struct cr_key k;
    struct cr_error e;
    char command[800];
    ck_assert_int_lt(cr_key_read(&k, path, &e), 0);
    char *from = strchr(e.text, '('), *file = strstr(e.text, "FILE");
    ck_assert(from && file);
    snprintf(command, sizeof command, "%.*s%s)", (int)(file - from), from, path);
    ck_assert_int_eq(system(command), 0);
    ck_assert_msg(cr_key_read(&k, path, &e) == 0, "%s: %s", command, e.text);
}
END_TEST

START_TEST(new_and_text)
{
    struct cr_key a, b, c;
    struct cr_error e;
    char hex[65];
    ck_assert_int_eq(cr_key_new(&a, &e), 0);
    ck_assert_int_eq(cr_key_new(&b, &e), 0);
    ck_assert(!a.none && !b.none);
    ck_assert_mem_ne(a.bytes, b.bytes, CR_KEY_BYTES);
    cr_key_hex(&a, hex);
    ck_assert_int_eq(cr_key_parse(&c, hex, &e), 0);
    ck_assert_int_eq(c.none, 0);
    ck_assert_mem_eq(a.bytes, c.bytes, CR_KEY_BYTES);
    hex[63] = 'x';
    ck_assert_int_eq(cr_key_parse(&c, hex, &e), -CR_E_INPUT);
    ck_assert_int_eq(cr_key_parse(&c, "", &e), -CR_E_INPUT);

    const struct cr_key none = { .none = 1 };
    cr_key_hex(&none, hex);
    ck_assert_int_eq(cr_key_parse(&c, hex, &e), 0);
    ck_assert_int_eq(c.none, 1);
}
END_TEST

Suite *hmac_suite(void)
{
    Suite *s = suite_create("hmac");
    TCase *tc = tcase_create("hmac");
    tcase_add_loop_test(tc, rfc_cases, 0, CASES);
    tcase_add_test(tc, nothing_is_left);
    tcase_add_test(tc, equal_secrets);
    tcase_add_test(tc, random_bytes);
    suite_add_tcase(s, tc);

    tc = tcase_create("key");
    tcase_add_checked_fixture(tc, folder_setup, folder_teardown);
    tcase_add_loop_test(tc, good_files, 0, 2);
    tcase_add_loop_test(tc, bad_contents, 0, BAD_KEYS);
    tcase_add_test(tc, zero_byte_inside);
    tcase_add_test(tc, modes);
    tcase_add_test(tc, owners);
    tcase_add_test(tc, no_regular_file);
    tcase_add_test(tc, links);
    tcase_add_test(tc, advice);
    tcase_add_test(tc, new_and_text);
    suite_add_tcase(s, tc);
    return s;
}
