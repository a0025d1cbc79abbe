/* Sums of bytes and of their squares: the template. Included after a vec_*.h.
 *
 * Floats are exact for whole numbers up to 2^24, and so are sums of 256 squares of bytes: 256 * 255^2 < 2^24. */
#include "simd/tables.h"
#include "simd/unroll.h"

enum { CHAINS = 4, STRIDE = CHAINS * VL, MOST_TURNS = 256 / CHAINS };

static void add_lanes(const vf *chain, uint64_t *sum)
{
    float lane[VL];
    vf_store(lane, vf_add(vf_add(chain[0], chain[1]), vf_add(chain[2], chain[3])));
    for (int i = 0; i < VL; i++) *sum += (uint64_t)lane[i];
}

void ISA(cr_sum_bytes)(size_t n, const uint8_t *p, uint64_t *sum, uint64_t *squares)
{
    while (n >= STRIDE) {
        const size_t turns = n / STRIDE < MOST_TURNS ? n / STRIDE : MOST_TURNS;
        vf s[CHAINS], q[CHAINS];
        UNROLL for (int i = 0; i < CHAINS; i++) s[i] = q[i] = vf_zero();
        for (size_t turn = 0; turn < turns; turn++, p += STRIDE)
            UNROLL for (int i = 0; i < CHAINS; i++)
            {
                const vf x = vf_from_u8(p + i * VL);
                s[i] = vf_add(s[i], x);
                q[i] = vf_fma(x, x, q[i]);
            }
        add_lanes(s, sum);
        add_lanes(q, squares);
        n -= turns * STRIDE;
    }
    for (; n > 0; n--, p++) {
        *sum += *p;
        *squares += (uint64_t)*p * *p;
    }
}
