#include "dist/blob.h"

#include <stdlib.h>

#include "simd/crc32c.h"

static struct cr_blob *make(const void *bytes, size_t size, void *owned)
{
    struct cr_blob *const b = malloc(sizeof *b);
    if (b)
        *b = (struct cr_blob){ bytes, size, cr_crc32c(0, bytes, size), 1, owned };
    else
        free(owned);
    return b;
}

struct cr_blob *cr_blob_take(void *bytes, size_t size)
{
    return make(bytes, size, bytes);
}

struct cr_blob *cr_blob_of(const void *bytes, size_t size)
{
    return make(bytes, size, NULL);
}

struct cr_blob *cr_blob_hold(struct cr_blob *b)
{
    b->holders++;
    return b;
}

void cr_blob_drop(struct cr_blob *b)
{
    if (!b || --b->holders) return;
    free(b->owned);
    free(b);
}
