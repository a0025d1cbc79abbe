/* Fuzz target: a handshake with a stranger, and one with somebody in the middle. `make check` replays
 * tests/fuzz/handshake/.
 *
 *     clang -std=c11 -g -fsanitize=fuzzer,address,undefined -I. tests/fuzz/fuzz_handshake.c obj/libcorering.a \
 *         -fopenmp -lz -lm -o fuzz && ./fuzz -max_len=600 CORPUS tests/fuzz/handshake
 *
 * First byte: bit 0 who listens, bit 1 no keys, bit 2 somebody in the middle. Second byte: how many bytes arrive at
 * once. A stranger says the rest; it must never be let in as long as there is a key. Somebody in the middle makes
 * changes of three bytes (place, of 2, big-endian; what is xored): nobody who was told something else may be let in. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "dist/handshake.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

enum { WHOLE = CR_HELLO_BYTES + CR_MAC_BYTES }; /* what each side says */

static struct cr_hello hello_of(int32_t rank, int32_t to)
{
    struct cr_hello x = { .common = { .numerics = 1, .build = "0.1.0+fuzz" }, .channel = CR_CHANNEL_DATA, .rank = rank,
                          .to = to, .incarnation = 7, .view = 9 };
    memset(x.common.answer, 0x5a, sizeof x.common.answer);
    memset(x.common.job, 0xa5, sizeof x.common.job);
    return x;
}

/* Feed it all, `step` bytes at once; returns what feed says last. All sums must be right on the way. */
static int feed(struct cr_handshake *h, const uint8_t *bytes, size_t n, size_t step)
{
    struct cr_error e;
    int rc = 0;
    for (size_t at = 0; at < n && rc == 0;) {
        const size_t some = n - at < step ? n - at : step;
        size_t used;
        rc = cr_handshake_feed(h, bytes + at, some, &used, &e);
        if (used > some || (rc == 0 && used != some)) abort();
        if (rc < 0 && ((e.code != CR_E_PEER && e.code != CR_E_REFUSED) || !e.text[0])) abort();
        at += used;
    }
    return rc;
}

static void stranger(const struct cr_key *key, int listening, const uint8_t *bytes, size_t n, size_t step)
{
    const struct cr_hello ours = listening ? hello_of(1, 0) : hello_of(0, 1);
    struct cr_handshake *h = cr_handshake_new(key, &ours, listening);
    const void *out;
    if (!h) abort();
    size_t sent = cr_handshake_output(h, &out);
    const int rc = feed(h, bytes, n, step);
    sent += cr_handshake_output(h, &out);
    if (!key->none && rc == 1) abort();
    if (sent > (listening ? CR_HELLO_BYTES : WHOLE)) abort(); /* a listener shows a stranger no proof */
    cr_handshake_free(h);
}

static void middle(const struct cr_key *key, const uint8_t *bytes, size_t n, size_t step)
{
    const struct cr_hello hello[2] = { hello_of(0, 1), hello_of(1, 0) };
    struct cr_handshake *h[2] = { cr_handshake_new(key, &hello[0], 0), cr_handshake_new(key, &hello[1], 1) };
    uint8_t change[2][WHOLE] = { { 0 } };
    int rc[2] = { 0, 0 }, changed[2][2] = { { 0 } }; /* of each side: its hello, its proof */
    size_t at[2] = { 0, 0 };
    if (!h[0] || !h[1]) abort();
    for (; n >= 3; bytes += 3, n -= 3) {
        const size_t place = ((size_t)bytes[0] << 8 | bytes[1]) % (2 * WHOLE);
        change[place / WHOLE][place % WHOLE] ^= bytes[2];
    }
    for (int side = 0; side < 2; side++)
        for (size_t i = 0; i < WHOLE; i++) changed[side][i >= CR_HELLO_BYTES] |= change[side][i];

    for (int turn = 0; turn < 4; turn++) {
        const int from = turn % 2, to = 1 - from;
        const void *out;
        uint8_t said[WHOLE];
        const size_t some = cr_handshake_output(h[from], &out);
        if (at[from] + some > WHOLE) abort();
        for (size_t i = 0; i < some; i++) said[i] = ((const uint8_t *)out)[i] ^ change[from][at[from] + i];
        at[from] += some;
        if (rc[to] == 0) rc[to] = feed(h[to], said, some, step);
    }
    if (!key->none) {
        const int hellos = changed[0][0] || changed[1][0];
        if ((rc[1] == 1) != !(hellos || changed[0][1])) abort();
        if ((rc[0] == 1) != !(hellos || changed[0][1] || changed[1][1])) abort();
    }
    cr_handshake_free(h[0]);
    cr_handshake_free(h[1]);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    if (n < 2) return 0;
    const struct cr_key key = { .none = bytes[0] >> 1 & 1, .bytes = { 1, 2, 3 } };
    const size_t step = (size_t)bytes[1] + 1;
    if (bytes[0] & 4)
        middle(&key, bytes + 2, n - 2, step);
    else
        stranger(&key, bytes[0] & 1, bytes + 2, n - 2, step);
    return 0;
}
