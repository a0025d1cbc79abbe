/* JSON: what is refused and where, what strings mean, and that the reader understands all the writer says. */
#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/json.h"
#include "tests/suites.h"

/* The reader gets exactly the bytes of the text, in memory of their size, so that a sanitizer sees a step beyond. */
static char *exact(const char *text, size_t n)
{
    char *copy = malloc(n ? n : 1);
    ck_assert_ptr_nonnull(copy);
    memcpy(copy, text, n);
    return copy;
}

static int skips(const char *text, size_t n, size_t *at)
{
    char *copy = exact(text, n);
    struct cr_json j;
    cr_json_open(&j, copy, n);
    cr_json_skip(&j);
    const int rc = cr_json_close(&j);
    if (at) *at = j.at;
    free(copy);
    return rc == 0;
}

static const char *const good[] = {
    "0", "-1", "10.25", "1e5", "-0.5E-3", "true", "false", "null", "\"\"", "[]", "{}", " [ 1 , 2 ] ",
    "[[[[[[[[]]]]]]]]",
    "{\"a\":1,\"b\":[true,{\"c\":null}]}", "\"\xc3\xa4 \xe2\x82\xac \xf0\x9f\x98\x80\"", "\"\\ud83d\\ude00\"",
    "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e4\"", "\t\r\n{ } \n",
};

START_TEST(accepts)
{
    ck_assert_msg(skips(good[_i], strlen(good[_i]), NULL), "%s", good[_i]);
}
END_TEST

static const struct {
    const char *text;
    size_t at; /* where the problem shows */
} bad[] = {
    { "", 0 },           { " ", 1 },          { "nul", 0 },         { "truex", 4 },      { "01", 0 },
    { "-", 0 },          { "1.", 0 },         { ".5", 0 },          { "1e", 0 },         { "+1", 0 },
    { "0x1", 1 },        { "NaN", 0 },        { "[1,]", 3 },        { "[1 2]", 3 },      { "[1", 2 },
    { "[,1]", 1 },       { "]", 0 },          { "[1}", 2 },         { "{\"a\"}", 4 },    { "{\"a\":}", 5 },
    { "{\"a\":1,}", 7 }, { "{a:1}", 1 },      { "{1:1}", 1 },       { "\"", 1 },         { "\"a", 2 },
    { "\"\n\"", 1 },     { "\"\\x\"", 2 },    { "\"\\u12\"", 2 },   { "\"\\u0000\"", 2 }, { "\"\\ud800\"", 2 },
    { "\"\\ud800\\u0041\"", 2 },              { "\"\\udc00\"", 2 }, { "\"\xff\"", 1 },   { "\"\xc0\x80\"", 1 },
    { "\"\xe2\x82\"", 1 },                    { "\"\xed\xa0\x80\"", 1 },                 { "\"\xe0\x80\x80\"", 1 },
    { "\"\xf4\x90\x80\x80\"", 1 },            { "\"\xc3", 1 },      { "1 1", 2 },        { "{}[]", 2 },
    { "[[[[[[[[[]]]]]]]]]", 9 },              { "'a'", 0 },         { "[1]//", 3 },      { "\"\\", 2 },
};
enum { GOOD = sizeof good / sizeof *good, BAD = sizeof bad / sizeof *bad };

START_TEST(refuses)
{
    size_t at;
    ck_assert_msg(!skips(bad[_i].text, strlen(bad[_i].text), &at), "'%s' passes", bad[_i].text);
    ck_assert_msg(at == bad[_i].at, "'%s': byte %zu, not %zu", bad[_i].text, at, bad[_i].at);
}
END_TEST

START_TEST(refuses_zero_bytes)
{
    ck_assert(!skips("[1\0]", 4, NULL));
    ck_assert(!skips("\"a\0b\"", 5, NULL));
    ck_assert(!skips("1\0", 2, NULL));
}
END_TEST

/* Every prefix of a good text that is not a good text itself must be refused. */
START_TEST(refuses_cut_text)
{
    static const char text[] = "{\"a\\u00e4\":[1.5e3,\"x\\ud83d\\ude00\",true,null,{\"b\":[]}]}";
    ck_assert(skips(text, strlen(text), NULL));
    for (size_t n = 0; n < strlen(text); n++) ck_assert_msg(!skips(text, n, NULL), "%zu bytes pass", n);
}
END_TEST

START_TEST(reads_values)
{
    char text[] = "{\"s\":\"\\u00e4\\ud83d\\ude00\\n\",\"n\":18446744073709551615,\"x\":-2.5e-1,"
                  "\"l\":[1,2,3],\"o\":{}}";
    struct cr_json j;
    uint64_t n = 0, sum = 0;
    double x = 0;
    int seen = 0;
    const char *s = "";
    cr_json_open(&j, text, strlen(text));
    cr_json_enter_object(&j);
    while (cr_json_next(&j)) {
        const char *key = cr_json_key(&j);
        seen++;
        if (strcmp(key, "s") == 0) {
            s = cr_json_string(&j);
        } else if (strcmp(key, "n") == 0) {
            cr_json_u64(&j, &n);
        } else if (strcmp(key, "x") == 0) {
            cr_json_double(&j, &x);
        } else if (strcmp(key, "l") == 0) {
            uint64_t item;
            cr_json_enter_array(&j);
            while (cr_json_next(&j))
                if (cr_json_u64(&j, &item) == 0) sum += item;
        } else {
            cr_json_skip(&j);
        }
    }
    ck_assert_msg(cr_json_close(&j) == 0, "byte %zu: %s", j.at, j.problem);
    ck_assert_int_eq(seen, 5);
    ck_assert_str_eq(s, "\xc3\xa4\xf0\x9f\x98\x80\n");
    ck_assert(n == UINT64_MAX && x == -0.25 && sum == 6);
}
END_TEST

