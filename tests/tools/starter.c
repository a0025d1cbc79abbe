/* Starts one rank as the launcher does (dist/launch.h), so that this can be tested without a run.
 *
 *     starter HOST TWIN [--ssh WORDS] [--remote-dir FOLDER] [--binary ARCHITECTURE=FILE]
 *
 * Prints what the rank says. When it has said "ready": waits for the end of standard input, ends the rank, and has
 * status 0. When it ends by itself before: prints the reason, status 1. */
#define _POSIX_C_SOURCE 200809L

#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "dist/launch.h"

static int fail(const struct cr_error *e)
{
    printf("starter: %s\n", e->text);
    return 1;
}

int main(int argc, char **argv)
{
    struct cr_error e;
    struct cr_hosts h;
    struct cr_child c;
    const char *binary[2] = { NULL, NULL };
    struct cr_launch_options o = { .program = argc > 2 ? argv[2] : "", .twin = argc > 2 ? argv[2] : "",
                                   .binary = binary, .start_seconds = 2 };
    struct cr_summons s = { .rank = 3, .incarnation = 7, .slots = 2, .count = 1, .data = "/a folder",
                            .arbiter = { { .family = 4, .ip = { 10, 0, 0, 1 }, .port = 4711 } } };
    char said[16384];
    size_t n = 0;
    if (argc < 3 || argc % 2 == 0) return 2;
    for (int i = 3; i < argc; i += 2) {
        if (strcmp(argv[i], "--ssh") == 0) o.ssh = argv[i + 1];
        if (strcmp(argv[i], "--remote-dir") == 0) o.remote_dir = argv[i + 1];
        if (strcmp(argv[i], "--binary") == 0) binary[0] = argv[i + 1];
    }
    if (cr_hosts_read(&h, argv[1], &e) < 0 || cr_key_new(&s.key, &e) < 0) return fail(&e);
    if (cr_launch(&c, &h.host[0], &o, &s, &e) < 0) return fail(&e);
    said[0] = 0;
    for (;;) {
        struct pollfd p = { .fd = c.output, .events = POLLIN };
        poll(&p, 1, -1);
        const ssize_t got = read(c.output, said + n, sizeof said - 1 - n);
        if (got <= 0) break;
        fwrite(said + n, 1, (size_t)got, stdout);
        fflush(stdout);
        said[n += (size_t)got] = 0;
        if (strstr(said, "ready\n")) {
            while (read(STDIN_FILENO, said, sizeof said) > 0) {}
            cr_launch_stop(&c, 2);
            printf("status %d\n", c.status);
            cr_hosts_free(&h);
            return c.status != 0;
        }
    }
    while (!cr_launch_ended(&c)) poll(NULL, 0, 5);
    cr_launch_reason(&c, &h.host[0], said, &e);
    cr_hosts_free(&h);
    return fail(&e);
}
