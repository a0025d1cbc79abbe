/* Numbers as decimal text: the same text for every locale, and back to the same bits.
 *
 * All of these take the whole text: no blanks before or after, no sign or letter left over, no overflow. */
#ifndef CR_CORE_NUMBER_H
#define CR_CORE_NUMBER_H

#include <stdint.h>

/* 0, or -1 with *out untouched when the text is not one such number in range. Thread-safe. */
int cr_parse_long(const char *text, long *out);
int cr_parse_i64(const char *text, int64_t *out);
int cr_parse_u64(const char *text, uint64_t *out); /* no minus sign */
/* Decimal: 5, -0.25, .5, 1e-3. Not inf, nan or hexadecimal; a value too great for a double is refused. */
int cr_parse_double(const char *text, double *out);

/* As few of 15 to 17 significant digits as give the same bits back from cr_parse_double, with a point whatever the
 * locale says: 0.05, not 0.050000000000000003. */
void cr_format_double(double x, char text[32]);

#endif
