/* The JSON reader and writer, and the UTF-8 they share. */
#include "core/json.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/number.h"

size_t cr_utf8_length(const char *p, size_t left)
{
    const unsigned char *u = (const unsigned char *)p;
    if (!left) return 0;
    if (u[0] < 0x80) return 1;
    const size_t n = u[0] >= 0xf0 ? 4 : u[0] >= 0xe0 ? 3 : 2;
    if (u[0] < 0xc2 || u[0] > 0xf4 || n > left) return 0;
    for (size_t i = 1; i < n; i++)
        if ((u[i] & 0xc0) != 0x80) return 0;
    const int overlong = (u[0] == 0xe0 && u[1] < 0xa0) || (u[0] == 0xf0 && u[1] < 0x90);
    const int surrogate = u[0] == 0xed && u[1] > 0x9f;
    const int too_great = u[0] == 0xf4 && u[1] > 0x8f;
    return overlong || surrogate || too_great ? 0 : n;
}

/* Writes the UTF-8 form of a code point and returns its length. */
static size_t utf8_encode(uint32_t c, char *out)
{
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    const size_t n = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    static const unsigned lead[] = { 0, 0, 0xc0, 0xe0, 0xf0 };
    for (size_t i = n - 1; i > 0; i--, c >>= 6) out[i] = (char)(0x80 | (c & 0x3f));
    out[0] = (char)(lead[n] | c);
    return n;
}

void cr_json_open(struct cr_json *j, char *text, size_t length)
{
    *j = (struct cr_json){ .text = text, .length = length };
}

int cr_json_fail(struct cr_json *j, const char *problem)
{
    if (!j->problem) j->problem = problem;
    return -1;
}

/* The next byte, or 0 at the end of the text (a zero byte in it is nobody's syntax, so the two need not differ). */
static char peek(const struct cr_json *j)
{
    return j->at < j->length ? j->text[j->at] : 0;
}

static void skip_blanks(struct cr_json *j)
{
    while (peek(j) == ' ' || peek(j) == '\t' || peek(j) == '\n' || peek(j) == '\r') j->at++;
}

/* Blanks, then this byte. */
static int take(struct cr_json *j, char c, const char *problem)
{
    if (j->problem) return -1;
    skip_blanks(j);
    if (peek(j) != c) return cr_json_fail(j, problem);
    j->at++;
    return 0;
}

int cr_json_close(struct cr_json *j)
{
    if (j->problem) return -1;
    skip_blanks(j);
    return j->at < j->length ? cr_json_fail(j, "nothing may follow the value") : 0;
}

static int enter(struct cr_json *j, char closing)
{
    if (j->depth == CR_JSON_DEPTH) return cr_json_fail(j, "too many levels");
    j->closing[j->depth++] = closing;
    j->first = 1;
    return 0;
}

int cr_json_enter_object(struct cr_json *j)
{
    return take(j, '{', "an object is expected") < 0 ? -1 : enter(j, '}');
}

int cr_json_enter_array(struct cr_json *j)
{
    return take(j, '[', "an array is expected") < 0 ? -1 : enter(j, ']');
}

int cr_json_next(struct cr_json *j)
{
    if (j->problem) return 0;
    skip_blanks(j);
    if (peek(j) == j->closing[j->depth - 1]) {
        j->at++;
        j->depth--;
        j->first = 0;
        return 0;
    }
    if (!j->first && take(j, ',', "a comma or a closing bracket is expected") < 0) return 0;
    j->first = 0;
    return 1;
}

/* Four hexadecimal digits at `at`, or -1. */
static long hex4(const struct cr_json *j, size_t at)
{
    long x = 0;
    for (size_t i = at; i < at + 4; i++) {
        const char c = i < j->length ? j->text[i] : 0;
        if (c >= '0' && c <= '9') x = x * 16 + (c - '0');
        else if (c >= 'a' && c <= 'f') x = x * 16 + (c - 'a' + 10);
        else if (c >= 'A' && c <= 'F') x = x * 16 + (c - 'A' + 10);
        else return -1;
    }
    return x;
}

