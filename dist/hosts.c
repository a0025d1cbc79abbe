/* A line is a name and words key=value; # begins a comment. What is refused here never reaches a command line. */
#define _POSIX_C_SOURCE 200809L

#include "dist/hosts.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MAX_FILE = 1 << 20, MAX_SLOTS = 4096 };

/* A text within a line. */
struct word {
    const char *at;
    size_t length;
};

/* Where we are, for messages. Without a path it is the argument of -H. */
struct place {
    const char *path, *start;
    long line;
    struct cr_error *e;
};

#define FAIL(p, at, ...)                                                                                               \
    ((p)->path ? cr_fail_at((p)->e, CR_E_INPUT, (p)->path, (p)->line, (long)((at) - (p)->start) + 1, -1, __VA_ARGS__)  \
               : cr_fail((p)->e, CR_E_USAGE, "-H: " __VA_ARGS__))

static int is_name_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' ||
           c == '-';
}

/* The text after `key=` when w has that form. */
static int has_key(struct word w, const char *key, struct word *value)
{
    const size_t n = strlen(key);
    if (w.length <= n || memcmp(w.at, key, n) != 0 || w.at[n] != '=') return 0;
    *value = (struct word){ w.at + n + 1, w.length - n - 1 };
    return 1;
}

/* ---- values ---- */

static int take_number(const struct place *p, struct word w, const char *what, int most, int *out)
{
    int n = 0;
    for (size_t i = 0; i < w.length && n <= most; i++) {
        if (w.at[i] < '0' || w.at[i] > '9') n = most;
        n = n * 10 + (w.at[i] - '0');
    }
    if (w.length == 0 || n < 1 || n > most)
        return FAIL(p, w.at, "%s is a whole number from 1 to %d, not '%.*s'", what, most, (int)w.length, w.at);
    *out = n;
    return 0;
}

static int take_letters(const struct place *p, struct word w, const char *what, char *out, size_t room)
{
    if (w.length == 0) return FAIL(p, w.at, "%s is missing", what);
    if (w.length >= room) return FAIL(p, w.at, "%s of more than %zu letters", what, room - 1);
    if (w.at[0] == '-') return FAIL(p, w.at, "%s cannot begin with '-': '%.*s'", what, (int)w.length, w.at);
    for (size_t i = 0; i < w.length; i++)
        if (!is_name_letter(w.at[i]))
            return FAIL(p, w.at + i, "%s is made of letters, digits and . _ - only: '%.*s'%s", what, (int)w.length,
                        w.at, w.at[i] == '@' ? "; the user is given as user=NAME" : "");
    memcpy(out, w.at, w.length);
    out[w.length] = 0;
    return 0;
}

/* An IPv6 address, maybe with %scope, whose brackets are already off. */
static int take_ipv6(const struct place *p, struct word w, char *out, size_t room)
{
    char bare[INET6_ADDRSTRLEN];
    struct in6_addr ip;
    const char *const scope = memchr(w.at, '%', w.length);
    const size_t length = scope ? (size_t)(scope - w.at) : w.length;
    int good = length < sizeof bare && w.length < room && (!scope || length + 1 < w.length);
    if (good) {
        memcpy(bare, w.at, length);
        bare[length] = 0;
        good = inet_pton(AF_INET6, bare, &ip) == 1;
    }
    for (size_t i = length + 1; good && i < w.length; i++) good = is_name_letter(w.at[i]);
    if (!good)
        return FAIL(p, w.at, "'%.*s' is no IPv6 address%s", (int)w.length, w.at,
                    p->path ? "; threads are given as slots=N, sshd's port as port=N" : "");
    memcpy(out, w.at, w.length);
    out[w.length] = 0;
    return 0;
}

static int take_name(const struct place *p, struct word w, struct cr_host *host)
{
    if (w.length > 2 && w.at[0] == '[' && w.at[w.length - 1] == ']')
        return take_ipv6(p, (struct word){ w.at + 1, w.length - 2 }, host->name, sizeof host->name);
    if (memchr(w.at, ':', w.length)) return take_ipv6(p, w, host->name, sizeof host->name);
    return take_letters(p, w, "a host's name", host->name, sizeof host->name);
}

static int take_folder(const struct place *p, struct word w, struct cr_host *host)
{
    if (w.length == 0) return FAIL(p, w.at, "data= needs a folder: data=/scratch/mnist");
    if (w.length >= sizeof host->data) return FAIL(p, w.at, "a folder of more than %zu letters", sizeof host->data - 1);
    memcpy(host->data, w.at, w.length);
    host->data[w.length] = 0;
    return 0;
}

/* Is this name the machine we are on? As it calls itself, with or without its domain. */
static int is_own(const char *name)
{
    char own[256];
    if (strcmp(name, "localhost") == 0 || strcmp(name, "127.0.0.1") == 0 || strcmp(name, "::1") == 0) return 1;
    if (gethostname(own, sizeof own) < 0) return 0;
    own[sizeof own - 1] = 0;
    if (strcmp(name, own) == 0) return 1;
    own[strcspn(own, ".")] = 0;
    return strcmp(name, own) == 0;
}

static int add(struct cr_hosts *h, const struct place *p, struct cr_host *host, const char *at)
{
    if (h->count == CR_MAX_RANKS) return FAIL(p, at, "more than %d hosts", (int)CR_MAX_RANKS);
    if ((h->count & (h->count - 1)) == 0) { /* room for a power of two */
        struct cr_host *const more = realloc(h->host, (h->count ? 2 * (size_t)h->count : 1) * sizeof *more);
        if (!more) return cr_fail(p->e, CR_E_NOMEM, "no memory for %d hosts", h->count + 1);
        h->host = more;
    }
    host->local = is_own(host->name) && !*host->user && !host->port;
    host->line = p->line;
    h->host[h->count++] = *host;
    return 0;
}

