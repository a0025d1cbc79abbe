#include "tests/bitwise.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MARGIN = 16 };
static const float canary = 12345.678f;

struct array array_new(size_t n, size_t shift)
{
    const size_t all = (n + shift + 2 * MARGIN + 15) / 16 * 16;
    struct array a = { aligned_alloc(64, all * sizeof(float)), NULL, n };
    ck_assert_ptr_nonnull(a.base);
    for (size_t i = 0; i < all; i++) a.base[i] = canary;
    a.at = a.base + MARGIN + shift;
    for (size_t i = 0; i < n; i++) a.at[i] = NAN;
    return a;
}

struct array array_random(size_t n, struct values *v)
{
    struct array a = array_new(n, 0);
    for (size_t i = 0; i < n; i++) a.at[i] = next_float(v);
    return a;
}

void array_free(struct array a, const char *isa, const char *what)
{
    size_t i = 0;
    while (i < MARGIN && a.at[a.n + i] == canary && *(a.at - 1 - i) == canary) i++;
    ck_assert_msg(i == MARGIN, "%s %s: wrote beside its output", isa, what);
    free(a.base);
}

size_t block_size(struct cr_samples s, int per) { return (size_t)(cr_groups(s) * s.lanes * per); }

struct array random_gradient(struct cr_samples s, int per, struct values *v)
{
    struct array a = array_random(block_size(s, per), v);
    const int last = (cr_groups(s) - 1) * s.lanes;
    for (int lane = s.n - last; lane < s.lanes; lane++)
        for (int k = 0; k < per; k++) a.at[last * per + k * s.lanes + lane] = 0;
    return a;
}

static int same(float a, float b)
{
    return a == b || memcmp(&a, &b, sizeof a) == 0;
}

/* One assertion an array, for each costs a message to the parent process: look for the first difference. */
void check_same(const char *isa, const char *what, const float *got, const float *want, size_t n)
{
    size_t i = 0;
    while (i < n && same(got[i], want[i])) i++;
    ck_assert_msg(i == n, "%s %s: index %zu of %zu: %a, reference %a (seed %llu)", isa, what, i, n, (double)got[i],
                  (double)want[i], (unsigned long long)test_seed());
}

void check_block(const char *isa, const char *what, const struct array *got, const struct array *want,
                 struct cr_samples s, int per, enum absent absent)
{
    const int lanes = s.lanes, total = cr_groups(s) * lanes * per;
    int i = 0, sample = 0;
    ck_assert_uint_eq(got->n, (size_t)total);
    for (; i < total; i++) {
        const float g = got->at[i];
        sample = i / (lanes * per) * lanes + i % lanes;
        if (sample < s.n ? !same(g, want->at[i]) : absent == ZERO ? g != 0 : !isfinite(g)) break;
    }
    ck_assert_msg(i == total, "%s %s: n %d, lanes %d: sample %d, value %d: %a, reference %a (seed %llu)", isa, what,
                  s.n, lanes, sample, i / lanes % per, (double)got->at[i], (double)want->at[i],
                  (unsigned long long)test_seed());
}

void check_words(const char *isa, const char *what, struct array got, struct array want)
{
    ck_assert_msg(memcmp(got.at, want.at, got.n * sizeof(float)) == 0, "%s %s: %zu words (seed %llu)", isa, what, got.n,
                  (unsigned long long)test_seed());
    array_free(got, isa, what);
    array_free(want, isa, what);
}

struct cr_kernels reference(void)
{
    struct cr_kernels t;
    cr_kernels_fill(&t, 0);
    return t;
}
