/* ssh's words, the script it runs, and the courier's half of the talk with it:
 *
 *     script                                   courier
 *     corering-host SYSTEM ARCHITECTURE  ->    chooses the program for it
 *                                        <-    three lines: its SHA-256, its size, the folder of --remote-dir
 *     corering-need                      ->    when it is not there
 *                                        <-    the program
 *     corering-ready                     ->
 *                                        <-    the summons
 *
 * What the user or the hosts file gave is never part of a line that a shell reads: host, user and port are words of
 * their own behind the options, all else comes as data over standard input. Host keys are checked as ssh's own settings
 * say. */
#define _GNU_SOURCE /* SYS_close_range by syscall() */

#include "dist/launch_ssh.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "simd/sha256.h"

/* POSIX sh. Sentences on standard error begin with "corering: " and reach the user as they are (launch_reason.c). The
 * copy gets its name only when it is whole and has run once: no other start, on a shared home, can see half of it. */
static const char script[] =
    "LC_ALL=C PATH=$PATH:/usr/bin:/bin; export LC_ALL PATH; umask 077\n"
    "fail() { echo \"corering: $*\" >&2; exit 1; }\n"
    "elsewhere='name another folder of that host with --remote-dir'\n"
    "echo \"corering-host $(uname -s) $(uname -m)\"\n"
    "IFS= read -r hash && IFS= read -r size && IFS= read -r base || exit 1\n"
    "if command -v sha256sum >/dev/null 2>&1; then digest() { sha256sum <\"$1\"; }\n"
    "elif command -v shasum >/dev/null 2>&1; then digest() { shasum -a 256 <\"$1\"; }\n"
    "elif command -v openssl >/dev/null 2>&1; then digest() { openssl dgst -sha256 -r <\"$1\"; }\n"
    "else fail 'there is no sha256sum, shasum or openssl to verify the program with; install coreutils there'; fi\n"
    "right() { test -f \"$1\" && found=$(digest \"$1\" 2>/dev/null) && test \"${found%% *}\" = \"$hash\"; }\n"
    "case $base in\n"
    "/*) ;;\n"
    "*) test -d \"${HOME:-}\" || fail \"there is no home folder; $elsewhere\"\n"
    "   base=$HOME/${base:-.cache/corering} ;;\n"
    "esac\n"
    "folder=$base/$hash program=$base/$hash/corering\n"
    "why=$(mkdir -p \"$folder\" 2>&1) || case $why in\n"
    "*'No space'*|*quota*) fail \"no space for the program in $folder; free some or $elsewhere\" ;;\n"
    "*) fail \"cannot make the folder $folder (${why##*: }); $elsewhere\" ;;\n"
    "esac\n"
    "case $(ls -ldn \"$base\") in ????????w*) fail \"anybody may write to $base; $elsewhere\" ;; esac\n"
    "case $(ls -ldn \"$folder\") in ?????w*|????????w*) fail \"others may write to $folder; chmod 700 it\" ;; esac\n"
    "owner=$(ls -ldn \"$folder\") && set -f && set -- $owner && set +f && test \"$3\" = \"$(id -u)\" ||\n"
    "    fail \"$folder belongs to another user; $elsewhere\"\n"
    "if ! right \"$program\"; then\n"
    "    part=$folder/part.$(uname -n).$$\n"
    "    trap 'rm -f \"$part\"' EXIT; trap 'exit 1' HUP INT PIPE TERM\n"
    "    echo corering-need\n"
    "    head -c \"$size\" 2>/dev/null >\"$part\" ||\n"
    "        fail \"no space for the program ($size bytes) in $folder; free some or $elsewhere\"\n"
    "    right \"$part\" || fail \"the copy of the program arrived damaged in $folder; try again\"\n"
    "    chmod 700 \"$part\"\n"
    "    \"$part\" --version >/dev/null 2>&1 </dev/null || case $? in\n"
    "    126) fail \"programs cannot be run in $folder (mounted noexec?); $elsewhere\" ;;\n"
    "    *) fail \"the program does not run there: $(\"$part\" --version 2>&1 </dev/null | head -n 1)\" ;;\n"
    "    esac\n"
    "    why=$(mv -f \"$part\" \"$program\" 2>&1) || fail \"cannot name the program $program (${why##*: })\"\n"
    "    trap - EXIT HUP INT PIPE TERM\n"
    "fi\n"
    "echo corering-ready\n"
    "exec \"$program\" rank >&2\n";

