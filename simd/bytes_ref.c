/* Sums of bytes and of their squares, the scalar reference. */
#include "simd/ref.h"
#include "simd/tables.h"

void REF(cr_sum_bytes)(size_t n, const uint8_t *p, uint64_t *sum, uint64_t *squares)
{
    for (size_t i = 0; i < n; i++) {
        *sum += p[i];
        *squares += (uint64_t)p[i] * p[i];
    }
}
