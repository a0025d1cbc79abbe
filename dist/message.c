#include "dist/message.h"

#include <string.h>

/* Where the sections begin: sum64, then maxima, then sum32, which is the longest and ends the buffer. */
struct layout {
    size_t max32, sum32, end;
};

static size_t round_up(size_t bytes) { return (bytes + CR_MESSAGE_ALIGN - 1) / CR_MESSAGE_ALIGN * CR_MESSAGE_ALIGN; }

static struct layout layout_of(struct cr_message_shape s)
{
    struct layout l;
    l.max32 = round_up(s.sums64 * sizeof(int64_t));
    l.sum32 = l.max32 + round_up(s.maxima * sizeof(uint32_t));
    l.end = l.sum32 + s.sums32 * sizeof(uint32_t);
    return l;
}

size_t cr_message_size(struct cr_message_shape shape) { return layout_of(shape).end; }

struct cr_message cr_message_in(void *buffer, struct cr_message_shape shape)
{
    const struct layout l = layout_of(shape);
    char *const bytes = buffer;
    memset(buffer, 0, l.sum32);
    return (struct cr_message){
        .shape = shape,
        .bytes = buffer,
        .size = l.end,
        .sum64 = (int64_t *)buffer,
        .max32 = (uint32_t *)(void *)(bytes + l.max32),
        .sum32 = (uint32_t *)(void *)(bytes + l.sum32),
    };
}

/* ---- combining: loops of a fixed length inside, which compilers turn into vectors at -O2 already ---- */

enum { STRIDE = 16 };

/* Signed and unsigned words may share memory; added as unsigned ones they wrap as promised. */
static void add64(uint64_t *restrict to, const uint64_t *restrict from, size_t n)
{
    for (; n >= STRIDE; n -= STRIDE, to += STRIDE, from += STRIDE)
        for (int i = 0; i < STRIDE; i++) to[i] += from[i];
    for (size_t i = 0; i < n; i++) to[i] += from[i];
}

static void greatest32(uint32_t *restrict to, const uint32_t *restrict from, size_t n)
{
    for (size_t i = 0; i < n; i++) to[i] = from[i] > to[i] ? from[i] : to[i];
}

static void add32(uint32_t *restrict to, const uint32_t *restrict from, size_t n)
{
    for (; n >= STRIDE; n -= STRIDE, to += STRIDE, from += STRIDE)
        for (int i = 0; i < STRIDE; i++) to[i] += from[i];
    for (size_t i = 0; i < n; i++) to[i] += from[i];
}

static size_t least(size_t a, size_t b) { return a < b ? a : b; }
static size_t most(size_t a, size_t b) { return a > b ? a : b; }

void cr_message_combine(struct cr_message *m, size_t begin, size_t end, const void *from)
{
    const struct layout l = layout_of(m->shape);
    char *const to = m->bytes;
    const char *const other = (const char *)from - begin;
    const size_t end64 = least(end, l.max32), begin_max = most(begin, l.max32), end_max = least(end, l.sum32),
                 begin32 = most(begin, l.sum32);
    /* Padding is combined too: it is zero on both sides and stays so. */
    if (begin < end64)
        add64((uint64_t *)(void *)(to + begin), (const uint64_t *)(const void *)(other + begin),
              (end64 - begin) / sizeof(uint64_t));
    if (begin_max < end_max)
        greatest32((uint32_t *)(void *)(to + begin_max), (const uint32_t *)(const void *)(other + begin_max),
                   (end_max - begin_max) / sizeof(uint32_t));
    if (begin32 < end)
        add32((uint32_t *)(void *)(to + begin32), (const uint32_t *)(const void *)(other + begin32),
              (end - begin32) / sizeof(uint32_t));
}
