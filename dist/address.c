#define _DEFAULT_SOURCE /* the flags of interfaces */
#include "dist/address.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "simd/sha256.h"

static size_t ip_bytes(const struct cr_address *a)
{
    return a->family == 4 ? 4 : 16;
}

int cr_address_is_loopback(const struct cr_address *a)
{
    static const uint8_t one[16] = { [15] = 1 };
    return a->family == 4 ? a->ip[0] == 127 : a->family == 6 && memcmp(a->ip, one, sizeof one) == 0;
}

int cr_address_is_link_local(const struct cr_address *a)
{
    if (a->family == 4) return a->ip[0] == 169 && a->ip[1] == 254;
    return a->family == 6 && a->ip[0] == 0xfe && (a->ip[1] & 0xc0) == 0x80;
}

/* The scope is left out: it numbers an interface of one host, and the same address comes from others without it. */
int cr_address_equal(const struct cr_address *a, const struct cr_address *b, int with_port)
{
    return a->family == b->family && memcmp(a->ip, b->ip, ip_bytes(a)) == 0 && (!with_port || a->port == b->port);
}

void cr_address_text(const struct cr_address *a, char text[CR_ADDRESS_TEXT])
{
    char ip[INET6_ADDRSTRLEN] = "no address", scope[16] = "", port[8] = "";
    if (a->family == 4 || a->family == 6) inet_ntop(a->family == 4 ? AF_INET : AF_INET6, a->ip, ip, sizeof ip);
    if (a->family == 6 && a->scope) snprintf(scope, sizeof scope, "%%%lu", (unsigned long)a->scope);
    if (a->port) snprintf(port, sizeof port, ":%u", (unsigned)a->port);
    const int brackets = a->family == 6 && a->port;
    snprintf(text, CR_ADDRESS_TEXT, "%s%.39s%.11s%s%s", brackets ? "[" : "", ip, scope, brackets ? "]" : "", port);
}

/* A decimal number from..to and nothing else. */
static int parse_number(const char *text, unsigned long from, unsigned long to, unsigned long *number)
{
    if (*text < '0' || *text > '9' || strlen(text) > 10) return 0;
    char *end;
    const unsigned long long x = strtoull(text, &end, 10);
    *number = (unsigned long)x;
    return !*end && x >= from && x <= to;
}

static void unmap(struct cr_address *a)
{
    static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
    if (a->family != 6 || memcmp(a->ip, mapped, sizeof mapped) != 0) return;
    a->family = 4;
    memmove(a->ip, a->ip + 12, 4);
    memset(a->ip + 4, 0, 12);
    a->scope = 0;
}

int cr_address_parse(struct cr_address *a, const char *text, struct cr_error *e)
{
    char copy[CR_ADDRESS_TEXT + 1];
    const int fits = snprintf(copy, sizeof copy, "%s", text) < (int)sizeof copy;
    char *ip = copy, *port = NULL, *end = NULL;
    if (*copy == '[') {
        ip++;
        if ((end = strchr(ip, ']'))) port = end[1] ? end + 1 : NULL;
        if (!end || (port && *port != ':')) ip = NULL;
    } else if (strchr(copy, ':') == strrchr(copy, ':')) {
        port = end = strchr(copy, ':'); /* one colon: IPv4 and a port; more of them: IPv6 alone */
    }
    if (end) *end = 0;
    if (port) port++;

    unsigned long number = 0, scope = 0;
    memset(a, 0, sizeof *a);
    char *const percent = ip ? strchr(ip, '%') : NULL;
    if (percent) *percent = 0;
    if (ip && !percent && inet_pton(AF_INET, ip, a->ip) == 1)
        a->family = 4;
    else if (ip && inet_pton(AF_INET6, ip, a->ip) == 1)
        a->family = 6;
    if (!fits || !a->family || (percent && !parse_number(percent + 1, 1, UINT32_MAX, &scope)) ||
        (port && !parse_number(port, 1, UINT16_MAX, &number))) {
        memset(a, 0, sizeof *a);
        return cr_fail(e, CR_E_INPUT, "'%.64s' is no address: expected numbers like 10.0.0.1:4711 or [fe80::1%%3]:4711",
                       text);
    }
    a->scope = (uint32_t)scope;
    a->port = (uint16_t)number;
    unmap(a);
    return 0;
}

socklen_t cr_address_sockaddr(const struct cr_address *a, struct sockaddr_storage *s)
{
    memset(s, 0, sizeof *s);
    if (a->family == 4) {
        struct sockaddr_in *const in = (struct sockaddr_in *)s;
        in->sin_family = AF_INET;
        in->sin_port = htons(a->port);
        memcpy(&in->sin_addr, a->ip, 4);
        return sizeof *in;
    }
    struct sockaddr_in6 *const in = (struct sockaddr_in6 *)s;
    in->sin6_family = AF_INET6;
    in->sin6_port = htons(a->port);
    in->sin6_scope_id = a->scope;
    memcpy(&in->sin6_addr, a->ip, 16);
    return sizeof *in;
}

int cr_address_from(struct cr_address *a, const struct sockaddr *s)
{
    memset(a, 0, sizeof *a);
    if (s->sa_family == AF_INET) {
        struct sockaddr_in in;
        memcpy(&in, s, sizeof in);
        a->family = 4;
        a->port = ntohs(in.sin_port);
        memcpy(a->ip, &in.sin_addr, 4);
        return 0;
    }
    if (s->sa_family == AF_INET6) {
        struct sockaddr_in6 in;
        memcpy(&in, s, sizeof in);
        a->family = 6;
        a->port = ntohs(in.sin6_port);
        memcpy(a->ip, &in.sin6_addr, 16);
        if (cr_address_is_link_local(a)) a->scope = in.sin6_scope_id;
        unmap(a);
        return 0;
    }
    return -CR_E_INPUT;
}

