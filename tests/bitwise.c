#define _DEFAULT_SOURCE
#include "tests/bitwise.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { LINE = 64 / sizeof(float) };
static const float canary = 12345.678f;

static size_t page(void) { return (size_t)sysconf(_SC_PAGESIZE); }

struct array array_new(size_t n, size_t shift)
{
    const size_t lines = (shift + n + LINE - 1) / LINE * LINE, floats = lines + LINE;
    const size_t size = (floats * sizeof(float) + page() - 1) / page() * page();
    struct array a = { .n = n, .size = size };
    a.pages = mmap(NULL, size + 2 * page(), PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ck_assert(a.pages != MAP_FAILED);
    ck_assert_int_eq(mprotect(a.pages + page(), size, PROT_READ | PROT_WRITE), 0);
    float *const first = (float *)(void *)(a.pages + page()), *const end = first + size / sizeof(float);
    for (float *p = first; p < end; p++) *p = canary;
    a.at = end - lines + shift;
    for (size_t i = 0; i < n; i++) a.at[i] = NAN;
    return a;
}

struct array array_random(size_t n, struct values *v)
{
    struct array a = array_new(n, 0);
    for (size_t i = 0; i < n; i++) a.at[i] = next_float(v);
    return a;
}

void array_free(struct array a) { munmap(a.pages, a.size + 2 * page()); }

void array_check(struct array a, const char *isa, const char *what)
{
    const float *p = (const float *)(const void *)(a.pages + page()), *const end = p + a.size / sizeof(float);
    while (p < end && (*p == canary || (p >= a.at && p < a.at + a.n))) p++;
    ck_assert_msg(p == end, "%s %s: wrote beside it, at %td of %zu", isa, what, p - a.at, a.n);
    array_free(a);
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
    array_check(got, isa, what);
    array_check(want, isa, what);
}

struct cr_kernels reference(void)
{
    struct cr_kernels t;
    cr_kernels_fill(&t, 0);
    return t;
}
