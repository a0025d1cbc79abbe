/* Fuzz target: any bytes as a hosts file, as the list of -H and as a summons. `make check` replays tests/fuzz/hosts/.
 *
 *     clang -std=c11 -g -fsanitize=fuzzer,address,undefined -I. tests/fuzz/fuzz_hosts.c obj/libcorering.a -o fuzz &&
 *         ./fuzz -max_len=4096 CORPUS tests/fuzz/hosts
 *
 * Whatever is accepted must be fit for a command line: no name begins with '-', none holds other letters. */
#define _POSIX_C_SOURCE 200809L

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "dist/launch.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

static void inspect(const struct cr_hosts *h)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._:%-";
    for (int i = 0; i < h->count; i++) {
        const struct cr_host *const host = &h->host[i];
        if (!*host->name || host->name[0] == '-' || host->name[strspn(host->name, letters)]) abort();
        if (host->user[0] == '-' || host->user[strspn(host->user, letters)]) abort();
        if (strlen(host->data) >= sizeof host->data || host->port < 0 || host->port > 65535 || host->slots < 0) abort();
    }
}

/* What was read can be written, and is read as the same again. */
static void repeat(const struct cr_summons *s)
{
    char text[CR_SUMMONS_TEXT], again[CR_SUMMONS_TEXT];
    struct cr_summons other;
    if (cr_summons_write(s, text, NULL) < 0) return;
    if (cr_summons_read(&other, text, NULL) < 0 || cr_summons_write(&other, again, NULL) < 0) abort();
    if (strcmp(text, again) != 0) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    struct cr_error e;
    struct cr_hosts h;
    struct cr_summons s;
    char *const text = malloc(n + 1);
    if (!text) abort();
    memcpy(text, bytes, n);
    text[n] = 0;
    if (cr_hosts_read_text(&h, "hosts", text, n, &e) == 0) inspect(&h);
    cr_hosts_free(&h);
    if (cr_hosts_parse(&h, text, &e) == 0) inspect(&h);
    cr_hosts_free(&h);
    if (cr_summons_read(&s, text, &e) == 0) repeat(&s);
    free(text);
    return 0;
}
