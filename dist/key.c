#define _POSIX_C_SOURCE 200809L
#include "dist/key.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "dist/hmac.h"

enum { DIGITS = 2 * CR_KEY_BYTES };

/* What to do about most faults of a key file: a shell command, with FILE for its name. */
#define MAKE_ONE "(umask 077; od -An -tx1 -N32 /dev/urandom | tr -d ' \\n' >FILE)"

int cr_key_new(struct cr_key *k, struct cr_error *e)
{
    k->none = 0;
    return cr_random_bytes(k->bytes, sizeof k->bytes, e);
}

static int digit(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

/* 64 digits and perhaps a newline, nothing else; 0 or -1. */
static int parse(struct cr_key *k, const char *text, size_t n)
{
    if (n == DIGITS + 1 && text[DIGITS] == '\n') n--;
    if (n != DIGITS) return -1;
    k->none = 0;
    for (int i = 0; i < CR_KEY_BYTES; i++) {
        const int high = digit(text[2 * i]), low = digit(text[2 * i + 1]);
        if (high < 0 || low < 0) return -1;
        k->bytes[i] = (uint8_t)(high << 4 | low);
    }
    return 0;
}

/* Reads up to `room` bytes; how many there were, or -1 and errno. */
static ssize_t read_all(int fd, char *text, size_t room)
{
    size_t n = 0;
    while (n < room) {
        const ssize_t some = read(fd, text + n, room - n);
        if (some < 0 && errno == EINTR) continue;
        if (some < 0) return -1;
        if (some == 0) break;
        n += (size_t)some;
    }
    return (ssize_t)n;
}

static int read_open(struct cr_key *k, int fd, const char *path, struct cr_error *e)
{
    struct stat s;
    char text[DIGITS + 2];
    if (fstat(fd, &s)) return cr_fail_at(e, CR_E_IO, path, 0, 0, -1, "cannot look at this file: %s", strerror(errno));
    if (!S_ISREG(s.st_mode))
        return cr_fail_at(e, CR_E_USAGE, path, 0, 0, -1, "a job key is a regular file; make one with " MAKE_ONE);
    if (s.st_uid != geteuid())
        return cr_fail_at(e, CR_E_USAGE, path, 0, 0, -1, "the job key belongs to user %ld, corering runs as user %ld: "
                          "use a file of your own", (long)s.st_uid, (long)geteuid());
    if (s.st_mode & 07777 & ~0600u)
        return cr_fail_at(e, CR_E_USAGE, path, 0, 0, -1, "the job key has mode %04o, so others might know it: remove "
                          "it and make a new one with " MAKE_ONE, (unsigned)(s.st_mode & 07777));

    const ssize_t n = read_all(fd, text, sizeof text);
    int rc = 0;
    if (n < 0)
        rc = cr_fail_at(e, CR_E_IO, path, 0, 0, -1, "cannot read this file: %s", strerror(errno));
    else if (parse(k, text, (size_t)n))
        rc = cr_fail_at(e, CR_E_USAGE, path, 0, 0, -1, "a job key is 64 hexadecimal digits and nothing else; make one "
                        "with " MAKE_ONE);
    cr_wipe(text, sizeof text);
    return rc;
}

int cr_key_read(struct cr_key *k, const char *path, struct cr_error *e)
{
    memset(k, 0, sizeof *k);
    /* Non-blocking: opening a FIFO must not wait for its writer. */
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return cr_fail_at(e, errno == ENOENT ? CR_E_USAGE : CR_E_IO, path, 0, 0, -1,
                          "cannot open the job key: %s; make one with " MAKE_ONE, strerror(errno));
    const int rc = read_open(k, fd, path, e);
    close(fd);
    if (rc < 0) cr_wipe(k, sizeof *k);
    return rc;
}

void cr_key_hex(const struct cr_key *k, char hex[65])
{
    if (k->none)
        snprintf(hex, DIGITS + 1, "none");
    else
        cr_sha256_hex(k->bytes, hex);
}

int cr_key_parse(struct cr_key *k, const char *hex, struct cr_error *e)
{
    memset(k, 0, sizeof *k);
    if (strcmp(hex, "none") == 0 || strcmp(hex, "none\n") == 0) {
        k->none = 1;
        return 0;
    }
    if (parse(k, hex, strlen(hex)) == 0) return 0;
    cr_wipe(k, sizeof *k);
    return cr_fail(e, CR_E_INPUT, "a job key is 64 hexadecimal digits");
}