/* Smaller is better. */
static int preference(const struct cr_address *a)
{
    const int kind = cr_address_is_loopback(a) ? 2 : cr_address_is_link_local(a) ? 1 : 0;
    return 2 * kind + (a->family == 6);
}

int cr_address_own(struct cr_address *list, uint16_t port)
{
    struct ifaddrs *all;
    if (getifaddrs(&all) < 0) return 0;
    int count = 0;
    for (const struct ifaddrs *i = all; i; i = i->ifa_next) {
        struct cr_address a;
        const unsigned ready = IFF_UP | IFF_RUNNING;
        if (!i->ifa_addr || (i->ifa_flags & ready) != ready || cr_address_from(&a, i->ifa_addr) < 0) continue;
        a.port = port;
        int at = count;
        while (at > 0 && preference(&list[at - 1]) > preference(&a)) at--;
        if (at == CR_MAX_ADDRESSES) continue;
        if (count < CR_MAX_ADDRESSES) count++;
        memmove(&list[at + 1], &list[at], (size_t)(count - 1 - at) * sizeof *list);
        list[at] = a;
    }
    freeifaddrs(all);
    return count;
}

/* Boot id and network namespace, hashed to one word. Without /proc the machine stays unknown, "", and equals none. */
static void machine_id(char id[40])
{
    char boot[64] = "", text[128], hex[65];
    struct stat net;
    id[0] = 0;
    FILE *const f = fopen("/proc/sys/kernel/random/boot_id", "re");
    const int known = f && fgets(boot, sizeof boot, f);
    if (f) fclose(f);
    if (!known || stat("/proc/self/ns/net", &net) < 0) return;

    const int n = snprintf(text, sizeof text, "%s/%llu/%llu", boot, (unsigned long long)net.st_dev,
                           (unsigned long long)net.st_ino);
    struct cr_sha256 h;
    uint8_t digest[32];
    cr_sha256_init(&h);
    cr_sha256_add(&h, text, (size_t)n);
    cr_sha256_end(&h, digest);
    cr_sha256_hex(digest, hex);
    snprintf(id, 40, "%.39s", hex);
}

void cr_candidates_own(struct cr_candidates *c, uint16_t port)
{
    memset(c, 0, sizeof *c);
    machine_id(c->machine);
    c->count = cr_address_own(c->list, port);
}

static int one_machine(const struct cr_candidates *a, const struct cr_candidates *b)
{
    return a == b || (a->machine[0] && strcmp(a->machine, b->machine) == 0);
}

/* Addresses to be dropped are marked first: the other that claims one still has to see it. */
enum { CONTESTED = 0x80 };

static int claims(const struct cr_candidates *c, const struct cr_address *a)
{
    for (int i = 0; i < c->count; i++) {
        struct cr_address own = c->list[i];
        own.family &= (uint8_t)~CONTESTED;
        if (cr_address_equal(&own, a, 0)) return i + 1;
    }
    return 0;
}

static void mark_contested(struct cr_candidates *all, int hosts, int host)
{
    struct cr_candidates *const c = &all[host];
    for (int i = 0; i < c->count; i++) {
        const struct cr_address a = c->list[i];
        for (int other = 0; other < hosts; other++) {
            if (one_machine(c, &all[other]) || !claims(&all[other], &a)) continue;
            c->list[i].family |= CONTESTED;
            break;
        }
    }
}

/* A host behind an address translation is seen with an address that it does not own; good as long as nobody else is
 * there too. */
static int seen_alone(const struct cr_candidates *all, int hosts, int host)
{
    const struct cr_candidates *const c = &all[host];
    for (int other = 0; other < hosts; other++) {
        if (one_machine(c, &all[other])) continue;
        if (claims(&all[other], &c->seen) || cr_address_equal(&all[other].seen, &c->seen, 0)) return 0;
    }
    return 1;
}

/* Put the address that the arbiter saw first, with the port of the others: its own is the dialling socket's. */
static void prefer_seen(const struct cr_candidates *all, int hosts, struct cr_candidates *c)
{
    if (!c->seen.family) return;
    struct cr_address first = c->seen;
    if (c->count > 0) first.port = c->list[0].port;
    int at = claims(c, &c->seen) - 1;
    if (at >= 0) {
        first = c->list[at];
    } else {
        if (!seen_alone(all, hosts, (int)(c - all))) return;
        at = c->count < CR_MAX_ADDRESSES ? c->count++ : CR_MAX_ADDRESSES - 1;
    }
    memmove(&c->list[1], &c->list[0], (size_t)at * sizeof *c->list);
    c->list[0] = first;
}

void cr_candidates_prune(struct cr_candidates *all, int hosts)
{
    int alone = 1;
    for (int h = 1; h < hosts; h++) alone = alone && one_machine(&all[0], &all[h]);
    for (int h = 0; h < hosts; h++) mark_contested(all, hosts, h);
    for (int h = 0; h < hosts; h++) prefer_seen(all, hosts, &all[h]);
    for (int h = 0; h < hosts; h++) {
        struct cr_candidates *const c = &all[h];
        int left = 0;
        for (int i = 0; i < c->count; i++)
            if (!(c->list[i].family & CONTESTED) && (alone || !cr_address_is_loopback(&c->list[i])))
                c->list[left++] = c->list[i];
        c->count = left;
    }
}

int cr_address_of_socket(int fd, struct cr_address *own)
{
    struct sockaddr_storage s;
    socklen_t n = sizeof s;
    if (getsockname(fd, (struct sockaddr *)&s, &n) < 0) return -1;
    const int rc = cr_address_from(own, (const struct sockaddr *)&s);
    own->port = 0;
    return rc < 0 ? -1 : 0;
}
