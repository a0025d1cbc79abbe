/* A rank under mpirun (tests/mpi.sh): combines messages over MPI, keeps a checkpoint, tells an event. Prints "rank R of
 * N: right" when every word was. With the argument "die", rank 1 is lost in the middle. */
#define _POSIX_C_SOURCE 200809L
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dist/mpi.h"

static int keep(void *user, const void *bytes, size_t size, struct cr_error *e)
{
    (void)user, (void)e;
    printf("kept %.*s\n", (int)size, (const char *)bytes);
    return 0;
}

static void kept(void *user)
{
    (void)user;
}

static void told(void *user, const void *event, size_t size)
{
    (void)user;
    printf("told %.*s\n", (int)size, (const char *)event);
}

static int snapshot(void *run, void **bytes, size_t *size, struct cr_error *e)
{
    (void)e;
    *size = strlen(run);
    *bytes = malloc(*size);
    memcpy(*bytes, run, *size);
    return 0;
}

/* Wrong words of a message in which rank r gave r + i, and -(r + i) in the section of signed ones. */
static size_t wrong(const struct cr_message *m, size_t ranks)
{
    size_t bad = 0;
    const size_t all = ranks * (ranks - 1) / 2;
    for (size_t i = 0; i < m->shape.sums64; i++) bad += m->sum64[i] != -(int64_t)(all + ranks * i);
    for (size_t i = 0; i < m->shape.maxima; i++) bad += m->max32[i] != 0x80000000u + ranks - 1 + i;
    for (size_t i = 0; i < m->shape.sums32; i++)
        bad += m->sum32[i] != (uint32_t)(ranks * 0x80000000u + all + ranks * i);
    return bad;
}

int main(int argc, char **argv)
{
    static char state[] = "state";
    static const struct cr_message_shape shapes[] = { { 1, 0, 0 }, { 3, 5, 100003 }, { 0, 0, 1000000 }, { 2, 1, 0 } };
    const struct cr_keeper keeper = { .keep = keep, .kept = kept, .told = told };
    struct cr_error e = { 0 };
    size_t bad = 0;
    struct cr_comm *const c = cr_mpi_new(&argc, &argv, &keeper, &e);
    if (!c) {
        printf("%s\n", e.text);
        return 1;
    }
    c->snapshot = snapshot;
    c->run = state;
    for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++) {
        struct cr_message *const m = c->begin(c, shapes[s], CR_PHASE_STEP);
        const size_t r = (size_t)c->rank;
        if (!m) return 1;
        for (size_t i = 0; i < m->shape.sums64; i++) m->sum64[i] = -(int64_t)(r + i);
        for (size_t i = 0; i < m->shape.maxima; i++) m->max32[i] = 0x80000000u + (uint32_t)(r + i);
        for (size_t i = 0; i < m->shape.sums32; i++) m->sum32[i] = 0x80000000u + (uint32_t)(r + i);
        if (c->reduce(c, &e) < 0) break;
        bad += wrong(m, (size_t)c->size);
        c->commit(c, s + 1);
        if (s == 1 && c->rank == 1 && argc > 1 && strcmp(argv[1], "die") == 0) raise(SIGKILL);
    }
    c->tell(c, 1, "event", 5);
    if (e.code || c->save(c, &e) < 0)
        printf("%s\n", e.text);
    else if (bad)
        printf("rank %d of %d: %zu words are wrong\n", c->rank, c->size, bad);
    else
        printf("rank %d of %d: right\n", c->rank, c->size);
    fflush(stdout);
    cr_mpi_free(c, e.code || bad);
    return 0;
}