/* The line for the login shell, which may be a csh or fish: no character in it means anything there within '...'. dd
 * takes the script's bytes and not one more, so the rest of standard input is the script's own. */
static const char line[] = "exec /bin/sh -c 'eval \"$(dd bs=1 count=%zu 2>/dev/null)\"'";

enum { SILENCE_MS = 60000 }; /* how long the other side may take over one thing; ssh itself notices a dead host */

/* ---- ssh's words ---- */

static int add_word(struct cr_courier *c, int *count, char *word, struct cr_error *e)
{
    if (*count == CR_SSH_WORDS) return cr_fail(e, CR_E_USAGE, "--ssh has too many words");
    c->argv[(*count)++] = word;
    c->argv[*count] = NULL;
    return 0;
}

int cr_courier_prepare(struct cr_courier *c, const struct cr_host *host, const struct cr_launch_options *o,
                       const char *summons, struct cr_error *e)
{
    /* Options of --ssh come first: ssh keeps the first value it is given. Compression halves the program's way. */
    static const char format[] = "%s -T -a -x -o BatchMode=yes -o ConnectTimeout=%d -o ServerAliveInterval=5"
                                 " -o ServerAliveCountMax=3 -o ControlMaster=no -o ControlPath=none"
                                 " -o ClearAllForwardings=yes -o RemoteCommand=none -o LogLevel=INFO"
                                 " -o Compression=yes";
    const char *const ssh = o->ssh ? o->ssh : "ssh";
    const size_t room = strlen(ssh) + sizeof format + sizeof *host + sizeof line + 64;
    const int timeout = o->start_seconds >= 1 ? (int)o->start_seconds : 10;
    int words = 0;
    *c = (struct cr_courier){ .summons = summons, .options = o, .host = host->name };
    if (ssh[strspn(ssh, " \t")] == 0 || ssh[strspn(ssh, " \t")] == '-')
        return cr_fail(e, CR_E_USAGE, "--ssh begins with the program's name, as in --ssh \"ssh -p 2222 -i key\"");
    if (o->remote_dir && strchr(o->remote_dir, '\n'))
        return cr_fail(e, CR_E_USAGE, "--remote-dir holds a line's end");
    char *at = c->text = malloc(room);
    if (!at) return cr_fail(e, CR_E_NOMEM, "no memory for ssh's arguments");

    snprintf(at, room, format, ssh, timeout);
    char *rest = NULL;
    for (char *word = strtok_r(at, " \t", &rest); word; word = strtok_r(NULL, " \t", &rest)) {
        CR_TRY(add_word(c, &words, word, e));
        at = word + strlen(word) + 1;
    }
    const char *const given[][2] = { { host->port ? "-p" : NULL, NULL }, { *host->user ? "-l" : NULL, host->user },
                                     { "--", host->name } };
    for (size_t i = 0; i < sizeof given / sizeof *given; i++) {
        if (!given[i][0]) continue;
        CR_TRY(add_word(c, &words, strcpy(at, given[i][0]), e));
        at += strlen(at) + 1;
        if (given[i][1]) strcpy(at, given[i][1]);
        else sprintf(at, "%d", host->port);
        CR_TRY(add_word(c, &words, at, e));
        at += strlen(at) + 1;
    }
    snprintf(at, room - (size_t)(at - c->text), line, sizeof script - 1);
    return add_word(c, &words, at, e);
}

