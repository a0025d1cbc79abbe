/* Numeric addresses of hosts, and which of them are worth trying. */
#ifndef CR_DIST_ADDRESS_H
#define CR_DIST_ADDRESS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "simd/error.h"

enum { CR_ADDRESS_TEXT = 64, CR_MAX_ADDRESSES = 16 };

/* IPv4 or IPv6 (with scope for link-local ones) and a port. */
struct cr_address {
    uint8_t family; /* 4 or 6 */
    uint8_t ip[16]; /* network order; the first 4 for IPv4 */
    uint32_t scope; /* of a link-local IPv6 address, else 0; of meaning on its own host only */
    uint16_t port;
};

/* "10.0.0.1:4711", "[fe80::1%3]:4711". */
void cr_address_text(const struct cr_address *a, char text[CR_ADDRESS_TEXT]);
/* Back from text; the port may be left out (0). -CR_E_INPUT: only numbers are taken, never names. */
int cr_address_parse(struct cr_address *a, const char *text, struct cr_error *e);
/* Scopes are not compared. */
int cr_address_equal(const struct cr_address *a, const struct cr_address *b, int with_port);
int cr_address_is_loopback(const struct cr_address *a);
int cr_address_is_link_local(const struct cr_address *a); /* 169.254.0.0/16, fe80::/10 */
socklen_t cr_address_sockaddr(const struct cr_address *a, struct sockaddr_storage *s);
int cr_address_from(struct cr_address *a, const struct sockaddr *s);

/* This host's addresses on interfaces that are up, best first (global before link-local, IPv4 before IPv6 of the same
 * kind, loopback last), each with `port`. At most CR_MAX_ADDRESSES; returns how many. */
int cr_address_own(struct cr_address *list, uint16_t port);

/* This host's end of a connected socket, without its port. 0, or -1. */
int cr_address_of_socket(int fd, struct cr_address *own);
/* This host's address on the way to another, which is not asked. -1 if its name is not known here, or no way leads to
 * it. Asks the system's resolver. */
int cr_address_towards(const char *host, struct cr_address *own);

/* Where one rank may be reached. */
struct cr_candidates {
    char machine[40];       /* of boot id and network namespace: equal only for processes that share loopback;
                             * "" = unknown, equal to none */
    struct cr_address seen; /* as the arbiter saw it come, whatever the port; family 0 = unknown */
    struct cr_address list[CR_MAX_ADDRESSES];
    int count;
};
/* This process, with a door at `port`; nothing seen yet. */
void cr_candidates_own(struct cr_candidates *c, uint16_t port);
/* Given the candidates of all ranks, drop from each list what two different machines own (docker0, virbr0 and the like
 * have the same address everywhere), and loopback unless all are one machine. What the arbiter saw comes first, with
 * the port of the list; it is added when the rank does not own it (address translation) and nobody else is there. */
void cr_candidates_prune(struct cr_candidates *all, int hosts);

#endif