/* The escape at j->at, behind the backslash; writes what it stands for to *out, which moves on. */
static int read_escape(struct cr_json *j, char **out)
{
    static const char name[] = "\"\\/bfnrt", meaning[] = "\"\\/\b\f\n\r\t";
    const char c = peek(j);
    const char *known = c ? strchr(name, c) : NULL;
    if (known) {
        *(*out)++ = meaning[known - name];
        j->at++;
        return 0;
    }
    long x = c == 'u' ? hex4(j, j->at + 1) : -1;
    if (x < 0) return cr_json_fail(j, "unknown escape");
    if (x == 0) return cr_json_fail(j, "a zero character is not allowed in a string");
    size_t used = 5;
    if (x >= 0xd800 && x <= 0xdbff) { /* the first of a surrogate pair */
        const int more = j->length - j->at >= 11 && memcmp(j->text + j->at + 5, "\\u", 2) == 0;
        const long low = more ? hex4(j, j->at + 7) : -1;
        if (low < 0xdc00 || low > 0xdfff) return cr_json_fail(j, "half of a surrogate pair");
        x = 0x10000 + ((x - 0xd800) << 10) + (low - 0xdc00);
        used = 11;
    } else if (x >= 0xdc00 && x <= 0xdfff) {
        return cr_json_fail(j, "half of a surrogate pair");
    }
    j->at += used;
    *out += utf8_encode((uint32_t)x, *out);
    return 0;
}

const char *cr_json_string(struct cr_json *j)
{
    if (take(j, '"', "a string is expected") < 0) return "";
    char *const start = j->text + j->at, *out = start;
    while (peek(j) != '"') {
        const size_t n = cr_utf8_length(j->text + j->at, j->length - j->at);
        if (n == 1 && peek(j) == '\\') {
            j->at++;
            if (read_escape(j, &out) < 0) return "";
            continue;
        }
        if (j->at == j->length) cr_json_fail(j, "the string does not end");
        else if (n == 0) cr_json_fail(j, "the string is not UTF-8");
        else if ((unsigned char)peek(j) < 0x20) cr_json_fail(j, "a control character must be written as an escape");
        if (j->problem) return "";
        memmove(out, j->text + j->at, n);
        out += n;
        j->at += n;
    }
    j->at++;
    *out = 0; /* at the closing quote at the latest: an escape is longer than what it stands for */
    return start;
}

const char *cr_json_key(struct cr_json *j)
{
    const char *key = cr_json_string(j);
    return take(j, ':', "a colon is expected") < 0 ? "" : key;
}

static int is_number(const char *p)
{
    static const char digits[] = "0123456789";
    p += *p == '-';
    const size_t whole = strspn(p, digits);
    if (whole == 0 || (whole > 1 && *p == '0')) return 0;
    p += whole;
    if (*p == '.') {
        const size_t fraction = strspn(++p, digits);
        if (fraction == 0) return 0;
        p += fraction;
    }
    if (*p == 'e' || *p == 'E') {
        p++;
        p += *p == '-' || *p == '+';
        const size_t exponent = strspn(p, digits);
        if (exponent == 0) return 0;
        p += exponent;
    }
    return *p == 0;
}

/* The number that comes next (RFC 8259, section 6), copied to text. */
static int read_number(struct cr_json *j, char text[64])
{
    if (j->problem) return -1;
    skip_blanks(j);
    const size_t start = j->at;
    size_t n = 0;
    for (char c = peek(j); c && strchr("+-.0123456789eE", c) && n < 63; c = peek(j)) {
        text[n++] = c;
        j->at++;
    }
    text[n] = 0;
    if (is_number(text)) return 0;
    j->at = start;
    return cr_json_fail(j, "a number is expected");
}

int cr_json_u64(struct cr_json *j, uint64_t *x)
{
    char text[64];
    if (read_number(j, text) < 0) return -1;
    return cr_parse_u64(text, x) < 0 ? cr_json_fail(j, "a whole number in 64 bits is expected") : 0;
}

int cr_json_double(struct cr_json *j, double *x)
{
    char text[64];
    if (read_number(j, text) < 0) return -1;
    return cr_parse_double(text, x) < 0 ? cr_json_fail(j, "the number is too great") : 0;
}

static int skip_word(struct cr_json *j, const char *word)
{
    const size_t n = strlen(word);
    if (j->length - j->at < n || memcmp(j->text + j->at, word, n) != 0) return cr_json_fail(j, "a value is expected");
    j->at += n;
    return 0;
}

