/* The job key: 256 bits that every process of a run knows and nobody else does. */
#ifndef CR_DIST_KEY_H
#define CR_DIST_KEY_H

#include <stdint.h>

#include "simd/error.h"

enum { CR_KEY_BYTES = 32 };
struct cr_key {
    int none;                    /* --no-auth: no key, anyone may join; bytes are then 0 */
    uint8_t bytes[CR_KEY_BYTES];
};

/* A fresh one. -CR_E_IO without random numbers. */
int cr_key_new(struct cr_key *k, struct cr_error *e);
/* From a file of 64 hex digits (and a newline). -CR_E_USAGE when it is not a regular file of the caller's own with mode
 * 0600 or stricter, or not 64 hex digits; says how to make one. A symbolic link is followed (Kubernetes' secrets are
 * links): what counts is the file it leads to. -CR_E_IO when it cannot be read. */
int cr_key_read(struct cr_key *k, const char *path, struct cr_error *e);
/* As 64 hex digits; and back from a line of them (-CR_E_INPUT; a newline at the end is allowed). For a summons, which
 * has to tell --no-auth too, a key that is none is the word "none"; a key file cannot say that. */
void cr_key_hex(const struct cr_key *k, char hex[65]);
int cr_key_parse(struct cr_key *k, const char *hex, struct cr_error *e);

#endif
