/* What one collective combines: three sections of words in one buffer, so that any part of it can travel alone.
 *
 * Sums are of integers modulo 2^64 and 2^32, maxima of bit patterns, so the result depends neither on the order in
 * which ranks are combined nor on where the buffer is cut. */
#ifndef CR_DIST_MESSAGE_H
#define CR_DIST_MESSAGE_H

#include <stddef.h>
#include <stdint.h>

/* How many words of each kind. Equal on all ranks. */
struct cr_message_shape {
    size_t sums64; /* int64, added: losses, counts, times */
    size_t maxima; /* uint32, the greater wins: bits of |x|, which order like the values */
    size_t sums32; /* uint32, added: gradients as integers */
};

enum { CR_MESSAGE_ALIGN = 64 }; /* bytes: sections begin, and pieces are cut, at multiples of this */

struct cr_message {
    struct cr_message_shape shape;
    void *bytes;     /* the buffer, CR_MESSAGE_ALIGN-aligned; not owned */
    size_t size;     /* of the buffer: cr_message_size(shape) */
    int64_t *sum64;  /* (sums64) */
    uint32_t *max32; /* (maxima) */
    uint32_t *sum32; /* (sums32) */
};

size_t cr_message_size(struct cr_message_shape shape);
/* A message of this shape in `buffer`. Sums64, maxima and the padding between sections are set to 0; sums32 is not
 * touched. */
struct cr_message cr_message_in(void *buffer, struct cr_message_shape shape);
/* Combine the bytes [begin, end) of another rank's buffer, given by `from`, into *m. begin is a multiple of
 * CR_MESSAGE_ALIGN, end too or the size. Any alignment of `from` that suits its words. */
void cr_message_combine(struct cr_message *m, size_t begin, size_t end, const void *from);

#endif
