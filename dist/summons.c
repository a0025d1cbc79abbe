/* The summons as one line of text:
 *
 *     corering-summons 1 rank=3 incarnation=1 slots=0 secure=0 probe=0 job=HEX key=HEX arbiter=10.0.0.1:4711 data=DIR
 *
 * The words stand in this order; data comes last because a folder's name may hold blanks. key=none: --no-auth. */
#define _POSIX_C_SOURCE 200809L

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dist/launch.h"

#define OPENING "corering-summons 1"

/* ---- writing ---- */

struct line {
    char *text;
    size_t used;
    int failed; /* it did not fit */
};

static void append(struct line *l, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void append(struct line *l, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    const int n = vsnprintf(l->text + l->used, CR_SUMMONS_TEXT - l->used, format, args);
    va_end(args);
    if (n < 0 || (size_t)n >= CR_SUMMONS_TEXT - l->used) l->failed = 1;
    else l->used += (size_t)n;
}

int cr_summons_write(const struct cr_summons *s, char text[CR_SUMMONS_TEXT], struct cr_error *e)
{
    struct line l = { .text = text };
    char key[65] = "none";
    if (strpbrk(s->data, "\r\n"))
        return cr_fail(e, CR_E_USAGE, "the data folder's name holds a line's end, which cannot be told to other hosts");
    if (!s->key.none) cr_key_hex(&s->key, key);
    append(&l, OPENING " rank=%d incarnation=%lu slots=%d secure=%d probe=%d job=", s->rank,
           (unsigned long)s->incarnation, s->slots, s->secure, s->probe);
    for (size_t i = 0; i < sizeof s->job; i++) append(&l, "%02x", s->job[i]);
    append(&l, " key=%s arbiter=", key);
    for (int i = 0; i < s->count; i++) {
        char address[CR_ADDRESS_TEXT];
        cr_address_text(&s->arbiter[i], address);
        append(&l, "%s%s", i ? "," : "", address);
    }
    append(&l, " data=%s\n", s->data);
    if (l.failed) return cr_fail(e, CR_E_USAGE, "a summons of more than %d letters", (int)CR_SUMMONS_TEXT - 1);
    return 0;
}

/* ---- reading ---- */

/* The value of the next word ` key=value` into out, and the reader behind it; a word ends at a blank. NULL stays. */
static const char *take(const char *at, const char *key, char *out, size_t room)
{
    const size_t n = strlen(key);
    if (!at || *at != ' ' || strncmp(at + 1, key, n) != 0 || at[1 + n] != '=') return NULL;
    at += n + 2;
    const size_t length = strcspn(at, " \r\n");
    if (length == 0 || length >= room) return NULL;
    memcpy(out, at, length);
    out[length] = 0;
    return at + length;
}

static const char *take_number(const char *at, const char *key, long long most, long long *out)
{
    char word[24], *end;
    at = take(at, key, word, sizeof word);
    if (!at || word[0] < '0' || word[0] > '9') return NULL;
    *out = strtoll(word, &end, 10);
    return *end == 0 && *out <= most ? at : NULL;
}

static int digit(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static int take_job(struct cr_summons *s, const char *hex)
{
    if (strlen(hex) != 2 * sizeof s->job) return -1;
    for (size_t i = 0; i < sizeof s->job; i++) {
        const int high = digit(hex[2 * i]), low = digit(hex[2 * i + 1]);
        if (high < 0 || low < 0) return -1;
        s->job[i] = (uint8_t)(16 * high + low);
    }
    return 0;
}

static int take_addresses(struct cr_summons *s, char *list, struct cr_error *e)
{
    for (char *at = list, *comma; at; at = comma ? comma + 1 : NULL) {
        comma = strchr(at, ',');
        if (comma) *comma = 0;
        if (s->count == CR_MAX_ADDRESSES) return cr_fail(e, CR_E_INPUT, "a summons with too many addresses");
        CR_TRY(cr_address_parse(&s->arbiter[s->count], at, e));
        s->count++;
    }
    return 0;
}

int cr_summons_read(struct cr_summons *s, const char *text, struct cr_error *e)
{
    char job[40] = "", key[80] = "", list[CR_MAX_ADDRESSES * CR_ADDRESS_TEXT];
    long long rank = 0, incarnation = 0, slots = 0, secure = 0, probe = 0;
    *s = (struct cr_summons){ 0 };
    const char *at = strncmp(text, OPENING, strlen(OPENING)) == 0 ? text + strlen(OPENING) : NULL;
    at = take_number(at, "rank", CR_MAX_RANKS - 1, &rank);
    at = take_number(at, "incarnation", UINT32_MAX, &incarnation);
    at = take_number(at, "slots", INT32_MAX, &slots);
    at = take_number(at, "secure", 1, &secure);
    at = take_number(at, "probe", 1, &probe);
    at = take(at, "job", job, sizeof job);
    at = take(at, "key", key, sizeof key);
    at = take(at, "arbiter", list, sizeof list);
    const char *const data = at && strncmp(at, " data=", 6) == 0 ? at + 6 : NULL;
    const size_t length = data ? strcspn(data, "\r\n") : 0;
    if (!data || take_job(s, job) < 0 || length >= sizeof s->data)
        return cr_fail(e, CR_E_INPUT, "standard input holds no summons of this version; 'rank' is started by "
                                      "'corering train --hostfile', not by hand");
    s->rank = (int)rank;
    s->incarnation = (uint32_t)incarnation;
    s->slots = (int)slots;
    s->secure = (int)secure;
    s->probe = (int)probe;
    memcpy(s->data, data, length);
    if (strcmp(key, "none") == 0) s->key.none = 1;
    else CR_TRY(cr_key_parse(&s->key, key, e));
    return take_addresses(s, list, e);
}
