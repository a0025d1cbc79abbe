/* Numbers as people read them. Each fills the caller's buffer and returns it. */
#ifndef CR_APPS_TEXT_H
#define CR_APPS_TEXT_H

#include <stddef.h>
#include <stdint.h>

enum { CR_NUMBER_TEXT = 32 };

const char *cr_grouped(uint64_t n, char text[CR_NUMBER_TEXT]);        /* 60,000 */
const char *cr_bytes(double bytes, char text[CR_NUMBER_TEXT]);        /* 87.0 KiB */
const char *cr_scaled(double n, char text[CR_NUMBER_TEXT]);           /* 1.16 M */
const char *cr_clock_text(double seconds, char text[CR_NUMBER_TEXT]); /* 0:04, 3:07, 1:02:45 */
const char *cr_duration(double seconds, char text[CR_NUMBER_TEXT]);   /* 4.2 s, then like a clock */

/* One standard deviation of a share p found in n samples: sqrt(p (1 - p) / n). */
double cr_binomial(double p, double n);

#endif
