/* Decimal numbers without the locale: strtod and printf, fenced in. */
#define _POSIX_C_SOURCE 200809L

#include "core/number.h"

#include <errno.h>
#include <limits.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Moves *text behind the digits it starts with. Returns whether there were any. */
static int skip_digits(const char **text)
{
    const char *start = *text;
    while (is_digit(**text)) ++*text;
    return *text > start;
}

int cr_parse_i64(const char *text, int64_t *out)
{
    const char *end = text + (*text == '-' || *text == '+');
    if (!skip_digits(&end) || *end) return -1;
    errno = 0;
    const long long x = strtoll(text, NULL, 10);
    if (errno) return -1;
    *out = x;
    return 0;
}

int cr_parse_u64(const char *text, uint64_t *out)
{
    const char *end = text + (*text == '+');
    if (!skip_digits(&end) || *end) return -1;
    errno = 0;
    const unsigned long long x = strtoull(text, NULL, 10);
    if (errno) return -1;
    *out = x;
    return 0;
}

int cr_parse_long(const char *text, long *out)
{
    int64_t x;
    if (cr_parse_i64(text, &x) < 0 || x < LONG_MIN || x > LONG_MAX) return -1;
    *out = (long)x;
    return 0;
}

/* strtod and printf follow LC_NUMERIC: a German locale reads and writes 0,5. These two put this thread, and no other,
 * into the C locale and back. */
static locale_t enter_c_locale(locale_t *before)
{
    const locale_t c = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    *before = uselocale(c);
    return c;
}

static void leave_c_locale(locale_t c, locale_t before)
{
    uselocale(before);
    if (c) freelocale(c);
}

int cr_parse_double(const char *text, double *out)
{
    const char *end = text + (*text == '-' || *text == '+');
    int digits = skip_digits(&end);
    if (*end == '.') {
        end++;
        digits |= skip_digits(&end);
    }
    if (!digits) return -1;
    if (*end == 'e' || *end == 'E') {
        end++;
        end += *end == '-' || *end == '+';
        if (!skip_digits(&end)) return -1;
    }
    if (*end) return -1;

    locale_t before;
    const locale_t c = enter_c_locale(&before);
    const double x = strtod(text, NULL);
    leave_c_locale(c, before);
    if (!isfinite(x)) return -1;
    *out = x;
    return 0;
}

void cr_format_double(double x, char text[32])
{
    locale_t before;
    const locale_t c = enter_c_locale(&before);
    /* 15 digits are enough for what people write (0.05), 17 for every double. */
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, 32, "%.*g", digits, x);
        const double back = strtod(text, NULL);
        if (memcmp(&back, &x, sizeof x) == 0) break;
    }
    leave_c_locale(c, before);
}
