/* What a kernel gives against the scalar reference, bit for bit (-0 equals +0): for all suites of kernels. Outputs
 * begin as NaN, for kernels must not read them. All arrays, scratch too, have canaries on both sides, and beyond the
 * line of cache with their last value, and some before, pages that nobody may touch. */
#ifndef CR_TESTS_BITWISE_H
#define CR_TESTS_BITWISE_H

#include <stddef.h>

#include "simd/kernels.h"
#include "tests/values.h"

/* ---- guarded arrays */

struct array {
    float *at; /* n values */
    size_t n;
    char *pages;
    size_t size; /* of what may be touched, between two pages that may not */
};

/* n NaNs, `shift` floats beyond a 64-byte boundary. */
struct array array_new(size_t n, size_t shift);
struct array array_random(size_t n, struct values *v);
void array_free(struct array a);
/* Fails where something was written beside it; frees. */
void array_check(struct array a, const char *isa, const char *what);

/* ---- tensors in a block's arrangement, `per` values a sample */

size_t block_size(struct cr_samples s, int per);
/* Random values; gradients are +0 in lanes without a sample. */
struct array random_gradient(struct cr_samples s, int per, struct values *v);

/* ---- comparison */

void check_same(const char *isa, const char *what, const float *got, const float *want, size_t n);

/* What lanes without a sample must hold. */
enum absent { FINITE, ZERO };

/* The same for a tensor in the block's arrangement. */
void check_block(const char *isa, const char *what, const struct array *got, const struct array *want,
                 struct cr_samples s, int per, enum absent absent);

/* The same for any 32 bits; frees both. */
void check_words(const char *isa, const char *what, struct array got, struct array want);

/* ---- what is tested: all usable instruction sets, "ref" too, against the plain reference */

static const struct cr_samples arrangement[] = {
    { 1, 1, 0 }, { 3, 1, 0 }, { 19, 1, 0 }, { 1, 8, 0 }, { 5, 8, 0 }, { 8, 8, 0 },
    { 11, 8, 0 }, { 29, 8, 0 }, { 7, 16, 0 }, { 16, 16, 0 }, { 37, 16, 0 },
    { 16, 16, 8 }, { 9, 16, 8 }, { 15, 16, 4 }, { 8, 8, 4 }, { 11, 16, 2 },
};
enum { ARRANGEMENTS = sizeof arrangement / sizeof *arrangement };

struct cr_kernels reference(void);

/* The body of a test for each usable instruction set: isa is its name, k its table, ref the reference. */
#define FOR_EACH_ISA(isa, k, ref)                                                                                      \
    struct cr_kernels ref = reference(), k;                                                                            \
    for (const char *const *isa = cr_isa_names(); *isa && (cr_kernels_fill(&k, cr_isa_flags(*isa)), 1); isa++)

#endif
