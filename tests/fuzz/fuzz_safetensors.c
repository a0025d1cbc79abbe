/* Fuzz target: any bytes as a safetensors file and as a checkpoint. `make check` replays tests/fuzz/safetensors/.
 *
 *     clang -std=c11 -g -fsanitize=fuzzer,address,undefined -I. tests/fuzz/fuzz_safetensors.c obj/libcorering.a \
 *         -fopenmp -lz -lm -o fuzz && TMPDIR=/dev/shm ./fuzz -max_len=8192 CORPUS tests/fuzz/safetensors
 *
 * The checksum would keep nearly every changed file from the code behind it. So a file with a sound structure is
 * written again, with a checksum that agrees, and loaded as a checkpoint. */
#define _POSIX_C_SOURCE 200809L

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/checkpoint.h"
#include "core/safetensors.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

/* 1 when the file could be written again. Strangers' types cannot be, nor text that is no UTF-8: there is none. */
static int write_again(const char *path, struct cr_safetensors *s)
{
    struct cr_safetensors_meta *meta = malloc((s->metas + 1) * sizeof *meta);
    float **data = calloc(s->tensors + 1, sizeof *data);
    size_t metas = 0;
    int good = meta && data;
    for (size_t i = 0; good && i < s->metas; i++)
        if (strcmp(s->meta[i].key, "sha256") != 0) meta[metas++] = s->meta[i];
    for (size_t i = 0; good && i < s->tensors; i++) {
        struct cr_safetensors_tensor *t = &s->tensor[i];
        good = strcmp(t->dtype, "F32") == 0 && (data[i] = malloc((size_t)(t->end - t->begin) + 1)) != NULL &&
               cr_safetensors_read(s, t, data[i], NULL) == 0;
        t->data = data[i];
    }
    good = good && cr_safetensors_write(path, meta, metas, s->tensor, s->tensors, NULL) == 0;
    for (size_t i = 0; data && i < s->tensors; i++) free(data[i]);
    free(data);
    free(meta);
    return good;
}

static void load(const char *path)
{
    struct cr_error e;
    struct cr_net net;
    struct cr_state state;
    if (cr_checkpoint_load(path, &net, &state, &e) < 0) return;
    cr_state_free(&state);
    cr_net_free(&net);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    const char *folder = getenv("TMPDIR");
    char path[512];
    struct cr_error e;
    struct cr_safetensors s;
    snprintf(path, sizeof path, "%s/corering-fuzz-XXXXXX", folder ? folder : "/tmp");
    const int fd = mkstemp(path);
    if (fd < 0) abort();
    FILE *f = fdopen(fd, "wb");
    if (!f || fwrite(bytes, 1, n, f) != n || fclose(f) != 0) abort();

    load(path);
    if (cr_safetensors_open(&s, path, &e) == 0) {
        const int again = write_again(path, &s);
        cr_safetensors_close(&s);
        if (again && (cr_safetensors_open(&s, path, &e) < 0 || cr_safetensors_verify(&s, &e) < 0)) abort();
        if (again) cr_safetensors_close(&s);
        load(path);
    }
    unlink(path);
    return 0;
}
