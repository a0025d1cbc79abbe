#include "apps/nearest.h"

#include <string.h>

enum { LONGEST = 63 };

static size_t min(size_t a, size_t b) { return a < b ? a : b; }

/* Edit distance with insertions, deletions, substitutions and swaps of neighbours (optimal string alignment). */
static size_t distance(const char *a, const char *b)
{
    const size_t m = strlen(a), n = strlen(b);
    if (m > LONGEST || n > LONGEST) return LONGEST;
    size_t row[3][LONGEST + 1]; /* rows i-2, i-1 and i, in turn */
    for (size_t j = 0; j <= n; j++) row[0][j] = j;
    for (size_t i = 1; i <= m; i++) {
        size_t *const now = row[i % 3];
        const size_t *const last = row[(i + 2) % 3], *const before = row[(i + 1) % 3];
        now[0] = i;
        for (size_t j = 1; j <= n; j++) {
            now[j] = min(min(last[j], now[j - 1]) + 1, last[j - 1] + (a[i - 1] != b[j - 1]));
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) now[j] = min(now[j], before[j - 2] + 1);
        }
    }
    return row[m % 3][n];
}

const char *cr_nearest(const char *word, const char *const *names, size_t count)
{
    const size_t length = strlen(word);
    const char *best = NULL;
    size_t least = 1 + length / 3; /* a third of the word may be wrong, one letter of a short one */
    for (size_t i = 0; i < count; i++) {
        const size_t d = distance(word, names[i]);
        if (d <= least && d < length) {
            if (best && d == least) continue;
            least = d;
            best = names[i];
        }
    }
    if (best) return best;
    for (size_t i = 0; i < count; i++) /* an unfinished word */
        if (length >= 2 && strncmp(word, names[i], length) == 0) return names[i];
    return NULL;
}
