#include "apps/brief.h"

#include <string.h>

#include "simd/crc32c.h"

uint64_t cr_brief_test(const struct cr_data *d)
{
    const size_t plane = (size_t)d->channels * (size_t)d->height * (size_t)d->width;
    uint32_t crc = cr_crc32c(0, d->test.images, d->test.count * plane);
    crc = cr_crc32c(crc, d->test.labels, d->test.count);
    return (uint64_t)d->test.count << 32 | crc;
}

void cr_brief_put(struct cr_writer *w, const struct cr_brief *b)
{
    cr_put_u64(w, b->train);
    cr_put_u64(w, b->test);
    cr_put_text(w, b->path);
    cr_put_text(w, b->isa);
    cr_put_u32(w, (uint32_t)b->ship);
    cr_put_double(w, b->host_timeout);
}

int cr_brief_get(struct cr_brief *b, const void *bytes, size_t size, struct cr_error *e)
{
    struct cr_reader r = { .at = bytes, .end = (const uint8_t *)bytes + size };
    b->train = cr_get_u64(&r);
    b->test = cr_get_u64(&r);
    cr_get_text(&r, b->path, sizeof b->path);
    cr_get_text(&r, b->isa, sizeof b->isa);
    b->ship = (int)cr_get_u32(&r);
    b->host_timeout = cr_get_double(&r);
    return r.failed ? cr_fail(e, CR_E_PEER, "what the launcher says first makes no sense") : 0;
}