int cr_json_skip(struct cr_json *j)
{
    char number[64];
    if (j->problem) return -1;
    skip_blanks(j);
    switch (peek(j)) {
    case '{':
        cr_json_enter_object(j);
        while (cr_json_next(j)) {
            cr_json_key(j);
            cr_json_skip(j);
        }
        break;
    case '[':
        cr_json_enter_array(j);
        while (cr_json_next(j)) cr_json_skip(j);
        break;
    case '"': cr_json_string(j); break;
    case 't': skip_word(j, "true"); break;
    case 'f': skip_word(j, "false"); break;
    case 'n': skip_word(j, "null"); break;
    default: read_number(j, number); break;
    }
    return j->problem ? -1 : 0;
}

static void put(struct cr_json_writer *w, const char *bytes, size_t n)
{
    if (w->failed) return;
    if (n >= w->capacity - w->length) { /* one byte stays free for the final 0 */
        size_t capacity = w->capacity ? w->capacity : 256;
        while (capacity - w->length <= n) capacity *= 2;
        char *text = realloc(w->text, capacity);
        if (!text) {
            w->failed = 1;
            return;
        }
        w->text = text;
        w->capacity = capacity;
    }
    memcpy(w->text + w->length, bytes, n);
    w->length += n;
    w->text[w->length] = 0;
}

static void put_escaped(struct cr_json_writer *w, const char *s)
{
    put(w, "\"", 1);
    for (size_t left = strlen(s), n; left; s += n, left -= n) {
        const unsigned char c = (unsigned char)*s;
        static const char named[] = "\"\\\b\f\n\r\t", name[] = "\"\\bfnrt";
        const char *known = strchr(named, c);
        n = cr_utf8_length(s, left);
        if (known) {
            put(w, "\\", 1);
            put(w, name + (known - named), 1);
        } else if (n == 0) {
            put(w, "\xef\xbf\xbd", 3); /* U+FFFD, the replacement character */
            n = 1;
        } else if (c < 0x20) {
            char escape[8];
            put(w, escape, (size_t)snprintf(escape, sizeof escape, "\\u%04x", c));
        } else {
            put(w, s, n);
        }
    }
    put(w, "\"", 1);
}

/* The comma before this element, and its key. */
static void put_start(struct cr_json_writer *w, const char *key)
{
    if (w->comma) put(w, ",", 1);
    w->comma = 1;
    if (!key) return;
    put_escaped(w, key);
    put(w, ":", 1);
}

void cr_json_put_open(struct cr_json_writer *w, const char *key, char bracket)
{
    put_start(w, key);
    put(w, &bracket, 1);
    w->comma = 0;
}

void cr_json_put_close(struct cr_json_writer *w, char bracket)
{
    put(w, &bracket, 1);
    w->comma = 1;
}

void cr_json_put_string(struct cr_json_writer *w, const char *key, const char *value)
{
    put_start(w, key);
    put_escaped(w, value);
}

void cr_json_put_i64(struct cr_json_writer *w, const char *key, int64_t value)
{
    char text[24];
    put_start(w, key);
    put(w, text, (size_t)snprintf(text, sizeof text, "%" PRId64, value));
}

void cr_json_put_u64(struct cr_json_writer *w, const char *key, uint64_t value)
{
    char text[24];
    put_start(w, key);
    put(w, text, (size_t)snprintf(text, sizeof text, "%" PRIu64, value));
}

void cr_json_put_double(struct cr_json_writer *w, const char *key, double value)
{
    char text[32] = "null";
    if (isfinite(value)) cr_format_double(value, text);
    put_start(w, key);
    put(w, text, strlen(text));
}

void cr_json_put_bool(struct cr_json_writer *w, const char *key, int value)
{
    const char *text = value ? "true" : "false";
    put_start(w, key);
    put(w, text, strlen(text));
}

void cr_json_put_blanks(struct cr_json_writer *w, size_t alignment)
{
    while (!w->failed && w->length % alignment) put(w, " ", 1);
}

void cr_json_writer_reset(struct cr_json_writer *w)
{
    w->length = 0;
    w->comma = 0;
    w->failed = 0;
}

void cr_json_writer_free(struct cr_json_writer *w)
{
    free(w->text);
    *w = (struct cr_json_writer){ 0 };
}
