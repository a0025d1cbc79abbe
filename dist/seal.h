/* Encrypting a connection (--secure): ChaCha20-Poly1305 (RFC 8439) of libsodium, a key of its own per connection and
 * direction, counters as nonces, so that nothing is read, changed, replayed or reordered on the way.
 * Without libsodium (./configure says so) cr_seal_possible() is 0 and cr_seal_new fails.
 *
 *     key of a direction = HMAC-SHA256(secret, "corering seal dialer" or "corering seal listener": who seals)
 *     nonce              = number of the record in its direction, from 0, little-endian, 12 bytes
 *
 * The secret belongs to one connection (dist/handshake.h), so no pair of key and nonce is ever used twice. Where a
 * record ends is the caller's to know; cutting a connection off cannot be told from losing it. */
#ifndef CR_DIST_SEAL_H
#define CR_DIST_SEAL_H

#include <stddef.h>
#include <stdint.h>

#include "simd/error.h"

enum { CR_SEAL_OVERHEAD = 16 }; /* bytes a sealed record is longer than its text */

struct cr_seal;

int cr_seal_possible(void);
/* secret: what the handshake agreed on; dialer: 1 on the side that dialled, so the two directions differ.
 * NULL and *e: -CR_E_USAGE without libsodium, -CR_E_NOMEM. */
struct cr_seal *cr_seal_new(const uint8_t secret[32], int dialer, struct cr_error *e);
/* NULL is allowed. The keys are overwritten. */
void cr_seal_free(struct cr_seal *s);
/* Seal n bytes into out (n + CR_SEAL_OVERHEAD). They do not overlap. One thread at a time per direction. */
void cr_seal_lock(struct cr_seal *s, void *out, const void *in, size_t n);
/* Open n sealed bytes into out (n - CR_SEAL_OVERHEAD). They do not overlap. 0 or -CR_E_PEER: not what the other side
 * sealed next; out then holds nothing of it, and the seal is good for freeing only. */
int cr_seal_open(struct cr_seal *s, void *out, const void *in, size_t n, struct cr_error *e);

#endif
