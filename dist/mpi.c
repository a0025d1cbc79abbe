#include "dist/mpi.h"

#include "config.h"

/* CR_NO_MPI: the copy in a static program, which no MPI links with. */
#if CR_HAVE_MPI && !defined CR_NO_MPI

#include <mpi.h>
#include <stdlib.h>

#include "dist/fixed.h"

enum { MOST_WORDS = 1 << 30 }; /* of one call: MPI counts in int */

int cr_mpi_possible(void) { return 1; }

static int failed(int code, const char *call, struct cr_error *e)
{
    char text[MPI_MAX_ERROR_STRING];
    int length = 0;
    MPI_Error_string(code, text, &length);
    return cr_fail(e, CR_E_PEER, "%s: %.*s", call, length, text);
}

static int all_words(void *words, size_t count, MPI_Datatype type, int size, MPI_Op op, struct cr_error *e)
{
    for (char *at = words; count;) {
        const int n = count < MOST_WORDS ? (int)count : MOST_WORDS;
        const int code = MPI_Allreduce(MPI_IN_PLACE, at, n, type, op, MPI_COMM_WORLD);
        if (code != MPI_SUCCESS) return failed(code, "MPI_Allreduce", e);
        at += (size_t)n * (size_t)size;
        count -= (size_t)n;
    }
    return 0;
}

static int combine(void *user, struct cr_message *m, struct cr_error *e)
{
    (void)user;
    CR_TRY(all_words(m->sum64, m->shape.sums64, MPI_UINT64_T, 8, MPI_SUM, e));
    CR_TRY(all_words(m->max32, m->shape.maxima, MPI_UINT32_T, 4, MPI_MAX, e));
    return all_words(m->sum32, m->shape.sums32, MPI_UINT32_T, 4, MPI_SUM, e);
}

static void end_mpi(void)
{
    MPI_Finalize();
}

struct cr_comm *cr_mpi_new(int *argc, char ***argv, const struct cr_keeper *keeper, struct cr_error *e)
{
    int level = 0, rank = 0, size = 0;
    const int code = MPI_Init_thread(argc, argv, MPI_THREAD_FUNNELED, &level);
    if (code != MPI_SUCCESS) {
        failed(code, "MPI_Init_thread", e);
        return NULL;
    }
    atexit(end_mpi);
    MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &size);
    if (level < MPI_THREAD_FUNNELED || size > CR_MAX_RANKS) {
        cr_fail(e, CR_E_USAGE, size > CR_MAX_RANKS ? "MPI started more than 1,024 ranks"
                                                   : "this MPI does not allow a process to have threads");
        return NULL;
    }
    struct cr_comm *const c = cr_fixed_new(rank, size, combine, NULL, keeper);
    if (!c) {
        cr_fail(e, CR_E_NOMEM, "out of memory for rank %d", rank);
        MPI_Abort(MPI_COMM_WORLD, 1);
    }
    return c;
}

void cr_mpi_free(struct cr_comm *c, int alone)
{
    if (!c) return;
    cr_fixed_free(c);
    if (alone) MPI_Abort(MPI_COMM_WORLD, 1);
}

#else

int cr_mpi_possible(void) { return 0; }

struct cr_comm *cr_mpi_new(int *argc, char ***argv, const struct cr_keeper *keeper, struct cr_error *e)
{
    (void)argc, (void)argv, (void)keeper;
    cr_fail(e, CR_E_USAGE, "this corering was built without MPI: build it with ./configure --with-mpi, or go without; "
                           "mpirun and srun start ranks that talk over TCP, too");
    return NULL;
}

void cr_mpi_free(struct cr_comm *c, int alone) { (void)c, (void)alone; }

#endif