/* ---- the file ---- */

static int take_word(const struct place *p, struct word w, struct cr_host *host)
{
    struct word v;
    if (has_key(w, "slots", &v)) return take_number(p, v, "slots", MAX_SLOTS, &host->slots);
    if (has_key(w, "port", &v)) return take_number(p, v, "port", 65535, &host->port);
    if (has_key(w, "user", &v)) return take_letters(p, v, "a user's name", host->user, sizeof host->user);
    if (has_key(w, "data", &v)) return take_folder(p, v, host);
    return FAIL(p, w.at, "'%.*s' makes no sense here; known are slots=N, port=N, user=NAME, data=FOLDER", (int)w.length,
                w.at);
}

static int is_blank(char c) { return c == ' ' || c == '\t' || c == '\r'; }

static int take_line(struct cr_hosts *h, struct place *p, const char *end)
{
    struct cr_host host = { .name = "" };
    const char *at = p->start, *first = NULL;
    for (const char *c = at; c < end; c++)
        if (((unsigned char)*c < ' ' && !is_blank(*c)) || *c == 127) return FAIL(p, c, "a character that is no text");
    for (;;) {
        while (at < end && is_blank(*at)) at++;
        if (at == end || *at == '#') break;
        const char *from = at;
        while (at < end && !is_blank(*at) && *at != '#') at++;
        const struct word w = { from, (size_t)(at - from) };
        CR_TRY(first ? take_word(p, w, &host) : take_name(p, w, &host));
        if (!first) first = from;
    }
    return first ? add(h, p, &host, first) : 0;
}

int cr_hosts_read_text(struct cr_hosts *h, const char *path, const char *text, size_t size, struct cr_error *e)
{
    struct place p = { .path = path, .e = e };
    const char *const end = text + size;
    *h = (struct cr_hosts){ 0 };
    for (const char *at = text; at < end;) {
        const char *const newline = memchr(at, '\n', (size_t)(end - at));
        p.start = at;
        p.line++;
        CR_TRY(take_line(h, &p, newline ? newline : end));
        at = newline ? newline + 1 : end;
    }
    if (h->count == 0) return cr_fail_at(e, CR_E_INPUT, path, 0, 0, -1, "names no host; a line is: NAME slots=N");
    return 0;
}

int cr_hosts_read(struct cr_hosts *h, const char *path, struct cr_error *e)
{
    static const char mark[] = "\xef\xbb\xbf"; /* that some editors put first */
    *h = (struct cr_hosts){ 0 };
    FILE *const f = fopen(path, "re");
    char *const text = f ? malloc(MAX_FILE + 1) : NULL;
    if (!f) return cr_fail_at(e, CR_E_USAGE, path, 0, 0, -1, "cannot read the hosts file: %s", strerror(errno));
    if (!text) {
        fclose(f);
        return cr_fail(e, CR_E_NOMEM, "no memory for the hosts file %s", path);
    }
    const size_t size = fread(text, 1, MAX_FILE + 1, f);
    int rc = 0;
    if (ferror(f)) rc = cr_fail_at(e, CR_E_USAGE, path, 0, 0, -1, "cannot read the hosts file: %s", strerror(errno));
    else if (size > MAX_FILE) rc = cr_fail_at(e, CR_E_INPUT, path, 0, 0, -1, "more than 1 MiB: this is no hosts file");
    else if (size >= sizeof mark - 1 && memcmp(text, mark, sizeof mark - 1) == 0)
        rc = cr_hosts_read_text(h, path, text + sizeof mark - 1, size - (sizeof mark - 1), e);
    else rc = cr_hosts_read_text(h, path, text, size, e);
    fclose(f);
    free(text);
    return rc;
}

/* ---- -H ---- */

/* NAME, NAME:SLOTS, [IPV6], [IPV6]:SLOTS, or an IPv6 address alone, which has more than one colon. */
static int take_item(struct cr_hosts *h, const struct place *p, struct word w)
{
    struct cr_host host = { .name = "" };
    const char *colon = NULL;
    for (size_t i = w.length; i > 0 && !colon && w.at[i - 1] != ']'; i--)
        if (w.at[i - 1] == ':') colon = w.at + i - 1;
    if (colon && w.at[0] != '[' && memchr(w.at, ':', (size_t)(colon - w.at))) colon = NULL;
    const struct word name = { w.at, colon ? (size_t)(colon - w.at) : w.length };
    CR_TRY(take_name(p, name, &host));
    if (colon) {
        const struct word slots = { colon + 1, w.length - name.length - 1 };
        CR_TRY(take_number(p, slots, "the number of threads after ':'", MAX_SLOTS, &host.slots));
    }
    return add(h, p, &host, w.at);
}

int cr_hosts_parse(struct cr_hosts *h, const char *list, struct cr_error *e)
{
    const struct place p = { .start = list, .e = e };
    *h = (struct cr_hosts){ 0 };
    for (const char *at = list;; at++) {
        const struct word w = { at, strcspn(at, ",") };
        if (w.length == 0) return FAIL(&p, at, "a host is missing in '%s'; as in: a:2,b:2", list);
        CR_TRY(take_item(h, &p, w));
        at += w.length;
        if (!*at) return 0;
    }
}

void cr_hosts_free(struct cr_hosts *h)
{
    free(h->host);
    *h = (struct cr_hosts){ 0 };
}