void cr_courier_free(struct cr_courier *c)
{
    free(c->text);
    *c = (struct cr_courier){ 0 };
}

/* ---- the courier ---- */

/* Its connections: to and from the script, and to the launcher. */
struct talk {
    const struct cr_courier *c;
    int to, from, output;
    char buffer[256];            /* what the script has said and nobody has taken yet */
    size_t held;
};

/* One sentence to the launcher, in the place of the program's own, and the end of ssh, which would wait for the
 * launcher to close its input: both are one process group. Returns -1. */
static int complain(const struct talk *t, const char *what, const char *detail, const char *remedy)
{
    char text[1024];
    const int n = snprintf(text, sizeof text, "corering: %s%s%s\n", what, detail, remedy);
    const size_t length = n < 0 ? 0 : (size_t)n < sizeof text ? (size_t)n : sizeof text - 1;
    if (write(t->output, text, length) >= 0) kill(0, SIGTERM);
    return -1;
}

/* Wait until `fd` is ready for `events`; -1 when time is up, the launcher is gone (nobody reads `output`), or the other
 * side is, about which ssh or the script says more. */
static int ready(const struct talk *t, int fd, short events)
{
    struct pollfd p[2] = { { .fd = fd, .events = events }, { .fd = t->output } };
    int n;
    while ((n = poll(p, 2, SILENCE_MS)) < 0 && errno == EINTR) {}
    if (n == 0) return complain(t, "the host does not answer any more while the program is being started", "", "");
    return n < 0 || p[1].revents || !(p[0].revents & events) ? -1 : 0;
}

static int send_bytes(const struct talk *t, const void *bytes, size_t n)
{
    for (const char *at = bytes; n > 0;) {
        const ssize_t sent = write(t->to, at, n);
        if (sent > 0) {
            at += sent;
            n -= (size_t)sent;
        } else if (sent < 0 && errno == EAGAIN) {
            if (ready(t, t->to, POLLOUT) < 0) return -1;
        } else if (sent == 0 || errno != EINTR) {
            return -1;
        }
    }
    return 0;
}

/* The next line of the script that begins with "corering-"; others are a login shell's chatter. 0 with its rest. */
static int hear(struct talk *t, char said[256])
{
    static const char mark[] = "corering-";
    for (;;) {
        char *const end = memchr(t->buffer, '\n', t->held);
        if (end || t->held == sizeof t->buffer) {
            const size_t length = end ? (size_t)(end - t->buffer) : t->held;
            const int ours = length >= sizeof mark - 1 && memcmp(t->buffer, mark, sizeof mark - 1) == 0;
            if (ours) snprintf(said, 256, "%.*s", (int)(length - sizeof mark + 1), t->buffer + sizeof mark - 1);
            t->held -= length + (end ? 1 : 0);
            if (end) memmove(t->buffer, end + 1, t->held);
            if (ours) return 0;
            continue;
        }
        if (ready(t, t->from, POLLIN) < 0) return -1;
        const ssize_t n = read(t->from, t->buffer + t->held, sizeof t->buffer - t->held);
        if (n == 0 || (n < 0 && errno != EINTR)) return -1;
        if (n > 0) t->held += (size_t)n;
    }
}

/* The program for an architecture: of --binary ARCH=FILE, or the static twin when it is ours. NULL = none. */
static const char *program_for(const struct cr_launch_options *o, const char *architecture)
{
    const size_t length = strlen(architecture);
    struct utsname own;
    for (const char *const *b = o->binary; b && *b; b++)
        if (strncmp(*b, architecture, length) == 0 && (*b)[length] == '=') return *b + length + 1;
    return uname(&own) == 0 && strcmp(own.machine, architecture) == 0 ? o->twin : NULL;
}

