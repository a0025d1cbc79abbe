/* Bytes of images to interleaved floats: the template, included after a vec_*.h.
 *
 * Bytes are interleaved before they become floats, 16 from each of the group's 8 or 16 images at a time. Zipping the
 * first half of a run of 16-byte rows with the second half, byte by byte, moves the top bit of a byte's index
 * (image, pixel) to the bottom; done log2(images) times it is the index (pixel, image). */
#include "simd/kernels.h"
#include "simd/tables.h"
#include "simd/unroll.h"

enum { STRIP = 16, MAX_LANES = 16 }; /* pixels taken at a time */

/* out[pixel][lane] = row[lane][pixel], for STRIP pixels and `lanes` rows. */
static inline __attribute__((always_inline)) void interleave(int lanes, const uint8_t *const *row, size_t from,
                                                             uint8_t *out)
{
    vb a[MAX_LANES], b[MAX_LANES];

    UNROLL for (int i = 0; i < lanes; i++) a[i] = vb_load(row[i] + from);
    UNROLL for (int step = 1; step < lanes; step *= 2)
    {
        UNROLL for (int i = 0; i < lanes / 2; i++)
        {
            b[2 * i] = vb_zip_low(a[i], a[i + lanes / 2]);
            b[2 * i + 1] = vb_zip_high(a[i], a[i + lanes / 2]);
        }
        UNROLL for (int i = 0; i < lanes; i++) a[i] = b[i];
    }
    UNROLL for (int i = 0; i < lanes; i++) vb_store(out + STRIP * i, a[i]);
}

/* The same for the last `count` < STRIP pixels. */
static void interleave_rest(int lanes, const uint8_t *const *row, size_t from, size_t count, uint8_t *out)
{
    for (size_t k = 0; k < count; k++)
        for (int i = 0; i < lanes; i++) *out++ = row[i][from + k];
}

/* One plane of one group. scale and shift: of STRIP neighbouring floats of x, so of 16 / lanes pixels. */
static inline __attribute__((always_inline)) void load_plane(int lanes, const uint8_t *const *row, size_t from,
                                                             size_t pixels, const float *scale, const float *shift,
                                                             float *x)
{
    uint8_t bytes[STRIP * MAX_LANES];

    for (size_t at = 0; at < pixels; at += STRIP) {
        const size_t count = pixels - at < STRIP ? pixels - at : STRIP, values = count * (size_t)lanes;
        if (count == STRIP)
            interleave(lanes, row, from + at, bytes);
        else
            interleave_rest(lanes, row, from + at, count, bytes);
        size_t i = 0;
        for (; i + VL <= values; i += VL, x += VL)
            vf_store(x, vf_fma(vf_from_u8(bytes + i), vf_load(scale + i % MAX_LANES), vf_load(shift + i % MAX_LANES)));
        if (VL > 8 && i < values) { /* VL 16, lanes 8, an odd number of pixels */
            vf_store_n(x, vf_fma(vf_from_u8(bytes + i), vf_load(scale), vf_load(shift)), lanes);
            x += lanes;
        }
    }
}

/* One image for itself: no interleaving. */
static void load_single(const uint8_t *image, size_t pixels, float scale, float shift, float *x)
{
    const size_t whole = pixels / VL * VL;
    const vf a = vf_set1(scale), b = vf_set1(shift);

    for (size_t i = 0; i < whole; i += VL) vf_store(x + i, vf_fma(vf_from_u8(image + i), a, b));
    if (whole < pixels) {
        uint8_t last[VL] = { 0 };
        memcpy(last, image + whole, pixels - whole);
        vf_store_n(x + whole, vf_fma(vf_from_u8(last), a, b), (int)(pixels - whole));
    }
}

void ISA(cr_load)(struct cr_samples s, const uint8_t *const *image, int channels, size_t plane, const float *scale,
                  const float *shift, float *x)
{
    for (int first = 0; first < s.n; first += s.lanes) {
        const uint8_t *row[MAX_LANES];
        for (int l = 0; l < s.lanes; l++) row[l] = image[first + l < s.n ? first + l : first]; /* any valid bytes */

        for (int c = 0; c < channels; c++, x += plane * (size_t)s.lanes) {
            const size_t from = (size_t)c * plane;
            float a[MAX_LANES], b[MAX_LANES]; /* lanes without a sample: byte * 0 + 0 */
            for (int i = 0; i < MAX_LANES; i++) {
                const int present = first + i % s.lanes < s.n;
                a[i] = present ? scale[c] : 0.0f;
                b[i] = present ? shift[c] : 0.0f;
            }
            if (s.lanes == 16)
                load_plane(16, row, from, plane, a, b, x);
            else if (s.lanes == 8)
                load_plane(8, row, from, plane, a, b, x);
            else
                load_single(*row + from, plane, scale[c], shift[c], x);
        }
    }
}
