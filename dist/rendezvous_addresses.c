#define _POSIX_C_SOURCE 200809L
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "dist/rendezvous.h"

struct list {
    struct cr_address *at;
    int count;
    uint16_t port;
};

static void add(struct list *l, struct cr_address a)
{
    a.port = l->port;
    for (int i = 0; i < l->count; i++)
        if (cr_address_equal(&l->at[i], &a, 1)) return;
    if (l->count < CR_MAX_ADDRESSES) l->at[l->count++] = a;
}

/* 0, or the resolver's number for what is wrong. */
static int add_name(struct list *l, const char *name)
{
    struct cr_address a;
    struct addrinfo *all;
    const struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM };
    if (cr_address_parse(&a, name, NULL) == 0) {
        add(l, a);
        return 0;
    }
    const int error = getaddrinfo(name, NULL, &hints, &all);
    if (error) return error;
    for (const struct addrinfo *i = all; i; i = i->ai_next)
        if (cr_address_from(&a, i->ai_addr) == 0) add(l, a);
    freeaddrinfo(all);
    return 0;
}

int cr_rendezvous_addresses(const struct cr_rendezvous *r, struct cr_address list[CR_MAX_ADDRESSES],
                            struct cr_error *e)
{
    struct list l = { list, 0, r->port };
    char names[sizeof r->master], *save;
    int error = 0;
    memcpy(names, r->master, sizeof names);
    if (r->rank == 0) {
        add_name(&l, "127.0.0.1");
        add_name(&l, "::1");
    }
    for (const char *name = strtok_r(names, ",", &save); name; name = strtok_r(NULL, ",", &save)) {
        const int wrong = add_name(&l, name);
        if (wrong) error = wrong;
    }
    if (l.count > 0) return l.count;
    return cr_fail(e, CR_E_PEER, "rank 0's host %.200s is not known on this one (%s): put it into DNS or /etc/hosts, "
                   "or set MASTER_ADDR to its address", r->master, error ? gai_strerror(error) : "no name");
}

int cr_address_towards(const char *host, struct cr_address *own)
{
    const struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_DGRAM };
    struct addrinfo *list = NULL;
    int rc = -1;
    if (getaddrinfo(host, "9", &hints, &list) != 0) return -1;
    for (const struct addrinfo *at = list; at && rc < 0; at = at->ai_next) {
        const int fd = socket(at->ai_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        if (fd >= 0 && connect(fd, at->ai_addr, at->ai_addrlen) == 0) rc = cr_address_of_socket(fd, own);
        if (fd >= 0) close(fd); /* of a datagram socket, connect only chooses the way */
    }
    freeaddrinfo(list);
    return rc;
}