START_TEST(refuses_wrong_kinds)
{
    static const char *const text[] = { "-1", "1.0", "1e2", "18446744073709551616", "\"1\"", "[1]" };
    for (size_t i = 0; i < sizeof text / sizeof *text; i++) {
        char *copy = exact(text[i], strlen(text[i]));
        struct cr_json j;
        uint64_t n;
        cr_json_open(&j, copy, strlen(text[i]));
        ck_assert_msg(cr_json_u64(&j, &n) < 0, "%s", text[i]);
        ck_assert_ptr_nonnull(j.problem);
        free(copy);
    }
}
END_TEST

START_TEST(writes)
{
    struct cr_json_writer w = { 0 };
    cr_json_put_open(&w, NULL, '{');
    cr_json_put_string(&w, "s", "\"\\/\b\f\n\r\t\x01\xc3\xa4\xff|\xe2\x82");
    cr_json_put_open(&w, "list", '[');
    cr_json_put_i64(&w, NULL, INT64_MIN);
    cr_json_put_u64(&w, NULL, UINT64_MAX);
    cr_json_put_double(&w, NULL, 0.05);
    cr_json_put_double(&w, NULL, (double)NAN);
    cr_json_put_close(&w, ']');
    cr_json_put_open(&w, "empty", '{');
    cr_json_put_close(&w, '}');
    cr_json_put_bool(&w, "yes", 1);
    cr_json_put_bool(&w, "no", 0);
    cr_json_put_close(&w, '}');
    ck_assert(!w.failed);
    ck_assert_str_eq(w.text, "{\"s\":\"\\\"\\\\/\\b\\f\\n\\r\\t\\u0001\xc3\xa4\xef\xbf\xbd|\xef\xbf\xbd\xef\xbf\xbd\","
                             "\"list\":[-9223372036854775808,18446744073709551615,0.05,null],\"empty\":{},"
                             "\"yes\":true,\"no\":false}");
    ck_assert_uint_eq(w.length, strlen(w.text));
    ck_assert(skips(w.text, w.length, NULL));

    cr_json_writer_reset(&w);
    cr_json_put_u64(&w, NULL, 5);
    cr_json_put_blanks(&w, 8);
    ck_assert_str_eq(w.text, "5       ");
    cr_json_writer_free(&w);
}
END_TEST

/* Every character up to U+FFFF and some beyond, there and back. */
START_TEST(strings_there_and_back)
{
    struct cr_json_writer w = { 0 };
    static char all[4 * 0x11000];
    size_t n = 0;
    for (unsigned c = 1; c < 0x10ffff; c += c < 0x10000 ? 1 : 251) {
        if (c >= 0xd800 && c <= 0xdfff) continue;
        if (c < 0x80) {
            all[n++] = (char)c;
        } else if (c < 0x800) {
            all[n++] = (char)(0xc0 | c >> 6);
            all[n++] = (char)(0x80 | (c & 63));
        } else if (c < 0x10000) {
            all[n++] = (char)(0xe0 | c >> 12);
            all[n++] = (char)(0x80 | (c >> 6 & 63));
            all[n++] = (char)(0x80 | (c & 63));
        } else {
            all[n++] = (char)(0xf0 | c >> 18);
            all[n++] = (char)(0x80 | (c >> 12 & 63));
            all[n++] = (char)(0x80 | (c >> 6 & 63));
            all[n++] = (char)(0x80 | (c & 63));
        }
    }
    all[n] = 0;
    cr_json_put_string(&w, NULL, all);
    ck_assert(!w.failed);
    struct cr_json j;
    cr_json_open(&j, w.text, w.length);
    const char *back = cr_json_string(&j);
    ck_assert_int_eq(cr_json_close(&j), 0);
    ck_assert_uint_eq(strlen(back), n);
    ck_assert(memcmp(back, all, n) == 0);
    cr_json_writer_free(&w);
}
END_TEST

Suite *json_suite(void)
{
    Suite *s = suite_create("json");
    TCase *tc = tcase_create("reader");
    tcase_add_loop_test(tc, accepts, 0, GOOD);
    tcase_add_loop_test(tc, refuses, 0, BAD);
    tcase_add_test(tc, refuses_zero_bytes);
    tcase_add_test(tc, refuses_cut_text);
    tcase_add_test(tc, reads_values);
    tcase_add_test(tc, refuses_wrong_kinds);
    suite_add_tcase(s, tc);
    tc = tcase_create("writer");
    tcase_add_test(tc, writes);
    tcase_add_test(tc, strings_there_and_back);
    suite_add_tcase(s, tc);
    return s;
}