static int choose(const struct talk *t, char *said, const char **file)
{
    char *const system = strchr(said, ' '), *const architecture = system ? strchr(system + 1, ' ') : NULL;
    if (!architecture || strncmp(said, "host ", 5) != 0)
        return complain(t, "the host's shell answers strangely: ", said, "");
    *architecture = 0;
    if (strcmp(system + 1, "Linux") != 0) return complain(t, "the host runs ", system + 1, "; Linux is needed there");
    *file = program_for(t->c->options, architecture + 1);
    if (*file) return 0;
    return complain(t, "no static program for its architecture, ", architecture + 1,
                    ", is at hand; give one with --binary ARCHITECTURE=FILE");
}

/* SHA-256 and size of a file. */
static int measure(int fd, char hash[65], long long *size)
{
    struct cr_sha256 h;
    uint8_t digest[32];
    char piece[65536];
    ssize_t n;
    *size = 0;
    cr_sha256_init(&h);
    while ((n = read(fd, piece, sizeof piece)) > 0 || (n < 0 && errno == EINTR)) {
        if (n < 0) continue;
        cr_sha256_add(&h, piece, (size_t)n);
        *size += n;
    }
    cr_sha256_end(&h, digest);
    cr_sha256_hex(digest, hash);
    return n < 0 || lseek(fd, 0, SEEK_SET) != 0 ? -1 : 0;
}

static int send_file(const struct talk *t, int fd, long long size)
{
    char piece[65536];
    while (size > 0) {
        const ssize_t n = read(fd, piece, sizeof piece);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return complain(t, "the program to be copied became shorter; try again", "", "");
        if (send_bytes(t, piece, (size_t)n) < 0) return -1;
        size -= n;
    }
    return 0;
}

/* The whole talk, once the script has said what machine it is on. */
static int deliver(struct talk *t, const char *file)
{
    char said[256], hash[65], head[160];
    long long size;
    const char *const folder = t->c->options->remote_dir;
    const int fd = open(file, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || measure(fd, hash, &size) < 0) return complain(t, "cannot read the program to be copied, ", file, "");
    snprintf(head, sizeof head, "%s\n%lld\n", hash, size);
    if (send_bytes(t, head, strlen(head)) < 0 || (folder && send_bytes(t, folder, strlen(folder)) < 0) ||
        send_bytes(t, "\n", 1) < 0 || hear(t, said) < 0)
        return -1;
    if (strcmp(said, "need") == 0 && (send_file(t, fd, size) < 0 || hear(t, said) < 0)) return -1;
    return strcmp(said, "ready") == 0 ? send_bytes(t, t->c->summons, strlen(t->c->summons)) : -1;
}

/* Close descriptors first..last. */
static void close_span(int first, int last)
{
    if (first > last) return;
#ifdef SYS_close_range
    if (syscall(SYS_close_range, (unsigned)first, (unsigned)last, 0u) == 0) return;
#endif
    const long most = sysconf(_SC_OPEN_MAX);
    for (int fd = first; fd <= last && fd < most; fd++) close(fd);
}

/* What the launcher had open, other ranks' pipes among it, must not stay open here. */
static void keep_only(int a, int b, int c)
{
    int low = a < b ? a : b, middle = a < b ? b : a, high = c;
    if (middle > high) high = middle, middle = c;
    if (low > middle) {
        const int swap = low;
        low = middle, middle = swap;
    }
    close_span(3, low - 1);
    close_span(low + 1, middle - 1);
    close_span(middle + 1, high - 1);
    close_span(high + 1, 0x7fffffff);
}

void cr_courier_work(const struct cr_courier *c, int to, int from, int output)
{
    struct talk t = { .c = c, .to = to, .from = from, .output = output };
    char said[256];
    const char *file = NULL;
    signal(SIGPIPE, SIG_IGN);
    signal(SIGTERM, SIG_DFL);
    keep_only(to, from, output);
    if (fcntl(to, F_SETFL, O_NONBLOCK) < 0 || send_bytes(&t, script, sizeof script - 1) < 0 || hear(&t, said) < 0 ||
        choose(&t, said, &file) < 0)
        return;
    deliver(&t, file);
}
