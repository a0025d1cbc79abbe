#include "apps/text.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

const char *cr_grouped(uint64_t n, char text[CR_NUMBER_TEXT])
{
    char digits[CR_NUMBER_TEXT];
    const int length = snprintf(digits, sizeof digits, "%llu", (unsigned long long)n);
    char *out = text;
    for (int i = 0; i < length; i++) {
        if (i > 0 && (length - i) % 3 == 0) *out++ = ',';
        *out++ = digits[i];
    }
    *out = 0;
    return text;
}

/* Three figures and a unit. */
static const char *with_unit(double x, double base, const char *const *units, int count, char text[CR_NUMBER_TEXT])
{
    int u = 0;
    while (x >= base && u < count - 1) {
        x /= base;
        u++;
    }
    const int decimals = u == 0 || x >= 100 ? 0 : x >= 10 ? 1 : 2;
    snprintf(text, CR_NUMBER_TEXT, "%.*f%s", decimals, x, units[u]);
    return text;
}

const char *cr_bytes(double bytes, char text[CR_NUMBER_TEXT])
{
    static const char *const unit[] = { " B", " KiB", " MiB", " GiB", " TiB" };
    return with_unit(bytes, 1024, unit, 5, text);
}

const char *cr_scaled(double n, char text[CR_NUMBER_TEXT])
{
    static const char *const unit[] = { " ", " k", " M", " G", " T" };
    return with_unit(n, 1000, unit, 5, text);
}

const char *cr_clock_text(double seconds, char text[CR_NUMBER_TEXT])
{
    if (!(seconds >= 0 && seconds < 1e9)) {
        snprintf(text, CR_NUMBER_TEXT, "?");
        return text;
    }
    const long s = (long)(seconds + 0.5);
    if (s < 3600)
        snprintf(text, CR_NUMBER_TEXT, "%ld:%02ld", s / 60, s % 60);
    else
        snprintf(text, CR_NUMBER_TEXT, "%ld:%02ld:%02ld", s / 3600, s / 60 % 60, s % 60);
    return text;
}

const char *cr_duration(double seconds, char text[CR_NUMBER_TEXT])
{
    if (!(seconds >= 0 && seconds < 60)) return cr_clock_text(seconds, text);
    snprintf(text, CR_NUMBER_TEXT, "%.1f s", seconds);
    return text;
}

double cr_binomial(double p, double n) { return n > 0 ? sqrt(p * (1 - p) / n) : 0; }
