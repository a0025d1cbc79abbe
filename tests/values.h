/* Test values: reproducible floats and integers from the project's own generator. The seed is CR_TEST_SEED, [1]; tests
 * put test_seed() into their messages. */
#ifndef CR_TESTS_VALUES_H
#define CR_TESTS_VALUES_H

#include <stdint.h>
#include <stdlib.h>

#include "core/rng.h"

static inline uint64_t test_seed(void)
{
    const char *text = getenv("CR_TEST_SEED");
    return text ? strtoull(text, NULL, 0) : 1;
}

/* A stream of values: start with { 0 } or, for another one, any other number. */
struct values {
    uint64_t next;
};

static inline uint32_t next_word(struct values *v)
{
    uint32_t word[4];
    cr_random(test_seed(), CR_RNG_TEST, v->next++, 0, word);
    return word[0];
}

/* In [-1, 1), one in eight an exact zero. */
static inline float next_float(struct values *v)
{
    const uint32_t word = next_word(v);
    return word % 8 == 0 ? 0.0f : 2 * cr_unit(word) - 1;
}

/* 0 .. n-1 */
static inline int next_int(struct values *v, int n)
{
    return (int)(next_word(v) % (uint32_t)n);
}

#endif
