/* Many bytes that several connections send, and a disk keeps: one copy, counted. */
#ifndef CR_DIST_BLOB_H
#define CR_DIST_BLOB_H

#include <stddef.h>
#include <stdint.h>

struct cr_blob {
    const void *bytes;
    size_t size;
    uint32_t crc;  /* CRC32C: looked at once, however often it is sent */
    int holders;
    void *owned;   /* to be freed with it, or NULL */
};

/* Take over bytes from malloc; or send what stays the caller's for as long as the blob lives. NULL, with the bytes
 * freed, when out of memory. Takes as long as reading them once: without a lock. */
struct cr_blob *cr_blob_take(void *bytes, size_t size);
struct cr_blob *cr_blob_of(const void *bytes, size_t size);
/* Holders are counted under the lock of whoever shares it. */
struct cr_blob *cr_blob_hold(struct cr_blob *b);
void cr_blob_drop(struct cr_blob *b); /* NULL is fine */

#endif
