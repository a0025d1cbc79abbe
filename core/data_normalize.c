/* Everything that needs the pixels of a whole split: exact sums, and what follows from them. */
#include <math.h>

#include "core/data.h"
#include "simd/kernels.h"

static void sum_pixels(struct cr_pixel_sums *s, const struct cr_data *d, size_t images)
{
    const size_t plane = (size_t)d->height * (size_t)d->width, channels = (size_t)d->channels;
    const struct cr_kernels *const k = cr_kernels();
    const uint8_t *p = d->train.images;
    *s = (struct cr_pixel_sums){.images = images};
    if (channels == 1) {
        k->sum_bytes(images * plane, p, &s->sum[0], &s->squares[0]);
        return;
    }
    for (size_t i = 0; i < images; i++)
        for (size_t c = 0; c < channels; c++, p += plane) k->sum_bytes(plane, p, &s->sum[c], &s->squares[c]);
}

void cr_data_measure(struct cr_data *d)
{
    sum_pixels(&d->sums, d, d->train.count);
}

/* The sums over the first `images`: those at hand when they are the ones, else taken now. */
static struct cr_pixel_sums sums_over(const struct cr_data *d, size_t images)
{
    struct cr_pixel_sums s = d->sums;
    if (s.images != images) sum_pixels(&s, d, images);
    return s;
}

static void set_channel(struct cr_normalization *z, int c, double mean, double std)
{
    if (!(std > 0)) std = 1;
    z->mean[c] = mean;
    z->std[c] = std;
    z->scale[c] = (float)(1 / (255 * std));
    z->shift[c] = (float)(0 - mean / std); /* +0, not -0, for a mean of 0 */
}

void cr_normalization_of(struct cr_normalization *z, enum cr_normalize kind, const struct cr_data *d, size_t count,
                         double mean, double std)
{
    *z = (struct cr_normalization){.kind = kind, .channels = d->channels};
    struct cr_pixel_sums s = {.images = 0};
    if (kind == CR_NORMALIZE_STD) s = sums_over(d, count);
    const double pixels = (double)count * d->height * d->width;
    for (int c = 0; c < d->channels; c++)
        switch (kind) {
        case CR_NORMALIZE_STD: {
            const double average = (double)s.sum[c] / pixels;
            const double variance = (double)s.squares[c] / pixels - average * average;
            set_channel(z, c, average / 255, variance > 0 ? sqrt(variance) / 255 : 0);
            break;
        }
        case CR_NORMALIZE_UNIT: set_channel(z, c, 0, 1); break;
        case CR_NORMALIZE_GIVEN: set_channel(z, c, mean, std); break;
        case CR_NORMALIZE_NONE: /* the bytes themselves; 1 / (255 * (1/255.0)) need not be exactly 1 */
            set_channel(z, c, 0, 1 / 255.0);
            z->scale[c] = 1;
            break;
        }
}

/* FNV-1a over the eight bytes of a number, least first. */
static uint64_t hash_number(uint64_t h, uint64_t x)
{
    for (int i = 0; i < 8; i++) h = (h ^ (x >> 8 * i & 0xff)) * 0x100000001b3u;
    return h;
}

uint64_t cr_data_fingerprint(const struct cr_data *d)
{
    const struct cr_pixel_sums s = sums_over(d, d->train.count);
    uint64_t h = 0xcbf29ce484222325u;
    h = hash_number(h, d->train.count);
    h = hash_number(h, (uint64_t)d->channels);
    h = hash_number(h, (uint64_t)d->height);
    h = hash_number(h, (uint64_t)d->width);
    for (int c = 0; c < d->channels; c++) {
        h = hash_number(h, s.sum[c]);
        h = hash_number(h, s.squares[c]);
    }
    for (size_t i = 0; i < d->train.count; i++) h = (h ^ d->train.labels[i]) * 0x100000001b3u;
    return h;
}
