/* The first words of every connection between processes of a run: who is there, is it the same build and the same run,
 * and does it know the job key?
 *
 *     dialer -> listener   hello D                                    192 bytes
 *     listener -> dialer   hello L                                    192
 *     dialer -> listener   HMAC(key, "corering dial"   | D | L)       32
 *     listener -> dialer   HMAC(key, "corering listen" | D | L)       32      the listener proves itself last
 *
 * HMAC is HMAC-SHA256 (RFC 2104). Both hellos carry a fresh nonce, both ranks, incarnations and the view, so nothing
 * can be replayed; they say which side speaks, so nothing can be reflected. Without a key (--no-auth on both sides) it
 * ends after the hellos. Whoever cannot show the key learns what a hello says (build, job, rank), and no MAC.
 *
 * A hello, little-endian, numbers of 4 bytes unless told:
 *
 *     0  "corering", 8     20  secure, 0 or 1     36  to               64  answer, 32
 *     8  CR_PROTOCOL       24  1 with a key       40  incarnation      96  build, 64, ended by zeros
 *    12  0 dialer,         28  channel            44  view            160  nonce, 32
 *        1 listener        32  rank               48  job, 16
 *    16  numerics
 *
 * The first 12 bytes stay as they are for ever: a later protocol is recognised by them whatever the size of its hello.
 *
 * The first difference of two hellos is named, in this order: magic, protocol, side, job, numerics, answer, build,
 * secure, key, then whom the dialer wants. A listener that refuses a whole hello still has its own to send, so that the
 * other side can name the difference too.
 *
 * This file knows no socket: bytes in, bytes out, for poll loops and for fuzzers. The connection is authenticated here
 * and only here; dist/seal.h protects what follows. The pattern is mutual challenge and response with a shared key
 * (ISO/IEC 9798-4, mechanism of three passes, with the hellos for tokens). */
#ifndef CR_DIST_HANDSHAKE_H
#define CR_DIST_HANDSHAKE_H

#include <stddef.h>
#include <stdint.h>

#include "dist/key.h"

enum { CR_PROTOCOL = 1, CR_NONCE_BYTES = 32, CR_HELLO_BYTES = 192, CR_MAC_BYTES = 32, CR_RANK_ARBITER = -1 };

/* What a connection is for. */
enum cr_channel { CR_CHANNEL_CONTROL, CR_CHANNEL_DATA, CR_CHANNEL_PULSE, CR_CHANNEL_PROBE, CR_CHANNELS };

/* What both sides must have in common. */
struct cr_agreement {
    uint32_t numerics;       /* CR_NUMERICS */
    uint8_t answer[32];      /* of the kernel table's known-answer test (simd/answer.h) */
    uint8_t job[16];         /* drawn by the arbiter for this run */
    char build[64];          /* version and commit, printable; differing is an error that names both */
    int secure;              /* --secure: dist/seal.h follows; needs a key */
};

struct cr_hello {
    struct cr_agreement common;
    enum cr_channel channel; /* a listener answers with the dialer's */
    int32_t rank;            /* of the sender; CR_RANK_ARBITER */
    int32_t to;              /* of the one it believes to talk to; a listener answers with the dialer's rank */
    uint32_t incarnation;    /* of the sender */
    uint32_t view;           /* of a data or pulse channel; a listener answers with the dialer's */
    uint8_t nonce[CR_NONCE_BYTES]; /* drawn by cr_handshake_new */
};

/* One side of one handshake. One thread at a time. */
struct cr_handshake;

/* Begin. ours: copied, and its nonce drawn here. listening: 1 waits for the other's hello first. NULL when out of
 * memory or without random numbers. */
struct cr_handshake *cr_handshake_new(const struct cr_key *key, const struct cr_hello *ours, int listening);
/* NULL is allowed. Keys and secrets are overwritten. */
void cr_handshake_free(struct cr_handshake *h);

/* Take n received bytes; *used says how many belonged to the handshake (the rest is the channel's).
 * 1 = done; 0 = more is needed; negative = refused, with the first difference: -CR_E_REFUSED for one that lasts as long
 * as the two processes do (numerics, answer, build, secure, key), else -CR_E_PEER ("build 0.1.0+abc there,
 * 0.1.0+def here: ..."), wrong key, or not a corering at all. After 1 or a refusal there may still be something to be
 * sent; after a refusal, send what the socket takes at once and close. No call of feed follows.
 * 1 and a true `theirs` do not mean that its rank exists, or that its view or incarnation is the right one: hold them
 * against what you know. */
int cr_handshake_feed(struct cr_handshake *h, const void *in, size_t n, size_t *used, struct cr_error *e);
/* Bytes to be sent now, if any. Each byte is handed out once, and stays where *out points as long as h lives. */
size_t cr_handshake_output(struct cr_handshake *h, const void **out);
/* The other side closed the connection before feed said 1: what that means at this point. Returns
 * -CR_E_REFUSED when it was our proof that it did not like, else -CR_E_PEER. */
int cr_handshake_closed(const struct cr_handshake *h, struct cr_error *e);
/* The other's hello, once it has arrived (before that NULL). Trust it only when feed said 1. */
const struct cr_hello *cr_handshake_theirs(const struct cr_handshake *h);
/* 32 bytes both sides know and nobody else, for the keys of dist/seal.h; only when done and there is a key.
 * HMAC(key, "corering secret" | D | L): whoever learns the key later can compute it from a recording (there is no
 * forward secrecy). */
void cr_handshake_secret(const struct cr_handshake *h, uint8_t secret[32]);

#endif
